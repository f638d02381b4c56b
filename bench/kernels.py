"""The compiled kernels against matrix products, and against the machine's limit of population counts."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from bench.measurement import Benchmark, Measurement, NotMeasuredError, best, best_of_each
from spinbnn.golden import kernels
from spinbnn.golden.encoding import pack
from spinbnn.golden.layer_outputs import layer_outputs
from spinbnn.golden.layers import Affine, Conv, Dense, Layer, Threshold, operations

NEURONS = 1024
SUBJECT = "compiled kernels, from codes to int32 sums"
REPEATS = 20
# How a kernel computes, what its loop in kernels.cpp does of it, for how many rounds, and how often in all.
BY_BITS = (
    "counting bits",
    "xor, popcount and add of as many bits",
    ("spinbnn_popcount_loop", 1_000_000),
    1_000_000 * 8 * 512,
)
BY_TILES = (
    "bytes multiplied in tiles",
    "as many products of tiles",
    ("spinbnn_tile_loop", 100_000),
    100_000 * 4 * 16 * 64 * 16,
)


def torch_of(what: str) -> Any:
    try:
        import torch  # noqa: PLC0415 -- optional, and slow to import
    except ImportError:
        raise NotMeasuredError(f"{what}: PyTorch is not installed (extra `train`)") from None
    torch.set_num_threads(kernels.threads())
    return torch


def kernel_of(layer: Layer) -> kernels.Kernel:
    if not kernels.available():
        raise NotMeasuredError("the compiled kernels: there is no compiler (g++)")
    return kernels.Kernel(layer, 1, "bipolar")


def on_all_cores(loop: str, rounds: int) -> None:
    """Run a loop of the compiled kernels' that never leaves the registers, on all cores."""
    run = getattr(kernels.library(), loop)
    with ThreadPoolExecutor(kernels.threads()) as pool:
        list(pool.map(run, [rounds] * kernels.threads()))


