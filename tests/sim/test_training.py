"""Recipes, export to integers and the shipped network; with the marker `train`, training itself.

Tests marked `train` need PyTorch. Left out by default, they are run by ``make test-train``, or, where PyTorch
is installed, by ``pytest -m train tests/sim/test_training.py``.
"""

import sys
from dataclasses import replace
from fractions import Fraction
from itertools import count, pairwise
from pathlib import Path
from typing import IO

import numpy as np
import pytest

from spinbnn.golden.architectures import ARCHITECTURES, perceptron
from spinbnn.golden.encoding import unpack
from spinbnn.golden.errors import SpinbnnError
from spinbnn.golden.layers import Affine, Threshold
from spinbnn.golden.network import Network, classify, forward, trace
from spinbnn.golden.network_file import load_network
from spinbnn.sim.assets import MNIST_NETWORK
from spinbnn.sim.datasets import Dataset, bundled_images, save_images
from spinbnn.sim.training import (
    EPSILON,
    MNIST_MLP,
    RECIPES,
    Recipe,
    Status,
    TrainedLayer,
    TrainedModel,
    export,
    export_tested,
    progress_bar,
    train,
    verify,
)
from spinbnn.sim.training.run import Run, distorted
from spinbnn.sim.training.torch_layers import sign
from tests.sim.stripes import stripes

TINY = Recipe("tiny", perceptron("tiny", "here", (80, 24, 16, 3), 8, False), epochs=3, batch_size=20)
SMALLER = replace(TINY, architecture=perceptron("smaller", "here", (35, 24, 16, 3), 8, False))


def message(call, *arguments: object) -> str:
    with pytest.raises(SpinbnnError) as caught:
        call(*arguments)
    text = str(caught.value)
    assert "\n" not in text
    return text


def trained_layer(random: np.random.Generator, inputs: int, outputs: int, pixels: bool) -> TrainedLayer:
    """Return a layer normalised to the sums that occur, with gamma of both signs and 0."""
    middle, deviation = (127.5, 74.0) if pixels else (0.0, 1.0)
    weights = random.choice(np.array([-1, 1], np.int16), (outputs, inputs))
    spread = deviation * inputs**0.5
    gamma = random.normal(size=outputs)
    gamma[:2] = 0, -1
    return TrainedLayer(
        weights=weights,
        gamma=gamma.astype(np.float32),
        beta=random.normal(0, 0.3, outputs).astype(np.float32),
        mean=(middle * weights.sum(1) + random.normal(0, 0.3 * spread, outputs)).astype(np.float32),
        variance=(spread**2 * random.uniform(0.5, 2, outputs)).astype(np.float32),
    )


def tiny_model(seed: int = 5) -> TrainedModel:
    random = np.random.default_rng(seed)
    sizes = (35, 24, 16, 3)
    layers = [trained_layer(random, *pair, pixels=index == 0) for index, pair in enumerate(pairwise(sizes))]
    # The classes compete: none has a normalisation that lets it always win.
    layers[-1] = replace(layers[-1], gamma=np.array([1, 1.25, 1.5], np.float32), beta=np.zeros(3, np.float32))
    return TrainedModel(SMALLER, tuple(layers), "none", "none", ())


def is_at_least_zero(a: Fraction, b: Fraction, radicand: Fraction) -> bool:
    """Return whether a / sqrt(radicand) + b >= 0, in rationals alone."""
    left = a * abs(a) / radicand
    return left >= -b * abs(b)


def exact(values: np.ndarray) -> list[Fraction]:
    return [Fraction(float(value)) for value in values]


def test_export_takes_the_weights_as_they_are():
    model = tiny_model()
    network = export(model)
    for layer, dense in zip(model.layers, network.layers, strict=True):
        np.testing.assert_array_equal(unpack(dense.weights, dense.inputs) * 2 - 1.0, layer.weights)


def test_export_folds_hidden_layers_exactly():
    model = tiny_model()
    images = np.random.default_rng(6).integers(0, 256, (40, 35), dtype=np.uint8)
    network = export(model)
    ones = 0
    x = images.astype(np.int64)
    for layer, step in zip(model.layers[:-1], trace(network, images), strict=False):
        sums = x @ layer.weights.T.astype(np.int64)
        np.testing.assert_array_equal(step.sums, sums)
        gamma, beta, mean, variance = map(exact, (layer.gamma, layer.beta, layer.mean, layer.variance))
        expected = [
            [
                is_at_least_zero(g * (int(s) - m), b, v + Fraction(EPSILON))
                for s, g, b, m, v in zip(row, gamma, beta, mean, variance, strict=True)
            ]
            for row in sums
        ]
        assert step.bits is not None
        np.testing.assert_array_equal(step.bits, np.array(expected, np.uint8))
        ones += step.bits.sum()
        x = 2 * step.bits.astype(np.int64) - 1
    assert 0.2 < ones / (40 * 40) < 0.8  # thresholds that always or never fire would prove nothing


