"""What a network file or a manifest holds: as plain JSON types, and for a terminal."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from spinbnn.golden.errors import CapacityError
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.layers import Affine, Conv, Head, Layer, MultiThreshold, Pool, Threshold
from spinbnn.golden.network import Network
from spinbnn.golden.placement import place
from spinbnn.hw.manifest import Manifest, ManifestError
from spinbnn.sim import show
from spinbnn.sim.job_report import layer_loops, machine_title, network_title
from spinbnn.sim.machine_options import Machine
from spinbnn.sim.schedule import predict_steady_clocks, predict_utilisation

_HEADS = {Threshold: "threshold", MultiThreshold: "multi_threshold", Affine: "affine"}


def network(loaded: Network, source: str, machine: Machine) -> tuple[dict[str, Any], RenderableType]:
    """Describe a network, and where it lies in a machine; that it does not fit is part of the answer.

    Parameters
    ----------
    loaded : Network
    source : str
        Where it comes from.
    machine : Machine
    """
    geometry, obstacle = machine.geometry, None
    try:
        geometry = machine.for_network(loaded)
    except CapacityError as error:
        obstacle = str(error)
    document: dict[str, Any] = {
        "file": source,
        "name": loaded.name,
        "inputs": loaded.inputs,
        "input_bits": loaded.input_bits,
        "input_signed": loaded.input_signed,
        "weight_bits": sum(_weights(layer) * len(layer.weight_shifts) for layer in loaded.layers),
        "layers": [_layer(layer) for layer in loaded.layers],
        "geometry": geometry.to_dict(),
        "metadata": loaded.metadata,
    }
    signs = "+1 and -1" if loaded.input_signed else f"0 to {2**loaded.input_bits - 1}"
    one_bit = all(len(layer.weight_shifts) == 1 for layer in loaded.layers)
    plain = one_bit and not any(isinstance(layer, Conv) for layer in loaded.layers)
    weights = "weights of one bit" if one_bit else "bits of weights"
    shown: list[RenderableType] = [
        Text(network_title(loaded), style="bold"),
        Text(f"inputs {signs}; {document['weight_bits']:,} {weights}"),
        _table([_cells(layer, plain) for layer in loaded.layers]),
        Text(""),
        show.heading(f"On {machine_title(geometry)}"),
    ]
    if obstacle is not None:
        document |= {"fits": False, "reason": obstacle}
        shown.append(Text(f"  does not fit: {obstacle}"))
    else:
        placement = place(loaded, geometry)
        loops = layer_loops(loaded, placement)
        document |= {
            "fits": True,
            "placement": [dataclasses.asdict(placed) for placed in placement.layers],
            "rows": sum(layer.rows for layer in loops),
            "threshold_rows": sum(placed.groups * placed.thresholds for placed in placement.layers[:-1]),
            "clocks": sum(layer.clocks for layer in loops),
            "steady_clocks": predict_steady_clocks(loaded, placement),
            "utilisation": predict_utilisation(loaded, placement),
        }
        shown.append(
            show.columns(
                ["layer", "sums", "groups", "words", "steps", "rows", "from row", "clocks"],
                [
                    (
                        layer.name,
                        *map(
                            show.count,
                            (
                                layer.sums,
                                layer.groups,
                                layer.words,
                                layer.steps,
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
        ratio = document["steady_clocks"] * geometry.lanes / document["clocks"]
        shown.append(
            Text(
                f"  steady: {document['steady_clocks']:,.1f} clocks an image, {ratio:.4f} of the loops, "
                f"utilisation {document['utilisation']:.1%}"
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


def _layer(layer: Layer) -> dict[str, Any]:
    """Return a layer as JSON types; what only some layers have is there where they have it."""
    least, most = _range(layer.head)
    fields: dict[str, Any] = {
        "name": layer.name,
        "inputs": layer.inputs,
        "outputs": layer.outputs,
        "head": _HEADS[type(layer.head)],
        "least": least,
        "most": most,
    }
    if isinstance(layer.head, MultiThreshold):
        fields |= {"bits": layer.head.bits, "low": layer.head.low, "thresholds": len(layer.head.values)}
    if isinstance(layer, Conv):
        fields |= {
            "input_shape": list(layer.input_shape),
            "output_shape": list(layer.output_shape),
            "kernel": list(layer.kernel),
            "stride": list(layer.stride),
            "padding": list(layer.padding),
            "pad_value": layer.pad_value,
        }
        if layer.pool is not None:
            fields["pool"] = dataclasses.asdict(layer.pool)
    if layer.weight_shifts != (0,):
        fields["weight_shifts"] = list(layer.weight_shifts)
    if layer.relu:
        fields["relu"] = True
    if layer.residual is not None:
        fields["residual"] = layer.residual
    return fields


def _range(head: Head) -> tuple[int, int]:
    """Return the least and the most of a head's thresholds or scales."""
    values = head.scale if isinstance(head, Affine) else head.values
    return int(values.min()), int(values.max())


def _weights(layer: Layer) -> int:
    return layer.neurons * layer.sum_length


def _cells(layer: Layer, plain: bool) -> dict[str, str]:
    """Return a layer's line for the terminal, by column; empty where it has nothing to say.

    Where a network is `plain`, its weights are inputs by outputs, and go without saying.
    """
    least, most = _range(layer.head)
    planes = f" x {len(layer.weight_shifts)} bits" if len(layer.weight_shifts) > 1 else ""
    cells = {
        "layer": layer.name,
        "inputs": show.count(layer.inputs),
        "outputs": show.count(layer.outputs),
        "kernel": "",
        "stride": "",
        "padding": "",
        "relu": "yes" if layer.relu else "",
        "pool": "",
        "adds": layer.residual or "",
        "head": _HEADS[type(layer.head)],
        "activations": "",
        "weights": "" if plain else f"{_weights(layer):,}{planes}",
        "thresholds or scales": f"{least:,} to {most:,}",
    }
    if isinstance(layer.head, MultiThreshold):
        high = layer.head.low + len(layer.head.values)
        cells["activations"] = f"{layer.head.low} to {high}, {layer.head.bits} bits"
    if isinstance(layer, Conv):
        cells |= {
            "inputs": _by(*layer.input_shape),
            "outputs": _by(*layer.output_shape),
            "kernel": _by(*layer.kernel),
            "stride": _by(*layer.stride) if layer.stride != (1, 1) else "",
            "padding": _padding(layer),
            "pool": _pool(layer.pool),
        }
    return cells


def _by(*sizes: int) -> str:
    return "x".join(str(size) for size in sizes)


def _padding(layer: Conv) -> str:
    """Return the pixels at the top, left, bottom and right, once if they are equal, and what they hold."""
    if not any(layer.padding):
        return ""
    sizes = layer.padding if len(set(layer.padding)) > 1 else layer.padding[:1]
    value = f" of {layer.pad_value:+}" if layer.pad_value else ""
    return f"{','.join(str(size) for size in sizes)}{value}"


def _pool(pool: Pool | None) -> str:
    if pool is None:
        return ""
    stride = f"/{_by(*pool.stride)}" if pool.stride != pool.size else ""
    return f"{pool.kind} {_by(*pool.size)}{stride}"


def _table(rows: list[dict[str, str]]) -> RenderableType:
    """Return a table of the columns in which any layer has something to say."""
    names = [name for name in rows[0] if any(row[name] for row in rows)]
    return show.columns(names, [[row[name] for name in names] for row in rows])


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
