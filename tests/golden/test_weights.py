"""Integer weights as planes: what the planes add up to, and how many there are."""

import numpy as np
import pytest

from spinbnn.golden.encoding import unpack
from spinbnn.golden.errors import NetworkError
from spinbnn.golden.layers import MAX_WEIGHT_PLANES, MAX_WEIGHT_SHIFT
from spinbnn.golden.weights import weight_planes


def value_of(planes, inputs: int) -> np.ndarray:
    """Return what the planes hold, by their definition."""
    weights = planes.weights[np.newaxis] if planes.weights.ndim == 2 else planes.weights
    assert len(weights) == len(planes.shifts)
    signs = 2 * unpack(weights, inputs).astype(int) - 1
    return sum(sign << shift for sign, shift in zip(signs, planes.shifts, strict=True))


def every(low: int, high: int, step: int = 1) -> np.ndarray:
    return np.arange(low, high + 1, step).reshape(1, -1)


@pytest.mark.parametrize(
    ("integers", "shifts", "factor"),
    [
        (np.array([[1, -1, -1], [1, 1, -1]]), (0,), 1),
        (np.array([[1, -1, 3]], dtype=np.int8), (0, 1), 1),
        (every(-255, 255, 2), tuple(range(8)), 1),
        (np.array([[0, 1, -1]]), (0, 0), 2),
        (np.zeros((2, 3), int), (0, 0), 2),
        (every(-2, 2), (0, 0, 1), 2),
        (every(-8, 7), (0, 0, 1, 2, 3), 2),
        (every(-127, 127), (0, 0, 1, 2, 3, 4, 5, 6, 7), 2),
        (every(-128, 128), (0, 0, 1, 2, 3, 4, 5, 6, 7), 2),
        (np.array([[200]], dtype=np.uint8) // 2, (0, 0, 1, 2, 3, 4, 5, 6, 7), 2),
    ],
)
def test_planes_hold_the_integers_exactly(integers, shifts, factor):
    planes = weight_planes(integers)
    assert planes.shifts == shifts
    assert planes.factor == factor
    assert len(shifts) <= MAX_WEIGHT_PLANES
    assert max(shifts) <= MAX_WEIGHT_SHIFT
    np.testing.assert_array_equal(value_of(planes, integers.shape[1]), factor * integers.astype(int))


def test_one_plane_has_no_axis_of_its_own():
    assert weight_planes(np.ones((2, 65), int)).weights.shape == (2, 2)
    assert weight_planes(3 * np.ones((2, 65), int)).weights.shape == (2, 2, 2)


@pytest.mark.parametrize(
    ("integers", "text"),
    [
        (np.array([[129, 0]]), "any integer weights must be -128 to 128, not 0..129"),
        (np.array([[-257, 1]]), "odd integer weights must be -255 to 255, not -257..1"),
        (np.array([[0.5]]), "integer weights must be integers of shape (N, K), not float64 of shape (1, 1)"),
        (np.array([1, -1]), "integer weights must be integers of shape (N, K), not int64 of shape (2,)"),
    ],
)
def test_what_planes_cannot_hold_is_refused(integers, text):
    with pytest.raises(NetworkError) as error:
        weight_planes(integers)
    assert str(error.value) == text