def test_exported_logits_are_the_normalised_sums_times_one_factor():
    model = tiny_model()
    network = export(model)
    images = np.random.default_rng(7).integers(0, 256, (40, 35), dtype=np.uint8)
    last = model.layers[-1]
    sums = trace(network, images)[-1].sums.astype(np.float64)
    normalised = (
        last.gamma * (sums - last.mean) / np.sqrt(last.variance.astype(np.float64) + EPSILON) + last.beta
    )
    logits = forward(network, images).astype(np.float64)
    factor = logits.ravel() @ normalised.ravel() / (normalised.ravel() @ normalised.ravel())
    assert factor > 0
    np.testing.assert_allclose(
        logits, factor * normalised, rtol=0, atol=1 + 16 / 2
    )  # half a unit of scale a sum
    head = network.layers[-1].head
    assert isinstance(head, Affine)
    assert np.abs(head.scale).max() == 2**15 - 1


@pytest.mark.parametrize(("field", "value"), [("beta", 1e6), ("variance", 1e-5), ("variance", 1e12)])
def test_extreme_last_layers_stay_within_32_bits(field, value):
    model = tiny_model()
    *hidden, last = model.layers
    last = replace(last, **{field: np.full(3, value, np.float32)})
    head = export(replace(model, layers=(*hidden, last))).layers[-1].head
    assert isinstance(head, Affine)
    assert np.abs(head.scale.astype(np.int64)).max() * 16 + np.abs(head.bias.astype(np.int64)).max() >= 2**14


def test_a_last_layer_that_tells_nothing_apart_is_refused():
    *hidden, last = tiny_model().layers
    flat = replace(tiny_model(), layers=(*hidden, replace(last, gamma=np.zeros(3, np.float32))))
    assert message(export, flat) == (
        "the last normalisation must tell classes apart, but all its factors (gamma) are 0"
    )


def test_export_says_where_the_network_comes_from():
    metadata = export(tiny_model()).metadata
    assert metadata["recipe"] == SMALLER.to_dict()
    assert metadata["recipe"]["architecture"]["layers"][1]["neurons"] == 16
    assert metadata["torch"] == "none"
    assert metadata["training_data_sha256"] == "none"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"epochs": 0}, "epochs must be at least 1, not 0"),
        ({"batch_size": 1}, "batch_size must be at least 2, not 1"),
        (
            {"architecture": perceptron("one", "here", (784, 1), 8, False)},
            "classes must be at least 2, not 1",
        ),
        ({"learning_rate": 0.0}, "learning_rate must be above 0, not 0.0"),
        ({"learning_rate": float("nan")}, "learning_rate must be above 0, not nan"),
        ({"initial_weight": -1.0}, "initial_weight must be above 0, not -1.0"),
        ({"zoom": -0.1}, "zoom must be at least 0, not -0.1"),
        ({"seed": -1}, "seed must be at least 0, not -1"),
        ({"seed": 2**63}, "seed must be below 2^63, not 9223372036854775808"),
    ],
)
def test_impossible_recipes(change, problem):
    assert message(lambda: Recipe(**change)) == f"recipe 'mnist_1024': {problem}"


def test_recipes_are_found_by_their_names():
    assert all(RECIPES[name].name == name for name in RECIPES)
    assert RECIPES["mnist_1024"] is MNIST_MLP
    presets = [recipe.architecture for name, recipe in RECIPES.items() if name in ARCHITECTURES]
    assert presets == [ARCHITECTURES[name] for name in ARCHITECTURES if name != "xnor-alexnet"]
    assert RECIPES["mlp-1024"] == replace(MNIST_MLP, name="mlp-1024")


def test_without_pytorch_training_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    cure = 'training needs PyTorch: pip install "spinbnn[train]"'
    assert message(train, TINY, tmp_path, tmp_path / "checkpoint") == cure
    data = Dataset(np.zeros((1, 5, 7), np.uint8), np.zeros(1, np.uint8))
    assert message(verify, tiny_model(), export(tiny_model()), data) == cure


# The shipped network.


def test_the_shipped_network_is_the_papers_one():
    network = load_network(MNIST_NETWORK)
    assert [(layer.inputs, layer.outputs) for layer in network.layers] == [
        (784, 1024),
        (1024, 1024),
        (1024, 10),
    ]
    assert network.input_bits == 8
    assert not network.input_signed
    assert isinstance(network.layers[0].head, Threshold)


