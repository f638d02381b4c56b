"""Compares what the machine did with golden, for equality, and says in one line where they first differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.encoding import SLICE_BITS, Words
from spinbnn.golden.mram import LANE_COUNTERS, Counts
from spinbnn.golden.network import Network, classify
from spinbnn.golden.placement import Placement, activation_bits, output_words, pixel_words
from spinbnn.sim.engine_schedule import STALLS
from spinbnn.sim.schedule import RunClocks
from spinbnn.sim.testbench.observation import ActivationWrites, Clocks, ResultBeats, RunObservation


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
        found: list[tuple[int, str]] = []
        for lane, writes in enumerate(lanes):
            mine = [words[lane :: len(lanes)] for words in hidden]
            difference = self._lane_activations(lane, writes, mine)
            if difference is not None:
                found.append(difference)
        if found:
            self.note(min(found)[1])

    def _lane_activations(
        self, lane: int, writes: ActivationWrites, hidden: Sequence[Words]
    ) -> tuple[int, str] | None:
        """Return clock and text of a lane's first difference; `hidden` are the words of its images."""
        geometry = self._placement.geometry
        places: list[tuple[int, int]] = []  # of each word of an image: layer, number of the word
        addresses: list[int] = []
        for index, placed in enumerate(self._placement.layers[:-1]):
            count = output_words(self._network.layers[index], geometry)
            places += [(index, word) for word in range(count)]
            addresses += [placed.destination_base + word for word in range(count)]
        words = np.zeros((0, geometry.slices), dtype=np.uint64)
        if hidden:
            words = np.concatenate(hidden, axis=1).reshape(-1, geometry.slices)
        self._count("hidden activation words", len(words))
        common = min(len(words), len(writes.words))
        all_addresses = np.resize(np.array(addresses, dtype=np.int64), len(words))
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

    def results(self, beats: ResultBeats, logits: NDArray[np.int32]) -> None:
        """Compare every beat of the result stream with golden's logits, int32 [n, N]."""
        images, outputs = logits.shape
        self._count("logits", logits.size)
        self._count("classes", images)
        values = np.concatenate(
            [logits, classify(logits)[:, np.newaxis]], axis=1, dtype=np.int32, casting="unsafe"
        )
        expected = values.reshape(-1).view(np.uint32)
        last = np.arange(len(expected)) % (outputs + 1) == outputs
        common = min(len(expected), len(beats.data))
        wrong = (beats.data[:common] != expected[:common]) | (beats.last[:common] != last[:common])
        if wrong.any():
            at = int(np.argmax(wrong))
            clock = f"clock {beats.clocks[at]}"
            is_, says = (int(each[at].view(np.int32)) for each in (beats.data, expected))
            if is_ != says:
                self.note(f"{self._result(at)} is {is_}, golden says {says}, {clock}")
            else:
                self.note(f"{self._result(at)}: tlast is {beats.last[at]}, {clock}")
        elif common < len(expected):
            self.note(f"{self._result(common)}: was never sent")
        elif common < len(beats.data):
            self.note(f"{len(beats.data)} result beats, golden {len(expected)}")

    def _result(self, beat: int) -> str:
        """Return what a beat of the result stream is."""
        outputs = self._network.outputs
        image, position = divmod(beat, outputs + 1)
        lane = image % self._placement.geometry.lanes
        what = "class" if position == outputs else f"neuron {position}, logit"
        return f"layer '{self._network.layers[-1].name}', image {image}, lane {lane}, {what}"

    def timing(self, seen: RunObservation, run: RunClocks, before: int) -> None:
        """Compare the clock of every beat, layer and word of a run with the model's.

        Parameters
        ----------
        seen : RunObservation
        run : RunClocks
        before : int
            The wrapper's clock before the first of the run.
        """
        lanes = self._placement.geometry.lanes
        beats = run.images.shape[1]
        self._moments(
            "image beat",
            seen.image_clocks - before,
            run.images,
            lambda at: f"image {at // beats}, beat {at % beats}",
        )
        self._layers(seen, run, before)
        words = [run.written(layer) for layer in range(len(self._network.layers) - 1)]
        images = len(run.images)
        for lane, writes in enumerate(seen.activations if words else ()):
            of_lane = np.concatenate(words, axis=1)[: len(range(lane, images, lanes))]
            each = of_lane.shape[1]
            self._moments(
                "activation word",
                writes.clocks - before,
                of_lane,
                lambda at, lane=lane, each=each: (
                    f"image {lane + at // each * lanes}, lane {lane}, word {at % each}"
                ),
            )
        self._moments("result beat", seen.results.clocks - before, run.results, self._result)

    def _layers(self, seen: RunObservation, run: RunClocks, before: int) -> None:
        """Compare the first and last beat of each layer, and what it waited for."""
        layers = self._network.layers

        def name(at: int) -> str:
            batch, layer = divmod(at // 2, len(layers))
            return f"{('first', 'last')[at % 2]} beat of layer '{layers[layer].name}', batch {batch}"

        self._moments("layer beat", seen.layers.beats - before, run.layer_clocks(), name)
        stalls = run.stalls().reshape(-1, len(STALLS))
        self._count("stall counts", stalls.size)
        if seen.layers.stalls.shape == stalls.shape and np.any(seen.layers.stalls != stalls):
            at, cause = np.argwhere(seen.layers.stalls != stalls)[0].tolist()
            batch, layer = divmod(at, len(layers))
            self.note(
                f"layer '{layers[layer].name}', batch {batch}: {STALLS[cause]} stalls for "
                f"{seen.layers.stalls[at, cause]} clocks, predicted {stalls[at, cause]}"
            )

    def _moments(self, kind: str, clocks: Clocks, predicted: Clocks, name: Any) -> None:
        """Compare clocks in which things happened; `name` says what a number is."""
        clocks, predicted = clocks.reshape(-1), predicted.reshape(-1)
        self._count(f"{kind} clocks", len(predicted))
        common = min(len(clocks), len(predicted))
        wrong = clocks[:common] != predicted[:common]
        if wrong.any():
            at = int(np.argmax(wrong))
            self.note(f"{name(at)}: in clock {clocks[at]} of the run, predicted {predicted[at]}")
        elif len(clocks) != len(predicted):
            self.note(f"{len(clocks)} {kind}s, predicted {len(predicted)}")

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
