"""The kill suite: what is quick in the regression and finds most, in stages.

A stage is a machine with its jobs, the scenarios, or the tests of single blocks.
``python -m tests.mutants.suite DIRECTORY SIMULATOR STAGE`` runs all stages on the hardware in DIRECTORY, the
given one first, and prints the first difference as JSON, null if there is none.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import spinbnn.hw
from spinbnn.golden.geometry import Geometry
from spinbnn.sim import runner, tools
from spinbnn.sim.job import RunJob, build_machine
from spinbnn.sim.testbench.case import DIRECTORY_VARIABLE, CaseDirectory
from tests.cosim.test_jobs import RECIPES, job
from tests.cosim.test_memory import SMALLEST, random_job
from tests.cosim.test_networks import job_of_feature
from tests.cosim.test_scenarios import GEOMETRY

MOST_CLOCKS = 40_000
"""More than twice what any job or scenario takes."""

JOBS = {
    "5x24": (
        "certain failure",
        "one neuron",
        "one layer",
        "only 0 to 1 fails",
        "late results",
        "unequal, redundant",
    ),
    "4x8x3": ("one output", "late results", "one layer", "four layers"),
    "3x100": ("certain failure",),
}
SCENARIOS = (
    "identification",
    "stored_registers",
    "bus_errors",
    "packet_cut_short",
    "rows_outside_the_array_are_dropped",
    "packets_of_all_shapes",
    "single_rows",
    "irq_and_done",
    "start_withdraws_done",
    "start_of_no_images_does_nothing",
    "start_waits_for_programming",
    "program_stream_waits_for_a_run",
    "misplaced_tlast_of_images",
    "clear_counters",
    "reset_while_loading",
)

BLOCKS = ("tests/hw/test_register_block.py", "tests/hw/test_results.py", "tests/hw/test_unfolder.py")
MEMORY_SEEDS = (1, 8, 4, 5)
MEMORY_SIZES = (9, 7, 5, 3)
FEATURES = {
    "binary": (
        "two convolutions",
        "stride of a later layer",
        "padding with 0",
        "padding with 1",
        "padding of pixels, asymmetric",
        "planes paired, 3 bits",
        "planes paired, 8 bits",
        "3 planes of weights",
        "3, any integers, planes of weights",
        "pooling by or, apart",
        "pooling by max, overlapping",
        "pooling by sum, gaps",
        "pooling of a strided, padded map",
        "a layer that leaves out the end of its source by stride",
    ),
    "integer": (
        "activations of 2 bits, -2 to 1",
        "planes of weights and of activations",
        "activations from 0 pooled by or, apart",
        "ReLU before sums",
        "residual of several layers",
    ),
}
STAGES = (*JOBS, *FEATURES, "memory", "scenarios", "blocks")


def first_difference(directory: Path, simulator: str, first: str) -> str | None:
    """Return where the hardware in a directory first differs from golden; None if it does nowhere.

    Parameters
    ----------
    directory : Path
        Holds ``spinbnn/hw``, which must be what Python imports; builds and runs go there too.
    simulator : str
    first : str
        The one of `STAGES` that comes before the others.
    """
    found = Path(spinbnn.hw.__file__)
    assert found.is_relative_to(directory), f"the hardware under test is {found}, not in {directory}"
    for stage in sorted(STAGES, key=lambda stage: stage != first):
        difference = _stage_difference(stage, directory, simulator)
        if difference is not None:
            return difference
    return None


def _stage_difference(stage: str, directory: Path, simulator: str) -> str | None:
    if stage == "scenarios":
        return run_scenarios(directory, simulator)
    if stage == "blocks":
        return run_blocks()
    return run_jobs(stage, directory, simulator)


def run_jobs(machine: str, directory: Path, simulator: str) -> str | None:
    """Run the jobs of a machine; return the first difference."""
    run = Path(tempfile.mkdtemp(dir=directory))
    names = {}
    jobs = _jobs(machine, directory, simulator)
    for index, (name, each) in enumerate(jobs.items()):
        case = f"case{index:03}"
        names[f"job/case={case}"] = name
        CaseDirectory(run / case).write_job(each)
    variables = {DIRECTORY_VARIABLE: str(run)}
    geometry = next(iter(jobs.values())).geometry
    failure = _run(geometry, "spinbnn.sim.testbench.jobs", run, variables, simulator)
    return failure and f"{machine}, {names[failure[0]]}: {failure[1]}"


def _jobs(machine: str, directory: Path, simulator: str) -> dict[str, RunJob]:
    """Return the jobs of a machine by name; "memory" is the smallest one with all memory options."""
    if machine in FEATURES:
        return {name: job_of_feature(machine, name, simulator, directory) for name in FEATURES[machine]}
    if machine == "memory":
        return {
            f"seed {seed}": random_job(SMALLEST, seed, simulator, directory, MEMORY_SIZES)
            for seed in MEMORY_SEEDS
        }
    return {name: job(machine, RECIPES[name], simulator, directory) for name in JOBS[machine]}


def run_scenarios(directory: Path, simulator: str) -> str | None:
    """Run the scenarios; return the first difference."""
    run = Path(tempfile.mkdtemp(dir=directory))
    variables = {
        "SPINBNN_TEST_GEOMETRY": json.dumps(GEOMETRY.to_dict()),
        "COCOTB_TEST_FILTER": "|".join(rf"\b{re.escape(name)}\b" for name in SCENARIOS),
    }
    failure = _run(GEOMETRY, "tests.cosim.scenarios tests.mutants.scenarios", run, variables, simulator)
    return failure and f"scenario {failure[0]}: {failure[1]}"


def run_blocks() -> str | None:
    """Run the tests of single blocks; return the one that fails."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *BLOCKS]
    process = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if process.returncode == 0:
        return None
    assert process.returncode == 1, process.stdout
    failed = next(line for line in process.stdout.splitlines() if line.startswith(("FAILED", "ERROR")))
    return failed.split(" - ")[0]


def _run(
    geometry: Geometry, modules: str, run: Path, variables: dict[str, str], simulator: str
) -> tuple[str, str] | None:
    """Run the cocotb tests of modules up to the first that fails; return its name and why it fails."""
    build = build_machine(geometry, tools.find(simulator), run.parent)
    variables |= {"SPINBNN_BOUNDED_TESTS": f"{MOST_CLOCKS} {modules}", "COCOTB_MAX_FAILURES": "1"}
    for outcome in runner.simulate(build, "tests.mutants.bounded", run, variables).outcomes:
        if outcome.failure is not None and not outcome.failure.startswith("Regression stopped"):
            hangs = "SimTimeoutError" in outcome.failure
            why = f"not finished after {MOST_CLOCKS} clocks" if hangs else _gist(outcome.failure)
            return outcome.name, why
    return None


def _gist(failure: str) -> str:
    """Return the line of a failure that says most: its message, or the assertion that has none."""
    lines = [line.strip() for line in failure.splitlines() if line.strip()]
    assertions = [line for line in lines if line.startswith("assert ")]
    return assertions[-1] if lines[0].startswith("Traceback") and assertions else lines[0]


if __name__ == "__main__":
    print(json.dumps(first_difference(Path(sys.argv[1]), *sys.argv[2:])))
