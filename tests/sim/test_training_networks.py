"""Training and export of every kind of layer; with the marker `train`, against PyTorch.

The exact checks here are of one neuron at a time, in rationals, from the integers that golden computes.
"""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from spinbnn.golden.architectures import Architecture, ConvShape, DenseShape
from spinbnn.golden.errors import DataError
from spinbnn.golden.layers import Pool
from spinbnn.golden.network import classify, forward, trace
from spinbnn.sim.datasets import Dataset, save_images
from spinbnn.sim.training import (
    EPSILON,
    Recipe,
    TrainedLayer,
    TrainedModel,
    export,
    export_tested,
    train,
    verify,
)
from spinbnn.sim.training.model import activation_levels
from spinbnn.sim.training.torch_layers import _integers, import_torch

MAX = Pool("max", (2, 2), (2, 2))
SUM = Pool("sum", (3, 2), (1, 2))
OR = Pool("or", (2, 2), (1, 1))
WHOLE = Pool("sum", (2, 2), (1, 1))

ARCHITECTURES = {
    "signs": (
        ConvShape(16, 3, padding=(1, 0, 2, 1), pool=MAX),
        ConvShape(17, 2, pool=OR, relu=True),
        DenseShape(50, relu=True),
        DenseShape(4),
    ),
    "integers": (
        ConvShape(6, 3, stride=2, weight_bits=8, activation_bits=2),
        ConvShape(
            8, 1, padding=(1, 1, 0, 0), pool=SUM, relu=True, activation_bits=4, activation_signed=False
        ),
        DenseShape(9, weight_bits=3, activation_bits=3),
        DenseShape(8, activation_bits=1, activation_signed=False),
        DenseShape(4, weight_bits=2),
    ),
    "convolutions": (
        ConvShape(5, 3, pool=Pool("or", (2, 2), (2, 2)), activation_bits=2),
        ConvShape(4, 1, pool=Pool("sum", (3, 2), (1, 1)), relu=True),
    ),
}


def architecture(name: str, signed: bool = False) -> Architecture:
    return Architecture(name, "here", (8, 7, 3), 1 if signed else 8, signed, ARCHITECTURES[name])


def images(count: int, seed: int) -> Dataset:
    """Return colour images in four classes: a bright corner each."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 4, count).astype(np.uint8)
    pixels = random.integers(0, 150, (count, 8, 7, 3), dtype=np.uint8)
    for corner in range(4):
        rows, columns = (
            slice(4 * (corner // 2), 4 * (corner // 2) + 4),
            slice(3 * (corner % 2), 3 * (corner % 2) + 4),
        )
        pixels[labels == corner, rows, columns] += 105
    return Dataset(pixels, labels)


def random_model(name: str, seed: int, signed: bool = False) -> TrainedModel:
    """Return a model with the normalisation that training would find for random weights."""
    random = np.random.default_rng(seed)
    shape = architecture(name, signed)
    pixels = images(100, seed).fitted(shape).pixels
    layers = []
    for plan in shape.plan():
        neurons, bits = plan.shape.neurons, plan.shape.weight_bits
        codes = random.integers(0, 2**bits, (neurons, plan.sum_length))
        gamma = random.normal(size=neurons)
        gamma[:2] = 0, -1
        layers.append(
            TrainedLayer(
                weights=(2 * codes - (2**bits - 1)).astype(np.int16),
                gamma=gamma.astype(np.float32),
                beta=random.normal(0, 0.3, neurons).astype(np.float32),
                mean=np.zeros(neurons, np.float32),
                variance=np.ones(neurons, np.float32),
            )
        )
    layers[-1] = replace(
        layers[-1], gamma=np.array([1, 1.25, 1.5, 1], np.float32), beta=np.zeros(4, np.float32)
    )
    for index in range(len(layers)):
        model = TrainedModel(Recipe(name, shape), tuple(layers), "none", "none", ())
        integers = trace(export(model), pixels)[index].sums.reshape(-1, len(layers[index].gamma))
        mean, variance = integers.mean(0), integers.var(0) + 1
        layers[index] = replace(
            layers[index], mean=mean.astype(np.float32), variance=variance.astype(np.float32)
        )
    return replace(model, layers=tuple(layers))


def reached(layer: TrainedLayer, neuron: int, integer: int, level: float) -> bool:
    """Return whether a neuron's normalised integer is at least a level, in rationals alone."""
    gamma, beta, mean, variance = (
        Fraction(float(values[neuron])) for values in (layer.gamma, layer.beta, layer.mean, layer.variance)
    )
    left = gamma * (integer - mean)
    right = Fraction(float(np.float64(layer.beta[neuron]) - level))
    assert abs(right - (beta - Fraction(level))) < Fraction(1, 2**52)
    return left * abs(left) / (variance + Fraction(EPSILON)) >= -right * abs(right)


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("signed", [False, True])
def test_export_folds_every_kind_of_layer_exactly(name, signed):
    model = random_model(name, 7, signed)
    network = export(model)
    pixels = images(6, 8).fitted(model.recipe.architecture).pixels
    steps = trace(network, pixels)
    for shape, layer, golden, step in zip(
        model.recipe.architecture.layers[:-1], model.layers, network.layers, steps, strict=False
    ):
        if shape.pool is not None and shape.pool.kind == "or":
            continue  # its integers and its activations are not of one shape
        levels = activation_levels(shape)
        integers = step.sums.reshape(6, -1, golden.neurons)
        assert step.bits is not None
        codes = step.bits.reshape(integers.shape)
        lowest = -(2 ** (shape.activation_bits - 1)) + 1 if len(levels) > 1 and shape.activation_signed else 0
        for image, position, neuron in np.ndindex(integers.shape):
            integer = int(integers[image, position, neuron])
            count = sum(reached(layer, neuron, integer, level) for level in levels)
            assert codes[image, position, neuron] == (lowest + count) % 2**shape.activation_bits
        assert len(np.unique(codes)) > max(1, len(levels) / 2)  # otherwise equality is easy


