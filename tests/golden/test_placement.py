"""Where everything lies, the order of programming, and what does not fit."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from spinbnn.golden.encoding import pack, slices_for
from spinbnn.golden.errors import CapacityError
from spinbnn.golden.geometry import PRESETS, Geometry
from spinbnn.golden.layers import Affine, Conv, Dense, Layer, MultiThreshold, Pool, Threshold
from spinbnn.golden.network import Network, random_network
from spinbnn.golden.placement import (
    LayerPlacement,
    ProgramPacket,
    join_map,
    machine_thresholds,
    output_words,
    place,
    program_rows,
    split_map,
    stored_network,
)
from spinbnn.golden.steps import Step
from tests.networks import Limits, Recipe, build, recipes

PROPERTY = settings(deadline=None, derandomize=True, max_examples=40)
ROOMY = Geometry(
    rows=2**16, threshold_rows=65535, input_words=65535, activation_words=65535, layers=256, outputs=65535
)


def bit(words: np.ndarray, index: int) -> int:
    return int(words[index // 64]) >> index % 64 & 1


def programmed_cells(network: Network, geometry: Geometry) -> np.ndarray:
    """Return the cells after programming without errors, uint64 [banks, rows, L]."""
    cells = np.zeros((geometry.banks, geometry.rows, geometry.slices), dtype=np.uint64)
    for packet in program_rows(network, place(network, geometry), geometry):
        for index, row in enumerate(packet.rows):
            cells[packet.bank + index % packet.bank_count, packet.row + index // packet.bank_count] = row
    return cells


def pixel_steps(bits: int) -> tuple[Step, ...]:
    """Return the steps of pixels of some bits: the row is read once, sums are doubled from plane to plane."""
    return (Step(), *(Step(plane, shift=1, read_row=False) for plane in range(1, bits)))


def test_layers_of_a_network_that_divides_nothing() -> None:
    network = random_network([50, 37, 26, 10], input_bits=3)
    assert place(network, Geometry.from_preset("5x24")).layers == (
        LayerPlacement(0, 3, 8, 3, 0, 0, 0, 2, 2, steps=pixel_steps(3)),
        LayerPlacement(24, 2, 6, 1, 8, 0, 2, 1, 13),
        LayerPlacement(36, 2, 2, 1, 0, 2, 0, 5, 2),
    )


def test_layers_of_the_papers_network() -> None:
    network = random_network([784, 1024, 1024, 10])
    layers = place(network, Geometry()).layers
    assert layers == (
        LayerPlacement(0, 13, 16, 8, 0, 0, 0, 64, 16, steps=pixel_steps(8)),
        LayerPlacement(208, 16, 16, 1, 16, 0, 16, 64, 64),
        LayerPlacement(464, 16, 1, 1, 0, 16, 0, 10, 64),
    )
    assert [layer.rows for layer in layers] == [208, 256, 16]


def test_activations_ping_pong_behind_the_largest_even_region() -> None:
    network = random_network([8, 100, 300, 700, 20, 64, 3])
    layers = place(network, ROOMY).layers
    assert [layer.destination_base for layer in layers] == [0, 11, 0, 11, 0, 0]
    assert [layer.source_base for layer in layers] == [0, 0, 11, 0, 11, 0]
    assert [layer.threshold_base for layer in layers] == [0, 2, 7, 18, 19, 0]


@PROPERTY
@given(
    banks=st.integers(1, 70),
    word_bits=st.integers(1, 200),
    sizes=st.lists(st.integers(1, 60), min_size=2, max_size=4),
    inputs=st.integers(1, 150),
    seed=st.integers(0, 2**32),
)
def test_each_weight_lies_where_the_formula_says(
    banks: int, word_bits: int, sizes: list[int], inputs: int, seed: int
) -> None:
    geometry = replace(ROOMY, banks=banks, word_bits=word_bits, stream_bits=8, rows=40_000)
    network = random_network([inputs, *sizes], 2, seed=seed)
    placement = place(network, geometry)
    cells = programmed_cells(network, geometry)
    base = ones = 0
    for layer, placed in zip(network.layers, placement.layers, strict=True):
        words = -(-layer.inputs // word_bits)
        assert placed.row_base == base
        for n in range(layer.outputs):
            for k in range(layer.inputs):
                row = cells[n % banks, base + n // banks * words + k // word_bits]
                assert bit(row, k % word_bits) == bit(layer.weights[n], k)
                ones += bit(layer.weights[n], k)
        base += -(-layer.outputs // banks) * words
    assert np.bitwise_count(cells).sum() == ones, "bits are set where no weight lies"
    assert stored_network(network, placement, cells) == network


@pytest.mark.parametrize("name", list(PRESETS))
def test_programming_order(name: str) -> None:
    geometry = Geometry.from_preset(name)
    network = random_network([37, 5 * geometry.banks // 2, 2 * geometry.banks, 10], 1, seed=2)
    placement = place(network, geometry)
    expected = []
    for layer, placed in zip(network.layers, placement.layers, strict=True):
        full, rest = divmod(layer.outputs, geometry.banks)
        for row in range(full * placed.words):
            expected += [(placed.row_base + row, bank) for bank in range(geometry.banks)]
        for row in range(full * placed.words, (full + (rest > 0)) * placed.words):
            expected += [(placed.row_base + row, bank) for bank in range(rest)]
    packets = program_rows(network, placement, geometry)
    programmed = [
        (int(row), int(bank)) for packet in packets for bank, row in zip(*packet.addresses(), strict=True)
    ]
    assert programmed == expected
    assert len(set(programmed)) == len(programmed)
    assert [(packet.layer, packet.bank, packet.bank_count) for packet in packets] == [
        part
        for index, layer in enumerate(network.layers)
        for part in [
            *([(index, 0, geometry.banks)] if layer.outputs >= geometry.banks else []),
            *([(index, 0, layer.outputs % geometry.banks)] if layer.outputs % geometry.banks else []),
        ]
    ]
    assert all(packet.rows.shape[1] == slices_for(geometry.word_bits) for packet in packets)


def test_packet_addresses_go_through_banks_first_and_never_repeat() -> None:
    packet = ProgramPacket(0, row=7, bank=2, bank_count=3, rows=np.zeros((7, 1), dtype=np.uint64))
    bank, row = packet.addresses()
    assert bank.tolist() == [2, 3, 4, 2, 3, 4, 2]
    assert row.tolist() == [7, 7, 7, 8, 8, 8, 9]


def test_stored_network_shows_a_wrong_cell_as_the_weight_it_is() -> None:
    geometry = Geometry.from_preset("5x24")
    network = random_network([50, 37, 10], seed=3)
    placement = place(network, geometry)
    cells = programmed_cells(network, geometry)
    cells[36 % 5, 36 // 5 * 3 + 47 // 24] ^= np.uint64(1 << 47 % 24)  # layer 0, neuron 36, input 47
    cells[9 % 5, 24 + 9 // 5 * 2 + 1] ^= np.uint64(1 << 3)  # layer 1, neuron 9, input 27
    cells[4, 23] ^= np.uint64(1)  # bank of a neuron that does not exist
    cells[0, 2] ^= np.uint64(1 << 2)  # behind the last input of layer 0, neuron 0
    stored = stored_network(network, placement, cells)
    changes = [
        (index, n, k)
        for index, (layer, intended) in enumerate(zip(stored.layers, network.layers, strict=True))
        for n in range(layer.outputs)
        for k in range(layer.inputs)
        if bit(layer.weights[n], k) != bit(intended.weights[n], k)
    ]
    assert changes == [(0, 36, 47), (1, 9, 27)]
    assert stored.layers[0].head == network.layers[0].head
    assert stored.metadata == network.metadata


PAPER = random_network([784, 1024, 1024, 10])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"rows": 256},
            "layer 'layer1' needs rows up to 464, the geometry has 256 a bank: raise rows to at least 480",
        ),
        (
            {"rows": 479},
            "layer 'layer2' needs rows up to 480, the geometry has 479 a bank: raise rows to at least 480",
        ),
        (
            {"threshold_rows": 15},
            "layer 'layer0' needs threshold_rows up to 16, the geometry has 15 in all: "
            "raise threshold_rows to at least 32",
        ),
        (
            {"threshold_rows": 31},
            "layer 'layer1' needs threshold_rows up to 32, the geometry has 31 in all: "
            "raise threshold_rows to at least 32",
        ),
        (
            {"input_words": 103},
            "layer 'layer0' needs input_words up to 104, the geometry has 103 a half: "
            "raise input_words to at least 104",
        ),
        (
            {"activation_words": 15},
            "layer 'layer0' needs activation_words up to 16, the geometry has 15 a lane: "
            "raise activation_words to at least 32",
        ),
        (
            {"activation_words": 31},
            "layer 'layer1' needs activation_words up to 32, the geometry has 31 a lane: "
            "raise activation_words to at least 32",
        ),
        (
            {"layers": 2},
            "network 'random-784-1024-1024-10' needs 3 layers, the geometry has 2: "
            "raise layers to at least 3",
        ),
        (
            {"outputs": 9},
            "layer 'layer2' needs outputs up to 10, the geometry has 9 an image: "
            "raise outputs to at least 10",
        ),
    ],
)
def test_what_does_not_fit_is_named_with_its_cure(change: dict[str, int], text: str) -> None:
    with pytest.raises(CapacityError, match=f"^{re.escape(text)}$"):
        place(PAPER, replace(Geometry(), **change))


@pytest.mark.parametrize(
    "enough",
    [
        {"rows": 480},
        {"threshold_rows": 32},
        {"input_words": 104},
        {"activation_words": 32},
        {"layers": 3},
        {"outputs": 10},
    ],
)
def test_the_cure_is_exact(enough: dict[str, int]) -> None:
    assert place(PAPER, replace(Geometry(), **enough)).layers == place(PAPER, Geometry()).layers


def one_neuron(inputs: int, threshold: int) -> Network:
    weights = np.zeros((1, -(-inputs // 64)), dtype=np.uint64)
    hidden = Dense("hidden", weights, inputs, Threshold(np.array([threshold]), np.array([False])))
    last = Dense("last", weights[:, :1], 1, Affine(np.array([1]), np.array([0])))
    return Network("one", (hidden, last), 8, False, {})


@pytest.mark.parametrize("sign", [1, -1])
def test_accumulator_must_hold_every_partial_sum(sign: int) -> None:
    reach = 2**15 - 1  # the last value of 16 bits
    fits, exceeds = (one_neuron(100, sign * (total - 25500)) for total in (reach, reach + 1))
    geometry = replace(Geometry(), accumulator_bits=16)
    assert place(fits, geometry).layers[0].planes == 8
    text = (
        "layer 'hidden' needs accumulator_bits 17 for sums up to 32768, the geometry has 16: "
        "raise accumulator_bits to at least 17"
    )
    with pytest.raises(CapacityError, match=f"^{re.escape(text)}$"):
        place(exceeds, geometry)


def test_accumulator_of_the_logits_starts_at_zero() -> None:
    network = random_network([127, 3], 1, True)
    assert place(network, replace(Geometry(), accumulator_bits=8)).layers[0].groups == 1
    text = (
        "layer 'layer0' needs accumulator_bits 9 for sums up to 128, the geometry has 8: "
        "raise accumulator_bits to at least 9"
    )
    with pytest.raises(CapacityError, match=f"^{re.escape(text)}$"):
        place(random_network([128, 3], 1, True), replace(Geometry(), accumulator_bits=8))


def test_a_single_layer_needs_neither_thresholds_nor_activations() -> None:
    geometry = replace(Geometry(), threshold_rows=2, activation_words=2)
    assert place(random_network([784, 200]), replace(geometry, outputs=200)).layers == (
        LayerPlacement(0, 13, 4, 8, 0, 0, 0, 8, 16, steps=pixel_steps(8)),
    )


def test_placement_of_another_geometry_is_rejected() -> None:
    network = random_network([50, 37, 10])
    placement = place(network, Geometry())
    with pytest.raises(
        CapacityError,
        match=r"^the placement must be made for the geometry that is programmed, not for another$",
    ):
        program_rows(network, placement, Geometry.from_preset("5x24"))
    with pytest.raises(CapacityError, match=r"^cells must have shape \(64, 512, 1\), not \(5, 256, 1\)$"):
        stored_network(network, placement, np.zeros((5, 256, 1), dtype=np.uint64))


@pytest.mark.parametrize(
    ("start", "rows", "text"),
    [
        (
            (0, 0, 0),
            np.zeros((1, 1), dtype=np.uint64),
            "a program packet must start at a bank and row from 0 on and have at least one bank, "
            "not bank 0, row 0, bank_count 0",
        ),
        (
            (0, -1, 1),
            np.zeros((1, 1), dtype=np.uint64),
            "a program packet must start at a bank and row from 0 on and have at least one bank, "
            "not bank -1, row 0, bank_count 1",
        ),
        (
            (0, 0, 1),
            np.zeros((0, 1), dtype=np.uint64),
            "a program packet must hold uint64 rows of shape (n, L), n from 1 on, not uint64 of shape (0, 1)",
        ),
        (
            (0, 0, 1),
            np.zeros(3, dtype=np.int64),
            "a program packet must hold uint64 rows of shape (n, L), n from 1 on, not int64 of shape (3,)",
        ),
    ],
)
def test_what_a_packet_must_be(start: tuple[int, int, int], rows: np.ndarray, text: str) -> None:
    with pytest.raises(CapacityError, match=f"^{re.escape(text)}$"):
        ProgramPacket(0, *start, rows)


def test_an_image_has_no_more_elements_than_its_register_counts() -> None:
    network = random_network([2**24, 2], input_bits=1, seed=1)
    geometry = Geometry(2, 256, rows=2**16, input_words=2**16, accumulator_bits=26)
    text = (
        f"network '{network.name}' has 16777216 inputs, a machine counts them in 24 bits: "
        "give it at most 16777215"
    )
    with pytest.raises(CapacityError, match=f"^{re.escape(text)}$"):
        place(network, geometry)
    place(random_network([2**24 - 1, 2], input_bits=1, seed=1), geometry)


# ---- Convolutions ----

HEAD = Threshold(np.zeros(7, np.int32), np.zeros(7, np.bool_))
MACHINE = replace(
    Geometry.from_preset("5x24"),
    image_elements=192,
    input_words=512,
    weight_planes=3,
    activation_bits=3,
    residual_rows=64,
)


def conv(shape: tuple[int, int, int], kernel: tuple[int, int], **fields: Any) -> Conv:
    """Return a convolution of 7 neurons."""
    random = np.random.default_rng(1)
    planes = len(fields.get("weight_shifts", (0,)))
    sizes = (planes, 7, kernel[0] * kernel[1] * shape[2])
    bits = random.integers(0, 2, sizes if planes > 1 else sizes[1:], dtype=np.uint8)
    return Conv(
        **{"name": "a", "weights": pack(bits), "input_shape": shape, "kernel": kernel, "head": HEAD} | fields
    )


def with_logits(*layers: Layer, bits: int = 1, signed: bool | None = None) -> Network:
    """Return a network of some layers, called a, b, and so on, and of 2 logits behind them."""
    named = [replace(layer, name=name) for layer, name in zip(layers, "abcdef", strict=False)]
    inputs = layers[-1].outputs
    weights = np.zeros((2, -(-inputs // 64)), dtype=np.uint64)
    last = Dense("logits", weights, inputs, Affine(*np.ones((2, 2), np.int32)))
    return Network("by hand", (*named, last), bits, bits == 1 if signed is None else signed, {})


def test_layers_of_convolutions() -> None:
    """12 windows of 27 elements; 3 x 2 pixels of which 2 x 2 sums are or-ed; the rest is fully connected."""
    network = with_logits(
        conv((6, 5, 3), (3, 3)),
        conv((4, 3, 7), (2, 1), stride=(1, 2), padding=(1, 0, 0, 2), pool=Pool("or", (2, 2), (1, 1))),
        bits=2,
    )
    assert place(network, MACHINE).layers == (
        LayerPlacement(
            *(0, 2, 2, 2, 0, 0, 0, 2, 3), steps=pixel_steps(2), positions=(4, 3), source=(4, 3)
        ),
        LayerPlacement(
            *(4, 1, 2, 1, 2, 0, 12, 2, 7), kernel=(2, 1), stride=(1, 2), origin=(-1, 0), window=(2, 2),
            window_stride=(1, 1), positions=(3, 2), source=(4, 3),
        ),
        LayerPlacement(*(8, 1, 1, 1, 0, 12, 0, 2, 7), kernel=(3, 2), source=(3, 2)),
    )  # fmt: skip
    beats = [placed.beats for placed in place(network, MACHINE).layers]
    assert beats == [12 * 2 * 2 * 2, 6 * 2 * 4 * 2, 6]


def test_two_planes_share_a_word_where_they_fit() -> None:
    for elements, bits, paired, planes in (
        (12, 3, True, 2),
        (13, 3, False, 3),
        (12, 1, False, 1),
        (3, 8, True, 4),
    ):
        network = with_logits(conv((2, 2, elements), (1, 1)), bits=bits, signed=False)
        placed = place(network, MACHINE).layers[0]
        assert (placed.paired, placed.planes) == (paired, planes)
        assert placed.tail_bits == (24 if paired else elements)
        assert [step.shift for step in placed.steps] == [0] + [2 if paired else 1] * (planes - 1)


def test_rows_of_planes_and_of_several_thresholds() -> None:
    """A tap has the planes of its words; a neuron's thresholds lie one behind the other."""
    several = MultiThreshold(np.zeros((5, 7), np.int32), HEAD.flip, bits=3, low=0)
    network = with_logits(
        conv((4, 3, 2), (2, 2), weight_shifts=(0, 0, 1), head=several),
        conv((3, 2, 7), (3, 1), weight_shifts=(0, 1)),
        conv((1, 2, 7), (1, 1)),
    )
    first, second, third, last = place(network, MACHINE).layers
    assert [placed.neuron_rows for placed in (first, second, third, last)] == [3, 6, 1, 2]
    assert [placed.row_base for placed in (first, second, third, last)] == [0, 6, 18, 20]
    assert [placed.thresholds for placed in (first, second, third, last)] == [5, 1, 1, 1]
    assert [placed.threshold_base for placed in (first, second, third)] == [0, 10, 12]
    assert [placed.activation_bits for placed in (first, second)] == [3, 1]
    assert (second.planes, second.destination_base) == (3, 3 * 2 * 3)
    assert first.reads_of_planes() == [1, 1, 1]
    assert second.reads_of_planes() == [3, 3]  # 6 steps, and the row changes with each


