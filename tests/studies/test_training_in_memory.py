"""The study of training in memory; with the marker `train`, on networks trained here."""

from dataclasses import replace

import pytest

from spinbnn.golden.architectures import perceptron
from spinbnn.sim.line_chart import line_chart
from spinbnn.sim.studies import training_in_memory
from spinbnn.sim.studies.cells import number
from spinbnn.sim.studies.study import Chart, Row, StudyOptions
from spinbnn.sim.studies.study_recipes import DIGITS
from spinbnn.sim.studies.training_in_memory import STUDY
from spinbnn.sim.studies.training_in_memory_findings import findings


def options(tmp_path, quick=True, **data) -> StudyOptions:
    return StudyOptions(quick, data, tmp_path)


def made_up(tmp_path, loss_at_full_error: float, energy_at_full_error: float) -> list[Row]:
    """Return rows whose energy and accuracy fall with the write error rate."""
    return [
        {
            **setting,
            "images": 360,
            "accuracy": 0.95 - loss_at_full_error * number(setting, "wer") + number(setting, "seed") / 1e4,
            "updates": 100,
            "pulses": 1000,
            "failed_pulses": 10,
            "most_pulses": 30,
            "mean_pulses": 2.0,
            "wrong_share": 0.01,
            "voltage_v": 0.5,
            "pulse_ns": 20.0,
            "junction_aj": 1e12 * (1 - (1 - energy_at_full_error) * number(setting, "wer")),
            "macro_aj": 2e12 * (1 - 0.5 * number(setting, "wer")),
            "whole_rows_aj": 9e12,
            "cycles_to_breakdown": 1e9,
        }
        for setting in STUDY.settings(options(tmp_path))
    ]


def test_settings_have_the_nominal_pulse_for_every_seed(tmp_path):
    for given in (options(tmp_path), options(tmp_path, quick=False, mnist=tmp_path)):
        settings = STUDY.settings(given)
        nominal = [each for each in settings if each["wer"] == 1e-6 and each["scheme"] == "retry"]
        seeds = {each["seed"] for each in nominal if not each["variability"]}
        assert seeds == {each["seed"] for each in settings} == {1, 2, 3}
        assert len({tuple(each.items()) for each in settings}) == len(settings)


def test_findings_tell_what_is_saved(tmp_path):
    found = findings(made_up(tmp_path, loss_at_full_error=0.001, energy_at_full_error=-1.0))
    assert "at a write error rate of 0.4" in found.summary
    assert found.verdicts[0].agrees is True  # 80 % saved
    assert found.verdicts[1].agrees is False  # 20 % of the macro
    assert found.verdicts[4].agrees is True
    for picture in found.pictures:
        assert isinstance(picture, Chart)
        assert len(picture.curves) == len(picture.bands) == 3
        assert line_chart(picture.curves, title=picture.title, x=picture.x, y=picture.y)
    assert all(len(row) == len(table.columns) for table in found.tables for row in table.rows)


def test_findings_do_not_trade_accuracy_for_energy(tmp_path):
    found = findings(made_up(tmp_path, loss_at_full_error=0.09, energy_at_full_error=-1.0))
    assert "at a write error rate of 0.1" in found.summary  # 0.2 would lose 1.8 points
    assert found.verdicts[0].agrees is False


@pytest.mark.train
def test_weak_pulses_save_energy_and_are_counted(tmp_path, monkeypatch):
    tiny = replace(DIGITS, architecture=perceptron("tiny", "here", (64, 32, 10), 5, False), epochs=4)
    monkeypatch.setattr(training_in_memory, "_RECIPES", {"digits": tiny})
    base = {"data": "digits", "scheme": "once", "variability": False, "sweep": "amplitude", "seed": 1}
    low, short = STUDY.measure(base | {"wer": 0.2}, options(tmp_path))
    nominal, same = STUDY.measure(base | {"wer": 1e-6}, options(tmp_path))
    (spread,) = STUDY.measure(base | {"wer": 0.2, "variability": True}, options(tmp_path))
    assert list(low) == list(spread)
    assert (low["sweep"], short["sweep"]) == ("amplitude", "duration")
    assert nominal["junction_aj"] == pytest.approx(number(same, "junction_aj"), rel=1e-3)
    assert number(low, "junction_aj") < 0.45 * number(nominal, "junction_aj")
    assert number(short, "pulse_ns") < 10 < number(low, "pulse_ns") == 20
    assert number(low, "failed_pulses") / number(low, "pulses") == pytest.approx(0.2, abs=0.03)
    assert number(spread, "failed_pulses") / number(spread, "pulses") > 0.19
    assert number(low, "macro_aj") < number(low, "whole_rows_aj")
    assert not list(tmp_path.glob("*.checkpoint"))
