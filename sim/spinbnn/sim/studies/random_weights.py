"""Weights as random variables: an ensemble of weak re-programmings of one network, and what it knows.

Each member is the network as the array holds it after it was written anew with weak pulses (`reprogramming`).
The probabilities of an image are the mean of the members' softmax, all at one temperature, which is fitted on
other images. The error-free network gets a temperature in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.geometry import Geometry
from spinbnn.golden.network import Network, forward
from spinbnn.golden.operating_point import operating_point
from spinbnn.golden.placement import place
from spinbnn.sim.studies.cells import number, whole
from spinbnn.sim.studies.evaluation import seed_of, test_images
from spinbnn.sim.studies.given_networks import TRAINING_SEEDS, given_network
from spinbnn.sim.studies.one_sided_errors import matched_both_ways
from spinbnn.sim.studies.programming import stored_bits
from spinbnn.sim.studies.random_weights_findings import findings
from spinbnn.sim.studies.reprogramming import Member, Reprogrammed, image_reading_aj, stored_error_rates
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
RESAMPLES = 500
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
    placement = place(network, GEOMETRY)
    reading_aj = image_reading_aj(network, GEOMETRY)
    reading_clocks = sum(layer.beats for layer in placement.layers)
    single = first = _scored(logits[np.newaxis], inside.labels)
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
        first = scored if len(members) == 1 else first
        rows.append(
            {
                **setting,
                "members": len(members),
                "inside_images": len(inside),
                "outside_images": len(outside),
                "wrong_share": written.wrong_bits / stored_bits(network, placement),
                "programming_aj": programming_aj,
                "programming_clocks": programming_clocks,
                "reading_aj": len(members) * reading_aj,
                "reading_clocks": len(members) * reading_clocks,
                **_compared(scored, single, first, whole(setting, "seed")),
            }
        )
    return rows


def _members(
    setting: Setting, options: StudyOptions, network: Network, images: NDArray[np.uint8]
) -> Iterator[Member]:
    """Yield the members of a setting, one after the other."""
    way, rate = str(setting["way"]), number(setting, "write_error_rate")
    if way in ("once", "separate"):
        seeds = (setting["training_seed"],) if way == "once" else TRAINING_SEEDS
        for seed in seeds:
            yield Member(given_network({**setting, "training_seed": seed}, options), 0, 0, 0)
        return
    if setting["thresholds"] == "matched":
        network = matched_both_ways(network, *stored_error_rates(way, rate), images)
    source = Reprogrammed(network, GEOMETRY, way, operating_point(rate), whole(setting, "seed"))
    for _ in range(MEMBERS[-1]):
        yield source.member()


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


def _compared(ensemble: _Scored, single: _Scored, first: _Scored, seed: int) -> dict[str, float]:
    """Return scores, and changes with 95 % bootstrap intervals over images.

    Each ``_change`` is from the error-free network; that has no mutual information, so what its entropy tells
    apart stands in for it. ``nll_averaging`` is from the first member alone.
    """

    def changes(inside: NDArray[np.intp], outside: NDArray[np.intp]) -> dict[str, float]:
        got, before = ensemble.scores(inside, outside), single.scores(inside, outside)
        before["auroc_mutual"] = before["auroc_entropy"]
        from_single = {f"{name}_change": got[name] - before[name] for name in got}
        alone = float(first.surprise[inside].mean())
        return {**from_single, "nll_averaging": got["nll"] - alone}

    inside, outside = np.arange(len(ensemble.right)), np.arange(len(ensemble.entropy[1]))
    rng = np.random.default_rng(seed)
    drawn = [
        list(changes(rng.choice(inside, len(inside)), rng.choice(outside, len(outside))).values())
        for _ in range(RESAMPLES)
    ]
    lows, highs = np.quantile(drawn, [0.025, 0.975], axis=0)
    columns = ensemble.scores(inside, outside)
    for (name, value), low, high in zip(changes(inside, outside).items(), lows, highs, strict=True):
        columns |= {name: value, f"{name}_low": float(low), f"{name}_high": float(high)}
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
