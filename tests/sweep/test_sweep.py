"""Sweeps over processes: killed anywhere and gone on with, they give the bytes of an undisturbed one."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from spinbnn.golden.errors import SweepError
from spinbnn.sim.studies.study import Study
from spinbnn.sim.sweep import engine, identity, results_file
from spinbnn.sim.sweep.engine import sweep
from spinbnn.sim.sweep.local_pool import MOST_DEATHS, LocalPool
from spinbnn.sim.sweep.results_file import Store
from spinbnn.sim.sweep.worker import Task, perform

from . import studies
from .command import COMMIT
from .conftest import Start, finished, times_measured
from .studies import SETTINGS, STUDY, options_in

RESULTS = Path("build/studies/even-draws.sqlite")


def test_processes_leave_no_trace(folder: Path, undisturbed: bytes) -> None:
    results, measured = sweep(STUDY, options_in(folder), RESULTS, LocalPool(3))
    assert measured == SETTINGS
    assert RESULTS.read_bytes() == undisturbed
    rows = [
        row
        for each in studies.settings(options_in(folder))
        for row in studies.measure(each, options_in(folder))
    ]
    assert results.rows == rows
    assert results.seconds is not None
    assert results.wall_seconds is not None
    assert {path.name for path in RESULTS.parent.iterdir() if path.is_file()} == {
        "even-draws.sqlite",
        "even-draws.log.jsonl",
    }


@pytest.mark.parametrize("threads", [1, 2])
def test_workers_use_as_many_threads_as_they_are_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    sweep(STUDY, options_in(folder, quick=True), RESULTS, LocalPool(1), threads=threads)
    lines = [file.read_text().split()[1:] for file in (folder / "measured").iterdir()]
    assert lines == [[str(threads)] * 2] * (SETTINGS // 2)
    assert os.environ["OMP_NUM_THREADS"] == "7"


def test_a_worker_that_is_killed_loses_nothing(folder: Path, undisturbed: bytes) -> None:
    for seed in (0, 5):
        (folder / f"die-{seed}").write_text("once")
    sweep(STUDY, options_in(folder), RESULTS, LocalPool(2))
    assert RESULTS.read_bytes() == undisturbed
    assert times_measured(folder) == [1 + (number in (0, 5)) for number in range(SETTINGS)]


def test_a_setting_that_kills_its_workers_is_named(folder: Path, undisturbed: bytes) -> None:
    (folder / "die-3").write_text("always")
    with pytest.raises(SweepError, match=f"'seed': 3}} ended its worker {MOST_DEATHS} times"):
        sweep(STUDY, options_in(folder), RESULTS, LocalPool(1))
    assert finished(RESULTS) == SETTINGS - 1
    assert times_measured(folder) == [MOST_DEATHS if number == 3 else 1 for number in range(SETTINGS)]
    (folder / "die-3").unlink()
    assert sweep(STUDY, options_in(folder), RESULTS, LocalPool(1))[1] == 1
    assert RESULTS.read_bytes() == undisturbed


def test_a_setting_that_is_refused_is_named(folder: Path) -> None:
    (folder / "refuse-4").touch()
    with pytest.raises(SweepError, match=r"setting {.*'seed': 4}: these images are no good"):
        sweep(STUDY, options_in(folder), RESULTS, LocalPool(1))
    assert finished(RESULTS) == 4


def kill_all_at(start: Start, count: int) -> None:
    """Start the study with two processes, and kill all of them when so many settings are finished."""
    command = start("-", "--processes", "2")
    while finished(RESULTS) < count:
        assert command.poll() is None, command.communicate()
        time.sleep(0.01)
    os.killpg(command.pid, signal.SIGKILL)
    command.communicate()


def test_killed_it_goes_on(folder: Path, start: Start, undisturbed: bytes) -> None:
    """All of its processes at once; then the command in the midst of its writing."""
    (folder / "seconds").write_text("0.5")
    kill_all_at(start, 2)
    before = finished(RESULTS)
    assert 2 <= before < SETTINGS - 3
    (folder / "seconds").unlink()
    for point, count in (("in-a-transaction", before + 3), ("before-the-end", SETTINGS)):
        killed = start(point, "--processes", "1")
        killed.communicate()
        assert killed.returncode == -signal.SIGKILL
        assert finished(RESULTS) == count
    with pytest.raises(SweepError, match=rf"unfinished \({SETTINGS} of {SETTINGS} settings\)"):
        results_file.read(RESULTS)
    assert sweep(STUDY, options_in(folder), RESULTS, LocalPool(1))[1] == 0  # is only put in order
    assert RESULTS.read_bytes() == undisturbed


@pytest.mark.long
def test_killed_all_the_time_it_goes_on(folder: Path, start: Start, undisturbed: bytes) -> None:
    (folder / "seconds").write_text("0.2")
    for count in range(1, SETTINGS - 1):
        if finished(RESULTS) < count:
            kill_all_at(start, count)
    sweep(STUDY, options_in(folder), RESULTS, LocalPool(2))
    assert RESULTS.read_bytes() == undisturbed


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_workers_end_with_the_sweep(folder: Path, start: Start, number: int, code: int) -> None:
    """In the midst of settings that take a minute; Ctrl-C goes to all processes."""
    (folder / "seconds").write_text("60")
    command = start("-", "--processes", "2")
    measured = folder / "measured"
    while not measured.exists() or not all(measured.joinpath(name).exists() for name in "01"):
        assert command.poll() is None, command.communicate()
        time.sleep(0.01)
    time.sleep(0.1)
    workers = [int(file.read_text().split()[0]) for file in measured.iterdir()]
    (os.killpg if number == signal.SIGINT else os.kill)(command.pid, number)
    out, err = command.communicate(timeout=20)
    assert command.returncode == code
    assert out == ""
    if number == signal.SIGINT:
        assert err.splitlines()[-1] == "spinbnn: interrupted"
        assert "Traceback" not in err
    deadline = time.monotonic() + 10
    while any(map(is_running, workers)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert finished(RESULTS) == 0


def test_an_interrupt_while_workers_start(folder: Path, start: Start) -> None:
    command = start("-", "--processes", "2")
    children = Path(f"/proc/{command.pid}/task/{command.pid}/children")
    while not RESULTS.exists() or len(children.read_text().split()) < 2:  # one of them looks after resources
        assert command.poll() is None, command.communicate()
    time.sleep(0.2)  # they are importing now
    os.killpg(command.pid, signal.SIGINT)
    out, err = command.communicate(timeout=20)
    assert (command.returncode, out) == (130, "")
    assert "Traceback" not in err


def is_running(process: int) -> bool:
    """Return whether a process is there, and no zombie that nobody waits for."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_other_results_are_not_gone_on_with(folder: Path) -> None:
    sweep(STUDY, options_in(folder, quick=True), RESULTS, LocalPool(1))
    before = RESULTS.read_bytes()
    message = (
        r"even-draws.sqlite holds other results, which differ in quick \(true there, false now\): .*--no-r"
    )
    with pytest.raises(SweepError, match=message):
        sweep(STUDY, options_in(folder), RESULTS, LocalPool(1))
    fewer = Study(**{**vars(STUDY), "settings": lambda options: studies.settings(options)[1:]})
    with pytest.raises(SweepError, match=r"differ in settings \(6 there, 5 now\)"):
        sweep(fewer, options_in(folder, quick=True), RESULTS, LocalPool(1))
    assert RESULTS.read_bytes() == before
    _, measured = sweep(fewer, options_in(folder, quick=True), RESULTS, LocalPool(1), resume=False)
    assert measured == 5


