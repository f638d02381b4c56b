"""Sees that a job is possible before anything is built or simulated."""

from __future__ import annotations

from spinbnn.golden.activation_memory import WITHOUT_ERRORS
from spinbnn.golden.chip import TYPICAL
from spinbnn.golden.errors import DataError, OperatingPointError
from spinbnn.golden.mram import check_rows
from spinbnn.golden.network import check_images
from spinbnn.golden.placement import place
from spinbnn.golden.point_map import TABLE_POINTS
from spinbnn.sim.spec import RunJob


def check_job(job: RunJob) -> None:
    """See that a job asks only what its machine can do.

    Raises
    ------
    SpinbnnError
        If it does not.
    """
    if not len(job.images):
        raise DataError("a run must have at least one image, not none")
    if job.labels is not None and len(job.labels) != len(job.images):
        raise DataError(f"labels must be as many as images, {len(job.images)}, not {len(job.labels)}")
    check_images(job.network, job.images)
    place(job.network, job.geometry)
    _check_memory(job)


def _check_memory(job: RunJob) -> None:
    """See that the job asks of the memory only what it has."""
    memory = job.geometry.memory
    if len(job.points) > TABLE_POINTS:
        raise OperatingPointError(
            f"a run must have at most {TABLE_POINTS} operating points, not {len(job.points)}"
        )
    for point in job.points:
        point.check_fits(memory)
    for each in job.passes:
        option = {"age": "ageing", "scrub": "scrub"}.get(each.kind)
        if option is not None and not getattr(memory, option):
            raise OperatingPointError(
                f"to {each.kind} rows, the memory must be built with the option {option}"
            )
        check_rows(job.geometry, each.kind, each.first_row, each.last_row)
    if job.chip != TYPICAL and not (memory.variability or memory.differential):
        raise OperatingPointError(
            "a chip matters only to a memory built with the option variability or differential: leave it out"
        )
    if job.activation_point != WITHOUT_ERRORS and not memory.activation_generators:
        raise OperatingPointError(
            "an activation point must go with a memory that has activation_generators, not with this one"
        )
