"""The manifest: what a generated accelerator is, for programs to read."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from spinbnn.golden.errors import SpinbnnError
from spinbnn.golden.geometry import Geometry

SCHEMA_VERSION = 2


class ManifestError(SpinbnnError):
    """A manifest that cannot be read."""


@dataclass(frozen=True)
class Manifest:
    """Everything about a generated accelerator that is not in its Verilog, or hard to find there.

    Attributes
    ----------
    version : str
        Version of spinbnn that generated it.
    geometry : dict
        Fields of `Geometry`; ``memory`` is a dict of the options of the memory.
    injector : bool
        Whether write errors are injected.
    ports : list of dict
        ``name``, ``direction`` and ``width`` of every port of the top module.
    registers : list of dict
        ``name``, ``offset``, ``description``, ``options`` (those for one of which it is there; none if every
        machine has it) and ``fields`` of every register of the machine.
    counters : dict of str to int
        Name and index of the per-bank counters of the machine, and of those of its lanes.
    files : dict of str to str
        SHA-256 of every generated file, by its name.
    network : dict or None
        The network that was placed: ``name``, ``input_elements``, ``input_planes`` and ``layers``, each with
        its ``name``, ``inputs`` and ``outputs``.
    schema_version : int
        Version of this format.
    """

    version: str
    geometry: dict[str, Any]
    injector: bool
    ports: list[dict[str, Any]]
    registers: list[dict[str, Any]]
    counters: dict[str, int]
    files: dict[str, str]
    network: dict[str, Any] | None = None
    schema_version: int = field(default=SCHEMA_VERSION)

    def to_dict(self) -> dict[str, Any]:
        """All attributes as plain JSON types."""
        return asdict(self)

    def to_json(self) -> str:
        """Text of the manifest file."""
        return json.dumps(self.to_dict(), indent=2) + "\n"

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a manifest.

        Raises
        ------
        ManifestError
            If the file cannot be read or is no manifest of this version.
        """
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise ManifestError(f"{path}: cannot be read ({error.strerror}), expected a manifest") from None
        except ValueError:
            raise ManifestError(
                f"{path}: is no JSON, expected a manifest as `spinbnn generate` writes it"
            ) from None
        names = set(cls.__dataclass_fields__)
        if not isinstance(values, dict) or "schema_version" not in values:
            raise ManifestError(
                f"{path}: is no manifest, expected the spinbnn.json that `spinbnn generate` writes"
            )
        if values["schema_version"] != SCHEMA_VERSION:
            raise ManifestError(
                f"{path}: has schema version {values['schema_version']!r}, expected {SCHEMA_VERSION}"
            )
        if set(values) != names:
            odd = ", ".join(sorted(set(values) ^ names))
            raise ManifestError(f"{path}: lacks or does not know {odd}, expected {', '.join(sorted(names))}")
        manifest = cls(**values)
        Geometry.from_dict(manifest.geometry)
        return manifest
