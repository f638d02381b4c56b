"""What the rows of the study of random weights say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spinbnn.sim.line_chart import Axis, Curve
from spinbnn.sim.show import energy
from spinbnn.sim.studies.cells import interval, number, whole
from spinbnn.sim.studies.statistics import Interval, mean
from spinbnn.sim.studies.study import Band, Chart, Findings, Row, Table, Verdict

JUDGED_RATE = 0.03
"""The write error rate of the verdicts, whatever the others give; the tables have all."""

WORST_RATE = 0.1


@dataclass(frozen=True)
class Score:
    """A score: its column, its name with its unit, and whether more of it is better."""

    column: str
    name: str
    more_is_better: bool = False


ACCURACY = Score("accuracy", "accuracy", more_is_better=True)
NLL = Score("nll", "negative log-likelihood")
BRIER = Score("brier", "Brier score")
ECE = Score("ece", "calibration error")
ENTROPY = Score("auroc_entropy", "AUROC of the entropy", more_is_better=True)
MUTUAL = Score("auroc_mutual", "AUROC of the mutual information", more_is_better=True)
SCORES = (ACCURACY, NLL, BRIER, ECE, ENTROPY, MUTUAL)
JUDGED = (NLL, ECE, ENTROPY, MUTUAL)

Key = tuple[str, str, float, int]
"""Way, thresholds, write error rate and members."""


def findings(rows: Sequence[Row]) -> Findings:
    """Read the rows of all settings."""
    groups: dict[Key, list[Row]] = {}
    for row in rows:
        groups.setdefault(_key(row), []).append(row)
    single = groups["once", "trained", 0.0, 1]
    most = max(members for _, _, _, members in groups)
    judged = groups["complement", "matched", JUDGED_RATE, most]
    likelihood = _change(judged, NLL)
    return Findings(
        summary=f"Averaging {most} weak re-programmings of one network, at a write error rate of "
        f"{JUDGED_RATE:g}, changes the negative log-likelihood by {_signed(likelihood)} nats (error-free: "
        f"{_value(single, NLL):.4f}). A member costs as much energy as reading the array for "
        f"{_images_of_energy(judged):.0f} images, and the time of {_images_of_clocks(judged):,.0f}.",
        verdicts=[
            *(_against_single(groups, single, most, score) for score in JUDGED),
            _averaging(groups, most),
            _overwriting(groups),
            *_separate(groups),
        ],
        tables=[
            _table("complement", "matched", groups, single),
            _table("complement", "trained", groups, single),
            _table("erase", "matched", groups, single),
            _cost_table(groups),
        ],
        pictures=[
            _chart(groups, single, NLL, by_energy=True),
            _chart(groups, single, ECE),
            _chart(groups, single, ENTROPY),
        ],
        notes=_notes(single),
    )


def _key(row: Row) -> Key:
    rate, members = number(row, "write_error_rate"), whole(row, "members")
    return str(row["way"]), str(row["thresholds"]), rate, members


def _change(rows: Sequence[Row], score: Score) -> Interval:
    """Return the change from the error-free network."""
    return _pooled(rows, f"{score.column}_change")


def _pooled(rows: Sequence[Row], name: str) -> Interval:
    """Return a value with its interval over trainings, or over images where there is one training."""
    if len(rows) == 1:
        return interval(rows[0], name)
    return mean([number(row, name) for row in rows])


def _value(rows: Sequence[Row], score: Score) -> float:
    return mean([number(row, score.column) for row in rows]).value


def _better(change: Interval, score: Score) -> bool | None:
    """Return whether a change is for the better; None where its interval has both."""
    if change.low > 0 or change.high < 0:
        return (change.low > 0) == score.more_is_better
    return None


def _signed(change: Interval) -> str:
    return f"{change.value:+.4f} ({change.low:+.4f} to {change.high:+.4f})"


def _against_single(groups: dict[Key, list[Row]], single: list[Row], most: int, score: Score) -> Verdict:
    rows = groups["complement", "matched", JUDGED_RATE, most]
    change = _change(rows, score)
    before = _value(single, ENTROPY if score is MUTUAL else score)
    return Verdict(
        claim=f"{most} weak re-programmings, averaged, have a better {score.name} than the error-free "
        "network.",
        paper="",
        ours=f"{_value(rows, score):.4f} against {before:.4f}: {_signed(change)}",
        agrees=_better(change, score),
        why=f"At a write error rate of {JUDGED_RATE:g} with matched thresholds. Both have a temperature that "
        "was fitted on images they are not judged on.",
    )


def _averaging(groups: dict[Key, list[Row]], most: int) -> Verdict:
    many = groups["complement", "matched", WORST_RATE, most]
    gain = _pooled(many, "nll_averaging")
    return Verdict(
        claim="Averaging makes up for part of what the errors of one member cost.",
        paper="",
        ours=f"negative log-likelihood of {most} members less that of one: {_signed(gain)}; less that of the "
        f"error-free network: {_signed(_change(many, NLL))}",
        agrees=_better(gain, NLL),
        why=f"At a write error rate of {WORST_RATE:g} with matched thresholds.",
    )


def _overwriting(groups: dict[Key, list[Row]]) -> Verdict:
    shares = {key[3]: rows for key, rows in sorted(groups.items()) if key[0] == "overwrite"}
    wrong = {members: max(number(row, "wrong_share") for row in rows) for members, rows in shares.items()}
    return Verdict(
        claim="Writing the network over itself gives another sample of the weights.",
        paper="",
        ours="share of wrong bits after so many writings: "
        + ", ".join(f"{members}: {share:.2g}" for members, share in wrong.items()),
        agrees=wrong[max(wrong)] >= wrong[1],
        why="Bits that hold their target are not pulsed: each writing only repairs. Samples need something "
        "else to be written in between; the complement costs two pulses a bit, erasing about one.",
    )


def _separate(groups: dict[Key, list[Row]]) -> list[Verdict]:
    of_members = {key[3]: rows for key, rows in groups.items() if key[0] == "separate"}
    if not of_members:
        return []
    rows = of_members[max(of_members)]
    change = _change(rows, NLL)
    return [
        Verdict(
            claim=f"{max(of_members)} networks that were trained apart are better than one.",
            paper="deep ensembles: better with each member (B. Lakshminarayanan et al., arXiv:1612.01474)",
            ours=f"negative log-likelihood {_signed(change)}, {ECE.name} {_signed(_change(rows, ECE))}, "
            f"{ENTROPY.name} {_signed(_change(rows, ENTROPY))}",
            agrees=_better(change, NLL),
            why="Error-free, one temperature; intervals over images, against the first of them.",
        )
    ]


def _table(way: str, thresholds: str, groups: dict[Key, list[Row]], single: list[Row]) -> Table:
    columns = ["write error rate", "bits wrong", "members", *(score.name for score in SCORES)]
    body = [["0", "0", "1", *(f"{_value(single, score):.4f}" for score in SCORES)]]
    for key, rows in sorted(groups.items()):
        if key[:2] != (way, thresholds):
            continue
        wrong = mean([number(row, "wrong_share") for row in rows]).value
        cells = [_scored_cell(rows, score) for score in SCORES]
        body.append([f"{key[2]:g}", f"{wrong:.4f}", str(key[3]), *cells])
    how = {"matched": "thresholds matched", "trained": "thresholds as trained"}[thresholds]
    return Table(f"Written over their {_BETWEEN[way]}, {how}: score [change from error-free]", columns, body)


def _scored_cell(rows: Sequence[Row], score: Score) -> str:
    value = f"{_value(rows, score):.4f}"
    return f"{value} [{_signed(_change(rows, score))}]" if score in JUDGED else value


_BETWEEN = {"complement": "complement", "erase": "erased array"}


def _cost_table(groups: dict[Key, list[Row]]) -> Table:
    body = []
    for (way, thresholds, rate, members), rows in sorted(groups.items()):
        if way not in _BETWEEN or thresholds != "matched" or members != max(key[3] for key in groups):
            continue
        body.append(
            [
                way,
                f"{rate:g}",
                energy(_mean_of(rows, "programming_aj") / members),
                f"{_images_of_energy(rows):.1f}",
                f"{_mean_of(rows, 'programming_clocks') / members:,.0f}",
                f"{_images_of_clocks(rows):,.0f}",
            ]
        )
    columns = [
        "way",
        "write error rate",
        "energy of a member",
        "in images",
        "clocks of a member",
        "in images",
    ]
    return Table(
        "What a member costs, and how many images the array could be read for instead", columns, body
    )


def _mean_of(rows: Sequence[Row], name: str) -> float:
    return mean([number(row, name) for row in rows]).value


def _images_of_energy(rows: Sequence[Row]) -> float:
    """Return for how many images reading takes the energy of writing."""
    return _mean_of(rows, "programming_aj") / _mean_of(rows, "reading_aj")


def _images_of_clocks(rows: Sequence[Row]) -> float:
    """Return for how many images the array's loops take the time of writing."""
    return _mean_of(rows, "programming_clocks") / _mean_of(rows, "reading_clocks")