def test_results_of_other_versions_are_not_gone_on_with(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep(STUDY, options_in(folder, quick=True), RESULTS, LocalPool(1))
    monkeypatch.setattr("spinbnn.sim.sweep.identity.versions", lambda torch: {"spinbnn": "9", "numpy": "9"})
    with pytest.raises(SweepError, match=r"differ in spinbnn \(.* there, 9 now\), numpy \(.* there, 9 now\)"):
        sweep(STUDY, options_in(folder, quick=True), RESULTS, LocalPool(1))


def test_workers_of_other_versions_are_refused(folder: Path) -> None:
    task = Task(studies.measure, options_in(folder), {"numpy": "9"})
    with pytest.raises(SweepError, match=r"must have numpy 9, as the sweep does, not \d"):
        perform(task, 0, {"rate": 0.0, "kind": "a", "seed": 0})


def test_the_commit_is_that_of_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository of someone else's around an installed package says nothing of it."""
    repository = tmp_path / "repository"
    file = repository / "package" / "identity.py"
    file.parent.mkdir(parents=True)
    file.write_text("1")
    monkeypatch.setattr(identity, "__file__", str(file))
    assert identity.source_commit() is None
    git = ["git", "-C", str(repository), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "--message", "empty"], check=True)
    assert identity.source_commit() is None
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "--quiet", "--message", "source"], check=True)
    commit = identity.source_commit()
    assert commit is not None
    assert re.fullmatch("[0-9a-f]{40}", commit)
    file.write_text("2")
    assert identity.source_commit() == f"{commit}+"


def test_settings_keep_the_commit_they_were_measured_at(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "refuse-4").touch()
    with pytest.raises(SweepError, match="no good"):
        sweep(STUDY, options_in(folder, quick=True), RESULTS, LocalPool(1))
    (folder / "refuse-4").unlink()
    monkeypatch.setattr(engine, "source_commit", lambda: "def")
    results, _ = sweep(STUDY, options_in(folder, quick=True), RESULTS, LocalPool(1))
    assert results.about["commit"] == f"{COMMIT}, def"
    with Store.opened(RESULTS) as store:
        assert list(store.finished().values()) == [COMMIT] * 4 + ["def"] * 2


def test_files_that_are_not_ours_are_left_alone(folder: Path) -> None:
    RESULTS.write_text("a thesis")
    for resume in (True, False):
        with pytest.raises(SweepError, match="cannot be used as a results file"):
            sweep(STUDY, options_in(folder), RESULTS, LocalPool(1), resume=resume)
    assert RESULTS.read_text() == "a thesis"
    assert [path for path in RESULTS.parent.iterdir() if path.is_file()] == [
        RESULTS.absolute().relative_to(Path.cwd())
    ]


def test_settings_must_differ(folder: Path) -> None:
    for settings in ([], [{"seed": 1}, {"seed": 1}]):
        twice = Study(**{**vars(STUDY), "settings": lambda options, given=settings: given})
        with pytest.raises(SweepError, match="must have settings that differ"):
            sweep(twice, options_in(folder), RESULTS, LocalPool(1))
    assert not RESULTS.exists()
