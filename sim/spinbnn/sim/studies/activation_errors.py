"""Learning with activations that are stored wrong: how many may be.

After M. Tzoufras, M. Gajek, A. Walker, "Magnetoresistive RAM for error resilient XNOR-Nets" (2019):
activations of +1 and -1 flip with a probability while a network is trained, and do not when it is tested.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from spinbnn.golden.architectures import Architecture
from spinbnn.sim.datasets import Dataset, load_split, save_images
from spinbnn.sim.image_formats import Split
from spinbnn.sim.studies.activation_errors_findings import findings
from spinbnn.sim.studies.cells import number, whole
from spinbnn.sim.studies.networks import locked, trained, training_directory
from spinbnn.sim.studies.study import Row, Setting, Study, StudyOptions
from spinbnn.sim.studies.study_recipes import DIGITS, LENET4, MNIST_256, NIN

RATES = (0.0, 0.01, 0.02, 0.04, 0.08, 0.16)
"""Probabilities that an activation flips while training."""

_NIN_RATES = (0.0, 0.04, 0.08, 0.16)
_NIN_DATA = ("cifar10", "fashion-mnist", "mnist")  # the first of these that is given

CLASSES = (2, 5, 10)
_CLASS_RATES = (0.0, 0.08, 0.16, 0.3)
_SEEDS = (1, 2, 3)
_MORE_SEEDS = (1, 2, 3, 4, 5)
"""Of digits, which have few test images, and of LeNet-4, which loses and gains a tenth of a point."""
_RECIPES = {recipe.name: recipe for recipe in (DIGITS, LENET4, NIN, replace(MNIST_256, epochs=4))}
_SPLITS: tuple[Split, Split] = ("train", "test")


def settings(options: StudyOptions) -> list[Setting]:
    """Return a setting for each training: with all classes, the largest network last, and with fewer."""
    if options.quick or "mnist" not in options.data:
        plain = [(DIGITS.name, "digits", 10, rate) for rate in (0.0, 0.04, 0.16, 0.3)]
        few = [(DIGITS.name, "digits", 3, rate) for rate in (0.0, 0.3)]
    else:
        of_nin = next(data for data in _NIN_DATA if data in options.data)
        plain = [(LENET4.name, "mnist", 10, rate) for rate in RATES]
        plain += [(NIN.name, of_nin, 10, rate) for rate in _NIN_RATES]
        few = [(MNIST_256.name, "mnist", classes, rate) for classes in CLASSES for rate in _CLASS_RATES]
    return [
        {"network": network, "data": data, "classes": classes, "activation_error": rate, "seed": seed}
        for network, data, classes, rate in (*plain, *few)
        for seed in (_MORE_SEEDS if network in (DIGITS.name, LENET4.name) else _SEEDS)
    ]


def measure(setting: Setting, options: StudyOptions) -> list[Row]:
    """Train with errors, test without."""
    data, classes = str(setting["data"]), whole(setting, "classes")
    recipe = _RECIPES[str(setting["network"])]
    recipe = replace(
        recipe,
        architecture=_with_classes(recipe.architecture, classes),
        seed=whole(setting, "seed"),
        activation_error=number(setting, "activation_error"),
    )
    network = trained(recipe, _directory(data, classes, options), options.folder)
    images, right = (int(network.metadata[name]) for name in ("test_images", "test_correct"))
    return [{**setting, "images": images, "right": right, "accuracy": right / images}]


def _with_classes(architecture: Architecture, classes: int) -> Architecture:
    *hidden, last = architecture.layers
    return replace(architecture, layers=(*hidden, replace(last, neurons=classes)))


def _directory(data: str, classes: int, options: StudyOptions) -> Path:
    """Return the directory of a data set, or of its images of the first classes alone, which is made."""
    whole_set = training_directory(options, data)
    if classes == 10:
        return whole_set
    some = options.folder / f"{data}-{classes}-classes"
    with locked(some / "images"):
        for split in _SPLITS:
            path = some / f"{split}.npz"
            if not path.exists():
                images = load_split(whole_set, split)
                chosen = images.labels < classes
                save_images(Dataset(images.images[chosen], images.labels[chosen]), path)
    return some


STUDY = Study(
    name="activation-errors",
    title="Wrong activations while learning",
    question="How many activations may be stored wrong while a network learns?",
    paper="Tzoufras, Gajek, Walker, Magnetoresistive RAM for error resilient XNOR-Nets, arXiv 1905.10927",
    settings=settings,
    measure=measure,
    findings=findings,
    needs_torch=True,
)
