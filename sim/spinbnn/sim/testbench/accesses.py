"""What software writes into the machine's registers, and streams into it, as data for any driver."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.activation_memory import ActivationPoint
from spinbnn.golden.chip import Chip
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.memory_options import MemoryOptions
from spinbnn.golden.mram import LANE_COUNTERS, Counts, counter_indices
from spinbnn.golden.network import Network
from spinbnn.golden.operating_point import OperatingPoint
from spinbnn.golden.placement import Placement, ProgramPacket
from spinbnn.hw import program_stream
from spinbnn.hw.accelerator import (
    TABLE_DESCRIPTORS,
    TABLE_LOGITS,
    TABLE_MISMATCH,
    TABLE_STEPS,
    TABLE_THRESHOLDS,
    WINDOW_REGISTERS,
)
from spinbnn.hw.descriptor import descriptor_words, logit_words, step_words, threshold_words
from spinbnn.hw.registers import REGISTERS
from spinbnn.hw.unfolder import window_fields
from spinbnn.sim.testbench.files import Bytes

Write = tuple[int, int]
"""A register's address, and the word that is written to it."""


def write(name: str, value: int = 0, **fields: int) -> Write:
    """Return the write of a register: a whole `value`, or named fields and 0 elsewhere."""
    register = REGISTERS[name]
    return register.offset, value | sum(register[field].place(part) for field, part in fields.items())


def network_writes(network: Network, placement: Placement) -> Iterator[Write]:
    """Yield descriptors, thresholds and logit words, and the numbers that describe the images."""
    geometry = placement.geometry
    yield from _table(TABLE_DESCRIPTORS, descriptor_words(network, placement))
    yield from _table(TABLE_STEPS, step_words(placement))
    yield from _table(TABLE_THRESHOLDS, threshold_words(network, placement, geometry))
    yield from _table(TABLE_LOGITS, logit_words(network))
    yield write("LAYERS", len(network.layers))
    yield write("IMAGE_ELEMENTS", network.inputs)
    yield write("IMAGE_PLANES", network.input_bits)
    yield write("OUTPUTS", network.outputs)
    if geometry.image_elements:
        yield from _windows(window_fields(network, placement))


def _windows(fields: dict[str, int]) -> Iterator[Write]:
    """Yield how a first layer's windows are unfolded."""
    words: dict[str, int] = {}
    for name, value in fields.items():
        register, field = WINDOW_REGISTERS[name]
        part = REGISTERS[register][field]
        words[register] = words.get(register, 0) | part.place(value & ((1 << part.width) - 1))
    for register, word in words.items():
        yield write(register, word)


def _table(table: int, words: NDArray[np.uint32]) -> Iterator[Write]:
    yield write("TABLE_ADDRESS", table=table)
    address = REGISTERS["TABLE_DATA"].offset
    for word in words.reshape(-1).tolist():
        yield address, word


def random_state_writes(state: Sequence[int]) -> Iterator[Write]:
    """Yield the random stream's four 64-bit words."""
    for index, word in enumerate(state):
        yield write(f"RNG_STATE_{2 * index}", word & 0xFFFFFFFF)
        yield write(f"RNG_STATE_{2 * index + 1}", word >> 32)


def point_writes(memory: MemoryOptions, index: int, point: OperatingPoint) -> Iterator[Write]:
    """Yield an operating point's entry in the table, as far as the memory has it."""
    prefix = f"POINT_{index}_"
    yield write(f"{prefix}P_FAIL_01", point.p_fail_01)
    yield write(f"{prefix}P_FAIL_10", point.p_fail_10)
    yield write(f"{prefix}ENERGY_01", point.energy_01_aj)
    yield write(f"{prefix}ENERGY_10", point.energy_10_aj)
    yield write(f"{prefix}ENERGY_REDUNDANT", point.energy_redundant_aj)
    yield write(
        f"{prefix}PULSE",
        clocks=point.pulse_clocks,
        max_retries=point.max_retries,
        redundant=int(point.pulse_redundant),
        blind=int(point.blind),
    )
    if memory.variability:
        for number, (p_01, p_10) in enumerate(point.by_class[1:]):
            yield write(f"{prefix}P_FAIL_01_CLASS_{number}", p_01)
            yield write(f"{prefix}P_FAIL_10_CLASS_{number}", p_10)
    if memory.self_terminated:
        failed_01_aj, failed_10_aj = point.failed_energies_aj
        yield write(f"{prefix}ENERGY_01_FAILED", failed_01_aj)
        yield write(f"{prefix}ENERGY_10_FAILED", failed_10_aj)


