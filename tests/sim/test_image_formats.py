"""The readers of CIFAR-10 and of scikit-learn's digits, against files made by hand."""

import gzip
import importlib.util
import pickle
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest

from spinbnn.golden.errors import DataError
from spinbnn.sim.datasets import load_split
from spinbnn.sim.image_formats import digits_folder, read_digits

PLANES = np.random.default_rng(1).integers(0, 256, (12, 3072), dtype=np.uint8)
CLASSES = np.arange(12, dtype=np.uint8) % 10
BATCHES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]

# As Python 2 wrote {b"data": an array of two bytes, b"labels": [7]} with NumPy's old names.
OLD_PICKLE = (
    b"(dp1\nS'data'\np2\ncnumpy.core.multiarray\n_reconstruct\np3\n(cnumpy\nndarray\np4\n(I0\ntp5\nS'b'\np6\ntp7\nRp8\n"
    b"(I1\n(I1\nI3072\ntp9\ncnumpy\ndtype\np10\n(S'u1'\np11\nI0\nI1\ntp12\nRp13\n(I3\nS'|'\np14\nNNNI-1\nI-1\nI0\n"
    b"tp15\nbI00\nS'%s'\np16\ntp17\nbsS'labels'\np18\n(lp19\nI7\nas."
)


def message(call, *arguments: object) -> str:
    with pytest.raises(DataError) as caught:
        call(*arguments)
    text = str(caught.value)
    assert "\n" not in text
    return text


def write_batches(folder: Path, suffix: str) -> None:
    folder.mkdir(exist_ok=True)
    for name, planes, classes in zip(BATCHES, np.split(PLANES, 6), np.split(CLASSES, 6), strict=True):
        path = folder / f"{name}{suffix}"
        if suffix:
            path.write_bytes(np.concatenate([classes[:, np.newaxis], planes], axis=1).tobytes())
        else:
            path.write_bytes(pickle.dumps({b"data": planes, b"labels": classes.tolist()}))


@pytest.mark.parametrize(
    ("folder", "suffix"), [("cifar-10-batches-py", ""), ("cifar-10-batches-bin", ".bin")]
)
def test_cifar_is_read_in_both_forms(tmp_path, folder, suffix):
    write_batches(tmp_path / folder, suffix)
    train, test = load_split(tmp_path, "train"), load_split(tmp_path, "test")
    assert (train.images.shape, test.images.shape) == ((10, 32, 32, 3), (2, 32, 32, 3))
    np.testing.assert_array_equal(train.labels, CLASSES[:10])
    np.testing.assert_array_equal(test.labels, CLASSES[10:])
    for channel in range(3):  # a plane is 32 rows of 32 pixels of one colour
        plane = PLANES[10:, 1024 * channel : 1024 * (channel + 1)].reshape(2, 32, 32)
        np.testing.assert_array_equal(test.images[..., channel], plane)


def test_cifar_is_read_as_it_was_published(tmp_path):
    octets = bytes(range(65, 65 + 24)) * 128
    (tmp_path / "test_batch").write_bytes(OLD_PICKLE % octets)
    data = load_split(tmp_path, "test")
    assert data.images[0, 0, 0].tolist() == [octets[0], octets[1024], octets[2048]]
    assert data.labels.tolist() == [7]


def test_a_pickle_that_would_run_something_is_refused(tmp_path):
    path = tmp_path / "test_batch"
    path.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    assert message(load_split, tmp_path, "test") == (
        f"{path} is not a batch of CIFAR-10 for Python: os.system has no place in a data set"
    )


def test_damaged_batches(tmp_path):
    write_batches(tmp_path / "py", "")
    path = tmp_path / "py" / "test_batch"
    path.write_bytes(pickle.dumps({b"data": 1, b"labels": [1]}))
    assert message(load_split, tmp_path, "test") == (
        f"{path}: data must be uint8 of shape (n, 3072), not int64 of shape ()"
    )
    path.write_bytes(b"")
    assert (
        message(load_split, tmp_path, "test")
        == f"{path} is not a batch of CIFAR-10 for Python: Ran out of input"
    )
    path.unlink()
    write_batches(tmp_path / "bin", ".bin")
    path = tmp_path / "bin" / "test_batch.bin"
    path.write_bytes(bytes(3072))
    assert message(load_split, tmp_path, "test") == f"{path} must hold records of 3073 bytes, not 3072 bytes"


def test_digits_are_split_before_the_last_360(tmp_path):
    table = np.random.default_rng(2).integers(0, 10, (365, 65))
    table[0, 5] = 16
    text = "".join(",".join(map(str, row)) + "\n" for row in table)
    (tmp_path / "digits.csv.gz").write_bytes(gzip.compress(text.encode()))
    train, test = load_split(tmp_path, "train"), load_split(tmp_path, "test")
    assert (train.images.shape, test.images.shape) == ((5, 8, 8), (360, 8, 8))
    np.testing.assert_array_equal(np.concatenate([train.pixels, test.pixels]), table[:, :64])
    np.testing.assert_array_equal(np.concatenate([train.labels, test.labels]), table[:, 64])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("1,2\n" * 400, " must hold more than 360 lines of 65 numbers"),
        (("1," * 64 + "1\n") * 360, " must hold more than 360 lines of 65 numbers"),
        (("17," * 64 + "1\n") * 361, ": pixels must be 0..16, not 17..17"),
        ("one\n", " cannot be read: invalid literal for int() with base 10: 'one'"),
    ],
)
def test_odd_digits(tmp_path, text, problem):
    path = tmp_path / "digits.csv.gz"
    path.write_bytes(gzip.compress(text.encode()))
    assert message(read_digits, path, "test") == f"{path}{problem}"


def test_digits_come_with_scikit_learn(tmp_path, monkeypatch):
    spec = ModuleSpec("sklearn", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path / "sklearn")]
    monkeypatch.setattr(importlib.util, "find_spec", {"sklearn": spec}.get)
    assert digits_folder() == tmp_path / "sklearn" / "datasets" / "data"
    monkeypatch.setattr(importlib.util, "find_spec", {}.get)
    assert message(digits_folder) == (
        'the digits come with scikit-learn: pip install "spinbnn[train]", or name a folder'
    )
