"""Integer weights as place-value planes of +1 and -1."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.encoding import Words, pack
from spinbnn.golden.errors import NetworkError

LARGEST_ODD_WEIGHT = 255
"""The largest absolute value of weights that are all odd."""
LARGEST_WEIGHT = 128
"""The largest absolute value of weights of which some are even."""


class WeightPlanes(NamedTuple):
    """Planes whose sums, weighted by ``2**shift``, are `factor` times the sums of the integers.

    Parameters
    ----------
    weights : uint64 [N, ceil(K/64)], or [Q, N, ceil(K/64)] of Q > 1 planes
        As `spinbnn.golden.layers.Dense` takes them.
    shifts : tuple of int
    factor : int
        1, or 2 where some of the integers are even.
    """

    weights: Words
    shifts: tuple[int, ...]
    factor: int


def weight_planes(integers: NDArray[Any]) -> WeightPlanes:
    """Return integer weights as planes of +1 and -1, exactly.

    Parameters
    ----------
    integers : integer [N, K]
        All odd, from -255 to 255; or any from -128 to 128.

    Returns
    -------
    WeightPlanes

    Raises
    ------
    NetworkError
        If the type, shape or range is wrong.

    Notes
    -----
    An odd integer w below ``2**Q`` is the sum of ``2**q`` times +1 or -1 for q = 0..Q-1: bit q of
    ``(w + 2**Q - 1) / 2`` says which. Of other integers the double is such an odd number,
    plus or minus 1 in a plane of its own.
    """
    weights = np.asarray(integers)
    if weights.ndim != 2 or weights.dtype.kind not in "iu" or not weights.size:
        raise NetworkError(
            f"integer weights must be integers of shape (N, K), not {weights.dtype} of shape {weights.shape}"
        )
    all_odd = bool(np.all(weights % 2 == 1))
    largest = LARGEST_ODD_WEIGHT if all_odd else LARGEST_WEIGHT
    low, high = int(weights.min()), int(weights.max())
    if low < -largest or high > largest:
        kind = "odd" if all_odd else "any"
        raise NetworkError(f"{kind} integer weights must be -{largest} to {largest}, not {low}..{high}")
    weights = weights.astype(np.int64)
    if all_odd:
        digits = _digits(weights)
        return WeightPlanes(_packed(digits), tuple(range(len(digits))), 1)
    units = np.where(weights >= 0, 1, -1)
    digits = _digits(2 * weights - units)
    planes = np.concatenate([(units > 0)[np.newaxis], digits])
    return WeightPlanes(_packed(planes), (0, *range(len(digits))), 2)


def spread_groups(weights: NDArray[Any], groups: int) -> NDArray[Any]:
    """Return the weights of a grouped convolution as a dense one's: 0 for the channels of other groups.

    Parameters
    ----------
    weights : integer [N, C / groups, ...]
        Neurons group by group, as PyTorch and ONNX order them; depthwise where groups is C.
    groups : int

    Returns
    -------
    integer [N, C, ...]

    Raises
    ------
    NetworkError
        If the neurons do not divide into so many groups.
    """
    neurons, channels = weights.shape[:2]
    if groups < 1 or neurons % groups:
        raise NetworkError(f"groups must divide the {neurons} neurons, not be {groups}")
    spread = np.zeros((neurons, groups, *weights.shape[1:]), dtype=weights.dtype)
    spread[np.arange(neurons), np.arange(neurons) // (neurons // groups)] = weights
    return spread.reshape(neurons, groups * channels, *weights.shape[2:])


def _digits(odd: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return, [Q, N, K], which of the powers of two an odd integer holds positively."""
    count = int(np.abs(odd).max()).bit_length()
    shifted = (odd + 2**count - 1) // 2
    digits: NDArray[np.bool_] = (shifted >> np.arange(count)[:, np.newaxis, np.newaxis]) & 1 == 1
    return digits


def _packed(planes: NDArray[np.bool_]) -> Words:
    words = pack(planes)
    return words[0] if len(words) == 1 else words
