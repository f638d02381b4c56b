"""Golden's forward pass against matrix products."""

from collections.abc import Callable

import numpy as np

from bench.measurement import Measurement, best
from spinbnn.golden.encoding import unpack
from spinbnn.golden.layers import Affine, Threshold
from spinbnn.golden.network import Network, forward
from spinbnn.golden.network_file import load_network
from spinbnn.sim.assets import MNIST_NETWORK
from spinbnn.sim.datasets import bundled_images


def float_forward(network: Network) -> Callable[[np.ndarray], np.ndarray]:
    """Return the network's forward pass as float32 matrix products, exact as all sums stay below 2**24."""
    matrices = [
        (2 * unpack(layer.weights, layer.inputs).astype(np.float32) - 1).T.copy() for layer in network.layers
    ]

    def run(images: np.ndarray) -> np.ndarray:
        values = images.astype(np.float32)
        for layer, matrix in zip(network.layers, matrices, strict=True):
            sums = values @ matrix
            if isinstance(layer.head, Threshold):
                bits = (sums >= layer.head.values) ^ layer.head.flip
                values = np.where(bits, np.float32(1), np.float32(-1))
        assert isinstance(layer.head, Affine)
        return layer.head.logits(sums.astype(np.int32))

    return run


def golden_forward() -> Measurement:
    network = load_network(MNIST_NETWORK)
    images = bundled_images().pixels
    baseline = float_forward(network)
    assert np.array_equal(baseline(images), forward(network, images))
    return Measurement(
        f"golden forward, {network.name}, {len(images)} images",
        "packed words, np.bitwise_count",
        best(lambda: forward(network, images)),
        "float32 matrix products of NumPy (BLAS)",
        best(lambda: baseline(images)),
    )


BENCHMARKS = (golden_forward,)
