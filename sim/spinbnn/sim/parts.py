"""A long run in parts: each simulated by itself, several at a time, and none twice where a run is resumed."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import shutil
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from spinbnn.golden.placement import place
from spinbnn.sim import schedule, tools
from spinbnn.sim.job import build_machine, run_on
from spinbnn.sim.job_checks import check_job
from spinbnn.sim.report import write_whole
from spinbnn.sim.runner import Build
from spinbnn.sim.spec import Progress, RunJob, RunResult
from spinbnn.sim.testbench.case import CaseDirectory

PART_CLOCKS = 5_000_000
"""Clocks of images that a part has, at least: some ten seconds, of which its start takes one or two."""

_POLL_SECONDS = 0.2


class _StoppedError(Exception):
    """The run is being given up."""


@dataclass(frozen=True)
class Part:
    """Some of a run's images.

    Parameters
    ----------
    first : int
        Number of its first image.
    job : RunJob
    """

    first: int
    job: RunJob


def parts_of(job: RunJob, part_clocks: int = PART_CLOCKS) -> list[Part]:
    """Return a job in parts of whole batches; the array is programmed in the first, and put into the others.

    Stored errors depend on what was drawn before, so runs are one part where images or passes draw too; so
    are those whose waveform is recorded.

    Parameters
    ----------
    job : RunJob
        Of a network that fits.
    part_clocks : int
        As `PART_CLOCKS`.
    """
    lanes = job.geometry.lanes
    loops = schedule.loop_clocks(place(job.network, job.geometry))
    images = max(1, part_clocks // loops) * lanes
    whole = job.passes or job.geometry.memory.activation_generators or job.waves is not None
    if whole or images >= len(job.images):
        return [Part(0, job)]
    # Parts of about the same size: none is a small rest.
    count = -(-len(job.images) // images)
    batches = -(-len(job.images) // lanes)
    bounds = [number * batches // count * lanes for number in range(count)] + [len(job.images)]
    return [
        Part(
            first,
            replace(
                job,
                images=job.images[first:end],
                labels=None if job.labels is None else job.labels[first:end],
                loading="backdoor" if first else job.loading,
            ),
        )
        for first, end in pairwise(bounds)
    ]


def run_in_parts(
    job: RunJob,
    *,
    processes: int = 1,
    resume: bool = True,
    progress: Progress | None = None,
    part_clocks: int = PART_CLOCKS,
) -> RunResult:
    """Run a job in parts; what an interrupted run finished is kept in the build directory.

    Parameters
    ----------
    job : RunJob
    processes : int
        Simulators at a time, at least 1.
    resume : bool
        Whether to take what the same run, interrupted, left there.
    progress : callable, optional
    part_clocks : int
        As `PART_CLOCKS`.

    Raises
    ------
    SpinbnnError
        If the job is impossible, or the simulator is missing or fails.
    """
    check_job(job)
    parts = parts_of(job, part_clocks)
    report = progress or (lambda stage, done, total: None)
    tool = tools.find(job.simulator)
    build = build_machine(job.geometry, tool, job.build_dir, waves=job.waves is not None, progress=report)
    if len(parts) == 1:
        return run_on(build, [job], progress=report)[0]
    store = _Store(build, job.build_dir.resolve() / "parts", parts)
    if not resume:
        store.remove()
    kept = store.read()
    watch = _Watch(parts, kept, report)
    with ThreadPoolExecutor(processes) as pool:
        futures: dict[Future[list[RunResult]], int] = {}
        try:
            for number, part in enumerate(parts):
                if number not in kept:
                    hears = watch.hears(number)
                    futures[pool.submit(run_on, build, [part.job], progress=hears)] = number
            left = set(futures)
            while left:
                done, left = wait(left, _POLL_SECONDS, FIRST_COMPLETED)
                watch.tell()
                for future in done:
                    store.keep(futures[future], future.result()[0])
        except BaseException:
            watch.stop.set()
            pool.shutdown(cancel_futures=True)
            for future, number in futures.items():  # others may have ended at the same time
                if not future.cancelled() and future.exception() is None:
                    store.keep(number, future.result()[0])
            raise
    results = kept | {number: future.result()[0] for future, number in futures.items()}
    result = merge(parts, [results[number] for number in range(len(parts))], store.junit)
    notes = [f"in {len(parts)} simulations, {processes} at a time"]
    if kept:
        notes.append(f"{len(kept)} of them were there from an interrupted run")
    store.remove()
    return replace(result, build_seconds=build.seconds, notes=[*notes, *result.notes])


class _Watch:
    """How far all parts are together; their threads write, the main one tells."""

    def __init__(self, parts: Sequence[Part], kept: dict[int, RunResult], report: Progress) -> None:
        self._report = report
        self._images = [0] * len(parts)
        for number in kept:
            self._images[number] = len(parts[number].job.images)
        self._total = sum(len(part.job.images) for part in parts)
        self.stop = threading.Event()

    def hears(self, number: int) -> Progress:
        """Return what a part calls."""

        def progress(stage: str, done: int, total: int) -> None:
            if self.stop.is_set():
                raise _StoppedError
            if stage == "images":
                self._images[number] = done

        return progress

    def tell(self) -> None:
        """Tell how many images are done."""
        self._report("images", sum(self._images), self._total)


class _Store:
    """The finished parts of one run: a folder named after all that the run is made from."""

    def __init__(self, build: Build, directory: Path, parts: Sequence[Part]) -> None:
        self._directory = directory / _digest(build, parts)
        self.junit = directory.parent / "junit.xml"

    def keep(self, number: int, result: RunResult) -> None:
        """Keep a part that matched; what did not must be seen again."""
        if result.match:
            self._directory.mkdir(parents=True, exist_ok=True)
            write_whole(self._directory / f"{number}.json", json.dumps(result.to_dict()))

    def read(self) -> dict[int, RunResult]:
        """Return the parts that are there, by number."""
        files = self._directory.glob("*.json") if self._directory.is_dir() else ()
        return {int(file.stem): RunResult(**json.loads(file.read_text())) for file in files}

    def remove(self) -> None:
        """Forget what is there."""
        shutil.rmtree(self._directory, ignore_errors=True)


def _digest(build: Build, parts: Sequence[Part]) -> str:
    """Return a name for all that a run in parts is made from."""
    key = hashlib.sha256(f"{importlib.metadata.version('spinbnn')} {build.directory.name}".encode())
    with tempfile.TemporaryDirectory() as scratch:
        for number, part in enumerate(parts):
            case = CaseDirectory(Path(scratch) / str(number))
            case.write_job(part.job)
            for file in sorted(case.path.iterdir()):
                key.update(file.read_bytes())
    return key.hexdigest()[:20]


def merge(parts: Sequence[Part], results: Sequence[RunResult], junit: Path) -> RunResult:
    """Return the result of a run from those of its parts, and write their JUnit files into one.

    Parameters
    ----------
    parts : sequence of Part
    results : sequence of RunResult
        Of each.
    junit : Path
        Where the JUnit file goes.
    """
    images = [len(part.job.images) for part in parts]
    clocks = np.array([result.run_clocks for result in results])
    utilisation = np.array([result.utilisation for result in results])
    largest = results[images.index(max(images))]
    differing = [(part, result) for part, result in zip(parts, results, strict=True) if not result.match]
    first_difference, waves = None, None
    if differing:
        part, result = differing[0]
        last = part.first + len(part.job.images) - 1
        first_difference = f"in images {part.first} to {last}, counted from 0: {result.first_difference}"
        waves = result.waves
    _merge_junit([Path(result.junit) for result in results], junit)
    predicted = [result.run_clocks_predicted for result in results]
    return replace(
        results[0],
        match=not differing,
        first_difference=first_difference,
        compared={
            kind: sum(result.compared.get(kind, 0) for result in results) for kind in results[0].compared
        },
        images=sum(images),
        accuracy_ideal=_mean([result.accuracy_ideal for result in results], images),
        accuracy_golden=_mean([result.accuracy_golden for result in results], images),
        accuracy_rtl=_mean([result.accuracy_rtl for result in results], images),
        counters={
            name: [sum(each) for each in zip(*(result.counters[name] for result in results), strict=True)]
            for name in results[0].counters
        },
        bits_programmed=np.sum([result.bits_programmed for result in results], axis=0).tolist(),
        run_clocks=int(clocks.sum()),
        run_clocks_predicted=None if None in predicted else sum(each or 0 for each in predicted),
        steady_clocks_per_image=largest.steady_clocks_per_image,
        program_clocks=sum(result.program_clocks for result in results),
        program_clocks_predicted=sum(result.program_clocks_predicted for result in results),
        utilisation=float((utilisation * clocks).sum() / max(1, clocks.sum())),
        beat_clocks=sum(result.beat_clocks for result in results),
        simulated_clocks=sum(result.simulated_clocks for result in results),
        run_seconds=sum(result.run_seconds for result in results),
        simulation_seconds=sum(result.simulation_seconds for result in results),
        junit=str(junit),
        waves=waves,
        notes=list(dict.fromkeys(note for result in results for note in result.notes)),
    )


def _mean(accuracies: Sequence[float | None], images: Sequence[int]) -> float | None:
    """Return the accuracy of all images from those of parts, exactly as it is counted in one."""
    right = 0
    for accuracy, count in zip(accuracies, images, strict=True):
        if accuracy is None:
            return None
        right += round(accuracy * count)
    return right / sum(images)


def _merge_junit(files: Sequence[Path], merged: Path) -> None:
    root = ElementTree.Element("testsuites")
    for number, file in enumerate(files):
        for suite in ElementTree.parse(file).getroot().iter("testsuite"):
            suite.set("name", f"part {number}, {suite.get('name')}")
            root.append(suite)
    merged.parent.mkdir(parents=True, exist_ok=True)
    write_whole(merged, ElementTree.tostring(root, encoding="unicode", xml_declaration=True))
