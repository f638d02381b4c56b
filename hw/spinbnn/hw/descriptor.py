"""What the machine is loaded with beside the weights: descriptors, steps, thresholds, logit scales."""

import numpy as np
from amaranth.hdl import signed
from amaranth.lib import data
from numpy.typing import NDArray

from spinbnn.golden.geometry import Geometry
from spinbnn.golden.layers import Affine, Conv, MultiThreshold
from spinbnn.golden.network import Network
from spinbnn.golden.placement import LayerPlacement, Placement, machine_thresholds

DESCRIPTOR_WORDS = 32
USED_WORDS = 28
STEP_BITS = 16
FLIP_BIT = 31

LEVELS = ("kernel_x", "kernel_y", "window_x", "window_y", "group", "position_x", "position_y")
"""The loops around the words of a tap, from the innermost on."""

DescriptorLayout = data.StructLayout(
    {
        "input_unsigned": 1,
        "output_logits": 1,
        "source_input": 1,
        "paired": 1,
        "pad_ones": 1,
        "pad_masked": 1,
        "pool_each": 1,
        "pool_flipped": 1,
        "planes": 4,
        "weight_planes": 4,
        "step_base": 8,
        "relu": 1,
        "pool_sums": 1,
        "residual_add": 1,
        "residual_keep": 1,
        "reserved_0": 4,
        "words": 16,
        "groups": 16,
        "row_base": 32,
        "threshold_base": 16,
        "tail_bits": 16,
        "source_base": 16,
        "destination_base": 16,
        "last_group_neurons": 16,
        "thresholds": 4,
        "low": 4,
        "bits": 4,
        "reserved_1": 4,
        "kernel_x": 16,
        "kernel_y": 16,
        "window_x": 16,
        "window_y": 16,
        "positions_x": 16,
        "positions_y": 16,
        "source_width": 16,
        "source_height": 16,
        "start_x": signed(16),
        "start_y": signed(16),
        "start_address": signed(32),
    }
    | {f"address_{level}": signed(32) for level in LEVELS}
    | {f"{axis}_{level}": signed(16) for level in LEVELS for axis in "xy"}
    | {"residual_source": 32, "residual_destination": 32}
)

StepLayout = data.StructLayout(
    {
        "plane": 4,
        "weight_plane": 4,
        "shift": 2,
        "negative": 1,
        "read_row": 1,
        "first": 1,
        "last": 1,
        "reserved": 2,
    }
)


def descriptor_words(network: Network, placement: Placement) -> NDArray[np.uint32]:
    """Descriptors of a placed network.

    Returns
    -------
    ndarray of uint32, shape (layers, 32)
        One descriptor a layer, as `docs/architecture.md` lays it out.
    """
    words = np.zeros((len(network.layers), DESCRIPTOR_WORDS), dtype=np.uint32)
    _, step_bases = placement.step_tables()
    for index, (layer, place) in enumerate(zip(network.layers, placement.layers, strict=True)):
        padding = layer.pad_value if isinstance(layer, Conv) else 0
        pool = layer.pool.kind if layer.pool is not None else None
        fields = {
            "input_unsigned": network.format_into(index).kind != "bipolar",
            "output_logits": isinstance(layer.head, Affine),
            "source_input": index == 0,
            "paired": place.paired,
            "pad_ones": padding == 1,
            "pad_masked": padding == 0,
            "pool_each": pool in ("max", "or") or place.relu,
            "pool_flipped": pool == "or",
            "relu": place.relu,
            "pool_sums": pool == "sum",
            "residual_add": place.residual_source is not None,
            "residual_keep": place.residual_destination is not None,
            "thresholds": place.thresholds,
            "low": layer.head.low if isinstance(layer.head, MultiThreshold) else 0,
            "bits": place.activation_bits,
            "residual_source": place.residual_source or 0,
            "residual_destination": place.residual_destination or 0,
            "planes": place.planes,
            "weight_planes": place.weight_planes,
            "step_base": step_bases[index],
            "words": place.words,
            "groups": place.groups,
            "row_base": place.row_base,
            "threshold_base": place.threshold_base,
            "tail_bits": place.tail_bits,
            "source_base": place.source_base,
            "destination_base": place.destination_base,
            "last_group_neurons": place.last_group_neurons,
            "kernel_x": place.kernel[1],
            "kernel_y": place.kernel[0],
            "window_x": place.window[1],
            "window_y": place.window[0],
            "positions_x": place.positions[1],
            "positions_y": place.positions[0],
            "source_width": place.source[1],
            "source_height": place.source[0],
            "start_x": place.origin[1],
            "start_y": place.origin[0],
        } | _walk(place)
        packed = 0
        for name, value in fields.items():
            field = DescriptorLayout[name]
            packed |= (int(value) & ((1 << field.width) - 1)) << field.offset
        words[index, :USED_WORDS] = [(packed >> (32 * w)) & 0xFFFFFFFF for w in range(USED_WORDS)]
    return words


