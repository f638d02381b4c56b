"""The memory's mechanisms, RTL against golden: each alone, and random combinations of them.

A machine with each option alone, and machines with options drawn at random; what is programmed, aged and
scrubbed is drawn too. Everything has the seed of its number.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spinbnn.golden.activation_memory import WITHOUT_ERRORS, ActivationPoint
from spinbnn.golden.chip import TYPICAL, Chip
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.memory_options import MemoryOptions
from spinbnn.golden.network import random_network
from spinbnn.golden.operating_point import OperatingPoint, operating_point
from spinbnn.golden.placement import place
from spinbnn.golden.point_map import layer_range
from spinbnn.sim.job import RunJob, StallProfile, run_jobs
from spinbnn.sim.spec import Pass

ALONE: dict[str, MemoryOptions] = {
    "none": MemoryOptions(),
    "variability": MemoryOptions(variability=True),
    "self_terminated": MemoryOptions(self_terminated=True),
    "secded": MemoryOptions(secded=True),
    "differential": MemoryOptions(differential=True),
    "ageing": MemoryOptions(ageing=True),
    "scrub": MemoryOptions(scrub=True),
    "read_groups": MemoryOptions(read_groups=4),
    "activation_generators": MemoryOptions(activation_generators=8),
}
GEOMETRIES = (
    Geometry(5, 24, rows=40, threshold_rows=16, input_words=24, activation_words=8),
    Geometry(4, 16, rows=64, lanes=2, threshold_rows=16, input_words=32, activation_words=8, stream_bits=16),
    Geometry(3, 60, rows=33, threshold_rows=16, input_words=16, activation_words=8, stream_bits=32),
    Geometry(2, 72, rows=64, threshold_rows=32, input_words=16, activation_words=8),
)
EVERYTHING = MemoryOptions(
    variability=True,
    self_terminated=True,
    secded=True,
    differential=True,
    ageing=True,
    scrub=True,
    read_groups=4,
    activation_generators=8,
)
SMALLEST = Geometry(
    *(3, 8),
    rows=32,
    lanes=2,
    threshold_rows=16,
    input_words=16,
    activation_words=8,
    stream_bits=8,
    memory=EVERYTHING,
)
COMBINATIONS = range(24)
SHORT_COMBINATIONS = (0, 1, 2, 10)  # the last: differential cells of several slices
SIZES = (30, 19, 11, 6)


def combination(number: int) -> Geometry:
    """Return the machine of a random combination: each option with probability 1/2, at least two."""
    rng = np.random.default_rng([number, 1])
    switches = [name for name in ALONE if name not in ("none", "read_groups", "activation_generators")]
    while True:
        memory = MemoryOptions(
            **{name: bool(rng.integers(2)) for name in switches},
            read_groups=int(rng.choice([0, 0, 2, 4, 8, 16])),
            activation_generators=int(rng.choice([0, 0, 0, 1, 2, 4, 8, 16, 32])),
        )
        if sum(bool(value) for value in memory.to_dict().values()) >= 2:
            return replace(GEOMETRIES[number % len(GEOMETRIES)], memory=memory)


def random_point(rng: np.random.Generator, memory: MemoryOptions) -> OperatingPoint:
    """Return an operating point that makes use of all that the memory has."""

    def fraction() -> int:
        return int(rng.choice([0, 2**22, 2**28, 2**30, 2**31, 2**32 - 1], p=[0.3, 0.2, 0.2, 0.15, 0.1, 0.05]))

    def fractions() -> tuple[int, int, int] | None:
        return (fraction(), fraction(), fraction()) if memory.variability else None

    def energy() -> int:
        return int(rng.integers(0, 2**32))

    return OperatingPoint(
        p_fail_01=fraction(),
        p_fail_10=fraction(),
        energy_01_aj=energy(),
        energy_10_aj=energy(),
        energy_redundant_aj=energy(),
        pulse_clocks=int(rng.integers(1, 5)),
        max_retries=int(rng.choice([0, 0, 1, 3, 15])),
        pulse_redundant=bool(rng.integers(2)),
        blind=bool(rng.integers(4) == 0),
        class_p_fail_01=fractions(),
        class_p_fail_10=fractions(),
        energy_01_failed_aj=energy() if memory.self_terminated else None,
        energy_10_failed_aj=energy() if memory.self_terminated else None,
    )


def random_job(
    geometry: Geometry, seed: int, simulator: Any, build_dir: Path, sizes: tuple[int, ...] = SIZES
) -> RunJob:
    """Return a job: program at two points, then passes over rows, then images, sometimes with stalls."""
    rng = np.random.default_rng([seed, 2])
    memory = geometry.memory
    points = [random_point(rng, memory) for _ in range(3)]
    network = random_network(sizes, input_bits=3, seed=seed)
    kinds = ["program", *["age"] * memory.ageing * 2, *["scrub"] * memory.scrub * 2]
    passes = []
    for _ in range(int(rng.integers(1, 4))):
        first = int(rng.integers(0, geometry.rows))
        last = min(first + int(rng.integers(0, 8)), geometry.rows - 1)
        passes.append(Pass(str(rng.choice(kinds)), points[2], first, last))  # type: ignore[arg-type]
    chip = Chip(
        seed=int(rng.integers(0, 2**64, dtype=np.uint64)),
        class_shares=(20000, 10000, 30000),
        stuck=(False, False, bool(rng.integers(2)), False),
    )
    activation_point = ActivationPoint(
        p_01=int(rng.choice([0, 2**28, 2**31])),
        p_10=int(rng.choice([0, 2**28, 2**31])),
        word_energy_aj=int(rng.integers(0, 2**32)),
        pulse_clocks=int(rng.choice([1, 2, 7, 40])),
        seed=int(rng.integers(0, 2**64, dtype=np.uint64)),
    )
    return RunJob(
        network=network,
        images=rng.integers(0, 8, (5, sizes[0]), dtype=np.uint8),
        geometry=geometry,
        point=points[0],
        build_dir=build_dir,
        seed=seed,
        read_bit_energy_aj=int(rng.integers(1, 2**24)),
        simulator=simulator,
        stalls=StallProfile(seed, 0.3, 0.3, 0.3, 0.2) if rng.integers(4) == 0 else None,
        ranges=(layer_range(place(network, geometry), 1, points[1]),),
        chip=chip if memory.variability or memory.differential else TYPICAL,
        passes=tuple(passes),
        activation_point=activation_point if memory.activation_generators else WITHOUT_ERRORS,
    )


def check(geometry: Geometry, seeds: range, simulator: str, build_dir: Path) -> None:
    """Run random jobs on a machine; all must match."""
    jobs = [random_job(geometry, seed, simulator, build_dir) for seed in seeds]
    results = run_jobs(jobs)
    assert [result.first_difference for result in results] == [None] * len(jobs)
    assert all(result.match for result in results)


@pytest.mark.parametrize("option", ALONE)
@pytest.mark.parametrize(
    "simulator",
    [
        pytest.param("verilator", marks=pytest.mark.verilator),
        # Combinations of options run on Icarus without this, too.
        pytest.param("icarus", marks=[pytest.mark.icarus, pytest.mark.long]),
    ],
)
def test_each_option_alone(option: str, simulator: str, build_dir: Path) -> None:
    number = list(ALONE).index(option)
    geometry = replace(GEOMETRIES[number % len(GEOMETRIES)], memory=ALONE[option])
    jobs = 6 if simulator == "verilator" else 3
    check(geometry, range(100 * number, 100 * number + jobs), simulator, build_dir)


@pytest.mark.verilator
@pytest.mark.parametrize("number", SHORT_COMBINATIONS)
def test_combinations_on_verilator(number: int, build_dir: Path) -> None:
    check(combination(number), range(1000 + 10 * number, 1006 + 10 * number), "verilator", build_dir)


@pytest.mark.icarus
@pytest.mark.parametrize("number", SHORT_COMBINATIONS)
def test_combinations_on_icarus(number: int, build_dir: Path) -> None:
    check(combination(number), range(1000 + 10 * number, 1002 + 10 * number), "icarus", build_dir)


@pytest.mark.long
@pytest.mark.parametrize("number", [number for number in COMBINATIONS if number not in SHORT_COMBINATIONS])
@pytest.mark.parametrize(
    "simulator",
    [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("verilator", "icarus")],
)
def test_more_combinations(number: int, simulator: str, build_dir: Path) -> None:
    check(combination(number), range(1000 + 10 * number, 1006 + 10 * number), simulator, build_dir)


def test_every_option_is_in_several_combinations() -> None:
    """The random machines are what they are for: see that none of the options was left out by chance."""
    used = [combination(number).memory.to_dict() for number in COMBINATIONS]
    assert all(sum(bool(memory[name]) for memory in used) >= 4 for name in ALONE if name != "none")
    assert operating_point(0.0) != random_point(np.random.default_rng(0), MemoryOptions())
