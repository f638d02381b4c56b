"""What the commands import and export print, write and refuse."""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from spinbnn.golden.network import forward
from spinbnn.golden.network_file import load_network
from spinbnn.sim.assets import MNIST_NETWORK
from spinbnn.sim.cli import app

from .graphs import Builder
from .test_export import runtime_logits


def run(*arguments: str) -> int:
    """Return the exit code of a command."""
    with pytest.raises(SystemExit) as ended:
        app(list(arguments), prog_name="spinbnn")
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a model's file, in a folder that is the current one."""
    random, graph = np.random.default_rng(1), Builder((784,))
    hidden, last = (random.normal(size=shape).astype(np.float32) for shape in ((64, 784), (10, 64)))
    sums = graph.add("Gemm", "x", graph.bipolar(hidden), transB=1, name="hidden")
    act = graph.bipolar(graph.batch_norm(sums, random, 64))
    graph.add("Gemm", act, graph.bipolar(last), transB=1, name="logits")
    onnx.save(graph.model(), tmp_path / "mine.onnx")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "mine.onnx"


def test_import_writes_a_network_and_says_what_was_folded(model: Path, capsys: pytest.CaptureFixture[str]):
    assert run("import", "mine.onnx") == 0
    network = load_network(Path("mine.npz"))
    assert [layer.name for layer in network.layers] == ["hidden", "logits"]
    printed = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert printed[0] == "Folded"
    assert printed[1].startswith("hidden Gemm, BatchNormalization, BipolarQuant: 64 thresholds,")
    assert "logits Gemm: 10 logits" in printed
    assert "inputs are pixels from 0 to 255" in printed
    assert "the model's logits are 1 * logits, exactly" in printed
    assert "written to mine.npz" in printed
    assert "On 64 banks x 64 bits, 512 rows, 1 lane" in printed


def test_import_takes_options(model: Path, capsys: pytest.CaptureFixture[str]):
    options = ["-o", "a.npz", "--input", "raw", "--name", "other", "--json", "--geometry", "16x32"]
    assert run("import", "mine.onnx", *options) == 0
    network = load_network(Path("a.npz"))
    assert network.name == "other"
    document = json.loads(capsys.readouterr().out)
    assert set(document) == {"folded", "notes", "network"}
    assert document["network"]["geometry"]["banks"] == 16
    assert document["folded"][1] == {
        "layer": "logits",
        "operation": "Gemm",
        "folded": [],
        "into": "10 logits",
    }


def test_a_model_that_is_refused_is_one_line_and_leaves_nothing_behind(
    model: Path, capsys: pytest.CaptureFixture[str]
):
    graph = Builder((4,))
    graph.add("Tanh", graph.add("MatMul", "x", np.ones((4, 2), np.float32)))
    onnx.save(graph.model(), model)
    assert run("import", "mine.onnx") == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        "spinbnn: error: mine.onnx: cannot be imported, 1 node is not supported: [1] node 'Tanh1' (Tanh): "
        "operation Tanh is not supported, accepted: the operations listed in docs/import.md\n"
    )
    assert [path.name for path in Path().iterdir()] == ["mine.onnx"]


def test_export_writes_a_model(model: Path, capsys: pytest.CaptureFixture[str]):
    assert run("export", "mnist_1024") == 0
    network = load_network(MNIST_NETWORK)
    images = np.random.default_rng(2).integers(0, 256, (3, network.inputs), np.uint8)
    logits = runtime_logits(onnx.load("mnist_1024.onnx"), images)
    np.testing.assert_array_equal(logits, forward(network, images))
    size = Path("mnist_1024.onnx").stat().st_size
    assert capsys.readouterr().out == f"mnist_1024.onnx: {size:,} bytes\n"


@pytest.mark.parametrize("command", ["import", "export"])
def test_without_the_onnx_package_one_line_says_what_to_install(
    command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    for name in ("graph", "operators", "importer", "exporter"):
        monkeypatch.delitem(sys.modules, f"spinbnn.sim.interchange.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert run(command, "mnist_1024") == 2
    needed = "the onnx package must be installed: pip install 'spinbnn[onnx]'"
    assert capsys.readouterr().err == f"spinbnn: error: {needed}\n"