def _walk(place: LayerPlacement) -> dict[str, int]:
    """Return how address and pixel change where each loop steps and those inside it start again."""
    of_pixel = place.words * place.planes
    of_row = place.source[1] * of_pixel
    down, across = place.stride
    counts = dict(
        zip(
            LEVELS,
            (*place.kernel[::-1], *place.window[::-1], place.groups, *place.positions[::-1]),
            strict=True,
        )
    )
    steps = {  # pixels across and down
        "kernel_x": (1, 0),
        "kernel_y": (0, 1),
        "window_x": (across, 0),
        "window_y": (0, down),
        "group": (0, 0),
        "position_x": (across * place.window_stride[1], 0),
        "position_y": (0, down * place.window_stride[0]),
    }
    fields = {"start_address": place.origin[0] * of_row + place.origin[1] * of_pixel}
    x_back = y_back = 0  # from where the loops inside began to where they end
    for level in LEVELS:
        x, y = steps[level]
        fields[f"x_{level}"], fields[f"y_{level}"] = x - x_back, y - y_back
        # The last word of the last tap has been read: the address stands on its tap's last word.
        pixels = (y - y_back) * of_row + (x - x_back) * of_pixel
        fields[f"address_{level}"] = pixels - (place.words - 1) * place.planes
        x_back += (counts[level] - 1) * x
        y_back += (counts[level] - 1) * y
    return fields


def step_words(placement: Placement) -> NDArray[np.uint32]:
    """Contents of the step memory.

    Returns
    -------
    ndarray of uint32, shape (steps, 1)
    """
    steps, bases = placement.step_tables()
    ends = {base + len(placed.steps) - 1 for base, placed in zip(bases, placement.layers, strict=True)}
    words = []
    for number, step in enumerate(steps):
        fields = {
            "plane": step.plane,
            "weight_plane": step.weight_plane,
            "shift": step.shift,
            "negative": step.negative,
            "read_row": step.read_row,
            "first": number in bases,
            "last": number in ends,
        }
        words.append([sum(int(value) << StepLayout[name].offset for name, value in fields.items())])
    return np.array(words, dtype=np.uint32)


def threshold_words(network: Network, placement: Placement, geometry: Geometry) -> NDArray[np.uint32]:
    """Contents of the banks' threshold memories.

    Returns
    -------
    ndarray of uint32, shape (rows, banks)
        The accumulator's start value (the negated threshold) and, in bit 31, the flip; 0 where there is no
        neuron. A group's thresholds follow one another. `rows` is the number of rows the network takes.
    """
    rows = []
    mask = (1 << geometry.accumulator_bits) - 1
    for index, (layer, place) in enumerate(zip(network.layers, placement.layers, strict=True)):
        if isinstance(layer.head, Affine):
            continue
        start = -machine_thresholds(layer, place, network.format_into(index)) & mask
        table = np.zeros((place.thresholds, place.groups * geometry.banks), dtype=np.uint32)
        table[:, : layer.neurons] = start | (layer.head.flip.astype(np.int64) << FLIP_BIT)
        by_group = table.reshape(place.thresholds, place.groups, geometry.banks).swapaxes(0, 1)
        rows.append(by_group.reshape(-1, geometry.banks))
    return np.concatenate(rows) if rows else np.zeros((0, geometry.banks), dtype=np.uint32)


def logit_words(network: Network) -> NDArray[np.uint32]:
    """Scale and bias of every logit.

    Returns
    -------
    ndarray of uint32, shape (outputs, 2)
        Column 0 the scale (sign-extended), column 1 the bias, two's complement.
    """
    head = network.layers[-1].head
    assert isinstance(head, Affine)  # Network's constructor sees to it
    pairs = np.stack([head.scale, head.bias], axis=1).astype(np.int64)
    return (pairs & 0xFFFFFFFF).astype(np.uint32)
