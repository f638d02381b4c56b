"""What to train, and how: all that decides what a training run makes, besides the images."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from spinbnn.golden.architectures import ARCHITECTURES, Architecture, perceptron
from spinbnn.golden.errors import SpinbnnError

_ERROR_RATES = ("weight_error_01", "weight_error_10", "activation_error")
_LATER = (*_ERROR_RATES, "stochastic_input", "bfloat16")


@dataclass(frozen=True)
class Recipe:
    """All that decides what a training run makes, besides the images.

    The defaults are the recipe of the shipped network ``mnist_1024``. On one machine with one release of
    PyTorch, the same recipe and images give the same network, bit for bit.

    Attributes
    ----------
    name : str
        The name of the recipe and of the network it makes.
    architecture : Architecture
        The shape of the network.
    epochs : int
        Passes over the training images. The network after the last one is the result: none is selected.
    batch_size : int
        Images a step; what is left of an epoch after the last whole batch is not used.
    learning_rate : float
        Adam's step at its largest: it rises linearly during `warmup_epochs`, and falls to 0 along a cosine.
    warmup_epochs : float
        Epochs of the rise.
    initial_weight : float
        Latent weights begin uniformly within plus and minus this.
    shift_pixels, rotation_degrees, zoom, shear : float
        The largest of each change made to an image whenever it is shown: moved by so many pixels each way,
        turned by so many degrees, its size changed by this fraction, slanted by this slope.
    validation_images : int
        Training images that are held out to judge a recipe by. The test images never take part in training.
    seed : int
        Begins the one random generator that initial weights, shuffling, changes to images and errors draw
        from.
    weight_error_01, weight_error_10 : float
        Probability that a stored -1 reads as +1, and a +1 as -1, drawn anew for each batch. Errors are of
        stored bits (BER), in all layers. Batch normalisation learns with them, so the thresholds of the
        network are those for memory with these error rates.
    activation_error : float
        Probability that an activation of +1 or -1 reads as the other one, drawn anew for each batch, while
        training only.
    stochastic_input : bool
        Each pixel is drawn anew for each batch: +1 with a probability of pixel / 255, otherwise -1. For
        networks that take images of +1 and -1.
    bfloat16 : bool
        Sums, activations and gradients are of 16 bits while training, of which 8 are significant: +1 and -1
        and sums up to 256 are exact, others rounded. Latent weights, the statistics of batch normalisation
        and Adam stay of 32 bits, and the network that is made is as exact as any. On a processor that
        multiplies such numbers in tiles (AMX) Network-in-Network learns in a fraction of the time.
    """

    name: str = "mnist_1024"
    architecture: Architecture = ARCHITECTURES["mlp-1024"]
    epochs: int = 90
    batch_size: int = 256
    learning_rate: float = 0.03
    warmup_epochs: float = 0.5
    initial_weight: float = 0.1
    shift_pixels: float = 1.0
    rotation_degrees: float = 10.0
    zoom: float = 0.1
    shear: float = 0.15
    validation_images: int = 0
    seed: int = 1
    weight_error_01: float = 0.0
    weight_error_10: float = 0.0
    activation_error: float = 0.0
    stochastic_input: bool = False
    bfloat16: bool = False

    def __post_init__(self) -> None:
        least = {"classes": 2, "epochs": 1, "batch_size": 2}
        values = {
            "classes": self.architecture.classes,
            "epochs": self.epochs,
            "batch_size": self.batch_size,
        }
        for name, value in values.items():
            if value < least[name]:
                raise SpinbnnError(
                    f"recipe '{self.name}': {name} must be at least {least[name]}, not {value}"
                )
        for name in ("learning_rate", "initial_weight"):
            if not getattr(self, name) > 0:
                raise SpinbnnError(f"recipe '{self.name}': {name} must be above 0, not {getattr(self, name)}")
        for name in (
            "warmup_epochs",
            "shift_pixels",
            "rotation_degrees",
            "zoom",
            "shear",
            "validation_images",
            "seed",
        ):
            if not getattr(self, name) >= 0:
                raise SpinbnnError(
                    f"recipe '{self.name}': {name} must be at least 0, not {getattr(self, name)}"
                )
        if self.seed >= 2**63:
            raise SpinbnnError(f"recipe '{self.name}': seed must be below 2^63, not {self.seed}")
        self._check_errors()
        if self.stochastic_input and not self.architecture.input_signed:
            raise SpinbnnError(f"recipe '{self.name}': stochastic_input is for images of +1 and -1")

    def _check_errors(self) -> None:
        for name in _ERROR_RATES:
            if not 0 <= getattr(self, name) < 0.5:
                raise SpinbnnError(
                    f"recipe '{self.name}': {name} must be a probability from 0 to below 0.5, "
                    f"not {getattr(self, name)}"
                )
        layers = self.architecture.layers
        if (self.weight_error_01 or self.weight_error_10) and any(layer.weight_bits > 1 for layer in layers):
            raise SpinbnnError(
                f"recipe '{self.name}': weight errors are for weights of 1 bit, not of several"
            )
        if self.activation_error and not all(
            layer.activation_bits == 1 and layer.activation_signed for layer in layers[:-1]
        ):
            raise SpinbnnError(
                f"recipe '{self.name}': activation errors are for activations of +1 and -1 alone"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types. What came later than networks that are there is left out unless used."""
        how: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return {name: value for name, value in how.items() if value or name not in _LATER}


MNIST_MLP = Recipe()
"""The fully connected MNIST network 784-1024-1024-10 of the spin-transfer-torque MRAM literature."""

MNIST_MLP_SMALL = Recipe(
    "mnist_128", perceptron("mlp-128", "for trying things out", (784, 128, 10), 8, False), epochs=10
)
"""A small network, trained in about a minute, for trying things out."""


def _preset(name: str, **how: float) -> Recipe:
    """Return the recipe of a preset, which has its name."""
    return replace(MNIST_MLP, name=name, architecture=ARCHITECTURES[name], **how)  # type: ignore[arg-type]


_UPRIGHT = {"rotation_degrees": 0.0, "zoom": 0.0, "shear": 0.0, "batch_size": 100}

_RECIPES = (
    MNIST_MLP,
    MNIST_MLP_SMALL,
    _preset("mlp-1024"),
    _preset("sfc", epochs=30),
    _preset("lfc", epochs=30),
    _preset("tfc", epochs=30),
    _preset("digits", epochs=150, batch_size=64, learning_rate=0.01, shift_pixels=0.5, shear=0.1),
    _preset("lenet4", epochs=12, batch_size=100),
    _preset("bnn-cifar10", epochs=2, **_UPRIGHT),
    _preset("cnv", epochs=2, **_UPRIGHT),
    _preset("cnv-w1a2", epochs=2, **_UPRIGHT),
    _preset("nin", epochs=2, **_UPRIGHT),
)

RECIPES = {recipe.name: recipe for recipe in _RECIPES}
"""The recipes by name: two of networks named after MNIST, and one of every preset but ImageNet's."""
