"""Finds the least energy at which a network keeps its accuracy, step by step towards weaker writing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import numpy as np

from spinbnn.golden.point_map import TABLE_POINTS
from spinbnn.sim.datasets import Dataset
from spinbnn.sim.studies.assignment import Assignment, Option, Subject
from spinbnn.sim.studies.evaluation import right_classes

_LEAST_LOSS = 2e-4
"""Losses below it do not tell two steps apart."""


@dataclass(frozen=True)
class Found:
    """An assignment, what it takes, and what it loses on the images it was searched with."""

    assignment: Assignment
    energy_aj: float
    loss: float


class Search:
    """Tries assignments on a subject.

    Parameters
    ----------
    subject : Subject
    images : Dataset
        Fitted to the network.
    seed : int
        All assignments meet the same random numbers.
    draws : int
    """

    def __init__(self, subject: Subject, images: Dataset, seed: int, draws: int) -> None:
        self._subject, self._images, self._seed, self._draws = subject, images, seed, draws
        self._ideal = float(right_classes(subject.network, images).mean())

    def found(self, assignment: Assignment) -> Found:
        """Return an assignment with its energy and its loss, mean over draws."""
        matched = self._subject.matched(assignment)
        accuracy = 0.0
        for draw in range(self._draws):
            rng = np.random.default_rng([self._seed, draw])
            accuracy += float(
                right_classes(self._subject.draw(matched, assignment, rng), self._images).mean()
            )
        loss = self._ideal - accuracy / self._draws
        return Found(assignment, self._subject.energy_aj(assignment), loss)

    def uniform(self, ways: Sequence[Option], limits: Sequence[float]) -> list[Found | None]:
        """Return for each limit of the loss the cheapest way, the same for all rows."""
        layers = len(self._subject.network.layers)
        tried = [self.found(Assignment((option,) * layers)) for option in ways]
        return [cheapest(tried, limit) for limit in limits]

    def by_step(
        self, ways: Sequence[Option], limits: Sequence[float], *, layers: bool, rows: bool
    ) -> list[Found | None]:
        """Return for each limit of the loss the cheapest assignment on a way towards weaker writing.

        A step makes the option of all layers the next weaker, or that of one layer, or leaves one more block
        of rows unwritten. Each time the step is taken that saves most energy for the accuracy it loses,
        among those within the largest limit.

        Parameters
        ----------
        ways : sequence of Option
            From the strongest to the weakest.
        limits : sequence of float
            Of the loss, shares of 1.
        layers : bool
            Layers may have options of their own.
        rows : bool
            Blocks of rows may be left unwritten.
        """
        here = self.found(Assignment((ways[0],) * len(self._subject.network.layers)))
        waiting = self._ranked_blocks(here.assignment) if rows else {}
        passed = [here]
        while True:
            steps = [*_weaker(here.assignment, ways, layers=layers), *_fewer(here.assignment, waiting)]
            tried = [self.found(step) for step in steps if step.points <= TABLE_POINTS]
            within = [found for found in tried if found.loss <= max(limits)]
            if not within:
                return [cheapest(passed, limit) for limit in limits]
            passed += within
            here = max(within, key=partial(_worth, here))

    def _ranked_blocks(self, start: Assignment) -> dict[int, list[int]]:
        """Return the blocks of each layer, from the one whose absence costs least."""
        ranked: dict[int, list[int]] = {}
        costs = [(self.found(start.without(*block)).loss, block) for block in self._subject.blocks()]
        for _, (layer, number) in sorted(costs):
            ranked.setdefault(layer, []).append(number)
        return ranked


def _worth(before: Found, after: Found) -> float:
    """Return the energy that a step saves for the accuracy it loses."""
    return (before.energy_aj - after.energy_aj) / max(after.loss - before.loss, _LEAST_LOSS)


def cheapest(tried: Sequence[Found], limit: float) -> Found | None:
    """Return what takes least energy of what loses no more than a limit, if anything does."""
    within = [found for found in tried if found.loss <= limit]
    return min(within, key=lambda found: found.energy_aj, default=None)


def _weaker(assignment: Assignment, ways: Sequence[Option], *, layers: bool) -> Iterator[Assignment]:
    """Yield assignments with all layers, or one of them, a step weaker."""
    following = dict(pairwise(ways))
    options = assignment.options
    if all(option in following for option in options):
        yield replace(assignment, options=tuple(following[option] for option in options))
    for index, option in enumerate(options if layers else ()):
        if option in following:
            changed = (*options[:index], following[option], *options[index + 1 :])
            yield replace(assignment, options=changed)


def _fewer(assignment: Assignment, waiting: dict[int, list[int]]) -> Iterator[Assignment]:
    """Yield assignments that do without one more block: of each layer, the next in order."""
    for layer, numbers in waiting.items():
        fewer = (assignment.without(layer, number) for number in numbers)
        step = next((each for each in fewer if each != assignment), None)
        if step is not None:
            yield step