def test_residuals_have_rows_of_their_own() -> None:
    layers = [conv((3, 3, 7), (1, 1), residual=name) for name in (None, "a", "a", "c")]
    placed = place(with_logits(*layers), MACHINE).layers
    assert [each.residual_destination for each in placed] == [0, None, 18, None, None]
    assert [each.residual_source for each in placed] == [None, 0, 0, 18, None]
    with pytest.raises(
        CapacityError, match=r"residual_rows 36, the geometry has 35: raise residual_rows to at"
    ):
        place(with_logits(*layers), replace(MACHINE, residual_rows=35))


@pytest.mark.parametrize(("kind", "kept", "head", "relu"), [
    ("max", False, HEAD, False),
    ("sum", False, HEAD, True),
    ("or", False, HEAD, False),
    ("max", True, HEAD, True),
    ("max", False, MultiThreshold(np.zeros((2, 7), np.int32), HEAD.flip, 2, 0), False),
])  # fmt: skip
def test_thresholds_stand_for_a_relu_where_they_can(
    kind: str, kept: bool, head: Threshold | MultiThreshold, relu: bool
) -> None:
    first = conv((3, 3, 2), (1, 1), relu=True, pool=Pool(kind, (2, 2), (1, 1)), head=head)
    second = conv((2, 2, 7), (1, 1), residual="a" if kept else None)
    assert place(with_logits(first, second), MACHINE).layers[0].relu is relu


