"""``spinbnn device``: tables and curves of memory technologies in every output, and bad input in one line."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import typer.main

from spinbnn.golden.device import mtj
from spinbnn.golden.device.endurance import cycles_until
from spinbnn.golden.device.mtj import Direction, Pulse
from spinbnn.golden.device.reliability import array_retention_ber
from spinbnn.golden.device.technology import MtjTechnology, load_technology, preset_names
from spinbnn.golden.device.variability import array_write_error_rate
from spinbnn.sim import device_charts, device_report
from spinbnn.sim.cli import app
from spinbnn.sim.device_report import Cell, Section

from .conftest import Invoke

PRESETS = "hfo2_rram, st_mram_22nm, st_mram_28nm, st_mram_65nm_fast, tzoufras2019"
TAKEN = "cannot be written: name a file in a writable folder"
PRESET_FOLDER = Path(mtj.__file__).parent / "presets"


def junction(name: str = "tzoufras2019") -> MtjTechnology:
    technology = load_technology(name)
    assert isinstance(technology, MtjTechnology)
    return technology


def edited(name: str, **values: str) -> str:
    """Write mine.toml, a preset with some values changed, and return its name."""
    text = (PRESET_FOLDER / f"{name}.toml").read_text("utf-8")
    for key, value in values.items():
        text, count = re.subn(
            rf"^{key} = (\{{ value = )?(\".*\"|[^,\n]+)", rf"{key} = \g<1>{value}", text, flags=re.M
        )
        assert count == 1, key
    Path("mine.toml").write_text(text, "utf-8")
    return "mine.toml"


def as_json(invoke: Invoke, *args: str) -> dict[str, Any]:
    result = invoke("device", *args, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def quick_means(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the means over an array, which take a hundred solutions each, for tests of all else."""

    def quick(technology: MtjTechnology, pulse: Pulse, direction: Direction) -> float:
        return min(1.0, 1.5 * mtj.write_error_rate(technology, pulse, direction))

    monkeypatch.setattr(device_report, "array_write_error_rate", quick)
    monkeypatch.setattr(device_charts, "array_write_error_rate", quick)


# Table I


def test_table_one_is_within_what_is_allowed(invoke: Invoke) -> None:
    rows = as_json(invoke, "--preset", "tzoufras2019", "--table1")["table_one"]
    assert [row["paper"] for row in rows] == [2.78, -0.36, -0.46, -0.32, -0.50]
    assert abs(rows[0]["ours"] / 2.78 - 1) <= 0.01
    assert all(abs(row["ours"] - row["paper"]) <= 0.02 for row in rows[1:])
    assert [row["ours"] for row in rows] == pytest.approx([2.783, -0.367, -0.476, -0.327, -0.517], abs=6e-4)
    assert all(row["within"] for row in rows)
    assert rows[0]["difference"] == pytest.approx(rows[0]["ours"] / 2.78 - 1)
    assert rows[4]["difference"] == pytest.approx(rows[4]["ours"] + 0.5)


def test_table_one_prints_both_and_the_stability(invoke: Invoke) -> None:
    result = invoke("device", "--table1")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert "Δ = 40" in lines[0]
    shown = [line.split()[-6:] for line in lines[2:7]]
    assert [row[-6] if row[-1] == "yes" else None for row in shown]
    for paper, ours in (
        ("2.78", "2.783"),
        ("-36%", "-36.7%"),
        ("-46%", "-47.6%"),
        ("-32%", "-32.7%"),
        ("-50%", "-51.7%"),
    ):
        assert any(re.search(rf" {re.escape(paper)} +{re.escape(ours)} .*yes$", line) for line in lines)


def test_table_one_of_another_stability_differs_and_says_so(invoke: Invoke) -> None:
    result = invoke("device", "--technology", edited("tzoufras2019", delta="70.0"), "--table1")
    assert result.exit_code == 1
    assert "Δ = 70" in result.stdout
    assert re.search(r"V\(1e-6\) / Vc0 .* NO$", result.stdout, re.M)


