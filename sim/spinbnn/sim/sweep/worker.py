"""What a worker does, in a process of this machine or of a cluster: it measures at one setting."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from spinbnn.golden.errors import SpinbnnError, SweepError
from spinbnn.sim.studies.study import Row, Setting, StudyOptions
from spinbnn.sim.sweep import log_file
from spinbnn.sim.sweep.identity import versions

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "SPINBNN_THREADS")
"""What OpenMP, NumPy's products of matrices, PyTorch and our kernels read."""


@dataclass(frozen=True)
class Task:
    """What is done at every setting.

    Attributes
    ----------
    measure : callable
        A function of a module, which a worker imports.
    options : StudyOptions
    versions : mapping of str to str
        What a worker must have, as it would measure something else otherwise.
    threads : int
        Of a worker.
    """

    measure: Callable[[Setting, StudyOptions], Sequence[Row]]
    options: StudyOptions
    versions: Mapping[str, str]
    threads: int = 1


@dataclass(frozen=True)
class Measured:
    """What a worker gives back.

    Attributes
    ----------
    number : int
        Of the setting.
    rows : sequence of Row
    seconds : float
        What it took.
    worker, host : str
        Who measured.
    """

    number: int
    rows: Sequence[Row]
    seconds: float
    worker: str
    host: str


class Pool(Protocol):
    """Workers: processes of this machine (`local_pool`), or a cluster (`dask_pool`)."""

    def measured(self, task: Task, settings: Mapping[int, Setting]) -> Generator[Measured, None, None]:
        """Measure at every setting, each once; yield as they finish, in any order.

        Closing the iterator stops the workers.

        Raises
        ------
        SweepError
            If a setting ends its worker again and again, or the workers cannot be had.
        SpinbnnError
            As the measurement raises it.
        """


def perform(task: Task, number: int, setting: Setting) -> Measured:
    """Measure at a setting, with as many threads as the task says."""
    here = versions("torch" in task.versions)
    for name, version in task.versions.items():
        if here[name] != version:
            raise SweepError(
                f"worker {log_file.host()} must have {name} {version}, as the sweep does, not {here[name]}"
            )
    with thread_variables(task.threads):
        if "torch" in sys.modules:  # one that is imported later reads the variables
            sys.modules["torch"].set_num_threads(task.threads)
        began = time.perf_counter()
        try:
            rows = list(task.measure(setting, task.options))
        except SpinbnnError as error:
            raise SweepError(f"setting {dict(setting)}: {error}") from error
        seconds = time.perf_counter() - began
    return Measured(number, rows, round(seconds, 3), str(os.getpid()), log_file.host())


@contextmanager
def thread_variables(threads: int) -> Iterator[None]:
    """Have processes that are started, and libraries that are loaded, use so many threads."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
