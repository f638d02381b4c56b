"""What the rows of the study of training for errors say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

from spinbnn.golden.device.mtj import (
    Pulse,
    PulseEnergy,
    direction_of_write,
    switched_energy,
    write_error_rate_for_ber,
    write_voltage_v,
)
from spinbnn.golden.device.rram import RramTechnology, energy_for
from spinbnn.golden.device.technology import MtjTechnology, load_technology
from spinbnn.sim.line_chart import Axis, Limit
from spinbnn.sim.studies.cells import number
from spinbnn.sim.studies.interval_curves import interval_curves
from spinbnn.sim.studies.statistics import Interval, mean
from spinbnn.sim.studies.study import Chart, Findings, Row, Table, Verdict
from spinbnn.sim.studies.wording import above_zero, all_hold, at_most, percent, points

PAPER_RATE = 0.04
STANDARD_RATE = 1e-4
"""Error rates that the paper's networks bear: trained with errors, and without."""

ALLOWED_LOSS = 0.015
_HIGH_RATE = 0.1
_RRAM, _MTJ = "hfo2_rram", "st_mram_28nm"
_TITLES = {
    "study_digits": "64-256-256-10 on digits",
    "study_mnist_1024": "784-1024-1024-10 on MNIST",
    "study_mnist_256_binary": "784-256-256-10 on black and white MNIST",
    "study_fashion_256_binary": "784-256-256-10 on black and white Fashion-MNIST",
}


def findings(rows: Sequence[Row]) -> Findings:
    """Read the rows of all settings."""
    names = dict.fromkeys(str(row["network"]) for row in rows)
    grids = [_Grid([row for row in rows if row["network"] == name]) for name in names]
    return Findings(
        summary=" ".join(map(_summary, grids)),
        verdicts=[
            *(judge(grid) for grid in grids for judge in (_adapted_verdict, _standard_verdict)),
            *(_of_all(grids, judge) for judge in (_tolerance_verdict, _ratio_verdict, _overfitting_verdict)),
            _energy_verdict(grids),
        ],
        tables=[
            *(_grid_table(grid, thresholds) for grid in grids for thresholds in ("matched", "trained")),
            *map(_energy_table, grids),
        ],
        pictures=[_chart(grid, thresholds) for grid in grids for thresholds in ("trained", "matched")],
        notes=[
            "Error rates are of stored bits (BER), the same in both directions. Tested errors are static and "
            "in all layers; each network meets the same draws.",
            "Thresholds match a test rate p if they are (1 - 2p) / (1 - 2q) times those of a network trained "
            "with rate q. Curves with thresholds as trained show how far training itself serves other rates: "
            "there, part of what looks like overfitting to the training rate is thresholds that do not fit.",
            "Intervals are over trainings from different seeds, each the mean of its draws of errors: "
            "Student's, of three trainings, hence wide.",
            "Networks are trained for few epochs without distorted images: the error-free accuracies are "
            "below those of the shipped networks.",
        ],
    )


