"""What protects weakly written weights, and what does it cost? A retry, error correction, or two cells a bit.

Computed by the golden model alone, which equals the hardware bit for bit.

    python examples/protection.py
"""

import numpy as np

from spinbnn.golden.geometry import Geometry
from spinbnn.golden.memory_options import PLAIN, MemoryOptions
from spinbnn.golden.mram import MramArray
from spinbnn.golden.network import Network, classify, forward
from spinbnn.golden.network_file import load_network
from spinbnn.golden.operating_point import operating_point
from spinbnn.golden.placement import place, program_rows, stored_network
from spinbnn.sim.assets import MNIST_NETWORK
from spinbnn.sim.datasets import bundled_images
from spinbnn.sim.show import energy

RATES = (1e-3, 1e-2, 3e-2, 1e-1)
PROTECTIONS = {
    "none": (PLAIN, 0),
    "a retry": (PLAIN, 1),
    "SECDED": (MemoryOptions(secded=True), 0),
    "two cells": (MemoryOptions(differential=True), 0),
}


def programmed(
    network: Network, memory: MemoryOptions, rate: float, retries: int
) -> tuple[MramArray, Network]:
    """Return an array programmed with a network, and the network as the array is read."""
    geometry = Geometry(memory=memory)
    placement = place(network, geometry)
    array = MramArray(geometry, seed=1)
    for packet in program_rows(network, placement, geometry):
        array.program(packet, operating_point(rate, max_retries=retries))
    return array, stored_network(network, placement, array.read_all())


def main() -> None:
    network = load_network(MNIST_NETWORK)
    test = bundled_images()
    titles = ("protection", "cells a bit", "wrong weights", "energy", "accuracy")
    print(f"{'rate':>6} {titles[0]:>11} {titles[1]:>12} {titles[2]:>14} {titles[3]:>9} {titles[4]:>9}")
    for rate in RATES:
        for name, (memory, retries) in PROTECTIONS.items():
            array, stored = programmed(network, memory, rate, retries)
            wrong = sum(
                int(np.bitwise_count(is_.weights ^ should.weights).sum())
                for is_, should in zip(stored.layers, network.layers, strict=True)
            )
            cells = array.geometry.row_cells / array.geometry.word_bits
            spent = energy(int(array.counters["program_energy_aj"].sum()))
            accuracy = (classify(forward(stored, test.pixels)) == test.labels).mean()
            print(f"{rate:6g} {name:>11} {cells:12g} {wrong:14,} {spent:>9} {accuracy:9.2%}")


if __name__ == "__main__":
    main()
