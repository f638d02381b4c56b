"""Where everything lies, the order of programming, and what does not fit."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinbnn.golden.encoding import slices_for
from spinbnn.golden.errors import CapacityError
from spinbnn.golden.geometry import PRESETS, Geometry
from spinbnn.golden.layers import Affine, Dense, Threshold
from spinbnn.golden.network import Network, random_network
from spinbnn.golden.placement import (
    LayerPlacement,
    ProgramPacket,
    place,
    program_rows,
    stored_network,
)

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


def test_layers_of_a_network_that_divides_nothing() -> None:
    network = random_network([50, 37, 26, 10], input_bits=3)
    assert place(network, Geometry.from_preset("5x24")).layers == (
        LayerPlacement(0, 3, 8, 3, 0, 0, 0, 2, 2),
        LayerPlacement(24, 2, 6, 1, 8, 0, 2, 1, 13),
        LayerPlacement(36, 2, 2, 1, 0, 2, 0, 5, 2),
    )


def test_layers_of_the_papers_network() -> None:
    network = random_network([784, 1024, 1024, 10])
    layers = place(network, Geometry()).layers
    assert layers == (
        LayerPlacement(0, 13, 16, 8, 0, 0, 0, 64, 16),
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
        LayerPlacement(0, 13, 4, 8, 0, 0, 0, 8, 16),
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
    network = random_network([65536, 2], input_bits=1, seed=1)
    geometry = Geometry(2, 64, rows=2048, input_words=2048)
    text = (
        f"network '{network.name}' has 65536 inputs, a machine counts them in 16 bits: give it at most 65535"
    )
    with pytest.raises(CapacityError, match=f"^{re.escape(text)}$"):
        place(network, geometry)
    place(random_network([65535, 2], input_bits=1, seed=1), geometry)
