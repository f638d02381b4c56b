"""What studies measure on images."""

from pathlib import Path

import numpy as np
import pytest

from spinbnn.golden.errors import DataError
from spinbnn.sim.studies.evaluation import losses, seed_of
from spinbnn.sim.studies.evaluation import test_images as images_of
from spinbnn.sim.studies.statistics import Interval
from spinbnn.sim.studies.study import StudyOptions
from spinbnn.sim.studies.wording import at_most, percent, points

OPTIONS = StudyOptions(quick=True, data={}, folder=Path("unused"))


def test_losses_are_paired_with_the_network_without_errors() -> None:
    ideal = np.array([True, True, True, False])
    draws = [np.array([True, False, True, False]), np.array([True, True, True, True])]
    cost = losses(ideal, draws)
    assert (cost.ideal, cost.accuracy.value, cost.loss.value) == (0.75, 0.75, 0.0)
    assert cost.loss.high == pytest.approx(12.706 * 0.25)  # of two draws, each 0.25 from the mean
    # An image is lost by half, another won by half, two stay: standard deviation sqrt(1/8).
    assert cost.over_images.high == pytest.approx(1.959964 * 8**-0.5 / 2)
    assert cost.over_images.low == -cost.over_images.high


def test_a_loss_is_positive() -> None:
    cost = losses(np.array([True, True]), [np.array([True, False])] * 2)
    assert (cost.loss.value, cost.over_images.value) == (0.5, 0.5)


def test_images_are_shipped_ones_where_none_are_given() -> None:
    assert len(images_of(OPTIONS, "mnist")) == 500
    with pytest.raises(DataError, match="--data cifar10=DIR"):
        images_of(OPTIONS, "cifar10")


def test_seeds_differ_by_what_they_are_of() -> None:
    assert seed_of("a", None, 0.1) != seed_of("a", None, 0.2)
    assert seed_of("a", None, 0.1) == 2736504039


def test_what_intervals_say() -> None:
    loss = Interval(0.002, 0.001, 0.003)
    assert at_most(loss, 0.003) is True
    assert at_most(loss, 0.0025) is None
    assert at_most(loss, 0.0005) is False
    assert points(loss) == "0.20 (0.10 to 0.30)"
    assert percent(loss) == "0.20 % (0.10 to 0.30)"
