"""Folded thresholds against batch normalisation in 400 decimal digits."""

import re
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spinbnn.golden.errors import NetworkError
from spinbnn.golden.folding import fold_batch_norm

PROPERTY = settings(deadline=None, derandomize=True, max_examples=150)
# Of moderate size, so that 400 digits hold every product exactly; a root that is not exact is irrational, and
# nothing but an exact one can tie.
NUMBERS = st.floats(-1000, 1000, width=32).filter(lambda value: value == 0 or abs(value) > 1e-6)
POSITIVE = st.floats(2**-10, 1000, width=32)


def batch_norm_bit(gamma: float, beta: float, mean: float, variance: float, epsilon: float, x: int) -> bool:
    with localcontext(prec=400):
        root = (Decimal(variance) + Decimal(epsilon)).sqrt()
        return Decimal(gamma) * (x - Decimal(mean)) + Decimal(beta) * root >= 0


def folded(
    gamma: float, beta: float, mean: float, variance: float, epsilon: float, low: int, high: int
) -> tuple[int, bool]:
    channel = np.array([gamma, beta, mean, variance]).reshape(4, 1)
    threshold = fold_batch_norm(channel[0], channel[1], channel[2], channel[3], epsilon, low, high)
    return int(threshold.values[0]), bool(threshold.flip[0])


def assert_equal_on_all_sums(
    gamma: float, beta: float, mean: float, variance: float, epsilon: float, low: int, high: int
) -> None:
    value, flip = folded(gamma, beta, mean, variance, epsilon, low, high)
    assert low <= value <= high + 1
    for x in range(low, high + 1):
        assert ((x >= value) ^ flip) == batch_norm_bit(gamma, beta, mean, variance, epsilon, x), x


@PROPERTY
@given(
    gamma=NUMBERS,
    beta=NUMBERS,
    mean=NUMBERS,
    variance=POSITIVE,
    epsilon=st.sampled_from([0.0, 1e-5, 1e-3]),
    low=st.integers(-120, 0),
    size=st.integers(0, 150),
)
@example(gamma=0.0, beta=0.0, mean=1.0, variance=1.0, epsilon=0.0, low=-3, size=6)
@example(gamma=0.0, beta=-0.0, mean=1.0, variance=1.0, epsilon=0.0, low=-3, size=6)
@example(gamma=-0.0, beta=-1.0, mean=1.0, variance=1.0, epsilon=0.0, low=-3, size=6)
@example(gamma=-1.0, beta=0.0, mean=0.0, variance=1.0, epsilon=0.0, low=0, size=0)
def test_equal_on_every_reachable_sum(
    gamma: float, beta: float, mean: float, variance: float, epsilon: float, low: int, size: int
) -> None:
    assert_equal_on_all_sums(gamma, beta, mean, variance, epsilon, low, low + size)


@PROPERTY
@given(
    tie=st.integers(-40, 40),
    mean=st.integers(-40, 40),
    gamma=st.sampled_from([-4.0, -1.0, -0.125, 0.125, 1.0, 4.0]),
    root=st.sampled_from([0.25, 0.5, 1.0, 2.0, 8.0]),
)
def test_a_tie_is_one(tie: int, mean: int, gamma: float, root: float) -> None:
    beta = -gamma * (tie - mean) / root  # exact: an integer times powers of two
    value, flip = folded(gamma, beta, float(mean), root**2, 0.0, -50, 50)
    assert (tie >= value) ^ flip
    assert (value, flip) == ((tie, False) if gamma > 0 else (tie + 1, True))
    assert_equal_on_all_sums(gamma, beta, float(mean), root**2, 0.0, -50, 50)


def test_rounding_that_floats_would_suffer() -> None:
    gamma, beta, x = 0.1, -0.15000000000000002, 3
    assert gamma * x / np.sqrt(4.0) + beta >= 0, "floats see a tie at 3"
    assert folded(gamma, beta, 0.0, 4.0, 0.0, -50, 50) == (4, False)
    assert not batch_norm_bit(gamma, beta, 0.0, 4.0, 0.0, x)


@pytest.mark.parametrize(
    ("gamma", "beta", "expected"),
    [
        (1.0, 1e6, (-10, False)),  # always
        (1.0, -1e6, (11, False)),  # never
        (-1.0, 1e6, (11, True)),  # always
        (-1.0, -1e6, (-10, True)),  # never
        (0.0, 0.0, (-10, False)),  # always
        (0.0, -1e-30, (11, False)),  # never
    ],
)
def test_always_and_never(gamma: float, beta: float, expected: tuple[int, bool]) -> None:
    assert folded(gamma, beta, 0.0, 1.0, 0.0, -10, 10) == expected


def test_smallest_and_largest_floats() -> None:
    assert folded(5e-324, -1.7e308, 0.0, 1.7e308, 0.0, -10, 10) == (11, False)
    assert folded(1.7e308, -5e-324, 3.0, 5e-324, 0.0, -10, 10) == (4, False)


def test_channels_keep_their_order_and_float32_is_taken_as_it_is() -> None:
    gamma, beta, mean, variance = np.array(
        [[1, -1, 2], [0, 0, 0.1], [5, 5, 0.25], [1, 1, 0.3]], dtype=np.float32
    )
    threshold = fold_batch_norm(gamma, beta, mean, variance, 1e-5, -20, 20)
    assert threshold.values.tolist() == [5, 6, 1]
    assert threshold.flip.tolist() == [False, True, False]


ONE = np.array([1.0])


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            (ONE, np.array([1.0, 2.0]), ONE, ONE, 0.0, 0, 1),
            "batch norm beta must be floats of shape (1,), not float64 of shape (2,)",
        ),
        (
            (ONE, ONE, np.array([1]), ONE, 0.0, 0, 1),
            "batch norm mean must be floats of shape (1,), not int64 of shape (1,)",
        ),
        ((ONE, ONE, ONE, np.array([np.nan]), 0.0, 0, 1), "batch norm variance must be finite, not nan"),
        ((np.array([np.inf]), ONE, ONE, ONE, 0.0, 0, 1), "batch norm gamma must be finite, not inf"),
        ((ONE, ONE, ONE, ONE, np.nan, 0, 1), "batch norm epsilon must be finite, not nan"),
        ((ONE, ONE, ONE, 0 * ONE, 0.0, 0, 1), "batch norm variance + epsilon must be positive, not 0.0"),
        ((ONE, ONE, ONE, -ONE, 0.5, 0, 1), "batch norm variance + epsilon must be positive, not -0.5"),
        ((ONE, ONE, ONE, ONE, 0.0, 1, 0), "sums must range from low to high within int32, not from 1 to 0"),
        (
            (ONE, ONE, ONE, ONE, 0.0, 0, 2**31 - 1),
            "sums must range from low to high within int32, not from 0 to 2147483647",
        ),
    ],
)
def test_what_can_be_folded(arguments: Any, text: str) -> None:
    with pytest.raises(NetworkError, match=f"^{re.escape(text)}$"):
        fold_batch_norm(*arguments)
