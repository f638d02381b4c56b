"""Images of a study, what a network makes of them, and what errors cost."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.network import Network, classify, forward
from spinbnn.sim.assets import SHIPPED_IMAGES
from spinbnn.sim.datasets import Dataset, bundled_images, load_split
from spinbnn.sim.studies.statistics import Z_95, Interval, mean
from spinbnn.sim.studies.study import Scalar, StudyOptions

Right = NDArray[np.bool_]


def test_images(options: StudyOptions, name: str) -> Dataset:
    """Return the test images of a data set: all of them where its directory was given, else the shipped ones.

    Raises
    ------
    DataError
        If the directory cannot be read, or it was not given and no images of the set are shipped.
    """
    if name not in options.data and name in SHIPPED_IMAGES:
        return _images(name, None)
    return _images(name, options.directory(name))


@lru_cache(maxsize=4)
def _images(name: str, directory: Path | None) -> Dataset:
    return bundled_images(name) if directory is None else load_split(directory, "test")


def right_classes(network: Network, images: Dataset) -> Right:
    """Return which images, fitted to the network, it puts into the right class: bool [n]."""
    right: Right = classify(forward(network, images.pixels)) == images.labels
    return right


@dataclass(frozen=True)
class Losses:
    """Accuracy lost over draws of errors, each paired with the error-free network on the same images.

    Attributes
    ----------
    ideal : float
        Accuracy without errors.
    accuracy, loss : Interval
        Means over draws, with their 95 % intervals.
    over_images : Interval
        The loss again, with the interval that comes from the choice of the images.
    """

    ideal: float
    accuracy: Interval
    loss: Interval
    over_images: Interval

    def to_row(self) -> dict[str, Scalar]:
        """Return the columns of `LOSS_COLUMNS`."""
        values = [
            self.ideal,
            self.accuracy.value,
            self.accuracy.low,
            self.accuracy.high,
            self.loss.value,
            self.loss.low,
            self.loss.high,
            self.over_images.low,
            self.over_images.high,
        ]
        return dict(zip(LOSS_COLUMNS, values, strict=True))


LOSS_COLUMNS = (
    "ideal_accuracy",
    "accuracy",
    "accuracy_low",
    "accuracy_high",
    "loss",
    "loss_low",
    "loss_high",
    "loss_images_low",
    "loss_images_high",
)
"""What `Losses.to_row` gives, shares of 1."""


def losses(ideal: Right, draws: Sequence[Right]) -> Losses:
    """Return what errors cost.

    Parameters
    ----------
    ideal : bool [n]
        Images that are right without errors.
    draws : sequence of bool [n]
        The same of each draw of errors.
    """
    accuracies = [float(right.mean()) for right in draws]
    error_free = float(ideal.mean())
    lost = ideal.astype(np.float64) - np.mean(draws, axis=0)  # of each image, mean over draws
    half = Z_95 * float(lost.std()) / math.sqrt(len(lost))
    middle = float(lost.mean())
    return Losses(
        ideal=error_free,
        accuracy=mean(accuracies),
        loss=mean([error_free - accuracy for accuracy in accuracies]),
        over_images=Interval(middle, middle - half, middle + half),
    )


def seed_of(*parts: Scalar) -> int:
    """Return a seed of 32 bits for what is named, the same whatever else a study measures."""
    return zlib.crc32(" ".join(map(str, parts)).encode())