def _chart(
    groups: dict[Key, list[Row]], single: list[Row], score: Score, *, by_energy: bool = False
) -> Chart:
    """Draw a score over members, or over the energy of writing them, by write error rate."""
    curves, bands = [], []
    rates = sorted({key[2] for key in groups if key[:2] == ("complement", "matched")})
    before = _value(single, score)
    xs: list[float] = []
    for index, rate in enumerate(rates):
        points = [
            (_mean_of(rows, "programming_aj") / 1e12 if by_energy else key[3], _change(rows, score))
            for key, rows in sorted(groups.items())
            if key[:3] == ("complement", "matched", rate)
        ]
        xs += [x for x, _ in points]
        curves.append(Curve(f"write error rate {rate:g}", [(x, before + each.value) for x, each in points]))
        bands.append(Band(index, [(x, before + each.low, before + each.high) for x, each in points]))
    curves.append(Curve("error-free", [(min(xs), before), (max(xs), before)], dashed=True, colour=4))
    values = [y for curve in curves for _, y in curve.points]
    room = 0.1 * (max(values) - min(values)) or 0.1
    name = "energy of re-programming, µJ" if by_energy else "members"
    return Chart(
        f"{score.name[0].upper()}{score.name[1:]} over {'energy' if by_energy else 'members'}",
        Axis(name, min(xs), max(xs), log=True),
        Axis(score.name, max(0.0, min(values) - room), max(values) + room),
        curves,
        bands,
    )


