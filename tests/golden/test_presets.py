"""The networks of the literature, with random weights: the fast path against the slow reference."""

import numpy as np
import pytest

from spinbnn.golden import reference
from spinbnn.golden.architectures import ARCHITECTURES, build_random
from spinbnn.golden.fitting import fit
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.mram import MramArray
from spinbnn.golden.network import Network, trace
from spinbnn.golden.operating_point import operating_point
from spinbnn.golden.placement import place, program_rows, stored_network

QUICK = ("mlp-1024", "sfc", "lfc", "tfc", "digits", "lenet4")
LONG = [name for name in ARCHITECTURES if name not in QUICK]


def assert_reference(network: Network) -> None:
    rng = np.random.default_rng(31)
    image = rng.integers(0, 2**network.input_bits, network.inputs, dtype=np.uint8)
    traced = trace(network, image[np.newaxis])
    for layer, fast, slow in zip(network.layers, traced, reference.trace(network, image), strict=True):
        assert fast.sums[0].tolist() == slow.sums, layer.name
        assert (fast.bits is None) == (slow.codes is None)
        if fast.bits is not None:
            assert fast.bits[0].tolist() == slow.codes, layer.name


@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(name, marks=pytest.mark.long) for name in LONG)])
def test_every_layer_equals_the_reference(name: str) -> None:
    assert_reference(build_random(ARCHITECTURES[name], 7))


@pytest.mark.parametrize("name", ["digits", "lenet4"])
def test_what_is_stored_with_errors_equals_the_reference(name: str) -> None:
    """LeNet-4's first windows are paired: its weights are stored twice, each copy with errors of its own."""
    network = build_random(ARCHITECTURES[name], 7)
    geometry = fit(network, Geometry())
    placement = place(network, geometry)
    array = MramArray(geometry, seed=8)
    for packet in program_rows(network, placement, geometry):
        array.program(packet, operating_point(0.05))
    stored = stored_network(network, placement, array.read_all())
    assert stored != network
    if name == "lenet4":
        odd = stored.layers[0].odd_plane_weights  # type: ignore[union-attr]
        assert odd is not None
        assert not np.array_equal(odd, stored.layers[0].weights)
    assert_reference(stored)
