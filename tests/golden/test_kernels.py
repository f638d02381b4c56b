"""The compiled kernels against NumPy, on shapes that divide nothing, and how they are chosen."""

import os
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spinbnn.golden import kernels
from spinbnn.golden.encoding import pack
from spinbnn.golden.errors import KernelError
from spinbnn.golden.layer_outputs import layer_outputs
from spinbnn.golden.layers import Affine, Conv, Dense, Layer, MultiThreshold, Pool, Threshold, integer_shape
from spinbnn.golden.network import Network, forward, random_network, trace
from tests.networks import Recipe, build, random_images, recipes

RANDOM = settings(
    deadline=None, derandomize=True, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)


def random_head(rng: np.random.Generator, neurons: int, spread: int) -> Any:
    flip = rng.integers(0, 2, neurons) == 1
    match rng.integers(0, 4):
        case 0:
            return Affine(np.ones(neurons, dtype=np.int32), np.zeros(neurons, dtype=np.int32))
        case 1:
            return Threshold(rng.integers(-spread, spread + 1, neurons), flip)
        case 2:
            values = np.sort(rng.integers(-spread, spread + 1, (int(rng.integers(1, 16)), neurons)), axis=0)
            return MultiThreshold(values, flip, 4, 0)
        case _:
            values = np.sort(rng.integers(-spread, spread + 1, (int(rng.integers(1, 8)), neurons)), axis=0)
            return MultiThreshold(values, flip, 4, -int(rng.integers(len(values), 9)))


