"""How wrong may stored weights be? Accuracy against their error rate, and what weak writing then saves.

After T. Hirtzlin et al., "Implementing Binarized Neural Networks with Magnetoresistive RAM without Error
Correction" (2019). Errors are static: drawn once for all images, in all layers.
"""

from __future__ import annotations

import numpy as np

from spinbnn.golden.device.mtj import Pulse, direction_of_write, switched_energy
from spinbnn.golden.device.technology import MtjTechnology, load_technology
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.matched_thresholds import matched_thresholds
from spinbnn.golden.memory_options import PLAIN, MemoryOptions
from spinbnn.golden.monte_carlo import flipped_network
from spinbnn.golden.network import Network
from spinbnn.golden.operating_point import PROBABILITY_BITS
from spinbnn.golden.technology import write_bit_energy_aj
from spinbnn.sim.datasets import Dataset
from spinbnn.sim.studies import confirmation
from spinbnn.sim.studies.cells import number, whole
from spinbnn.sim.studies.evaluation import LOSS_COLUMNS, losses, right_classes, seed_of, test_images
from spinbnn.sim.studies.given_networks import DATA, TRAINED, TRAINING_SEEDS, given_network
from spinbnn.sim.studies.programming import (
    LADDER_V,
    TECHNOLOGY,
    as_stored,
    machine_for,
    program,
    pulse_point,
)
from spinbnn.sim.studies.study import Row, Scalar, Setting, Study, StudyOptions
from spinbnn.sim.studies.weight_errors_findings import findings

RATES = (1e-6, 1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.2, 0.3)
"""Shares of stored bits that are wrong."""

PULSES = (1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.03, 0.1, 0.2, 0.3)
"""Write error rates of the pulses that networks are written with (`programming.LADDER_V`)."""

CONFIRMED = 1e-3
"""Of the pulse whose setting the Verilog confirms."""

MEMORIES = {"plain": PLAIN, "secded": MemoryOptions(secded=True)}
_WRITINGS, _QUICK_WRITINGS = 10, 5
_CONFIRMED_IMAGES = 200
_QUICK_BANKS = 8

_NAMES = (
    "kind",
    "network",
    "data",
    "training_seed",
    "thresholds",
    "error_rate",
    "memory",
    "voltage_v",
    "draws",
    "seed",
    "images",
    *LOSS_COLUMNS,
    "wrong_share",
    "wrong_bits",
    "cells_per_bit",
    "energy_aj",
    "junction_ratio",
    "scaled_ratio",
    *confirmation.COLUMNS,
)


def settings(options: StudyOptions) -> list[Setting]:
    """Return error rates of all networks, then pulses, then what is confirmed in the Verilog."""
    rates = RATES[2::2] if options.quick else RATES
    sweep = [
        _setting("errors", name, training_seed, rate, draws=_draws(name), thresholds=thresholds)
        for name, training_seed in _networks(options)
        for thresholds in ("trained", "matched")
        for rate in rates
    ]
    pulses = PULSES[::2] if options.quick else PULSES
    writings = _QUICK_WRITINGS if options.quick else _WRITINGS
    written = [
        _setting("written", "mnist_1024", None, wer, draws=writings, memory=memory)
        for memory in MEMORIES
        for wer in sorted({*pulses, CONFIRMED})
    ]
    confirmed = "digits" if options.quick else "mnist_1024"
    return [*sweep, *written, _setting("rtl", confirmed, None, CONFIRMED, draws=1)]


def _networks(options: StudyOptions) -> list[tuple[str, int | None]]:
    """Return names and training seeds; networks are trained only where their images were given."""
    if options.quick:
        return [("mnist_1024", None), ("digits", None)]
    shipped = [(name, None) for name in ("mnist_1024", "lenet4", "cnv")]
    trained = [(name, seed) for name in TRAINED if DATA[name] in options.data for seed in TRAINING_SEEDS]
    return [*shipped, *trained]


def _draws(network: str) -> int:
    return 10 if "cnv" in network else 20


