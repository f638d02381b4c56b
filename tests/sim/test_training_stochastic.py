"""Training on images that are drawn as +1 and -1. Tests marked `train` need PyTorch."""

from dataclasses import replace

import numpy as np
import pytest

from spinbnn.golden.architectures import perceptron
from spinbnn.golden.errors import SpinbnnError
from spinbnn.golden.network import classify, forward
from spinbnn.sim.datasets import Dataset, save_images
from spinbnn.sim.training import RECIPES, Recipe, export, train
from spinbnn.sim.training.run import black_or_white
from spinbnn.sim.training.torch_layers import import_torch

TINY = Recipe(
    "tiny",
    perceptron("tiny", "here", (64, 32, 2), 1, True),
    epochs=6,
    batch_size=20,
    learning_rate=0.02,
    shift_pixels=0.0,
    rotation_degrees=0.0,
    zoom=0.0,
    shear=0.0,
    stochastic_input=True,
)


def test_only_networks_of_signed_images_are_trained_so():
    with pytest.raises(SpinbnnError, match=r"stochastic_input is for images of \+1 and -1"):
        replace(TINY, architecture=RECIPES["digits"].architecture)


def test_a_recipe_says_so_only_where_it_is():
    assert TINY.to_dict()["stochastic_input"] is True
    assert "stochastic_input" not in replace(TINY, stochastic_input=False).to_dict()


@pytest.mark.train
def test_pixels_are_white_as_often_as_they_are_bright():
    torch = import_torch()
    images = np.tile(np.array([0, 51, 204, 255], dtype=np.uint8), (20000, 1))
    drawn = black_or_white(torch, images, torch.Generator().manual_seed(1))
    assert set(np.unique(drawn)) == {0, 255}
    assert drawn.mean(axis=0) == pytest.approx([0, 51, 204, 255], abs=4)


@pytest.mark.train
def test_training_sees_the_grey_that_a_threshold_hides(tmp_path):
    """Both classes are darker than 128: only drawn images differ."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 1000).astype(np.uint8)
    images = np.where(labels[:, None, None] == 1, 90, 30) * np.ones((1, 8, 8))
    save_images(Dataset(images.astype(np.uint8), labels), tmp_path / "train.npz")
    network = export(train(TINY, tmp_path, tmp_path / "checkpoint"))
    bits = (rng.integers(0, 255, (1000, 64)) < images.reshape(1000, 64)).astype(np.uint8)
    assert (classify(forward(network, bits)) == labels).mean() > 0.95
    hidden = export(train(replace(TINY, stochastic_input=False), tmp_path, tmp_path / "other"))
    assert (classify(forward(hidden, bits)) == labels).mean() < 0.8
