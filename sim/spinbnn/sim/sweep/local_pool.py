"""Workers on this machine: processes, each of its own, so that one that is killed takes no other with it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection

from spinbnn.golden.errors import SweepError
from spinbnn.sim.studies.study import Setting
from spinbnn.sim.sweep.worker import Measured, Task, perform, thread_variables

MOST_DEATHS = 3
"""A setting at which the worker died as often is given up."""


@dataclass(frozen=True)
class LocalPool:
    """Processes on this machine.

    Attributes
    ----------
    processes : int
        Settings that are measured at a time.
    """

    processes: int

    def measured(self, task: Task, settings: Mapping[int, Setting]) -> Generator[Measured, None, None]:
        """Measure at every setting, each once; yield as they finish (`worker.Pool`)."""
        waiting = deque(settings)
        deaths: Counter[int] = Counter()
        running: dict[Future[Measured], tuple[int, ProcessPoolExecutor]] = {}
        with thread_variables(task.threads), _workers() as workers:
            idle = [workers.start() for _ in range(min(self.processes, len(settings)))]
            while waiting or running:
                while idle and waiting:
                    number, worker = waiting.popleft(), idle.pop()
                    with _interrupts_blocked():  # submitting starts the process
                        running[worker.submit(perform, task, number, settings[number])] = number, worker
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    number, worker = running.pop(future)
                    try:
                        measured = future.result()
                    except BrokenProcessPool as error:
                        deaths[number] += 1
                        if deaths[number] == MOST_DEATHS:
                            raise SweepError(
                                f"setting {dict(settings[number])} ended its worker {MOST_DEATHS} times: it "
                                "may need more memory (try fewer --processes), or crash; what is finished is "
                                "kept"
                            ) from error
                        waiting.append(number)
                        idle.append(workers.start())
                    else:
                        idle.append(worker)
                        yield measured


class _Workers:
    """Starts pools of one process each, which end when this process ends or `stop` is called."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._lifeline, self._held = self._context.Pipe(duplex=False)
        self._pools: list[ProcessPoolExecutor] = []

    def start(self) -> ProcessPoolExecutor:
        pool = ProcessPoolExecutor(
            1, mp_context=self._context, initializer=_watch, initargs=(self._lifeline,)
        )
        self._pools.append(pool)
        return pool

    def stop(self) -> None:
        self._held.close()
        for pool in self._pools:
            pool.shutdown(cancel_futures=True)
        self._lifeline.close()


@contextmanager
def _workers() -> Iterator[_Workers]:
    workers = _Workers()
    try:
        yield workers
    finally:
        workers.stop()


def _watch(lifeline: Connection) -> None:
    """End this worker as soon as the process that started it lets go, also in the midst of a setting."""

    def wait_for_the_end() -> None:
        lifeline.poll(None)  # nothing is ever sent; it ends when the other end is closed, by a crash, too
        os._exit(1)

    threading.Thread(target=wait_for_the_end, daemon=True).start()


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach: it is this one that ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
