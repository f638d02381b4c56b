"""How cost grows with banks, word bits, weights and images; writes docs/scale.md and build/scale.json.

Each point is measured in a process of its own, so that its memory is its own.
"""

import argparse
import json
import math
import resource
import shutil
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from bench.machine import commit, machine
from spinbnn.golden.fitting import fit
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.network import Network, random_network
from spinbnn.golden.network_file import load_network
from spinbnn.golden.operating_point import operating_point
from spinbnn.hw.verilog import emit_verilog
from spinbnn.sim import tools
from spinbnn.sim.assets import MNIST_NETWORK
from spinbnn.sim.datasets import bundled_images
from spinbnn.sim.job import build_machine, run_on
from spinbnn.sim.model import MachineModel
from spinbnn.sim.spec import RunJob

BUILDS = Path("build/scale")
DOCUMENT = Path("docs/scale.md")
POINT = operating_point(1e-3)
RTL_CLOCKS = 200_000

Costs = dict[str, float]


def megabytes(who: int) -> float:
    """Return the most memory that this process, or those that it started, had."""
    return resource.getrusage(who).ru_maxrss / 1024


def job_of(network: Network, geometry: Geometry, images: int) -> RunJob:
    """Return a run of random images, put in by the backdoor."""
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 2**network.input_bits, (images, network.inputs), dtype=np.uint8)
    return RunJob(network, pixels, fit(network, geometry), POINT, BUILDS, loading="backdoor")


def model_costs(job: RunJob) -> Costs:
    """Return what the model takes."""
    begin = time.perf_counter()
    outcome = MachineModel(job).run()
    seconds = time.perf_counter() - begin
    return {"clocks": outcome.run.total, "model s": seconds, "model MB": megabytes(resource.RUSAGE_SELF)}


def rtl_costs(job: RunJob) -> Costs:
    """Return what emission, build and simulation take."""
    begin = time.perf_counter()
    text = emit_verilog(job.geometry)
    emission = time.perf_counter() - begin
    build = build_machine(job.geometry, tools.find("verilator"), BUILDS)
    build_mb = megabytes(resource.RUSAGE_CHILDREN)
    (result,) = run_on(build, [job])
    assert result.match, result.first_difference
    shutil.rmtree(build.directory)  # another axis may come to the same machine
    return {
        "emission s": emission,
        "Verilog kB": len(text) / 1000,
        "build s": build.seconds,
        "build MB": build_mb,
        "clocks/s": result.simulated_clocks / result.simulation_seconds,
    }


def machine_costs(banks: int, word_bits: int) -> Costs:
    """Return the costs of a machine on a network that keeps all of it busy."""
    network = random_network((784, 2 * banks, 10), 8)
    geometry = Geometry(banks, word_bits)
    clocks = MachineModel(job_of(network, geometry, 1)).run().run.total
    job = job_of(network, geometry, max(2, RTL_CLOCKS // clocks))
    return rtl_costs(job) | model_costs(job)


def costs_of_banks(banks: int) -> Costs:
    return machine_costs(banks, 64)


def costs_of_word_bits(word_bits: int) -> Costs:
    return machine_costs(64, word_bits)


def costs_of_weights(weights: int) -> Costs:
    """Return the costs of the model for a network of about so many weights."""
    side = round((math.sqrt(794**2 + 4 * weights) - 794) / 2)
    network = random_network((784, side, side, 10), 8)
    return model_costs(job_of(network, Geometry(), 100))


def costs_of_images(images: int) -> Costs:
    """Return the costs of the model for so many images of the shipped network."""
    network, pixels = load_network(MNIST_NETWORK), bundled_images().pixels
    pixels = np.resize(pixels, (images, pixels.shape[1]))
    return model_costs(RunJob(network, pixels, Geometry(), POINT, BUILDS))


@dataclass(frozen=True)
class Axis:
    """What is varied, and how much work a value stands for.

    Parameters
    ----------
    name : str
    values : tuple of int
    costs : callable
        Costs by name, of a value.
    """

    name: str
    values: tuple[int, ...]
    costs: Callable[[int], Costs]


AXES = (
    Axis("banks of 64 bits", (8, 16, 32, 64, 128, 256), costs_of_banks),
    Axis("bits of a word, 64 banks", (32, 64, 128, 256), costs_of_word_bits),
    Axis("weights, 100 images on 64 x 64", (10**5, 10**6, 10**7, 6 * 10**7), costs_of_weights),
    Axis("images of the shipped network", (1, 10, 100, 1000, 10_000), costs_of_images),
)
DIGITS: Mapping[str, int] = {"clocks": 0, "clocks/s": 0, "Verilog kB": 0, "build MB": 0, "model MB": 0}


def growth(costs: list[Costs], values: tuple[int, ...], name: str) -> float:
    """Return the exponent with which a cost grows over the last step of an axis."""
    before, last = costs[-2][name], costs[-1][name]
    if name == "clocks/s":
        before, last = 1 / before, 1 / last
    return math.log(last / before) / math.log(values[-1] / values[-2])


def table(axis: Axis, costs: list[Costs]) -> list[str]:
    """Return the Markdown of an axis."""
    names = list(costs[0])
    lines = [f"| {axis.name} | {' | '.join(names)} |", "|---:" * (len(names) + 1) + "|"]
    for value, row in zip(axis.values, costs, strict=True):
        cells = [f"{row[name]:,.{DIGITS.get(name, 2)}f}" for name in names]
        lines.append(f"| {value:,} | {' | '.join(cells)} |")
    exponents = [f"{growth(costs, axis.values, name):.2f}" for name in names]
    return [*lines, f"| growth | {' | '.join(exponents)} |"]


def document(found: Mapping[str, list[Costs]]) -> str:
    lines = [
        "# How cost grows",
        "",
        "Written by `make scale`. *Growth* is the exponent over the last step: 1 where a cost doubles as",
        "what is varied doubles (of clocks a second, the time of a clock). A clock of twice the banks does",
        "twice the work. Memory is the most that a process had, Python and NumPy included; `build MB` is the",
        "largest process of the build.",
        "",
        f"Measured at {commit()}, {machine()}.",
    ]
    for axis in AXES:
        lines += ["", *table(axis, found[axis.name])]
    return "\n".join(lines) + "\n"


def measure(axis: Axis, value: int) -> Costs:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(axis.costs, value).result()


def main() -> None:
    argparse.ArgumentParser(prog="bench.scale", description=__doc__).parse_args()
    points = [(axis, value) for axis in AXES for value in axis.values]
    found: dict[str, list[Any]] = {axis.name: [] for axis in AXES}
    for axis, value in track(points, "scale"):
        found[axis.name].append(measure(axis, value))
    text = document(found)
    Path("build").mkdir(exist_ok=True)
    record = {"commit": commit(), "machine": machine(), "axes": found}
    Path("build/scale.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    DOCUMENT.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
