"""Layers compiled for this machine: what `sums` and `network` compute in NumPy, on all cores.

The kernels are C++ (kernels.cpp), built once by the compiler that Verilator needs too, and kept in the user's
cache. Where there is no compiler NumPy computes, with the same results. The environment says which:

``SPINBNN_KERNELS``
    ``auto`` (the default): compiled where a call is worth it and there is a compiler. ``compiled``: always,
    and an error without a compiler. ``numpy``: never.
``SPINBNN_THREADS``
    Threads of a call; by default one for each core that the process may use.
``CXX``, ``CXXFLAGS``
    The compiler, ``g++`` by default, and options behind our own.
"""

import ctypes
import hashlib
import math
import os
import platform
import shlex
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.encoding import SLICE_BITS, Bits, Words, unpack, words_for
from spinbnn.golden.errors import KernelError
from spinbnn.golden.layers import Affine, Conv, Dense, Ints, MultiThreshold, Threshold, integer_shape

SOURCE = Path(__file__).with_name("kernels.cpp")
FLAGS = ("-std=c++20", "-O3", "-march=native", "-fno-strict-aliasing", "-fPIC", "-shared", "-pthread")

# Binary multiply-accumulates from which a call is worth it: NumPy takes about a millisecond for them.
WORTHWHILE = 2**26

_Scalar = TypeVar("_Scalar", bound=np.generic)

_LANES = 16
_POOLINGS = {"max": 1, "sum": 2, "or": 3}
_POINTERS = (
    *("term_plane", "term_weights", "term_factor", "weights"),
    *("byte_weights", "base", "threshold", "flip"),
)
# Of kernels.cpp's `Layer`, in its order.
_FIELDS = (
    *("height", "width", "channels", "kernel_height", "kernel_width", "stride_down", "stride_across"),
    *("top", "left", "bottom", "right", "fill", "toggled", "planes", "sum_height", "sum_width", "neurons"),
    *("terms", "term_plane", "term_weights", "term_factor", "weights", "byte_weights"),
    *("base", "base_of_positions"),
    *("relu", "pooling", "pool_height", "pool_width", "pool_down", "pool_across"),
    *("out_height", "out_width", "thresholds", "threshold", "flip", "low", "mask"),
)
# Of which a fully connected layer, a map of one pixel, has one.
_ONES = (
    *("height", "width", "kernel_height", "kernel_width", "stride_down", "stride_across"),
    *("sum_height", "sum_width", "out_height", "out_width"),
)


class _Layer(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_void_p if name in _POINTERS else ctypes.c_int64) for name in _FIELDS)


def chosen(operations: int) -> bool:
    """Return whether a call of so many binary multiply-accumulates is to be compiled.

    Raises
    ------
    KernelError
        If the environment asks for kernels that cannot be built, or for something unknown.
    """
    choice = os.environ.get("SPINBNN_KERNELS", "auto")
    if choice not in ("auto", "compiled", "numpy"):
        raise KernelError(f"SPINBNN_KERNELS must be auto, compiled or numpy, not {choice!r}")
    if choice == "compiled":
        library()
        return True
    return choice == "auto" and operations >= WORTHWHILE and available()


def available() -> bool:
    """Return whether the kernels are built, or could be just now."""
    try:
        library()
    except KernelError:
        return False
    return True


@cache
def _attempt() -> ctypes.CDLL | KernelError:
    try:
        loaded = ctypes.CDLL(str(_built()))
    except subprocess.CalledProcessError as error:
        return KernelError(f"the kernels do not compile: {error.stderr.strip().partition(chr(10))[0]}")
    except (OSError, RuntimeError) as error:  # RuntimeError: no home
        return KernelError(f"the kernels cannot be built: {error}")
    loaded.spinbnn_layer.restype = None
    loaded.spinbnn_layer.argtypes = (ctypes.c_void_p, ctypes.c_int64, *[ctypes.c_void_p] * 4, ctypes.c_int64)
    loaded.spinbnn_multiplies_bytes.restype = ctypes.c_int64
    if loaded.spinbnn_multiplies_bytes():
        loaded.spinbnn_byte_weights.restype = None
        loaded.spinbnn_byte_weights.argtypes = (
            *(ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64),
            *(ctypes.c_void_p, ctypes.c_void_p),
        )
        loaded.spinbnn_tile_loop.restype = None
        loaded.spinbnn_tile_loop.argtypes = (ctypes.c_int64,)
    loaded.spinbnn_popcount_loop.restype = ctypes.c_uint32
    loaded.spinbnn_popcount_loop.argtypes = (ctypes.c_int64,)
    return loaded


