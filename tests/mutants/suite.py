"""The kill suite: from the regression, the jobs that are quick and that differ from each other most.

``python -m tests.mutants.suite DIRECTORY SIMULATOR`` runs it on the hardware in DIRECTORY, and prints the first
difference as JSON, null if there is none.
"""

import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import spinbnn.hw
from spinbnn.sim import runner, tools
from spinbnn.sim.job import build_machine
from spinbnn.sim.testbench.case import DIRECTORY_VARIABLE, CaseDirectory
from tests.cosim.test_jobs import MACHINES, RECIPES, jobs


@dataclass(frozen=True)
class Stage:
    """What one process of the simulator does.

    Parameters
    ----------
    machine : str
        Of the regression.
    module : str
        Its cocotb tests.
    recipes : tuple of str
        Of the regression's jobs, in the order in which they run.
    """

    machine: str
    module: str
    recipes: tuple[str, ...]


JOBS = "tests.mutants.testbench"
STAGES = (
    Stage(
        "5x24",
        JOBS,
        ("certain failure", "one neuron", "one layer", "only 0 to 1 fails", "late results", "verify, redundant"),
    ),
    Stage("4x8x3", JOBS, ("one output", "late results", "one layer", "four layers")),
    Stage("3x100", JOBS, ("certain failure", "unequal, redundant")),
)


def first_difference(directory: Path, simulator: str) -> str | None:
    """Return where the hardware in a directory first differs from golden; None if it does nowhere.

    Parameters
    ----------
    directory : Path
        Holds ``spinbnn/hw``, which must be what Python imports; builds and runs go there too.
    simulator : str
    """
    found = Path(spinbnn.hw.__file__)
    assert found.is_relative_to(directory), f"the hardware under test is {found}, not in {directory}"
    differences = (stage_difference(stage, directory, simulator) for stage in STAGES)
    return next((difference for difference in differences if difference is not None), None)


def stage_difference(stage: Stage, directory: Path, simulator: str) -> str | None:
    """Return the first difference that one stage finds, or None."""
    build = build_machine(MACHINES[stage.machine], tools.find(simulator), directory)
    run = Path(tempfile.mkdtemp(prefix="run-", dir=directory))
    by_name = dict(zip(RECIPES, jobs(stage.machine, simulator, directory), strict=True))
    for index, name in enumerate(stage.recipes):
        CaseDirectory(run / f"case{index}").write_job(by_name[name])
    simulation = runner.simulate(build, stage.module, run, {DIRECTORY_VARIABLE: str(run)})
    for outcome, name in zip(simulation.outcomes, stage.recipes, strict=True):
        if outcome.failure is not None:
            return f"{stage.machine}, {name}: {outcome.failure.splitlines()[0]}"
    return None


if __name__ == "__main__":
    print(json.dumps(first_difference(Path(sys.argv[1]), sys.argv[2])))