class _Grid:
    """Rows of a network by training rate, test rate and thresholds."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.title = _TITLES[str(rows[0]["network"])]
        self.training_rates = sorted({number(row, "training_rate") for row in rows})
        self.test_rates = sorted({number(row, "test_rate") for row in rows})
        self._rows: dict[tuple[float, float, str], list[Row]] = {}
        for row in sorted(rows, key=lambda row: number(row, "seed")):
            key = number(row, "training_rate"), number(row, "test_rate"), str(row["thresholds"])
            self._rows.setdefault(key, []).append(row)

    def values(self, training: float, test: float, thresholds: str, name: str) -> list[float]:
        """Return a column of the trainings, by seed."""
        return [number(row, name) for row in self._rows[training, test, thresholds]]

    def accuracy(self, training: float, test: float, thresholds: str) -> Interval:
        found = mean(self.values(training, test, thresholds, "accuracy"))
        return Interval(found.value, max(0.0, found.low), min(1.0, found.high))

    def loss(self, training: float, test: float, thresholds: str) -> Interval:
        """Return the accuracy lost against the same network without errors, with thresholds for none."""
        return mean(self.values(training, test, thresholds, "loss"))

    def gain(self, one: tuple[float, float, str], other: tuple[float, float, str]) -> Interval:
        """Return how much more accurate one is than the other, paired by seed."""
        pairs = zip(self.values(*one, "accuracy"), self.values(*other, "accuracy"), strict=True)
        return mean([first - second for first, second in pairs])

    def best_training(self, test: float, thresholds: str) -> float:
        return max(self.training_rates, key=lambda training: self.accuracy(training, test, thresholds).value)


def _summary(grid: _Grid) -> str:
    adapted = grid.loss(PAPER_RATE, PAPER_RATE, "matched")
    return (
        f"{grid.title}: with {PAPER_RATE:.0%} of its stored weights wrong, a network trained with as many "
        f"loses {points(adapted)} points against itself without errors, one trained without "
        f"{points(grid.loss(0.0, PAPER_RATE, 'trained'))}. Matching the thresholds of the latter, without "
        f"training it again, leaves a loss of {points(grid.loss(0.0, PAPER_RATE, 'matched'))}."
    )


def _of_all(grids: Sequence[_Grid], judge: Callable[[_Grid], Verdict]) -> Verdict:
    """Judge a claim for each network; it holds if it holds for all, and not if it does not for one."""
    verdicts = [judge(grid) for grid in grids]
    if len(verdicts) == 1:
        return verdicts[0]
    ours = "; ".join(f"{grid.title}: {each.ours}" for grid, each in zip(grids, verdicts, strict=True))
    return replace(verdicts[0], ours=ours, agrees=all_hold(*(verdict.agrees for verdict in verdicts)))


def _adapted_verdict(grid: _Grid) -> Verdict:
    adapted = grid.loss(PAPER_RATE, PAPER_RATE, "matched")
    return Verdict(
        claim=f"{grid.title}: trained with {PAPER_RATE:.0%} of the weights wrong, a network loses at most "
        f"{100 * ALLOWED_LOSS:g} points when as many are.",
        paper="4 % are borne after adapted training, with little impact (MNIST, CIFAR-10)",
        ours=f"{points(adapted)} points against its error-free self",
        agrees=at_most(adapted, ALLOWED_LOSS),
        why="The limit is this project's; the paper shows a curve.",
    )


def _standard_verdict(grid: _Grid) -> Verdict:
    gain = grid.gain((PAPER_RATE, PAPER_RATE, "matched"), (0.0, PAPER_RATE, "trained"))
    matched = grid.gain((PAPER_RATE, PAPER_RATE, "matched"), (0.0, PAPER_RATE, "matched"))
    high = grid.gain((PAPER_RATE, _HIGH_RATE, "matched"), (0.0, _HIGH_RATE, "matched"))
    return Verdict(
        claim=f"{grid.title}: a network trained without errors loses more.",
        paper="standard networks bear 1e-4, adapted ones 4 %",
        ours=f"at {PAPER_RATE:.0%} the adapted network is {points(gain)} points more accurate; than the "
        f"standard one with matched thresholds {points(matched)}; and at {_HIGH_RATE:.0%} {points(high)}",
        agrees=above_zero(gain),
        why="The first number also has what thresholds that do not fit the error rate cost; the others are "
        "what training gives beside that.",
    )


def _tolerance_verdict(grid: _Grid) -> Verdict:
    limit = 0.003
    borne = {
        thresholds: max(
            (rate for rate in grid.test_rates if grid.loss(0.0, rate, thresholds).value <= limit), default=0.0
        )
        for thresholds in ("trained", "matched")
    }
    return Verdict(
        claim=f"A network trained without errors bears {STANDARD_RATE:g} with little impact.",
        paper=f"{STANDARD_RATE:g} (arXiv 1908.04085 has 1e-3)",
        ours=f"loses at most {100 * limit:g} points up to {borne['trained']:g}; with matched thresholds up "
        f"to {borne['matched']:g} (of the rates tested)",
        agrees=at_most(grid.loss(0.0, STANDARD_RATE, "trained"), limit),
        why="Judged at the paper's rate; the limit is this project's.",
    )


def _ratio_verdict(grid: _Grid) -> Verdict:
    """Judge, at all pairs of rates that differ, the factor for networks trained with errors."""
    gains = [
        grid.gain((training, test, "matched"), (training, test, "training ignored"))
        for training in grid.training_rates
        for test in grid.test_rates
        if training
    ]
    pairs = len(gains)
    better = sum(gain.value > 0 for gain in gains)
    whole = mean([gain.value for gain in gains])
    return Verdict(
        claim="The thresholds of a network trained with error rate q fit the rate p when multiplied by "
        "(1 - 2p) / (1 - 2q), not by 1 - 2p.",
        paper="",
        ours=f"more accurate at {better} of {pairs} pairs of rates, on average by {points(whole)} points",
        agrees=above_zero(whole),
        why="Batch normalisation learned the sums with errors; this is exact for their means.",
    )


def _overfitting_verdict(grid: _Grid) -> Verdict:
    told = [rate for rate in grid.test_rates if rate in grid.training_rates]
    best = {rate: grid.best_training(rate, "matched") for rate in told}
    pairs = "; ".join(f"tested at {rate:g}: {best[rate]:g}" for rate in told)
    highest = grid.training_rates[-1]
    cost = grid.gain((0.0, 0.0, "matched"), (highest, 0.0, "matched"))
    agrees = all(grid.gain((rate, rate, "matched"), (best[rate], rate, "matched")).high >= 0 for rate in told)
    return Verdict(
        claim="The best error rate to train with is the one that is met: networks fit their training rate.",
        paper="a network does best near the error rate it was trained with",
        ours=f"best training rate {pairs}. Without errors, training with {highest:g} costs {points(cost)} "
        "points",
        agrees=agrees,
        why="Thresholds matched to the tested rate. Agrees if at no tested rate another training is better "
        "than that of the same rate beyond the interval.",
    )


def _energy_verdict(grids: Sequence[_Grid]) -> Verdict:
    ratio = _rram_energy_aj(STANDARD_RATE) / _rram_energy_aj(PAPER_RATE)
    strong, weak = _mtj_energy(STANDARD_RATE), _mtj_energy(PAPER_RATE)
    adapted = _of_all(grids, _adapted_verdict).agrees
    return Verdict(
        claim="Adapted training lets the programming energy of HfO2 RRAM fall by a factor of 30.",
        paper="30, from an error rate of 1e-4 to one of 4 %",
        ours=f"{ratio:.1f} by this project's HfO2 preset, which takes the paper's two end points; of ST-MRAM "
        f"the same two rates are {strong.junction_aj / weak.junction_aj:.2f} apart in the junction and "
        f"{strong.macro_aj / weak.macro_aj:.2f} in a 28 nm macro",
        agrees=None if adapted else adapted,
        why="That the energy falls so far is the paper's measurement and is put into the preset, so it is "
        "not confirmed here; what is, is that the network bears the error rate. ST-MRAM: half of the bits "
        "change, so a bit error rate is half of the write error rate; mean cell, 20 ns.",
    )


def _grid_table(grid: _Grid, thresholds: str) -> Table:
    how = {"trained": "thresholds as trained", "matched": "thresholds matched to the tested rate"}[thresholds]
    return Table(
        f"Accuracy, {grid.title}: {how}",
        ["tested BER", *(f"trained with {rate:g}" for rate in grid.training_rates)],
        [
            [
                f"{test:g}",
                *(percent(grid.accuracy(training, test, thresholds)) for training in grid.training_rates),
            ]
            for test in grid.test_rates
        ],
    )


def _energy_table(grid: _Grid) -> Table:
    """Return energies by error rate, beside what the best training makes of that rate."""
    rates = [rate for rate in grid.test_rates if STANDARD_RATE <= rate <= PAPER_RATE]
    body = []
    for rate in rates:
        best = grid.best_training(rate, "matched")
        energy, most = _mtj_energy(rate), _mtj_energy(rates[0])
        body.append(
            [
                f"{rate:g}",
                f"{_rram_energy_aj(rate) / _rram_energy_aj(rates[0]):.3f}",
                f"{energy.junction_aj / most.junction_aj:.3f}",
                f"{energy.macro_aj / most.macro_aj:.3f}",
                points(grid.loss(0.0, rate, "trained")),
                f"{points(grid.loss(best, rate, 'matched'))}, trained with {best:g}",
            ]
        )
    return Table(
        f"Programming energy of a bit, relative to that at a BER of {rates[0]:g}, and points lost, "
        f"{grid.title}",
        ["BER", "HfO2 RRAM", "junction", "28 nm macro", "lost, standard", "lost, best training"],
        body,
    )


def _rram_energy_aj(error_rate: float) -> float:
    technology = load_technology(_RRAM)
    assert isinstance(technology, RramTechnology)
    return energy_for(technology, error_rate)


@lru_cache
def _mtj_energy(error_rate: float) -> PulseEnergy:
    """Return the energy of a pulse, mean of both directions."""
    technology = load_technology(_MTJ)
    assert isinstance(technology, MtjTechnology)
    wer = write_error_rate_for_ber(error_rate)
    both = []
    for bit in (0, 1):
        direction = direction_of_write(technology, bit)
        voltage_v = write_voltage_v(technology, wer, technology.write_ns, direction)
        both.append(switched_energy(technology, Pulse(voltage_v, technology.write_ns), direction))
    return PulseEnergy(
        sum(energy.junction_aj for energy in both) / 2, sum(energy.macro_aj for energy in both) / 2
    )


def _chart(grid: _Grid, thresholds: str) -> Chart:
    how = {"trained": "thresholds as trained", "matched": "thresholds matched to the tested rate"}[thresholds]
    along = {
        f"trained with {training:g}": [
            (test, grid.accuracy(training, test, thresholds)) for test in grid.test_rates
        ]
        for training in grid.training_rates
    }
    curves, bands = interval_curves(along)
    return Chart(
        f"Accuracy against the tested error rate, {grid.title}, {how}",
        Axis("share of stored bits that are wrong (BER)", 0, max(grid.test_rates)),
        Axis("accuracy, %", 0, 100),
        curves,
        bands,
        [Limit("4 %", PAPER_RATE)],
    )
