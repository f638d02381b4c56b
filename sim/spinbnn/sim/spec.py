"""What is asked of a run of the machine (`RunJob`), and what came of it (`RunResult`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.activation_memory import WITHOUT_ERRORS, ActivationPoint
from spinbnn.golden.chip import TYPICAL, Chip
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.network import Network
from spinbnn.golden.operating_point import OperatingPoint
from spinbnn.golden.point_map import PointRange

Progress = Callable[[str, int, int], None]
"""Called with (stage, done, total); the stages are "generate", "build", "program", "images" and "compare"."""


@dataclass(frozen=True)
class StallProfile:
    """Random idle and back-pressure on the machine's interfaces, each a probability a clock.

    Parameters
    ----------
    seed : int
        Seed of the stalls; they are drawn apart from everything else.
    image_idle, program_idle : float
        The image or program stream offers no beat.
    result_pause : float
        The result stream is not ready.
    axi_idle : float
        Each AXI4-Lite channel holds back its valid or ready.
    """

    seed: int = 1
    image_idle: float = 0.0
    program_idle: float = 0.0
    result_pause: float = 0.0
    axi_idle: float = 0.0


@dataclass(frozen=True)
class Pass:
    """What is done to the array after it was programmed, before images are run.

    Parameters
    ----------
    kind : {"age", "scrub", "program"}
        Age or scrub rows, or program the network's rows again (which scrubs them from a reference).
    point : OperatingPoint
        At which it is done; programming again takes the points of the first time.
    first_row, last_row : int
        Rows of all banks; programming again takes all that the network has.
    """

    kind: Literal["age", "scrub", "program"]
    point: OperatingPoint
    first_row: int = 0
    last_row: int = 0


@dataclass(frozen=True)
class RunJob:
    """Program a network into the machine, stream images through it and compare everything with golden.

    Parameters
    ----------
    network : Network
    images : ndarray of uint8, shape (n, inputs)
        Raw input elements.
    geometry : Geometry
    point : OperatingPoint
        With what the network is programmed.
    build_dir : Path, optional
        Where simulators are built and runs are kept; builds are shared by all jobs with the same hardware.
    labels : ndarray of uint8, shape (n,), optional
        True classes; without them there are no accuracies.
    seed : int
        Seed of the machine's random stream, as in ``numpy.random.SFC64(seed)``.
    read_bit_energy_aj : int
        Energy of reading one bit, in attojoules.
    simulator : {"verilator", "icarus"}
    loading : {"front-door", "backdoor"}
        Program the array through the AXI stream, or write golden's array into the simulator's memory.
    stalls : StallProfile, optional
    waves : Path, optional
        Where to write the waveform; its suffix becomes that of the format the simulator can write.
    ranges : tuple of PointRange
        Rows that are programmed at other points than `point`; with the points of the passes, at most four.
    chip : Chip
        Classes of the cells, and mismatch of the sense amplifiers.
    passes : tuple of Pass
        Done in this order before the images.
    activation_point : ActivationPoint
        How activations are stored, where the memory has `activation_generators`.
    """

    network: Network
    images: NDArray[np.uint8]
    geometry: Geometry
    point: OperatingPoint
    build_dir: Path = Path("build")
    labels: NDArray[np.uint8] | None = None
    seed: int = 1
    read_bit_energy_aj: int = 0
    simulator: Literal["verilator", "icarus"] = "verilator"
    loading: Literal["front-door", "backdoor"] = "front-door"
    stalls: StallProfile | None = None
    waves: Path | None = None
    ranges: tuple[PointRange, ...] = ()
    chip: Chip = TYPICAL
    passes: tuple[Pass, ...] = ()
    activation_point: ActivationPoint = WITHOUT_ERRORS

    @property
    def points(self) -> list[OperatingPoint]:
        """Distinct operating points of the job, that of most rows first."""
        used = [self.point, *(each.point for each in self.ranges)]
        used += [each.point for each in self.passes if each.kind != "program"]
        return list(dict.fromkeys(used))


@dataclass(frozen=True)
class RunResult:
    """What a `RunJob` gave; everything is measured on the RTL unless its name says otherwise.

    Attributes
    ----------
    match : bool
        Whether everything compared was equal.
    first_difference : str or None
        One line naming layer, neuron, bank, row and clock as far as they apply.
    compared : dict of str to int
        How many of each kind of thing were compared.
    accuracy_ideal, accuracy_golden, accuracy_rtl : float or None
        Golden without write errors, golden with them, the RTL.
    counters : dict of str to list of int
        Every counter of every bank (or lane); energies in attojoules.
    bits_programmed, bits_wrong : list of int
        Bits that had to change and were pulsed (retries included), and bits that reading gives other than
        intended, by bank.
    run_clocks_predicted : int or None
        None if the simulation broke off before.
    part_images : int
        Images of the first simulation: all, but for a run in parts.
    steady_clocks_per_image : float or None
        From the end of the first batch to that of the last full one; None with fewer than two full batches.
    loop_clocks_per_image : float
        The sum of the loops, shared by the lanes.
    utilisation : float
        Binary multiply-accumulates of the network (bit-planes counted) a clock, as a fraction of the array's.
    simulated_clocks, simulation_seconds
        Of this job alone, all of it: tables, programming, images and comparing.
    run_seconds : float
        What simulating `run_clocks` took of the processor, from the run's start to its interrupt.
    notes : list of str
        What else one should know, a line each.
    """

    match: bool
    first_difference: str | None
    compared: dict[str, int]
    images: int
    accuracy_ideal: float | None
    accuracy_golden: float | None
    accuracy_rtl: float | None
    counters: dict[str, list[int]]
    bits_programmed: list[int]
    bits_wrong: list[int]
    run_clocks: int
    run_clocks_predicted: int | None
    program_clocks: int
    program_clocks_predicted: int
    steady_clocks_per_image: float | None
    loop_clocks_per_image: float
    utilisation: float
    beat_clocks: int
    simulated_clocks: int
    simulation_seconds: float
    build_seconds: float
    simulator: str
    junit: str
    waves: str | None = None
    notes: list[str] = field(default_factory=list)
    run_seconds: float = 0.0
    part_images: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain JSON types."""
        return dataclasses.asdict(self)
