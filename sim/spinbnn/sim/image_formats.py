"""Files of CIFAR-10, and of the digits that come with scikit-learn."""

from __future__ import annotations

import gzip
import importlib.util
import io
import pickle
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.errors import DataError

Split = Literal["train", "test"]
LabelledImages = tuple[NDArray[np.uint8], NDArray[Any]]

DIGITS_FILE = "digits.csv.gz"

DIGITS_TEST_IMAGES = 360
"""How many of scikit-learn's 1,797 digits, the last, are the test images; the file itself draws no line."""

_CIFAR_SHAPE = (3, 32, 32)  # how the files hold an image
_CIFAR_FILES: dict[Split, tuple[str, ...]] = {
    "train": tuple(f"data_batch_{number}" for number in range(1, 6)),
    "test": ("test_batch",),
}


def find_cifar(folder: Path, split: Split) -> list[Path]:
    """Return the batches of CIFAR-10 in a folder, all of a split or none."""
    for suffix in ("", ".bin"):
        paths = [folder / f"{name}{suffix}" for name in _CIFAR_FILES[split]]
        if all(path.is_file() for path in paths):
            return paths
    return []


def read_cifar(batches: list[Path]) -> LabelledImages:
    """Read batches of CIFAR-10 (A. Krizhevsky, "Learning multiple layers of features", 2009).

    Raises
    ------
    DataError
        If a file cannot be read or is not such a batch.
    """
    parts = [_cifar_binary(path) if path.suffix == ".bin" else _cifar_pickle(path) for path in batches]
    planes = np.concatenate([part[0] for part in parts])
    labels = np.concatenate([part[1] for part in parts])
    channels_last = planes.reshape(-1, *_CIFAR_SHAPE).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(channels_last), labels


def _cifar_binary(path: Path) -> LabelledImages:
    """Return planes and labels of records that are a byte of label and then the planes."""
    record = 1 + int(np.prod(_CIFAR_SHAPE))
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if not data.size or data.size % record:
        raise DataError(f"{path} must hold records of {record} bytes, not {data.size} bytes")
    records = data.reshape(-1, record)
    return records[:, 1:], records[:, 0]


class _ArrayUnpickler(pickle.Unpickler):
    """Reads arrays and plain values, and refuses all else: a pickle could run anything."""

    def find_class(self, module: str, name: str) -> Any:
        reconstruct = np.zeros(0).__reduce__()[0]
        known = {
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
            ("numpy.core.multiarray", "_reconstruct"): reconstruct,  # by NumPy 1
            ("numpy._core.multiarray", "_reconstruct"): reconstruct,  # by NumPy 2
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"{module}.{name} has no place in a data set")
        return known[module, name]


def _cifar_pickle(path: Path) -> LabelledImages:
    """Return planes and labels of a batch for Python."""
    try:
        content = _ArrayUnpickler(io.BytesIO(path.read_bytes()), encoding="bytes").load()
        planes, labels = np.asarray(content[b"data"]), np.array(content[b"labels"])
    except Exception as error:  # a damaged pickle makes the standard library raise nearly anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path} is not a batch of CIFAR-10 for Python: {reason}") from error
    wanted = int(np.prod(_CIFAR_SHAPE))
    if planes.dtype != np.uint8 or planes.shape[1:] != (wanted,):
        raise DataError(
            f"{path}: data must be uint8 of shape (n, {wanted}), not {planes.dtype} of shape {planes.shape}"
        )
    return planes, labels


def read_digits(path: Path, split: Split) -> LabelledImages:
    """Read scikit-learn's digits: 64 pixels of 0 to 16 and a class a line.

    Raises
    ------
    DataError
        If the file cannot be read or holds something else.
    """
    try:
        lines = gzip.decompress(path.read_bytes()).decode("ascii").split()
        table = np.array([[int(field) for field in line.split(",")] for line in lines])
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if table.ndim != 2 or table.shape[1] != 65 or len(table) <= DIGITS_TEST_IMAGES:
        raise DataError(f"{path} must hold more than {DIGITS_TEST_IMAGES} lines of 65 numbers")
    pixels, labels = table[:, :64], table[:, 64]
    if pixels.min() < 0 or pixels.max() > 16:
        raise DataError(f"{path}: pixels must be 0..16, not {pixels.min()}..{pixels.max()}")
    chosen = slice(-DIGITS_TEST_IMAGES) if split == "train" else slice(-DIGITS_TEST_IMAGES, None)
    return pixels[chosen].astype(np.uint8).reshape(-1, 8, 8), labels[chosen]


def digits_folder() -> Path:
    """Return the folder that holds scikit-learn's digits, without importing scikit-learn.

    Raises
    ------
    DataError
        If scikit-learn is not installed.
    """
    found = importlib.util.find_spec("sklearn")
    if found is None or not found.submodule_search_locations:
        raise DataError('the digits come with scikit-learn: pip install "spinbnn[train]", or name a folder')
    return Path(found.submodule_search_locations[0]) / "datasets" / "data"
