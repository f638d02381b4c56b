"""Golden's forward pass against matrix products."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

import numpy as np

from bench.measurement import Measurement, best, best_of_each
from spinbnn.golden.encoding import unpack
from spinbnn.golden.layers import Affine, Threshold
from spinbnn.golden.network import Network, forward, trace
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


IMAGES = 10_000


def operands() -> tuple[Network, np.ndarray]:
    """Return the shipped network and as many images as MNIST's test set has: the shipped ones, repeated."""
    return load_network(MNIST_NETWORK), np.resize(bundled_images().pixels, (IMAGES, 784))


def golden_forward() -> Measurement:
    network, images = operands()
    baseline = float_forward(network)
    assert np.array_equal(baseline(images), forward(network, images))
    seconds, of_baseline = best_of_each(lambda: forward(network, images), lambda: baseline(images))
    return Measurement(
        f"golden forward, {network.name}, {IMAGES:,} images",
        "network.forward",
        seconds,
        "float32 matrix products of NumPy (BLAS)",
        of_baseline,
    )


def golden_trace() -> Measurement:
    network, images = operands()
    with without_kernels():
        in_numpy = best(lambda: trace(network, images), 2)
    return Measurement(
        f"golden trace, all sums and activations, {network.name}, {IMAGES:,} images",
        "network.trace",
        best(lambda: trace(network, images)),
        "the same in NumPy",
        in_numpy,
    )


@contextmanager
def without_kernels() -> Iterator[None]:
    with patch.dict(os.environ, {"SPINBNN_KERNELS": "numpy"}):
        yield


BENCHMARKS = (golden_forward, golden_trace)
