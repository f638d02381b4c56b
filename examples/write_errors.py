"""How weak may write pulses be? Accuracy and write energy of the shipped network over the write error rate.

Computed by the golden model alone, which equals the hardware bit for bit: seconds instead of simulations.

    python examples/write_errors.py
"""

from spinbnn.golden.geometry import Geometry
from spinbnn.golden.mram import MramArray
from spinbnn.golden.network import classify, forward
from spinbnn.golden.network_file import load_network
from spinbnn.golden.operating_point import operating_point
from spinbnn.golden.placement import place, program_rows, stored_network
from spinbnn.sim.assets import MNIST_NETWORK
from spinbnn.sim.datasets import bundled_images
from spinbnn.sim.show import energy

RATES = (0.0, 1e-4, 1e-3, 1e-2, 0.03, 0.1)


def main() -> None:
    network = load_network(MNIST_NETWORK)
    geometry = Geometry()
    placement = place(network, geometry)
    test = bundled_images()
    print(f"{'rate':>8} {'retries':>8} {'wrong bits':>11} {'write energy':>13} {'accuracy':>9}")
    for rate in RATES:
        for retries in (0, 1) if rate else (0,):
            array = MramArray(geometry, seed=1)
            point = operating_point(rate, max_retries=retries)
            for packet in program_rows(network, placement, geometry):
                array.program(packet, point)
            stored = stored_network(network, placement, array.cells)
            accuracy = (classify(forward(stored, test.pixels)) == test.labels).mean()
            wrong = int(array.counters["failed_bits"].sum())
            spent = energy(int(array.counters["program_energy_aj"].sum()))
            print(f"{rate:8g} {retries:8} {wrong:11,} {spent:>13} {accuracy:9.2%}")


if __name__ == "__main__":
    main()
