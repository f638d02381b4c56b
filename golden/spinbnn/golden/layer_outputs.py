"""What a layer gives, in NumPy: its sums, ReLU, pooling, a residual and thresholds."""

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from spinbnn.golden.encoding import Bits
from spinbnn.golden.layers import Affine, Conv, Dense, Ints, Layer, Pool, Threshold, integer_shape
from spinbnn.golden.sums import layer_sums


def layer_outputs(
    layer: Dense | Conv,
    bits: int,
    kind: str,
    x: NDArray[np.uint8],
    residual: Ints | None = None,
    *,
    keep_sums: bool = True,
) -> tuple[Ints | None, Bits | None]:
    """Compute a layer.

    Parameters
    ----------
    layer : Dense or Conv
    bits : int
        Bits of an input's code.
    kind : {"bipolar", "unsigned", "signed"}
    x : uint8 [n, inputs]
        Codes.
    residual : int32 [n, pixels, N], optional
        Integers that are added before the head.
    keep_sums : bool

    Returns
    -------
    sums : int32 [n, pixels, N], or None if they are not kept
        The integers that the head meets.
    codes : uint8 [n, outputs], or None without thresholds
    """
    sums = _integers(layer, layer_sums(layer, x, bits, kind))
    if residual is not None:
        sums = sums + residual
    return sums if keep_sums else None, _codes(layer, sums)


def _integers(layer: Layer, sums: Ints) -> Ints:
    """Return ReLU and pooling of sums, int32 [n, positions, N]."""
    if layer.relu:
        sums = np.maximum(sums, np.int32(0))
    if isinstance(layer, Conv) and layer.pool is not None and layer.pool.kind != "or":
        windows = _windows(layer.pool, sums.reshape(len(sums), *layer.sum_shape, layer.neurons))
        if layer.pool.kind == "max":
            sums = windows.max(axis=(-2, -1))
        else:
            sums = windows.sum(axis=(-2, -1), dtype=np.int32)
    height, width, neurons = integer_shape(layer)
    return sums.reshape(len(sums), height * width, neurons)


def _windows(pool: Pool, maps: NDArray[Any]) -> NDArray[Any]:
    """Return the windows, [n, y, x, C, h, w], of maps, [n, H, W, C]."""
    windows = sliding_window_view(maps, pool.size, axis=(1, 2))
    return windows[:, :: pool.stride[0], :: pool.stride[1]]


def _codes(layer: Layer, sums: Ints) -> Bits | None:
    """Return the codes of a layer's activations, uint8 [n, outputs], pooled if need be."""
    head = layer.head
    if isinstance(head, Affine):
        return None
    pooled = isinstance(layer, Conv) and layer.pool is not None and layer.pool.kind == "or"
    if isinstance(head, Threshold):
        activations: NDArray[Any] = head.bits(sums)
        modulus = 2
    else:
        activations, modulus = head.activations(sums), 2**head.bits
    if pooled:
        assert isinstance(layer, Conv)
        assert layer.pool is not None
        maps = activations.reshape(len(sums), *layer.sum_shape, layer.neurons)
        activations = _windows(layer.pool, maps).max(axis=(-2, -1))
    return (activations & (modulus - 1)).astype(np.uint8).reshape(len(sums), layer.outputs)