def library() -> ctypes.CDLL:
    """Return the compiled kernels, building them if they are not in the cache.

    Raises
    ------
    KernelError
        If they cannot be built.
    """
    loaded = _attempt()
    if isinstance(loaded, KernelError):
        raise loaded
    return loaded


def _built() -> Path:
    """Return the library's file, whose name has the hash of all that it depends on."""
    command = [*shlex.split(os.environ.get("CXX", "g++")), *FLAGS]
    command += shlex.split(os.environ.get("CXXFLAGS", ""))
    version = _output([command[0], "--version"])
    made_of = "\n".join([SOURCE.read_text(encoding="utf-8"), *command, version, _processor()])
    name = f"kernels-{hashlib.sha256(made_of.encode()).hexdigest()[:16]}.so"
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spinbnn"
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / name).exists():
        return folder / name
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        _output([*command, str(SOURCE), "-o", f"{scratch}/{name}"])
        # Published by renaming: other processes see it whole or not at all.
        return (Path(scratch) / name).replace(folder / name)


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _processor() -> str:
    """Return what the code is compiled for: the processor's instructions, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    flags = [line for line in lines if line.startswith(("flags", "Features"))]
    return flags[0] if flags else platform.processor()


def threads() -> int:
    """Return the number of threads of a call.

    Raises
    ------
    KernelError
        If the environment asks for something that is no number of threads.
    """
    asked = os.environ.get("SPINBNN_THREADS")
    if asked is None:
        return len(os.sched_getaffinity(0))
    if not asked.isdecimal() or int(asked) < 1:
        raise KernelError(f"SPINBNN_THREADS must be a positive integer, not {asked!r}")
    return int(asked)


class Kernel:
    """A layer, laid out for the compiled kernels.

    Parameters
    ----------
    layer : Dense or Conv
    bits : int
        Bits of an input's code.
    kind : {"bipolar", "unsigned", "signed"}
    by_bytes : bool, optional
        Multiply bytes, or count bits; by default what is faster. Only where the machine multiplies bytes, and
        the layer's weights fit them.

    Raises
    ------
    KernelError
        If the kernels cannot be built.

    Notes
    -----
    With K elements of +1 and -1 in x and w, ``x . w = K - 2 * popcount(x ^ w)``. A plane of 0 and 1 gives
    ``x . w = popcount(w) - popcount(x ^ w)``. So any sum of planes is a constant of the neuron, and a factor
    times the differing bits for each pair of planes that meet.
    """

    def __init__(self, layer: Dense | Conv, bits: int, kind: str, *, by_bytes: bool | None = None) -> None:
        self._function = library().spinbnn_layer
        if by_bytes is None:
            by_bytes = multiplies_bytes() and fits_bytes(layer, kind)
        numbers, arrays = (_by_bytes if by_bytes else _by_bits)(layer, bits, kind)
        base = arrays["base"]
        if kind == "bipolar" and isinstance(layer, Conv) and layer.pad_value == 0 and any(layer.padding):
            base = base + _of_padding(layer)
        numbers |= _geometry(layer) | {"planes": bits, "base_of_positions": int(base.ndim == 2)}
        arrays["base"] = _in_blocks(base)
        head = layer.head
        self._codes = not isinstance(head, Affine)
        if isinstance(head, Threshold | MultiThreshold):
            thresholds = np.ascontiguousarray(np.atleast_2d(head.values))
            arrays |= {"threshold": thresholds, "flip": head.flip.astype(np.uint8)}
            low, mask = (head.low, 2**head.bits - 1) if isinstance(head, MultiThreshold) else (0, 1)
            numbers |= {"thresholds": len(thresholds), "low": low, "mask": mask}
        self._arrays = arrays  # ctypes keeps no reference to what its pointers point to
        pointers = {name: array.ctypes.data for name, array in arrays.items()}
        self._fields = _Layer(**numbers, **pointers)
        self._shapes = (layer.inputs, integer_shape(layer), layer.outputs)

    def __call__(
        self, x: NDArray[np.uint8], residual: Ints | None = None, *, keep_sums: bool = True
    ) -> tuple[Ints | None, Bits | None]:
        """Compute the layer.

        Parameters
        ----------
        x : uint8 [n, inputs]
            Codes, each below ``2**bits``.
        residual : int32 [n, pixels, N], optional
            Integers that are added before the head.
        keep_sums : bool

        Returns
        -------
        sums : int32 [n, pixels, N], or None if they are not kept
            The integers that the head meets.
        codes : uint8 [n, outputs], or None without thresholds
        """
        images, (inputs, (height, width, neurons), outputs) = len(x), self._shapes
        # The kernels trust what they are given.
        assert x.dtype == np.uint8
        assert x.shape == (images, inputs)
        x = np.ascontiguousarray(x)
        shape = (images, height * width, neurons)
        if residual is not None:
            assert residual.dtype == np.int32
            assert residual.shape == shape
            residual = np.ascontiguousarray(residual)
        sums = _empty(shape, np.dtype(np.int32)) if keep_sums else None
        codes = np.empty((images, outputs), dtype=np.uint8) if self._codes else None
        arrays = [None if array is None else array.ctypes.data for array in (x, residual, sums, codes)]
        self._function(ctypes.byref(self._fields), images, *arrays, threads())
        return sums, codes


def multiplies_bytes() -> bool:
    """Return whether this machine multiplies bytes, in tiles, faster than it counts bits.

    Raises
    ------
    KernelError
        If the kernels cannot be built.
    """
    return bool(library().spinbnn_multiplies_bytes())


def fits_bytes(layer: Dense | Conv, kind: str) -> bool:
    """Return whether signed bytes hold a layer's weights; twice the weights where inputs are +1 and -1."""
    twice_stored = isinstance(layer, Conv) and layer.odd_plane_weights is not None
    return not twice_stored and _place(layer) * (2 if kind == "bipolar" else 1) <= 127


