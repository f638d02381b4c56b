"""Compares what the machine did with golden, for equality, and says in one line where they first differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.encoding import SLICE_BITS, Words
from spinbnn.golden.mram import LANE_COUNTERS, Counts
from spinbnn.golden.network import Network, classify
from spinbnn.golden.placement import Placement, activation_bits, output_words, pixel_words
from spinbnn.sim.testbench.backdoor import ActivationWrites
from spinbnn.sim.testbench.streams import Beat


class Scoreboard:
    """Collects comparisons; made in the order of cause and effect, the first difference is the cause.

    Parameters
    ----------
    network : Network
        The intended one.
    placement : Placement

    Attributes
    ----------
    compared : dict of str to int
        How many of each kind of thing were compared.
    first_difference : str or None
        None as long as everything was equal.
    """

    def __init__(self, network: Network, placement: Placement) -> None:
        self._network = network
        self._placement = placement
        self.compared: dict[str, int] = {}
        self.first_difference: str | None = None

    def note(self, difference: str) -> None:
        """Record a difference found elsewhere."""
        if self.first_difference is None:
            self.first_difference = difference

    def _count(self, kind: str, amount: int) -> None:
        self.compared[kind] = self.compared.get(kind, 0) + amount

    def cells(self, stored: Words, golden: Words) -> None:
        """Compare the whole array, uint64 [banks, rows, Lc]."""
        geometry = self._placement.geometry
        self.compared["stored bits"] = geometry.banks * geometry.rows * geometry.row_cells
        differing = np.argwhere(stored != golden)
        if len(differing):
            # The row that is programmed first: rows ascend, banks fastest.
            bank, row, part = min(differing.tolist(), key=lambda place: (place[1], place[0], place[2]))
            bit = _lowest_bit(int(stored[bank, row, part] ^ golden[bank, row, part]))
            was = int(stored[bank, row, part]) >> bit & 1
            where = f"bank {bank} row {row} bit {part * SLICE_BITS + bit}"
            self.note(f"{self._owner(bank, row)}{where}: stored {was}, golden {1 - was}")

    def _owner(self, bank: int, row: int) -> str:
        """Return which layer and neuron a row belongs to, for the start of a line."""
        for layer, placed in zip(self._network.layers, self._placement.layers, strict=True):
            if placed.row_base <= row < placed.row_base + placed.rows:
                group = (row - placed.row_base) // placed.neuron_rows
                neuron = group * self._placement.geometry.banks + bank
                if neuron < layer.neurons:
                    return f"layer '{layer.name}', neuron {neuron}, "
        return ""

    def activations(self, lanes: Sequence[ActivationWrites], hidden: Sequence[Words]) -> None:
        """Compare every stored word of activations with that of each hidden layer, uint64 [images, words, L].

        Lane p computes images p, p + P, and so on.
        """
        images = len(hidden[0]) if hidden else 0
        found: list[tuple[int, str]] = []
        for lane, writes in enumerate(lanes):
            mine = [[words[image] for words in hidden] for image in range(lane, images, len(lanes))]
            difference = self._lane_activations(lane, writes, mine)
            if difference is not None:
                found.append(difference)
        if found:
            self.note(min(found)[1])

    def _lane_activations(
        self, lane: int, writes: ActivationWrites, images: list[list[Words]]
    ) -> tuple[int, str] | None:
        """Return clock and text of a lane's first difference; images[i][l] are hidden layer l's words."""
        geometry = self._placement.geometry
        expected: list[Words] = []
        places: list[tuple[int, int]] = []  # of each word of an image: layer, number of the word
        addresses: list[int] = []
        for index, placed in enumerate(self._placement.layers[:-1]):
            count = output_words(self._network.layers[index], geometry)
            places += [(index, word) for word in range(count)]
            addresses += [placed.destination_base + word for word in range(count)]
        for layers in images:
            expected += layers
        words = np.concatenate(expected) if expected else np.zeros((0, geometry.slices), dtype=np.uint64)
        self._count("hidden activation words", len(words))
        common = min(len(words), len(writes.words))
        all_addresses = np.array(addresses * len(images), dtype=np.int64)
        wrong = (words[:common] != writes.words[:common]).any(axis=1)
        wrong |= all_addresses[:common] != writes.addresses[:common]
        if wrong.any():
            at = int(np.argmax(wrong))
            clock = int(writes.clocks[at])
        elif len(words) != len(writes.words):
            at, clock = common, int(writes.clocks[common]) if common < len(writes.words) else 2**63
        else:
            return None
        if at >= len(words):
            return (
                clock,
                f"lane {lane} wrote {len(writes.words)} activation words, golden {len(words)}, clock {clock}",
            )
        image, word = divmod(at, len(places))
        layer, word = places[word]
        where = (
            f"layer '{self._network.layers[layer].name}', image {lane + image * geometry.lanes}, lane {lane}"
        )
        if at >= len(writes.words):
            return clock, f"{where}, word {word}: was never written"
        if all_addresses[at] != writes.addresses[at]:
            text = f"written to address {writes.addresses[at]}, golden says {all_addresses[at]}"
            return clock, f"{where}, word {word}: {text}, clock {clock}"
        return clock, f"{where}, {self._neuron(layer, word, words[at], writes.words[at])}, clock {clock}"

    def _neuron(self, layer: int, word: int, golden: Words, written: Words) -> str:
        """Return which neuron of a word differs, and how."""
        geometry, placed = self._placement.geometry, self._placement.layers[layer]
        part = int(np.flatnonzero(golden != written)[0])
        bit = _lowest_bit(int(golden[part] ^ written[part]))
        says = int(golden[part]) >> bit & 1
        position = part * SLICE_BITS + bit
        writer = self._network.layers[layer]
        bits = activation_bits(writer)
        pixel, of_pixel = divmod(word, pixel_words(writer.neurons, geometry) * bits)
        neuron = of_pixel // bits * geometry.word_bits + position
        if neuron >= writer.neurons:
            return f"word {word} bit {position}, beyond the last neuron: is {1 - says}, golden says {says}"
        group, bank = divmod(neuron, geometry.banks)
        first = placed.row_base + group * placed.neuron_rows
        rows = f"bank {bank}, rows {first}..{first + placed.neuron_rows - 1}"
        where = f"pixel {divmod(pixel, placed.positions[1])}, " if placed.pixels > 1 else ""
        what = f"bit {bits - 1 - of_pixel % bits} of the activation" if bits > 1 else "activation"
        return f"{where}neuron {neuron} ({rows}): {what} is {1 - says}, golden says {says}"

    def results(self, beats: Sequence[Beat], clocks: Sequence[int], logits: NDArray[np.int32]) -> None:
        """Compare every beat (data, last) of the result stream with golden's logits, int32 [n, N].

        `clocks` are the clocks in which the beats were accepted.
        """
        images, outputs = logits.shape
        classes = classify(logits)
        self._count("logits", logits.size)
        self._count("classes", images)
        layer = self._network.layers[-1].name
        for image in range(images):
            values = [*logits[image].tolist(), int(classes[image])]
            for position, value in enumerate(values):
                index = image * (outputs + 1) + position
                what = "class" if position == outputs else f"neuron {position}, logit"
                where = (
                    f"layer '{layer}', image {image}, lane {image % self._placement.geometry.lanes}, {what}"
                )
                if index >= len(beats):
                    self.note(f"{where}: was never sent")
                    return
                data, last = beats[index]
                signed = data - (1 << 32) if data >> 31 else data
                if signed != value:
                    self.note(f"{where} is {signed}, golden says {value}, clock {clocks[index]}")
                    return
                if last != (position == outputs):
                    self.note(f"{where}: tlast is {last}, clock {clocks[index]}")
                    return
        if len(beats) > images * (outputs + 1):
            self.note(f"{len(beats)} result beats, golden {images * (outputs + 1)}")

    def counters(self, read: Mapping[str, Counts], golden: Mapping[str, Counts]) -> None:
        """Compare every counter of every bank, and of every lane."""
        for name in golden:
            self._count("counters", len(golden[name]))
            place = "lane" if name in LANE_COUNTERS else "bank"
            for at in np.flatnonzero(read[name] != golden[name]).tolist():
                self.note(f"counter {name} of {place} {at}: {read[name][at]}, golden {golden[name][at]}")

    def random_state(self, read: Sequence[int], golden: Sequence[int]) -> None:
        """Compare the four words of the random stream's state."""
        self._count("random state words", len(golden))
        for index, (is_, says) in enumerate(zip(read, golden, strict=True)):
            if is_ != says:
                self.note(f"random state word {index}: 0x{is_:016x}, golden 0x{says:016x}")

    def clocks(self, name: str, read: int, predicted: int) -> None:
        """Compare a number of clocks with the one predicted."""
        self._count("clock counts", 1)
        if read != predicted:
            self.note(f"{name} {read}, predicted {predicted}")


def _lowest_bit(word: int) -> int:
    return (word & -word).bit_length() - 1