def random_layer(rng: np.random.Generator, bits: int, kind: str) -> Layer:
    """Return a layer of any size: a third fully connected, the others convolutions of any geometry."""
    planes = int(rng.integers(1, 4))
    shifts = tuple(sorted(int(shift) for shift in rng.integers(0, rng.choice([1, 8]), planes)))
    neurons, relu = int(rng.integers(1, 50)), bool(rng.integers(0, 2))

    def weights(length: int) -> Any:
        shape = (neurons, length) if planes == 1 else (planes, neurons, length)
        return pack(rng.integers(0, 2, shape, dtype=np.uint8))

    if rng.integers(0, 3) == 0:
        inputs = int(rng.integers(1, 300))
        head = random_head(rng, neurons, inputs << max(shifts))
        return Dense("layer", weights(inputs), inputs, head, shifts, relu)
    while True:
        shape = (int(rng.integers(1, 10)), int(rng.integers(1, 10)), int(rng.choice([1, 3, 31, 64, 70, 128])))
        kernel = (int(rng.integers(1, 5)), int(rng.integers(1, 5)))
        padding = tuple(int(pad) for pad in rng.integers(0, 3, 4)) if rng.integers(0, 2) else (0,) * 4
        stride = (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
        if all(shape[i] + padding[i] + padding[i + 2] >= kernel[i] for i in range(2)):
            break
    length = kernel[0] * kernel[1] * shape[2]
    layer = Conv(
        "layer", weights(length), shape, kernel, random_head(rng, neurons, length << max(shifts)), stride,
        padding, int(rng.integers(-1, 2)) if kind == "bipolar" else 0, None, shifts, relu,
        odd_plane_weights=weights(length) if kind == "unsigned" and rng.integers(0, 2) else None,
    )  # fmt: skip
    pool = Pool(
        str(rng.choice(["max", "sum", "or"])),
        (int(rng.integers(1, layer.sum_shape[0] + 1)), int(rng.integers(1, layer.sum_shape[1] + 1))),
        (int(rng.integers(1, 4)), int(rng.integers(1, 4))),
    )
    if rng.integers(0, 2) or (pool.kind == "or" and isinstance(layer.head, Affine)):
        return layer
    return replace(layer, pool=pool)


def ways(layer: Layer, kind: str) -> list[bool]:
    """Return the ways of computing a layer: by bits, and by bytes where machine and layer allow it."""
    return [False, True] if kernels.multiplies_bytes() and kernels.fits_bytes(layer, kind) else [False]


@pytest.mark.parametrize("seed", range(150))
def test_random_layers_equal_those_of_numpy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bits, kind = [(1, "bipolar"), (1, "unsigned"), (4, "unsigned"), (8, "unsigned"), (3, "signed")][seed % 5]
    layer = random_layer(rng, bits, kind)
    images = (
        int(rng.choice([1, 2, 7, 8, 9, 65, 130])) if isinstance(layer, Dense) else int(rng.integers(1, 12))
    )
    x = rng.integers(0, 2**bits, (images, layer.inputs), dtype=np.uint8)
    height, width, neurons = integer_shape(layer)
    residual = None
    if rng.integers(0, 2):
        residual = rng.integers(-500, 500, (images, height * width, neurons), dtype=np.int32)
    sums, codes = layer_outputs(layer, bits, kind, x, residual)
    for by_bytes in ways(layer, kind):
        kernel = kernels.Kernel(layer, bits, kind, by_bytes=by_bytes)
        have, have_codes = kernel(x, residual)
        assert np.array_equal(have, sums)
        assert np.array_equal(have_codes, codes) if codes is not None else have_codes is None
        nothing, only_codes = kernel(x, residual, keep_sums=False)
        assert nothing is None
        assert np.array_equal(only_codes, codes) if codes is not None else only_codes is None


@settings(RANDOM, max_examples=60)
@given(recipe=recipes(), images=st.integers(0, 9))
def test_random_networks_equal_those_of_numpy(recipe: Recipe, images: int) -> None:
    network = build(recipe)
    x = random_images(network, images, np.random.default_rng(1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPINBNN_KERNELS", "numpy")
        want, logits = trace(network, x), forward(network, x)
        patch.setenv("SPINBNN_KERNELS", "compiled")
        have = trace(network, x)
        assert np.array_equal(forward(network, x), logits)
    for one, other in zip(have, want, strict=True):
        assert np.array_equal(one.sums, other.sums)
        assert (one.bits is None and other.bits is None) or np.array_equal(one.bits, other.bits)


@pytest.mark.parametrize("threads", ["1", "2", "3", "17"])
@pytest.mark.parametrize("images", [1, 9, 63, 64, 65, 300])
def test_any_number_of_threads_gives_the_same(
    threads: str, images: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = random_network([100, 40, 30, 10], input_bits=8, seed=2)
    x = random_images(network, images, np.random.default_rng(3))
    monkeypatch.setenv("SPINBNN_KERNELS", "numpy")
    want = forward(network, x)
    monkeypatch.setenv("SPINBNN_KERNELS", "compiled")
    monkeypatch.setenv("SPINBNN_THREADS", threads)
    assert np.array_equal(forward(network, x), want)


def hidden_layer() -> tuple[Layer, Any, Any]:
    """Return a layer, images that take several blocks, and their codes."""
    rng = np.random.default_rng(5)
    head = Threshold(rng.integers(-20, 21, 100), rng.integers(0, 2, 100) == 1)
    layer = Dense("dense", pack(rng.integers(0, 2, (100, 700), dtype=np.uint8)), 700, head)
    x = rng.integers(0, 2, (500, 700), dtype=np.uint8)
    return layer, x, layer_outputs(layer, 1, "bipolar", x)[1]


def test_callers_on_several_threads_get_what_they_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPINBNN_THREADS", "3")
    layer, x, codes = hidden_layer()
    kernel = kernels.Kernel(layer, 1, "bipolar")
    starts = [int(start) for start in np.random.default_rng(6).integers(0, 400, 200)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda start: kernel(x[start:], keep_sums=False)[1], starts))
    for start, of_start in zip(starts, found, strict=True):
        assert np.array_equal(of_start, codes[start:])


def test_a_forked_process_has_threads_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPINBNN_THREADS", "2")
    layer, x, codes = hidden_layer()
    kernel = kernels.Kernel(layer, 1, "bipolar")
    kernel(x)  # the parent's threads live
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads: that is the point
        child = os.fork()
    if not child:
        right = np.array_equal(kernel(x, keep_sums=False)[1], codes)
        os._exit(0 if right and len(list(Path("/proc/self/task").iterdir())) == 2 else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize(("width", "channels", "kernel"), [(150, 1, 67), (97, 3, 30), (30, 2, 1), (32, 5, 3)])
def test_windows_at_every_bit_of_a_word(width: int, channels: int, kernel: int) -> None:
    """Rows of several words; padding of 0; and maps of 31 windows, one fewer than tiles take at once."""
    rng = np.random.default_rng(6)
    weights = pack(rng.integers(0, 2, (40, kernel * channels), dtype=np.uint8))
    head = Affine(np.ones(40, int), np.zeros(40, int))
    for padding in ((0, 0, 0, 0), (0, kernel // 2, 0, kernel // 2), (0, 1, 0, 0)):
        layer = Conv("conv", weights, (1, width, channels), (1, kernel), head, padding=padding)
        x = rng.integers(0, 2, (5, width * channels), dtype=np.uint8)
        want, _ = layer_outputs(layer, 1, "bipolar", x)
        for by_bytes in ways(layer, "bipolar"):
            have, _ = kernels.Kernel(layer, 1, "bipolar", by_bytes=by_bytes)(x)
            assert np.array_equal(have, want)


def test_the_largest_sums() -> None:
    """Every bit set, 9 planes of weights and 8 of inputs: 2**30 is near."""
    inputs = 4096
    ones = pack(np.ones((9, 17, inputs), dtype=np.uint8))
    layer = Dense(
        "last", ones, inputs, Affine(np.ones(17, int), np.zeros(17, int)), (0, 0, 1, 2, 3, 4, 5, 6, 7)
    )
    x = np.array([[255], [0]], dtype=np.uint8).repeat(inputs, axis=1)
    sums, _ = kernels.Kernel(layer, 8, "unsigned")(x)
    assert sums is not None
    assert sums[:, 0].tolist() == [[255 * 256 * inputs] * 17, [0] * 17]


@pytest.mark.parametrize(("shifts", "kind", "fits"), [
    ((0, 1, 2, 3, 4, 5), "bipolar", True), ((0, 0, 1, 2, 3, 4, 5), "bipolar", False),
    ((0, 1, 2, 3, 4, 5, 6), "unsigned", True), ((7,), "unsigned", False),
    ((0, 0, 1, 2, 3, 4, 5, 6), "signed", False),
])  # fmt: skip
@pytest.mark.parametrize("held", [0, 1])
def test_the_largest_weights_of_bytes(shifts: tuple[int, ...], kind: str, fits: bool, held: int) -> None:
    shape = (3, 70) if len(shifts) == 1 else (len(shifts), 3, 70)
    weights = pack(np.full(shape, held, dtype=np.uint8))
    layer = Dense("last", weights, 70, Affine(np.ones(3, int), np.zeros(3, int)), shifts)
    assert kernels.fits_bytes(layer, kind) == fits
    bits = 1 if kind == "bipolar" else 4
    x = np.random.default_rng(1).integers(0, 2**bits, (40, 70), dtype=np.uint8)
    want, _ = layer_outputs(layer, bits, kind, x)
    for by_bytes in ways(layer, kind):
        assert np.array_equal(kernels.Kernel(layer, bits, kind, by_bytes=by_bytes)(x)[0], want)


def test_images_that_are_a_view() -> None:
    network = random_network([70, 20, 5], input_bits=8, seed=4)
    wide = np.random.default_rng(5).integers(0, 256, (9, 140), dtype=np.uint8)
    kernel = kernels.Kernel(network.layers[0], 8, "unsigned")
    for have, want in zip(kernel(wide[:, ::2]), kernel(wide[:, ::2].copy()), strict=True):
        assert np.array_equal(have, want)


SMALL = random_network([70, 20, 5], input_bits=8, seed=4)


def run_of(network: Network) -> list[str]:
    from spinbnn.golden import network as module

    return [type(run).__name__ for run in module._runs(network, 1)]


def test_kernels_are_chosen_by_the_size_of_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPINBNN_KERNELS", raising=False)
    assert kernels.chosen(kernels.WORTHWHILE)
    assert not kernels.chosen(kernels.WORTHWHILE - 1)
    assert run_of(SMALL) == ["partial", "partial"]
    monkeypatch.setattr(kernels, "WORTHWHILE", 8 * 70 * 20 + 20 * 5)
    assert run_of(SMALL) == ["Kernel", "Kernel"]


def test_the_environment_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPINBNN_KERNELS", "numpy")
    assert not kernels.chosen(2**60)
    monkeypatch.setenv("SPINBNN_KERNELS", "compiled")
    assert kernels.chosen(0)
    monkeypatch.setenv("SPINBNN_KERNELS", "fast")
    with pytest.raises(KernelError, match="SPINBNN_KERNELS must be auto, compiled or numpy, not 'fast'"):
        kernels.chosen(0)
    monkeypatch.setenv("SPINBNN_THREADS", "none")
    with pytest.raises(KernelError, match="SPINBNN_THREADS must be a positive integer, not 'none'"):
        kernels.threads()


CODE = """
from spinbnn.golden import kernels
from spinbnn.golden.errors import KernelError
print(kernels.available(), kernels.chosen(2**60))
try:
    kernels.library()
except KernelError as error:
    print(error)
"""


def in_a_new_process(folder: Path, **changes: str) -> str:
    environment = {**os.environ, "SPINBNN_KERNELS": "auto", "XDG_CACHE_HOME": str(folder), **changes}
    done = subprocess.run(
        [sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_without_a_compiler_numpy_computes(tmp_path: Path) -> None:
    lines = in_a_new_process(tmp_path, CXX="no-such-compiler").splitlines()
    assert lines[0] == "False False"
    assert lines[1].startswith("the kernels cannot be built: ")
    assert "no-such-compiler" in lines[1]


def test_without_a_place_for_the_build_numpy_computes(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    lines = in_a_new_process(tmp_path / "file").splitlines()
    assert lines[0] == "False False"
    assert lines[1].startswith("the kernels cannot be built: ")


def test_a_build_that_fails_says_why(tmp_path: Path) -> None:
    lines = in_a_new_process(tmp_path, CXX="g++ -no-such-option").splitlines()
    assert lines[0] == "False False"
    assert "no-such-option" in lines[1]


def test_a_build_is_kept_for_the_next_process(tmp_path: Path) -> None:
    assert in_a_new_process(tmp_path) == "True True"
    (built,) = (tmp_path / "spinbnn").iterdir()
    made = built.stat().st_mtime_ns
    assert in_a_new_process(tmp_path) == "True True"
    assert (built.stat().st_mtime_ns, list(built.parent.iterdir())) == (made, [built])


@pytest.mark.parametrize("processor", ["x86-64-v2", "x86-64-v3"])
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="names processors of x86-64")
def test_code_for_older_processors_gives_the_same(processor: str, tmp_path: Path) -> None:
    """Without vector instructions that count, the whole file of tests runs on the code that stands in."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "CXXFLAGS": f"-march={processor}"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", "random_layers"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