Parts = tuple[dict[str, int], dict[str, NDArray[Any]]]
"""Numbers and arrays of a `_Layer`."""


class _Term(NamedTuple):
    """A plane of the inputs that meets a plane of the weights, and what a differing bit adds to the sum."""

    plane: int
    weights: int
    factor: int


def _by_bits(layer: Dense | Conv, bits: int, kind: str) -> Parts:
    """Return how a layer counts differing bits."""
    planes, terms = _terms(layer, bits, kind)
    ones = np.bitwise_count(planes).sum(axis=-1, dtype=np.int64)
    base = np.full(layer.neurons, layer.sum_length * _place(layer) if kind == "bipolar" else 0)
    if kind != "bipolar":
        for term in terms:
            base -= term.factor * ones[term.weights]
    columns = np.array(terms, dtype=np.int64).T.copy()
    arrays = dict(zip(("term_plane", "term_weights", "term_factor"), columns, strict=True))
    weights = _interleaved(planes, layer.sum_length)
    return {"terms": len(terms)}, arrays | {"weights": weights, "base": base.astype(np.int32)}


def _by_bytes(layer: Dense | Conv, bits: int, kind: str) -> Parts:
    """Return how a layer multiplies bytes.

    A code c of +1 and -1 stands for 2c - 1, and one in two's complement, its highest bit toggled, for
    c - 2**(bits - 1): the sum of the weights is taken off.
    """
    planes = layer.weights.reshape(-1, *layer.weights.shape[-2:])
    shifts = np.array(layer.weight_shifts, dtype=np.int64)
    ones = np.bitwise_count(planes).sum(axis=-1, dtype=np.int64)
    sums = ((2 * ones - layer.sum_length) << shifts[:, np.newaxis]).sum(axis=0)
    taken_off = {"bipolar": 1, "unsigned": 0, "signed": 1 << (bits - 1)}[kind]
    values = (2 if kind == "bipolar" else 1) << shifts
    blocks = words_for(layer.neurons, 2 * _LANES) * 2  # in pairs
    weights = _aligned(np.zeros(blocks * planes.shape[-1] * _LANES * SLICE_BITS, dtype=np.int8))
    library().spinbnn_byte_weights(
        np.ascontiguousarray(planes).ctypes.data,
        *planes.shape,
        *(values.ctypes.data, weights.ctypes.data),
    )
    toggled = taken_off if kind == "signed" else 0
    base = (-taken_off * sums).astype(np.int32)
    return {"toggled": toggled}, {"byte_weights": weights, "base": base}


def _place(layer: Dense | Conv) -> int:
    """Return the largest weight."""
    return sum(1 << shift for shift in layer.weight_shifts)


def _terms(layer: Dense | Conv, bits: int, kind: str) -> tuple[Words, list[_Term]]:
    """Return the planes of a layer's weights, uint64 [Q, N, S], and what they meet."""
    weights = layer.weights.reshape(-1, *layer.weights.shape[-2:])
    count = len(weights)
    odd = layer.odd_plane_weights if isinstance(layer, Conv) else None
    if odd is not None:
        weights = np.concatenate([weights, odd.reshape(weights.shape)])
    terms = []
    for plane in range(bits):
        place = -1 << plane if kind != "bipolar" else -2
        if kind == "signed" and plane == bits - 1:
            place = 1 << plane
        first = count if odd is not None and plane % 2 else 0
        terms += [_Term(plane, first + q, place << shift) for q, shift in enumerate(layer.weight_shifts)]
    return weights, terms


