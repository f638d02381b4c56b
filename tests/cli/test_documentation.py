"""The documents: their commands and code run, and print what they say they print."""

import contextlib
import io
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer.main

from spinbnn.golden.architectures import ARCHITECTURES
from spinbnn.sim.cli import app

from .conftest import Invoke

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in ("guide", "import", "mram"))]
TEXTS = [
    *DOCUMENTS,
    *(ROOT / "docs" / f"{name}.md" for name in ("index", "networks", "studies")),
    ROOT / "CHANGELOG.md",
]

# What differs from one machine or moment to the next.
VARYING = [
    (r"^  simulated a second .*", "  simulated a second"),
    (r"^  building the simulator .*", "  building the simulator"),
    (r"; Verilator .*", "; Verilator"),
    (r" +[0-9,]+ bytes *$", " bytes"),
]


@dataclass(frozen=True)
class Block:
    """A fenced block of a document; `output` is that of the text block that follows it."""

    kind: str
    text: str
    output: str | None


def blocks(document: Path) -> list[Block]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", document.read_text("utf-8"), re.M | re.S)
    following = [*found[1:], ("", "")]
    return [
        Block(kind, text, after[1] if after[0] == "text" else None)
        for (kind, text), after in zip(found, following, strict=True)
    ]


def commands(block: Block) -> Iterator[tuple[str, str]]:
    """Yield each command of a console block, and the output that is shown for it."""
    if block.kind == "console":
        for part in re.split(r"^\$ ", block.text, flags=re.M)[1:]:
            command, _, output = part.partition("\n")
            yield command, output


def plain(text: str) -> list[str]:
    """Return the lines without what varies, or is invisible at their ends."""
    for pattern, replacement in VARYING:
        text = re.sub(pattern, replacement, text, flags=re.M)
    return [line.rstrip() for line in text.strip("\n").splitlines()]


def is_long(command: str) -> bool:
    return command.startswith(("spinbnn run", "make "))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_and_code_print_what_the_document_shows(invoke: Invoke, document: Path) -> None:
    for block in blocks(document):
        if block.kind == "python":
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(block.text, document.name, "exec"), {})
            assert plain(printed.getvalue()) == plain(block.output or "")
        for command, output in commands(block):
            if command.startswith("python examples/"):
                assert run_example(Path(command).name, Path()) == output.splitlines()
            elif not is_long(command):
                result = invoke(*shlex.split(command)[1:])
                assert result.exit_code == 0, result.output
                assert plain(result.stdout) == plain(output), command


@pytest.mark.long
@pytest.mark.verilator
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_runs_print_what_the_document_shows(invoke: Invoke, document: Path) -> None:
    for command, output in (shown for block in blocks(document) for shown in commands(block)):
        if is_long(command):
            result = invoke(*("run" if command == "make run" else command.removeprefix("spinbnn ")).split())
            assert result.exit_code == 0, result.output
            assert plain(result.stdout) == plain(output), command


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_parses(document: Path) -> None:
    group = typer.main.get_command(app)
    shown = [command for block in blocks(document) for command, _ in commands(block)]
    shown += [line for block in blocks(document) if block.kind == "sh" for line in block.text.splitlines()]
    parsed = [shlex.split(line, comments=True)[1:] for line in shown if line.startswith("spinbnn ")]
    assert parsed
    for name, *options in parsed:
        if not name.startswith("-"):
            group.commands[name].make_context(name, options)  # type: ignore[attr-defined]


@pytest.mark.parametrize("document", TEXTS, ids=lambda path: path.name)
def test_links_lead_to_files(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", document.read_text("utf-8")):
        if not target.startswith("https://"):
            assert (document.parent / target).exists(), target


def test_presets_of_the_readme_are_as_predicted() -> None:
    command = [sys.executable, str(ROOT / "tools" / "preset_table.py")]
    table = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert len(table.splitlines()) == 2 + len(ARCHITECTURES)
    assert f"\n\n{table}\n" in (ROOT / "README.md").read_text("utf-8")


def test_make_targets_of_the_readme_exist() -> None:
    named = set(re.findall(r"(?:`|^)make ([a-z-]+)", (ROOT / "README.md").read_text("utf-8"), re.M))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    assert {"run", "test"} <= named <= targets


@pytest.mark.parametrize(
    "simulator",
    [
        pytest.param("icarus", marks=pytest.mark.icarus),
        pytest.param("verilator", marks=[pytest.mark.verilator, pytest.mark.long]),
    ],
)
def test_example_from_arrays_matches(tmp_path: Path, simulator: str) -> None:
    lines = run_example("from_arrays.py", tmp_path, simulator)
    assert lines[0] == "golden accuracy 1.0"
    assert lines[-1] == "MATCH"


def run_example(name: str, folder: Path, *args: str) -> list[str]:
    command = [sys.executable, str(ROOT / "examples" / name), *args]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()
