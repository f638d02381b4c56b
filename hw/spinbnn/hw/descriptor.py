"""What the machine is loaded with beside the weights: layer descriptors, thresholds, scales of the logits."""

import numpy as np
from amaranth.lib import data
from numpy.typing import NDArray

from spinbnn.golden.geometry import Geometry
from spinbnn.golden.layers import Affine, Threshold
from spinbnn.golden.network import Network
from spinbnn.golden.placement import Placement

DESCRIPTOR_WORDS = 8
USED_WORDS = 6
FLIP_BIT = 31

DescriptorLayout = data.StructLayout(
    {
        "input_unsigned": 1,
        "output_logits": 1,
        "source_input": 1,
        "reserved_0": 5,
        "planes": 4,
        "reserved_1": 20,
        "words": 16,
        "groups": 16,
        "row_base": 32,
        "threshold_base": 16,
        "tail_bits": 16,
        "source_base": 16,
        "destination_base": 16,
        "last_group_neurons": 16,
        "reserved_2": 16,
    }
)


def descriptor_words(network: Network, placement: Placement) -> NDArray[np.uint32]:
    """Descriptors of a placed network.

    Returns
    -------
    ndarray of uint32, shape (layers, 8)
        One descriptor a layer, as `docs/architecture.md` lays it out.
    """
    words = np.zeros((len(network.layers), DESCRIPTOR_WORDS), dtype=np.uint32)
    for index, (layer, place) in enumerate(zip(network.layers, placement.layers, strict=True)):
        fields = {
            "input_unsigned": index == 0 and not network.input_signed,
            "output_logits": isinstance(layer.head, Affine),
            "source_input": index == 0,
            "planes": place.planes,
            "words": place.words,
            "groups": place.groups,
            "row_base": place.row_base,
            "threshold_base": place.threshold_base,
            "tail_bits": place.tail_bits,
            "source_base": place.source_base,
            "destination_base": place.destination_base,
            "last_group_neurons": place.last_group_neurons,
        }
        packed = sum(int(value) << DescriptorLayout[name].offset for name, value in fields.items())
        words[index, :USED_WORDS] = [(packed >> (32 * w)) & 0xFFFFFFFF for w in range(USED_WORDS)]
    return words


def threshold_words(network: Network, placement: Placement, geometry: Geometry) -> NDArray[np.uint32]:
    """Contents of the banks' threshold memories.

    Returns
    -------
    ndarray of uint32, shape (rows, banks)
        The accumulator's start value (the negated threshold) and, in bit 31, the flip; 0 where there is no
        neuron. `rows` is the number of threshold rows the network takes.
    """
    rows = []
    for layer, place in zip(network.layers, placement.layers, strict=True):
        if isinstance(layer.head, Threshold):
            mask = (1 << geometry.accumulator_bits) - 1
            start = (-layer.head.values.astype(np.int64)) & mask
            table = np.zeros(place.groups * geometry.banks, dtype=np.uint32)
            table[: start.size] = start | (layer.head.flip.astype(np.int64) << FLIP_BIT)
            rows.append(table.reshape(place.groups, geometry.banks))
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
