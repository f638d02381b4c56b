"""Networks that studies train, and find again. Tests marked `train` need PyTorch."""

import multiprocessing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spinbnn.golden.architectures import perceptron
from spinbnn.golden.errors import SpinbnnError
from spinbnn.golden.network import Network
from spinbnn.sim.datasets import Dataset, save_images
from spinbnn.sim.studies import networks
from spinbnn.sim.studies.networks import trained
from spinbnn.sim.studies.study_recipes import DIGITS
from spinbnn.sim.training import Status

TINY = replace(
    DIGITS,
    name="tiny",
    architecture=perceptron("tiny", "here", (12, 8, 2), 8, False),
    epochs=2,
    batch_size=10,
)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    random = np.random.default_rng(1)
    labels = random.integers(0, 2, 60).astype(np.uint8)
    pixels = random.integers(0, 100, (60, 3, 4), dtype=np.uint8)
    pixels[labels == 1] += 100
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("train", "test"):
        save_images(Dataset(pixels, labels), folder / f"{name}.npz")
    return folder


def weights(network: Network) -> bytes:
    return b"".join(layer.weights.tobytes() for layer in network.layers)


@pytest.mark.train
def test_a_network_is_trained_once(data_dir, tmp_path, monkeypatch):
    folder = tmp_path / "not" / "there"
    network = trained(TINY, data_dir, folder)
    assert network.metadata["test_equal"] == network.metadata["test_images"] == 60
    assert network.metadata["recipe"] == TINY.to_dict()
    other = trained(replace(TINY, seed=2), data_dir, folder)
    assert weights(other) != weights(network)
    assert sorted(path.suffix for path in folder.iterdir()) == [".lock", ".lock", ".npz", ".npz"]

    def fail(*_: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(networks, "train", fail)
    assert weights(trained(TINY, data_dir, folder)) == weights(network)
    images = np.full((60, 3, 4), 7, np.uint8)
    save_images(Dataset(images, np.arange(60, dtype=np.uint8) % 2), data_dir / "train.npz")
    with pytest.raises(AssertionError, match="trained again"):  # other images, another network
        trained(TINY, data_dir, folder)


@pytest.mark.train
def test_a_training_that_was_interrupted_goes_on(data_dir, tmp_path):
    def interrupt(status: Status) -> None:
        if status.epoch == 1 and status.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(TINY, data_dir, tmp_path / "one", interrupt)
    seen: list[Status] = []
    resumed = trained(TINY, data_dir, tmp_path / "one", seen.append)
    assert seen[0].epoch == 1
    assert weights(resumed) == weights(trained(TINY, data_dir, tmp_path / "other"))


def _train_slowly(data_dir: Path, folder: Path, begun: "multiprocessing.Queue[int]") -> None:
    trained(TINY, data_dir, folder, lambda status: begun.put(status.step))


@pytest.mark.train
def test_two_processes_train_a_network_once(data_dir, tmp_path):
    context = multiprocessing.get_context("spawn")
    begun = context.Queue()
    both = [context.Process(target=_train_slowly, args=(data_dir, tmp_path / "one", begun)) for _ in range(2)]
    for process in both:
        process.start()
    steps = [begun.get(timeout=60) for _ in range(2 * (6 + 1))]  # of one training; the other finds the file
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    assert begun.empty()
    assert steps == [1, 2, 3, 4, 5, 6, 0] * 2


def test_a_folder_that_cannot_be_written(data_dir, tmp_path):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(SpinbnnError) as caught:
        trained(TINY, data_dir, file / "folder")
    assert "cannot be written" in str(caught.value)
    assert "\n" not in str(caught.value)
