"""What a network file or a manifest holds: as plain JSON types, and for a terminal."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from spinbnn.golden.errors import CapacityError
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.layers import Dense, Threshold
from spinbnn.golden.network_file import load_network
from spinbnn.golden.placement import place
from spinbnn.hw.manifest import Manifest, ManifestError
from spinbnn.sim import show
from spinbnn.sim.report import layer_loops, machine_title, network_title


def network(path: Path, geometry: Geometry) -> tuple[dict[str, Any], RenderableType]:
    """Describe a network file, and where it lies in a machine; that it does not fit is part of the answer.

    Raises
    ------
    NetworkFileError
        If the file cannot be read.
    """
    loaded = load_network(path)
    document: dict[str, Any] = {
        "file": str(path),
        "name": loaded.name,
        "inputs": loaded.inputs,
        "input_bits": loaded.input_bits,
        "input_signed": loaded.input_signed,
        "weight_bits": sum(layer.inputs * layer.outputs for layer in loaded.layers),
        "layers": [_layer(layer) for layer in loaded.layers],
        "geometry": geometry.to_dict(),
        "metadata": loaded.metadata,
    }
    signs = "+1 and -1" if loaded.input_signed else f"0 to {2**loaded.input_bits - 1}"
    rows = [
        (
            layer["name"],
            *(show.count(layer[key]) for key in ("inputs", "outputs")),
            layer["head"],
            _range(layer),
        )
        for layer in document["layers"]
    ]
    shown: list[RenderableType] = [
        Text(network_title(loaded), style="bold"),
        Text(f"inputs {signs}; {document['weight_bits']:,} weights of one bit"),
        show.columns(["layer", "inputs", "outputs", "head", "thresholds or scales"], rows),
        Text(""),
        show.heading(f"On {machine_title(geometry)}"),
    ]
    try:
        placement = place(loaded, geometry)
    except CapacityError as error:
        document |= {"fits": False, "reason": str(error)}
        shown.append(Text(f"  does not fit: {error}"))
    else:
        loops = layer_loops(loaded, placement)
        document |= {
            "fits": True,
            "placement": [dataclasses.asdict(placed) for placed in placement.layers],
            "rows": sum(layer.rows for layer in loops),
            "threshold_rows": sum(placed.groups for placed in placement.layers[:-1]),
            "clocks": sum(layer.clocks for layer in loops),
        }
        shown.append(
            show.columns(
                ["layer", "groups", "words", "planes", "rows", "from row", "clocks"],
                [
                    (
                        layer.name,
                        *map(
                            show.count,
                            (
                                layer.groups,
                                layer.words,
                                layer.planes,
                                layer.rows,
                                placed.row_base,
                                layer.clocks,
                            ),
                        ),
                    )
                    for layer, placed in zip(loops, placement.layers, strict=True)
                ],
            )
        )
        lanes = f"{geometry.lanes} images" if geometry.lanes > 1 else "an image"
        shown.append(
            Text(
                f"  {document['rows']} of {geometry.rows} rows, {document['threshold_rows']} of "
                f"{geometry.threshold_rows} threshold rows, {document['clocks']:,} clocks {lanes}"
            )
        )
    if loaded.metadata:
        shown += [Text(""), show.heading("Metadata"), show.named(_flat(loaded.metadata))]
    return document, Group(*shown)


def _flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return nested values as one list of dotted names and texts."""
    rows = []
    for name, value in values.items():
        if isinstance(value, dict):
            rows += _flat(value, f"{prefix}{name}.")
        else:
            rows.append((f"{prefix}{name}", value if isinstance(value, str) else json.dumps(value)))
    return rows


def _layer(layer: Dense) -> dict[str, Any]:
    threshold = isinstance(layer.head, Threshold)
    values = layer.head.values if isinstance(layer.head, Threshold) else layer.head.scale
    return {
        "name": layer.name,
        "inputs": layer.inputs,
        "outputs": layer.outputs,
        "head": "threshold" if threshold else "affine",
        "least": int(values.min()),
        "most": int(values.max()),
    }


def _range(layer: dict[str, Any]) -> str:
    return f"{layer['least']:,} to {layer['most']:,}"


def manifest(path: Path) -> tuple[dict[str, Any], RenderableType]:
    """Describe the manifest of generated hardware.

    Raises
    ------
    ManifestError
        If the file cannot be read or is no manifest.
    """
    loaded = Manifest.load(path)
    try:
        return loaded.to_dict(), _manifest_text(loaded)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ManifestError(f"{path}: is damaged ({error!r}): generate the hardware anew") from None


def _manifest_text(manifest: Manifest) -> RenderableType:
    geometry = Geometry.from_dict(manifest.geometry)
    memory = ", ".join(geometry.memory.built) or "no options"
    title = machine_title(geometry)
    injector = "with" if manifest.injector else "without"
    shown: list[RenderableType] = [
        Text(title, style="bold"),
        Text(f"generated by spinbnn {manifest.version}, {injector} the write-error injector"),
    ]
    if manifest.network is not None:
        sizes = [f"{layer['inputs']} to {layer['outputs']}" for layer in manifest.network["layers"]]
        shown.append(Text(f"with the images of network {manifest.network['name']}: {', '.join(sizes)}"))
    parts = {
        "Parameters": show.pairs(
            [(name, str(value)) for name, value in (manifest.geometry | {"memory": memory}).items()]
        ),
        "Ports": show.pairs(
            [(port["name"], str(port["width"]), port["direction"]) for port in manifest.ports]
        ),
        "Registers": show.pairs(
            [
                (register["name"], f"0x{register['offset']:03X}", register["description"])
                for register in manifest.registers
            ]
        ),
        "Counters of a bank": show.pairs([(name, str(index)) for name, index in manifest.counters.items()]),
        "Files, first digits of SHA-256": show.named(
            [(name, digest[:16]) for name, digest in manifest.files.items()]
        ),
    }
    for heading, table in parts.items():
        shown += [Text(""), show.heading(heading), table]
    return Group(*shown)
