"""What the commands have in common to give out what they found."""

# What prints is imported when a command prints, so that help is quick.
# ruff: noqa: PLC0415

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spinbnn.golden.errors import SpinbnnError

if TYPE_CHECKING:
    from rich.console import RenderableType

OUTPUT = "Output"
"""Name of the options' panel in the help."""

Json = Annotated[
    bool,
    typer.Option("--json", help="Print JSON, and nothing else, on standard output.", rich_help_panel=OUTPUT),
]


def check_writable(path: Path) -> None:
    """See, before anything is made, that a file can be written here.

    Raises
    ------
    SpinbnnError
        If it cannot.
    """
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise SpinbnnError(f"{path} cannot be written: name a file in a writable folder")


def print_shown(shown: "RenderableType") -> None:
    """Print on standard output."""
    from rich.console import Console

    Console(highlight=False).print(shown, crop=False)  # a long verdict stays one line


def print_json(document: dict[str, Any]) -> None:
    """Print as JSON on standard output."""
    typer.echo(json.dumps(document, indent=2))
