"""The commands ``spinbnn import`` and ``spinbnn export``: networks from and to ONNX."""

# What needs the onnx package is imported when a command runs.
# ruff: noqa: PLC0415

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spinbnn.sim.interchange.problems import ModelError
from spinbnn.sim.machine_options import Machine

if TYPE_CHECKING:
    from rich.console import RenderableType

    from spinbnn.sim.interchange.importer import Imported

_MODEL, _OUTPUT = "Model", "Output"


def _needs_onnx(command: Callable[..., int]) -> Callable[..., int]:
    """Say in one line what to install where the onnx package is missing."""

    @functools.wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> int:
        try:
            return command(*args, **kwargs)
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] not in ("onnx", "google"):
                raise
            raise ModelError("the onnx package must be installed: pip install 'spinbnn[onnx]'") from None

    return wrapper


@_needs_onnx
def import_model(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="An ONNX or QONNX model (.onnx).")],
    *,
    machine: Machine,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The network file to write. Without it: MODEL.npz, here.",
            show_default=False,
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    input_form: Annotated[
        str | None,
        typer.Option(
            "--input",
            metavar="FORM",
            help="What the model is given for a pixel of 0 to 255: unit (0 to 1), raw (0 to 255), symmetric "
            "(-1 to 1), SCALE,OFFSET (scale * pixel + offset, such as 1/255,-1/2), or bipolar (elements are "
            "+1 and -1). Without it: unit, or raw if the model takes bytes.",
            show_default=False,
            rich_help_panel=_MODEL,
        ),
    ] = None,
    sign_of_zero: Annotated[
        str,
        typer.Option(
            metavar="WHAT",
            help="A Sign of the model that can meet exactly 0, for which ONNX gives 0: refuse, or plus (take "
            "it as +1).",
            rich_help_panel=_MODEL,
        ),
    ] = "refuse",
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The network's name. Without it: that of the file.",
            show_default=False,
            rich_help_panel=_MODEL,
        ),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print JSON, and nothing else, on standard output.", rich_help_panel=_OUTPUT
        ),
    ] = False,
) -> int:
    """Turn a model from ONNX or QONNX into a network file, exactly.

    Quantisers, batch normalisation and scales are folded into integer thresholds
    that decide as the model does. Prints what was folded, and how the network maps
    to a machine. A model that is not supported is refused, with all nodes that are
    in the way. Needs the extra "onnx" of this package.

    [bold]Examples[/]

      spinbnn import tfc_1w1a.onnx

      spinbnn import cnv.onnx -o cnv.npz --geometry 64x64

      spinbnn import mine.onnx --input symmetric --sign-of-zero plus
    """
    from spinbnn.golden.network_file import save_network
    from spinbnn.sim import describe
    from spinbnn.sim.interchange.importer import import_network
    from spinbnn.sim.interchange.inputs import InputForm

    form = None if input_form is None else InputForm.parse(input_form)
    imported = import_network(model, input_form=form, sign_of_zero=sign_of_zero, name=name)
    output = output or Path(f"{model.stem}.npz")
    save_network(imported.network, output)
    document, shown = describe.network(imported.network, str(output), machine)
    if as_json:
        import json

        typer.echo(json.dumps(_document(imported) | {"network": document}, indent=2))
    else:
        _print(_shown(imported, output), shown)
    return 0


def _document(imported: "Imported") -> dict[str, Any]:
    import dataclasses

    return {
        "folded": [dataclasses.asdict(layer) for layer in imported.layers],
        "notes": list(imported.notes),
    }


def _shown(imported: "Imported", output: Path) -> "RenderableType":
    from rich.console import Group
    from rich.text import Text

    from spinbnn.sim import show

    rows = []
    for layer in imported.layers:
        behind = ", ".join(layer.folded)
        rows.append((layer.layer, f"{layer.operation}{f', {behind}' if behind else ''}: {layer.into}"))
    return Group(
        show.heading("Folded"),
        show.named(rows),
        *(Text(f"  {note}") for note in imported.notes),
        Text(f"  written to {output}"),
        Text(""),
    )


def _print(*shown: "RenderableType") -> None:
    from rich.console import Console

    console = Console(highlight=False)
    for each in shown:
        console.print(each, crop=False)


@_needs_onnx
def export_model(
    network: Annotated[
        Path, typer.Argument(metavar="NETWORK", help="A network file (.npz), or a network's name.")
    ],
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The model to write. Without it: NETWORK.onnx, here.",
            show_default=False,
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
) -> int:
    """Write a network as an ONNX model of standard operations.

    Its input is what the network takes, bytes [n, K] with maps channels last; its
    output the integer logits, exact in any ONNX runtime: others can check this
    package by it. Needs the extra "onnx" of this package.

    [bold]Examples[/]

      spinbnn export mine.npz

      spinbnn export mnist_1024 -o mnist_1024.onnx
    """
    from spinbnn.sim.interchange.exporter import export_network
    from spinbnn.sim.named_networks import load_named

    output = output or Path(f"{network.stem}.onnx")
    export_network(load_named(network), output)
    typer.echo(f"{output}: {output.stat().st_size:,} bytes")
    return 0