def repeats_of(images: int) -> int:
    """Return how often to run a batch: the first runs after a pause, some milliseconds of them, are slow."""
    return max(REPEATS, min(200, 100_000 // images))


def rate(images: int, seconds: float) -> str:
    way = "bytes multiplied in tiles" if kernels.multiplies_bytes() else "bits counted"
    return f"{images / seconds:,.0f} images/s, {way}"


def blas() -> str:
    """Return which kernels NumPy's BLAS runs, and what the environment makes it run."""
    try:
        import threadpoolctl  # noqa: PLC0415 -- optional
    except ImportError:
        kernel = "of a kernel unknown without threadpoolctl"
    else:
        found = [each for each in threadpoolctl.threadpool_info() if each["user_api"] == "blas"]
        kernel = ", ".join(f"{each['internal_api']} {each.get('architecture', '')}" for each in found)
    forced = [name for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE") if name in os.environ]
    return f"BLAS {kernel}" + "".join(f"; {name} IS SET" for name in forced)


def dense() -> Dense:
    weights = pack(np.random.default_rng(1).integers(0, 2, (NEURONS, NEURONS), dtype=np.uint8))
    head = Affine(np.ones(NEURONS, dtype=np.int32), np.zeros(NEURONS, dtype=np.int32))
    return Dense("dense", weights, NEURONS, head)


def signs(codes: np.ndarray, dtype: type) -> np.ndarray:
    return 2 * codes.astype(dtype) - 1


def dense_operands(images: int) -> tuple[Dense, np.ndarray, np.ndarray]:
    """Return a layer, its inputs as codes, and its weights as +1 and -1, int8 [inputs, neurons]."""
    layer = dense()
    codes = np.random.default_rng(2).integers(0, 2, (images, NEURONS), dtype=np.uint8)
    bits = np.unpackbits(layer.weights.view(np.uint8), axis=1, bitorder="little")
    return layer, codes, signs(bits, np.int8).T.copy()


def checked(layer: Layer, codes: np.ndarray, expected: np.ndarray) -> Callable[[], object]:
    """Return a run of the compiled kernels, having seen that it is right."""
    kernel = kernel_of(layer)
    sums, _ = kernel(codes)
    assert sums is not None
    assert np.array_equal(sums.reshape(expected.shape), expected)
    return lambda: kernel(codes)


def against_blas(images: int, target: float | None = None) -> Measurement:
    layer, codes, matrix = dense_operands(images)
    x, weights = signs(codes, np.float32), matrix.astype(np.float32)
    run = checked(layer, codes, x @ weights)
    seconds, baseline = best_of_each(run, lambda: x @ weights, repeats=repeats_of(images))
    return Measurement(
        f"dense {NEURONS} x {NEURONS}, {images:,} images of +1 and -1",
        SUBJECT,
        seconds,
        "float32 matrix product of NumPy",
        baseline,
        target,
        f"{rate(images, seconds)}; {blas()}",
    )


def against_the_limit(*, by_bytes: bool, images: int = 1000) -> Measurement:
    """Compare one of the kernels' two ways with what the machine does of it in registers."""
    layer, codes, _ = dense_operands(images)
    kernel_of(layer)  # or there is nothing to measure
    if by_bytes and not kernels.multiplies_bytes():
        raise NotMeasuredError("the limit of tiles: this machine has none (AMX)")
    way, work, loop, operations_of_loop = BY_TILES if by_bytes else BY_BITS
    kernel = kernels.Kernel(layer, 1, "bipolar", by_bytes=by_bytes)
    seconds, of_loop = best_of_each(
        lambda: kernel(codes), partial(on_all_cores, *loop), repeats=repeats_of(images)
    )
    limit = kernels.threads() * operations_of_loop / of_loop
    least = images * operations(layer, 1) / limit
    return Measurement(
        f"dense {NEURONS} x {NEURONS}, {images:,} images, {way}",
        SUBJECT,
        seconds,
        f"{work}, in registers, all cores",
        least,
        note=f"{images / seconds:,.0f} images/s, {least / seconds:.0%} of the limit",
    )


def against_numpy(images: int = 1000) -> Measurement:
    layer, codes, _ = dense_operands(images)
    sums, _ = layer_outputs(layer, 1, "bipolar", codes)
    assert sums is not None
    run = checked(layer, codes, sums[:, 0])
    return Measurement(
        f"dense {NEURONS} x {NEURONS}, {images:,} images of +1 and -1",
        SUBJECT,
        best(run, repeats_of(images)),
        "the same in NumPy (np.bitwise_count)",
        best(lambda: layer_outputs(layer, 1, "bipolar", codes)),
    )


def against_int8(images: int, target: float | None = None) -> Measurement:
    torch = torch_of("dense layers in int8")
    layer, codes, matrix = dense_operands(images)
    x, weights = torch.from_numpy(signs(codes, np.int8)), torch.from_numpy(matrix)
    by_neuron = weights.t().contiguous().t()
    run = checked(layer, codes, torch._int_mm(x, weights).numpy())
    seconds, first, second = best_of_each(
        run,
        lambda: torch._int_mm(x, weights),
        lambda: torch._int_mm(x, by_neuron),
        repeats=repeats_of(images),
    )
    return Measurement(
        f"dense {NEURONS} x {NEURONS}, {images:,} images of +1 and -1",
        SUBJECT,
        seconds,
        "int8 matrix product of PyTorch (_int_mm), the faster layout of the weights",
        min(first, second),
        target,
        f"{rate(images, seconds)}; layouts {first * 1e3:.2f} and {second * 1e3:.2f} ms",
    )


def hidden_layer_against_int8(images: int) -> Measurement:
    """Compare a hidden layer, which gives codes and keeps no sums, with a product alone, which gives sums."""
    torch = torch_of("dense layers in int8")
    layer, codes, matrix = dense_operands(images)
    head = Threshold(np.arange(NEURONS, dtype=np.int32) % 41 - 20, np.arange(NEURONS) % 3 == 0)
    kernel = kernel_of(Dense("hidden", layer.weights, NEURONS, head))
    x, weights = torch.from_numpy(signs(codes, np.int8)), torch.from_numpy(matrix)
    _, got = kernel(codes, keep_sums=False)
    assert got is not None
    assert np.array_equal(got, (torch._int_mm(x, weights).numpy() >= head.values) ^ head.flip)
    seconds, baseline = best_of_each(
        lambda: kernel(codes, keep_sums=False), lambda: torch._int_mm(x, weights), repeats=repeats_of(images)
    )
    return Measurement(
        f"dense {NEURONS} x {NEURONS}, {images:,} images of +1 and -1, with thresholds",
        "compiled kernels, from codes to codes",
        seconds,
        "int8 matrix product of PyTorch (_int_mm), without thresholds",
        baseline,
        note=rate(images, seconds),
    )


def convolution(images: int = 64) -> Measurement:
    torch = torch_of("convolutions in float32")
    size, channels = 16, 128
    rng = np.random.default_rng(3)
    bits = rng.integers(0, 2, (channels, 3, 3, channels), dtype=np.uint8)
    head = Affine(np.ones(channels, dtype=np.int32), np.zeros(channels, dtype=np.int32))
    layer = Conv(
        "conv", pack(bits.reshape(channels, -1)), (size, size, channels), (3, 3), head, padding=(1, 1, 1, 1)
    )
    codes = rng.integers(0, 2, (images, size, size, channels), dtype=np.uint8)
    x = torch.from_numpy(signs(codes, np.float32)).permute(0, 3, 1, 2)
    weights = torch.from_numpy(signs(bits, np.float32)).permute(0, 3, 1, 2)
    last = [each.contiguous(memory_format=torch.channels_last) for each in (x, weights)]
    first = [each.contiguous() for each in (x, weights)]
    product: Callable[..., Any] = torch.nn.functional.conv2d
    with torch.inference_mode():
        expected = product(*first, padding=1).permute(0, 2, 3, 1).numpy()
        run = checked(layer, codes.reshape(images, -1), expected)
        seconds, *layouts = best_of_each(
            run, lambda: product(*first, padding=1), lambda: product(*last, padding=1)
        )
    return Measurement(
        f"convolution of 3 x 3, {channels} to {channels} channels, {size} x {size} maps, {images} images",
        SUBJECT,
        seconds,
        "float32 convolution of PyTorch, the faster layout",
        min(layouts),
        5,
        rate(images, seconds),
    )


BENCHMARKS: tuple[Benchmark, ...] = (
    partial(against_blas, 1),
    partial(against_blas, 16),
    partial(against_blas, 256),
    partial(against_blas, 1000, target=8),
    partial(against_blas, 10_000),
    partial(against_the_limit, by_bytes=False),
    partial(against_the_limit, by_bytes=True),
    against_numpy,
    partial(against_int8, 256),
    partial(against_int8, 1000, target=2.5),
    partial(against_int8, 10_000),
    partial(hidden_layer_against_int8, 1000),
    convolution,
)
