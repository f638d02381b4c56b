"""The engine's schedule of one batch of images, from the Timing section of ``docs/architecture.md`` alone.

It is followed from event to event (a group of neurons), not from clock to clock. What a batch does depends on
little: how long before it the batch before ended, and when the results of that one were accepted. So batches
are computed once for each such case, in clocks relative to the clock before their first beat can be issued.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.placement import LayerPlacement, Placement

RANDOM_WORDS = 32
DRAIN_DELAY = 5
_SHORTEST_LAYER = 2

STALLS = ("input", "operand", "drain", "result", "descriptor")
"""Why the engine issues no beat: the Timing section defines each."""


class Wait(NamedTuple):
    """Clocks in which a layer waits for a beat; those of one beat are in the order in which they pass.

    Parameters
    ----------
    beat : int
        Number of the beat in the layer, from 0.
    cause : str
        One of `STALLS`.
    clocks : int
    """

    beat: int
    cause: str
    clocks: int


@dataclass
class LayerClocks:
    """What a layer does in a batch.

    Parameters
    ----------
    ready : int
        Clock in which its first beat would be issued if nothing but the input held it back.
    first, last : int
        Clocks of its first and last beat.
    stalls : dict of str to int
        Clocks without a beat since the layer before ended, by their cause, of `STALLS`.
    waits : list of Wait
        Where those clocks fall, but for those of the input, which all do before `ready`.
    drains : list of int
        Length of the drain of each group of a pixel.
    written : list of int
        Clock in which each word of its activations is written.
    """

    ready: int
    first: int = 0
    last: int = 0
    stalls: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STALLS, 0))
    waits: list[Wait] = field(default_factory=list)
    drains: list[int] = field(default_factory=list)
    written: list[int] = field(default_factory=list)

    def wait(self, beat: int, cause: str, clocks: int) -> None:
        """Note that a beat is waited for, if it is."""
        if clocks > 0:
            self.waits.append(Wait(beat, cause, clocks))
            self.stalls[cause] += clocks

    def issued(self, beats: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the clocks in which beats are issued, by their numbers in the layer."""
        waited = np.cumsum([0, *(wait.clocks for wait in self.waits)])
        before = np.searchsorted([wait.beat for wait in self.waits], beats, side="right")
        clocks: NDArray[np.int64] = self.ready + beats + waited[before]
        return clocks

    def waiting(self) -> NDArray[np.int64]:
        """Return the first clock of each of the `waits`."""
        beats = np.array([wait.beat for wait in self.waits], dtype=np.int64)
        lengths = np.array([wait.clocks for wait in self.waits], dtype=np.int64)
        return self.ready + beats + np.cumsum(lengths) - lengths


@dataclass(frozen=True)
class _State:
    """What the engine and the drain remember from group to group.

    Parameters
    ----------
    issued : int
        Clock of the last beat.
    group_end, drain : int
        Clock of the last beat of the group before, and the length of its drain.
    written : tuple of int
        Clock in which each word of the layer before was written.
    """

    issued: int
    group_end: int
    drain: int
    written: tuple[int, ...] = ()


@dataclass(frozen=True)
class BatchClocks:
    """What the engine does with a batch; clocks are relative to that before its first beat can be issued.

    Parameters
    ----------
    layers : tuple of LayerClocks
    end : int
        Clock of its last beat.
    drain : int
        Length of the last group's drain.
    last_logit : int
        Clock in which its last logit is taken.
    """

    layers: tuple[LayerClocks, ...]
    end: int
    drain: int
    last_logit: int

    def written(self, layer: int) -> NDArray[np.int64]:
        """Return the clock in which each word of a layer's activations is written, int64 [words]."""
        return np.array(self.layers[layer].written, dtype=np.int64)