def _setting(
    kind: str,
    network: str,
    training_seed: int | None,
    rate: float,
    *,
    draws: int,
    thresholds: str = "trained",
    memory: str = "plain",
) -> Setting:
    """Return a setting. "error_rate" is of stored bits (kind "errors"), or that of writes."""
    return {
        "kind": kind,
        "network": network,
        "data": DATA[network],
        "training_seed": training_seed,
        "thresholds": thresholds,
        "error_rate": rate,
        "memory": memory,
        "voltage_v": None if kind == "errors" else LADDER_V[rate],
        "draws": draws,
        # The same draws whatever thresholds meet them, so that these differences are paired, too.
        "seed": seed_of(network, training_seed, rate),
    }


def measure(setting: Setting, options: StudyOptions) -> list[Row]:
    """Return the row of a setting."""
    network = given_network(setting, options)
    images = test_images(options, str(setting["data"])).fitted(network)
    measured = {"errors": _with_errors, "written": _written, "rtl": _confirmed}[str(setting["kind"])](
        setting, network, images, options
    )
    return [{**dict.fromkeys(_NAMES), **setting, "images": len(images), **measured}]


def _with_errors(
    setting: Setting, network: Network, images: Dataset, options: StudyOptions
) -> dict[str, Scalar]:
    """Draw errors in the stored bits."""
    rate, draws = number(setting, "error_rate"), whole(setting, "draws")
    meets = matched_thresholds(network, rate) if setting["thresholds"] == "matched" else network
    meets, rates = as_stored(meets), [(rate, rate)] * len(network.layers)
    rights = []
    for draw in range(draws):
        rng = np.random.default_rng([whole(setting, "seed"), draw])
        rights.append(right_classes(flipped_network(meets, rates, rng), images))
    return losses(right_classes(network, images), rights).to_row()


def _written(setting: Setting, network: Network, images: Dataset, options: StudyOptions) -> dict[str, Scalar]:
    """Write the network into a blank array with a pulse, several times."""
    return _writings(setting, network, images, machine_for(network, MEMORIES[str(setting["memory"])]))


def _writings(setting: Setting, network: Network, images: Dataset, geometry: Geometry) -> dict[str, Scalar]:
    voltage_v, first = number(setting, "voltage_v"), whole(setting, "seed")
    point = pulse_point(TECHNOLOGY, voltage_v)
    writings = [
        program(network, geometry, point, seed=first + draw) for draw in range(whole(setting, "draws"))
    ]
    rights = [right_classes(written.network, images) for written in writings]
    count, wer = len(writings), point.p_fail_01 / 2**PROBABILITY_BITS
    return {
        **losses(right_classes(network, images), rights).to_row(),
        "wrong_share": sum(written.wrong_share for written in writings) / count,
        "wrong_bits": int(writings[0].wrong_bits.sum()),
        "cells_per_bit": geometry.row_cells / geometry.word_bits,
        "energy_aj": sum(written.energy_aj for written in writings) / count,
        "junction_ratio": _junction_aj(voltage_v) / _junction_aj(LADDER_V[1e-6]),
        "scaled_ratio": write_bit_energy_aj(wer) / write_bit_energy_aj(1e-6),
    }


def _junction_aj(voltage_v: float) -> float:
    """Return what a pulse takes of the junction alone, mean of both directions, attojoules."""
    technology = load_technology(TECHNOLOGY)
    assert isinstance(technology, MtjTechnology)
    pulse = Pulse(voltage_v, technology.write_ns)
    both = [switched_energy(technology, pulse, direction_of_write(technology, bit)) for bit in (0, 1)]
    return sum(energy.junction_aj for energy in both) / len(both)


def _confirmed(
    setting: Setting, network: Network, images: Dataset, options: StudyOptions
) -> dict[str, Scalar]:
    """Write the network once, in golden and in the Verilog."""
    few = images.head(_CONFIRMED_IMAGES)
    geometry = machine_for(network, banks=_QUICK_BANKS if options.quick else 64)
    point = pulse_point(TECHNOLOGY, number(setting, "voltage_v"))
    confirmed = confirmation.confirm(network, few, geometry, point, options, seed=whole(setting, "seed"))
    return {**_writings(setting, network, few, geometry), "images": len(few), **confirmed.to_row()}


STUDY = Study(
    name="weight-errors",
    title="Wrong weights",
    question="How many of the stored weights may be wrong, and what does it save to write them weakly?",
    paper="Hirtzlin et al., Implementing Binarized Neural Networks with Magnetoresistive RAM without Error "
    "Correction, arXiv 1908.04085",
    settings=settings,
    measure=measure,
    findings=findings,
)
