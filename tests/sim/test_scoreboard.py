"""The line that the scoreboard gives for each kind of difference; none when all is equal."""

import numpy as np
import pytest

from spinbnn.golden.encoding import Words, pack, split_rows
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.layers import Affine, Conv, Dense, Head, MultiThreshold, Threshold
from spinbnn.golden.mram import COUNTERS
from spinbnn.golden.network import Network, classify, random_network, trace
from spinbnn.golden.placement import place, split_map
from spinbnn.sim.testbench.files import UnknownBitsError, hex_to_words, words_to_hex
from spinbnn.sim.testbench.observation import ActivationWrites, ResultBeats
from spinbnn.sim.testbench.scoreboard import Scoreboard

GEOMETRY = Geometry(5, 72, rows=100, lanes=2)
NETWORK = random_network((100, 150, 37, 10), 3, seed=1)
PLACEMENT = place(NETWORK, GEOMETRY)
IMAGES = np.random.default_rng(1).integers(0, 8, (3, 100), dtype=np.uint8)
TRACES = trace(NETWORK, IMAGES)
HEAD = NETWORK.layers[-1].head
assert isinstance(HEAD, Affine)
HIDDEN = [split_rows(layer.bits, 72) for layer in TRACES if layer.bits is not None]
LOGITS = HEAD.logits(TRACES[-1].sums)
WORDS_AN_IMAGE = 3 + 1


@pytest.fixture
def board() -> Scoreboard:
    return Scoreboard(NETWORK, PLACEMENT)


def right_writes() -> list[ActivationWrites]:
    """Return what two lanes write for three images: lane 0 images 0 and 2, lane 1 image 1."""
    lanes = []
    for lane in range(2):
        words: list[Words] = []
        addresses: list[int] = []
        for image in range(lane, 3, 2):
            for layer, placed in zip(HIDDEN, PLACEMENT.layers, strict=False):
                words.append(layer[image])
                addresses += range(placed.destination_base, placed.destination_base + len(layer[image]))
        clocks = 1000 + 10 * np.arange(len(addresses)) + lane
        lanes.append(ActivationWrites(clocks, np.array(addresses), np.concatenate(words)))
    return lanes


def right_beats() -> list[tuple[int, ...]]:
    beats: list[tuple[int, ...]] = []
    for logits, label in zip(LOGITS.tolist(), classify(LOGITS).tolist(), strict=True):
        beats += [*((logit & 0xFFFFFFFF, 0) for logit in logits), (label, 1)]
    return beats


def beats_of(beats: list[tuple[int, ...]], first_clock: int = 0) -> ResultBeats:
    data, last = np.array(beats, dtype=np.uint32).T
    return ResultBeats(data, last.astype(np.uint8), first_clock + np.arange(len(beats)))


def test_equal_is_no_difference(board: Scoreboard) -> None:
    cells = np.zeros((5, 100, 2), dtype=np.uint64)
    counters = {name: np.arange(5, dtype=np.uint64) for name in COUNTERS}
    board.cells(cells, cells)
    board.activations(right_writes(), HIDDEN)
    board.results(beats_of(right_beats()), LOGITS)
    board.counters(counters, counters)
    board.random_state((1, 2, 3, 4), (1, 2, 3, 4))
    board.clocks("RUN_CLOCKS", 7, 7)
    assert board.first_difference is None
    assert board.compared == {
        "stored bits": 5 * 100 * 72,
        "hidden activation words": 3 * WORDS_AN_IMAGE,
        "logits": 30,
        "classes": 3,
        "counters": 50,
        "random state words": 4,
        "clock counts": 1,
    }


def test_the_first_difference_stays(board: Scoreboard) -> None:
    board.clocks("RUN_CLOCKS", 390113, 390112)
    board.clocks("BEAT_CLOCKS", 1, 2)
    assert board.first_difference == "RUN_CLOCKS 390113, predicted 390112"


