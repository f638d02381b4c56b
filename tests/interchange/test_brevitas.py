"""Networks that Brevitas exports, imported and compared with QONNX's own executor on real images.

Tests marked `interop` need PyTorch, Brevitas and the qonnx package (the `interop` extra), and are left out by
default. TFC, SFC, LFC and CNV are Brevitas' own definitions with one bit; TFC with two bits is beside them.
"""

import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from spinbnn.golden.fitting import fit
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.layers import Conv
from spinbnn.golden.network import classify, forward
from spinbnn.golden.network_file import load_network
from spinbnn.golden.operating_point import POINTS
from spinbnn.sim.cli import app
from spinbnn.sim.datasets import bundled_images
from spinbnn.sim.interchange.importer import Imported, import_network
from spinbnn.sim.interchange.inputs import network_pixels
from spinbnn.sim.job import run_job
from spinbnn.sim.spec import RunJob

pytestmark = [
    pytest.mark.interop,
    pytest.mark.filterwarnings("ignore"),  # those of the packages under test
]

# A step of the logits is the scale of the last layer, near 1: float32 is far finer.
TOLERANCE = 1e-4


def brevitas_model(name: str, seed: int) -> Any:
    """Return a model with random weights and batch-norm statistics as random sums have them."""
    import torch
    from brevitas_examples.bnn_pynq.models import model_with_cfg

    torch.manual_seed(seed)
    model, _ = model_with_cfg(name, pretrained=False)
    norms = [each for each in model.modules() if isinstance(each, torch.nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        torch.nn.init.uniform_(norm.weight, -1, 1)
        torch.nn.init.normal_(norm.bias, 0, 0.3)
        norm.momentum = None  # an average over what it is shown
    model.train()
    with torch.no_grad():
        for _ in range(4):
            model(torch.from_numpy(model_input(pictures(name)[:32])))
    for norm in norms:
        norm.running_mean += norm.running_var.sqrt() * 0.3 * torch.randn_like(norm.running_mean)
    return model.eval()


def pictures(name: str) -> np.ndarray:
    """Return real images, uint8 [n, C, H, W], as the model takes them."""
    digits = bundled_images().pixels[:100].reshape(-1, 28, 28)
    if not name.startswith("cnv"):
        return digits[:, np.newaxis]
    framed = np.pad(digits, ((0, 0), (2, 2), (2, 2)))
    noise = np.random.default_rng(1).integers(0, 128, framed.shape)
    return np.stack([framed, framed[:, ::-1], (framed // 2 + noise).astype(np.uint8)], axis=1)


def model_input(images: np.ndarray) -> np.ndarray:
    return (images / np.float32(255)).astype(np.float32)


def exported(name: str, path: Path, dynamo: bool) -> Any:
    """Export a model; return it as the qonnx package reads it."""
    import torch
    from brevitas.export import export_qonnx
    from qonnx.core.modelwrapper import ModelWrapper

    model = brevitas_model(name, seed=7)
    example = torch.from_numpy(model_input(pictures(name)[:1]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        export_qonnx(model, example, str(path), dynamo=dynamo)
    return ModelWrapper(str(path))


def executed(wrapper: Any, images: np.ndarray) -> np.ndarray:
    """Return the logits of QONNX's executor."""
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.infer_shapes import InferShapes

    wrapper = wrapper.transform(InferShapes())
    source, target = wrapper.graph.input[0].name, wrapper.graph.output[0].name
    results = [execute_onnx(wrapper, {source: model_input(image[np.newaxis])})[target][0] for image in images]
    return np.array(results)


def assert_equals(result: Imported, want: np.ndarray, images: np.ndarray) -> None:
    network = result.network
    pixels = network_pixels(network, images.transpose(0, 2, 3, 1).reshape(len(images), -1))
    logits = forward(network, pixels)
    scale, offset = (Fraction(network.metadata[name]) for name in ("logit_scale", "logit_offset"))
    assert network.metadata["logit_exact"]
    np.testing.assert_allclose(logits * float(scale) + float(offset), want, rtol=0, atol=TOLERANCE)
    np.testing.assert_array_equal(logits, np.round((want - float(offset)) / float(scale)))
    top = np.sort(logits, axis=1)
    clear = top[:, -1] > top[:, -2]  # equal logits may round to different floats
    np.testing.assert_array_equal(classify(logits)[clear], want.argmax(axis=1)[clear])
    assert len(np.unique(logits, axis=0)) > len(images) // 2


@pytest.mark.parametrize("name", ["tfc_1w1a", "sfc_1w1a", "lfc_1w1a", "tfc_1w2a", "cnv_1w1a"])
@pytest.mark.parametrize("exporter", ["default", "torchscript"])
def test_models_of_brevitas(name, exporter, tmp_path: Path):
    path = tmp_path / "model.onnx"
    wrapper = exported(name, path, dynamo=exporter == "default")
    images = pictures(name)
    result = import_network(path)
    assert_equals(result, executed(wrapper, images), images)
    if name == "cnv_1w1a":
        assert [type(layer) for layer in result.network.layers[:6]] == [Conv] * 6
        assert result.network.input_bits == 8
    elif name.endswith("1a"):
        assert result.network.metadata["input_threshold"] == 128


@pytest.mark.parametrize("name", ["tfc_1w1a", "cnv_1w1a"])
def test_models_that_qonnx_has_transformed(name, tmp_path: Path):
    """Batch norm as Mul and Add, constants folded."""
    from qonnx.transformation.batchnorm_to_affine import BatchNormToAffine
    from qonnx.transformation.fold_constants import FoldConstants
    from qonnx.transformation.general import GiveUniqueNodeNames
    from qonnx.transformation.infer_shapes import InferShapes

    wrapper = exported(name, tmp_path / "model.onnx", dynamo=True)
    images = pictures(name)[:100]
    want = executed(wrapper, images)
    steps = [InferShapes(), BatchNormToAffine(), FoldConstants([]), GiveUniqueNodeNames()]
    for step in steps:
        wrapper = wrapper.transform(step)
    operations = {node.op_type for node in wrapper.graph.node}
    assert {"Mul", "Add"} <= operations
    assert "BatchNormalization" not in operations
    wrapper.save(str(tmp_path / "transformed.onnx"))
    assert_equals(import_network(tmp_path / "transformed.onnx"), want, images)


@pytest.mark.verilator
@pytest.mark.parametrize("name", ["tfc_1w1a", "cnv_1w1a"])
def test_from_the_export_to_the_verilog(name: str, tmp_path: Path) -> None:
    """The command imports the model, and the RTL's logits are those of QONNX's executor."""
    wrapper = exported(name, tmp_path / "model.onnx", dynamo=True)
    command = ["import", str(tmp_path / "model.onnx"), "-o", str(tmp_path / "network.npz")]
    assert CliRunner().invoke(app, command).exit_code == 0
    network = load_network(tmp_path / "network.npz")
    images = pictures(name)[:3]
    pixels = network_pixels(network, images.transpose(0, 2, 3, 1).reshape(len(images), -1))
    scale, offset = (Fraction(network.metadata[name]) for name in ("logit_scale", "logit_offset"))
    want = np.round((executed(wrapper, images) - float(offset)) / float(scale))
    np.testing.assert_array_equal(forward(network, pixels), want)
    job = RunJob(network, pixels, fit(network, Geometry()), POINTS["ideal"], tmp_path, loading="backdoor")
    result = run_job(job)
    assert result.first_difference is None  # from golden's logits, among all else
    assert result.compared["logits"] == want.size
