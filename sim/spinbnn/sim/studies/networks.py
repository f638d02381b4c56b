"""Networks that studies train: made once, and found again by their recipe and images."""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from spinbnn.golden.errors import NetworkFileError
from spinbnn.golden.network import Network
from spinbnn.golden.network_file import load_network, save_network
from spinbnn.sim.datasets import load_split
from spinbnn.sim.image_formats import digits_folder
from spinbnn.sim.studies.study import StudyOptions
from spinbnn.sim.training import Recipe, Status, export_tested, train


def trained(
    recipe: Recipe,
    data_dir: Path,
    folder: Path,
    progress: Callable[[Status], None] | None = None,
) -> Network:
    """Return the network that a recipe makes of the training images in a directory.

    It is trained once: a file in `folder`, named after recipe and images, keeps it. A training that was
    interrupted goes on from its checkpoint there; a process that asks for a network which another is
    training waits for it.

    Parameters
    ----------
    recipe : Recipe
    data_dir : Path
        The directory of the images, as `spinbnn.sim.datasets.load_split` takes it.
    folder : Path
        Made if it is not there.
    progress : callable, optional
        As in `spinbnn.sim.training.train`; not called where the network is found.

    Returns
    -------
    Network
        With the recipe and the outcome on the test images in its metadata, as `export_tested` notes them.

    Raises
    ------
    SpinbnnError
        If the images cannot be read or do not fit, `folder` cannot be written, or PyTorch is missing and the
        network is not there.
    """
    path = folder / f"{recipe.name}-{_identity(recipe, data_dir)}.npz"
    with locked(path):
        if not path.exists():
            checkpoint = path.with_suffix(".checkpoint")
            model = train(recipe, data_dir, checkpoint, progress)
            network, _ = export_tested(model, load_split(data_dir, "test"))
            save_network(network, path)
            checkpoint.unlink()
    return load_network(path)


def training_directory(options: StudyOptions, data: str) -> Path:
    """Return the directory of a data set's images; scikit-learn's digits are there without being given.

    Raises
    ------
    DataError
        If it was not given, or scikit-learn is missing.
    """
    if data == "digits" and data not in options.data:
        return digits_folder()
    return options.directory(data)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other processes that ask for the same file waiting; the folder is made.

    The lock ends with the process that holds it, whatever ends that.

    Raises
    ------
    NetworkFileError
        If the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.with_suffix(".lock").open("w")
    except OSError as error:
        raise NetworkFileError(
            f"{path.parent}: cannot be written ({error.strerror}), expected a writable folder"
        ) from None
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _identity(recipe: Recipe, data_dir: Path) -> str:
    """Return what tells a recipe and its training images from others, in 16 digits."""
    text = json.dumps([recipe.to_dict(), load_split(data_dir, "train").sha256])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
