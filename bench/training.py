"""A step of training a convolutional network, with numbers of 16 bits and of 32."""

from dataclasses import replace

import numpy as np

from bench.kernels import torch_of
from bench.measurement import Measurement, best_of_each
from spinbnn.sim.datasets import Dataset
from spinbnn.sim.training import RECIPES
from spinbnn.sim.training.run import Run, repeatable

IMAGES = 100
REPEATS = 3


def steps_of_nin() -> Measurement:
    name = f"a step of training Network-in-Network, {IMAGES} images"
    torch = torch_of(name)
    recipe = RECIPES["nin"]
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (IMAGES, *recipe.architecture.input_shape), dtype=np.uint8)
    images = Dataset(pixels, rng.integers(0, 10, IMAGES).astype(np.uint8))
    with repeatable(torch):
        rounded, exact = (Run(torch, replace(recipe, bfloat16=bits), images) for bits in (True, False))
        seconds = best_of_each(
            lambda: rounded.step(rounded.images, rounded.labels),
            lambda: exact.step(exact.images, exact.labels),
            repeats=REPEATS,
        )
    return Measurement(name, "in bfloat16, 1 thread", seconds[0], "in float32, 1 thread", seconds[1])


BENCHMARKS = (steps_of_nin,)