# The tables of a junction


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    from typer.testing import CliRunner

    result = CliRunner().invoke(app, ["device", "--json"], prog_name="spinbnn")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_default_is_the_paper_at_its_own_pulse(document: dict[str, Any]) -> None:
    assert document["technology"] == "tzoufras2019"
    assert document["pulse"] == {"voltage_v": 0.835, "duration_ns": 10.0}
    assert document["schema_version"] == 1


def test_error_rates_say_which_they_are(document: dict[str, Any]) -> None:
    pulse = Pulse(0.835, 10.0)
    for row, way in zip(document["at_the_pulse"], Direction, strict=True):
        assert row["wer"] == mtj.write_error_rate(junction(), pulse, way)
        assert row["array_wer"] == array_write_error_rate(junction(), pulse, way)
        assert row["array_ber"] == row["array_wer"] / 2
        energy = mtj.switched_energy(junction(), pulse, way)
        assert (row["junction_energy_aj"], row["macro_energy_aj"]) == (energy.junction_aj, energy.macro_aj)
        assert row["failed_macro_energy_aj"] == mtj.failed_energy(junction(), pulse, way).macro_aj
        assert row["array_wer"] > 1.5 * row["wer"]


def test_rows_of_voltage_and_time_are_the_models(document: dict[str, Any]) -> None:
    rows = document["against_voltage_and_time"]
    assert [row["voltage_ratio"] for row in rows] == [round(0.8 + 0.2 * step, 1) for step in range(16)]
    row = rows[6]
    for duration in (5, 10, 20):
        pulse = Pulse(row["voltage_v"], float(duration))
        assert row[f"wer_{duration}_ns"] == mtj.write_error_rate(junction(), pulse, Direction.P_TO_AP)
    assert len(row["bar"]) == 14  # 1.3e-3: two marks a decade, twenty for 1
    assert all(row["voltage_v"] < 1.2 for row in rows)
    assert [len(row["bar"]) for row in rows] == sorted((len(row["bar"]) for row in rows), reverse=True)


def test_weaker_pulses_give_their_error_rate_and_save_energy(document: dict[str, Any]) -> None:
    rows = document["voltages"]
    assert [row["wer"] for row in rows] == [1e-6, 1e-4, 1e-3, 1e-2, 1e-1]
    for row in rows:
        pulse = Pulse(row["voltage_v"], 10.0)
        assert mtj.write_error_rate(junction(), pulse, Direction.P_TO_AP) == pytest.approx(
            row["wer"], rel=1e-4
        )
        assert row["array_wer"] == array_write_error_rate(junction(), pulse, Direction.P_TO_AP)
        assert row["voltage_change"] == pytest.approx(row["voltage_v"] / rows[0]["voltage_v"] - 1)
        assert row["macro_energy_change"] == pytest.approx(
            row["macro_energy_aj"] / rows[0]["macro_energy_aj"] - 1
        )
    assert [row["macro_energy_aj"] for row in rows] == sorted(
        (r["macro_energy_aj"] for r in rows), reverse=True
    )


def test_shorter_pulses_give_their_error_rate(document: dict[str, Any]) -> None:
    for row in document["durations"]:
        pulse = Pulse(0.835, row["duration_ns"])
        assert mtj.write_error_rate(junction(), pulse, Direction.P_TO_AP) == pytest.approx(
            row["wer"], rel=1e-4
        )
        assert row["duration_change"] == pytest.approx(row["duration_ns"] / 10 - 1)


def test_the_window_is_in_order_and_names_what_is_given(document: dict[str, Any]) -> None:
    rows = {row["name"]: row for row in document["window"]}
    voltages = [row["voltage_v"] for row in document["window"]]
    assert voltages == sorted(voltages)
    assert (rows["breakdown"]["voltage_v"], rows["breakdown"]["status"]) == (1.2, "published")
    assert (rows["read"]["voltage_v"], rows["read"]["status"]) == (0.1, "assumed")
    assert rows["write, WER 1e-3"]["voltage_v"] == document["voltages"][2]["voltage_v"]
    assert rows["this write pulse"]["status"] == "computed"
    assert rows["read, at most 1e-12"]["voltage_v"] < 0.1


