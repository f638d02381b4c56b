"""Technology files: what the presets hold, and one line for each way in which a file can be wrong."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spinbnn.golden.device.quantities import STATUSES
from spinbnn.golden.device.technology import MtjTechnology, load_technology, preset_names
from spinbnn.golden.errors import TechnologyError

PRESETS = Path(__file__).parents[3] / "golden/spinbnn/golden/device/presets"
TEXT = (PRESETS / "tzoufras2019.toml").read_text(encoding="utf-8")


def mtj(name: str) -> MtjTechnology:
    technology = load_technology(name)
    assert isinstance(technology, MtjTechnology)
    return technology


def test_presets_are_the_files() -> None:
    assert preset_names() == tuple(sorted(path.stem for path in PRESETS.glob("*.toml")))
    assert {"tzoufras2019", "st_mram_28nm", "st_mram_22nm", "st_mram_65nm_fast"} <= set(preset_names())


@pytest.mark.parametrize("name", preset_names())
def test_every_number_of_a_preset_has_a_source(name: str) -> None:
    technology = load_technology(name)
    assert technology.name == name
    tables = tomllib.loads((PRESETS / f"{name}.toml").read_text(encoding="utf-8"))
    numbers = {key: value for key, value in tables.items() if isinstance(value, dict)}
    assert set(technology.sources) == set(numbers)
    for key, table in numbers.items():
        assert getattr(technology, key) == table["value"]
        assert technology.sources[key] == (table["unit"], table["status"], table["source"])
        assert technology.sources[key].status in STATUSES


def test_the_papers_device() -> None:
    technology = mtj("tzoufras2019")
    assert (technology.delta, technology.tau_d_ns, technology.breakdown_v) == (40, 2, 1.2)
    assert technology.vc0_p_to_ap_v == technology.vc0_ap_to_p_v == 0.3
    assert technology.sources["tau_d_ns"] == ("ns", "published", "Tzoufras 2019")


def test_presets_differ_in_thermal_stability() -> None:
    assert mtj("st_mram_28nm").delta == mtj("st_mram_22nm").delta == 60
    assert mtj("st_mram_65nm_fast").delta == 40


def test_a_copy_of_a_preset_is_read_from_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(TEXT.replace("value = 40.0", "value = 60"), encoding="utf-8")
    for source in (path, str(path)):
        technology = load_technology(source)
        assert isinstance(technology, MtjTechnology)
        assert technology.delta == 60
        assert isinstance(technology.delta, float)


def test_thermal_stability_falls_with_temperature() -> None:
    assert mtj("tzoufras2019").with_values(temperature_k=400.0).operating_delta == pytest.approx(30)


def test_changed_values_say_that_they_were() -> None:
    technology = mtj("tzoufras2019").with_values(delta=60.0, one_state="AP")
    assert (technology.delta, technology.one_state) == (60, "AP")
    assert technology.sources["delta"] == ("1", "assumed", "set by the caller")
    assert technology.sources["tau_d_ns"].source == "Tzoufras 2019"
    assert "one_state" not in technology.sources


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"delta": 19.0}, "delta must be a number from 20 to 100, not 19.0"),
        ({"delta": 100.5}, "delta must be a number from 20 to 100, not 100.5"),
        ({"delta": float("nan")}, "delta must be a number from 20 to 100, not nan"),
        ({"tau_d_ns": True}, "tau_d_ns must be a number from 0.01 to 100 ns, not True"),
        ({"self_terminated": 1}, "self_terminated must be one of false, true, not 1"),
        ({"one_state": "p"}, "one_state must be one of 'P', 'AP', not 'p'"),
        ({"dleta": 40.0}, "name must be one of the technology's, not 'dleta' (did you mean delta?)"),
        ({"write_voltage_v": 1.2}, "write_voltage_v must be below breakdown_v, 1.2 V, not 1.2"),
    ],
)
def test_impossible_values(values: dict[str, Any], text: str) -> None:
    with pytest.raises(TechnologyError) as error:
        mtj("tzoufras2019").with_values(**values)
    assert str(error.value) == text


def replaced(old: str, new: str) -> Callable[[], str]:
    assert TEXT.count(old) == 1
    return lambda: TEXT.replace(old, new)


TAU = 'tau_d_ns = { value = 2.0, unit = "ns", status = "published", source = "Tzoufras 2019" }\n'
TAU_TABLE = 'a table { value = ..., unit = "ns", status = ..., source = ... }'


@pytest.mark.parametrize(
    ("new", "text"),
    [
        ("", f"tau_d_ns must be {TAU_TABLE}, not missing"),
        ("tau_d_ns = 2.0\n", f"tau_d_ns must be {TAU_TABLE}, not 2.0"),
        (
            'tau_d_ns = { value = 2.0, unit = "ns", status = "published" }\n',
            f"tau_d_ns must be {TAU_TABLE}, not ['status', 'unit', 'value']",
        ),
        (TAU.replace("2.0", "-2.0"), "tau_d_ns.value must be a number from 0.01 to 100 ns, not -2.0"),
        (TAU.replace("2.0", "nan"), "tau_d_ns.value must be a number from 0.01 to 100 ns, not nan"),
        (TAU.replace("2.0", '"2"'), "tau_d_ns.value must be a number from 0.01 to 100 ns, not '2'"),
        (TAU.replace('"ns"', '"ps"'), "tau_d_ns.unit must be 'ns', not 'ps'"),
        (
            TAU.replace("published", "known"),
            "tau_d_ns.status must be one of measured, published, computed, assumed, not 'known'",
        ),
        (TAU.replace('"Tzoufras 2019"', '" "'), "tau_d_ns.source must be a line of text, not ' '"),
        (TAU + "tau_ns = 1\n", "name must be one of the technology's, not 'tau_ns' (did you mean tau_d_ns?)"),
    ],
)
def test_a_number_that_is_wrong(tmp_path: Path, new: str, text: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(replaced(TAU, new)(), encoding="utf-8")
    with pytest.raises(TechnologyError) as error:
        load_technology(path)
    assert str(error.value) == f"{path}: {text}"


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ('kind = "mtj"', 'kind = "flash"', "kind must be one of 'mtj', 'rram', not 'flash'"),
        ('kind = "mtj"', "", "kind must be one of 'mtj', 'rram', not None"),
        ('one_state = "P"\n', "", "one_state must be one of 'P', 'AP', not missing"),
        (
            "self_terminated = false",
            "self_terminated = 0",
            "self_terminated must be one of false, true, not 0",
        ),
        ('name = "tzoufras2019"', "", "name must be a line of text, not missing"),
        ('name = "tzoufras2019"', 'name = ""', "name must be a line of text, not ''"),
    ],
)
def test_a_plain_entry_that_is_wrong(tmp_path: Path, old: str, new: str, text: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(replaced(old, new)(), encoding="utf-8")
    with pytest.raises(TechnologyError) as error:
        load_technology(path)
    assert str(error.value) == f"{path}: {text}"


def test_an_unknown_name_that_resembles_none(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("zzz = 1\n" + TEXT, encoding="utf-8")
    with pytest.raises(TechnologyError) as error:
        load_technology(path)
    assert str(error.value).startswith(
        f"{path}: name must be one of the technology's, not 'zzz' (they are name, "
    )


def test_no_such_technology(tmp_path: Path) -> None:
    presets = ", ".join(preset_names())
    for source in ("tzoufras", tmp_path):
        with pytest.raises(TechnologyError) as error:
            load_technology(source)
        assert str(error.value) == (
            f"technology must be a preset ({presets}) or the path of a TOML file, not '{source}'"
        )


@pytest.mark.parametrize("content", [b"kind = ", b"\xff\xfe"])
def test_a_file_that_is_no_toml(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(TechnologyError) as error:
        load_technology(path)
    assert str(error.value).startswith(f"{path}: technology must be a TOML file, not one that gives ")
    assert "\n" not in str(error.value)
