"""Errors of weights and activations while training. Tests marked `train` need PyTorch."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spinbnn.golden.architectures import ARCHITECTURES, perceptron
from spinbnn.golden.errors import SpinbnnError
from spinbnn.sim.datasets import Dataset, save_images
from spinbnn.sim.training import RECIPES, Recipe, Status, TrainedModel, export_tested, train
from spinbnn.sim.training.errors import flip_signs
from spinbnn.sim.training.run import Run
from spinbnn.sim.training.torch_layers import TorchLayer, logits
from tests.sim.stripes import stripes

TINY = Recipe(
    "tiny",
    perceptron("tiny", "here", (80, 24, 16, 3), 8, False),
    epochs=3,
    batch_size=20,
    shift_pixels=0.0,
    rotation_degrees=0.0,
    zoom=0.0,
    shear=0.0,
)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"weight_error_01": 0.5}, "weight_error_01 must be a probability from 0 to below 0.5, not 0.5"),
        ({"weight_error_10": -0.1}, "weight_error_10 must be a probability from 0 to below 0.5, not -0.1"),
        (
            {"activation_error": float("nan")},
            "activation_error must be a probability from 0 to below 0.5, not nan",
        ),
        (
            {"architecture": ARCHITECTURES["nin"], "weight_error_10": 0.1},
            "weight errors are for weights of 1 bit, not of several",
        ),
        (
            {"architecture": ARCHITECTURES["cnv-w1a2"], "activation_error": 0.1},
            "activation errors are for activations of +1 and -1 alone",
        ),
    ],
)
def test_impossible_error_rates(change, problem):
    with pytest.raises(SpinbnnError) as caught:
        replace(TINY, **change)
    assert str(caught.value) == f"recipe 'tiny': {problem}"


def test_a_recipe_without_errors_does_not_mention_them():
    assert not any("error" in name for name in RECIPES["sfc"].to_dict())
    noted = replace(TINY, weight_error_10=0.1).to_dict()
    assert noted["weight_error_10"] == 0.1
    assert "weight_error_01" not in noted


def flipped(size: int, rates: tuple[float, float]) -> np.ndarray:
    """Return, bool [2, size], which of so many -1 and of so many +1, mixed, have turned."""
    import torch

    signs = torch.tensor([-1.0, 1.0]).repeat(size)
    flip_signs(torch, signs, *rates, torch.Generator().manual_seed(1))
    intended = np.array([[-1.0], [1.0]])
    return intended != signs.numpy().reshape(size, 2).T


@pytest.mark.train
@pytest.mark.parametrize(
    "rates", [(0.001, 0.001), (0.04, 0.04), (0.3, 0.3), (0.2, 0.01), (0.0, 0.1), (0.1, 0.0), (0.0, 0.0)]
)
def test_signs_turn_at_their_rates_wherever_they_are(rates):
    size = 200_000
    turned = flipped(size, rates)
    for signs, rate in zip(turned, rates, strict=True):
        for part in np.split(signs, 4):
            deviation = (size / 4 * rate * (1 - rate)) ** 0.5
            assert abs(part.sum() - size / 4 * rate) <= 4 * deviation
    neighbours = (turned[0, 1:] & turned[0, :-1]).sum()
    assert abs(neighbours - size * rates[0] ** 2) <= 5 * (size * rates[0] ** 2 + 1) ** 0.5


@pytest.mark.train
def test_every_sign_can_turn_and_nothing_is_drawn_without_errors():
    import torch

    generator = torch.Generator().manual_seed(3)
    met = np.zeros(7)
    for _ in range(400):
        signs = torch.ones(7)
        flip_signs(torch, signs, 0.4, 0.4, generator)
        met += signs.numpy() < 0
    assert (abs(met - 160) < 45).all()
    before = generator.get_state()
    flip_signs(torch, signs, 0.0, 0.0, generator)
    assert torch.equal(before, generator.get_state())
    with pytest.raises(RuntimeError, match="view"):
        flip_signs(torch, torch.ones(4, 4).T[:, 1:], 0.1, 0.1, generator)


@pytest.mark.train
def test_the_next_layer_reads_what_was_disturbed_and_gradients_pass():
    import torch

    shape = perceptron("two", "here", (4, 3, 2), 1, True)
    ones = torch.ones
    layers = [
        TorchLayer(ones(out, into), ones(out), torch.zeros(out), torch.zeros(out), ones(out))
        for into, out in ((4, 3), (3, 2))
    ]
    images = 0.1 * ones(1, 4)  # 0.4 behind the first layer, within the ramp
    found, gradients = [], []
    for disturb in (None, lambda signs: signs.neg_()):
        weights = [layer.weight.clone().requires_grad_() for layer in layers]
        logit = logits(torch, shape, layers, weights, images, False, disturb)
        logit.sum().backward()
        found.append(logit.detach().numpy())
        gradients.append(weights[0].grad.numpy())
    np.testing.assert_array_equal(found[0], -found[1])
    np.testing.assert_array_equal(gradients[0], gradients[1])
    assert gradients[0].all()


@pytest.mark.train
@pytest.mark.parametrize("bfloat16", [False, True])
def test_a_step_computes_in_the_type_of_the_recipe_and_keeps_32_bits(bfloat16, monkeypatch):
    import torch

    met: list[torch.dtype] = []
    monkeypatch.setattr(Run, "_disturb_activations", lambda run, signs: met.append(signs.dtype))
    run = Run(torch, replace(TINY, activation_error=0.1, bfloat16=bfloat16), stripes(40, 1))
    run.step(run.images, run.labels)
    assert met == [torch.bfloat16 if bfloat16 else torch.float32] * 2
    assert {tensor.dtype for layer in run.layers for tensor in vars(layer).values()} == {torch.float32}
    assert all(layer.weight.grad.dtype == torch.float32 for layer in run.layers)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    save_images(stripes(310, 1), tmp_path / "train.npz")
    return tmp_path


def same(one: TrainedModel, other: TrainedModel) -> bool:
    pairs = zip(one.layers, other.layers, strict=True)
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for a, b in pairs for name in vars(a))


@pytest.mark.train
@pytest.mark.parametrize(
    "errors", [{"weight_error_01": 0.1, "weight_error_10": 0.02}, {"activation_error": 0.1}]
)
def test_training_with_errors_learns_and_resumes(errors, data_dir, tmp_path):
    recipe = replace(TINY, **errors)
    whole = train(recipe, data_dir, tmp_path / "whole")
    assert not same(whole, train(TINY, data_dir, tmp_path / "without"))
    network, outcome = export_tested(whole, stripes(200, 2))
    assert outcome.equal == 200  # evaluated without errors
    assert outcome.accuracy > 0.8
    assert network.metadata["recipe"].items() >= errors.items()

    def interrupt(status: Status) -> None:
        if (status.epoch, status.step) == (1, 3):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, data_dir, tmp_path / "stopped", interrupt)
    assert same(train(recipe, data_dir, tmp_path / "stopped"), whole)


@pytest.mark.train
@pytest.mark.parametrize("bfloat16", [False, True])
def test_maps_behind_pooling_are_disturbed_whatever_their_order_in_memory(bfloat16, tmp_path):
    from spinbnn.golden.architectures import Architecture, ConvShape, DenseShape
    from spinbnn.golden.layers import Pool

    shape = Architecture(
        "maps",
        "here",
        (28, 28, 1),
        8,
        False,
        (
            ConvShape(20, 5, pool=Pool("max", (2, 2), (2, 2))),
            ConvShape(7, 5, pool=Pool("or", (2, 2), (2, 2))),
            DenseShape(2),
        ),
    )
    random = np.random.default_rng(1)
    labels = random.integers(0, 2, 200).astype(np.uint8)
    pixels = random.integers(0, 100, (200, 28, 28), dtype=np.uint8)
    pixels[labels == 1, :14] += 100
    save_images(Dataset(pixels, labels), tmp_path / "train.npz")
    recipe = replace(TINY, architecture=shape, epochs=8, activation_error=0.1, bfloat16=bfloat16)
    made = train(recipe, tmp_path, tmp_path / "errors")
    _, outcome = export_tested(made, Dataset(pixels, labels))
    assert outcome.equal == 200
    assert outcome.accuracy > 0.9
    assert not same(made, train(replace(recipe, activation_error=0.2), tmp_path, tmp_path / "more"))


@pytest.mark.train
def test_sums_that_batch_normalisation_learns_shrink_with_the_error_rate(data_dir, tmp_path):
    model = train(replace(TINY, weight_error_01=0.3, weight_error_10=0.3), data_dir, tmp_path / "checkpoint")
    images = stripes(310, 1).pixels.astype(np.float64)
    without_errors = images @ model.layers[0].weights.T
    learned = model.layers[0].mean
    ratio = (learned @ without_errors.mean(0)) / (without_errors.mean(0) @ without_errors.mean(0))
    assert ratio == pytest.approx(1 - 2 * 0.3, abs=0.05)