def test_endurance_retention_and_reading(document: dict[str, Any]) -> None:
    first, *_, last = document["endurance"]
    assert first["cycles"] == pytest.approx(1.3e13, rel=0.1)
    assert first["cycles_first"] == pytest.approx(cycles_until(1e-6, first["cycles"]), rel=1e-6)
    assert last["voltage_change"] == pytest.approx(-0.4)
    assert first["cycles_power_law"] < first["cycles"]
    day, array_day, year, *_ = document["retention"]
    assert (year["time"], year["cells"]) == ("1 year", "mean cell")
    assert year["ber_p_300_k"] == pytest.approx(0.190, abs=1e-3)
    assert year["ber_p_398_k"] == pytest.approx(0.5, abs=1e-3)
    assert (array_day["time"], array_day["cells"]) == ("1 day", "array")
    assert array_day["ber_p_300_k"] == array_retention_ber(junction(), mtj.State.P, 86400.0)
    assert array_day["ber_p_300_k"] > 5 * day["ber_p_300_k"]
    reading = {row["key"]: row for row in document["reading"]}
    assert reading["disturb"]["value"] == pytest.approx(2.0e-7, rel=0.01)
    assert reading["disturb_of_reads"]["value"] == pytest.approx(0.18, abs=0.005)
    assert reading["energy_aj"] == {
        "key": "energy_aj", "quantity": "energy of a bit read, macro", "value": 0.7e6, "status": "published"
    }  # fmt: skip


def test_every_number_of_the_preset_has_unit_status_and_source(document: dict[str, Any]) -> None:
    numbers = {row["name"]: row for row in document["numbers"]}
    assert numbers["delta"]["value"] == 40
    assert numbers["breakdown_v"] == {
        "name": "breakdown_v", "value": 1.2, "unit": "V", "status": "published", "source": "Tzoufras 2019"
    }  # fmt: skip
    assert {row["status"] for row in numbers.values()} <= {"measured", "published", "computed", "assumed"}
    assert all(row["source"] for row in numbers.values())


def test_the_text_has_every_table_of_the_json_and_fits_80_columns(
    invoke: Invoke, document: dict[str, Any]
) -> None:
    result = invoke("device")
    assert result.exit_code == 0
    assert all(len(line.rstrip()) <= 80 for line in result.stdout.splitlines())
    rate = f"{document['at_the_pulse'][0]['array_wer']:.2e}".replace("e-0", "e-")
    for shown in (
        "tzoufras2019, write pulse 0.835 V, 10 ns", rate, "WER against voltage and time", "Weaker pulses",
        "Shorter pulses", "-36.7%", "The window", "Endurance", "Retention", "Reading at 0.100 V",
        "disturb a read, AP only", "sigma_vc0", "published",
    ):  # fmt: skip
        assert shown in result.stdout, shown


@pytest.mark.usefixtures("quick_means")
def test_voltage_and_length_of_the_pulse_are_options(invoke: Invoke) -> None:
    given = as_json(invoke, "--voltage", "0.61", "--pulse-ns", "12")
    assert given["pulse"] == {"voltage_v": 0.61, "duration_ns": 12.0}
    assert given["at_the_pulse"][0]["wer"] == mtj.write_error_rate(
        junction(), Pulse(0.61, 12), Direction.P_TO_AP
    )
    assert {row["name"]: row["status"] for row in given["window"]}["this write pulse"] == "given"
    assert as_json(invoke, "--voltage", "0.61")["pulse"] == {"voltage_v": 0.61, "duration_ns": 10.0}


@pytest.mark.usefixtures("quick_means")
def test_directions_that_differ_have_rows_of_their_own(invoke: Invoke) -> None:
    mine = edited("tzoufras2019", vc0_p_to_ap_v="0.33", stray_field_ratio="0.02")
    found = as_json(invoke, "--technology", mine)
    assert {row["direction"] for row in found["voltages"]} == {"P → AP", "AP → P"}
    to_ap, to_p = found["at_the_pulse"]
    assert to_ap["wer"] > 10 * to_p["wer"]
    window = {row["name"]: row["voltage_v"] for row in found["window"]}
    of_rate = [row["voltage_v"] for row in found["voltages"] if row["wer"] == 1e-2]
    assert window["write, WER 0.01"] == max(of_rate)
    year = found["retention"][2]
    assert year["ber_p_300_k"] < year["ber_ap_300_k"]


