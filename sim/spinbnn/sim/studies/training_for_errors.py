"""Does a network learn to bear wrong weights? Trained with errors, tested with others.

After T. Hirtzlin et al., "Outstanding Bit Error Tolerance of Resistive RAM-Based Binarized Neural Networks"
(2019). While training, errors are drawn anew for each batch; tested are static errors, drawn once for all
images, in all layers.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spinbnn.golden.matched_thresholds import matched_thresholds
from spinbnn.golden.monte_carlo import flipped_network
from spinbnn.golden.network import Network
from spinbnn.sim.studies.cells import number, whole
from spinbnn.sim.studies.evaluation import losses, right_classes, seed_of, test_images
from spinbnn.sim.studies.networks import trained, training_directory
from spinbnn.sim.studies.study import Row, Setting, Study, StudyOptions
from spinbnn.sim.studies.study_recipes import DIGITS, FASHION_256_BINARY, MNIST_256_BINARY, MNIST_1024
from spinbnn.sim.studies.training_for_errors_findings import findings

TRAINING_RATES = (0.0, 0.01, 0.04, 0.1, 0.2)
TEST_RATES = (0.0, 1e-4, 0.001, 0.01, 0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.3)
"""Shares of stored bits that are wrong (BER), in training and in tests."""

_SEEDS = (1, 2, 3)
_QUICK_SEEDS = (1, 2, 3, 4, 5)  # of digits there are few test images, and trainings take seconds
_DRAWS = 10
_RECIPES = {recipe.name: recipe for recipe in (DIGITS, MNIST_1024, MNIST_256_BINARY, FASHION_256_BINARY)}
_DATA = dict(zip(_RECIPES, ("digits", "mnist", "mnist", "fashion-mnist"), strict=True))


def settings(options: StudyOptions) -> list[Setting]:
    """Return a setting for each network: its training rate and seed."""
    rates = TRAINING_RATES[::2] if options.quick else TRAINING_RATES
    given = [] if options.quick else [name for name, data in _DATA.items() if data in options.data]
    return [
        {"network": network, "data": _DATA[network], "training_rate": rate, "seed": seed}
        for network in given or [DIGITS.name]
        for rate in rates
        for seed in (_QUICK_SEEDS if network == DIGITS.name else _SEEDS)
    ]


def measure(setting: Setting, options: StudyOptions) -> list[Row]:
    """Return a row for each test rate, and for each way to set the thresholds."""
    data, seed, rate = str(setting["data"]), whole(setting, "seed"), number(setting, "training_rate")
    recipe = replace(_RECIPES[str(setting["network"])], seed=seed, weight_error_01=rate, weight_error_10=rate)
    network = trained(recipe, training_directory(options, data), options.folder)
    images = test_images(options, data).fitted(network)
    error_free = right_classes(matched_thresholds(network, 0.0), images)
    rows: list[Row] = []
    for test_rate in TEST_RATES:
        for thresholds, meets in _with_thresholds(network, test_rate).items():
            rights = []
            for draw in range(_DRAWS if test_rate else 1):
                # The same errors whatever the training and the thresholds, so that differences are paired.
                rng = np.random.default_rng([seed_of(data, seed, test_rate), draw])
                stored = flipped_network(meets, [(test_rate, test_rate)] * len(meets.layers), rng)
                rights.append(right_classes(stored, images))
            rows.append(
                {
                    **setting,
                    "test_rate": test_rate,
                    "thresholds": thresholds,
                    "draws": len(rights),
                    "images": len(images),
                    **losses(error_free, rights).to_row(),
                }
            )
    return rows


def _with_thresholds(network: Network, test_rate: float) -> dict[str, Network]:
    """Return the network as trained, with thresholds for the test rate, and as if trained without errors."""
    return {
        "trained": network,
        "matched": matched_thresholds(network, test_rate),
        "training ignored": matched_thresholds(replace(network, metadata={}), test_rate),
    }


STUDY = Study(
    name="training-for-errors",
    title="Training for errors",
    question="How many wrong weights does a network bear that was trained with wrong weights?",
    paper="Hirtzlin et al., Outstanding Bit Error Tolerance of Resistive RAM-Based Binarized Neural "
    "Networks, arXiv 1904.03652",
    settings=settings,
    measure=measure,
    findings=findings,
    needs_torch=True,
)
