"""What the rows of the study of differential cells say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from spinbnn.sim.line_chart import Axis, Curve
from spinbnn.sim.show import energy
from spinbnn.sim.studies.cells import interval, number, writing_aj
from spinbnn.sim.studies.confirmation import confirmed_verdict
from spinbnn.sim.studies.interval_curves import interval_curves
from spinbnn.sim.studies.statistics import Interval, mean
from spinbnn.sim.studies.study import Chart, Findings, Row, Table, Verdict
from spinbnn.sim.studies.wording import points

_TITLES = {
    "none": "no protection",
    "retry": "verify and retry",
    "secded": "SECDED, 72 cells for 64",
    "secded of 4": "SECDED, 8 cells for 4",
    "differential": "two cells a bit",
    "two, sharp": "two devices, sharp resistances",
    "two, spread": "two devices, spread resistances",
}
_JUDGED_RATE = 0.01
_DEVICE_RATE = 1e-3
_LEAST_PREDICTED = 1e-4


def findings(rows: Sequence[Row]) -> Findings:
    """Read the rows of all settings."""
    written = [row for row in rows if row["kind"] == "written"]
    shipped = [row for row in written if row["network"] == "mnist_1024"]
    devices = [row for row in rows if row["kind"] == "device"]
    pair, none, code = (_at(shipped, name, _JUDGED_RATE) for name in ("differential", "none", "secded of 4"))
    return Findings(
        summary=f"At a write error rate of {_JUDGED_RATE:g}, two magnetic cells a bit leave "
        f"{number(pair, 'left'):.2e} of the bits wrong, where one leaves {number(none, 'left'):.2e} and "
        f"error correction of the same redundancy {number(code, 'left'):.2e}. Two resistive devices, whose "
        "resistances spread, do as well as error correction.",
        verdicts=[
            _device_verdict(devices),
            _magnetic_verdict(pair, code),
            _equal_energy_verdict(shipped),
            _prediction_verdict(shipped),
            _accuracy_verdict(shipped),
            *(confirmed_verdict(row) for row in rows if row["kind"] == "rtl"),
        ],
        tables=[_written_table(shipped), _loss_table(written), _device_table(devices)],
        pictures=[
            _left_chart(shipped),
            _device_chart(devices),
            _energy_chart(shipped),
            _accuracy_chart(shipped),
        ],
        notes=[
            "Errors are failed writes into a blank array of zeros: one cell in two must change where a bit "
            "is one cell, one of every pair where it is two. Read errors, which two cells are good against, "
            "are not in these numbers.",
            "A tie of two equal cells goes the way the sense amplifier leans, which each chip draws anew: "
            "the errors of two cells have both signs, those of one cell only -1 for +1.",
            "Thresholds are as trained. Predicted: independent errors; words with two or more stay as they "
            "are. Resistive devices are computed, not run: equal error rates in both directions, and the "
            "device model of docs/mram.md (its curve is assumed).",
        ],
    )


def _at(rows: Sequence[Row], protection: str, rate: float) -> Row:
    return next(row for row in rows if row["protection"] == protection and row["error_rate"] == rate)


def _device_verdict(devices: Sequence[Row]) -> Verdict:
    pair, code, long = (
        number(_at(devices, name, _DEVICE_RATE), "left_predicted")
        for name in ("two, spread", "secded of 4", "secded")
    )
    return Verdict(
        claim="Two resistive devices a bit leave as few errors as error correction of the same redundancy.",
        paper="2T2R matches SECDED of equal redundancy",
        ours=f"at {_DEVICE_RATE:g} a device: two devices {pair:.1e}, SECDED of 8 for 4 {code:.1e}, of 72 "
        f"for 64 {long:.1e} (computed, no interval)",
        agrees=pair <= 2 * code,
        why="Log-normal resistances of equal spread: a tie of two devices is still read right, nearly "
        "always. The curve between the published end points is assumed.",
    )


def _magnetic_verdict(pair: Row, code: Row) -> Verdict:
    of_pair, of_code = interval(pair, "left"), interval(code, "left")
    return Verdict(
        claim="Two magnetic cells a bit protect against failed writes as error correction of the same "
        "redundancy does.",
        paper="2T2R matches SECDED of equal redundancy (resistive devices)",
        ours=f"WER {_JUDGED_RATE:g}: two cells {_rate(of_pair)}, SECDED of 8 for 4 {_rate(of_code)}",
        agrees=of_pair.low <= of_code.high,
        why="A junction has two sharp resistances. Where a write fails both cells are equal, and the "
        "amplifier's mismatch decides: half of the ties are wrong, as many as failed writes of single "
        "cells leave wrong.",
    )


def _equal_energy_verdict(shipped: Sequence[Row]) -> Verdict:
    """Compare what is left wrong at the energy of error correction at the judged rate."""
    at = writing_aj(_at(shipped, "secded", _JUDGED_RATE))
    left = {
        name: _left_at_energy([row for row in shipped if row["protection"] == name], at)
        for name in _protections(shipped)
    }
    pair, code = left["differential"], left["secded"]
    shown = ", ".join(f"{_TITLES[name]} {_or_outside(value)}" for name, value in left.items())
    return Verdict(
        claim="At equal programming energy two magnetic cells a bit leave as few bits wrong as SECDED.",
        paper="",
        ours=f"at {energy(at)}: {shown}",
        agrees=None if code is None else pair is not None and pair <= code,
        why="Every pair has a cell to switch: twice the energy of single cells, half of which already hold "
        "their bit. Between pulses the logarithm of what is left is interpolated. A retry pays twice: for "
        "pulses, and for reading back, which is counted here.",
    )


def _or_outside(value: float | None) -> str:
    return "takes more with each pulse" if value is None else f"{value:.1e}"


def _prediction_verdict(shipped: Sequence[Row]) -> Verdict:
    compared = [
        row
        for row in shipped
        if number(row, "error_rate") <= _JUDGED_RATE and number(row, "left_predicted") > _LEAST_PREDICTED
    ]
    ratio, worst = max(
        ((number(row, "left") / number(row, "left_predicted"), row) for row in compared),
        key=lambda pair: abs(pair[0] - 1),
    )
    return Verdict(
        claim="What is left wrong follows from independent errors, within a tenth.",
        paper="",
        ours=f"furthest ratio of measured to predicted: {ratio:.3f}, of {len(compared)} "
        f"({_TITLES[str(worst['protection'])]} at {number(worst, 'error_rate'):g})",
        agrees=abs(ratio - 1) <= 0.1,
        why=f"Up to a WER of {_JUDGED_RATE:g}, where more than {_LEAST_PREDICTED:g} is predicted, hundreds "
        "of bits; predicted from the code words that are written. What a wrong correction adds to words of "
        "three errors is left out: it shows from a WER of 0.03 on.",
    )


def _accuracy_verdict(shipped: Sequence[Row]) -> Verdict:
    pair, none = (interval(_at(shipped, name, 0.1), "loss") for name in ("differential", "none"))
    return Verdict(
        claim="As many bits left wrong cost less with two cells a bit than with one.",
        paper="",
        ours=f"WER 0.1: {points(pair)} points lost with two cells, {points(none)} with one",
        agrees=True if pair.high < none.low else False if pair.low > none.high else None,
        why="Errors of a single cell have one sign and add up; those of pairs have both, and cancel.",
    )


def _protections(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(str(row["protection"]) for row in rows))


def _left_at_energy(rows: Sequence[Row], at_aj: float) -> float | None:
    """Return what is left wrong at an energy, its logarithm interpolated; None outside the pulses."""
    along = sorted((writing_aj(row), number(row, "left")) for row in rows if number(row, "left"))
    for (low, left_low), (high, left_high) in pairwise(along):
        if low <= at_aj <= high and low < high:
            share = (at_aj - low) / (high - low)
            return math.exp((1 - share) * math.log(left_low) + share * math.log(left_high))
    return None


def _rate(value: Interval) -> str:
    return f"{value.value:.2e} ({value.low:.2e} to {value.high:.2e})"


def _written_table(shipped: Sequence[Row]) -> Table:
    return Table(
        "Written with weak pulses: what is left wrong (28 nm macro, shipped MNIST network)",
        [
            "protection",
            "cells a bit",
            "WER",
            "bits wrong (BER)",
            "predicted",
            "energy",
            "of it verifying",
            "points lost",
        ],
        [
            [
                _TITLES[str(row["protection"])],
                f"{number(row, 'cells_per_bit'):g}",
                f"{number(row, 'error_rate'):g}",
                _rate(interval(row, "left")),
                f"{number(row, 'left_predicted'):.2e}",
                energy(writing_aj(row)),
                energy(number(row, "verify_energy_aj")),
                points(interval(row, "loss")),
            ]
            for row in shipped
        ],
    )


def _loss_table(written: Sequence[Row]) -> Table:
    """Show the loss of the trained networks, over their trainings."""
    groups: dict[tuple[str, str, float], list[float]] = {}
    for row in written:
        key = (str(row["network"]), str(row["protection"]), number(row, "error_rate"))
        groups.setdefault(key, []).append(number(row, "loss"))
    return Table(
        "Points lost, over trainings where there are several",
        ["network", "protection", "WER", "points lost", "networks"],
        [
            [network, _TITLES[protection], f"{rate:g}", points(mean(lost)), str(len(lost))]
            for (network, protection, rate), lost in groups.items()
            if len(lost) > 1
        ],
    )


def _device_table(devices: Sequence[Row]) -> Table:
    names = _protections(devices)
    rates = list(dict.fromkeys(number(row, "error_rate") for row in devices))
    return Table(
        "Resistive devices: what is left wrong (computed)",
        ["BER of a device", *(_TITLES[name] for name in names)],
        [
            [f"{rate:g}", *(f"{number(_at(devices, name, rate), 'left_predicted'):.2e}" for name in names)]
            for rate in rates
        ],
    )


def _left_chart(shipped: Sequence[Row]) -> Chart:
    along = {
        _TITLES[name]: [
            (number(row, "error_rate"), interval(row, "left"))
            for row in shipped
            if row["protection"] == name and number(row, "left")
        ]
        for name in _protections(shipped)
    }
    curves, bands = interval_curves(along, 1.0)
    return Chart(
        "Bits left wrong in magnetic cells",
        Axis("write error rate (WER)", 1e-4, 0.3, log=True),
        Axis("bits left wrong (BER)", 1e-8, 0.3, log=True),
        curves,
        bands,
    )


def _device_chart(devices: Sequence[Row]) -> Chart:
    return Chart(
        "Bits left wrong in resistive devices (computed)",
        Axis("error rate of one device (BER)", 1e-4, 0.05, log=True),
        Axis("bits left wrong (BER)", 1e-8, 0.1, log=True),
        [
            Curve(
                _TITLES[name],
                [
                    (number(row, "error_rate"), number(row, "left_predicted"))
                    for row in devices
                    if row["protection"] == name
                ],
            )
            for name in _protections(devices)
        ],
    )


def _energy_chart(shipped: Sequence[Row]) -> Chart:
    curves = [
        Curve(
            _TITLES[name],
            [
                (writing_aj(row) / 1e12, number(row, "left"))
                for row in sorted(shipped, key=writing_aj)
                if row["protection"] == name and number(row, "left")
            ],
        )
        for name in _protections(shipped)
    ]
    most = max(writing_aj(row) for row in shipped) / 1e12
    return Chart(
        "Bits left wrong against programming energy, magnetic cells",
        Axis("energy of programming, with reads that verify, µJ", 0, 1.05 * most),
        Axis("bits left wrong (BER)", 1e-8, 0.3, log=True),
        curves,
    )


def _accuracy_chart(shipped: Sequence[Row]) -> Chart:
    along = {
        _TITLES[name]: [
            (writing_aj(row) / 1e12, interval(row, "accuracy"))
            for row in sorted(shipped, key=writing_aj)
            if row["protection"] == name
        ]
        for name in _protections(shipped)
    }
    curves, bands = interval_curves(along)
    most = max(x for curve in curves for x, _ in curve.points)
    return Chart(
        "Accuracy against programming energy, shipped MNIST network",
        Axis("energy of programming, with reads that verify, µJ", 0, 1.05 * most),
        Axis("accuracy, %", 0, 100),
        curves,
        bands,
    )