def test_thresholds_of_a_relu() -> None:
    """Sums from -12 to 12: thresholds up to 0 are always reached, those above as they are."""
    head = Threshold(np.array([-5, 0, 1, 12, -12, 3, -1], np.int32), HEAD.flip)
    network = with_logits(conv((2, 2, 3), (2, 2), relu=True, head=head))
    placed = place(network, MACHINE).layers[0]
    values = machine_thresholds(network.layers[0], placed, network.format_into(0))
    assert values.tolist() == [[-12, -12, 1, 12, -12, 3, -12]]
    plain = replace(network.layers[0], relu=False)
    assert machine_thresholds(plain, placed, network.format_into(0)).tolist() == [head.values.tolist()]


@pytest.mark.parametrize(
    ("fields", "change", "text"),
    [
        (
            {"head": MultiThreshold(np.zeros((2, 7), np.int32), HEAD.flip, 2, 0)},
            {"activation_bits": 1},
            "layer 'a' needs activation_bits 2, the geometry has 1: raise activation_bits to at least 2",
        ),
        (
            {"relu": True, "pool": Pool("sum", (2, 2), (1, 1))},
            {"activation_bits": 1, "residual_rows": 0},
            "layer 'a' pools or rectifies integers that thresholds cannot stand for: "
            "build the geometry with integer_pools",
        ),
        (
            {},
            {"image_elements": 17},
            "layer 'a' needs image_elements 18, the geometry has 17: raise image_elements to at least 18",
        ),
        (
            {},
            {"image_elements": 0},
            "layer 'a' needs image_elements 18, the geometry has 0: raise image_elements to at least 18",
        ),
        (
            {"padding": (0, 0, 1, 0)},
            {},
            "layer 'a' pads an image of +1 and -1 with 0, machines pad it with +1 or -1: choose one",
        ),
        (
            {"weight_shifts": (0, 1, 2)},
            {"weight_planes": 2},
            "layer 'a' needs weight_planes 3, the geometry has 2: raise weight_planes to at least 3",
        ),
        (
            {"weight_shifts": (0, 2)},
            {},
            "layer 'a' must have weight_shifts from 0 on without gaps, not (0, 2)",
        ),
        (
            {"weight_shifts": (1, 2)},
            {},
            "layer 'a' must have weight_shifts from 0 on without gaps, not (1, 2)",
        ),
        (
            {},
            {"input_words": 8},
            "layer 'a' needs input_words up to 9, the geometry has 8 a half: raise input_words to at least 9",
        ),
        (
            {},
            {"activation_words": 8},
            "layer 'a' needs activation_words up to 9, the geometry has 8 a lane: "
            "raise activation_words to at least 9",
        ),
    ],
)  # fmt: skip
def test_what_a_machine_cannot_convolve(fields: dict[str, Any], change: dict[str, int], text: str) -> None:
    network = with_logits(conv((3, 3, 2), (1, 1), **fields))
    with pytest.raises(CapacityError, match=f"^{re.escape(text)}$"):
        place(network, replace(MACHINE, **change))


