"""The cocotb tests of other modules, each with a bound on its clocks: a mutant that hangs must end too."""

import os
from importlib import import_module

import cocotb
from cocotb.regression import TestGenerator

from spinbnn.sim.testbench.wrapper import CLOCK_NS

CLOCKS, *MODULES = os.environ["SPINBNN_BOUNDED_TESTS"].split()
bounded = cocotb.test(timeout_time=int(CLOCKS) * CLOCK_NS, timeout_unit="ns")

for module in MODULES:
    for name, found in list(vars(import_module(module)).items()):
        if isinstance(found, TestGenerator):
            globals()[name] = bounded(found)
