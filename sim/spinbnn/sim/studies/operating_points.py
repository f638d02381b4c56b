"""What does a network really need? How weakly each of its parts may be written, and what that saves.

Searched with one half of the test images, judged with the other half and with other errors.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from spinbnn.golden.chip import TYPICAL
from spinbnn.golden.encoding import pack
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.memory_options import PLAIN, MemoryOptions
from spinbnn.golden.network import Network
from spinbnn.golden.placement import place
from spinbnn.sim.datasets import Dataset
from spinbnn.sim.studies import confirmation
from spinbnn.sim.studies.assignment import BLOCK, Assignment, Option, Subject, ways_to_write
from spinbnn.sim.studies.assignment_search import Found, Search, cheapest
from spinbnn.sim.studies.cells import whole
from spinbnn.sim.studies.evaluation import (
    LOSS_COLUMNS,
    Losses,
    losses,
    right_classes,
    seed_of,
    test_images,
)
from spinbnn.sim.studies.given_networks import DATA, TRAINING_SEEDS, given_network
from spinbnn.sim.studies.operating_points_findings import findings
from spinbnn.sim.studies.programming import Programmed, machine_for, program
from spinbnn.sim.studies.study import Row, Scalar, Setting, Study, StudyOptions

LIMITS = (0.003, 0.005, 0.01)
"""Accuracy that may be lost, shares of 1."""

CONTENDERS = ("uniform", "retries", "secded", "layers", "rows", "layers and rows")
"""One pulse for all rows; the same with retries; the same with error correction; a pulse for each layer; one
pulse and rows left unwritten; a pulse for each layer and rows left unwritten."""

CONFIRMED = ("mnist_1024", "layers and rows")

_CALIBRATION_IMAGES = 1000
_SEARCH_DRAWS = 2
_WRITINGS, _QUICK_WRITINGS = 10, 5
_PART_DRAWS = 3
_CONFIRMED_IMAGES, _QUICK_CONFIRMED_IMAGES = 200, 50

_NAMES = (
    "kind",
    "network",
    "data",
    "training_seed",
    "contender",
    "limit",
    "layer",
    "place",
    "error_rate",
    "draws",
    "seed",
    "images",
    *LOSS_COLUMNS,
    "searched_loss",
    "wrong_share",
    "wrong_bits",
    "energy_aj",
    "verify_energy_aj",
    "assignment",
    *confirmation.COLUMNS,
)


def settings(options: StudyOptions) -> list[Setting]:
    """Return the parts of the shipped network, then single pulses and the contenders for all networks."""
    networks: list[tuple[str, int | None]] = [("mnist_1024", None)]
    for name in ("study_mnist_1024", "study_fashion_1024"):
        if DATA[name] in options.data and not options.quick:
            networks += [(name, seed) for seed in TRAINING_SEEDS]
    parts = [_setting(kind, "mnist_1024", None, None) for kind in ("layer", "bank", "block")]
    singles = [_setting("single", name, training_seed, None) for name, training_seed in networks]
    contenders = [
        _setting("contender", name, training_seed, contender)
        for name, training_seed in networks
        for contender in CONTENDERS
    ]
    return [*parts, *singles, *contenders]


def _setting(kind: str, network: str, training_seed: int | None, contender: str | None) -> Setting:
    return {
        "kind": kind,
        "network": network,
        "data": DATA[network],
        "training_seed": training_seed,
        "contender": contender,
        "seed": seed_of(kind, network, training_seed),
    }


@dataclass(frozen=True)
class _Case:
    """A network with the images to search with, and those to judge with."""

    network: Network
    searching: Dataset
    judging: Dataset
    seed: int
    options: StudyOptions

    def subject(self) -> Subject:
        return Subject(self.network, self.searching.pixels[:_CALIBRATION_IMAGES])

    def row(self, setting: Setting, images: Dataset, measured: Row, cost: Losses | None = None) -> Row:
        """Return a row; what was not measured is None."""
        lost = {} if cost is None else cost.to_row()
        return {**dict.fromkeys(_NAMES), **setting, "images": len(images), **measured, **lost}


def measure(setting: Setting, options: StudyOptions) -> list[Row]:
    """Return the rows of a setting: of each layer, bank or block, or of each limit."""
    network = given_network(setting, options)
    images = test_images(options, str(setting["data"])).fitted(network)
    half = len(images) // 2
    rest = Dataset(images.images[half:], images.labels[half:])
    case = _Case(network, images.head(half), rest, whole(setting, "seed"), options)
    parts = {
        "layer": _layers,
        "bank": _banks,
        "block": _blocks,
        "single": _singles,
        "contender": _contender,
    }
    return parts[str(setting["kind"])](setting, case)


def _layers(setting: Setting, case: _Case) -> list[Row]:
    """Write one layer weakly and all others without errors."""
    subject, layers = case.subject(), len(case.network.layers)
    ways = ways_to_write((0,))
    none = Option(ways[0].voltage_v, 0, 0.0, 0.0)
    rows = []
    for layer in range(layers):
        for way in ways:
            options = tuple(way if index == layer else none for index in range(layers))
            cost = _drawn(subject, Assignment(options), case)
            measured = {
                "layer": layer,
                "error_rate": way.residual,
                "energy_aj": subject.energy_aj(Assignment(options)),
                "draws": _PART_DRAWS,
            }
            rows.append(case.row(setting, case.judging, measured, cost))
    return rows


def _drawn(subject: Subject, assignment: Assignment, case: _Case) -> Losses:
    """Return what an assignment costs, over a few draws."""
    matched = subject.matched(assignment)
    rights = [
        right_classes(
            subject.draw(matched, assignment, np.random.default_rng([case.seed, draw])), case.judging
        )
        for draw in range(_PART_DRAWS)
    ]
    return losses(right_classes(case.network, case.judging), rights)


def _banks(setting: Setting, case: _Case) -> list[Row]:
    """Make all weights random that one bank holds of one layer; thresholds as they are."""
    rows = []
    ideal = right_classes(case.network, case.judging)
    for index, layer in enumerate(case.network.layers):
        for bank in range(min(BLOCK, layer.neurons)):
            rights = []
            for draw in range(_PART_DRAWS):
                rng = np.random.default_rng([case.seed, index, bank, draw])
                weights = layer.weights.copy()
                bits = rng.integers(0, 2, (len(weights[bank::BLOCK]), layer.sum_length), dtype=np.uint8)
                weights[bank::BLOCK] = pack(bits)
                changed = replace(layer, weights=weights)
                layers = (*case.network.layers[:index], changed, *case.network.layers[index + 1 :])
                rights.append(right_classes(replace(case.network, layers=layers), case.judging))
            measured = {"layer": index, "place": bank, "error_rate": 0.5, "draws": _PART_DRAWS}
            rows.append(case.row(setting, case.judging, measured, losses(ideal, rights)))
    return rows


def _blocks(setting: Setting, case: _Case) -> list[Row]:
    """Leave each block of 64 inputs, or of 64 hidden neurons with all that reads them, unwritten."""
    subject = case.subject()
    ideal = right_classes(case.network, case.judging)
    none = Option(ways_to_write((0,))[0].voltage_v, 0, 0.0, 0.0)
    all_written = Assignment((none,) * len(case.network.layers))
    rows = []
    for layer, number in subject.blocks():
        assignment = all_written.without(layer, number)
        stored = subject.draw(subject.matched(assignment), assignment, np.random.default_rng(case.seed))
        measured = {"layer": layer, "place": number, "error_rate": 0.0, "draws": 1}
        cost = losses(ideal, [right_classes(stored, case.judging)])
        rows.append(case.row(setting, case.judging, measured, cost))
    return rows


def _singles(setting: Setting, case: _Case) -> list[Row]:
    """Judge each pulse of the ladder, the same for all rows: what contenders are compared with."""
    subject, layers = case.subject(), len(case.network.layers)
    rows = []
    for way in ways_to_write((0,)):
        assignment = Assignment((way,) * layers)
        judged = _judged(subject, Found(assignment, subject.energy_aj(assignment), math.nan), PLAIN, case)
        rows.append(
            case.row(setting, case.judging, {**judged, "error_rate": way.residual, "searched_loss": None})
        )
    return rows


def _contender(setting: Setting, case: _Case) -> list[Row]:
    """Search an assignment for each limit, write it several times, and judge it."""
    contender = str(setting["contender"])
    subject = case.subject()
    search = Search(subject, case.searching, case.seed, _SEARCH_DRAWS)
    found = _SEARCHES[contender](search, subject, case)
    memory = MemoryOptions(secded=True) if contender == "secded" else PLAIN
    rows: list[Row] = []
    for limit, best in zip(LIMITS, found, strict=True):
        judged = {} if best is None else _judged(subject, best, memory, case)
        rows.append(case.row(setting, case.judging, {"limit": limit, **judged}))
    if (setting["network"], contender) == CONFIRMED and found[-1] is not None:
        rows.append(_confirmed(setting, subject, found[-1], case))
    return rows


def _uniform(search: Search, subject: Subject, case: _Case) -> list[Found | None]:
    return search.uniform(ways_to_write((0,)), LIMITS)


def _retries(search: Search, subject: Subject, case: _Case) -> list[Found | None]:
    return search.uniform(ways_to_write((1, 2)), LIMITS)


def _layers_alone(search: Search, subject: Subject, case: _Case) -> list[Found | None]:
    return search.by_step(ways_to_write((0,)), LIMITS, layers=True, rows=False)


def _rows_alone(search: Search, subject: Subject, case: _Case) -> list[Found | None]:
    return search.by_step(ways_to_write((0,)), LIMITS, layers=False, rows=True)


def _layers_and_rows(search: Search, subject: Subject, case: _Case) -> list[Found | None]:
    return search.by_step(ways_to_write((0,)), LIMITS, layers=True, rows=True)


def _secded(search: Search, subject: Subject, case: _Case) -> list[Found | None]:
    """Try one pulse for all rows with error correction; what is left wrong is counted in a writing."""
    geometry = machine_for(case.network, MemoryOptions(secded=True))
    ideal = float(right_classes(case.network, case.searching).mean())
    tried = []
    for way in ways_to_write((0,)):
        written = program(case.network, geometry, way.point, seed=case.seed)
        left = tuple(replace(way, residual=share) for share in subject.failed_shares(written.network))
        matched = subject.matched(Assignment(left))
        stored = _with_heads(written.network, matched)
        loss = ideal - float(right_classes(stored, case.searching).mean())
        tried.append(Found(Assignment(left), written.energy_aj, loss))
    return [cheapest(tried, limit) for limit in LIMITS]


_SEARCHES: dict[str, Callable[[Search, Subject, _Case], list[Found | None]]] = {
    "uniform": _uniform,
    "retries": _retries,
    "secded": _secded,
    "layers": _layers_alone,
    "rows": _rows_alone,
    "layers and rows": _layers_and_rows,
}


def _with_heads(stored: Network, matched: Network) -> Network:
    """Return the stored weights behind matched thresholds."""
    layers = [
        replace(layer, head=other.head) for layer, other in zip(stored.layers, matched.layers, strict=True)
    ]
    return replace(stored, layers=tuple(layers))


def _judged(subject: Subject, best: Found, memory: MemoryOptions, case: _Case) -> dict[str, Scalar]:
    """Write an assignment several times, and run the images that it was not searched with."""
    matched = subject.matched(best.assignment)
    geometry = machine_for(matched, memory)
    count = _QUICK_WRITINGS if case.options.quick else _WRITINGS
    # Seeds that no search has used.
    writings = [_written(matched, geometry, subject, best, case.seed + 1 + draw) for draw in range(count)]
    rights = [right_classes(written.network, case.judging) for written in writings]
    return {
        **losses(right_classes(case.network, case.judging), rights).to_row(),
        "draws": count,
        "searched_loss": best.loss,
        "wrong_share": sum(written.wrong_share for written in writings) / count,
        "energy_aj": sum(written.energy_aj for written in writings) / count,
        "verify_energy_aj": sum(written.verify_energy_aj for written in writings) / count,
        "assignment": str(best.assignment),
    }


def _written(matched: Network, geometry: Geometry, subject: Subject, best: Found, seed: int) -> Programmed:
    ranges = subject.ranges(place(matched, geometry), best.assignment)
    return program(matched, geometry, best.assignment.options[0].point, seed=seed, ranges=ranges)


def _confirmed(setting: Setting, subject: Subject, best: Found, case: _Case) -> Row:
    """Write an assignment once, in golden and in the Verilog."""
    matched = subject.matched(best.assignment)
    geometry = machine_for(matched)
    few = case.judging.head(_QUICK_CONFIRMED_IMAGES if case.options.quick else _CONFIRMED_IMAGES)
    written = _written(matched, geometry, subject, best, case.seed)
    confirmed = confirmation.confirm(
        matched,
        few,
        geometry,
        best.assignment.options[0].point,
        case.options,
        seed=case.seed,
        ranges=subject.ranges(place(matched, geometry), best.assignment),
        chip=TYPICAL,
    )
    measured = {
        "kind": "rtl",
        "limit": LIMITS[-1],
        "draws": 1,
        **losses(right_classes(case.network, few), [right_classes(written.network, few)]).to_row(),
        "wrong_share": written.wrong_share,
        "wrong_bits": int(written.wrong_bits.sum()),
        "energy_aj": written.energy_aj,
        "assignment": str(best.assignment),
        **confirmed.to_row(),
    }
    return case.row(setting, few, measured)


STUDY = Study(
    name="operating-points",
    title="What a network needs",
    question="How weakly may each part of a network be written, and what does that save?",
    paper="",
    settings=settings,
    measure=measure,
    findings=findings,
)
