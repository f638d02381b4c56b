"""Scores of probabilities, against cases computed by hand."""

import math

import numpy as np
import pytest

from spinbnn.sim.studies.uncertainty import (
    area_under_curve,
    calibration_error,
    entropy,
    fitted_temperature,
    mutual_information,
    ranks,
    smoothed_loss,
    softmax,
    squared_errors,
    surprise,
)


def test_softmax_has_the_ratios_of_the_logits_at_its_temperature():
    logits = np.array([[0, 10], [2**31 - 1, -(2**31)]], dtype=np.int64)
    got = softmax(logits, 10 / math.log(3))
    assert got[0] == pytest.approx([0.25, 0.75])
    assert got[1] == pytest.approx([1, 0])  # without overflow


def test_proper_scores_of_hand_made_predictions():
    probabilities = np.array([[0.5, 0.5, 0.0], [0.0, 0.25, 0.75]])
    labels = np.array([0, 1], dtype=np.uint8)
    assert surprise(probabilities, labels) == pytest.approx([math.log(2), math.log(4)])
    assert squared_errors(probabilities, labels) == pytest.approx([0.5, 0.75**2 + 0.75**2])
    assert np.isfinite(surprise(np.array([[0.0, 1.0]]), np.array([0]))).all()


def test_calibration_error_is_the_weighted_gap_of_each_bin():
    # Two in the last bin: confidence 0.95 and 0.99, half right. Two in that of 0.5: one right, no gap.
    confidence = np.array([0.95, 0.99, 0.5, 0.5])
    right = np.array([True, False, True, False])
    assert calibration_error(confidence, right) == pytest.approx((0.95 + 0.99 - 1) / 4)
    # A confidence of 1 belongs to the last bin; gaps of different bins do not cancel.
    assert calibration_error(np.array([1.0, 0.3]), np.array([False, True])) == pytest.approx((1 + 0.7) / 2)


def test_entropy_and_what_members_disagree_on():
    certain, even = [1.0, 0.0], [0.5, 0.5]
    assert entropy(np.array([certain, even])) == pytest.approx([0, math.log(2)])
    agreeing = np.array([[even], [even]])
    opposed = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    assert mutual_information(agreeing) == pytest.approx([0])
    assert mutual_information(opposed) == pytest.approx([math.log(2)])


@pytest.mark.parametrize(
    ("inside", "outside", "area"),
    [
        ([0.1, 0.2], [0.3, 0.4], 1.0),
        ([0.3, 0.4], [0.1, 0.2], 0.0),
        ([0.1, 0.3], [0.2, 0.3], (1 + 0 + 1 + 0.5) / 4),
        ([0.5, 0.5, 0.5], [0.5], 0.5),
    ],
)
def test_area_under_curve_counts_pairs(inside, outside, area):
    assert area_under_curve(*ranks(np.array(inside), np.array(outside))) == area


def test_area_under_curve_equals_all_pairs_of_random_scores():
    rng = np.random.default_rng(1)
    inside, outside = rng.integers(0, 20, 70), rng.integers(5, 25, 50)
    pairs = (outside[:, None] > inside).mean() + (outside[:, None] == inside).mean() / 2
    assert area_under_curve(inside, outside) == pytest.approx(pairs)


def test_temperature_that_is_fitted_is_that_of_the_labels():
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 30, (20000, 3))
    drawn = rng.random((20000, 1)) > np.cumsum(softmax(logits, 25.0), axis=1)
    labels = drawn.sum(axis=1).clip(max=2)
    fitted = fitted_temperature(lambda t: float(surprise(softmax(logits, t), labels).mean()))
    assert fitted == pytest.approx(25, rel=0.05)
    assert fitted_temperature(lambda t: abs(math.log(t / 7.0))) == pytest.approx(7, rel=1e-5)


def test_a_temperature_fitted_on_images_that_are_all_right_is_not_0():
    logits, labels = np.array([[1.0, 0.0], [0.0, 2.0]] * 5), np.array([0, 1] * 5)
    fitted = fitted_temperature(lambda t: smoothed_loss(softmax(logits, t), labels))
    assert 0.1 < fitted < 1
    even = np.full((4, 2), 0.5)
    assert smoothed_loss(even, np.zeros(4, dtype=int)) == pytest.approx(math.log(2))
    sure = np.array([[0.8, 0.2]])
    expected = 2 / 3 * -math.log(0.8) + 1 / 3 * -(math.log(0.8) + math.log(0.2)) / 2
    assert smoothed_loss(sure, np.array([0])) == pytest.approx(expected)
