"""The study of wrong activations; with the marker `train`, on networks trained here."""

from dataclasses import replace

import numpy as np
import pytest

from spinbnn.golden.architectures import perceptron
from spinbnn.sim.datasets import load_split
from spinbnn.sim.line_chart import line_chart
from spinbnn.sim.studies import activation_errors
from spinbnn.sim.studies.activation_errors import RATES, STUDY
from spinbnn.sim.studies.activation_errors_findings import findings
from spinbnn.sim.studies.cells import number, whole
from spinbnn.sim.studies.study import Chart, Row, StudyOptions
from spinbnn.sim.studies.study_recipes import DIGITS


def options(tmp_path, quick=True, **data) -> StudyOptions:
    return StudyOptions(quick, data, tmp_path)


def made_up(tmp_path, best: float, by_class: float, full: bool = True) -> list[Row]:
    """Return rows with the best accuracy at a rate, and a loss that grows with the number of classes."""
    settings = STUDY.settings(options(tmp_path, quick=not full, mnist=tmp_path))
    return [
        {
            **setting,
            "images": 10_000,
            "right": 9_000,
            "accuracy": 0.97
            - abs(number(setting, "activation_error") - best) / 5
            - by_class * whole(setting, "classes") * number(setting, "activation_error")
            + number(setting, "seed") / 1e5,
        }
        for setting in settings
    ]


def test_settings(tmp_path):
    both = {"mnist": tmp_path, "fashion-mnist": tmp_path}
    full = STUDY.settings(options(tmp_path, quick=False, **both))
    lenet = [setting for setting in full if setting["network"] == "study_lenet4"]
    assert [setting["activation_error"] for setting in lenet[::5]] == list(RATES)
    assert {setting["data"] for setting in full if setting["network"] == "study_nin"} == {"fashion-mnist"}
    assert len({tuple(setting.items()) for setting in full}) == len(full)
    for given in (options(tmp_path), options(tmp_path, quick=False), options(tmp_path, mnist=tmp_path)):
        assert {setting["data"] for setting in STUDY.settings(given)} == {"digits"}


@pytest.mark.parametrize("full", [True, False])
def test_findings_of_errors_that_help(tmp_path, full):
    found = findings(made_up(tmp_path, best=0.04, by_class=0.01, full=full))
    networks = 2 if full else 1
    assert [verdict.agrees for verdict in found.verdicts] == [True] * (networks + 2)
    assert len(found.pictures) == networks + 1
    assert "best when trained with 4% wrong" in found.summary
    for picture in found.pictures:
        assert isinstance(picture, Chart)
        assert line_chart(picture.curves, title=picture.title, x=picture.x, y=picture.y)
    assert all(len(row) == len(table.columns) for table in found.tables for row in table.rows)
    titles = [tuple(row[:2]) for row in found.tables[0].rows]
    assert len(set(titles)) == len(titles)


def test_findings_of_errors_that_harm(tmp_path):
    found = findings(made_up(tmp_path, best=0.0, by_class=-0.001))
    assert [verdict.agrees for verdict in found.verdicts] == [False] * 4


@pytest.mark.train
def test_fewer_classes_are_trained_and_tested_alone(tmp_path, monkeypatch):
    tiny = replace(
        DIGITS, name="tiny", architecture=perceptron("tiny", "here", (64, 32, 10), 5, False), epochs=4
    )
    monkeypatch.setattr(activation_errors, "_RECIPES", {"tiny": tiny})
    setting = {"network": "tiny", "data": "digits", "classes": 3, "activation_error": 0.1, "seed": 2}
    (row,) = STUDY.measure(setting, options(tmp_path))
    some = load_split(tmp_path / "digits-3-classes", "test")
    assert np.unique(some.labels).tolist() == [0, 1, 2]
    assert row["images"] == len(some)
    assert number(row, "accuracy") > 0.8
    assert STUDY.measure(setting, options(tmp_path)) == [row]
    (every,) = STUDY.measure(setting | {"classes": 10}, options(tmp_path))
    assert every["images"] == 360
    assert list(every) == list(row)
