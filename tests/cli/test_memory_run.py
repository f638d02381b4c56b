"""``spinbnn run`` with the memory's mechanisms: which job the options make, and what reports say of it."""

import json
from pathlib import Path

import pytest

from spinbnn.golden.activation_memory import WITHOUT_ERRORS
from spinbnn.golden.chip import TYPICAL, Chip
from spinbnn.golden.device.technology import load_technology
from spinbnn.golden.memory_options import PLAIN, MemoryOptions
from spinbnn.golden.operating_point import operating_point
from spinbnn.sim.job import RunJob
from spinbnn.sim.spec import Pass

from .conftest import Invoke

SMALL = ("run", "small.npz", "--data", "digits", "-n", "8", "--geometry", "5x24")
LAST_ROW = 255


def job_of(invoke: Invoke, jobs: list[RunJob], *options: str) -> RunJob:
    result = invoke(*SMALL, *options)
    assert result.exit_code == 0, result.output
    return jobs[-1]


def test_nothing_asked_is_nothing_built(invoke: Invoke, jobs: list[RunJob]) -> None:
    job = job_of(invoke, jobs)
    assert job.geometry.memory == PLAIN
    assert (job.ranges, job.passes, job.chip, job.activation_point) == ((), (), TYPICAL, WITHOUT_ERRORS)


def test_options_are_built_by_name(invoke: Invoke, jobs: list[RunJob]) -> None:
    job = job_of(invoke, jobs, "--memory", "secded", "--memory", "read_groups=4")
    assert job.geometry.memory == MemoryOptions(secded=True, read_groups=4)
    assert job.chip == TYPICAL


def test_layers_have_their_own_rates(invoke: Invoke, jobs: list[RunJob]) -> None:
    job = job_of(invoke, jobs, "--layer", "1=0.01", "--max-retries", "2")
    assert [each.point for each in job.ranges] == [operating_point(0.01, max_retries=2)]
    assert (job.ranges[0].first_row, job.ranges[0].last_row) == (6, 7)
    assert job.point == operating_point(1e-3, max_retries=2)


def test_ageing_and_scrubbing_are_built_and_done_in_this_order(invoke: Invoke, jobs: list[RunJob]) -> None:
    job = job_of(invoke, jobs, "--scrub", "--age", "0.001", "--memory", "secded")
    assert job.geometry.memory == MemoryOptions(secded=True, ageing=True, scrub=True)
    assert job.passes == (
        Pass("age", operating_point(0.001), 0, LAST_ROW),
        Pass("scrub", job.point, 0, LAST_ROW),
    )


def test_stuck_cells_are_a_class(invoke: Invoke, jobs: list[RunJob]) -> None:
    job = job_of(invoke, jobs, "--stuck-fraction", "0.001", "--chip-seed", "9")
    assert job.geometry.memory == MemoryOptions(variability=True)
    assert job.chip == Chip(9, (0, 0, 66), (False, False, False, True))


def test_activations_in_mram(invoke: Invoke, jobs: list[RunJob]) -> None:
    job = job_of(invoke, jobs, "--activation-error-rate", "0.25")
    assert job.geometry.memory == MemoryOptions(activation_generators=4)
    assert (job.activation_point.p_01, job.activation_point.p_10) == (2**30, 2**30)
    assert job.activation_point.word_energy_aj > 0


def test_a_technology_gives_classes_layers_and_retention(invoke: Invoke, jobs: list[RunJob]) -> None:
    options = ("--technology", "tzoufras2019", "--voltage", "0.61", "--layer", "0=0.7")
    plain = job_of(invoke, jobs, *options, "--years", "1")
    assert plain.ranges[0].point.p_fail_01 < plain.point.p_fail_01
    (aged,) = plain.passes
    assert aged.kind == "age"
    assert 0.1 < aged.point.p_fail_01 / 2**32 < 0.5  # at the paper's thermal stability of 40, a year is long
    job = job_of(invoke, jobs, *options, "--memory", "variability", "--memory", "self_terminated")
    assert job.point.class_p_fail_01 is not None
    assert job.point.p_fail_01 < job.point.class_p_fail_01[0] < job.point.class_p_fail_01[2]
    assert job.point.energy_01_failed_aj is not None
    assert job.chip.class_shares[0] > 0
    assert load_technology("tzoufras2019").name == "tzoufras2019"


@pytest.mark.usefixtures("jobs")
def test_reports_say_what_was_done(invoke: Invoke) -> None:
    text = invoke(*SMALL, "--layer", "1=0.01", "--age", "0.001", "--scrub", "--blind").stdout
    for line in (
        "write error rate 0.001 both ways, blind",
        "rows 6 to 7: write error rate 0.01 both ways",
        "then age: rows 0 to 255, each bit flips with 0.001 both ways",
        "then scrub: rows 0 to 255",
        "ageing, scrub",
    ):
        assert line in " ".join(text.split()), line
        assert line in Path("build/run/report.html").read_text("utf-8") or "ageing" in line
    document = json.loads(Path("build/run/report.json").read_text("utf-8"))
    assert [each["kind"] for each in document["passes"]] == ["age", "scrub"]
    assert document["geometry"]["memory"]["scrub"] is True


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (("--memory", "ecc"), "memory option must be one of variability, "),
        (("--memory", "secded=1"), "secded must be true or false, not 1"),
        (("--age", "2"), "--age must be a probability from 0 to 1, not 2.0"),
        (("--stuck-fraction", "-1"), "--stuck-fraction must be a probability from 0 to 1, not -1.0"),
        (
            ("--activation-error-rate", "1.5"),
            "--activation-error-rate must be a probability from 0 to 1, not 1.5",
        ),
        (("--years", "-1"), "--years must be 0 or more, not -1"),
        (("--years", "1", "--age", "0.1"), "--age and --years must not be given together"),
        (("--years", "1"), "--years needs a technology, whose retention it is: give --technology too"),
        (("--layer", "1"), "--layer must be LAYER=NUMBER, like 1=0.01, not '1'"),
        (("--layer", "2=0.1"), "a layer with its own operating point must be 0 to 1, not 2"),
        (("--layer", "1=3"), "write_error_rate must be a probability from 0 to 1, not 3.0"),
    ],
)
def test_impossible_requests(
    options: tuple[str, ...], error: str, invoke: Invoke, jobs: list[RunJob]
) -> None:
    result = invoke(*SMALL, *options)
    assert result.exit_code == 2
    assert error in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert jobs == []
    assert not Path("build").exists()
