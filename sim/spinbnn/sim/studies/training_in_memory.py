"""Learning with weights in memory: how weakly they may be written.

After N. Locatelli, A. F. Vincent, D. Querlioz, "Use of Magnetoresistive Random-Access Memory as Approximate
Memory for Training Neural Networks" (2018). The weights that the network computes with are what the cells of
an ST-MRAM hold; after each batch the cells whose sign should change are written with a pulse that may fail.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from functools import lru_cache

from spinbnn.golden.device.endurance import cycles_to_breakdown
from spinbnn.golden.device.mtj import (
    Pulse,
    direction_of_write,
    failed_energy,
    redundant_energy,
    switched_energy,
    write_duration_ns,
    write_error_rate,
    write_voltage_v,
)
from spinbnn.golden.device.technology import MtjTechnology, load_technology
from spinbnn.golden.device.variability import variability_classes
from spinbnn.sim.datasets import load_split
from spinbnn.sim.studies.cells import number, whole
from spinbnn.sim.studies.networks import locked, training_directory
from spinbnn.sim.studies.study import Row, Scalar, Setting, Study, StudyOptions
from spinbnn.sim.studies.study_recipes import DIGITS, MNIST_256
from spinbnn.sim.studies.training_in_memory_findings import NOMINAL_WER, findings
from spinbnn.sim.training import Cells, Writes, export_tested, train_in_memory

TECHNOLOGY = "st_mram_28nm"
SEEDS = (1, 2, 3)
_RECIPES = {
    "digits": replace(DIGITS, epochs=20),
    "mnist": replace(MNIST_256, batch_size=256, epochs=6),
}
_RATES = (NOMINAL_WER, 1e-3, 0.01, 0.1, 0.2, 0.3, 0.4, 0.6)
"""Write error rates of the mean cell that pulses are chosen for."""


def settings(options: StudyOptions) -> list[Setting]:
    """Return a setting for each training."""
    data = "mnist" if "mnist" in options.data and not options.quick else "digits"
    spread_rates = [NOMINAL_WER, 0.1, 0.2, 0.4]
    sweeps = [
        ("retry", False, "amplitude", [NOMINAL_WER, 0.1] if options.quick else [NOMINAL_WER, 0.1, 0.4, 0.6]),
        ("once", False, "amplitude", [0.1, 0.2, 0.4] if options.quick else _RATES[1:]),
        ("once", True, "amplitude", [0.4] if options.quick else spread_rates),
        ("once", True, "duration", [] if options.quick else spread_rates),
        ("retry", True, "amplitude", [] if options.quick else [NOMINAL_WER, 0.1, 0.4]),
    ]
    return [
        {"data": data, "scheme": scheme, "variability": spread, "sweep": sweep, "wer": rate, "seed": seed}
        for scheme, spread, sweep, rates in sweeps
        for rate in rates
        for seed in SEEDS
    ]


def measure(setting: Setting, options: StudyOptions) -> list[Row]:
    """Train once; return a row, or one for each sweep where the cells do not tell these apart."""
    data = str(setting["data"])
    recipe = replace(_RECIPES[data], seed=whole(setting, "seed"))
    pulse = _pulse(str(setting["sweep"]), number(setting, "wer"))
    cells = _cells(pulse, bool(setting["variability"]), setting["scheme"] == "retry")
    directory = training_directory(options, data)
    identity = json.dumps([recipe.to_dict(), asdict(cells), load_split(directory, "train").sha256])
    name = f"{recipe.name}-in-memory-{hashlib.sha256(identity.encode()).hexdigest()[:16]}.checkpoint"
    checkpoint = options.folder / name
    with locked(checkpoint):
        made = train_in_memory(recipe, cells, directory, checkpoint)
        _, outcome = export_tested(made.model, load_split(directory, "test"))
        checkpoint.unlink()
    row = {
        "images": outcome.images,
        "accuracy": outcome.accuracy,
        "updates": made.writes.updates,
        "pulses": made.writes.pulses,
        "failed_pulses": made.writes.failed_01 + made.writes.failed_10,
        "most_pulses": made.most_pulses,
        "mean_pulses": made.mean_pulses,
        "wrong_share": made.wrong_share,
    }
    # Without spread a cell fails as often whether the pulse is low or short: one training serves both.
    sweeps = [str(setting["sweep"])] if setting["variability"] else ["amplitude", "duration"]
    return [
        {**setting, "sweep": sweep, **row, **_costs(_pulse(sweep, number(setting, "wer")), made.writes)}
        for sweep in sweeps
    ]


@lru_cache
def _technology() -> MtjTechnology:
    technology = load_technology(TECHNOLOGY)
    assert isinstance(technology, MtjTechnology)
    return technology


@lru_cache
def _pulse(sweep: str, wer: float) -> Pulse:
    """Return the pulse at which the mean cell has a write error rate, either way: low, or short."""
    technology = _technology()
    direction = direction_of_write(technology, 1)
    voltage_v = write_voltage_v(technology, NOMINAL_WER, technology.write_ns, direction)
    if sweep == "amplitude":
        return Pulse(write_voltage_v(technology, wer, technology.write_ns, direction), technology.write_ns)
    return Pulse(voltage_v, write_duration_ns(technology, wer, voltage_v, direction))


@lru_cache
def _cells(pulse: Pulse, spread: bool, retry: bool) -> Cells:
    """Return what a pulse does to the mean cell alone, or to cells in four classes."""
    technology = _technology()
    if not spread:
        to_1, to_0 = (
            write_error_rate(technology, pulse, direction_of_write(technology, bit)) for bit in (1, 0)
        )
        return Cells((to_1,), (to_0,), retry=retry)
    classes = variability_classes(technology, [pulse])
    return Cells(classes.rates[0].wer_01, classes.rates[0].wer_10, classes.fractions, retry)


def _costs(pulse: Pulse, writes: Writes) -> dict[str, Scalar]:
    """Return energies of all writes of a training, attojoules, and the cycles that cells bear."""
    technology = _technology()
    junction_aj = macro_aj = redundant_aj = 0.0
    for bit, switched, failed in (
        (1, writes.switched_01, writes.failed_01),
        (0, writes.switched_10, writes.failed_10),
    ):
        direction = direction_of_write(technology, bit)
        of_switched = switched_energy(technology, pulse, direction)
        of_failed = failed_energy(technology, pulse, direction)
        junction_aj += switched * of_switched.junction_aj + failed * of_failed.junction_aj
        macro_aj += switched * of_switched.macro_aj + failed * of_failed.macro_aj
        redundant_aj += writes.redundant / 2 * redundant_energy(technology, pulse, direction).macro_aj
    return {
        "voltage_v": pulse.voltage_v,
        "pulse_ns": pulse.duration_ns,
        "junction_aj": junction_aj,
        "macro_aj": macro_aj,
        "whole_rows_aj": macro_aj + redundant_aj,
        "cycles_to_breakdown": cycles_to_breakdown(
            pulse.voltage_v,
            technology.breakdown_v,
            technology.endurance_gamma_per_v,
            technology.endurance_cycles_at_breakdown,
        ),
    }


STUDY = Study(
    name="training-in-memory",
    title="Training in memory",
    question="How weakly may weights be written while a network learns in memory, and what does it save?",
    paper="Locatelli, Vincent, Querlioz, Use of Magnetoresistive Random-Access Memory as Approximate Memory "
    "for Training Neural Networks, arXiv 1810.10836",
    settings=settings,
    measure=measure,
    findings=findings,
    needs_torch=True,
)
