"""What the rows of the study of operating points say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from spinbnn.sim.line_chart import Axis
from spinbnn.sim.show import energy
from spinbnn.sim.studies.cells import interval, number, whole, writing_aj
from spinbnn.sim.studies.confirmation import confirmed_verdict
from spinbnn.sim.studies.interval_curves import interval_curves
from spinbnn.sim.studies.statistics import Interval, mean
from spinbnn.sim.studies.study import Chart, Findings, HeatMap, Row, Scalar, Table, Verdict
from spinbnn.sim.studies.wording import at_least, points

WANTED_SAVING = 0.3

_TITLES = {
    "mnist_1024": "MNIST, shipped",
    "study_mnist_1024": "MNIST, trained",
    "study_fashion_1024": "Fashion-MNIST, trained",
}
_CONTENDERS = {
    "uniform": "one pulse for all rows",
    "retries": "one pulse, verify and retry",
    "secded": "one pulse, SECDED",
    "layers": "a pulse for each layer",
    "rows": "one pulse, rows left unwritten",
    "layers and rows": "a pulse for each layer, rows left unwritten",
}
_OURS = ("layers", "rows", "layers and rows")
_SHOWN_LOSS = 0.03


def findings(rows: Sequence[Row]) -> Findings:
    """Read the rows of all settings."""
    parts = {kind: [row for row in rows if row["kind"] == kind] for kind in ("layer", "bank", "block")}
    judged = [row for row in rows if row["kind"] == "contender" and row["energy_aj"] is not None]
    results = _Results(judged, [row for row in rows if row["kind"] == "single"])
    limits = sorted({number(row, "limit") for row in rows if row["kind"] == "contender"})
    middle = limits[len(limits) // 2]
    networks = list(dict.fromkeys(str(row["network"]) for row in judged))
    shown = [row for row in judged if row["network"] == "mnist_1024"]
    saved = {name: results.saving("mnist_1024", name, middle) for name in _OURS}
    return Findings(
        summary=f"Where about {100 * middle:g} points of accuracy may go, pulses that differ by layer save "
        f"{_percent(saved['layers'])} of the write energy of the best single pulse of the same accuracy, and "
        f"{_percent(saved['layers and rows'])} where rows that matter least are not written at all. "
        "Thresholds are matched to what is stored for all.",
        verdicts=[
            *(_saving_verdict(results, network, limit) for network in networks for limit in limits),
            _bound_verdict(parts["layer"], results, middle),
            _retry_verdict(shown, middle),
            *(confirmed_verdict(row) for row in rows if row["kind"] == "rtl"),
        ],
        tables=[_contender_table(results), _assignment_table(shown)],
        pictures=[
            _front(shown, results.singles_of("mnist_1024", None)),
            _layer_chart(parts["layer"]),
            _heat_map(parts["bank"], "Points lost where one bank's weights of a layer are random", "bank"),
            _heat_map(parts["block"], "Points lost without a block of 64 inputs or neurons", "block"),
        ],
        notes=[
            "A blank array holds zeros: a failed write leaves a -1 that should be +1, and only weights of +1 "
            "take energy. Shares of failed writes are of these; bits of rows left unwritten count as wrong.",
            "Searched with the first half of the test images and judged with the second, with other errors: "
            "what is lost there may lie above the limit. Savings are against the pulse that takes least "
            "energy of those that lose no more when judged, so the single pulse is chosen with the very "
            "images that judge it.",
            "Leaving rows unwritten prunes: words of the image, or groups of 64 hidden neurons with all that "
            "reads them, whose thresholds keep them at -1. On the machine an operating point that takes "
            "nothing and never switches stands for them.",
            "Energy is that of the write pulses (28 nm macro, with its periphery), and of the reads that "
            "verify. The read before writing, which a blank array does not need, is left out for all.",
            "A pulse for each layer, of the four points that a machine holds; banks cannot have pulses of "
            "their own. Convolutional networks are left out: matching is written for fully connected layers.",
        ],
    )


@dataclass(frozen=True)
class _Results:
    """The judged contenders, and the single pulses that they are compared with."""

    judged: Sequence[Row]
    singles: Sequence[Row]

    def of(self, network: str, contender: str, limit: float) -> list[Row]:
        """Return the rows of a contender, one of each training."""
        return [row for row in _at(self.judged, contender, limit) if row["network"] == network]

    def singles_of(self, network: str, training_seed: Scalar) -> list[Row]:
        return [
            row for row in self.singles if (row["network"], row["training_seed"]) == (network, training_seed)
        ]

    def saved(self, row: Row) -> float:
        """Return what a row saves against the cheapest single pulse that loses no more."""
        singles = self.singles_of(str(row["network"]), row["training_seed"])
        as_good = [each for each in singles if number(each, "loss") <= number(row, "loss")]
        # Where each loses more, the strongest pulse is the nearest.
        base = min(map(writing_aj, as_good), default=max(map(writing_aj, singles)))
        return 1 - writing_aj(row) / base

    def saving(self, network: str, contender: str, limit: float) -> Interval | None:
        """Return what a contender saves, mean over trainings."""
        savings = [self.saved(row) for row in self.of(network, contender, limit)]
        return mean(savings) if savings else None


def _at(judged: Sequence[Row], contender: str, limit: float) -> list[Row]:
    return [row for row in judged if row["contender"] == contender and row["limit"] == limit]


def _percent(share: Interval | None) -> str:
    if share is None:
        return "nothing found"
    spread = "" if share.low == share.high else f" ({100 * share.low:.1f} to {100 * share.high:.1f})"
    return f"{100 * share.value:.1f}{spread} %"


def _loss(rows: Sequence[Row]) -> str:
    if not rows:
        return "nothing found"
    if len(rows) == 1:
        return points(interval(rows[0], "loss"))
    return points(mean([number(row, "loss") for row in rows]))


def _saving_verdict(results: _Results, network: str, limit: float) -> Verdict:
    saved = {name: results.saving(network, name, limit) for name in _OURS}
    best = saved["layers and rows"]
    return Verdict(
        claim=f"{_TITLES[network]}: searched for {100 * limit:g} points, our assignment takes at least "
        f"{100 * WANTED_SAVING:g} % less write energy than the best single pulse of the same accuracy.",
        paper="",
        ours=f"{_percent(best)} with a pulse for each layer and rows left unwritten, "
        f"{_percent(saved['layers'])} with pulses alone, {_percent(saved['rows'])} with one pulse and rows "
        f"left unwritten; {_loss(results.of(network, 'layers and rows', limit))} points lost when judged",
        agrees=None if best is None else at_least(best, WANTED_SAVING),
        why="Nearly all of it comes from rows that are not written; pulses alone cannot reach it, as the "
        "bound below says. The single pulse has matched thresholds, too, and loses no more when judged.",
    )


def _bound_verdict(layer_rows: Sequence[Row], results: _Results, limit: float) -> Verdict:
    """Account for what pulses that differ by layer can save at most."""
    least = 0.0
    for layer in sorted({whole(row, "layer") for row in layer_rows}):
        of_layer = [row for row in layer_rows if row["layer"] == layer]
        kept = [row for row in of_layer if number(row, "loss") <= limit] or of_layer[:1]
        least += min(number(row, "energy_aj") for row in kept)
    singles = results.singles_of("mnist_1024", None)
    within = [row for row in singles if number(row, "loss") <= limit] or singles[:1]
    bound = 1 - least / min(map(writing_aj, within))
    return Verdict(
        claim=f"Pulses that differ by layer cannot save {100 * WANTED_SAVING:g} % of the energy of the best "
        f"single pulse at {100 * limit:g} points.",
        paper="",
        ours=f"at most {100 * bound:.1f} %, found {_percent(results.saving('mnist_1024', 'layers', limit))}",
        agrees=bound < WANTED_SAVING,
        why="The bound gives each layer the weakest pulse that it bears alone, all others without errors; "
        f"together they lose more. {_first_layer(layer_rows)}",
    )


def _first_layer(layer_rows: Sequence[Row]) -> str:
    """Say what share of the energy it takes, and how slowly that falls."""
    first = [row for row in layer_rows if row["layer"] == 0]
    alike = [row for row in layer_rows if row["error_rate"] == first[0]["error_rate"]]
    share = number(first[0], "energy_aj") / sum(number(row, "energy_aj") for row in alike)
    weak, weaker = (min(first, key=lambda row: abs(number(row, "error_rate") - rate)) for rate in (0.05, 0.3))
    fall = 1 - number(weaker, "energy_aj") / number(weak, "energy_aj")
    return (
        f"The first layer takes {share:.0%} of the energy of writing and bears little, and a pulse's energy "
        f"falls slowly: from {number(weak, 'error_rate'):.0%} of failed writes to "
        f"{number(weaker, 'error_rate'):.0%} by {fall:.0%}."
    )


def _retry_verdict(shown: Sequence[Row], limit: float) -> Verdict:
    totals = {
        name: writing_aj(rows[0])
        for name in ("uniform", "retries", "secded")
        if (rows := _at(shown, name, limit))
    }
    return Verdict(
        claim="A single weak pulse takes less energy than verify and retry, or error correction, at the same "
        "accuracy.",
        paper="no error correction is needed (arXiv 1908.04085)",
        ours=", ".join(f"{_CONTENDERS[name]} {energy(total)}" for name, total in totals.items()),
        agrees=all(total >= totals["uniform"] for total in totals.values()) if "uniform" in totals else None,
        why="A read to verify takes 0.7 pJ of each cell of a row, half of which had to change: 1.4 pJ for "
        "each weight written, where a weak pulse takes 3. Few errors need correction.",
    )


def _contender_table(results: _Results) -> Table:
    return Table(
        "Contenders (28 nm macro)",
        [
            "network",
            "training",
            "limit",
            "contender",
            "write energy",
            "of it verifying",
            "saved",
            "points lost",
            "bits wrong",
        ],
        [
            [
                _TITLES[str(row["network"])],
                "" if row["training_seed"] is None else str(row["training_seed"]),
                f"{100 * number(row, 'limit'):g}",
                _CONTENDERS[str(row["contender"])],
                energy(writing_aj(row)),
                energy(number(row, "verify_energy_aj")),
                f"{results.saved(row):.1%}",
                points(interval(row, "loss")),
                f"{number(row, 'wrong_share'):.2%}",
            ]
            for row in sorted(
                results.judged,
                key=lambda row: (str(row["network"]), row["training_seed"] or 0, number(row, "limit")),
            )
        ],
    )


def _assignment_table(shown: Sequence[Row]) -> Table:
    return Table(
        "What was found for the shipped network",
        ["limit", "contender", "assignment"],
        [
            [f"{100 * number(row, 'limit'):g}", _CONTENDERS[str(row["contender"])], str(row["assignment"])]
            for row in shown
            if row["contender"] in (*_OURS, "uniform")
        ],
    )


def _front(shown: Sequence[Row], singles: Sequence[Row]) -> Chart:
    """Draw the accuracy that is lost over the energy of writing, where no more than a few points are lost."""
    lines = {"one pulse for all rows": [row for row in singles if number(row, "loss") < _SHOWN_LOSS]}
    for name in ("retries", "secded", *_OURS):
        lines[_CONTENDERS[name]] = [row for row in shown if row["contender"] == name]
    along = {
        name: [(writing_aj(row) / 1e12, interval(row, "loss")) for row in sorted(rows, key=writing_aj)]
        for name, rows in lines.items()
    }
    curves, bands = interval_curves(along)
    most = max(x for curve in curves for x, _ in curve.points)
    lowest = min(y for curve in curves for _, y in curve.points)
    return Chart(
        "Write energy and accuracy lost, shipped MNIST network",
        Axis("write energy, µJ", 0, 1.05 * most),
        Axis("points lost", min(0.0, lowest), 100 * _SHOWN_LOSS),
        curves,
        bands,
    )


def _layer_chart(layer_rows: Sequence[Row]) -> Chart:
    """Draw what each layer bears alone."""
    along = {
        f"layer {layer} alone": [
            (number(row, "error_rate"), interval(row, "loss")) for row in layer_rows if row["layer"] == layer
        ]
        for layer in sorted({whole(row, "layer") for row in layer_rows})
    }
    curves, bands = interval_curves(along)
    highest = max(high for band in bands for _, _, high in band.points)
    return Chart(
        "Points lost with failed writes in one layer, thresholds matched",
        Axis("write error rate (WER) of the layer", 1e-3, 0.6, log=True),
        Axis("points lost", min(0.0, *(y for curve in curves for _, y in curve.points)), max(1.0, highest)),
        curves,
        bands,
    )


def _heat_map(rows: Sequence[Row], title: str, place: str) -> HeatMap:
    layers = sorted({whole(row, "layer") for row in rows})
    places = sorted({whole(row, "place") for row in rows})
    lost = {(row["layer"], row["place"]): 100 * number(row, "loss") for row in rows}
    return HeatMap(
        title,
        "points",
        ["image" if layer < 0 else f"layer {layer}" for layer in layers],
        [f"{place} {number}" for number in places],
        [[lost.get((layer, each), math.nan) for each in places] for layer in layers],
    )