def chip_writes(geometry: Geometry, chip: Chip) -> Iterator[Write]:
    """Yield what is fixed when a chip is made, as far as the memory has it."""
    if geometry.memory.variability:
        yield write("CHIP_SEED_LO", chip.seed & 0xFFFFFFFF)
        yield write("CHIP_SEED_HI", chip.seed >> 32)
        for number, share in enumerate(chip.class_shares):
            yield write(f"CLASS_SHARE_{number}", share)
        yield write("CLASS_STUCK", sum(stuck << k for k, stuck in enumerate(chip.stuck)))
    if geometry.memory.differential:
        halves = chip.sense_mismatch(geometry).astype("<u8").view("<u4")
        words = halves[:, : -(-geometry.code_bits // 32)]
        yield from _table(TABLE_MISMATCH, words.T)


def activation_point_writes(point: ActivationPoint) -> Iterator[Write]:
    """Yield how activations are stored."""
    yield write("ACTIVATION_P_01", point.p_01)
    yield write("ACTIVATION_P_10", point.p_10)
    yield write("ACTIVATION_PULSE_CLOCKS", point.pulse_clocks)
    yield write("ACTIVATION_WORD_ENERGY", point.word_energy_aj)
    yield write("ACTIVATION_SEED_LO", point.seed & 0xFFFFFFFF)
    yield write("ACTIVATION_SEED_HI", point.seed >> 32)


def pass_writes(command: str, first_row: int, last_row: int, point_index: int) -> Iterator[Write]:
    """Yield the command of a pass, "age" or "scrub", over rows of all banks."""
    yield write("ROW_INDEX", first_row)
    yield write("PASS_LAST_ROW", last_row)
    yield write("PASS_COMMAND", **{command: 1, "point": point_index})


def counter_selections(geometry: Geometry) -> Iterator[tuple[str, int, Write]]:
    """Yield name and bank (or lane) of every counter, in order, and the write that selects it."""
    for name, index in counter_indices(geometry).items():
        places = geometry.lanes if name in LANE_COUNTERS else geometry.banks
        for place in range(places):
            yield name, place, write("COUNTER_SELECT", counter=index, bank=place)


def blank_counters(geometry: Geometry) -> dict[str, Counts]:
    """Return a 0 for every counter by name: uint64 [banks], or [lanes] if it is a lane's."""
    return {
        name: np.zeros(geometry.lanes if name in LANE_COUNTERS else geometry.banks, dtype=np.uint64)
        for name in counter_indices(geometry)
    }


def program_beats(packets: Sequence[ProgramPacket], point_index: int) -> tuple[Bytes, Bytes]:
    """Return the beats of packets, uint8 [n, 8], and whether each is a packet's last, uint8 [n]."""
    packed = [program_stream.beats(packet, point_index) for packet in packets]
    last = [np.arange(len(beats)) == len(beats) - 1 for beats in packed]
    data = np.concatenate(packed).astype("<u8").view(np.uint8).reshape(-1, 8)
    return data, np.concatenate(last).astype(np.uint8)


def rows_taken(last: Bytes, beats: int, slices: int) -> int:
    """Return how many whole rows are in the first beats of packets, each of which begins with a header.

    Parameters
    ----------
    last : uint8 [n]
        Whether each beat is a packet's last.
    beats : int
    slices : int
        Beats of a row.
    """
    ended = int(last[: max(0, beats - 1)].sum())
    headers = ended + 1 if beats else 0
    return (beats - headers) // slices


def image_beats(images: NDArray[np.uint8], geometry: Geometry) -> tuple[Bytes, Bytes]:
    """Return the beats of images, uint8 [n, K]: uint8 [m, bytes] and whether each is an image's last."""
    elements = geometry.stream_elements
    padded = np.pad(images, ((0, 0), (0, -images.shape[1] % elements)))
    beats = padded.shape[1] // elements
    last = np.tile((np.arange(beats) == beats - 1).astype(np.uint8), len(images))
    return padded.reshape(-1, elements), last
