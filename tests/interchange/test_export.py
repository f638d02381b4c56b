"""Networks as ONNX models: onnxruntime's logits are golden's, for all that networks can hold."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from spinbnn.golden.encoding import pack
from spinbnn.golden.layers import Affine, Conv, Dense, MultiThreshold, Pool, Threshold
from spinbnn.golden.network import Network, forward
from spinbnn.golden.network_file import load_network
from spinbnn.sim.assets import MNIST_NETWORK
from spinbnn.sim.datasets import bundled_images
from spinbnn.sim.interchange.exporter import export_network, to_model
from spinbnn.sim.interchange.problems import ModelError
from tests.networks import Limits, build, random_images, random_recipe


def runtime_logits(model, images: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"images": images})[0]


def assert_exported_exactly(network: Network, images: int = 5) -> None:
    x = random_images(network, images, np.random.default_rng(1))
    x = np.concatenate([x, np.zeros_like(x[:1]), np.full_like(x[:1], 2**network.input_bits - 1)])
    logits = runtime_logits(to_model(network), x)
    assert logits.dtype == np.int32
    np.testing.assert_array_equal(logits, forward(network, x))


@pytest.mark.parametrize("seed", range(60))
def test_onnxruntime_gives_the_logits_of_random_networks(seed):
    assert_exported_exactly(build(random_recipe(seed)))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1000, 1400))
def test_onnxruntime_gives_the_logits_of_many_random_networks(seed):
    assert_exported_exactly(build(random_recipe(seed, Limits(size=11, channels=70, layers=5))))


def random_bits(*shape: int) -> np.ndarray:
    return pack(np.random.default_rng(3).integers(0, 2, shape, np.uint8))


@pytest.mark.parametrize(
    ("channels", "planes"), [(301, 8), (70_001, 1), (70_001, 2)], ids=["planes", "channels", "both"]
)
def test_sums_too_large_for_one_float_are_formed_in_parts(channels, planes):
    shape = (planes, 3, channels) if planes > 1 else (3, channels)
    head = Affine(np.ones(3, np.int32), np.arange(3, dtype=np.int32))
    layer = Dense("wide", random_bits(*shape), channels, head, weight_shifts=tuple(range(planes)))
    network = Network("wide", (layer,), 8, False, {})
    all_plus = replace(layer, weights=pack(np.ones(shape, np.uint8)))
    assert_exported_exactly(network, 2)
    assert_exported_exactly(replace(network, layers=(all_plus,)), 2)


def test_a_residual_is_added_with_its_own_residual():
    def conv(name: str, **changes) -> Conv:
        head = Threshold(np.arange(4, dtype=np.int32), np.array([False, True, False, True]))
        return Conv(name, random_bits(4, 36), (5, 5, 4), (3, 3), head, padding=(1, 1, 1, 1), **changes)

    layers = (
        conv("a", pad_value=1),
        conv("b", residual="a", pad_value=-1),
        conv("c", residual="b", relu=True, pool=Pool("or", (2, 2), (1, 1))),
    )
    end = Dense("end", random_bits(2, 64), 64, Affine(np.array([3, -2]), np.array([-7, 9])))
    assert_exported_exactly(Network("chain", (*layers, end), 1, True, {}), 20)


def test_flipped_signed_activations():
    head = MultiThreshold(np.array([[-3, 0], [0, 0], [2, 1]], np.int32), np.array([True, False]), 3, -2)
    first = Dense("a", random_bits(2, 20), 20, head)
    end = Dense("end", random_bits(2, 2), 2, Affine(np.array([1, 1]), np.array([0, 0])))
    assert_exported_exactly(Network("signed", (first, end), 1, True, {}), 100)


def test_the_shipped_network_on_real_images():
    network, images = load_network(MNIST_NETWORK), bundled_images().pixels
    np.testing.assert_array_equal(runtime_logits(to_model(network), images), forward(network, images))


def test_a_model_is_of_standard_operations_alone(tmp_path: Path):
    export_network(build(random_recipe(1)), tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert [(each.domain, each.version) for each in model.opset_import] == [("", 17)]
    assert {node.domain for node in model.graph.node} == {""}
    assert [each.name for each in (*model.graph.input, *model.graph.output)] == ["images", "logits"]


def test_a_model_that_cannot_be_written_leaves_nothing(tmp_path: Path):
    target = tmp_path / "there"
    target.mkdir()
    with pytest.raises(ModelError) as error:
        export_network(build(random_recipe(1)), target)
    assert str(error.value) == (
        f"{target}: cannot be written (Is a directory), expected a path in a writable folder"
    )
    assert list(tmp_path.iterdir()) == [target]