def test_the_shipped_network_was_made_by_the_shipped_recipe():
    metadata = load_network(MNIST_NETWORK).metadata
    how = MNIST_MLP.to_dict()
    del how["architecture"]
    assert metadata["recipe"] == how | {"hidden": [1024, 1024], "classes": 10}
    assert metadata["test_images"] == metadata["test_equal"] == 10_000
    assert metadata["test_correct"] == 9_903


def test_the_shipped_network_knows_the_shipped_images():
    data = bundled_images()
    classes = classify(forward(load_network(MNIST_NETWORK), data.pixels))
    assert int((classes == data.labels).sum()) == 495  # of 500


# Training itself.


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    save_images(stripes(310, 1), folder / "train.npz")
    return folder


def assert_same(one: TrainedModel, other: TrainedModel) -> None:
    assert one.history == other.history
    for a, b in zip(one.layers, other.layers, strict=True):
        for name in vars(a):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


@pytest.mark.train
def test_training_learns_and_the_export_is_equal(data_dir, tmp_path):
    statuses: list[Status] = []
    model = train(TINY, data_dir, tmp_path / "checkpoint", statuses.append)
    assert [status.epoch for status in model.history] == [1, 2, 3]
    assert model.history[-1].loss < model.history[0].loss
    assert len(statuses) == 3 * (15 + 1)
    assert [status.step for status in statuses[:17]] == [*range(1, 16), 0, 1]
    network, outcome = export_tested(model, stripes(200, 2))
    assert outcome.images == outcome.equal == 200
    assert outcome.accuracy > 0.9
    assert network.metadata["test_correct"] == outcome.correct
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint", "data"]


@pytest.mark.train
def test_verify_notices_a_network_that_differs(data_dir, tmp_path):
    model = train(TINY, data_dir, tmp_path / "checkpoint")
    network = export(model)
    *hidden, last = network.layers
    assert isinstance(last.head, Affine)
    wrong = replace(last, head=Affine(-last.head.scale, -last.head.bias))
    outcome = verify(model, Network("wrong", (*hidden, wrong), 8, False, {}), stripes(200, 2))
    assert outcome.equal < 100
    assert outcome.correct < 100


@pytest.mark.train
@pytest.mark.parametrize("seed", range(5))
def test_any_model_and_its_export_agree(seed):
    model = tiny_model(seed)
    random = np.random.default_rng(seed)
    data = Dataset(random.integers(0, 256, (300, 5, 7), dtype=np.uint8), np.zeros(300, np.uint8))
    network = export(model)
    assert verify(model, network, data).equal == 300
    assert np.bincount(classify(forward(network, data.pixels))).max() < 290  # otherwise equality is easy


@pytest.mark.train
def test_an_interrupted_run_ends_like_one_that_was_not(data_dir, tmp_path):
    whole = train(TINY, data_dir, tmp_path / "whole")
    steps = count()

    def interrupt(status: Status) -> None:
        if next(steps) == 20:  # in the second epoch
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(TINY, data_dir, tmp_path / "interrupted", interrupt)
    seen: list[Status] = []
    resumed = train(TINY, data_dir, tmp_path / "interrupted", seen.append)
    assert seen[0].epoch == 1
    assert_same(resumed, whole)
    again: list[Status] = []
    assert_same(train(TINY, data_dir, tmp_path / "interrupted", again.append), whole)
    assert again == []


@pytest.mark.train
def test_the_seed_decides(data_dir, tmp_path):
    one, same = (train(TINY, data_dir, tmp_path / name) for name in "ab")
    assert_same(one, same)
    other = train(replace(TINY, seed=2), data_dir, tmp_path / "c")
    assert (one.layers[0].weights != other.layers[0].weights).mean() > 0.2


@pytest.mark.train
def test_held_out_images_are_judged_and_not_learned_from(data_dir, tmp_path):
    recipe = replace(TINY, validation_images=100)
    model = train(recipe, data_dir, tmp_path / "checkpoint")
    assert model.history[0].steps == 10
    accuracies = [status.validation_accuracy or 0.0 for status in model.history]
    for accuracy in accuracies:
        assert accuracy * 100 == pytest.approx(round(accuracy * 100))  # of 100 images
    assert accuracies[-1] > 0.8


@pytest.mark.train
def test_checkpoints_of_something_else_are_refused(data_dir, tmp_path):
    path = tmp_path / "checkpoint"
    train(replace(TINY, epochs=1), data_dir, path)
    assert message(train, TINY, data_dir, path) == (
        f"checkpoint {path} does not fit the recipe; delete it or name another file"
    )
    save_images(stripes(310, 3), data_dir / "train.npz")
    assert message(train, replace(TINY, epochs=1), data_dir, path) == (
        f"checkpoint {path} does not fit the images; delete it or name another file"
    )
    for content in (b"", b"not a checkpoint", path.read_bytes()[:-100]):
        path.write_bytes(content)
        assert message(train, TINY, data_dir, path) == (
            f"{path} is not a checkpoint of a training run; delete it or name another file"
        )


