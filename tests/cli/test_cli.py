"""The command line: what it parses, calls, prints and returns, with runs made by hand."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spinbnn.golden.architectures import ARCHITECTURES, build_random
from spinbnn.golden.geometry import PRESETS, Geometry
from spinbnn.golden.network import Network, random_network
from spinbnn.golden.network_file import load_network, save_network
from spinbnn.golden.operating_point import operating_point
from spinbnn.golden.technology import READ_BIT_ENERGY_AJ
from spinbnn.sim import image_formats, parts, training
from spinbnn.sim.datasets import Dataset, bundled_images
from spinbnn.sim.job import Progress, RunJob, RunResult, StallProfile
from spinbnn.sim.machine_options import GEOMETRY_HELP
from spinbnn.sim.named_networks import random_images

from .conftest import Invoke, MakeReport

Jobs = list[RunJob]


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch, make_report: MakeReport) -> Jobs:
    """Replace the simulation by a run made by hand, and return the list of jobs it was given."""
    given: Jobs = []

    def run_in_parts(job: RunJob, *, progress: Progress | None = None, **how: Any) -> RunResult:
        given.append(job)
        assert progress is not None
        progress("build", 0, 1)
        progress("images", 4, 8)
        return make_report(images=len(job.images)).result

    monkeypatch.setattr(parts, "run_in_parts", run_in_parts)
    return given


SMALL = ("run", "small.npz", "--data", "digits", "-n", "8", "--geometry", "5x24")


def test_run_hands_over_what_the_options_say(invoke: Invoke, jobs: Jobs) -> None:
    result = invoke(
        *SMALL, "--rows", "300", "--lanes", "2", "--p-fail-01", "0.25", "--write-error-rate", "0.125",
        "--max-retries", "2", "--pulse-redundant", "--seed", "9", "--simulator", "icarus", "--backdoor",
        "--stalls", "5", "--waves", "w.fst", "--build-dir", "out",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    (job,) = jobs
    assert job.network.name == "random-37-11-10"
    assert job.images.shape == (8, 37)
    assert job.labels is not None
    assert job.labels.shape == (8,)
    assert job.geometry == dataclasses.replace(PRESETS["5x24"], rows=300, lanes=2)
    assert job.point == operating_point(0.125, write_error_rate_01=0.25, max_retries=2, pulse_redundant=True)
    assert (job.seed, job.simulator, job.loading, job.waves) == (9, "icarus", "backdoor", Path("w.fst"))
    assert job.stalls == StallProfile(5, image_idle=0.25, program_idle=0.25, result_pause=0.25, axi_idle=0.25)
    assert job.read_bit_energy_aj == READ_BIT_ENERGY_AJ
    assert job.build_dir == Path("out")


def test_run_has_the_defaults_of_the_main_job(invoke: Invoke, jobs: Jobs) -> None:
    result = invoke("run", "small.npz", "--data", "digits", "-n", "20")
    assert result.exit_code == 0, result.output
    (job,) = jobs
    assert job.geometry == Geometry()
    assert job.point == operating_point(1e-3)
    assert (job.seed, job.simulator, job.loading, job.stalls, job.waves) == (
        1,
        "verilator",
        "front-door",
        None,
        None,
    )


def test_run_raises_the_sizes_that_no_option_names(invoke: Invoke, jobs: Jobs) -> None:
    save_network(random_network((37, 900, 10)), Path("small.npz"))
    assert invoke(*SMALL).exit_code == 0
    assert invoke(*SMALL, "--rows", "440", "--threshold-rows", "200").exit_code == 0
    assert [job.geometry for job in jobs] == [
        dataclasses.replace(PRESETS["5x24"], rows=436, threshold_rows=180),
        dataclasses.replace(PRESETS["5x24"], rows=440, threshold_rows=200),
    ]


@pytest.mark.parametrize(("option", "built"), [("--integer-pools", True), ("--no-integer-pools", False)])
def test_run_builds_integer_pools_or_not(invoke: Invoke, jobs: Jobs, option: str, built: bool) -> None:
    assert invoke(*SMALL, option).exit_code == 0
    assert jobs[0].geometry == dataclasses.replace(PRESETS["5x24"], integer_pools=built)


def test_run_of_a_preset_has_random_weights_and_images(invoke: Invoke, jobs: Jobs) -> None:
    result = invoke("run", "cnv-w1a2", "--images", "3")
    assert result.exit_code == 0, result.output
    (job,) = jobs
    assert job.network == build_random(ARCHITECTURES["cnv-w1a2"], seed=1)
    assert job.labels is None
    assert np.array_equal(job.images, random_images(job.network, 3))
    assert json.loads(Path("build/run/report.json").read_text("utf-8"))["images"]["source"] == "random images"
    raised = {"input_words": 3600, "activation_words": 2192, "layers": 9, "image_elements": 3072}
    assert job.geometry == Geometry(**raised, activation_bits=2)


@pytest.mark.parametrize(
    ("name", "source"), [("lenet4", "mnist"), ("sfc", "mnist"), ("digits", "digits"), ("mnist_1024", "mnist")]
)
def test_run_of_a_shipped_network_takes_images_like_those_it_was_trained_on(
    invoke: Invoke, jobs: Jobs, name: str, source: str
) -> None:
    assert invoke("run", name, "--images", "7").exit_code == 0
    (job,) = jobs
    assert job.network.name == name
    assert np.array_equal(job.images, bundled_images(source).fitted(job.network).head(7).pixels)
    assert job.labels is not None
    document = json.loads(Path("build/run/report.json").read_text("utf-8"))
    assert document["images"]["source"] == f"the shipped {source} test images"
    assert document["network"]["source"] == name


def test_run_prints_the_report_and_writes_both_files(invoke: Invoke, jobs: Jobs) -> None:
    result = invoke(*SMALL)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[-3:] == ["build/run/report.html", "build/run/report.json", "MATCH"]
    assert "Accuracy on 8 images" in lines
    document = json.loads(Path("build/run/report.json").read_text("utf-8"))
    assert document["command"] == "spinbnn run small.npz --data digits -n 8 --geometry 5x24"
    assert document["network"]["source"] == "small.npz"
    assert document["images"] == {"source": "the test images in digits", "count": 8}
    assert Path("build/run/report.html").read_text("utf-8").startswith("<!DOCTYPE html>")
    assert result.stderr.splitlines() == ["spinbnn: build", "spinbnn: images"]


def test_json_is_alone_on_standard_output(invoke: Invoke, jobs: Jobs) -> None:
    result = invoke(*SMALL, "--json", "--html", "page/report.html")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == json.loads(Path("build/run/report.json").read_text("utf-8"))
    assert Path("page/report.html").exists()
    assert not Path("build/run/report.html").exists()


def test_mismatch_is_exit_code_1_and_the_last_line(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, make_report: MakeReport
) -> None:
    wrong = make_report(match=False, first_difference="image 3: logit 2 is 5, golden has 6").result
    monkeypatch.setattr(parts, "run_in_parts", lambda job, **how: wrong)
    result = invoke(*SMALL)
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1] == "MISMATCH: image 3: logit 2 is 5, golden has 6"
    assert json.loads(Path("build/run/report.json").read_text("utf-8"))["result"]["match"] is False


def test_how_parts_are_run(invoke: Invoke, monkeypatch: pytest.MonkeyPatch, make_report: MakeReport) -> None:
    """As many processes as cores, and resumed, unless the options say otherwise."""
    given: list[dict[str, Any]] = []

    def run_in_parts(job: RunJob, *, progress: Progress, **how: Any) -> RunResult:
        given.append(how)
        return make_report().result

    monkeypatch.setattr(parts, "run_in_parts", run_in_parts)
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert invoke(*SMALL).exit_code == 0
    assert invoke(*SMALL, "--processes", "3", "--no-resume").exit_code == 0
    assert given == [{"processes": 5, "resume": True}, {"processes": 3, "resume": False}]


def test_interrupt_is_one_line_and_130(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(job: RunJob, **how: Any) -> RunResult:
        raise KeyboardInterrupt

    monkeypatch.setattr(parts, "run_in_parts", interrupted)
    result = invoke(*SMALL)
    assert (result.exit_code, result.stderr) == (130, "spinbnn: interrupted\n")
    assert not Path("build").exists()


@pytest.mark.parametrize("args", [(), ("--help",), ("-h",)])
def test_help_names_the_commands(invoke: Invoke, args: tuple[str, ...]) -> None:
    result = invoke(*args)
    assert result.exit_code == 0
    for command in ("run", "model", "generate", "info", "import", "export", "train", "device"):
        assert f" {command} " in result.stdout


@pytest.mark.parametrize("command", ["run", "model", "generate", "info", "import", "export", "train"])
def test_help_of_a_command_has_examples_that_parse(invoke: Invoke, command: str) -> None:
    text = invoke(command, "--help").stdout
    examples = [
        line.strip().split() for line in text.splitlines() if line.strip().startswith(f"spinbnn {command}")
    ]
    assert len(examples) >= 2
    for example in examples:
        options = [word.partition("=")[0] for word in example if word.startswith("-")]
        assert all(f" {option} " in text for option in options), example


@pytest.mark.parametrize("command", ["run", "model", "generate", "info", "import"])
def test_help_of_a_command_has_every_option_of_the_machine(invoke: Invoke, command: str) -> None:
    text = " ".join(invoke(command, "--help").stdout.replace("│", " ").split())
    assert "--integer-pools --no-integer-pools" in text
    for name, meaning in GEOMETRY_HELP.items():
        assert f" --{name.replace('_', '-')} " in text
        assert meaning.split()[0] in text
    assert "Sizes that no option names are raised to what the network needs." in text


def test_help_does_not_wait_for_numpy() -> None:
    code = (
        "import sys; from spinbnn.sim.cli import app\n"
        "try: app(['run', '--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'numpy', 'jinja2', 'cocotb', 'amaranth', 'onnx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_geometry_options_are_the_geometry_s_fields() -> None:
    assert [*GEOMETRY_HELP, "memory"] == [field.name for field in dataclasses.fields(Geometry)]


def test_version(invoke: Invoke) -> None:
    assert invoke("--version").stdout.startswith("spinbnn 0.")


def test_installed_command_passes_its_exit_code_on(invoke: Invoke) -> None:
    command = Path(sys.executable).with_name("spinbnn")
    good = subprocess.run([command, "info", "small.npz"], capture_output=True, text=True, check=False)
    assert (good.returncode, good.stderr) == (0, "")
    bad = subprocess.run([command, "info", "none.npz"], capture_output=True, text=True, check=False)
    assert (bad.returncode, bad.stdout) == (2, "")
    assert bad.stderr.startswith("spinbnn: error: none.npz")


def test_output_without_unicode_is_no_error(invoke: Invoke) -> None:
    network = random_network((37, 11, 10), seed=3)
    save_network(dataclasses.replace(network, metadata={"unit": "µJ"}), Path("small.npz"))

    def printed(*args: str) -> str:
        command = [str(Path(sys.executable).with_name("spinbnn")), "info", "small.npz", *args]
        ascii_only = {"PYTHONIOENCODING": "ascii"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=ascii_only)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    assert cells(printed(), "unit") == ["?J"]
    assert json.loads(printed("--json"))["metadata"] == {"unit": "µJ"}


def cells(output: str, name: str) -> list[str]:
    return next(line.split()[1:] for line in output.splitlines() if line.split()[:1] == [name])


def test_info_of_a_network(invoke: Invoke) -> None:
    result = invoke("info", "small.npz", "--geometry", "5x24")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "random-37-11-10 (37-11-10)"
    assert lines[1] == "inputs 0 to 255; 517 weights of one bit"
    assert "On 5 banks x 24 bits, 256 rows, 1 lane" in lines
    assert "  8 of 256 rows, 3 of 64 threshold rows, 50 clocks an image" in lines
    assert "  steady: 59.0 clocks an image, 1.1800 of the loops, utilisation 47.5%" in lines
    assert cells(result.stdout, "layer0")[:3] == ["37", "11", "threshold"]
    assert cells(result.stdout, "seed") == ["3"]


def test_info_knows_the_shipped_network_by_name(invoke: Invoke) -> None:
    document = json.loads(invoke("info", "mnist_1024", "--json").stdout)
    assert (document["name"], document["rows"], document["clocks"]) == ("mnist_1024", 480, 1936)
    result = invoke("info", "mnist_1024")
    assert result.stdout.splitlines()[0] == "mnist_1024 (784-1024-1024-10)"
    assert cells(result.stdout, "recipe.seed") == [str(document["metadata"]["recipe"]["seed"])]
    # A file of that name comes first.
    Path("small.npz").rename("mnist_1024")
    assert json.loads(invoke("info", "mnist_1024", "--json").stdout)["name"] == "random-37-11-10"


def test_info_of_a_network_as_json(invoke: Invoke) -> None:
    document: dict[str, Any] = json.loads(invoke("info", "small.npz", "--geometry", "5x24", "--json").stdout)
    assert document["fits"] is True
    assert (document["rows"], document["threshold_rows"], document["clocks"]) == (8, 3, 50)
    operations = 8 * 37 * 11 + 11 * 10
    assert (document["steady_clocks"], document["utilisation"]) == (59, operations / (59 * 5 * 24))
    network = random_network((37, 11, 10), seed=3)
    values = network.layers[0].head.values  # type: ignore[union-attr]
    assert document["layers"][0] == {
        "name": "layer0", "inputs": 37, "outputs": 11, "head": "threshold",
        "least": int(values.min()), "most": int(values.max()),
    }  # fmt: skip
    assert document["placement"][1]["row_base"] == 6
    assert document["metadata"] == {"seed": 3}


def test_info_of_a_network_that_does_not_fit_says_so(invoke: Invoke) -> None:
    args = ("info", "small.npz", "--geometry", "5x24", "--rows", "4")
    result = invoke(*args)
    assert result.exit_code == 0
    assert "does not fit: layer 'layer0' needs rows up to 6" in " ".join(result.stdout.split())
    document = json.loads(invoke(*args, "--json").stdout)
    assert document["fits"] is False
    assert "needs rows up to 6" in document["reason"]


def test_info_raises_the_sizes_that_no_option_names(invoke: Invoke) -> None:
    result = invoke("info", "lenet4")
    assert "  162 of 512 rows, 10 of 64 threshold rows, 4,040 clocks an image" in result.stdout.splitlines()
    assert json.loads(invoke("info", "lenet4", "--json").stdout)["geometry"]["image_elements"] == 784
    text = " ".join(invoke("info", "lenet4", "--input-words", "128").stdout.split())
    assert "does not fit: layer 'conv0' needs input_words up to 2304, the geometry has 128 a half" in text


def test_generate_raises_the_sizes_that_no_option_names(invoke: Invoke) -> None:
    save_network(random_network((37, 900, 10)), Path("small.npz"))
    result = invoke("generate", "small.npz", "-o", "out", "--geometry", "5x24", "--json")
    assert result.exit_code == 0, result.output
    geometry = dataclasses.replace(PRESETS["5x24"], rows=436, threshold_rows=180)
    assert json.loads(result.stdout)["manifest"]["geometry"] == geometry.to_dict()


def test_generate_writes_what_it_names(invoke: Invoke) -> None:
    result = invoke("generate", "small.npz", "-o", "new/out", "--geometry", "5x24")
    assert result.exit_code == 0, result.output
    sizes = {path.name: path.stat().st_size for path in Path("new/out").iterdir()}
    assert {"spinbnn.sv", "spinbnn.json", "spinbnn.core", "program.hex"} <= set(sizes)
    printed = {line.split()[0]: line.split()[1] for line in result.stdout.splitlines()}
    assert printed == {f"new/out/{name}": f"{size:,}" for name, size in sizes.items()}


def test_generate_without_network_or_injector(invoke: Invoke) -> None:
    result = invoke("generate", "-o", "out", "--geometry", "5x24", "--rows", "64", "--no-injector", "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["output"] == "out"
    assert document["manifest"] == json.loads(Path("out/spinbnn.json").read_text())
    assert document["manifest"]["geometry"]["rows"] == 64
    assert document["manifest"]["injector"] is False
    assert not Path("out/program.hex").exists()


def test_info_of_a_manifest(invoke: Invoke) -> None:
    invoke("generate", "small.npz", "-o", "out", "--geometry", "5x24")
    manifest = json.loads(invoke("info", "out/spinbnn.json", "--json").stdout)
    assert manifest == json.loads(Path("out/spinbnn.json").read_text())
    text = invoke("info", "out/spinbnn.json").stdout
    lines = text.splitlines()
    assert lines[0] == "5 banks x 24 bits, 256 rows, 1 lane"
    assert lines[1] == f"generated by spinbnn {manifest['version']}, with the write-error injector"
    assert cells(text, "memory") == ["no", "options"]
    assert lines[2] == "with the images of network random-37-11-10: 37 to 11, 11 to 10"
    assert cells(text, "stream_bits") == ["64"]
    assert cells(text, "s_axis_image_tdata") == ["64", "input"]
    assert cells(text, "CONTROL")[0] == "0x010"
    assert cells(text, "failed_bits") == ["5"]
    assert cells(text, "spinbnn.sv") == [manifest["files"]["spinbnn.sv"][:16]]


def test_info_of_a_manifest_with_odd_contents_is_one_line(invoke: Invoke) -> None:
    invoke("generate", "-o", "out", "--geometry", "5x24")
    path = Path("out/spinbnn.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"ports": [1]}))
    result = invoke("info", "out/spinbnn.json")
    assert result.exit_code == 2
    assert result.stderr.startswith("spinbnn: error: out/spinbnn.json: is damaged (")
    assert result.stderr.endswith("): generate the hardware anew\n")
    assert result.stderr.count("\n") == 1


@pytest.mark.icarus
def test_real_run_ends_with_match(invoke: Invoke) -> None:
    options = ("--simulator", "icarus", "--write-error-rate", "0.1", "--stalls", "2")
    result = invoke("run", "small.npz", "--data", "digits", "-n", "3", "--geometry", "5x24", *options)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == "MATCH"
    document = json.loads(Path("build/run/report.json").read_text("utf-8"))
    assert document["totals"]["bits_wrong"] > 0
    assert document["result"]["compared"]["logits"] == 30
    assert result.stderr.splitlines()[-1] == "spinbnn: compare"


@pytest.fixture
def recipes(monkeypatch: pytest.MonkeyPatch) -> list[training.Recipe]:
    """Replace training by a network made by hand that differs on one image of 20 if its seed is 13."""
    given: list[training.Recipe] = []

    def train(recipe: training.Recipe, data: Path, checkpoint: Path, progress: object) -> training.Recipe:
        checkpoint.touch()
        given.append(recipe)
        return recipe

    def export_tested(model: training.Recipe, test: Dataset) -> tuple[Network, training.Verification]:
        equal = len(test) - (model.seed == 13)
        return random_network((37, 11, 10)), training.Verification(len(test), equal, 15)

    monkeypatch.setattr(training, "train", train)
    monkeypatch.setattr(training, "export_tested", export_tested)
    return given


def test_train_writes_the_network_and_says_how_good_it_is(
    invoke: Invoke, recipes: list[training.Recipe]
) -> None:
    result = invoke("train", "--data", "digits", "--recipe", "mnist_128", "--epochs", "3", "--seed", "5")
    assert result.exit_code == 0, result.output
    assert recipes == [dataclasses.replace(training.RECIPES["mnist_128"], epochs=3, seed=5)]
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["written", "mnist_128.npz"],
        ["accuracy", "75.00%"],
        ["equal", "to", "the", "trained", "network", "20", "of", "20", "test", "images"],
    ]
    assert load_network("mnist_128.npz") == random_network((37, 11, 10))
    assert not Path("mnist_128.npz.checkpoint").exists()


@pytest.mark.parametrize("option", ["--network", "--recipe"])
def test_train_takes_every_preset_with_known_data(
    invoke: Invoke, recipes: list[training.Recipe], option: str
) -> None:
    assert invoke("train", "--data", "digits", option, "lenet4").exit_code == 0
    assert [recipe.architecture.name for recipe in recipes] == ["lenet4"]
    assert load_network("lenet4.npz") == random_network((37, 11, 10))


def test_train_takes_scikit_learn_s_digits_for_the_network_digits_alone(
    invoke: Invoke, recipes: list[training.Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_formats, "digits_folder", lambda: Path("digits"))
    assert invoke("train", "--network", "digits").exit_code == 0
    result = invoke("train", "--network", "tfc")
    line = "--data must name a folder with the images to train network 'tfc' on"
    assert (result.exit_code, result.stderr) == (2, f"spinbnn: error: {line}\n")
    assert len(recipes) == 1


def test_train_takes_error_rates(invoke: Invoke, recipes: list[training.Recipe]) -> None:
    options = ("train", "--data", "digits", "--network", "sfc")
    assert invoke(*options, "--weight-error-rate", "0.04").exit_code == 0
    both = ("--weight-error-rate", "0.01,0.2", "--activation-error-rate", "0.05")
    assert invoke(*options, *both).exit_code == 0
    found = [(each.weight_error_01, each.weight_error_10, each.activation_error) for each in recipes]
    assert found == [(0.04, 0.04, 0.0), (0.01, 0.2, 0.05)]
    for text in ("much", "0.1,0.1,0.1", ""):
        result = invoke(*options, "--weight-error-rate", text)
        line = f"--weight-error-rate must be one number, or two like 0.01,0.02, not '{text}'"
        assert (result.exit_code, result.stderr) == (2, f"spinbnn: error: {line}\n")


def test_train_takes_bfloat16(invoke: Invoke, recipes: list[training.Recipe]) -> None:
    for options in ((), ("--bfloat16",)):
        assert invoke("train", "--data", "digits", "--network", "nin", *options).exit_code == 0
    assert [recipe.bfloat16 for recipe in recipes] == [False, True]


def test_train_ends_with_1_if_the_export_differs(invoke: Invoke, recipes: list[training.Recipe]) -> None:
    result = invoke("train", "--data", "digits", "--seed", "13", "-o", "n.npz", "--json")
    assert result.exit_code == 1
    expected = {"output": "n.npz", "test_images": 20, "test_equal": 19, "test_accuracy": 0.75}
    assert json.loads(result.stdout) == expected


def test_train_asks_before_it_resumes(invoke: Invoke, recipes: list[training.Recipe]) -> None:
    Path("n.npz.checkpoint").touch()
    result = invoke("train", "--data", "digits", "-o", "n.npz")
    line = "n.npz.checkpoint is left from an interrupted training: give --resume to go on, or delete it"
    assert (result.exit_code, result.stderr) == (2, f"spinbnn: error: {line}\n")
    assert not recipes
    assert invoke("train", "--data", "digits", "-o", "n.npz", "--resume").exit_code == 0
