"""Networks with random write errors against a random number for every cell."""

from dataclasses import replace

import numpy as np

from bench.measurement import Measurement, best
from spinbnn.golden.encoding import pack
from spinbnn.golden.monte_carlo import error_positions, written_network
from spinbnn.golden.network import Network, random_network
from spinbnn.golden.operating_point import operating_point

RATE = 1e-4
REPEATS = 50


def densely_written(network: Network, rng: np.random.Generator) -> Network:
    """Return a network of whose ones some stayed 0, from a random number for each cell."""
    layers = []
    for layer in network.layers:
        cells = (*layer.weights.shape[:-1], layer.sum_length)
        failed = rng.random(cells, dtype=np.float32) < RATE
        layers.append(replace(layer, weights=layer.weights & ~pack(failed)))
    return replace(network, layers=tuple(layers))


def networks() -> Measurement:
    network = random_network([1024, 1024, 1024], 1, True)
    rng, point = np.random.default_rng(1), operating_point(RATE)
    cells = sum(layer.weights.size * 64 for layer in network.layers)
    return Measurement(
        f"a network of {cells:,} cells with write errors at {RATE:g}",
        "monte_carlo.written_network",
        best(lambda: written_network(network, point, rng), REPEATS),
        "a float32 and a comparison a cell, packed, NumPy's fastest",
        best(lambda: densely_written(network, rng)),
        50,
    )


def positions() -> Measurement:
    cells, rng = 3_000_000, np.random.default_rng(1)
    return Measurement(
        f"which of {cells:,} cells err at {RATE:g}",
        "monte_carlo.error_positions",
        best(lambda: error_positions(rng, RATE, cells), REPEATS),
        "a float32 and a comparison a cell",
        best(lambda: rng.random(cells, dtype=np.float32) < RATE),
    )


BENCHMARKS = (networks, positions)
