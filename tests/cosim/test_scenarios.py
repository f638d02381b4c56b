"""Runs the cocotb tests of `scenarios.py` on both simulators, in one process of each."""

import json
from pathlib import Path

import pytest

from spinbnn.golden.geometry import Geometry
from spinbnn.sim import runner, tools
from spinbnn.sim.job import build_machine

SIMULATORS = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("verilator", "icarus")]

# Rows of two slices, the second of 8 bits; two lanes; banks and bits that do not divide each other.
GEOMETRY = Geometry(5, 72, rows=32, lanes=2, activation_words=4)


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_scenarios(simulator: str, build_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    build = build_machine(GEOMETRY, tools.find(simulator), build_dir)
    environment = {"SPINBNN_TEST_GEOMETRY": json.dumps(GEOMETRY.to_dict())}
    simulation = runner.simulate(build, "scenarios", tmp_path, environment)
    failures = {outcome.name: outcome.failure for outcome in simulation.outcomes if outcome.failure}
    assert failures == {}, simulation.log.read_text()
    assert len(simulation.outcomes) > 30
