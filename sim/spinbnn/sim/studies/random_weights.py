"""Weights as random variables: does an ensemble of weak re-programmings of one network know what it knows?

Each member is the network as the array holds it after it was written again with weak pulses (`reprogramming`).
The probabilities of an image are the mean of the members' softmax, all at one temperature, which is fitted on
other images. The error-free network gets a temperature in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.geometry import Geometry
from spinbnn.golden.network import Network, forward
from spinbnn.golden.operating_point import operating_point
from spinbnn.sim.studies.evaluation import seed_of, test_images
from spinbnn.sim.studies.given_networks import TRAINING_SEEDS, given_network
from spinbnn.sim.studies.matched_thresholds import matched_thresholds
from spinbnn.sim.studies.random_weights_findings import findings
from spinbnn.sim.studies.reprogramming import Reprogrammed, image_costs, stored_error_rates, weight_bits
from spinbnn.sim.studies.study import Row, Setting, Study, StudyOptions
from spinbnn.sim.studies.uncertainty import (
    Floats,
    area_under_curve,
    calibration_error,
    entropy,
    fitted_temperature,
    mutual_information,
    ranks,
    smoothed_loss,
    softmax,
    squared_errors,
    surprise,
)

MEMBERS = (1, 2, 5, 10, 20, 50)
RATES = (1e-3, 3e-3, 0.01, 0.03, 0.1)
"""Probability that a pulse fails to change a bit."""
QUICK_RATES = (1e-3, 0.01, 0.03, 0.1)
OVERWRITTEN_RATE = 0.1
INSIDE, OUTSIDE = "mnist", "fashion-mnist"
RESAMPLES = 1000
"""Bootstrap samples of the images."""

GEOMETRY = Geometry()
_HALVES = 2


def settings(options: StudyOptions) -> list[Setting]:
    """Return the error-free networks and, of each, the ways, thresholds and rates."""
    trained = not options.quick and INSIDE in options.data
    networks = [("study_mnist_1024", seed) for seed in TRAINING_SEEDS] if trained else [("mnist_1024", None)]
    rates = QUICK_RATES if options.quick else RATES
    found: list[Setting] = []
    for name, training_seed in networks:
        ways = [("once", "trained", 0.0)]
        ways += [("complement", "matched", rate) for rate in rates]
        ways += [("complement", "trained", rate) for rate in rates]
        ways += [("erase", "matched", rate) for rate in rates]
        ways += [("overwrite", "trained", OVERWRITTEN_RATE)]
        found += [_setting(name, training_seed, *way) for way in ways]
    if trained:
        found.append(_setting("study_mnist_1024", TRAINING_SEEDS[0], "separate", "trained", 0.0))
    return found


def _setting(name: str, training_seed: int | None, way: str, thresholds: str, rate: float) -> Setting:
    what: dict[str, str | int | float | None] = {
        "network": name,
        "data": INSIDE,
        "training_seed": training_seed,
        "way": way,
        "thresholds": thresholds,
        "write_error_rate": rate,
    }
    return {**what, "seed": seed_of("random-weights", *what.values())}


def measure(setting: Setting, options: StudyOptions) -> list[Row]:
    """Return the scores of ensembles of more and more members, beside the error-free network's."""
    inside, outside = test_images(options, INSIDE), test_images(options, OUTSIDE)
    images = np.concatenate([inside.pixels, outside.pixels])
    network = given_network(setting, options)
    logits = _logits(network, images)
    reading_aj, reading_clocks = image_costs(network, GEOMETRY)
    single = _scored(logits[np.newaxis], inside.labels)
    members: list[Floats] = []
    programming_aj = programming_clocks = 0
    rows: list[Row] = []
    for written in _members(setting, options, network, inside.pixels):
        members.append(_logits(written.network, images))
        programming_aj += written.energy_aj
        programming_clocks += written.clocks
        if len(members) not in MEMBERS:
            continue
        scored = _scored(np.stack(members), inside.labels)
        rows.append(
            {
                **setting,
                "members": len(members),
                "inside_images": len(inside),
                "outside_images": len(outside),
                "wrong_share": written.wrong_bits / weight_bits(network),
                "programming_aj": programming_aj,
                "programming_clocks": programming_clocks,
                "reading_aj": len(members) * reading_aj,
                "reading_clocks": len(members) * reading_clocks,
                **_compared(scored, single, int(setting["seed"])),  # type: ignore[arg-type]
            }
        )
    return rows


@dataclass(frozen=True)
class _Written:
    network: Network
    wrong_bits: int
    energy_aj: int
    clocks: int


