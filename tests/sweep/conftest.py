"""Studies in an empty folder, by the command line and from Python."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from spinbnn.sim.cli import app
from spinbnn.sim.studies import registry
from spinbnn.sim.studies.study import StudyOptions
from spinbnn.sim.sweep import engine
from spinbnn.sim.sweep.engine import sweep
from spinbnn.sim.sweep.local_pool import LocalPool

from .command import COMMIT, MODULES
from .studies import STUDY

ROOT = Path(__file__).parents[2]
FOLDER = Path("build/studies/networks")
"""Where a study of the command line keeps networks; the tests' study looks there for what it shall do."""

Start = Callable[..., subprocess.Popen[str]]
Invoke = Callable[..., Result]


@pytest.fixture(scope="package", autouse=True)
def _commit() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "source_commit", lambda: COMMIT)
        yield


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, the current one, in which a study is told what to do."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / FOLDER).mkdir(parents=True)
    return tmp_path / FOLDER


@pytest.fixture
def invoke(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    monkeypatch.setattr(registry, "STUDIES", MODULES)
    monkeypatch.setenv("COLUMNS", "80")
    return lambda *args: CliRunner().invoke(app, ["study", *args], prog_name="spinbnn")


@pytest.fixture
def start(folder: Path) -> Start:
    """Return a function that starts the command line in a session of its own."""

    def started(point: str, *args: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.sweep.command", point, "study", "even-draws", *args]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command, env=environment, stdout=pipe, stderr=pipe, text=True, start_new_session=True
        )

    return started


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of the results file of the tests' study, when nothing disturbs it."""
    folder = tmp_path_factory.mktemp("undisturbed")
    options = StudyOptions(False, {}, folder)
    sweep(STUDY, options, folder / "results.sqlite", LocalPool(1))
    return (folder / "results.sqlite").read_bytes()


def finished(path: Path) -> int:
    """Return how many settings another tool finds finished."""
    if not path.exists():
        return 0
    with sqlite3.connect(f"file:{path}?mode=rw", uri=True, timeout=60) as connection:
        (count,) = connection.execute("SELECT count(*) FROM settings WHERE finished").fetchone()
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    return int(count)


def times_measured(folder: Path) -> list[int]:
    """Return how often each setting was begun."""
    files = sorted((folder / "measured").iterdir(), key=lambda file: int(file.name))
    return [len(file.read_text().splitlines()) for file in files]