@pytest.mark.usefixtures("quick_means")
def test_rates_that_no_pulse_gives_are_left_open(invoke: Invoke) -> None:
    found = as_json(invoke, "--pulse-ns", "1")
    assert found["voltages"][0]["voltage_v"] > 1.2
    assert found["voltages"][0]["macro_energy_aj"] is None
    assert "above breakdown" in invoke("device", "--pulse-ns", "1").stdout
    weak = as_json(invoke, "--voltage", "0.05")
    assert weak["durations"][0]["duration_ns"] is None


@pytest.mark.usefixtures("quick_means")
@pytest.mark.parametrize("name", [name for name in preset_names() if name.startswith("st_mram")])
def test_every_preset_has_its_tables(invoke: Invoke, name: str) -> None:
    result = invoke("device", "--preset", name)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(name)


# Resistive memory


def test_rram_marks_what_is_assumed(invoke: Invoke) -> None:
    found = as_json(invoke, "--preset", "hfo2_rram")
    assert found["pulse"] is None
    rows = found["energies"]
    assert [row["status_1t1r"] for row in rows] == ["published", *["assumed"] * 6, "published"]
    assert rows[0]["ber_1t1r"] == pytest.approx(1e-4)
    assert rows[-1]["ber_1t1r"] == pytest.approx(4e-2)
    assert rows[-1]["energy_divisor"] == 30
    assert all(row["ber_2t2r"] < row["ber_1t1r"] for row in rows)
    assert all(row["energy_2t2r_aj"] == 2 * row["device_energy_aj"] for row in rows)
    assert "curve assumed" in invoke("device", "--preset", "hfo2_rram").stdout


# Presets and files


def test_list_names_the_presets(invoke: Invoke) -> None:
    assert [row["name"] for row in as_json(invoke, "--list")["presets"]] == list(preset_names())
    text = invoke("device", "--list").stdout
    assert all(name in text for name in preset_names())


def test_a_copy_of_a_preset_is_that_technology(invoke: Invoke, document: dict[str, Any]) -> None:
    result = invoke("device", "--preset", "tzoufras2019", "--toml")
    assert result.exit_code == 0
    assert result.stdout == (PRESET_FOLDER / "tzoufras2019.toml").read_text("utf-8")
    Path("mine.toml").write_text(result.stdout, "utf-8")
    assert as_json(invoke, "--technology", "mine.toml") == document


# The page


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.count: dict[str, int] = {}
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1
        assert not {"src", "href"} & {name for name, _ in attributes}, "the page needs no other file"
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: Any) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.mark.usefixtures("quick_means")
@pytest.mark.parametrize(("name", "charts"), [("tzoufras2019", 6), ("hfo2_rram", 1)])
def test_page_has_tables_curves_and_the_command(invoke: Invoke, name: str, charts: int) -> None:
    text = invoke("device", "--preset", name).stdout
    result = invoke("device", "--preset", name, "--html", "out/page.html")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{text}\nout/page.html\n"
    page = Page(Path("out/page.html").read_text("utf-8"))
    assert page.open == []
    assert page.count["svg"] == charts
    words = "".join(page.words)
    assert f"spinbnn device --preset {name} --html out/page.html" in words
    assert "assumed" in words
    assert "http" not in words
    assert [path.name for path in Path("out").iterdir()] == ["page.html"]


def test_page_escapes_what_a_file_says(invoke: Invoke) -> None:
    mine = edited("hfo2_rram", description='"<b>bold</b>"')
    assert invoke("device", "--technology", mine, "--html", "page.html").exit_code == 0
    assert "&lt;b&gt;bold&lt;/b&gt;" in Path("page.html").read_text("utf-8")


# Bad input


def taken() -> None:
    Path("taken").write_text("a file")


def impossible() -> None:
    edited("tzoufras2019", delta="400.0")


def rram_file() -> None:
    edited("hfo2_rram", energy_ratio="0.5")


def not_toml() -> None:
    Path("mine.toml").write_text("kind = ")


def nothing() -> None:
    pass


