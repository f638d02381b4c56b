"""Make a network from plain NumPy arrays, run it on a small machine, and see that every bit agrees.

The network finds the brighter half of an image of 8 by 6 pixels: its weights are written down, not trained.

    python examples/from_arrays.py [verilator|icarus]
"""

import sys
from pathlib import Path

import numpy as np

from spinbnn.golden.encoding import pack
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.layers import Affine, Dense, Threshold
from spinbnn.golden.network import Network, classify, forward
from spinbnn.golden.operating_point import operating_point
from spinbnn.sim.job import RunJob, run_job

ROWS, COLUMNS = 6, 8
HIDDEN = 12


def brighter_half() -> Network:
    """Return a network with class 0 for images whose left half is brighter, and class 1 for the others."""
    # Weights are +1 or -1. Each hidden neuron compares the halves in three rows of its own choice.
    left = np.where(np.arange(COLUMNS) < COLUMNS // 2, 1, -1)
    images = np.tile(left, (HIDDEN, ROWS, 1))
    rng = np.random.default_rng(1)
    for neuron in range(HIDDEN):
        blind = rng.permutation(ROWS)[:3]
        images[neuron, blind] = np.where(np.arange(COLUMNS) % 2, 1, -1)  # where neighbours cancel
    hidden_weights = images.reshape(HIDDEN, -1)
    output_weights = np.vstack([np.ones(HIDDEN, int), -np.ones(HIDDEN, int)])

    # A neuron is +1 where its sum reaches the threshold; `flip` would turn that round.
    hidden_head = Threshold(np.zeros(HIDDEN, np.int32), np.zeros(HIDDEN, np.bool_))
    output_head = Affine(np.array([1, 1], np.int32), np.array([0, 0], np.int32))
    return Network(
        name="brighter-half",
        layers=(
            Dense("compare", pack(hidden_weights > 0), ROWS * COLUMNS, hidden_head),
            Dense("vote", pack(output_weights > 0), HIDDEN, output_head),
        ),
        input_bits=8,  # pixels are 0 to 255
        input_signed=False,
        metadata={},
    )


def main(simulator: str = "verilator") -> None:
    network = brighter_half()
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 2, 20, np.uint8)
    images = rng.integers(0, 200, (20, ROWS, COLUMNS), np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[:, COLUMNS // 2 :] += 55 * label
        image[:, : COLUMNS // 2] += 55 * (1 - label)
    pixels = images.reshape(20, -1)

    # The golden model needs no simulator.
    print("golden accuracy", np.mean(classify(forward(network, pixels)) == labels))

    # 5 banks of 24 bits: sizes need not divide each other. One written bit in a hundred fails.
    result = run_job(
        RunJob(
            network=network,
            images=pixels,
            labels=labels,
            geometry=Geometry(banks=5, word_bits=24, rows=64),
            point=operating_point(0.01),
            simulator="icarus" if simulator == "icarus" else "verilator",
            build_dir=Path("build/examples"),
        )
    )
    print("RTL accuracy   ", result.accuracy_rtl)
    print("bits wrong     ", sum(result.bits_wrong), "of", sum(result.bits_programmed))
    print("clocks an image", result.steady_clocks_per_image)
    print("MATCH" if result.match else f"MISMATCH: {result.first_difference}")
    sys.exit(0 if result.match else 1)


if __name__ == "__main__":
    main(*sys.argv[1:])