@pytest.mark.train
def test_a_checkpoint_that_cannot_be_written_is_found_out_at_once(data_dir, tmp_path):
    path = tmp_path / "missing" / "checkpoint"
    seen: list[Status] = []
    assert message(train, TINY, data_dir, path, seen.append) == (
        f"checkpoint {path} cannot be written (No such file or directory); name a file in a writable folder"
    )
    assert seen == []


@pytest.mark.train
def test_a_full_disk_leaves_the_old_checkpoint_and_no_other(data_dir, tmp_path, monkeypatch):
    import torch

    path = tmp_path / "checkpoint"
    train(TINY, data_dir, path)
    before = path.read_bytes()

    def fill_disk(content: object, file: IO[bytes]) -> None:
        file.write(b"begun")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", fill_disk)
    for name in ("checkpoint", "new"):
        run = Run(torch, TINY, stripes(310, 1))
        assert message(run.save, tmp_path / name) == (
            f"checkpoint {tmp_path / name} cannot be written (No space left on device); "
            "name a file in a writable folder"
        )
    assert path.read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["checkpoint", "data"]


@pytest.mark.train
def test_images_that_do_not_fit_the_recipe(data_dir, tmp_path):
    path = tmp_path / "checkpoint"
    two = replace(TINY, architecture=perceptron("two", "here", (80, 2), 8, False))
    assert message(train, two, data_dir, path) == (
        f"recipe 'tiny': classes must be more than the largest label in {data_dir}, which is 2, not 2"
    )
    assert message(train, SMALLER, data_dir, path) == (
        "images must fit a network that takes 1 x 1 x 35 elements, not be 10 x 8 x 1"
    )
    assert message(train, replace(TINY, batch_size=200, validation_images=120), data_dir, path) == (
        "recipe 'tiny': 310 training images with 120 held out must fill a batch of 200"
    )


@pytest.mark.train
def test_latent_weights_are_clipped(data_dir, tmp_path):
    import torch

    path = tmp_path / "checkpoint"
    train(replace(TINY, learning_rate=0.5), data_dir, path)
    for layer in torch.load(path, weights_only=True)["layers"]:
        assert layer["weight"].abs().max() == 1


@pytest.mark.train
def test_the_sign_of_zero_is_plus_one():
    import torch

    signs = sign(torch.tensor([-2.0, -1e-30, -0.0, 0.0, 1e-30, 2.0]))
    assert signs.tolist() == [-1, -1, 1, 1, 1, 1]


@pytest.mark.train
def test_distortion_moves_and_turns_whole_pixels():
    import torch

    generator = torch.Generator().manual_seed(1)
    still = replace(TINY, shift_pixels=0.0, rotation_degrees=0.0, zoom=0.0, shear=0.0)
    images = torch.tensor(stripes(50, 1).images)
    np.testing.assert_array_equal(distorted(torch, images, still, generator), images)
    assert (distorted(torch, images, TINY, generator) != images.numpy()).mean() > 0.5
    point = torch.zeros((400, 9, 9), dtype=torch.uint8)
    point[:, 4, 4] = 255
    shifted = distorted(torch, point, replace(still, shift_pixels=2.0), generator).astype(float)
    weight = shifted.sum((1, 2))
    rows = (shifted.sum(2) * np.arange(9)).sum(1) / weight - 4
    columns = (shifted.sum(1) * np.arange(9)).sum(1) / weight - 4
    for offset in (rows, columns):
        assert 1.8 < offset.max() < 2.05
        assert -2.05 < offset.min() < -1.8


@pytest.mark.train
def test_the_channels_of_an_image_move_together():
    import torch

    grey = torch.tensor(stripes(30, 1).images)
    colours = torch.stack([grey, grey // 2, torch.full_like(grey, 100)], 3)
    moved = distorted(torch, colours, TINY, torch.Generator().manual_seed(1))
    alone = distorted(torch, grey, TINY, torch.Generator().manual_seed(1))
    assert moved.shape == (30, 10, 8, 3)
    np.testing.assert_array_equal(moved[..., 0], alone)
    assert np.abs(moved[..., 1].astype(int) - alone.astype(int) // 2).max() <= 1


@pytest.mark.train
def test_the_bar_follows_training(data_dir, tmp_path, capsys):
    with progress_bar(TINY) as progress:
        train(TINY, data_dir, tmp_path / "checkpoint", progress)
    output = capsys.readouterr()
    assert output.out == ""
    shown = output.err
    assert "tiny" in shown
    assert "epoch 3/3" in shown
    assert "loss" in shown
