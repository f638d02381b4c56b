"""Random networks against PyTorch in float64: exact, for every layer's integers and activations.

Left out by default; where PyTorch is installed, ``pytest -m train tests/golden/test_against_torch.py`` runs
them, and ``-m "train and not long"`` a handful. The PyTorch model is written from the layers' fields alone.
"""

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from spinbnn.golden.layers import Affine, Conv, Dense, MultiThreshold, Pool, Threshold
from spinbnn.golden.network import Network, forward, trace
from tests.networks import Limits, Recipe, build, random_images, random_recipe, recipes

RANDOM = settings(
    deadline=None, derandomize=True, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
LARGER = Limits(size=16, channels=40, kernel=5, layers=5)


def weights_of(layer: Dense | Conv) -> Any:
    """Return the weights as float64, [N, K] of a dense layer, [N, C, kh, kw] of a convolution."""
    import torch

    planes = layer.weights.reshape(len(layer.weight_shifts), -1, layer.weights.shape[-1])
    numbers = torch.zeros(planes.shape[1], planes.shape[2] * 64, dtype=torch.float64)
    for shift, plane in zip(layer.weight_shifts, planes, strict=True):
        bits = (plane[:, :, np.newaxis] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
        signs = torch.tensor(bits.astype(np.float64)) * 2 - 1
        numbers += signs.flatten(1) * 2.0**shift
    if isinstance(layer, Dense):
        return numbers[:, : layer.inputs]
    (height, width), channels = layer.kernel, layer.input_shape[2]
    kernels = numbers[:, : height * width * channels].reshape(-1, height, width, channels)
    return kernels.permute(0, 3, 1, 2)


def sums_of(layer: Dense | Conv, values: Any) -> Any:
    """Return the sums, [n, N, y, x], of values, [n, elements] in the order (y, x, c)."""
    from torch.nn import functional

    weights = weights_of(layer)
    if isinstance(layer, Dense):
        return functional.linear(values, weights)[:, :, None, None]
    maps = values.reshape(-1, *layer.input_shape).permute(0, 3, 1, 2)
    top, left, bottom, right = layer.padding
    padded = functional.pad(maps, (left, right, top, bottom), value=float(layer.pad_value))
    return functional.conv2d(padded, weights, stride=layer.stride)


def pooled(pool: Pool, maps: Any) -> Any:
    from torch.nn import functional

    if pool.kind == "sum":
        return functional.avg_pool2d(maps, pool.size, pool.stride, divisor_override=1)
    return functional.max_pool2d(maps, pool.size, pool.stride)


def activations_of(head: Threshold | MultiThreshold, sums: Any) -> Any:
    import torch

    flip = torch.tensor(head.flip)[None, :, None, None]
    if isinstance(head, Threshold):
        above = sums >= torch.tensor(head.values.astype(np.float64))[None, :, None, None]
        return torch.where(above ^ flip, 1.0, -1.0).double()
    values = torch.tensor(head.values.astype(np.float64))[None, :, :, None, None]
    count = (sums[:, None] >= values).sum(1).double()
    return head.low + torch.where(flip, len(head.values) - count, count)


def flattened(maps: Any) -> Any:
    return maps.permute(0, 2, 3, 1).flatten(1)


def assert_equals_torch(network: Network, images: int = 3) -> None:
    import torch
    from torch.nn import functional

    torch.set_num_threads(1)
    x = random_images(network, images, np.random.default_rng(2))
    traced = trace(network, x)
    values = torch.tensor(x.astype(np.float64))
    if network.input_signed:
        values = values * 2 - 1
    integers: dict[str, Any] = {}
    for layer, have in zip(network.layers, traced, strict=True):
        where = f"network {network.name}, layer {layer.name}"
        sums = sums_of(layer, values)
        pool = layer.pool
        if layer.relu:
            sums = functional.relu(sums)
        if pool is not None and pool.kind != "or":
            sums = pooled(pool, sums)
        if layer.residual is not None:
            sums = sums + integers[layer.residual]
        integers[layer.name] = sums
        assert np.array_equal(have.sums, flattened(sums).numpy()), f"{where}: sums"
        if isinstance(layer.head, Affine):
            scale, bias = (torch.tensor(v.astype(np.float64)) for v in (layer.head.scale, layer.head.bias))
            logits = flattened(sums) * scale + bias
            assert np.array_equal(forward(network, x), logits.numpy()), f"{where}: logits"
            continue
        activations = activations_of(layer.head, sums)
        if pool is not None and pool.kind == "or":
            activations = functional.max_pool2d(activations, pool.size, pool.stride)
        values = flattened(activations)
        if isinstance(layer.head, Threshold):
            codes = (values + 1) / 2
        else:
            codes = torch.remainder(values, 2**layer.head.bits)
        assert np.array_equal(have.bits, codes.numpy()), f"{where}: activations"


@pytest.mark.train
@pytest.mark.parametrize("seed", range(30))
def test_networks_of_seeds_equal_pytorch(seed: int) -> None:
    assert_equals_torch(build(random_recipe(seed)))


@pytest.mark.train
@pytest.mark.long
@settings(RANDOM, max_examples=600)
@given(recipe=recipes())
def test_random_networks_equal_pytorch(recipe: Recipe) -> None:
    assert_equals_torch(build(recipe))


@pytest.mark.train
@pytest.mark.long
@pytest.mark.parametrize("block", range(10))
def test_larger_networks_of_seeds_equal_pytorch(block: int) -> None:
    for seed in range(50 * block, 50 * (block + 1)):
        assert_equals_torch(build(random_recipe(seed, LARGER)))
