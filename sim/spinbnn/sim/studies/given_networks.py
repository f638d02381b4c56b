"""The networks of studies that write and run them: shipped ones, and others trained from several seeds."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from spinbnn.golden.network import Network
from spinbnn.golden.network_file import load_network
from spinbnn.sim.assets import SHIPPED_NETWORKS
from spinbnn.sim.studies.study import Setting, StudyOptions
from spinbnn.sim.training.recipes import RECIPES

TRAINING_SEEDS = (1, 2, 3)

_CIFAR10_EPOCHS = 10

TRAINED = ("study_mnist_1024", "study_fashion_1024", "study_cnv_cifar10")
"""Networks that are trained, by the names of their recipes."""

DATA = {
    "mnist_1024": "mnist",
    "sfc": "mnist",
    "lenet4": "mnist",
    "digits": "digits",
    "cnv": "fashion-mnist",
    "study_mnist_1024": "mnist",
    "study_fashion_1024": "fashion-mnist",
    "study_cnv_cifar10": "cifar10",
}
"""Data sets of shipped and trained networks."""


def given_network(setting: Setting, options: StudyOptions) -> Network:
    """Return the network of a setting: shipped where "training_seed" is None, else trained from that seed.

    Parameters
    ----------
    setting : Setting
        With "network", "data" and "training_seed".
    options : StudyOptions

    Raises
    ------
    SpinbnnError
        If a network must be trained and its images or PyTorch are missing.
    """
    name, data, seed = str(setting["network"]), str(setting["data"]), setting["training_seed"]
    if seed is None:
        return load_network(SHIPPED_NETWORKS[name])
    return _trained(name, int(seed), options.directory(data), options.folder)


@lru_cache(maxsize=8)
def _trained(name: str, seed: int, directory: Path, folder: Path) -> Network:
    # Only where networks are trained: PyTorch takes seconds to import, and may be missing.
    from spinbnn.sim.studies import study_recipes  # noqa: PLC0415
    from spinbnn.sim.studies.networks import trained  # noqa: PLC0415

    cifar10 = replace(RECIPES["cnv"], name="study_cnv_cifar10", epochs=_CIFAR10_EPOCHS)
    recipes = (study_recipes.MNIST_1024, study_recipes.FASHION_1024, cifar10)
    recipe = next(recipe for recipe in recipes if recipe.name == name)
    return trained(replace(recipe, seed=seed), directory, folder)