CASES = [
    (nothing, ("--preset", "mine"), f"--preset must be one of {PRESETS}, not 'mine'"),
    (
        nothing,
        ("--technology", "none.toml"),
        "--technology must be a TOML file, not none.toml, which is none",
    ),
    (
        nothing,
        ("--preset", "hfo2_rram", "--technology", "mine.toml"),
        "--technology must be left out with --preset hfo2_rram, not mine.toml",
    ),
    (
        impossible,
        ("--technology", "mine.toml"),
        "mine.toml: delta.value must be a number from 20 to 100, not 400.0",
    ),
    (
        rram_file,
        ("--technology", "mine.toml"),
        "mine.toml: energy_ratio.value must be a number from 1.001 to 1e+06, not 0.5",
    ),
    (nothing, ("--voltage", "-0.5"), "--voltage must be above 0, not -0.5"),
    (nothing, ("--voltage", "nan"), "--voltage must be above 0, not nan"),
    (nothing, ("--pulse-ns", "0"), "--pulse-ns must be above 0, not 0"),
    (nothing, ("--voltage", "inf"), "voltage_v must be a number above 0 V, not inf"),
    (nothing, ("--voltage", "1.2"), "pulse voltage must be below the breakdown voltage, 1.2 V, not 1.2 V"),
    (nothing, ("--pulse-ns", "1e6"), "pulse length / tau_d must be from 0 to 10000, not 500000"),
    (
        nothing,
        ("--preset", "hfo2_rram", "--voltage", "1"),
        "--voltage must be left out for hfo2_rram, a resistive memory, of which only energies are known",
    ),
    (
        nothing,
        ("--preset", "hfo2_rram", "--pulse-ns", "1"),
        "--pulse-ns must be left out for hfo2_rram, a resistive memory, of which only energies are known",
    ),
    (
        nothing,
        ("--preset", "hfo2_rram", "--table1"),
        "technology must be a magnetic junction for Table I, not hfo2_rram",
    ),
    (
        nothing,
        ("--table1", "--html", "page.html"),
        "--html must be left out with --table1, which is text or JSON, not page.html",
    ),
    (taken, ("--preset", "hfo2_rram", "--html", "taken/page.html"), f"taken/page.html {TAKEN}"),
]


@pytest.mark.parametrize(("prepare", "options", "line"), CASES)
def test_bad_input_is_one_line_and_leaves_no_file(
    invoke: Invoke, tmp_path: Path, prepare: Any, options: tuple[str, ...], line: str
) -> None:
    prepare()
    before = sorted(tmp_path.rglob("*"))
    result = invoke("device", *options)
    assert result.stderr == f"spinbnn: error: {line}\n"
    assert (result.exit_code, result.stdout) == (2, "")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_file_that_is_no_toml_is_one_line(invoke: Invoke) -> None:
    not_toml()
    result = invoke("device", "--technology", "mine.toml")
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert result.stderr.startswith(
        "spinbnn: error: mine.toml: technology must be a TOML file, not one that gives"
    )


def test_help_teaches(invoke: Invoke) -> None:
    text = invoke("device", "--help").stdout
    assert all(
        option in text for option in ("--preset", "--technology", "--table1", "--list", "--html", "--json")
    )
    assert "per attempted switch" in text
    examples = [
        line.strip().removeprefix("spinbnn ")
        for line in text.splitlines()
        if re.match(" +spinbnn device", line)
    ]
    group = typer.main.get_command(app)
    assert len(examples) >= 5
    for example in examples:
        name, *options = example.partition(" > ")[0].split()
        group.commands[name].make_context(name, options)  # type: ignore[attr-defined]


def test_columns_that_say_nothing_are_not_shown() -> None:
    rows = (
        (Cell("both", "both"), Cell("both", "both"), Cell(1, "1")),
        (Cell("both", "both"), Cell("P → AP", "P → AP"), Cell("-", "-")),
    )
    section = Section("k", "t", "computed", (("a", "a"), ("b", "b"), ("c", "c")), rows)
    assert [section.same(index) for index in range(3)] == [True, False, False]
    assert [section.words(index) for index in range(3)] == [True, True, False]
