"""The study of training for errors; with the marker `train`, on networks trained here."""

from dataclasses import replace

import pytest

from spinbnn.golden.architectures import perceptron
from spinbnn.sim.studies import training_for_errors
from spinbnn.sim.studies.cells import number
from spinbnn.sim.studies.study import Chart, Findings, Row, StudyOptions, Verdict
from spinbnn.sim.studies.study_recipes import DIGITS
from spinbnn.sim.studies.training_for_errors import STUDY, TEST_RATES, TRAINING_RATES
from spinbnn.sim.studies.training_for_errors_findings import findings


def options(tmp_path, quick=True, **data) -> StudyOptions:
    return StudyOptions(quick, data, tmp_path)


def made_up(fitting: float, matching: float, seeds: int = 3) -> list[Row]:
    """Return rows in which accuracy falls with the distance of both rates, and with errors."""
    rows: list[Row] = []
    for training in (0.0, 0.04, 0.2):
        for seed in range(seeds):
            for test in TEST_RATES:
                for thresholds in ("trained", "matched", "training ignored"):
                    accuracy = 0.98 - fitting * abs(training - test) - test / 10 + seed / 1e5
                    accuracy -= 0 if thresholds == "matched" else matching
                    rows.append(
                        {
                            "network": "study_digits",
                            "data": "digits",
                            "training_rate": training,
                            "seed": seed,
                            "test_rate": test,
                            "thresholds": thresholds,
                            "draws": 10,
                            "images": 360,
                            "accuracy": accuracy,
                            "loss": 0.98 - fitting * training - accuracy,
                        }
                    )
    return rows


def verdict(found: Findings, start: str) -> Verdict:
    return next(each for each in found.verdicts if each.claim.startswith(start))


def test_settings_are_networks(tmp_path):
    quick = STUDY.settings(options(tmp_path))
    assert {setting["data"] for setting in quick} == {"digits"}
    full = STUDY.settings(options(tmp_path, quick=False, mnist=tmp_path))
    assert [(setting["network"], setting["training_rate"], setting["seed"]) for setting in full] == [
        (network, rate, seed)
        for network in ("study_mnist_1024", "study_mnist_256_binary")
        for rate in TRAINING_RATES
        for seed in (1, 2, 3)
    ]
    assert {setting["data"] for setting in full} == {"mnist"}
    assert {setting["data"] for setting in STUDY.settings(options(tmp_path, quick=False))} == {"digits"}


def test_findings_tell_a_network_that_fits_its_errors():
    found = findings(made_up(fitting=0.5, matching=0.01))
    assert verdict(found, "64-256-256-10 on digits: trained with 4%").agrees is True
    assert verdict(found, "64-256-256-10 on digits: a network trained without").agrees is True
    assert verdict(found, "The thresholds of a network trained with").agrees is True
    assert verdict(found, "The best error rate").agrees is True
    energy = verdict(found, "Adapted training lets")
    assert energy.agrees is None
    assert energy.ours.startswith("30.0 by this project's HfO2 preset")
    assert all(len(row) == len(table.columns) for table in found.tables for row in table.rows)
    matched = next(picture for picture in found.pictures if "matched" in picture.title)
    assert isinstance(matched, Chart)
    assert [curve.name for curve in matched.curves] == [
        f"trained with {rate}" for rate in ("0", "0.04", "0.2")
    ]
    assert dict(matched.curves[1].points)[0.04] == pytest.approx(97.6, abs=0.01)


def test_findings_tell_a_network_that_does_not():
    found = findings(made_up(fitting=-0.5, matching=-0.01))
    assert verdict(found, "64-256-256-10 on digits: a network trained without").agrees is False
    assert verdict(found, "The thresholds of a network trained with").agrees is False
    assert verdict(found, "The best error rate").agrees is False
    dear = [{**row, "loss": 0.02} for row in made_up(0.5, 0.01)]
    assert verdict(findings(dear), "64-256-256-10 on digits: trained with 4%").agrees is False
    assert verdict(findings(dear), "Adapted training lets").agrees is False


def test_a_claim_on_all_networks_holds_if_it_holds_for_each():
    fits, does_not = made_up(0.5, 0.01), made_up(-0.5, -0.01)
    others = [{**row, "network": "study_mnist_256_binary"} for row in does_not]
    both = verdict(findings([*fits, *others]), "The thresholds of a network trained with")
    assert both.agrees is False
    assert both.ours.startswith("64-256-256-10 on digits: more accurate at 22 of 22")
    assert "784-256-256-10 on black and white MNIST: more accurate at 0 of 22" in both.ours
    same = [{**row, "network": "study_mnist_256_binary"} for row in fits]
    assert verdict(findings([*fits, *same]), "The thresholds of a network trained with").agrees is True


@pytest.mark.train
def test_a_setting_is_measured_at_all_rates(tmp_path, monkeypatch):
    tiny = replace(DIGITS, architecture=perceptron("tiny", "here", (64, 32, 10), 5, False), epochs=6)
    monkeypatch.setattr(training_for_errors, "_RECIPES", {"study_digits": tiny})
    setting = {"network": "study_digits", "data": "digits", "training_rate": 0.1, "seed": 4}
    rows = STUDY.measure(setting, options(tmp_path))
    assert rows == STUDY.measure(setting, options(tmp_path))
    assert [row["test_rate"] for row in rows[::3]] == list(TEST_RATES)
    by = {(row["test_rate"], row["thresholds"]): number(row, "accuracy") for row in rows}
    assert by[0.1, "trained"] == by[0.1, "matched"]  # its own rate
    assert by[0.0, "training ignored"] == by[0.0, "trained"] != by[0.0, "matched"]
    assert by[0.0, "matched"] == number(rows[0], "ideal_accuracy") > 0.6
    assert by[0.3, "matched"] < by[0.01, "matched"] - 0.1
