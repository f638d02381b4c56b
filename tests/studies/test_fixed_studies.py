"""The studies of networks that are written and run: their settings, some rows, and what verdicts hang on."""

from pathlib import Path
from typing import Any

import pytest

from spinbnn.golden.network import random_network
from spinbnn.golden.operating_point import operating_point
from spinbnn.sim.studies import differential, operating_points, weight_errors
from spinbnn.sim.studies.differential import PROTECTIONS, corrected_rate
from spinbnn.sim.studies.evaluation import LOSS_COLUMNS
from spinbnn.sim.studies.programming import program
from spinbnn.sim.studies.study import StudyOptions

QUICK = StudyOptions(quick=True, data={}, folder=Path("unused"))
FULL = StudyOptions(
    quick=False, data={"mnist": Path("mnist"), "fashion-mnist": Path("fashion")}, folder=Path("unused")
)
STUDIES = [weight_errors, differential, operating_points]


@pytest.mark.parametrize("study", STUDIES)
@pytest.mark.parametrize("options", [QUICK, FULL])
def test_settings_are_many_different_ones_with_the_same_names(study: Any, options: StudyOptions) -> None:
    settings = study.settings(options)
    assert len({tuple(setting.items()) for setting in settings}) == len(settings)
    assert len({tuple(setting) for setting in settings}) == 1
    assert all(type(setting["seed"]) is int for setting in settings)
    trained = {setting["training_seed"] for setting in settings} - {None}
    assert trained == (set() if options.quick else {1, 2, 3})


def _measured(setting: Any) -> dict[str, Any]:
    (row,) = weight_errors.measure(setting, QUICK)
    return dict(row)


def test_a_measurement_depends_on_its_setting_alone() -> None:
    setting = next(
        setting
        for setting in weight_errors.settings(QUICK)
        if (setting["network"], setting["error_rate"], setting["thresholds"]) == ("digits", 0.1, "matched")
    )
    row = _measured(setting)
    assert row == _measured(setting)
    assert row != _measured({**setting, "seed": 1}) | {"seed": setting["seed"]}
    assert 0.6 < row["accuracy"] < 0.9 < row["ideal_accuracy"]
    assert row["loss_low"] < row["loss"] < row["loss_high"]


def made_up(study: Any, loss: float = 0.001, **columns: object) -> list[dict[str, Any]]:
    """Return a row for each setting of a study, all with the same loss."""
    lost = dict.fromkeys(LOSS_COLUMNS, 0.99) | dict.fromkeys(
        ("loss", "loss_low", "loss_high", "loss_images_low", "loss_images_high"), loss
    )
    plain = dict.fromkeys(study._NAMES) | lost | {"images": 500, "wrong_share": 0.01, "wrong_bits": 7}
    rows = []
    for setting in study.settings(QUICK):
        energy_aj = round(10**12 * (1 - (setting.get("error_rate") or 0)))
        row = (
            plain | {"energy_aj": energy_aj, "verify_energy_aj": 0, "cells_per_bit": 1.0} | setting | columns
        )
        if row["kind"] == "rtl":
            row |= {"accuracy": 0.5, "rtl_images": 500, "rtl_right": 250, "rtl_wrong_bits": 7}
            row |= {"rtl_energy_aj": energy_aj, "rtl_stored_bits": 9, "rtl_equal": True}
        rows.append(row)
    return rows


@pytest.mark.parametrize(("loss", "agrees"), [(0.002, True), (0.004, False)])
def test_the_loss_at_the_papers_rate_decides(loss: float, agrees: bool) -> None:
    rows = made_up(weight_errors, loss, junction_ratio=0.5, scaled_ratio=0.5)
    verdicts = weight_errors.STUDY.findings(rows).verdicts
    assert [each.agrees for each in verdicts if "loses at most" in each.claim] == [agrees] * 2
    assert verdicts[-1].agrees, "the Verilog was equal"


def test_a_verilog_that_differs_is_told() -> None:
    rows = made_up(weight_errors, junction_ratio=0.5, scaled_ratio=0.5)
    rows[-1] = rows[-1] | {"rtl_wrong_bits": 8}
    assert not weight_errors.STUDY.findings(rows).verdicts[-1].agrees


def _with_devices(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows with those of resistive devices as they are computed."""
    computed = [differential.measure(row, QUICK) for row in rows if row["kind"] == "device"]
    return [row for row in rows if row["kind"] != "device"] + [dict(row) for of in computed for row in of]


def test_what_two_cells_leave_is_compared_with_error_correction() -> None:
    rows = [
        row
        | {
            "left": row["left_predicted"],
            "left_low": row["left_predicted"],
            "left_high": row["left_predicted"],
        }
        if row["kind"] != "device"
        else row
        for row in _with_devices(made_up(differential, left_predicted=1e-3))
    ]
    magnetic = "Two magnetic cells a bit protect"
    assert next(each for each in differential.STUDY.findings(rows).verdicts if magnetic in each.claim).agrees
    for row in rows:
        if row["protection"] == "differential":
            row |= {"left": 0.1, "left_low": 0.09, "left_high": 0.11}
    assert not next(
        each for each in differential.STUDY.findings(rows).verdicts if magnetic in each.claim
    ).agrees


@pytest.mark.parametrize("name", PROTECTIONS)
def test_what_is_left_wrong_is_predicted(name: str) -> None:
    network = random_network((256, 400, 10), seed=2)
    protection = PROTECTIONS[name]
    rate = 0.02
    point = operating_point(rate, max_retries=protection.retries)
    geometry = protection.geometry(network)
    chip = differential._chip(geometry, 3)
    written = [program(network, geometry, point, seed=seed, chip=chip) for seed in range(4)]
    left = sum(each.wrong_share for each in written) / len(written)
    assert left == pytest.approx(protection.left_wrong(network, geometry, rate), rel=0.2)


def test_correction_of_words_with_one_error() -> None:
    # Two bits, each wrong with 0.1: both with 0.01, then both stay.
    assert corrected_rate(0.1, 2) == pytest.approx(0.01)
    assert corrected_rate(0.1, 1) == 0.0


@pytest.mark.parametrize(("energy_aj", "agrees"), [(6 * 10**11, True), (8 * 10**11, False)])
def test_what_is_saved_against_the_best_single_pulse_decides(energy_aj: int, agrees: bool) -> None:
    rows = []
    for row in made_up(operating_points, assignment="", searched_loss=0.0):
        if row["kind"] == "contender":
            ours = {"energy_aj": energy_aj} if row["contender"] == "layers and rows" else {}
            rows += [row | {"limit": limit} | ours for limit in operating_points.LIMITS]
        else:
            rows.append(row | {"layer": 0, "place": 0, "error_rate": 0.1, "energy_aj": 10**12})
        if row["kind"] == "single":  # of three pulses, the weakest loses more, the strongest is dearer
            rows += [
                rows[-1] | {"loss": 0.02, "energy_aj": 10**11},
                rows[-1] | {"loss": 0.0, "energy_aj": 10**13},
            ]
    verdicts = operating_points.STUDY.findings(rows).verdicts
    assert [each.agrees for each in verdicts if "less write energy" in each.claim] == [agrees] * 3
