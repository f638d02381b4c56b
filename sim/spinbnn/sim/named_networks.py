"""Networks by name: files, trained networks that are shipped, and presets with random weights."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.architectures import ARCHITECTURES, build_random
from spinbnn.golden.errors import NetworkFileError
from spinbnn.golden.matched_thresholds import matched_thresholds
from spinbnn.golden.network import Network
from spinbnn.golden.network_file import load_network
from spinbnn.sim.assets import SHIPPED_NETWORKS

_SEED = 1


def load_named(path: Path) -> Network:
    """Return what a name means: a file, else a shipped network, else a preset with random weights.

    Raises
    ------
    NetworkFileError
        If there is none of that name, or the file cannot be read.
    """
    name = str(path)
    if path.is_file() or path.suffix or len(path.parts) > 1:
        return load_network(path)
    if name in SHIPPED_NETWORKS:
        return load_network(SHIPPED_NETWORKS[name])
    if name in ARCHITECTURES:
        return build_random(ARCHITECTURES[name], _SEED)
    names = dict.fromkeys([*SHIPPED_NETWORKS, *ARCHITECTURES])
    raise NetworkFileError(f"{path}: no such file, expected a network file or one of {', '.join(names)}")


def load_matched(path: Path, error_rate: float | None) -> Network:
    """Return what a name means, its thresholds matched to an error rate unless that is None.

    Raises
    ------
    SpinbnnError
        As `load_named` and `matched_thresholds`.
    """
    network = load_named(path)
    return network if error_rate is None else matched_thresholds(network, error_rate)


def is_random(network: Network) -> bool:
    """Return whether a network is a preset with random weights, by the name that `build_random` gives it."""
    return network.name in {f"random-{name}" for name in ARCHITECTURES}


def random_images(network: Network, count: int) -> NDArray[np.uint8]:
    """Return images of random elements, uint8 [count, inputs], the same ones each time."""
    rng = np.random.default_rng(_SEED)
    return rng.integers(0, 2**network.input_bits, (count, network.inputs), dtype=np.uint8)