def test_residuals_and_pooled_activations_do_not_go_together() -> None:
    pooled = conv((3, 3, 7), (1, 1), pool=Pool("or", (1, 1), (1, 1)))
    plain = replace(pooled, pool=None)
    with pytest.raises(
        CapacityError, match=r"^layer 'a' pools its activations, machines then do not keep its"
    ):
        place(with_logits(pooled, replace(plain, residual="a")), MACHINE)
    with pytest.raises(
        CapacityError, match=r"^layer 'b' pools its activations, machines then add no residual"
    ):
        place(with_logits(plain, replace(pooled, residual="a")), MACHINE)


def test_a_machine_that_unfolds_takes_a_fully_connected_layer_of_as_many_elements() -> None:
    network = random_network([192, 3], 1)
    assert place(network, MACHINE).layers[0].words == 8
    text = (
        "layer 'layer0' needs image_elements 193, the geometry has 192: "
        "raise image_elements to at least 193, or set it to 0"
    )
    with pytest.raises(CapacityError, match=f"^{re.escape(text)}$"):
        place(random_network([193, 3], 1), MACHINE)


def test_the_steps_of_all_layers_must_fit() -> None:
    network = with_logits(
        conv((4, 3, 2), (2, 2), weight_shifts=(0, 1)), conv((3, 2, 7), (1, 1)), bits=3, signed=False
    )
    placement = place(network, replace(MACHINE, steps=5))
    assert placement.step_tables() == ([*placement.layers[0].steps, Step()], [0, 4, 4])
    with pytest.raises(CapacityError, match=r"needs steps"):
        place(network, replace(MACHINE, steps=4))


