"""What `spinbnn info` says of a network with convolutions."""

from typing import Any

import numpy as np
import pytest
from rich.console import Console, RenderableType

from spinbnn.golden.encoding import pack
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.layers import Affine, Conv, Dense, MultiThreshold, Pool, Threshold
from spinbnn.golden.network import Network, random_network
from spinbnn.sim import describe
from spinbnn.sim.machine_options import Machine


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


def described(
    network: Network, geometry: Geometry | None = None, *given: str
) -> tuple[dict[str, Any], list[str]]:
    document, shown = describe.network(network, "mine.npz", Machine(geometry or Geometry(), frozenset(given)))
    return document, printed(shown)


def printed(shown: RenderableType, width: int = 200) -> list[str]:
    console = Console(width=width, no_color=True)
    with console.capture() as capture:
        console.print(shown, crop=False)
    return capture.get().splitlines()


@pytest.fixture
def convolutions() -> tuple[dict[str, Any], list[str]]:
    return described(convolutional())


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


def test_dense_layers_say_no_more_than_they_have() -> None:
    document, lines = described(random_network((37, 11, 10), seed=3))
    assert lines[1] == "inputs 0 to 255; 517 weights of one bit"
    assert lines[2].split() == ["layer", "inputs", "outputs", "head", "thresholds", "or", "scales"]
    assert list(document["layers"][0]) == ["name", "inputs", "outputs", "head", "least", "most"]


def test_lines_are_not_cut_where_a_terminal_is_narrow() -> None:
    _, shown = describe.network(convolutional(), "mine.npz", Machine(Geometry(), frozenset()))
    assert printed(shown, width=40)[3:8] == printed(shown)[3:8]


def test_where_layers_lie_in_a_machine_raised_to_them(convolutions: tuple[dict[str, Any], list[str]]) -> None:
    document, lines = convolutions
    at = lines.index("On 64 banks x 64 bits, 512 rows, 1 lane")
    assert " ".join(lines[at + 1].split()) == "layer sums groups words steps rows from row clocks"
    # Sums of the first: 4 x 9, in which 8 planes of inputs, two a word, meet 2 of weights, 27 bits of a word.
    # The second pools 2 x 5 windows of 3 x 2; the third, 1 x 2 of 2 x 2, with inputs of two planes.
    assert [line.split() for line in lines[at + 2 : at + 7]] == [
        ["first", "36", "1", "1", "8", "2", "0", "288"],
        ["second", "60", "1", "1", "1", "1", "2", "60"],
        ["third", "8", "1", "1", "2", "1", "3", "16"],
        ["fourth", "2", "1", "1", "1", "1", "4", "2"],
        ["last", "1", "1", "2", "1", "2", "5", "2"],
    ]
    assert lines[at + 7] == "  7 of 512 rows, 5 of 64 threshold rows, 368 clocks an image"
    assert (document["fits"], document["rows"], document["threshold_rows"], document["clocks"]) == (
        *(True, 7, 5),
        368,
    )
    raised = {
        "image_elements": 216, "input_words": 144, "weight_planes": 2, "activation_bits": 2,
        "residual_rows": 2,
    }  # fmt: skip
    assert document["geometry"] == Geometry().to_dict() | raised


def test_sizes_that_are_given_are_not_raised() -> None:
    document, lines = described(convolutional(), None, "image_elements")
    assert document["fits"] is False
    reason = (
        "layer 'first' needs image_elements 216, the geometry has 0: raise image_elements to at least 216"
    )
    assert document["reason"] == reason
    assert f"  does not fit: {reason}" in lines
    assert document["geometry"] == Geometry().to_dict()


def test_utilisation_is_of_the_clocks_that_a_busy_machine_takes() -> None:
    document, lines = described(random_network((784, 1024, 1024, 10)))
    operations = 8 * 784 * 1024 + 1024 * 1024 + 1024 * 10
    assert document["steady_clocks"] == 1936
    assert document["utilisation"] == operations / (1936 * 64 * 64)
    assert "  steady: 1,936.0 clocks an image, 1.0000 of the loops, utilisation 94.3%" in lines


def test_utilisation_of_several_lanes_counts_all_of_them() -> None:
    document, lines = described(random_network((37, 11, 10), seed=3), Geometry.from_preset("4x8x3"))
    # 5 words in each of 8 planes for 3 groups of 4 neurons, then 2 words for 3 groups.
    assert document["clocks"] == 5 * 8 * 3 + 2 * 3
    # The loader is slower: for each image 2-byte beats of 37 elements and 5 words of 8 planes.
    beats = 4 * 4 + 3
    assert document["steady_clocks"] == beats + 5 * 8
    operations = 8 * 37 * 11 + 11 * 10
    assert document["utilisation"] == operations / (document["steady_clocks"] * 4 * 8 * 3)
    ratio = document["steady_clocks"] * 3 / 126
    assert f"  steady: 59.0 clocks an image, {ratio:.4f} of the loops, utilisation 59.4%" in lines
