"""Generate an accelerator: Verilog, manifest, register map, FuseSoC core, and a network's memory images."""

import hashlib
import json
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from amaranth.lib.wiring import In

from spinbnn.golden.errors import SpinbnnError
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.mram import counter_indices
from spinbnn.golden.network import Network
from spinbnn.golden.placement import Placement, place, program_rows
from spinbnn.hw import program_stream
from spinbnn.hw.accelerator import Accelerator
from spinbnn.hw.descriptor import descriptor_words, logit_words, step_words, threshold_words
from spinbnn.hw.library import TOP, ports, used
from spinbnn.hw.manifest import Manifest
from spinbnn.hw.register_documents import c_header, register_document
from spinbnn.hw.registers import REGISTERS, Register
from spinbnn.hw.verilog import emit_verilog


def generate(
    output_dir: Path, geometry: Geometry, *, network: Network | None = None, injector: bool = True
) -> Manifest:
    """Write an accelerator to a folder.

    Parameters
    ----------
    output_dir : Path
        Folder, made if it is not there. Files of an earlier generation are replaced, or removed if this one
        does not write them; nothing else is touched.
    geometry : Geometry
        Machine size.
    network : Network, optional
        Network to place: adds its descriptor, threshold, logit and program-stream images.
    injector : bool
        Whether write errors are injected.

    Returns
    -------
    Manifest
        What was written; also in ``spinbnn.json``.

    Raises
    ------
    GeometryError
        If an option of the memory needs the injector and there is none.
    CapacityError
        If the network does not fit.
    SpinbnnError
        If the folder cannot be written. Nothing is half written in any case.
    """
    placement = place(network, geometry) if network else None
    texts = {
        "spinbnn.sv": emit_verilog(geometry, injector=injector),
        "spinbnn.core": _core_file(),
        "lint.vlt": files("spinbnn.hw").joinpath("lint.vlt").read_text(encoding="utf-8"),
        "registers.rdl": files("spinbnn.hw").joinpath("registers.rdl").read_text(encoding="utf-8"),
        "registers.h": c_header(),
        "registers.md": register_document(),
    }
    if network and placement:
        texts |= _network_images(network, placement)
    manifest = Manifest(
        version=version("spinbnn"),
        geometry=geometry.to_dict(),
        injector=injector,
        ports=_port_list(geometry, injector),
        registers=[_register(register) for register in REGISTERS.built(geometry, injector=injector)],
        counters=counter_indices(geometry),
        files={name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()},
        network=_network_summary(network) if network else None,
    )
    _write_all(output_dir, texts | {"spinbnn.json": manifest.to_json()})
    return manifest


def _write_all(output_dir: Path, texts: dict[str, str]) -> None:
    """Write all files beside their places first, then move them in: a failure leaves nothing half written."""
    missing: list[Path] = []
    try:
        missing = [folder for folder in (output_dir, *output_dir.parents) if not folder.exists()]
        output_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".part-", dir=output_dir) as part:
            for name, text in texts.items():
                Path(part, name).write_text(text, encoding="utf-8")
            for name in _files_of_manifest(output_dir) - set(texts):
                (output_dir / name).unlink(missing_ok=True)
            for name in texts:
                Path(part, name).replace(output_dir / name)
    except OSError as error:
        for folder in missing:
            with suppress(OSError):
                folder.rmdir()
        raise SpinbnnError(
            f"{output_dir}: cannot be written ({error.strerror}), expected a folder in a writable place"
        ) from None


def _files_of_manifest(folder: Path) -> set[str]:
    """Return the names of the files that an earlier generation wrote to a folder."""
    try:
        names = json.loads((folder / "spinbnn.json").read_text(encoding="utf-8"))["files"]
        return {name for name in names if Path(name).name == name}
    except (OSError, ValueError, LookupError, TypeError):
        return set()  # not a manifest of ours


def _port_list(geometry: Geometry, injector: bool) -> list[dict[str, Any]]:
    inputs = [("clk", True, 1), ("rst", True, 1)]
    top = used(Accelerator(geometry, injector=injector))
    of_signature = [(name, member.flow == In, len(value)) for name, member, value in ports(top)]
    return [
        {"name": name, "direction": "input" if is_input else "output", "width": width}
        for name, is_input, width in inputs + of_signature
    ]


def _register(register: Register) -> dict[str, Any]:
    return {
        "name": register.name,
        "offset": register.offset,
        "description": register.description,
        "options": list(register.options),
        "fields": [
            {"name": f.name, "low": f.low, "width": f.width, "reset": f.reset, "access": f.access}
            for f in register.fields
        ],
    }


def _network_summary(network: Network) -> dict[str, Any]:
    return {
        "name": network.name,
        "input_elements": network.inputs,
        "input_planes": network.input_bits,
        "layers": [
            {"name": layer.name, "inputs": layer.inputs, "outputs": layer.outputs} for layer in network.layers
        ],
    }


def _core_file() -> str:
    return f"""CAPI=2:
name: ::{TOP}:{version("spinbnn")}
description: Binarized-neural-network accelerator with weights in banked MRAM
filesets:
  rtl:
    files: [spinbnn.sv]
    file_type: systemVerilogSource
  waivers:
    files: [lint.vlt]
    file_type: vlt
targets:
  default: &default
    filesets: [rtl]
    toplevel: {TOP}
  lint:
    <<: *default
    filesets: [waivers, rtl]
    flow: lint
    flow_options:
      tool: verilator
      verilator_options: [-Wall]
"""


def _hex(values: Iterable[Any], digits: int) -> str:
    return "".join(f"{int(value):0{digits}x}\n" for value in values)


def _network_images(network: Network, placement: Placement) -> dict[str, str]:
    """Contents of the tables and the program stream, for ``$readmemh``."""
    geometry = placement.geometry
    packets = program_rows(network, placement, geometry)
    stream = [
        f"// layer {network.layers[packet.layer].name}: rows from {packet.row}, banks {packet.bank} to "
        f"{packet.bank + packet.bank_count - 1}; operating point 0; tlast on the last beat\n"
        + _hex(program_stream.beats(packet, point=0), 16)
        for packet in packets
    ]
    return {
        "descriptors.hex": _hex(descriptor_words(network, placement).ravel(), 8),
        "steps.hex": _hex(step_words(placement).ravel(), 8),
        "thresholds.hex": _hex(threshold_words(network, placement, geometry).ravel(), 8),
        "logits.hex": _hex(logit_words(network).ravel(), 8),
        "program.hex": "".join(stream),
    }
