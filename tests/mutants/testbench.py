"""The cocotb tests of a mutant: the regression's jobs; those after the first that differs are left out."""

from typing import Any

import cocotb
from cocotb.triggers import SimTimeoutError, with_timeout

from spinbnn.sim.testbench.axi_lite import BusError
from spinbnn.sim.testbench.backdoor import UnknownBitsError
from spinbnn.sim.testbench.case import CaseDirectory, ProgressFile
from spinbnn.sim.testbench.jobs import CASES, RUN_DIRECTORY, JobRun
from spinbnn.sim.testbench.machine import HangError
from spinbnn.sim.testbench.wrapper import CLOCK_NS

# More than twice what any of the jobs takes: a mutant that hangs is found soon.
MOST_CLOCKS = 40_000

differing: list[str] = []


@cocotb.test()
@cocotb.parametrize(case=CASES)
async def job(dut: Any, case: str) -> None:
    if differing:
        return
    run = JobRun(dut, CaseDirectory(RUN_DIRECTORY / case).read_job(), ProgressFile(RUN_DIRECTORY))
    try:
        await with_timeout(cocotb.start_soon(run.execute()), MOST_CLOCKS * CLOCK_NS, "ns")
    except SimTimeoutError:
        run.scoreboard.note(f"not finished after {MOST_CLOCKS} clocks")
    except (HangError, BusError, UnknownBitsError) as error:
        run.scoreboard.note(str(error))
    difference = run.scoreboard.first_difference
    if difference is not None:
        differing.append(case)
    assert difference is None, difference