def _of_padding(layer: Conv) -> Ints:
    """Return the weights that meet padding of 0, which is taken as -1, int32 [sum positions, N]."""
    bits = unpack(layer.weights, layer.sum_length).reshape(
        len(layer.weight_shifts), layer.neurons, -1, layer.input_shape[2]
    )
    taps = 2 * bits.sum(axis=-1, dtype=np.int32) - np.int32(layer.input_shape[2])
    shifts = np.array(layer.weight_shifts, dtype=np.int32)[:, np.newaxis, np.newaxis]
    sums: Ints = _outside(layer) @ (taps << shifts).sum(axis=0, dtype=np.int32).T
    return sums


def _outside(layer: Conv) -> Ints:
    """Return which pixels of each window are padding, 0 or 1, int32 [positions, pixels of the kernel]."""
    outside = []
    for axis in (0, 1):
        first = np.arange(layer.sum_shape[axis])[:, np.newaxis] * layer.stride[axis] - layer.padding[axis]
        pixel = first + np.arange(layer.kernel[axis])
        outside.append((pixel < 0) | (pixel >= layer.input_shape[axis]))
    down, across = outside
    either = down[:, np.newaxis, :, np.newaxis] | across[np.newaxis, :, np.newaxis, :]
    return either.reshape(len(down) * len(across), -1).astype(np.int32)


def _interleaved(weights: Words, length: int) -> NDArray[np.uint32]:
    """Return words of weights, uint32 [Q, blocks of 16 neurons, words, 16], of uint64 [Q, N, S]."""
    halves = np.ascontiguousarray(weights).astype("<u8", copy=False).view(np.uint32)
    halves = halves[..., : words_for(length, 32)]
    return _aligned(_in_blocks(halves.swapaxes(1, 2)).swapaxes(1, 2))


def _in_blocks(array: NDArray[_Scalar]) -> NDArray[_Scalar]:
    """Return an array, [..., N], filled up with 0 to [..., blocks, 16]."""
    neurons = array.shape[-1]
    padded = np.zeros((*array.shape[:-1], words_for(neurons, _LANES) * _LANES), dtype=array.dtype)
    padded[..., :neurons] = array
    return _aligned(padded.reshape(*array.shape[:-1], -1, _LANES))


def _aligned(array: NDArray[_Scalar]) -> NDArray[_Scalar]:
    """Return a contiguous copy that begins where vectors do."""
    copy = _empty(array.shape, array.dtype)
    copy[...] = array
    return copy


def _empty(shape: tuple[int, ...], dtype: np.dtype[_Scalar]) -> NDArray[_Scalar]:
    """Return an array that begins at a multiple of 64 bytes, as vectors do."""
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + 64, dtype=np.uint8)
    first = -memory.ctypes.data % 64
    return memory[first : first + size].view(dtype).reshape(shape)


def _geometry(layer: Dense | Conv) -> dict[str, int]:
    """Return the geometry of a layer, as `_Layer` names it."""
    if isinstance(layer, Dense):
        one = dict.fromkeys(_ONES, 1)
        return one | {"channels": layer.inputs, "neurons": layer.neurons, "relu": int(layer.relu)}
    numbers = dict(zip(("height", "width", "channels"), layer.input_shape, strict=True))
    numbers |= zip(("kernel_height", "kernel_width"), layer.kernel, strict=True)
    numbers |= zip(("stride_down", "stride_across"), layer.stride, strict=True)
    numbers |= zip(("top", "left", "bottom", "right"), layer.padding, strict=True)
    numbers |= zip(("sum_height", "sum_width"), layer.sum_shape, strict=True)
    numbers |= zip(("out_height", "out_width"), layer.output_shape[:2], strict=True)
    if layer.pool is not None:
        numbers |= {"pooling": _POOLINGS[layer.pool.kind]}
        numbers |= zip(("pool_height", "pool_width"), layer.pool.size, strict=True)
        numbers |= zip(("pool_down", "pool_across"), layer.pool.stride, strict=True)
    numbers |= {"neurons": layer.neurons, "relu": int(layer.relu)}
    return numbers | {"fill": int(layer.pad_value == 1)}
