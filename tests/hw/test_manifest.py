"""The manifest: what is written is read back, and what is no manifest is named."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from spinbnn.golden.errors import GeometryError, SpinbnnError
from spinbnn.golden.geometry import Geometry
from spinbnn.hw.manifest import Manifest, ManifestError

FIELDS = "counters, files, geometry, injector, network, ports, registers, schema_version, version"
WRITTEN = "expected the spinbnn.json that `spinbnn generate` writes"


@pytest.fixture
def manifest() -> Manifest:
    return Manifest(
        version="1.2.3",
        geometry=Geometry.from_preset("5x24").to_dict(),
        injector=False,
        ports=[{"name": "clk", "direction": "input", "width": 1}],
        registers=[{"name": "ID", "offset": 0, "description": "Ü.", "fields": []}],
        counters={"row_programs": 0},
        files={"spinbnn.sv": "0" * 64},
        network={"name": "net", "input_elements": 3, "input_planes": 8, "layers": []},
    )


def test_what_is_written_is_read_back(manifest: Manifest, tmp_path: Path) -> None:
    path = tmp_path / "spinbnn.json"
    path.write_text(manifest.to_json(), encoding="utf-8")
    assert Manifest.load(path) == manifest
    assert Manifest.load(path).schema_version == 2


def test_the_file_is_plain_json(manifest: Manifest) -> None:
    values = json.loads(manifest.to_json())
    assert values == manifest.to_dict()
    assert values["network"]["input_planes"] == 8
    assert manifest.to_json().endswith("}\n")


def rejects(path: Path, text: str) -> None:
    with pytest.raises(ManifestError, match=f"^{re.escape(f'{path}: {text}')}$"):
        Manifest.load(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    rejects(tmp_path / "x.json", "cannot be read (No such file or directory), expected a manifest")


def test_a_folder(tmp_path: Path) -> None:
    rejects(tmp_path, "cannot be read (Is a directory), expected a manifest")


@pytest.mark.parametrize("content", [b"", b"module spinbnn();", b'{"version": "1', b"\xff\xfe\x00"])
def test_no_json(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    rejects(path, "is no JSON, expected a manifest as `spinbnn generate` writes it")


@pytest.mark.parametrize("values", [[], 3, None, "spinbnn", {}, {"version": "1.2.3"}])
def test_other_json(values: Any, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps(values))
    rejects(path, f"is no manifest, {WRITTEN}")


@pytest.mark.parametrize(("version", "shown"), [(1, "1"), (3, "3"), ("2", "'2'"), (None, "None")])
def test_another_schema(version: Any, shown: str, manifest: Manifest, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps(manifest.to_dict() | {"schema_version": version}))
    rejects(path, f"has schema version {shown}, expected 2")


def test_missing_and_unknown_fields(manifest: Manifest, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    values = manifest.to_dict()
    del values["ports"]
    path.write_text(json.dumps(values | {"colour": "red"}))
    rejects(path, f"lacks or does not know colour, ports, expected {FIELDS}")


def test_an_impossible_geometry(manifest: Manifest, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps(manifest.to_dict() | {"geometry": {"banks": 0}}))
    with pytest.raises(GeometryError, match=r"^banks must be 1 to 256, not 0$"):
        Manifest.load(path)


def test_the_error_is_one_of_ours() -> None:
    assert issubclass(ManifestError, SpinbnnError)
