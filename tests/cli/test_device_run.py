"""``spinbnn run --technology``: the main job from a write pulse, and what its reports say of it."""

import json
from pathlib import Path

import pytest

from spinbnn.golden.device.mtj import Direction, Pulse, write_error_rate
from spinbnn.golden.device.pulse import operating_point_from_pulse
from spinbnn.golden.device.technology import MtjTechnology, load_technology
from spinbnn.golden.device.variability import array_write_error_rate
from spinbnn.sim.job import RunJob

from .conftest import Invoke

SMALL = ("run", "small.npz", "--data", "digits", "-n", "8", "--geometry", "5x24")
PULSE = ("--technology", "tzoufras2019", "--voltage", "0.61", "--pulse-ns", "12")


def junction() -> MtjTechnology:
    technology = load_technology("tzoufras2019")
    assert isinstance(technology, MtjTechnology)
    return technology


def test_the_pulse_gives_the_operating_point(invoke: Invoke, jobs: list[RunJob]) -> None:
    result = invoke(*SMALL, *PULSE, "--max-retries", "2", "--pulse-redundant")
    assert result.exit_code == 0, result.output
    expected = operating_point_from_pulse(junction(), Pulse(0.61, 12.0), max_retries=2, pulse_redundant=True)
    assert jobs[0].point == expected
    assert expected.pulse_clocks == 2
    assert jobs[0].read_bit_energy_aj == 700_000


def test_without_voltage_and_length_it_is_the_technology_s_own_pulse(
    invoke: Invoke, jobs: list[RunJob]
) -> None:
    assert invoke(*SMALL, "--technology", "tzoufras2019").exit_code == 0
    assert jobs[0].point == operating_point_from_pulse(junction(), Pulse(0.835, 10.0))


def test_a_file_may_be_the_technology(invoke: Invoke, jobs: list[RunJob]) -> None:
    text = invoke("device", "--toml").stdout.replace(
        "read_bit_energy_aj = { value = 0.7e6", "read_bit_energy_aj = { value = 0.3e6"
    )
    Path("mine.toml").write_text(text.replace('one_state = "P"', 'one_state = "AP"'), "utf-8")
    assert invoke(*SMALL, "--technology", "mine.toml", *PULSE[2:]).exit_code == 0
    assert jobs[0].read_bit_energy_aj == 300_000
    other = operating_point_from_pulse(junction(), Pulse(0.61, 12.0))
    assert (jobs[0].point.energy_01_aj, jobs[0].point.energy_10_aj) == (
        other.energy_10_aj,
        other.energy_01_aj,
    )


@pytest.mark.usefixtures("jobs")
def test_reports_name_technology_pulse_and_error_rates(invoke: Invoke) -> None:
    text = invoke(*SMALL, *PULSE).stdout
    array = array_write_error_rate(junction(), Pulse(0.61, 12.0), Direction.AP_TO_P)
    line = f"tzoufras2019 at 0.61 V, 12 ns; WER of the array {array:.3g} from 0 to 1, {array:.3g} from 1 to 0"
    assert line in " ".join(text.split())
    assert line in Path("build/run/report.html").read_text("utf-8")
    found = json.loads(Path("build/run/report.json").read_text("utf-8"))["device"]
    cell = write_error_rate(junction(), Pulse(0.61, 12.0), Direction.AP_TO_P)
    assert found == {
        "technology": "tzoufras2019", "voltage_v": 0.61, "pulse_ns": 12.0,
        "array_wer_01": pytest.approx(array), "array_wer_10": pytest.approx(array),
        "cell_wer_01": cell, "cell_wer_10": cell,
    }  # fmt: skip


@pytest.mark.usefixtures("jobs")
def test_a_run_with_error_rates_names_no_device(invoke: Invoke) -> None:
    assert "WER" not in invoke(*SMALL, "--write-error-rate", "0.01").stdout
    assert json.loads(Path("build/run/report.json").read_text("utf-8"))["device"] is None


CASES = [
    (
        ("--voltage", "0.5"),
        "--technology must be given with --voltage 0.5, to say what the pulse is on",
    ),
    (
        ("--pulse-ns", "5"),
        "--technology must be given with --pulse-ns 5, to say what the pulse is on",
    ),
    *(
        (
            (*PULSE, option, "0"),
            f"{option} must be left out with --technology tzoufras2019, whose pulse decides, not 0",
        )
        for option in ("--write-error-rate", "--p-fail-01", "--p-fail-10")
    ),
    ((*PULSE[:2], "--voltage", "0"), "--voltage must be above 0, not 0"),
    ((*PULSE[:2], "--pulse-ns", "nan"), "--pulse-ns must be above 0, not nan"),
    (
        (*PULSE[:2], "--voltage", "1.5"),
        "pulse voltage must be below the breakdown voltage, 1.2 V, not 1.5 V",
    ),
    (
        ("--technology", "hfo2_rram"),
        "technology must be a magnetic junction, with write pulses, not hfo2_rram",
    ),
    (
        ("--technology", "none"),
        "technology must be a preset (hfo2_rram, st_mram_22nm, st_mram_28nm, st_mram_65nm_fast, "
        "tzoufras2019) or the path of a TOML file, not 'none'",
    ),
]


@pytest.mark.parametrize(("options", "line"), CASES)
def test_misuse_is_one_line_and_leaves_no_file(
    invoke: Invoke, tmp_path: Path, options: tuple[str, ...], line: str
) -> None:
    before = sorted(tmp_path.rglob("*"))
    result = invoke(*SMALL, *options)
    assert result.stderr == f"spinbnn: error: {line}\n"
    assert (result.exit_code, result.stdout) == (2, "")
    assert sorted(tmp_path.rglob("*")) == before
