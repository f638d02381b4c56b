"""What the driver does, as records: the same accesses in the same order as in cocotb's testbench."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

import numpy as np

from spinbnn.hw.registers import REGISTERS
from spinbnn.sim.model import Step
from spinbnn.sim.spec import RunJob, StallProfile
from spinbnn.sim.stalls import pause_lengths
from spinbnn.sim.testbench import accesses
from spinbnn.sim.testbench.accesses import Write
from spinbnn.sim.testbench.files import write_beats, write_cells, write_pauses
from spinbnn.sim.testbench.judge import CLOCK_COUNTS, Judge
from spinbnn.sim.testbench.wrapper import IMAGE, RESULT, beat_file

SCRIPT = "script"
_RESET_CLOCKS = 2
_SHORT_WAIT = 20_000
"""Clocks after which an access, or something that takes a few clocks, is given up."""


class Operation(IntEnum):
    """What a record asks for; driver.cpp says what its words mean."""

    RESET = 0
    WRITE = 1
    READ = 2
    LIMIT = 3
    WAIT = 4
    STAGE = 5
    PLAY = 6
    RECORD = 7
    FEED = 8
    RUN = 9
    STOP = 10
    LOAD = 11
    DUMP = 12
    FLUSH = 13


class Stage(IntEnum):
    """The stages whose progress the driver reports."""

    PROGRAM = 0
    IMAGES = 1


@dataclass
class Script:
    """Records for the driver.

    Attributes
    ----------
    records : list of tuple of int
        Operation and up to three words.
    waits : dict of int to str
        By the number of a record that waits for something long, what that is.
    places : dict of str to int
        By its name, the number of the record behind a part.
    """

    records: list[tuple[int, int, int, int]] = field(default_factory=list)
    waits: dict[int, tuple[str, int]] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)

    def add(self, operation: Operation, a: int = 0, b: int = 0, c: int = 0) -> None:
        """Append a record."""
        self.records.append((operation, a, b, c))

    def write(self, writes: Iterable[Write]) -> None:
        """Append writes of registers."""
        for address, word in writes:
            self.add(Operation.WRITE, address, word)

    def read(self, *names: str) -> None:
        """Append reads of registers; their words become answers."""
        for name in names:
            self.add(Operation.READ, REGISTERS[name].offset)

    def within(
        self, clocks: int, what: str, operation: Operation, a: int = 0, b: int = 0, c: int = 0
    ) -> None:
        """Append something that must be done in so many clocks."""
        self.add(Operation.LIMIT, clocks & 0xFFFFFFFF, clocks >> 32)
        self.waits[len(self.records)] = what, clocks
        self.add(operation, a, b, c)

    def wait(self, flag: str, value: int, clocks: int = _SHORT_WAIT, what: str | None = None) -> None:
        """Append a wait for a flag of STATUS."""
        status = REGISTERS.STATUS
        place = status[flag].place
        what = what or f"waiting for STATUS.{flag} {value}"
        self.within(clocks, what, Operation.WAIT, status.offset, place(1), place(value))

    def mark(self, name: str) -> None:
        """Name the place that the script has come to."""
        self.places[name] = len(self.records)

    def save(self, directory: Path) -> None:
        """Write the records where the driver reads them."""
        np.array(self.records, dtype="<u4").tofile(directory / SCRIPT)


def job_script(job: RunJob, judge: Judge, directory: Path) -> Script:
    """Return the script of a job, and write the files that its streams and its array come from.

    Parameters
    ----------
    job : RunJob
    judge : Judge
        Of the job.
    directory : Path
        Where the driver will run.
    """
    script = Script()
    script.within(_SHORT_WAIT, "reset", Operation.RESET, _RESET_CLOCKS)
    script.add(Operation.RECORD)
    write_cells(directory, job.geometry, judge.expected.loaded)
    script.add(Operation.LOAD)
    script.write([accesses.write("CONTROL", clear_counters=1)])
    script.wait("programming", 0)
    _set_up(script, job, judge)
    for number, step in enumerate(judge.expected.steps):
        _do_step(script, job, judge, step, number, directory)
    script.add(Operation.DUMP, 0, job.geometry.banks)
    script.mark("programmed")
    _run_images(script, job, judge, directory)
    _read_counters(script, job)
    return script


def _set_up(script: Script, job: RunJob, judge: Judge) -> None:
    """Fill the tables, and what else must be known before the array is programmed."""
    memory = job.geometry.memory
    script.write([accesses.write("READ_ROW_ENERGY", judge.read_row_energy_aj)])
    script.write(accesses.network_writes(job.network, judge.placement))
    script.write(accesses.random_state_writes(judge.first_random_state))
    script.write(accesses.chip_writes(job.geometry, job.chip))
    for point in job.points:
        script.write(accesses.point_writes(memory, judge.index(point), point))
    if memory.activation_generators:
        script.write(accesses.activation_point_writes(job.activation_point))


def _do_step(script: Script, job: RunJob, judge: Judge, step: Step, number: int, directory: Path) -> None:
    """Program, age or scrub the array."""
    index, clocks = judge.index(step.point), judge.patience(step.clocks)
    script.add(Operation.STAGE, Stage.PROGRAM, step.rows, job.geometry.slices)
    if step.kind == "program":
        stalls = job.stalls or StallProfile()
        data, last = accesses.program_beats(step.packets, index)
        pauses = pause_lengths(stalls.program_idle, stalls.seed, "program", len(data))
        write_beats(directory / f"program_{number}.beats", data, last, pauses)
        script.within(clocks, step.name, Operation.PLAY, number, len(data))
    else:
        script.write(accesses.pass_writes(step.kind, step.first_row, step.last_row, index))
    script.wait("programming", 0, clocks, step.name)


def _run_images(script: Script, job: RunJob, judge: Judge, directory: Path) -> None:
    images, pauses = len(job.images), judge.pauses
    write_pauses(directory / beat_file(RESULT), pauses.results)
    before_images = pauses.images.copy()
    before_images[0] = 0  # the first beat waits at the machine before the run starts
    data, last = accesses.image_beats(job.images, job.geometry)
    write_beats(directory / beat_file(IMAGE), data, last, before_images)
    script.add(Operation.RECORD, len(pauses.results))
    script.add(Operation.FEED, len(data))
    script.write([accesses.write("IMAGES", images)])
    script.add(Operation.STAGE, Stage.IMAGES, images, job.network.outputs + 1)
    script.write([accesses.write("CONTROL", start=1)])
    script.mark("started")
    script.within(judge.patience(judge.expected.run.total), f"run of {images} images", Operation.RUN)
    script.wait("busy", 0)
    script.add(Operation.STOP)
    script.add(Operation.FLUSH)
    script.mark("ran")


def _read_counters(script: Script, job: RunJob) -> None:
    """Read counters, random state and clocks, and dump the array, in the order of `Answers`."""
    for _, _, select in accesses.counter_selections(job.geometry):
        script.write([select])
        script.wait("counter_ready", 1)
        script.read("COUNTER_LO", "COUNTER_HI")
    script.read(*(f"RNG_STATE_{index}" for index in range(8)))
    script.mark("counted")
    script.add(Operation.DUMP, 1, job.geometry.banks)
    for name in CLOCK_COUNTS:
        script.read(f"{name.upper()}_LO", f"{name.upper()}_HI")
