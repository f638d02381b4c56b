"""Workers of a cluster, by way of Dask's scheduler, which starts anew what was on a worker that died."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spinbnn.golden.errors import SweepError
from spinbnn.sim.studies.study import Setting
from spinbnn.sim.sweep.worker import Measured, Task, perform

if TYPE_CHECKING:
    from distributed import Client

_CONNECT_SECONDS = 30


@dataclass(frozen=True)
class DaskPool:
    """The workers of a Dask scheduler.

    Every worker needs this package in the same version, one thread (``dask worker --nthreads 1``), and the
    folders of the study's options under the same names.

    Attributes
    ----------
    scheduler : str
        Its address, such as "tcp://10.0.0.1:8786".
    """

    scheduler: str

    def measured(self, task: Task, settings: Mapping[int, Setting]) -> Generator[Measured, None, None]:
        """Measure at every setting, each once; yield as they finish (`worker.Pool`)."""
        with _client(self.scheduler) as client:
            from distributed import KilledWorker, as_completed  # noqa: PLC0415
            from distributed.client import FutureCancelledError  # noqa: PLC0415

            numbers = {
                client.submit(_perform_alone, task, number, setting, pure=False): number
                for number, setting in settings.items()
            }
            for future in as_completed(list(numbers), loop=client.loop):
                setting = settings[numbers.pop(future)]
                try:
                    measured = future.result()
                except KilledWorker as error:
                    raise SweepError(
                        f"setting {dict(setting)} ended its worker again and again: it may need more memory, "
                        "or crash; what is finished is kept"
                    ) from error
                except FutureCancelledError as error:
                    raise SweepError(
                        f"the scheduler {self.scheduler} was lost: start it and give the same command again; "
                        "what is finished is kept"
                    ) from error
                future.release()  # or it would be measured again when its worker dies
                yield measured


def _client(scheduler: str) -> Client:
    try:
        from distributed import Client  # noqa: PLC0415
    except ImportError as error:
        raise SweepError('--scheduler needs Dask: pip install "spinbnn[cluster]"') from error
    try:
        return Client(scheduler, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise SweepError(
            f"--scheduler must be the address of a Dask scheduler, such as tcp://10.0.0.1:8786, "
            f"not '{scheduler}' ({reason})"
        ) from error


def _perform_alone(task: Task, number: int, setting: Setting) -> Measured:
    """Measure on a worker that does nothing else meanwhile."""
    from distributed import get_worker  # noqa: PLC0415

    threads = get_worker().state.nthreads
    if threads != 1:
        raise SweepError(f"workers must have one thread (dask worker --nthreads 1), not {threads}")
    return perform(task, number, setting)
