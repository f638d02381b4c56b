"""The command that runs the model alone: what it prints and writes."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from spinbnn.golden.network import classify, forward
from spinbnn.golden.network_file import load_network
from spinbnn.sim.datasets import load_split
from spinbnn.sim.job_options import JobOptions
from spinbnn.sim.model import MachineModel
from spinbnn.sim.spec import RunJob

from .conftest import Invoke, Page

MODEL = ("model", "small.npz", "--data", "digits", "-n", "8", "--geometry", "5x24")


def document(invoke: Invoke, *args: str) -> dict[str, Any]:
    result = invoke(*MODEL, "--json", *args)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_model_prints_its_report_and_writes_nothing(invoke: Invoke, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    result = invoke(*MODEL)
    assert result.exit_code == 0, result.output
    lines = [line.rstrip() for line in result.stdout.splitlines()]
    assert lines[0] == "random-37-11-10 (37-11-10) on 5 banks x 24 bits, 256 rows, 1 lane"
    assert lines[1] == "write error rate 0.001 both ways; seed 1; streams never wait"
    for heading in ("Accuracy on 8 images", "Banks (loaded front-door)", "Clocks", "Loops"):
        assert heading in lines
    assert "  an image, steady                        59.0  loops 50.0" in lines
    assert [line for line in lines if line.startswith("Batch 7, a busy machine: clocks ")]
    assert result.stderr == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_json_is_what_the_model_gives(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs: list[RunJob] = []
    init = MachineModel.__init__

    def noted(self: MachineModel, job: RunJob) -> None:
        jobs.append(job)
        init(self, job)

    monkeypatch.setattr(MachineModel, "__init__", noted)
    aged = ("--age", "0.01", "--scrub", "--memory", "secded")  # so that bits are programmed from 1 to 0, too
    found = document(
        invoke, "--write-error-rate", "0.2", "--stalls", "5", "--lanes", "2", "--seed", "9", *aged
    )
    (job,) = jobs
    assert (job.seed, job.geometry.lanes, len(job.images)) == (9, 2, 8)
    assert job.stalls is not None
    outcome = MachineModel(job).run()
    result = found["result"]
    assert (result["run_clocks"], result["beat_clocks"]) == (outcome.run.total, outcome.run.beats)
    assert result["program_clocks"] == outcome.program_clocks
    assert result["counters"] == {name: counts.tolist() for name, counts in outcome.counters.items()}
    programmed = outcome.counters["bits_01"] + outcome.counters["bits_10"]
    assert outcome.counters["bits_10"].any()
    assert result["bits_programmed"] == programmed.tolist()
    assert result["bits_wrong"] == outcome.bits_wrong.tolist()
    assert sum(result["bits_wrong"]) == found["totals"]["bits_wrong"] > 0
    assert result["random_state"] == list(outcome.random_state)
    assert result["classes"] == outcome.inference.classes.tolist()
    test = load_split(Path("digits"), "test").head(8)
    ideal = classify(forward(load_network("small.npz"), test.pixels))
    right = {"golden, ideal": ideal, "golden, with these write errors": outcome.inference.classes}
    assert result["accuracies"] == {name: (is_ == test.labels).mean() for name, is_ in right.items()}
    assert found["stalls"]["seed"] == 5
    assert found["command"].startswith("spinbnn model small.npz --data digits")
    assert [batch["number"] for batch in found["timeline"]["batches"]] == [0, 1, 2, 3]


def test_backdoor_programs_nothing(invoke: Invoke) -> None:
    found = document(invoke, "--backdoor")
    assert (found["loading"], found["result"]["program_clocks"]) == ("backdoor", 0)
    assert found["totals"]["write_energy_aj"] == 0
    assert found["timeline"]["programming"] == []
    assert found["result"]["bits_wrong"] == document(invoke)["result"]["bits_wrong"]


def test_model_writes_what_it_is_asked_for(invoke: Invoke) -> None:
    result = invoke(
        *MODEL, "--timeline", "out/timeline.json", "--trace", "out/trace.json", "--html", "out/page.html",
        "--batches", "0,6-7",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-3:] == ["out/timeline.json", "out/trace.json", "out/page.html"]
    assert sorted(path.name for path in Path("out").iterdir()) == ["page.html", "timeline.json", "trace.json"]
    timeline = json.loads(Path("out/timeline.json").read_text("utf-8"))
    assert [batch["number"] for batch in timeline["batches"]] == [0, 6, 7]
    trace = json.loads(Path("out/trace.json").read_text("utf-8"))
    names = {event["name"] for event in trace["traceEvents"]}
    assert {"batch 0", "batch 6", "batch 7", "image 7", "layer0", "program"} <= names
    assert "batch 1" not in names


@pytest.mark.parametrize(
    "options",
    [(), ("--stalls", "3"), ("--activation-error-rate", "0.01", "--geometry", "8x16x3"), ("-n", "1")],
)
def test_page_is_one_whole_file_and_says_everything(invoke: Invoke, options: tuple[str, ...]) -> None:
    assert invoke(*MODEL, "--html", "page.html", *options).exit_code == 0
    source = Path("page.html").read_text("utf-8")
    page = Page(source)
    assert source.startswith("<!DOCTYPE html>")
    assert page.references == []
    assert "http" not in source
    found = document(invoke, *options)
    assert f"{found['result']['run_clocks']:,}" in page.texts
    assert f"{found['result']['counters']['program_energy_aj'][1]:,}" in page.texts
    assert "3 groups x 2 words x 8 steps" in page.texts or "8x16x3" in options
    assert [text for text in page.texts if text.startswith("batch 0, layer1: ")]
    assert " ".join(("spinbnn", *MODEL, "--html", "page.html", *options)) in page.texts


def test_model_has_every_option_of_a_job(invoke: Invoke) -> None:
    texts = [" ".join(invoke(command, "--help").stdout.split()) for command in ("model", "run")]
    for field in fields(JobOptions):
        if field.name != "network_path":
            assert all(f"--{field.name.replace('_', '-')} " in text for text in texts), field.name


def test_memory_and_images_without_labels(invoke: Invoke) -> None:
    result = invoke("model", "tfc", "--images", "3", "--age", "1e-3", "--scrub", "--html", "page.html")
    assert result.exit_code == 0, result.output
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "images 3 without labels" in lines
    for step in ("programming", "ageing", "scrubbing"):
        assert [line for line in lines if line.startswith(f"{step} ") and line.endswith(" rows")]
    assert "images, without labels" in Page(Path("page.html").read_text("utf-8")).texts


def test_thresholds_are_matched_to_an_error_rate(invoke: Invoke) -> None:
    options = ("model", "--images", "200", "--write-error-rate", "0", "--age", "0.1", "--seed", "2", "--json")
    right = []
    for matched in ((), ("--match-thresholds", "0.1")):
        result = invoke(*options, *matched)
        assert result.exit_code == 0, result.output
        found = json.loads(result.stdout)
        right.append(found["result"]["accuracies"]["golden, with these write errors"])
    assert right[1] > right[0] + 0.05
    assert found["network"]["source"] == "mnist_1024, thresholds matched to an error rate of 0.1"
    result = invoke("model", "--match-thresholds", "0.5")
    line = "an error rate that thresholds match must be from 0 to below 0.5, not 0.5"
    assert (result.exit_code, result.stderr) == (2, f"spinbnn: error: {line}\n")


def test_generated_tables_have_the_matched_thresholds(invoke: Invoke) -> None:
    for folder, matched in (("as_trained", ()), ("matched", ("--match-thresholds", "0.1"))):
        result = invoke("generate", "small.npz", "-o", folder, "--geometry", "5x24", *matched)
        assert result.exit_code == 0, result.output
    differ = {
        path.name
        for path in Path("matched").iterdir()
        if path.read_bytes() != Path("as_trained", path.name).read_bytes()
    }
    assert differ
    assert not any(name.endswith((".sv", ".v")) for name in differ)
    result = invoke("generate", "-o", "none", "--match-thresholds", "0.1")
    line = "--match-thresholds 0.1 needs a network, whose thresholds it scales"
    assert (result.exit_code, result.stderr) == (2, f"spinbnn: error: {line}\n")