def _notes(single: Sequence[Row]) -> list[str]:
    inside, outside = (whole(single[0], name) for name in ("inside_images", "outside_images"))
    trained = len(single) > 1
    over = f"{len(single)} trainings (Student)" if trained else "images (bootstrap)"
    notes = [
        f"MNIST ({inside:,} test images) is inside the distribution, Fashion-MNIST ({outside:,}) outside. "
        f"Intervals are over {over}.",
        "A member: every bit is written with its complement (or erased), then with the network, all with "
        "the same weak pulse; a write error rate p leaves p / (1 + p) of the bits wrong, and erasing leaves "
        "that of the +1 alone. A write error rate counts failed attempts, not wrong bits. Energy includes "
        "both writings and the read before each; all images of a batch share a member's writing.",
        "Probabilities: softmax of the logits over a temperature, averaged over the members. Every second "
        "image is judged at the temperature that suits the others best; labels are smoothed by 1 / (n + 2), "
        "so that a network without mistakes keeps a temperature. Shares of votes are not used: they give a "
        "true class a probability of 0. Likelihoods are in nats.",
        "Thresholds are matched to the errors: scaled by what sums shrink by, and of erased arrays shifted "
        "by the mean of what errors of one sign add, which the test images give without their labels.",
        "The change of the mutual information's AUROC is from that of the error-free network's entropy: a "
        "single network has no mutual information.",
        "The calibration error has 15 bins of equal width; it is never negative, and grows with noise alone "
        "where images are few.",
    ]
    if not trained:
        notes.append(
            "One shipped network: with --data mnist=DIR, and without --quick, three are trained, and the "
            "ensemble of those three is the reference for what separate networks give."
        )
    return notes
