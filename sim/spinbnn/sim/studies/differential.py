"""Two cells a bit, or error correction? What is left wrong, what it costs, and what a network makes of it.

After T. Hirtzlin et al., "Digital Biologically Plausible Implementation of Binarized Neural Networks with
Differential Hafnium Oxide Resistive Memory Arrays" (2019), where two devices a bit do what error correction
of the same redundancy does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spinbnn.golden.cell_code import CellCode
from spinbnn.golden.chip import TYPICAL, Chip
from spinbnn.golden.device.rram import compared_error_rate, pair_error_rate
from spinbnn.golden.fitting import fit
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.memory_options import PLAIN, MemoryOptions
from spinbnn.golden.network import Network
from spinbnn.golden.placement import place, program_rows
from spinbnn.sim.datasets import Dataset
from spinbnn.sim.studies import confirmation
from spinbnn.sim.studies.cells import number, whole
from spinbnn.sim.studies.differential_findings import findings
from spinbnn.sim.studies.evaluation import LOSS_COLUMNS, losses, right_classes, seed_of, test_images
from spinbnn.sim.studies.given_networks import DATA, TRAINING_SEEDS, given_network
from spinbnn.sim.studies.programming import (
    LADDER_V,
    TECHNOLOGY,
    Programmed,
    program,
    pulse_point,
    stored_bits,
)
from spinbnn.sim.studies.statistics import proportion
from spinbnn.sim.studies.study import Row, Scalar, Setting, Study, StudyOptions

RATES = (1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.2)
"""Write error rates of the pulses (`programming.LADDER_V`)."""

DEVICE_RATES = (1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.04)
"""Bit error rates of one resistive device, over the range that is published."""

CONFIRMED = 0.01
"""Write error rate of the setting that the Verilog confirms, with two cells a bit."""


@dataclass(frozen=True)
class Protection:
    """What is done against failed writes.

    Attributes
    ----------
    memory : MemoryOptions
    word_bits : int
        Of a row.
    retries : int
    """

    memory: MemoryOptions = PLAIN
    word_bits: int = 64
    retries: int = 0

    def geometry(self, network: Network, banks: int = 64) -> Geometry:
        """Return a machine that takes a network."""
        stream_bits = min(64, 2 * self.word_bits)
        machine = Geometry(banks=banks, word_bits=self.word_bits, stream_bits=stream_bits, memory=self.memory)
        return fit(network, machine, ())

    def left_wrong(self, network: Network, geometry: Geometry, rate: float) -> float:
        """Return the share of a network's bits that writing a blank array leaves wrong, in expectation (BER).

        A cell that must change fails with `rate`, whatever others do. Of code words in which more than one
        cell is wrong, all stay as they are; what a wrong correction adds is left out.

        Parameters
        ----------
        network : Network
        geometry : Geometry
            Of the machine that holds it.
        rate : float
            Write error rate (WER).
        """
        if self.memory.differential:  # one cell of every pair must change; a tie goes either way
            return rate / 2
        placement, code = place(network, geometry), CellCode(geometry)
        failing, wrong = rate ** (1 + self.retries), 0.0
        for packet in program_rows(network, placement, geometry):
            data = np.bitwise_count(packet.rows).sum(axis=-1)
            if self.memory.secded:
                cells = np.bitwise_count(code.encode(packet.rows)).sum(axis=-1).astype(np.float64)
                wrong += float((data * failing * (1 - (1 - failing) ** np.maximum(cells - 1, 0))).sum())
            else:
                wrong += failing * float(data.sum())
        return wrong / stored_bits(network, placement)


def corrected_rate(rate: float, code_bits: int) -> float:
    """Return the share of bits left wrong where words with one wrong bit are corrected, others left alone."""
    return rate * (1 - (1 - rate) ** (code_bits - 1))


PROTECTIONS = {
    "none": Protection(),
    "retry": Protection(retries=1),
    "secded": Protection(MemoryOptions(secded=True)),
    "secded of 4": Protection(MemoryOptions(secded=True), word_bits=4),
    "differential": Protection(MemoryOptions(differential=True)),
}

_WRITINGS, _QUICK_WRITINGS = 5, 4
_CONFIRMED_IMAGES = 100
_QUICK_BANKS = 8

_NAMES = (
    "kind",
    "network",
    "data",
    "training_seed",
    "protection",
    "error_rate",
    "voltage_v",
    "draws",
    "seed",
    "images",
    *LOSS_COLUMNS,
    "left",
    "left_low",
    "left_high",
    "left_predicted",
    "wrong_bits",
    "cells_per_bit",
    "energy_aj",
    "verify_energy_aj",
    *confirmation.COLUMNS,
)


def settings(options: StudyOptions) -> list[Setting]:
    """Return the written networks, then resistive devices, then what the Verilog confirms."""
    networks: list[tuple[str, int | None]] = [("mnist_1024", None)]
    if "mnist" in options.data and not options.quick:
        networks += [("study_mnist_1024", seed) for seed in TRAINING_SEEDS]
    rates = RATES[::2] if options.quick else RATES
    draws = _QUICK_WRITINGS if options.quick else _WRITINGS
    written = [
        _setting("written", network, training_seed, protection, rate, draws)
        for network, training_seed in networks
        for protection in PROTECTIONS
        for rate in rates
    ]
    devices = [
        {**dict.fromkeys(written[0]), "kind": "device", "error_rate": rate, "seed": 0}
        for rate in DEVICE_RATES
    ]
    confirmed = "digits" if options.quick else "mnist_1024"
    return [*written, *devices, _setting("rtl", confirmed, None, "differential", CONFIRMED, 1)]


def _setting(
    kind: str, network: str, training_seed: int | None, protection: str, rate: float, draws: int
) -> Setting:
    return {
        "kind": kind,
        "network": network,
        "data": DATA[network],
        "training_seed": training_seed,
        "protection": protection,
        "error_rate": rate,
        "voltage_v": LADDER_V[rate],
        "draws": draws,
        "seed": seed_of(network, training_seed, protection, rate),
    }


def measure(setting: Setting, options: StudyOptions) -> list[Row]:
    """Return the rows of a setting."""
    if setting["kind"] == "device":
        return _devices(setting)
    network = given_network(setting, options)
    images = test_images(options, str(setting["data"])).fitted(network)
    if setting["kind"] == "rtl":
        return [_row(setting, **_confirmed(setting, network, images.head(_CONFIRMED_IMAGES), options))]
    geometry = PROTECTIONS[str(setting["protection"])].geometry(network)
    return [_row(setting, **_written(setting, network, images, geometry))]


def _row(setting: Setting, **measured: Scalar) -> Row:
    return {**dict.fromkeys(_NAMES), **setting, **measured}


def _written(setting: Setting, network: Network, images: Dataset, geometry: Geometry) -> dict[str, Scalar]:
    """Write the network several times, each time into another chip."""
    draws, rate = whole(setting, "draws"), number(setting, "error_rate")
    protection = PROTECTIONS[str(setting["protection"])]
    writings = [_writing(setting, network, geometry, draw) for draw in range(draws)]
    rights = [right_classes(written.network, images) for written in writings]
    wrong = sum(int(written.wrong_bits.sum()) for written in writings)
    left = proportion(wrong, draws * writings[0].bits)
    return {
        "images": len(images),
        **losses(right_classes(network, images), rights).to_row(),
        "left": left.value,
        "left_low": left.low,
        "left_high": left.high,
        "left_predicted": protection.left_wrong(network, geometry, rate),
        "wrong_bits": int(writings[0].wrong_bits.sum()),
        "cells_per_bit": geometry.row_cells / geometry.word_bits,
        "energy_aj": sum(written.energy_aj for written in writings) / draws,
        "verify_energy_aj": sum(written.verify_energy_aj for written in writings) / draws,
    }


def _writing(setting: Setting, network: Network, geometry: Geometry, draw: int) -> Programmed:
    protection = PROTECTIONS[str(setting["protection"])]
    seed = whole(setting, "seed") + draw
    point = pulse_point(TECHNOLOGY, number(setting, "voltage_v"), protection.retries)
    return program(network, geometry, point, seed=seed, chip=_chip(geometry, seed))


def _chip(geometry: Geometry, seed: int) -> Chip:
    return Chip(seed) if geometry.memory.differential else TYPICAL


def _confirmed(
    setting: Setting, network: Network, images: Dataset, options: StudyOptions
) -> dict[str, Scalar]:
    """Write the network once, in golden and in the Verilog."""
    protection, seed = PROTECTIONS[str(setting["protection"])], whole(setting, "seed")
    geometry = protection.geometry(network, _QUICK_BANKS if options.quick else 64)
    point = pulse_point(TECHNOLOGY, number(setting, "voltage_v"), protection.retries)
    confirmed = confirmation.confirm(
        network, images, geometry, point, options, seed=seed, chip=_chip(geometry, seed)
    )
    return {**_written(setting, network, images, geometry), **confirmed.to_row()}


def _devices(setting: Setting) -> list[Row]:
    """Compute what is left wrong of resistive devices, each wrong with a rate in both directions."""
    rate = number(setting, "error_rate")
    left = {
        "none": rate,
        "two, sharp": pair_error_rate(rate),
        "two, spread": compared_error_rate(rate),
        "secded": corrected_rate(rate, 72),
        "secded of 4": corrected_rate(rate, 8),
    }
    return [_row(setting, protection=name, left_predicted=value) for name, value in left.items()]


STUDY = Study(
    name="differential",
    title="Two cells a bit, or error correction",
    question="Do two cells a bit protect weights as well as error correction of the same redundancy?",
    paper="Hirtzlin et al., Digital Biologically Plausible Implementation of Binarized Neural Networks with "
    "Differential Hafnium Oxide Resistive Memory Arrays, arXiv 1908.04066",
    settings=settings,
    measure=measure,
    findings=findings,
)