@pytest.mark.parametrize(
    ("bank", "row", "bit", "text"),
    [
        # layer0 has rows 0..59, two a neuron: row 3 of bank 4 is the second of neuron 9.
        (4, 3, 70, "layer 'layer0', neuron 9, bank 4 row 3 bit 70: stored 1, golden 0"),
        (0, 0, 0, "layer 'layer0', neuron 0, bank 0 row 0 bit 0: stored 1, golden 0"),
        # layer1 begins at row 60, three a neuron.
        (2, 65, 64, "layer 'layer1', neuron 7, bank 2 row 65 bit 64: stored 1, golden 0"),
    ],
)
def test_stored_bit(bank: int, row: int, bit: int, text: str) -> None:
    board = Scoreboard(NETWORK, PLACEMENT)
    golden = np.zeros((5, 100, 2), dtype=np.uint64)
    stored = golden.copy()
    stored[bank, row, bit // 64] = 1 << bit % 64
    stored[3, 85, 0] = 1  # later
    board.cells(stored, golden)
    assert board.first_difference == text


def test_stored_bit_outside_the_network() -> None:
    network = random_network((10, 4), 1)
    board = Scoreboard(network, place(network, GEOMETRY))
    golden = np.full((5, 100, 2), 2**64 - 1, dtype=np.uint64)
    stored = golden.copy()
    stored[4, 0, 0] ^= np.uint64(1 << 12)  # there is no neuron 4
    board.cells(stored, golden)
    assert board.first_difference == "bank 4 row 0 bit 12: stored 0, golden 1"


def test_activation_bit(board: Scoreboard) -> None:
    lanes = right_writes()
    # Image 2 is the second of lane 0; its word 1 holds neurons 72..143.
    at = WORDS_AN_IMAGE + 1
    lanes[0].words[at, 0] ^= np.uint64(1 << 58)
    bit = int(lanes[0].words[at, 0]) >> 58 & 1
    board.activations(lanes, HIDDEN)
    assert board.first_difference == (
        f"layer 'layer0', image 2, lane 0, neuron 130 (bank 0, rows 52..53): "
        f"activation is {bit}, golden says {1 - bit}, clock {1000 + 10 * at}"
    )


def test_activation_beyond_the_last_neuron(board: Scoreboard) -> None:
    lanes = right_writes()
    lanes[1].words[3, 1] ^= np.uint64(1)  # bit 64 of layer1's only word, which has 37 neurons
    board.activations(lanes, HIDDEN)
    assert board.first_difference == (
        "layer 'layer1', image 1, lane 1, word 0 bit 64, beyond the last neuron: "
        "is 1, golden says 0, clock 1031"
    )


def map_network(bits: int) -> Network:
    """Return a network whose first layer writes maps of 2 x 3 pixels of 7 activations."""
    flip = np.zeros(7, np.bool_)
    head: Head = Threshold(np.zeros(7, np.int32), flip)
    if bits > 1:
        head = MultiThreshold(np.zeros((2**bits - 1, 7), np.int32), flip, bits, 0)
    first = Conv("maps", pack(np.ones((7, 4), np.uint8)), (2, 3, 4), (1, 1), head)
    last = Dense("last", pack(np.ones((2, 42), np.uint8)), 42, Affine(*np.ones((2, 2), np.int32)))
    return Network("maps", (first, last), 1, True, {})


@pytest.mark.parametrize(
    ("bits", "word", "bit", "text"),
    [
        (1, 0, 3, "pixel (0, 0), neuron 3 (bank 3, rows 0..0): activation is {}, golden says {}"),
        (1, 11, 1, "pixel (1, 2), neuron 6 (bank 1, rows 1..1): activation is {}, golden says {}"),
        (1, 7, 2, "word 7 bit 2, beyond the last neuron: is {}, golden says {}"),
        # Two words of a pixel, of each 3 planes, the most significant first.
        (
            3,
            12,
            0,
            "pixel (0, 2), neuron 0 (bank 0, rows 0..0): bit 2 of the activation is {}, golden says {}",
        ),
        (
            3,
            35,
            1,
            "pixel (1, 2), neuron 6 (bank 1, rows 1..1): bit 0 of the activation is {}, golden says {}",
        ),
    ],
)
def test_activation_of_a_map(bits: int, word: int, bit: int, text: str) -> None:
    network = map_network(bits)
    geometry = Geometry(5, 5, image_elements=24, stream_bits=8, activation_bits=3)
    placement = place(network, geometry)
    codes = np.random.default_rng(bits).integers(0, 2**bits, (1, 42), dtype=np.uint8)
    words = split_map(codes, network.layers[0], 5)
    written = words[0].copy()
    written[word] ^= np.uint64(1 << bit)
    board = Scoreboard(network, placement)
    clocks, addresses = np.arange(len(written)), np.arange(len(written))
    board.activations([ActivationWrites(clocks, addresses, written)], [words])
    wrong = int(written[word, 0]) >> bit & 1
    where = "layer 'maps', image 0, lane 0"
    assert board.first_difference == f"{where}, {text.format(wrong, 1 - wrong)}, clock {word}"
    assert board.compared["hidden activation words"] == len(written) == 6 * 2 * bits


def test_stored_bit_of_planes_of_weights() -> None:
    """A tap has a row for each plane: a neuron of 4 taps and 2 planes takes 8."""
    weights = pack(np.ones((2, 7, 8), np.uint8))
    conv = Conv("maps", weights, (2, 2, 2), (2, 2), Affine(*np.ones((2, 7), np.int32)), weight_shifts=(0, 1))
    first = Conv("one", pack(np.ones((2, 1), np.uint8)), (2, 2, 1), (1, 1), Threshold(*HEAD_OF_TWO))
    network = Network("planes", (first, conv), 1, True, {})
    geometry = Geometry(5, 72, rows=100, image_elements=4, weight_planes=2)
    board = Scoreboard(network, place(network, geometry))
    golden = np.zeros((5, 100, 2), dtype=np.uint64)
    stored = golden.copy()
    stored[1, 1 + 8 + 7, 0] = 1 << 1
    board.cells(stored, golden)
    assert board.first_difference == "layer 'maps', neuron 6, bank 1 row 16 bit 1: stored 1, golden 0"


HEAD_OF_TWO = (np.zeros(2, np.int32), np.zeros(2, np.bool_))


def test_the_earliest_wrong_activation_of_all_lanes_is_told(board: Scoreboard) -> None:
    lanes = right_writes()
    lanes[0].words[5, 0] ^= np.uint64(1)  # clock 1050
    lanes[1].words[2, 0] ^= np.uint64(1)  # clock 1021
    board.activations(lanes, HIDDEN)
    assert board.first_difference is not None
    assert "lane 1" in board.first_difference
    assert board.first_difference.endswith("clock 1021")


def test_activation_address(board: Scoreboard) -> None:
    lanes = right_writes()
    lanes[0].addresses[2] += 5
    board.activations(lanes, HIDDEN)
    assert board.first_difference == (
        "layer 'layer0', image 0, lane 0, word 2: written to address 7, golden says 2, clock 1020"
    )


def shortened(writes: ActivationWrites, count: int) -> ActivationWrites:
    index = np.arange(count) % len(writes.words)
    return ActivationWrites(writes.clocks[index], writes.addresses[index], writes.words[index])


def test_missing_and_surplus_activations() -> None:
    for count, text in (
        (6, "layer 'layer0', image 2, lane 0, word 2: was never written"),
        (9, "lane 0 wrote 9 activation words, golden 8, clock 1000"),
    ):
        board = Scoreboard(NETWORK, PLACEMENT)
        lanes = right_writes()
        lanes[0] = shortened(lanes[0], count)
        board.activations(lanes, HIDDEN)
        assert board.first_difference == text


@pytest.mark.parametrize(
    ("index", "what"),
    [
        (0, "layer 'layer2', image 0, lane 0, neuron 0, logit is -1, golden says {}, clock 500"),
        (14, "layer 'layer2', image 1, lane 1, neuron 3, logit is -1, golden says {}, clock 514"),
        (32, "layer 'layer2', image 2, lane 0, class is -1, golden says {}, clock 532"),
    ],
)
def test_result(index: int, what: str) -> None:
    board = Scoreboard(NETWORK, PLACEMENT)
    beats = right_beats()
    data, last = beats[index]
    beats[index] = (0xFFFFFFFF, last)
    board.results(beats_of(beats, 500), LOGITS)
    assert board.first_difference == what.format(data - (1 << 32) if data >> 31 else data)


@pytest.mark.parametrize(("index", "where"), [(3, "neuron 3, logit"), (10, "class")])
def test_result_framing(index: int, where: str) -> None:
    board = Scoreboard(NETWORK, PLACEMENT)
    beats = right_beats()
    data, last = beats[index]
    beats[index] = (data, 1 - last)
    board.results(beats_of(beats), LOGITS)
    assert board.first_difference == (
        f"layer 'layer2', image 0, lane 0, {where}: tlast is {1 - last}, clock {index}"
    )


def test_missing_and_surplus_results() -> None:
    for beats, text in (
        (right_beats()[:-1], "layer 'layer2', image 2, lane 0, class: was never sent"),
        ([*right_beats(), (0, 0)], "34 result beats, golden 33"),
    ):
        board = Scoreboard(NETWORK, PLACEMENT)
        board.results(beats_of(beats), LOGITS)
        assert board.first_difference == text


def test_counter(board: Scoreboard) -> None:
    golden = {name: np.full(5, 811, dtype=np.uint64) for name in COUNTERS}
    read = {name: counts.copy() for name, counts in golden.items()}
    read["failed_bits"][3] += np.uint64(1)
    read["retries"][0] += np.uint64(1)
    board.counters(read, golden)
    assert board.first_difference == "counter failed_bits of bank 3: 812, golden 811"


def test_random_state(board: Scoreboard) -> None:
    board.random_state((1, 2, 0xAB, 4), (1, 2, 3, 4))
    assert board.first_difference == "random state word 2: 0x00000000000000ab, golden 0x0000000000000003"


def test_hex_of_words() -> None:
    words = np.array([[1, 2], [2**64 - 1, 0]], dtype=np.uint64)
    text = words_to_hex(words)
    assert text == ["00000000000000020000000000000001", "0000000000000000ffffffffffffffff"]
    np.testing.assert_array_equal(hex_to_words(text, 2), words)
    np.testing.assert_array_equal(hex_to_words(["2a"], 1), [[42]])


def test_hex_with_unknown_bits() -> None:
    with pytest.raises(UnknownBitsError, match=r"word 1 is 0+x1$"):
        hex_to_words(["00", "x1"], 1)
