"""The study of random weights: what it measures of a few members, and what it says of made-up rows."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spinbnn.golden.network import classify, forward
from spinbnn.golden.network_file import load_network
from spinbnn.sim.assets import MNIST_NETWORK
from spinbnn.sim.datasets import bundled_images
from spinbnn.sim.studies import random_weights
from spinbnn.sim.studies.cells import number
from spinbnn.sim.studies.random_weights import STUDY
from spinbnn.sim.studies.study import StudyOptions


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(random_weights, "MEMBERS", (1, 2, 3))
    monkeypatch.setattr(random_weights, "RESAMPLES", 30)


@pytest.fixture
def options(tmp_path):
    return StudyOptions(quick=True, data={}, folder=tmp_path)


def one(options, way, rate):
    return next(
        setting
        for setting in STUDY.settings(options)
        if (setting["way"], setting["write_error_rate"]) == (way, rate)
    )


def measured(setting, options) -> list[dict[str, Any]]:
    return [dict(row) for row in STUDY.measure(setting, options)]


def test_settings_differ_and_full_ones_train_three_networks(options):
    quick = STUDY.settings(options)
    assert len({setting["seed"] for setting in quick}) == len(quick)
    assert {setting["network"] for setting in quick} == {"mnist_1024"}
    full = STUDY.settings(StudyOptions(False, {"mnist": Path("somewhere")}, options.folder))
    assert {setting["training_seed"] for setting in full} == {1, 2, 3}
    assert "separate" in {setting["way"] for setting in full}
    without = STUDY.settings(StudyOptions(False, {}, options.folder))
    assert {setting["network"] for setting in without} == {"mnist_1024"}


def test_the_error_free_network_changes_nothing(options):
    (row,) = measured(one(options, "once", 0.0), options)
    images = bundled_images()
    classes = classify(forward(load_network(MNIST_NETWORK), images.pixels))
    assert row["accuracy"] == (classes == images.labels).mean()
    assert row["members"] == 1
    assert row["wrong_share"] == row["programming_aj"] == 0
    assert row["nll_change"] == row["ece_change"] == row["nll_averaging"] == 0
    assert 0.9 < row["auroc_entropy"] < 1
    assert row["auroc_mutual"] == 0.5


def test_members_cost_add_up_and_the_rows_are_repeatable(options):
    setting = one(options, "complement", 0.1)
    rows = measured(setting, options)
    assert [row["members"] for row in rows] == [1, 2, 3]
    assert rows == measured(setting, options)
    assert rows[0].keys() == rows[2].keys() == measured(one(options, "once", 0.0), options)[0].keys()
    energies = [row["programming_aj"] for row in rows]
    assert np.diff(energies) == pytest.approx(energies[0], rel=0.1)
    assert rows[2]["reading_aj"] == 3 * rows[0]["reading_aj"] == 3 * 30720 * 64 * 700_000
    assert rows[2]["reading_clocks"] == 3 * 1936
    assert rows[2]["wrong_share"] == pytest.approx(0.1 / 1.1, rel=0.02)
    for row in rows:
        assert row["nll_change_low"] <= row["nll_change"] <= row["nll_change_high"]
    assert rows[0]["nll_averaging"] == 0
    assert rows[0]["auroc_mutual"] == 0.5 < rows[2]["auroc_mutual"]


def made_up(setting, members, **values):
    """Return a row: 0.1 worse than the error-free network with one member, 0.1 better with three."""
    scores = dict.fromkeys(("accuracy", "nll", "brier", "ece", "auroc_entropy", "auroc_mutual"), 0.5)
    row = {
        **setting,
        "members": members,
        "inside_images": 500,
        "outside_images": 500,
        "wrong_share": 0.1**members,
        "programming_aj": 6_000_000 * members,
        "programming_clocks": 1000 * members,
        "reading_aj": 1_000_000 * members,
        "reading_clocks": 10 * members,
        **scores,
    }
    for name in [*(f"{score}_change" for score in scores), "nll_averaging"]:
        change = 0.1 * (2 - members)
        row |= {name: change, f"{name}_low": change - 0.05, f"{name}_high": change + 0.05}
    return row | values


def test_findings_judge_by_the_intervals(options):
    rows: list[dict[str, Any]] = []
    for setting in STUDY.settings(options):
        for members in (1,) if setting["way"] == "once" else (1, 2, 3):
            rows.append(made_up(setting, members))
    found = STUDY.findings(rows)
    # The change at three members is -0.1 (-0.15 to -0.05): better where less is, worse where more is.
    assert [verdict.agrees for verdict in found.verdicts] == [True, True, False, False, True, False]
    assert "reading the array for 6 images, and the time of 100" in found.summary
    for table in found.tables:
        assert all(len(row) == len(table.columns) for row in table.rows)
    assert len(found.tables[-1].rows) == 8
    unsure = [made_up(row, row["members"], nll_change_low=-1.0, nll_change_high=1.0) for row in rows]
    assert STUDY.findings(unsure).verdicts[0].agrees is None


def test_findings_of_three_trainings_have_intervals_over_them(options):
    full = STUDY.settings(StudyOptions(False, {"mnist": Path("somewhere")}, options.folder))
    rows = [
        made_up(setting, members, nll_change=change)
        for setting in full
        for members, change in ((1, 0.3), (2, 0.2), (3, number(setting, "training_seed")))
        if setting["way"] != "once" or members == 1
    ]
    found = STUDY.findings(rows)
    assert "+2.0000 (-0.4843 to +4.4843)" in found.verdicts[0].ours  # 2 +- 4.303 / sqrt(3)
    assert found.verdicts[0].agrees is None
    assert any("trained apart" in verdict.claim for verdict in found.verdicts)
    assert "3 trainings" in found.notes[0]


def test_images_are_judged_at_the_temperature_of_the_others():
    """Even images are all right and odd ones all wrong: each half decides for the other."""
    labels = np.tile([0, 1], 50).astype(np.uint8)
    logits = np.zeros((1, 110, 2))
    logits[:, :, 0] = 1.0
    confidence = random_weights._scored(logits, labels).confidence
    assert confidence[::2].max() < 0.55
    assert confidence[1::2].min() > 0.95
