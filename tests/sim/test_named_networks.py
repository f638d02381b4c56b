"""What a name on the command line means, and the images of networks that were never trained."""

from pathlib import Path

import numpy as np
import pytest

from spinbnn.golden.architectures import ARCHITECTURES, build_random
from spinbnn.golden.errors import NetworkFileError
from spinbnn.golden.network import random_network
from spinbnn.golden.network_file import load_network, save_network
from spinbnn.sim.assets import SHIPPED_NETWORKS
from spinbnn.sim.named_networks import is_random, load_named, random_images

MINE = random_network((37, 11, 10), seed=3)


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", SHIPPED_NETWORKS)
def test_shipped_networks_have_names(name: str) -> None:
    network = load_named(Path(name))
    assert network == load_network(SHIPPED_NETWORKS[name])
    assert network.name == name
    assert not is_random(network)


def test_presets_have_random_weights() -> None:
    network = load_named(Path("cnv-w1a2"))
    assert network == build_random(ARCHITECTURES["cnv-w1a2"], seed=1)
    assert is_random(network)


@pytest.mark.parametrize("name", sorted(SHIPPED_NETWORKS.keys() & ARCHITECTURES))
def test_trained_networks_come_before_random_ones(name: str) -> None:
    assert "training_data_sha256" in load_named(Path(name)).metadata


@pytest.mark.parametrize("name", ["mnist_1024", "sfc", "lfc", "mine.npz", "folder/lfc", "other.bin"])
def test_files_come_before_names(name: str) -> None:
    Path("folder").mkdir()
    save_network(MINE, "saved.npz")
    Path("saved.npz").rename(name)
    assert load_named(Path(name)) == MINE


def test_folders_are_no_networks() -> None:
    Path("digits").mkdir()
    assert load_named(Path("digits")) == load_network(SHIPPED_NETWORKS["digits"])


@pytest.mark.parametrize("name", ["cnv.npz", "./folder/cnv", "folder/cnv", "mnist_1024.npz"])
def test_what_looks_like_a_file_is_no_name(name: str) -> None:
    with pytest.raises(NetworkFileError, match=r"cannot be read \(No such file or directory\)"):
        load_named(Path(name))


def test_unknown_names_are_told_all_names_once() -> None:
    with pytest.raises(NetworkFileError) as raised:
        load_named(Path("resnet"))
    beginning, names = str(raised.value).split(" or one of ")
    assert beginning == "resnet: no such file, expected a network file"
    assert sorted(names.split(", ")) == sorted(SHIPPED_NETWORKS.keys() | ARCHITECTURES.keys())


def test_networks_of_other_makers_are_not_random() -> None:
    assert not is_random(MINE)
    assert not is_random(random_network((784, 64, 10)))


def test_random_presets_stay_random_in_a_file() -> None:
    save_network(load_named(Path("tfc")), "tfc.npz")
    assert is_random(load_named(Path("tfc.npz")))


@pytest.mark.parametrize(("name", "largest"), [("tfc", 1), ("digits", 31), ("cnv", 255)])
def test_random_images_are_what_the_network_reads(name: str, largest: int) -> None:
    network = build_random(ARCHITECTURES[name])
    images = random_images(network, 20)
    assert images.dtype == np.uint8
    assert images.shape == (20, network.inputs)
    assert set(np.unique(images)) == set(range(largest + 1))


def test_random_images_are_the_same_each_time() -> None:
    network = build_random(ARCHITECTURES["tfc"])
    assert np.array_equal(random_images(network, 20)[:5], random_images(network, 5))