class EngineSchedule:
    """Computes batches, each case once.

    Parameters
    ----------
    placement : Placement
    activation_pulse_clocks : int
        Length of the pulse that stores a word of activations, where they are stored in MRAM.
    """

    def __init__(self, placement: Placement, activation_pulse_clocks: int = 1) -> None:
        self._placement = placement
        self._geometry = placement.geometry
        generators = self._geometry.memory.activation_generators
        self._write_clocks = max(activation_pulse_clocks, RANDOM_WORDS // generators) if generators else 1
        self._hidden: dict[tuple[int, int, int], tuple[tuple[LayerClocks, ...], _State]] = {}
        self._batches: dict[tuple[int, int, int, int], BatchClocks] = {}

    def batch(self, images: int, idle: int, drain: int, accepted: int) -> BatchClocks:
        """Return the schedule of a batch.

        Parameters
        ----------
        images : int
            Images of the batch.
        idle : int
            Clocks for which the engine waits before the batch, since the last beat of the one before.
        drain : int
            Length of the drain that began with that beat.
        accepted : int
            Clock, relative as all here, in which the last result of the batch before was accepted.
        """
        idle = min(idle, max(drain, _SHORTEST_LAYER))  # longer ones are all the same
        key = images, idle, drain
        if key not in self._hidden:
            self._hidden[key] = self._hidden_layers(images, idle, drain)
        hidden, state = self._hidden[key]
        last = self._placement.layers[-1]
        # Accepted before the first group's last beat could be issued at all is as good as long ago.
        accepted = max(accepted, state.issued + _group_beats(last) - 1)
        if (*key, accepted) not in self._batches:
            begin = state.issued + 1 if hidden else 1 - idle
            clocks, state = self._layer(len(hidden), state, images, accepted, begin)
            taken = state.group_end + self._drain_delay(last) + last.last_group_neurons * images - 1
            self._batches[*key, accepted] = BatchClocks((*hidden, clocks), state.issued, state.drain, taken)
        return self._batches[*key, accepted]

    def _hidden_layers(self, images: int, idle: int, drain: int) -> tuple[tuple[LayerClocks, ...], _State]:
        state = _State(0, -idle, drain)
        layers = []
        begin = 1 - idle  # the layer's first clock
        for index in range(len(self._placement.layers) - 1):
            clocks, state = self._layer(index, state, images, 0, begin)
            layers.append(clocks)
            begin = state.issued + 1
        return tuple(layers), state

    def _layer(
        self, index: int, state: _State, images: int, accepted: int, begin: int
    ) -> tuple[LayerClocks, _State]:
        """Issue a layer, whose first clock is `begin`; return its clocks and the state behind it."""
        placed = self._placement.layers[index]
        logits = index == len(self._placement.layers) - 1
        source_complete = max(state.written) if index else 0
        clocks = LayerClocks(state.issued + 1)
        issued, group_end, drain = state.issued, state.group_end, state.drain
        beats = _group_beats(placed)
        for pixel in range(placed.pixels):
            for group in range(placed.groups):
                last_group = group == placed.groups - 1
                number = (pixel * placed.groups + group) * beats  # of the group's first beat
                end = issued + beats
                if issued < source_complete:
                    for beat, waited in _operand_waits(placed, pixel, issued, state.written):
                        clocks.wait(number + beat, "operand", waited)
                        end += waited
                floors = {"drain": group_end + drain}
                if logits and group == 0:
                    floors["result"] = accepted + 1
                if last_group and pixel == placed.pixels - 1:
                    floors["descriptor"] = begin + _SHORTEST_LAYER - 1
                for cause, floor in floors.items():
                    clocks.wait(number + beats - 1, cause, floor - end)
                    end = max(end, floor)
                issued = group_end = end
                neurons = placed.last_group_neurons if last_group else self._geometry.banks
                drain = neurons * images if logits else self._drain(placed, group, end, clocks.written)
                if self._geometry.integer_head:
                    drain += placed.thresholds - 1
                if not pixel:
                    clocks.drains.append(drain)
        clocks.first, clocks.last = int(clocks.issued(np.zeros(1, dtype=np.int64))[0]), issued
        return clocks, replace(
            state, issued=issued, group_end=group_end, drain=drain, written=tuple(clocks.written)
        )

    def _drain(self, placed: LayerPlacement, group: int, group_end: int, written: list[int]) -> int:
        """Note when the words are written that a group completes; return how long its drain is."""
        banks, width = self._geometry.banks, self._geometry.word_bits
        last_group = group == placed.groups - 1
        neurons = placed.last_group_neurons if last_group else banks
        chunk = min(banks, width)
        chunks = -(-neurons // chunk)
        bits = placed.activation_bits
        before = group * banks  # neurons of the pixel
        rest = (before + neurons) % width if last_group else 0
        clock = group_end + self._drain_delay(placed) - 1
        takes_rest = False
        for number in range(chunks):
            packed = before + min(number * chunk, neurons), before + min((number + 1) * chunk, neurons)
            completes = packed[0] // width < packed[1] // width
            takes_rest = rest > 0 and number == chunks - 1 and not completes
            for _ in range(bits):
                clock += self._write_clocks if completes or takes_rest else 1
                if completes or takes_rest:
                    written.append(clock)
        if rest and not takes_rest:  # a rest behind a word that the last chunk completed
            written += [clock + self._write_clocks * (plane + 1) for plane in range(bits)]
        divides = width % banks == 0 or banks % width == 0
        most_words = (width - 1 + banks) // width + (0 if divides else 1)
        flush = int(last_group and not divides)
        return bits * (chunks + flush) + (self._write_clocks - 1) * most_words

    def _drain_delay(self, placed: LayerPlacement) -> int:
        """Return the clocks from a group's last beat to the first chunk of its activations, or logit."""
        return DRAIN_DELAY + (1 + placed.thresholds if self._geometry.integer_head else 0)


def _group_beats(placed: LayerPlacement) -> int:
    return placed.beats // (placed.pixels * placed.groups)


def _operand_waits(
    placed: LayerPlacement, pixel: int, issued: int, written: tuple[int, ...]
) -> Iterator[tuple[int, int]]:
    """Yield the beats of a group that wait for their operands, and for how many clocks."""
    clock = issued
    for beat, address in enumerate(operand_addresses(placed, pixel)):
        waited = max(0, written[address] - clock) if address is not None else 0
        clock += 1 + waited
        if waited:
            yield beat, waited


def operand_addresses(placed: LayerPlacement, pixel: int) -> Iterator[int | None]:
    """Yield the address of the operand of each beat of a group, from the map's start; None in padding.

    Parameters
    ----------
    placed : LayerPlacement
    pixel : int
        Number of the output pixel.
    """
    height, width = placed.source
    pixel_y, pixel_x = divmod(pixel, placed.positions[1])
    for window_y, window_x in np.ndindex(placed.window):
        for kernel_y, kernel_x in np.ndindex(placed.kernel):
            sum_y = pixel_y * placed.window_stride[0] + window_y
            sum_x = pixel_x * placed.window_stride[1] + window_x
            y = sum_y * placed.stride[0] + kernel_y + placed.origin[0]
            x = sum_x * placed.stride[1] + kernel_x + placed.origin[1]
            inside = 0 <= y < height and 0 <= x < width
            for word in range(placed.words):
                for step in placed.steps:
                    of_word = (y * width + x) * placed.words + word
                    yield of_word * placed.planes + step.plane if inside else None
