"""Layers from plain arrays: weights as integers, in the order of the framework that they come from."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.errors import NetworkError
from spinbnn.golden.layers import Affine, Conv, Dense, Head, Ints, MultiThreshold, Pool, Shape, Threshold
from spinbnn.golden.weights import spread_groups, weight_planes

_ORDERS = ("channels_last", "channels_first")


def dense(
    name: str,
    weights: NDArray[Any],
    head: Head,
    *,
    flatten: Shape | None = None,
    order: str = "channels_first",
    relu: bool = False,
    residual: str | None = None,
) -> Dense:
    """Return a fully connected layer.

    Parameters
    ----------
    name : str
    weights : integer [N, K]
        +1 and -1, or other integers that `spinbnn.golden.weights.weight_planes` takes, such as -127 to 127.
        (The weights of Keras are (K, N): transpose them.)
    head : Threshold, MultiThreshold or Affine
        In units of the sums of the integers as given. (Where some weights are even the layer forms doubled
        sums, and the head is fitted to them.)
    flatten : (int, int, int), optional
        Height, width and channels of the map that the layer reads. Without it the inputs are taken as they
        come.
    order : {"channels_first", "channels_last"}
        How the framework flattened that map: PyTorch (c, y, x), Keras (y, x, c).
    relu, residual
        As in `spinbnn.golden.layers.Dense`.

    Raises
    ------
    NetworkError
        If a type, shape or range is wrong.
    """
    where = f"layer '{name}':"
    array = _integers(where, weights, 2)
    if order not in _ORDERS:
        raise NetworkError(f"{where} order must be channels_first or channels_last, not {order!r}")
    if flatten is not None and order == "channels_first":
        height, width, channels = flatten
        if array.shape[1] != height * width * channels:
            raise NetworkError(
                f"{where} weights must have {height * width * channels} inputs for a map of "
                f"{height} x {width} x {channels}, not {array.shape[1]}"
            )
        maps = array.reshape(len(array), channels, height, width)
        array = maps.transpose(0, 2, 3, 1).reshape(len(array), -1)
    planes = weight_planes(array)
    return Dense(
        name,
        planes.weights,
        array.shape[1],
        _fitted(where, head, planes.factor, residual),
        weight_shifts=planes.shifts,
        relu=relu,
        residual=residual,
    )


def conv(  # noqa: PLR0913 -- what a convolution is made of
    name: str,
    weights: NDArray[Any],
    head: Head,
    *,
    input_size: tuple[int, int],
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    pad_value: int = 0,
    pool: Pool | None = None,
    groups: int = 1,
    order: str = "channels_first",
    relu: bool = False,
    residual: str | None = None,
) -> Conv:
    """Return a convolution.

    Parameters
    ----------
    name : str
    weights : integer [N, C / groups, kh, kw], or [kh, kw, C / groups, N]
        The first with the order "channels_first", as PyTorch and ONNX keep them, the second with
        "channels_last", as Keras does. Values as in `dense`.
    head : Threshold, MultiThreshold or Affine
        As in `dense`; behind a pool of kind "sum" in units of the sum over the window.
    input_size : (int, int)
        Height and width of the input map.
    stride, padding, pad_value, pool, relu, residual
        As in `spinbnn.golden.layers.Conv`.
    groups : int
        Neurons of a group read only its channels; depthwise where it is C. It becomes a dense convolution
        with weights of 0, so it takes two planes and the clocks of all channels.
    order : {"channels_first", "channels_last"}

    Raises
    ------
    NetworkError
        If a type, shape or range is wrong.
    """
    where = f"layer '{name}':"
    array = _integers(where, weights, 4)
    if order not in _ORDERS:
        raise NetworkError(f"{where} order must be channels_first or channels_last, not {order!r}")
    array = array if order == "channels_first" else array.transpose(3, 2, 0, 1)
    array = spread_groups(array, groups).transpose(0, 2, 3, 1)
    neurons, kernel_height, kernel_width, channels = array.shape
    planes = weight_planes(array.reshape(neurons, -1))
    return Conv(
        name,
        planes.weights,
        (*input_size, channels),
        (kernel_height, kernel_width),
        _fitted(where, head, planes.factor, residual),
        stride=stride,
        padding=padding,
        pad_value=pad_value,
        pool=pool,
        weight_shifts=planes.shifts,
        relu=relu,
        residual=residual,
    )


def _integers(where: str, weights: NDArray[Any], dimensions: int) -> NDArray[Any]:
    array = np.asarray(weights)
    if array.ndim != dimensions or array.dtype.kind not in "iu" or not array.size:
        raise NetworkError(
            f"{where} weights must be integers in {dimensions} dimensions, "
            f"not {array.dtype} of shape {array.shape}"
        )
    return array


def _fitted(where: str, head: Head, factor: int, residual: str | None) -> Head:
    """Return the head that does on `factor` times the sums what the given one does on the sums."""
    if factor == 1:
        return head
    if residual is not None:
        raise NetworkError(
            f"{where} weights must all be odd with a residual, which is added to undoubled sums"
        )
    if isinstance(head, Threshold):
        return Threshold(_doubled(where, head.values), head.flip)
    if isinstance(head, MultiThreshold):
        return MultiThreshold(_doubled(where, head.values), head.flip, head.bits, head.low)
    if np.any(head.scale % 2):
        raise NetworkError(
            f"{where} logit scales must be even for weights of which some are even, whose sums are doubled, "
            f"not {head.scale[head.scale % 2 == 1][0]}"
        )
    return Affine(head.scale // 2, head.bias)


def _doubled(where: str, values: Ints) -> Ints:
    doubled = 2 * values.astype(np.int64)
    if doubled.size and (doubled.min() < -(2**31) or doubled.max() >= 2**31):
        raise NetworkError(
            f"{where} threshold values must be {-(2**30)} to {2**30 - 1} for weights of which some are even, "
            f"not {values.min()}..{values.max()}"
        )
    return doubled.astype(np.int32)