CONV_PROPERTY = settings(deadline=None, derandomize=True, max_examples=60)
SMALL = Limits(layers=3, size=5, channels=9, kernel=3, residuals=False, accumulator_bits=24)


@CONV_PROPERTY
@given(recipe=recipes(SMALL), banks=st.integers(1, 9), word_bits=st.integers(1, 70))
def test_each_weight_of_a_convolution_lies_where_the_formula_says(
    recipe: Recipe, banks: int, word_bits: int
) -> None:
    """Neuron by neuron, tap by tap, of each word its planes; all twice in a word where planes are paired."""
    geometry = replace(
        ROOMY, banks=banks, word_bits=word_bits, stream_bits=8, image_elements=512, weight_planes=9,
        activation_bits=4, integer_pools=True, accumulator_bits=31, steps=256,
    )  # fmt: skip
    network = build(recipe)
    try:
        placement = place(network, geometry)
    except CapacityError:
        assume(False)
    cells = programmed_cells(network, geometry)
    base = ones = 0
    for index, (layer, placed) in enumerate(zip(network.layers, placement.layers, strict=True)):
        taps = 1
        if index and isinstance(layer, Conv):
            taps = layer.kernel[0] * layer.kernel[1]
        elif index:
            height, width, _ = network.layers[index - 1].output_shape
            taps = height * width
        of_tap = layer.sum_length // taps
        words, planes = -(-of_tap // word_bits), len(layer.weight_shifts)
        assert placed.row_base == base
        for plane, weights in enumerate(layer.weights.reshape(planes, layer.neurons, -1)):
            for n, k in np.ndindex(layer.neurons, layer.sum_length):
                tap, channel = divmod(k, of_tap)
                row = (n // banks * taps + tap) * words + channel // word_bits
                word = cells[n % banks, base + row * planes + plane]
                copies = [channel % word_bits, *([word_bits // 2 + channel] if placed.paired else [])]
                for place_of in copies:
                    assert bit(word, place_of) == bit(weights[n], k)
                    ones += bit(weights[n], k)
        base += -(-layer.neurons // banks) * taps * words * planes
    assert np.bitwise_count(cells).sum() == ones, "bits are set where no weight lies"
    first = network.layers[0]
    if placement.layers[0].paired:
        assert isinstance(first, Conv)
        first = replace(first, odd_plane_weights=first.weights)
    as_stored = replace(network, layers=(first, *network.layers[1:]))
    assert stored_network(network, placement, cells) == as_stored


def test_a_wrong_cell_of_paired_planes_is_a_weight_of_one_of_them() -> None:
    network = with_logits(conv((3, 3, 2), (2, 2)), bits=4)
    placement = place(network, MACHINE)
    cells = programmed_cells(network, MACHINE)
    cells[6 % 5, 6 // 5] ^= np.uint64(1 << 12 + 3)  # neuron 6, upper half, input 3
    (layer, *_) = stored_network(network, placement, cells).layers
    assert isinstance(layer, Conv)
    assert layer.odd_plane_weights is not None
    intended = network.layers[0].weights
    assert np.array_equal(layer.weights, intended)
    assert (layer.odd_plane_weights ^ intended).tolist() == [[0]] * 6 + [[1 << 3]]


@pytest.mark.parametrize(("bits", "low"), [(1, 0), (2, 0), (2, -2), (3, -4)])
def test_maps_in_memory(bits: int, low: int) -> None:
    """Pixel by pixel, of each word the planes, the most significant first; and back."""
    head: Threshold | MultiThreshold = replace(HEAD, values=np.zeros(7, np.int32))
    if bits > 1:
        head = MultiThreshold(np.zeros((2**bits - 1, 7), np.int32), HEAD.flip, bits, low)
    layer = conv((2, 3, 1), (1, 1), head=head)
    codes = np.random.default_rng(bits).integers(0, 2**bits, (4, 6 * 7), dtype=np.uint8)
    words = split_map(codes, layer, 5)
    geometry = replace(MACHINE, word_bits=5, stream_bits=8)
    assert words.shape == (4, 6 * 2 * bits, 1) == (4, output_words(layer, geometry), 1)
    for image, pixel, channel, plane in np.ndindex(4, 6, 7, bits):
        number = (pixel * 2 + channel // 5) * bits + bits - 1 - plane
        code = codes[image, pixel * 7 + channel]
        assert bit(words[image, number], channel % 5) == code >> plane & 1
    assert np.array_equal(join_map(words, layer, 5), codes)


def test_a_layer_must_read_more_than_padding() -> None:
    def network(padding: tuple[int, int, int, int]) -> Network:
        bit = Threshold(np.zeros(1, np.int32), np.zeros(1, np.bool_))
        one = np.ones((1, 1), np.uint64)
        first = Conv("first", one, (1, 1, 1), (1, 1), bit)
        middle = Conv("middle", one, (1, 1, 1), (1, 1), bit, stride=(2, 1), padding=padding)
        logits = Conv("last", one, (1, 1, 1), (1, 1), Affine(np.ones(1, np.int32), np.zeros(1, np.int32)))
        return Network("padding", (first, middle, logits), 1, True, {})

    geometry = Geometry(image_elements=8)
    assert len(place(network((0, 0, 1, 0)), geometry).layers) == 3
    text = "layer 'middle' must read at least one pixel, not padding alone"
    with pytest.raises(CapacityError, match=f"^{text}$"):
        place(network((1, 0, 0, 0)), geometry)
