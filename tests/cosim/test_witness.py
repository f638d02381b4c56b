"""Runs `witness.py`, a run through the drivers of cocotbext-axi, on both simulators."""

import json
from pathlib import Path

import pytest

from spinbnn.golden.geometry import Geometry
from spinbnn.sim import runner, tools
from spinbnn.sim.job import build_machine

SIMULATORS = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("verilator", "icarus")]
GEOMETRY = Geometry.from_preset("4x8x3")


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_independent_drivers(simulator: str, build_dir: Path, tmp_path: Path) -> None:
    build = build_machine(GEOMETRY, tools.find(simulator), build_dir)
    environment = {"SPINBNN_TEST_GEOMETRY": json.dumps(GEOMETRY.to_dict())}
    simulation = runner.simulate(build, "tests.cosim.witness", tmp_path, environment)
    assert [outcome.failure for outcome in simulation.outcomes] == [None], simulation.log.read_text()
