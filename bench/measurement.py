"""What a benchmark gives: a subject's cost and that of a named baseline, timed in the same run."""

import time
from collections.abc import Callable
from dataclasses import dataclass

REPEATS = 5
TURNS = 3
PAUSE_SECONDS = 0.3


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


class NotMeasuredError(Exception):
    """What a benchmark raises, in one line, when something that it compares is not installed."""


Benchmark = Callable[[], Measurement]


def best(action: Callable[[], object], repeats: int = REPEATS) -> float:
    """Return the least seconds of several runs: the machine's noise only ever adds."""
    return best_of_each(action, repeats=repeats)[0]


def best_of_each(*actions: Callable[[], object], repeats: int = REPEATS) -> list[float]:
    """Return the least seconds of each of some actions, in several turns: all meet the same spells of noise.

    A pause goes before each turn, as threads of a library spin for some time after its last call.
    """
    seconds: list[list[float]] = [[] for _ in actions]
    for _ in range(TURNS):
        for action, of_action in zip(actions, seconds, strict=True):
            time.sleep(PAUSE_SECONDS)
            for _ in range(repeats):
                begin = time.perf_counter()
                action()
                of_action.append(time.perf_counter() - begin)
    return [min(of_action) for of_action in seconds]
