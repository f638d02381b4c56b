"""Recipes of the networks that studies train: few epochs, and images as they are.

Each takes seconds to a few minutes with one thread; docs/studies.md says what each study does with them.
"""

from __future__ import annotations

from dataclasses import replace

from spinbnn.golden.architectures import ARCHITECTURES, perceptron
from spinbnn.sim.training.recipes import Recipe

DIGITS = Recipe(
    "study_digits",
    ARCHITECTURES["digits"],
    epochs=40,
    batch_size=64,
    learning_rate=0.01,
    shift_pixels=0.0,
    rotation_degrees=0.0,
    zoom=0.0,
    shear=0.0,
)
"""64-256-256-10 on scikit-learn's digits."""

MNIST_256 = replace(
    DIGITS,
    name="study_mnist_256",
    architecture=perceptron("mlp-256", "made for studies", (784, 256, 256, 10), 8, False),
    epochs=10,
    batch_size=100,
)
"""784-256-256-10 on MNIST."""

MNIST_256_BINARY = replace(
    MNIST_256,
    name="study_mnist_256_binary",
    architecture=perceptron("mlp-256-binary", "made for studies", (784, 256, 256, 10), 1, True),
    epochs=8,
    batch_size=256,
)
"""784-256-256-10 on MNIST, whose inputs are +1 and -1."""

FASHION_256_BINARY = replace(MNIST_256_BINARY, name="study_fashion_256_binary")
"""784-256-256-10 on Fashion-MNIST, whose inputs are +1 and -1."""

MNIST_1024 = replace(
    MNIST_256, name="study_mnist_1024", architecture=ARCHITECTURES["mlp-1024"], epochs=8, batch_size=256
)
"""784-1024-1024-10 on MNIST."""

FASHION_1024 = replace(MNIST_1024, name="study_fashion_1024")
"""784-1024-1024-10 on Fashion-MNIST."""

LENET4 = replace(MNIST_256, name="study_lenet4", architecture=ARCHITECTURES["lenet4"], epochs=8)
"""LeNet-4 on MNIST."""

NIN = replace(
    LENET4,
    name="study_nin",
    architecture=ARCHITECTURES["nin"],
    epochs=1,
    learning_rate=0.03,
    bfloat16=True,
)
"""Network-in-Network on images of 32 x 32 pixels, or smaller ones with zeros around them."""
