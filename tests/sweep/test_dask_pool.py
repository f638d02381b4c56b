"""Sweeps over a cluster: Dask's own, of processes on this machine."""

import contextlib
import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed import LocalCluster

from spinbnn.golden.errors import SweepError
from spinbnn.sim.sweep.dask_pool import DaskPool
from spinbnn.sim.sweep.engine import sweep
from spinbnn.sim.sweep.local_pool import LocalPool

from .conftest import finished, times_measured
from .studies import SETTINGS, STUDY, options_in

RESULTS = Path("build/studies/even-draws.sqlite")


@pytest.fixture(autouse=True)
def _patience() -> Iterator[None]:
    """Have a cluster wait for workers that start again, which takes long on a busy machine."""
    with dask.config.set({"distributed.deploy.lost-worker-timeout": "10 minutes"}):
        yield


def cluster_of(workers: int, threads: int = 1) -> Any:
    """Return a cluster of processes; its scheduler runs in a thread of this one."""
    return LocalCluster(
        n_workers=workers,
        threads_per_worker=threads,
        processes=True,
        dashboard_address=":0",  # clusters of tests beside each other must not want the same port
        silence_logs=logging.CRITICAL,
    )


def test_workers_that_are_killed_lose_nothing(folder: Path, undisturbed: bytes) -> None:
    """Some settings are there; a worker is killed from outside, and one dies in the midst of a setting."""
    (folder / "refuse-2").touch()
    with pytest.raises(SweepError, match="these images are no good"):
        sweep(STUDY, options_in(folder), RESULTS, LocalPool(1))
    (folder / "refuse-2").unlink()
    (folder / "die-9").write_text("once")
    (folder / "seconds").write_text("0.1")
    with cluster_of(workers=2) as cluster:

        def progress(stage: str, done: int, total: int) -> None:
            if done == 4:
                alive = [nanny.pid for nanny in cluster.workers.values() if nanny.pid is not None]
                with contextlib.suppress(ProcessLookupError):  # it may have died by itself just now
                    os.kill(alive[0], signal.SIGKILL)

        pool = DaskPool(cluster.scheduler_address)
        _, measured = sweep(STUDY, options_in(folder), RESULTS, pool, progress=progress)
    assert measured == SETTINGS - 2
    assert RESULTS.read_bytes() == undisturbed
    assert times_measured(folder)[9] >= 2


@pytest.mark.long
def test_a_setting_that_kills_its_workers_is_named(folder: Path) -> None:
    (folder / "die-3").write_text("always")
    with cluster_of(workers=1) as cluster:
        with pytest.raises(SweepError, match="'seed': 3} ended its worker again and again"):
            sweep(STUDY, options_in(folder, quick=True), RESULTS, DaskPool(cluster.scheduler_address))
    assert times_measured(folder)[3] > 1


@pytest.mark.long
def test_settings_and_workers_that_are_refused(folder: Path) -> None:
    (folder / "refuse-4").touch()
    with cluster_of(workers=1) as cluster:
        with pytest.raises(SweepError, match=r"setting {.*'seed': 4}: these images are no good"):
            sweep(STUDY, options_in(folder, quick=True), RESULTS, DaskPool(cluster.scheduler_address))
    assert 0 < finished(RESULTS) < SETTINGS // 2
    with cluster_of(workers=1, threads=2) as cluster:
        with pytest.raises(SweepError, match=r"one thread \(dask worker --nthreads 1\), not 2"):
            sweep(STUDY, options_in(folder, quick=True), RESULTS, DaskPool(cluster.scheduler_address))


def test_a_scheduler_that_is_lost_is_said(folder: Path) -> None:
    with cluster_of(workers=1) as cluster:

        def progress(stage: str, done: int, total: int) -> None:
            if done == 2:
                cluster.close()

        with pytest.raises(SweepError, match=r"the scheduler tcp://.* was lost: .* what is finished is kept"):
            sweep(STUDY, options_in(folder), RESULTS, DaskPool(cluster.scheduler_address), progress=progress)
    assert 2 <= finished(RESULTS) < SETTINGS


@pytest.mark.parametrize("address", ["nonsense", "tcp://127.0.0.1:9", "foo://x:1"])
def test_addresses_where_no_scheduler_is(folder: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setattr("spinbnn.sim.sweep.dask_pool._CONNECT_SECONDS", 0.5)
    with pytest.raises(SweepError, match=f"--scheduler must be the address of a Dask .* not '{address}'"):
        sweep(STUDY, options_in(folder), RESULTS, DaskPool(address))
