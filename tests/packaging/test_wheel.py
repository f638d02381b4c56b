"""The built wheel holds all of the three packages, and works where the source tree is out of sight."""

import email
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
PACKAGES = ("golden", "hw", "sim")


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=cwd, text=True, capture_output=True, check=False)
    assert done.returncode == 0, f"{command}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder)
    (built,) = folder.glob("spinbnn-*-py3-none-any.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an environment with the wheel in it; the dependencies are those of the running one."""
    prefix = tmp_path_factory.mktemp("venv")
    venv.create(prefix, symlinks=True)
    python = prefix / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python)
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel)
    # Of a folder named in a .pth file the .pth files are not read: the source tree stays out of sight.
    (site,) = (prefix / "lib").glob("python3*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return prefix


def test_every_file_of_the_packages_is_in_the_wheel(wheel: Path) -> None:
    expected = {
        f"spinbnn/{file.relative_to(ROOT / package / 'spinbnn')}"
        for package in PACKAGES
        for file in (ROOT / package / "spinbnn").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    names = set(zipfile.ZipFile(wheel).namelist())
    info = {name for name in names if ".dist-info/" in name}
    assert names - info == expected
    assert {f"spinbnn/{package}/py.typed" for package in PACKAGES} <= expected
    assert any(name.endswith("/licenses/LICENSE") for name in info)


def test_extras_name_what_they_need(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
    needs = metadata.get_all("Requires-Dist") or []
    assert set(metadata.get_all("Provides-Extra") or []) == {"train", "onnx", "interop", "cluster", "dev"}
    assert [need for need in needs if need.endswith("extra == 'onnx'")] == ["onnx>=1.17; extra == 'onnx'"]
    assert not [need for need in needs if need.startswith(("onnx", "torch")) and "extra ==" not in need]


@pytest.mark.parametrize("package", PACKAGES)
def test_package_is_imported_from_the_wheel(installed: Path, tmp_path: Path, package: str) -> None:
    code = f"import spinbnn.{package} as p; print(p.__file__)"
    file = run(installed / "bin" / "python", "-c", code, cwd=tmp_path)
    assert Path(file.strip()).is_relative_to(installed)


def test_command_is_installed(installed: Path, tmp_path: Path) -> None:
    text = run(installed / "bin" / "spinbnn", "--help", cwd=tmp_path)
    assert "generate" in text
