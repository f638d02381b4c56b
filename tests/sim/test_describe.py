"""What `spinbnn info` says of a network with convolutions."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console, RenderableType

from spinbnn.golden.encoding import pack
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.layers import Affine, Conv, Dense, MultiThreshold, Pool, Threshold
from spinbnn.golden.network import Network, random_network
from spinbnn.golden.network_file import save_network
from spinbnn.sim import describe


def packed(*shape: int) -> Any:
    return pack(np.zeros(shape, dtype=np.uint8))


def convolutional() -> Network:
    flips = np.zeros(5, dtype=np.bool_)
    first = Conv("first", packed(2, 5, 27), (8, 9, 3), (3, 3), Threshold(np.arange(5) - 2000, flips),
                 stride=(2, 1), padding=(1, 1, 1, 1), weight_shifts=(0, 1), relu=True)  # fmt: skip
    head = MultiThreshold(np.array([[-3] * 5, [7] * 5]), flips, 2, -1)
    second = Conv("second", packed(5, 5), first.output_shape, (1, 1), head,
                  padding=(1, 0, 0, 1), pad_value=-1, pool=Pool("or", (3, 2), (2, 2)))  # fmt: skip
    third = Conv("third", packed(5, 5), second.output_shape, (1, 1), Threshold(np.arange(5), flips),
                 pool=Pool("max", (2, 2), (2, 2)))  # fmt: skip
    fourth = Conv("fourth", packed(5, 5), third.output_shape, (1, 1), Threshold(np.arange(5), flips),
                  residual="third")  # fmt: skip
    last = Dense(
        "last", packed(2, fourth.outputs), fourth.outputs, Affine(np.array([3, 4]), np.zeros(2, int))
    )
    return Network("small", (first, second, third, fourth, last), 8, False, {})


def described(network: Network, folder: Path) -> tuple[dict[str, Any], list[str]]:
    path = folder / "network.npz"
    save_network(network, path)
    document, shown = describe.network(path, Geometry())
    return document, printed(shown)


def printed(shown: RenderableType) -> list[str]:
    console = Console(width=200, no_color=True)
    with console.capture() as capture:
        console.print(shown)
    return capture.get().splitlines()


@pytest.fixture
def convolutions(tmp_path: Path) -> tuple[dict[str, Any], list[str]]:
    return described(convolutional(), tmp_path)


def test_a_line_a_layer(convolutions: tuple[dict[str, Any], list[str]]) -> None:
    lines = [line.split() for line in convolutions[1][1:8]]
    assert " ".join(lines[0]) == "inputs 0 to 255; 365 bits of weights"
    assert " ".join(lines[1]) == (
        "layer inputs outputs kernel stride padding relu pool adds head activations weights "
        "thresholds or scales"
    )
    assert [" ".join(line) for line in lines[2:]] == [
        "first 8x9x3 4x9x5 3x3 2x1 1 yes threshold 135 x 2 bits -2,000 to -1,996",
        "second 4x9x5 2x5x5 1x1 1,0,0,1 of -1 or 3x2/2x2 multi_threshold -1 to 1, 2 bits 25 -3 to 7",
        "third 2x5x5 1x2x5 1x1 max 2x2 threshold 25 0 to 4",
        "fourth 1x2x5 1x2x5 1x1 third threshold 25 0 to 4",
        "last 10 2 affine 20 3 to 4",
    ]


def test_layers_as_json(convolutions: tuple[dict[str, Any], list[str]]) -> None:
    document, _ = convolutions
    assert document["weight_bits"] == 2 * 135 + 25 * 3 + 20
    assert document["layers"][0] == {
        "name": "first",
        "inputs": 216,
        "outputs": 180,
        "head": "threshold",
        "least": -2000,
        "most": -1996,
        "input_shape": [8, 9, 3],
        "output_shape": [4, 9, 5],
        "kernel": [3, 3],
        "stride": [2, 1],
        "padding": [1, 1, 1, 1],
        "pad_value": 0,
        "weight_shifts": [0, 1],
        "relu": True,
    }
    second = document["layers"][1]
    assert (second["bits"], second["low"], second["thresholds"]) == (2, -1, 2)
    assert second["pool"] == {"kind": "or", "size": (3, 2), "stride": (2, 2)}
    assert document["layers"][3]["residual"] == "third"


def test_dense_layers_say_no_more_than_they_have(tmp_path: Path) -> None:
    document, lines = described(random_network((37, 11, 10), seed=3), tmp_path)
    assert lines[1] == "inputs 0 to 255; 517 weights of one bit"
    assert lines[2].split() == ["layer", "inputs", "outputs", "head", "thresholds", "or", "scales"]
    assert list(document["layers"][0]) == ["name", "inputs", "outputs", "head", "least", "most"]
