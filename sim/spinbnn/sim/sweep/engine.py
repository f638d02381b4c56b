"""A sweep: what is missing of a study's results is measured, and kept at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from spinbnn.golden.errors import SweepError
from spinbnn.sim.studies.study import Setting, Study, StudyOptions
from spinbnn.sim.sweep import log_file, results_file
from spinbnn.sim.sweep.identity import identity, source_commit, versions
from spinbnn.sim.sweep.results_file import Results, Store
from spinbnn.sim.sweep.worker import Pool, Task

Progress = Callable[[str, int, int], None]
"""Called with "settings", how many are done and of how many."""


def sweep(
    study: Study,
    options: StudyOptions,
    path: Path,
    pool: Pool,
    *,
    threads: int = 1,
    resume: bool = True,
    progress: Progress | None = None,
) -> tuple[Results, int]:
    """Run a study, or what is missing of it; return its results, and how many settings were measured now.

    However often it is interrupted and begun again, the results file ends with the same bytes.

    Parameters
    ----------
    study : Study
    options : StudyOptions
    path : Path
        The results file. Its log goes beside it.
    pool : Pool
        Who measures.
    threads : int
        Of a worker.
    resume : bool
        Whether to go on with what is there.
    progress : callable, optional

    Raises
    ------
    SpinbnnError
        If the study cannot be run, its settings or rows cannot be kept, or the results file there is of
        something else.
    """
    settings = study.settings(options)
    texts = [results_file.canonical(setting) for setting in settings]
    if len(set(texts)) != len(texts) or not texts:
        raise SweepError(f"study {study.name} must have settings that differ from each other, at least one")
    about = identity(study, options)
    if path.exists():
        _check_same(path, about, texts, resume)
    with log_file.opened(log_file.path_of(path)) as log:
        if not path.exists() or not resume:
            results_file.remove(path)
            log.restart()
            Store.create(path, about, texts)
        task = Task(study.measure, options, versions(study.needs_torch), threads)
        measured = _measure_missing(
            path, dict(enumerate(settings)), task, pool, log, progress or (lambda *_: None)
        )
    return results_file.read(path), measured


def _measure_missing(
    path: Path, settings: dict[int, Setting], task: Task, pool: Pool, log: log_file.Log, progress: Progress
) -> int:
    with Store.opened(path) as store:
        if store.is_complete():
            return 0
        done = store.finished()
        missing = {number: setting for number, setting in settings.items() if number not in done}
        commit = source_commit()
        log.write("begin", host=log_file.host(), threads=task.threads, missing=len(missing))
        progress("settings", len(done), len(settings))
        with closing(pool.measured(task, missing)) as stream:
            for count, measured in enumerate(stream, len(done) + 1):
                log.write(
                    "setting",
                    number=measured.number,
                    seconds=measured.seconds,
                    worker=measured.worker,
                    host=measured.host,
                )
                store.add(measured.number, measured.rows, commit)
                progress("settings", count, len(settings))
        store.complete()
        log.write("end")
    return len(missing)


def _check_same(path: Path, about: dict[str, str], settings: list[str], resume: bool) -> None:
    """See that a file that is there is of the same study, options, versions and settings.

    Raises
    ------
    SweepError
        If it is not. Where all is to begin anew, only if it is no results file: that is not ours to delete.
    """
    with Store.opened(path) as store:
        there = store.about()
        differences = [
            f"{name} ({_shown(name, there.get(name))} there, {_shown(name, about.get(name))} now)"
            for name in ("study", "quick", "data", "spinbnn", "numpy", "torch")
            if there.get(name) != about.get(name)
        ]
        if not differences and store.settings() != settings:
            differences = [f"settings ({len(store.settings())} there, {len(settings)} now)"]
    if differences and resume:
        raise SweepError(
            f"{path} holds other results, which differ in {', '.join(differences)}: name another file with "
            "-o, or give --no-resume to measure all anew"
        )


def _shown(name: str, value: str | None) -> str:
    """Return a value of ``about`` as an error says it: of hashes, what tells them apart."""
    if value is None:
        return "none"
    if name == "data":
        sets = json.loads(value).items()
        return ", ".join(f"{name} {each['train'][:8]} {each['test'][:8]}" for name, each in sets) or "none"
    return value
