"""What a study is measured with: versions, the commit of the source, and the images it is given."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
from pathlib import Path

from spinbnn.golden.errors import DataError, SpinbnnError
from spinbnn.sim.studies.study import Study, StudyOptions

DATA_SETS = ("mnist", "fashion-mnist", "cifar10", "digits")
"""The data sets that a study can be given."""

_CIFAR_IMAGES = {"train": (50_000, 32, 32, 3), "test": (10_000, 32, 32, 3)}


def identity(study: Study, options: StudyOptions) -> dict[str, str]:
    """Return what decides the rows of a study beside its settings; see `results_file.Results.about`.

    Raises
    ------
    DataError
        If a directory does not hold the data set it is given for.
    SpinbnnError
        If PyTorch is needed and not there.
    """
    data = {name: data_hashes(name, options.data[name]) for name in sorted(options.data)}
    return {
        "study": study.name,
        "title": study.title,
        "command": command(study, options),
        "quick": json.dumps(options.quick),
        "data": json.dumps(data),
        **versions(study.needs_torch),
    }


def command(study: Study, options: StudyOptions) -> str:
    """Return the command that gives the same results; directories are the user's own."""
    quick = ["--quick"] if options.quick else []
    data = [part for name in sorted(options.data) for part in ("--data", f"{name}=DIR")]
    return " ".join(["spinbnn", "study", study.name, *quick, *data])


def versions(with_torch: bool) -> dict[str, str]:
    """Return the versions of this package and of what it computes with.

    Raises
    ------
    SpinbnnError
        If PyTorch is wanted and not there.
    """
    names = ["spinbnn", "numpy", *(["torch"] if with_torch else [])]
    try:
        return {name: importlib.metadata.version(name) for name in names}
    except importlib.metadata.PackageNotFoundError as error:
        raise SpinbnnError('training needs PyTorch: pip install "spinbnn[train]"') from error


def source_commit() -> str | None:
    """Return the commit of this package's source; with "+" where files were changed since, None elsewhere."""
    folder, file = Path(__file__).parent, Path(__file__).name
    try:
        _git(folder, "ls-files", "--error-unmatch", file)  # a repository around it may be someone else's
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
        return _git(folder, "rev-parse", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(folder: Path, *args: str) -> str:
    command = ["git", "-C", str(folder), *args]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def data_hashes(name: str, directory: Path) -> dict[str, str]:
    """Return the hashes of a data set's images and labels, "train" and "test".

    Parameters
    ----------
    name : str
        One of `DATA_SETS`.
    directory : Path

    Raises
    ------
    DataError
        If the directory holds something else.
    """
    from spinbnn.sim.datasets import TRAINING_SETS, load_split  # noqa: PLC0415 - NumPy is not needed before

    train, test = load_split(directory, "train"), load_split(directory, "test")
    hashes = {"train": train.sha256, "test": test.sha256}
    if name == "cifar10":
        right = {"train": train.images.shape, "test": test.images.shape} == _CIFAR_IMAGES
    else:
        right = TRAINING_SETS.get(hashes["train"]) == name
    if not right:
        found = TRAINING_SETS.get(hashes["train"], "images of none that is known")
        raise DataError(f"--data {name}={directory} must hold {name}; it holds {found}")
    return hashes