def _members(
    setting: Setting, options: StudyOptions, network: Network, images: NDArray[np.uint8]
) -> Iterator[_Written]:
    """Yield the members of a setting, one after the other."""
    way, rate = str(setting["way"]), float(setting["write_error_rate"])  # type: ignore[arg-type]
    if way in ("once", "separate"):
        seeds = (setting["training_seed"],) if way == "once" else TRAINING_SEEDS
        for seed in seeds:
            yield _Written(given_network({**setting, "training_seed": seed}, options), 0, 0, 0)
        return
    if setting["thresholds"] == "matched":
        network = matched_thresholds(network, *stored_error_rates(way, rate), images)
    source = Reprogrammed(network, GEOMETRY, way, operating_point(rate), int(setting["seed"]))  # type: ignore[arg-type]
    for _ in range(MEMBERS[-1]):
        member = source.member()
        yield _Written(member.network, member.wrong_bits, member.energy_aj, member.clocks)


def _logits(network: Network, images: NDArray[np.uint8]) -> Floats:
    """Return logits, float64 [n, classes], in units of their standard deviation.

    Networks that were trained apart then share a temperature.
    """
    logits = forward(network, images)
    return np.asarray(logits / logits.std())


@dataclass(frozen=True)
class _Scored:
    """What becomes of each image: those inside the distribution first.

    Attributes
    ----------
    right : bool [n]
    surprise, squares, confidence : float64 [n]
        Of the images inside.
    entropy, mutual : pairs of int64 [n] and int64 [m]
        Ranks of the predictions' uncertainties, of images inside and outside.
    """

    right: NDArray[np.bool_]
    surprise: Floats
    squares: Floats
    confidence: Floats
    entropy: list[NDArray[np.int64]]
    mutual: list[NDArray[np.int64]]

    def scores(self, inside: NDArray[np.intp], outside: NDArray[np.intp]) -> dict[str, float]:
        """Return all scores of a choice of the images."""
        return {
            "accuracy": float(self.right[inside].mean()),
            "nll": float(self.surprise[inside].mean()),
            "brier": float(self.squares[inside].mean()),
            "ece": calibration_error(self.confidence[inside], self.right[inside]),
            "auroc_entropy": area_under_curve(self.entropy[0][inside], self.entropy[1][outside]),
            "auroc_mutual": area_under_curve(self.mutual[0][inside], self.mutual[1][outside]),
        }


def _scored(members: Floats, labels: NDArray[np.uint8]) -> _Scored:
    """Return what an ensemble makes of images.

    Every second image is judged at the temperature that suits the others best.

    Parameters
    ----------
    members : float64 [members, n + m, classes]
        Logits of the n images inside, which have labels, and the m outside.
    labels : uint8 [n]
    """
    count = len(labels)
    probabilities = np.empty_like(members)
    for half in range(_HALVES):
        others = np.arange(count) % _HALVES != half
        held_out, of_others = members[:, :count][:, others], labels[others]

        def loss(temperature: float) -> float:
            return smoothed_loss(softmax(held_out, temperature).mean(axis=0), of_others)  # noqa: B023

        mine = np.arange(members.shape[1]) % _HALVES == half
        probabilities[:, mine] = softmax(members[:, mine], fitted_temperature(loss))
    mean = probabilities.mean(axis=0)
    entropies, mutual = entropy(mean), mutual_information(probabilities)
    return _Scored(
        right=mean[:count].argmax(axis=1) == labels,
        surprise=surprise(mean[:count], labels),
        squares=squared_errors(mean[:count], labels),
        confidence=mean[:count].max(axis=1),
        entropy=ranks(entropies[:count], entropies[count:]),
        mutual=ranks(mutual[:count], mutual[count:]),
    )


def _compared(ensemble: _Scored, single: _Scored, seed: int) -> dict[str, float]:
    """Return scores, and their changes from the single network's with 95 % bootstrap intervals over images."""
    inside, outside = np.arange(len(ensemble.right)), np.arange(len(ensemble.entropy[1]))
    got, before = ensemble.scores(inside, outside), single.scores(inside, outside)
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(RESAMPLES):
        picks = rng.choice(inside, len(inside)), rng.choice(outside, len(outside))
        one, other = ensemble.scores(*picks), single.scores(*picks)
        drawn.append([one[name] - other[name] for name in one])
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    columns: dict[str, float] = {}
    for index, name in enumerate(got):
        columns[name] = got[name]
        columns[f"{name}_change"] = got[name] - before[name]
        columns[f"{name}_change_low"], columns[f"{name}_change_high"] = float(low[index]), float(high[index])
    return columns


STUDY = Study(
    name="random-weights",
    title="Weights as random variables",
    question="Do weak re-programmings of one network, averaged, give better probabilities than the network?",
    paper="",
    settings=settings,
    measure=measure,
    findings=findings,
)