@pytest.mark.train
@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_any_model_and_its_export_agree(name, signed, seed):
    model = random_model(name, seed, signed)
    network = export(model)
    data = images(300, seed)
    assert verify(model, network, data).equal == 300
    classes = classify(forward(network, data.fitted(model.recipe.architecture).pixels))
    assert np.bincount(classes).max() < 295  # otherwise equality is easy


@pytest.mark.train
@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_kind_of_layer_learns_and_resumes(name, bfloat16, tmp_path):
    save_images(images(400, 1), tmp_path / "train.npz")
    recipe = Recipe(name, architecture(name), epochs=6, batch_size=20, shift_pixels=0.5, bfloat16=bfloat16)
    model = train(recipe, tmp_path, tmp_path / "whole")
    network, outcome = export_tested(model, images(200, 2))
    assert outcome.equal == outcome.images == 200
    assert outcome.accuracy > 0.8
    assert network.metadata["test_correct"] == outcome.correct
    assert {abs(int(w)) % 2 for layer in model.layers for w in np.unique(layer.weights)} == {1}

    def interrupt(status: object) -> None:
        if getattr(status, "epoch", 0) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path, tmp_path / "interrupted", interrupt)
    resumed = train(recipe, tmp_path, tmp_path / "interrupted")
    for one, other in zip(model.layers, resumed.layers, strict=True):
        for field in vars(one):
            np.testing.assert_array_equal(getattr(one, field), getattr(other, field))


@pytest.mark.train
@pytest.mark.parametrize("length", [258, 259])
def test_sums_in_float64_are_exact_on_both_sides_of_what_float32_holds(length):
    torch = import_torch()
    shape = Architecture("long", "here", (1, 1, length), 8, False, (DenseShape(2, weight_bits=8),))
    (plan,) = shape.plan()
    assert (plan.reach <= 2**24) == (length == 258)
    weight = torch.full((2, length), 255.0, dtype=torch.float64)
    weight[1, 0] = 253
    sums = _integers(torch, plan, weight, torch.full((1, length), 255.0, dtype=torch.float64))
    assert sums.dtype == torch.float64
    assert sums.tolist() == [[length * 255**2, length * 255**2 - 2 * 255]]


@pytest.mark.train
def test_grey_images_are_fitted_while_training(tmp_path: Path):
    data = images(200, 3)
    grey = Dataset(data.images[..., 0], data.labels)
    save_images(grey, tmp_path / "train.npz")
    wide = replace(architecture("signs"), input_shape=(9, 9, 3))
    recipe = Recipe(
        "wide", wide, epochs=4, batch_size=20, shift_pixels=0.0, rotation_degrees=0.0, zoom=0.0, shear=0.0
    )
    model = train(recipe, tmp_path, tmp_path / "checkpoint")
    _, outcome = export_tested(model, grey)
    assert outcome.equal == 200
    assert outcome.accuracy > 0.6
    with pytest.raises(DataError, match="images must fit a network that takes 4 x 4 x 3 elements"):
        train(
            replace(recipe, architecture=replace(wide, input_shape=(4, 4, 3), layers=(DenseShape(4),))),
            tmp_path,
            tmp_path,
        )


@pytest.mark.train
def test_weights_of_several_bits_are_the_nearest_odd_integers():
    import torch

    from spinbnn.sim.training.torch_layers import quantised

    latent = torch.tensor([-1.0, -0.7, -0.6, -0.01, 0.01, 0.6, 0.7, 1.0])
    assert quantised(latent, 1).tolist() == [-1, -1, -1, -1, 1, 1, 1, 1]
    assert quantised(latent, 2).tolist() == [-3, -3, -1, -1, 1, 1, 3, 3]
    assert quantised(torch.linspace(-1, 1, 1000), 8).unique().tolist() == list(range(-255, 256, 2))
