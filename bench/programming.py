"""Programming the array's model, with write errors, counters and energy, against bare random draws."""

from dataclasses import replace

import numpy as np

from bench.measurement import Measurement, best, best_of_each
from spinbnn.golden.chip import Chip
from spinbnn.golden.geometry import PRESETS, Geometry
from spinbnn.golden.memory_options import EVERYTHING, PLAIN, MemoryOptions
from spinbnn.golden.mram import MramArray
from spinbnn.golden.operating_point import POINTS, PROBABILITY_BITS, OperatingPoint
from spinbnn.golden.placement import ProgramPacket

WEAK_TAILS = replace(
    POINTS["1e-3"], class_p_fail_01=(2**20, 2**22, 2**24), class_p_fail_10=(2**20, 2**22, 2**24)
)


def whole_array(geometry: Geometry) -> ProgramPacket:
    """Return random rows for all of an array."""
    shape = (geometry.banks * geometry.rows, geometry.slices)
    return ProgramPacket(
        0, 0, 0, geometry.banks, np.random.default_rng(1).integers(0, 2**64, shape, np.uint64)
    )


def programming(what: str, memory: MemoryOptions, point: OperatingPoint) -> Measurement:
    geometry = replace(PRESETS["64x64"], memory=memory)
    packet, chip = whole_array(geometry), Chip(1, (3000, 3000, 3000))
    cells = geometry.banks * geometry.rows * geometry.row_cells
    generator = np.random.default_rng(1)
    return Measurement(
        f"programming {packet.rows.size * geometry.word_bits:,} bits ({cells:,} cells), {what}",
        "MramArray: the hardware's random stream, errors, counters, energy",
        best(lambda: MramArray(geometry, 1, chip=chip).program(packet, point)),
        "one float64 draw and comparison a cell, nothing else",
        best(lambda: generator.random(cells) < 1e-3),
    )


def programming_plain() -> Measurement:
    return programming("write error rate 1e-3", PLAIN, POINTS["1e-3"])


def programming_against_raw_draws() -> Measurement:
    geometry, point = PRESETS["64x64"], POINTS["1e-3"]
    packet = whole_array(geometry)
    words = len(packet.rows) * geometry.cell_slices * PROBABILITY_BITS
    stream = np.random.SFC64(1)
    seconds, draws = best_of_each(
        lambda: MramArray(geometry, 1).program(packet, point), lambda: stream.random_raw(words)
    )
    return Measurement(
        f"programming {packet.rows.size * geometry.word_bits:,} bits, write error rate 1e-3",
        "MramArray: the hardware's random stream, errors, counters, energy",
        seconds,
        f"SFC64.random_raw of the same {words:,} words, nothing else",
        draws,
    )


def programming_classes() -> Measurement:
    memory = MemoryOptions(variability=True, self_terminated=True)
    return programming("with classes and self-terminated energy", memory, WEAK_TAILS)


def programming_everything() -> Measurement:
    memory = replace(EVERYTHING, read_groups=16, activation_generators=0)
    return programming("with all options and 3 retries", memory, replace(WEAK_TAILS, max_retries=3))


BENCHMARKS = (programming_plain, programming_against_raw_draws, programming_classes, programming_everything)
