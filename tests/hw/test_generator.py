"""What `generate` writes: all of it or nothing, and all of it true."""

import errno
import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spinbnn.golden.encoding import unpack
from spinbnn.golden.errors import CapacityError, SpinbnnError
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.mram import COUNTERS
from spinbnn.golden.network import Network, random_network
from spinbnn.golden.placement import place, stored_network
from spinbnn.hw import generator
from spinbnn.hw.descriptor import descriptor_words, logit_words, step_words, threshold_words
from spinbnn.hw.manifest import Manifest
from spinbnn.hw.registers import REGISTERS
from tests.hw.conftest import Emitted

GEOMETRY = Geometry.from_preset("4x8x3")
HARDWARE = {"spinbnn.sv", "spinbnn.core", "lint.vlt", "registers.rdl", "registers.h", "registers.md"}
IMAGES = {"descriptors.hex", "steps.hex", "thresholds.hex", "logits.hex", "program.hex"}
NETWORK = random_network((19, 13, 10), seed=1)

Generate = Callable[..., Manifest]


@pytest.fixture
def generate(emitted: Emitted, monkeypatch: pytest.MonkeyPatch) -> Generate:
    """Return `generate`, with Verilog that need not be emitted anew each time."""
    monkeypatch.setattr(generator, "emit_verilog", emitted)
    return generator.generate


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_files_and_manifest(generate: Generate, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    manifest = generate(folder, GEOMETRY, network=NETWORK)
    assert everything(folder) == sorted(HARDWARE | IMAGES | {"spinbnn.json"})
    assert Manifest.load(folder / "spinbnn.json") == manifest
    assert manifest.files.keys() == HARDWARE | IMAGES
    for name, digest in manifest.files.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert manifest.geometry == GEOMETRY.to_dict()
    assert manifest.injector
    assert manifest.counters == {name: index for index, name in enumerate(COUNTERS)}
    assert manifest.network == {
        "name": NETWORK.name,
        "input_elements": 19,
        "input_planes": 8,
        "layers": [
            {"name": layer.name, "inputs": inputs, "outputs": outputs}
            for layer, inputs, outputs in zip(NETWORK.layers, (19, 13), (13, 10), strict=True)
        ],
    }


def test_hardware_alone(generate: Generate, tmp_path: Path) -> None:
    manifest = generate(tmp_path, GEOMETRY, injector=False)
    assert everything(tmp_path) == sorted(HARDWARE | {"spinbnn.json"})
    assert manifest.network is None
    assert not manifest.injector
    assert "sfc64" not in (tmp_path / "spinbnn.sv").read_text()


def test_a_second_generation_gives_the_same_bytes(generate: Generate, tmp_path: Path) -> None:
    generate(tmp_path, GEOMETRY, network=NETWORK)
    first = contents(tmp_path)
    generate(tmp_path, GEOMETRY, network=NETWORK)
    assert contents(tmp_path) == first


def test_images_of_an_earlier_network_go(generate: Generate, tmp_path: Path) -> None:
    generate(tmp_path, GEOMETRY, network=NETWORK)
    generate(tmp_path, GEOMETRY)
    assert everything(tmp_path) == sorted(HARDWARE | {"spinbnn.json"})


def test_a_manifest_of_another_tool_removes_nothing(generate: Generate, tmp_path: Path) -> None:
    (tmp_path / "mine.hex").write_text("mine")
    for text in ("no JSON", "[]", '{"files": {"../mine.hex": ""}}'):
        folder = tmp_path / "folder"
        folder.mkdir(exist_ok=True)
        (folder / "spinbnn.json").write_text(text)
        generate(folder, GEOMETRY)
        assert (tmp_path / "mine.hex").exists()


def test_other_files_stay(generate: Generate, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "spinbnn.sv").write_text("old")
    generate(tmp_path, GEOMETRY)
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert (tmp_path / "spinbnn.sv").read_text().startswith("// spinbnn ")
    assert everything(tmp_path) == sorted(HARDWARE | {"spinbnn.json", "mine.txt"})


def test_ports_are_those_of_the_verilog(generate: Generate, tmp_path: Path) -> None:
    manifest = generate(tmp_path, GEOMETRY)
    text = (tmp_path / "spinbnn.sv").read_text()
    top = re.search(r"^module spinbnn\((.*?)\);(.*?)^endmodule", text, re.S | re.M)
    assert top is not None
    declared = {
        name: (direction, int(high) + 1 if high else 1)
        for direction, high, name in re.findall(r"^  (input|output) (?:\[(\d+):0\] )?(\w+);", top[2], re.M)
    }
    assert {port["name"]: (port["direction"], port["width"]) for port in manifest.ports} == declared
    assert declared.keys() == set(re.findall(r"\w+", top[1]))
    assert declared["clk"] == declared["rst"] == ("input", 1)
    assert declared["s_axis_image_tdata"] == ("input", GEOMETRY.stream_bits)
    assert declared["s_axi_araddr"] == ("input", 12)
    assert declared["irq"] == ("output", 1)


def test_registers_are_in_the_manifest(generate: Generate, tmp_path: Path) -> None:
    manifest = generate(tmp_path, GEOMETRY)
    built = [(r.name, r.offset, list(r.options)) for r in REGISTERS.built(GEOMETRY)]
    assert [(r["name"], r["offset"], r["options"]) for r in manifest.registers] == built
    pulse = next(r for r in manifest.registers if r["name"] == "POINT_0_PULSE")
    assert pulse["fields"][0] == {"name": "clocks", "low": 0, "width": 16, "reset": 1, "access": "rw"}


def test_the_core_names_files_that_are_there(generate: Generate, tmp_path: Path) -> None:
    """FuseSoC's format: two filesets, and two targets that use them."""
    manifest = generate(tmp_path, GEOMETRY)
    core = (tmp_path / "spinbnn.core").read_text()
    assert core.startswith("CAPI=2:\n")
    assert f"\nname: ::spinbnn:{manifest.version}\n" in core
    listed = re.findall(r"^    files: \[(.*)\]$", core, re.M)
    assert listed == ["spinbnn.sv", "lint.vlt"]
    assert set(listed) <= manifest.files.keys()
    filesets = re.search(r"^filesets:\n((?:  .*\n)+)", core, re.M)
    targets = re.search(r"^targets:\n((?:  .*\n)+)", core, re.M)
    assert filesets is not None
    assert targets is not None
    assert re.findall(r"^  (\w+):", filesets[1], re.M) == ["rtl", "waivers"]
    assert re.findall(r"^  (\w+):", targets[1], re.M) == ["default", "lint"]
    assert re.findall(r"filesets: \[(.*)\]", targets[1]) == ["rtl", "waivers, rtl"]
    assert "    toplevel: spinbnn\n" in targets[1]
    assert "\t" not in core
    assert all((len(line) - len(line.lstrip())) % 2 == 0 for line in core.splitlines())


def hex_words(path: Path) -> list[list[int]]:
    """Return the words of a file for ``$readmemh``, a list for each comment that heads some."""
    blocks = re.split(r"^//.*\n", path.read_text(), flags=re.M)
    return [[int(word, 16) for word in block.split()] for block in blocks if block.strip()]


def test_table_images(generate: Generate, tmp_path: Path) -> None:
    generate(tmp_path, GEOMETRY, network=NETWORK)
    placement = place(NETWORK, GEOMETRY)
    for name, words in {
        "descriptors.hex": descriptor_words(NETWORK, placement),
        "steps.hex": step_words(placement),
        "thresholds.hex": threshold_words(NETWORK, placement, GEOMETRY),
        "logits.hex": logit_words(NETWORK),
    }.items():
        assert hex_words(tmp_path / name) == [words.ravel().tolist()], name


def test_the_program_image_holds_the_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Program an array with it as the stream's format says, and read the network back."""
    monkeypatch.setattr(generator, "emit_verilog", lambda *_, **__: "")  # not needed here
    geometry = Geometry.from_preset("3x100")
    network: Network = random_network((150, 8, 7), seed=4)
    generator.generate(tmp_path, geometry, network=network)
    cells = np.zeros((geometry.banks, geometry.rows, geometry.slices), dtype=np.uint64)
    for header, *beats in hex_words(tmp_path / "program.hex"):
        row, bank, bank_count = header & 0xFFFFFFFF, header >> 32 & 0xFFF, header >> 44 & 0xFFF
        assert header >> 56 == 0  # operating point 0
        for index in range(len(beats) // 2):
            words = beats[2 * index : 2 * index + 2]
            cells[bank + index % bank_count, row + index // bank_count] = words
    stored = stored_network(network, place(network, geometry), cells)
    for layer, read_back in zip(network.layers, stored.layers, strict=True):
        assert np.array_equal(unpack(layer.weights, layer.inputs), unpack(read_back.weights, layer.inputs))


def unwritable(folder: Path, reason: str) -> str:
    return f"^{re.escape(f'{folder}: cannot be written ({reason}), expected a folder in a writable place')}$"


def test_a_network_too_large_leaves_nothing(generate: Generate, tmp_path: Path) -> None:
    large = random_network((4000, 300, 10), seed=1)
    with pytest.raises(CapacityError, match=r"^layer 'layer0' needs input_words up to 4000"):
        generate(tmp_path / "out", GEOMETRY, network=large)
    assert everything(tmp_path) == []


def test_a_file_where_the_folder_should_be(generate: Generate, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("mine")
    with pytest.raises(SpinbnnError, match=unwritable(taken, "File exists")):
        generate(taken, GEOMETRY)
    below = taken / "below" / "it"
    with pytest.raises(SpinbnnError, match=unwritable(below, "Not a directory")):
        generate(below, GEOMETRY)
    assert contents(tmp_path) == {"taken": b"mine"}


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the disk be full when the manifest is written, which comes last."""
    write_text = Path.write_text

    def write(path: Path, *arguments: Any, **options: Any) -> int:
        if path.name == "spinbnn.json":
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_text(path, *arguments, **options)

    monkeypatch.setattr(Path, "write_text", write)


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_leaves_nothing(generate: Generate, tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    with pytest.raises(SpinbnnError, match=unwritable(folder, "No space left on device")):
        generate(folder, GEOMETRY)
    assert everything(tmp_path) == []


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_leaves_the_generation_before(generate: Generate, tmp_path: Path) -> None:
    (tmp_path / "spinbnn.sv").write_bytes(b"old")
    with pytest.raises(SpinbnnError, match=unwritable(tmp_path, "No space left on device")):
        generate(tmp_path, GEOMETRY)
    assert contents(tmp_path) == {"spinbnn.sv": b"old"}
    assert everything(tmp_path) == ["spinbnn.sv"]
