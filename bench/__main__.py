"""Run the benchmarks: one table, and the same as JSON in build/bench.json."""

import json
import os
import platform
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from spinbnn.golden.chip import Chip
from spinbnn.golden.encoding import unpack
from spinbnn.golden.geometry import PRESETS, Geometry
from spinbnn.golden.layers import Affine, Threshold
from spinbnn.golden.memory_options import EVERYTHING, PLAIN, MemoryOptions
from spinbnn.golden.mram import MramArray
from spinbnn.golden.network import Network, forward
from spinbnn.golden.network_file import load_network
from spinbnn.golden.operating_point import POINTS, OperatingPoint
from spinbnn.golden.placement import ProgramPacket
from spinbnn.sim.assets import MNIST_NETWORK
from spinbnn.sim.datasets import bundled_images

REPEATS = 5


@dataclass(frozen=True)
class Measurement:
    """Seconds of a subject and of its baseline, the best of several runs each."""

    name: str
    subject: str
    seconds: float
    baseline: str
    baseline_seconds: float

    @property
    def ratio(self) -> float:
        """How many times faster the subject is than its baseline."""
        return self.baseline_seconds / self.seconds


def best(action: Callable[[], object]) -> float:
    """Least seconds of several runs: the machine's noise only ever adds."""
    seconds = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


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


WEAK_TAILS = replace(
    POINTS["1e-3"], class_p_fail_01=(2**20, 2**22, 2**24), class_p_fail_10=(2**20, 2**22, 2**24)
)


def whole_array(geometry: Geometry) -> ProgramPacket:
    """Return random rows for all of an array."""
    shape = (geometry.banks * geometry.rows, geometry.slices)
    return ProgramPacket(
        0, 0, 0, geometry.banks, np.random.default_rng(1).integers(0, 2**64, shape, np.uint64)
    )


def programming(what: str, memory: MemoryOptions, point: OperatingPoint) -> Measurement:
    geometry = replace(PRESETS["64x64"], memory=memory)
    packet, chip = whole_array(geometry), Chip(1, (3000, 3000, 3000))
    cells = geometry.banks * geometry.rows * geometry.row_cells
    generator = np.random.default_rng(1)
    return Measurement(
        f"programming {packet.rows.size * geometry.word_bits:,} bits ({cells:,} cells), {what}",
        "MramArray: the hardware's random stream, errors, counters, energy",
        best(lambda: MramArray(geometry, 1, chip=chip).program(packet, point)),
        "one float64 draw and comparison a cell, nothing else",
        best(lambda: generator.random(cells) < 1e-3),
    )


def programming_plain() -> Measurement:
    return programming("write error rate 1e-3", PLAIN, POINTS["1e-3"])


def programming_classes() -> Measurement:
    memory = MemoryOptions(variability=True, self_terminated=True)
    return programming("with classes and self-terminated energy", memory, WEAK_TAILS)


def programming_everything() -> Measurement:
    memory = replace(EVERYTHING, read_groups=16, activation_generators=0)
    return programming("with all options and 3 retries", memory, replace(WEAK_TAILS, max_retries=3))


BENCHMARKS = (golden_forward, programming_plain, programming_classes, programming_everything)


def commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def main() -> None:
    console = Console()
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    results = [benchmark() for benchmark in track(BENCHMARKS, "benchmarks", console=Console(stderr=True))]
    table = Table(title=f"spinbnn at {commit()}, {machine}")
    for column in ("benchmark", "subject", "ms", "baseline", "ms", "times faster"):
        table.add_column(column, justify="right" if column in ("ms", "times faster") else "left")
    for result in results:
        table.add_row(
            result.name,
            result.subject,
            f"{result.seconds * 1e3:.1f}",
            result.baseline,
            f"{result.baseline_seconds * 1e3:.1f}",
            f"{result.ratio:.2f}",
        )
    console.print(table)
    path = Path("build/bench.json")
    path.parent.mkdir(exist_ok=True)
    rows = [asdict(result) | {"ratio": result.ratio} for result in results]
    path.write_text(
        json.dumps({"commit": commit(), "machine": machine, "results": rows}, indent=2) + "\n",
        encoding="utf-8",
    )
    console.print(f"{path}")


if __name__ == "__main__":
    main()
