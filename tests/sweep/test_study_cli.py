"""The command `spinbnn study`: what it prints, what it refuses, and what it leaves behind."""

import json
from pathlib import Path

import numpy as np
import pytest

from spinbnn.sim import datasets
from spinbnn.sim.datasets import Dataset, save_images
from spinbnn.sim.studies import registry
from spinbnn.sim.sweep import results_file

from .conftest import Invoke
from .studies import SETTINGS

QUICK = Path("build/studies/even-draws-quick.sqlite")

PRINTED = """\
Even draws
Are draws even?

9 draws have a mean of 0.582.

Draws are even.
  paper   0.5
  here    0.582
  agrees  yes
  why     It is a mean.

Draws
  what  number
  rows       9
  mean   0.582

note: No [paper].
"""


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a few random images that count as MNIST."""
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(1)
    for split in ("train", "test"):
        data = Dataset(rng.integers(0, 256, (20, 2, 3), np.uint8), rng.integers(0, 10, 20, np.uint8))
        save_images(data, folder / f"{split}.npz")
    known = {datasets.load_split(folder, "train").sha256: "mnist"}
    monkeypatch.setattr(datasets, "TRAINING_SETS", known)
    return folder


def test_findings_are_printed(invoke: Invoke) -> None:
    result = invoke("even-draws", "--quick", "--processes", "1")
    assert result.exit_code == 0, result.output
    shown, _, origin = result.stdout.partition("note: No [paper].\n")
    assert [line.rstrip() for line in shown.splitlines()] == PRINTED.splitlines()[:-1]
    counts, times, versions, *_ = origin.replace("\n", " ").split("; ")
    assert counts == "6 settings, 9 rows"
    assert " s of work in " in times
    assert versions.startswith("spinbnn 0.1.0, numpy ")
    assert origin.splitlines()[-1] == str(QUICK)
    again = invoke("even-draws", "--quick")
    assert again.stdout == result.stdout
    assert again.stderr == f"spinbnn: {QUICK} was finished already; --no-resume measures all anew\n"
    anew = invoke("even-draws", "--quick", "--no-resume", "--processes", "1")
    assert "finished already" not in anew.stderr
    assert results_file.read(QUICK).quick


def test_json_is_all_that_is_printed(invoke: Invoke) -> None:
    result = invoke("even-draws", "-o", "mine/results.db", "--json")
    document = json.loads(result.stdout)
    assert document["settings"] == SETTINGS
    assert document["about"]["command"] == "spinbnn study even-draws"
    assert document["verdicts"][0]["agrees"] is True
    assert document["tables"][0]["columns"] == ["what", "number"]
    assert results_file.read(Path("mine/results.db")).study == "even-draws"


def test_studies_are_listed(invoke: Invoke) -> None:
    lines = [line.split() for line in invoke("--list").stdout.splitlines()]
    assert lines == [
        ["name", "title", "question", "PyTorch"],
        ["even-draws", *["Even", "draws", "Are", "draws", "even?"]],
    ]
    (listed,) = json.loads(invoke("--list", "--json").stdout)["studies"]
    assert listed == {
        "name": "even-draws",
        "title": "Even draws",
        "question": "Are draws even?",
        "paper": "",
        "needs_torch": False,
    }


def test_shipped_studies_have_the_names_they_are_listed_under() -> None:
    for name in registry.study_names():
        study = registry.load_study(name)
        assert study.name == name
        assert study.title
        assert study.question.endswith("?")


def test_images_are_known_by_their_hashes_alone(invoke: Invoke, images: Path) -> None:
    result = invoke("even-draws", "--quick", "--data", f"mnist={images}", "--processes", "1")
    assert result.exit_code == 0, result.output
    results = results_file.read(QUICK)
    assert results.data == {
        "mnist": {split: datasets.load_split(images, split).sha256 for split in ("train", "test")}
    }
    assert results.about["command"] == "spinbnn study even-draws --quick --data mnist=DIR"
    assert str(images).encode() not in QUICK.read_bytes()
    other = invoke("even-draws", "--quick")
    assert other.exit_code == 2
    assert "differ in data (mnist " in " ".join(other.stderr.split())


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "NAME must be a study; --list has them"),
        (("no-draws",), "the study must be one of even-draws, not 'no-draws'"),
        (("even-draws", "--data", "images"), "--data must be NAME=DIR with NAME one of mnist, fashion-mnist"),
        (("even-draws", "--data", "images=images"), "--data must be NAME=DIR with NAME one of mnist"),
        (("even-draws", "--data", "mnist="), "--data must be NAME=DIR"),
        (("even-draws", *("--data", "mnist=images") * 2), "--data must name mnist once, not twice"),
        (("even-draws", "--data", "mnist=nowhere"), "nowhere cannot be read (No such file or directory)"),
        (("even-draws", "--data", "digits=images"), "must hold digits; it holds mnist"),
        (("even-draws", "--data", "cifar10=images"), "must hold cifar10; it holds mnist"),
        (("even-draws", "-o", "images"), "images cannot be written: name a file in a writable folder"),
        (("even-draws", "--scheduler", "x", "--processes", "2"), "--processes must be left out with --sched"),
        (("even-draws", "--processes", "0"), "Invalid value for '--processes'"),
    ],
)
def test_bad_input_is_one_line_and_no_file(
    invoke: Invoke, images: Path, args: tuple[str, ...], message: str
) -> None:
    result = invoke(*args)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert message in " ".join(result.stderr.split()), result.stderr
    assert result.stderr.startswith("spinbnn: error: ")
    assert not [path for path in Path("build/studies").iterdir() if path.is_file()]
