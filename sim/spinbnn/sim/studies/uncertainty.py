"""Probabilities of integer logits, and how good they are: scores, calibration, and what is told apart."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CALIBRATION_BINS = 15
"""Bins of equal width of the calibration error, as C. Guo et al. (arXiv:1706.04599) have them."""

_LEAST_PROBABILITY = 1e-300
_GOLDEN = (math.sqrt(5) - 1) / 2
_TEMPERATURES = (1e-3, 1e3)
_NARROWINGS = 36
"""Golden sections of the range of temperatures, after which a relative 4e-7 is left."""


def softmax(logits: NDArray[Any], temperature: float) -> Floats:
    """Return probabilities, float64 [..., classes], of logits at a temperature in the logits' unit."""
    scaled = logits / temperature
    powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    probabilities: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return probabilities


def surprise(probabilities: Floats, labels: NDArray[np.integer]) -> Floats:
    """Return minus the logarithm of the true class's probability, float64 [n] in nats, of [n, classes]."""
    of_label = probabilities[np.arange(len(labels)), labels]
    losses: Floats = -np.log(np.maximum(of_label, _LEAST_PROBABILITY))
    return losses


def smoothed_loss(probabilities: Floats, labels: NDArray[np.integer]) -> float:
    """Return the mean surprise in nats where one label of the n + 2 is any class instead.

    So a temperature that is fitted stays above 0 where all of the n predictions are right (J. Platt,
    "Probabilistic outputs for support vector machines", 1999, smooths his targets by the same share).
    """
    share = 1 / (len(labels) + 2)
    of_all = -np.log(np.maximum(probabilities, _LEAST_PROBABILITY)).mean()
    return float((1 - share) * surprise(probabilities, labels).mean() + share * of_all)


def squared_errors(probabilities: Floats, labels: NDArray[np.integer]) -> Floats:
    """Return the sum over the classes of squared errors, float64 [n]; its mean is Brier's score, 0 to 2."""
    errors = probabilities.copy()
    errors[np.arange(len(labels)), labels] -= 1
    squares: Floats = (errors**2).sum(axis=-1)
    return squares


def calibration_error(confidence: Floats, right: NDArray[np.bool_]) -> float:
    """Return the expected calibration error: the mean gap of confidence and accuracy over bins.

    Parameters
    ----------
    confidence : float64 [n]
        The largest probability of each prediction.
    right : bool [n]
    """
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    gaps = np.bincount(bins, weights=confidence - right, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(confidence))


def entropy(probabilities: Floats) -> Floats:
    """Return the entropy, float64 [...] in nats, of probabilities [..., classes]."""
    logarithms = np.log(np.maximum(probabilities, _LEAST_PROBABILITY))
    entropies: Floats = -(probabilities * logarithms).sum(axis=-1)
    return entropies


def mutual_information(members: Floats) -> Floats:
    """Return what the class and the choice of a member tell of each other, float64 [n] in nats.

    The entropy of the mean prediction without the mean entropy of the predictions: how far the members,
    float64 [members, n, classes], disagree. Rounded to 1e-12, so that members which agree give 0.
    """
    known: Floats = entropy(members.mean(axis=0)) - entropy(members).mean(axis=0)
    return known.round(12)


def ranks(*scores: Floats) -> list[NDArray[np.int64]]:
    """Return the place of each score among the distinct values of all, from 0 on."""
    _, places = np.unique(np.concatenate(scores), return_inverse=True)
    cuts = np.cumsum([len(each) for each in scores])[:-1]
    return [part.astype(np.int64, copy=False) for part in np.split(places, cuts)]


def area_under_curve(inside: NDArray[np.int64], outside: NDArray[np.int64]) -> float:
    """Return the area under the receiver operating characteristic: how often an outsider scores higher.

    Parameters
    ----------
    inside, outside : int64 [n], int64 [m]
        Scores, or their `ranks`; integers from 0 on. Pairs of equal ones count half.
    """
    levels = int(max(inside.max(), outside.max())) + 1
    insiders, outsiders = (np.bincount(each, minlength=levels) for each in (inside, outside))
    below = np.cumsum(insiders) - insiders
    return float(outsiders @ (below + insiders / 2)) / (len(inside) * len(outside))


def fitted_temperature(mean_loss: Callable[[float], float]) -> float:
    """Return the temperature of the least loss, from 1e-3 to 1e3, by golden sections of its logarithm."""
    low, high = (math.log(each) for each in _TEMPERATURES)
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    of_left, of_right = mean_loss(math.exp(left)), mean_loss(math.exp(right))
    for _ in range(_NARROWINGS):
        if of_left <= of_right:
            high, right, of_right = right, left, of_left
            left = high - _GOLDEN * (high - low)
            of_left = mean_loss(math.exp(left))
        else:
            low, left, of_left = left, right, of_right
            right = low + _GOLDEN * (high - low)
            of_right = mean_loss(math.exp(right))
    return math.exp((low + high) / 2)
