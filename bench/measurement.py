"""What a benchmark gives: a subject's cost and that of a named baseline, timed in the same run."""

import time
from collections.abc import Callable
from dataclasses import dataclass

REPEATS = 5


@dataclass(frozen=True)
class Measurement:
    """A subject beside its baseline.

    Parameters
    ----------
    name : str
        What is measured.
    subject, baseline : str
        The two ways of doing it.
    seconds, baseline_seconds : float
        What each takes for the same work.
    target : float, optional
        The ratio that is asked for, if one is.
    note : str
        What else one should know, such as a share of the machine's limit.
    unit : str
        Of what is measured, where that is no time: `seconds` are then thousands of it.
    """

    name: str
    subject: str
    seconds: float
    baseline: str
    baseline_seconds: float
    target: float | None = None
    note: str = ""
    unit: str = "ms"

    @property
    def ratio(self) -> float:
        """How many times faster the subject is than its baseline."""
        return self.baseline_seconds / self.seconds

    @property
    def met(self) -> bool | None:
        """Whether the ratio reaches its target; None without one."""
        return None if self.target is None else self.ratio >= self.target


Benchmark = Callable[[], Measurement]


def best(action: Callable[[], object], repeats: int = REPEATS) -> float:
    """Return the least seconds of several runs: the machine's noise only ever adds."""
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)
