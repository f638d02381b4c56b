"""The cycle-accurate model: what a job must give, to the bit and the clock, computed in bulk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.activation_memory import ActivationMemory
from spinbnn.golden.chip import Chip
from spinbnn.golden.encoding import Words
from spinbnn.golden.layers import Affine
from spinbnn.golden.mram import Counts, MramArray
from spinbnn.golden.network import LayerTrace, Network, classify, trace
from spinbnn.golden.operating_point import POINTS, OperatingPoint
from spinbnn.golden.placement import Placement, ProgramPacket, place, program_rows, split_map, stored_network
from spinbnn.golden.point_map import assign_points
from spinbnn.sim import schedule
from spinbnn.sim.schedule import RunClocks, StreamPauses
from spinbnn.sim.spec import Pass, RunJob
from spinbnn.sim.stalls import stream_pauses

# Images whose integers are held at a time.
_BLOCK_IMAGES = 512


@dataclass(frozen=True)
class Step:
    """Something that the programming controller does before images are run.

    Parameters
    ----------
    kind : {"program", "age", "scrub"}
    point : OperatingPoint
    clocks : int
        Clocks in which the controller is not idle.
    first_row, last_row : int
        Rows of all banks that are aged or scrubbed.
    packets : tuple of ProgramPacket
        What is programmed, in this order.
    packet_clocks : tuple of int
        Of those clocks, the ones of each packet.
    """

    kind: str
    point: OperatingPoint
    clocks: int
    first_row: int = 0
    last_row: int = 0
    packets: tuple[ProgramPacket, ...] = ()
    packet_clocks: tuple[int, ...] = ()

    @property
    def rows(self) -> int:
        """Rows of single banks that are programmed, or rows of all banks that are gone over."""
        if self.kind == "program":
            return sum(len(packet.rows) for packet in self.packets)
        return self.last_row - self.first_row + 1

    @property
    def name(self) -> str:
        """What is done, in words."""
        return f"{self.kind} of {self.rows} rows"


@dataclass(frozen=True)
class Inference:
    """What images give on the weights as stored.

    Parameters
    ----------
    hidden : list of uint64 [images, words, L]
        The activations of each hidden layer as they lie in memory.
    logits : int32 [images, outputs]
    """

    hidden: list[Words]
    logits: NDArray[np.int32]

    @cached_property
    def classes(self) -> NDArray[np.int64]:
        """The class of each image, int64 [images]."""
        return classify(self.logits)


@dataclass(frozen=True)
class Outcome:
    """What a job gives; the RTL must give the same.

    Parameters
    ----------
    loaded : uint64 [banks, rows, Lc]
        What the array holds at first: nothing, or the programmed network if it is loaded by the backdoor.
    steps : tuple of Step
        What is then done before the images, in this order.
    cells : uint64 [banks, rows, Lc]
        What the array then holds, and until the end.
    bits_wrong : int64 [banks]
        Bits that a read gives other than intended.
    random_state : tuple of int
        The random stream's four words at the end.
    counters : dict of str to uint64 [banks] or [lanes]
        At the end.
    inference : Inference
    run : RunClocks
        The clocks of the images.
    """

    loaded: Words
    steps: tuple[Step, ...]
    cells: Words
    bits_wrong: NDArray[np.int64]
    random_state: tuple[int, ...]
    counters: dict[str, Counts]
    inference: Inference
    run: RunClocks

    @property
    def program_clocks(self) -> int:
        """What PROGRAM_CLOCKS reads."""
        return sum(step.clocks for step in self.steps)


class MachineModel:
    """The machine and its array before a job.

    Parameters
    ----------
    job : RunJob
        Of a network that fits the machine.

    Attributes
    ----------
    placement : Placement
    array : MramArray
        Programmed by `run`.
    """

    def __init__(self, job: RunJob) -> None:
        self._job = job
        self.placement: Placement = place(job.network, job.geometry)
        self._packets = program_rows(job.network, self.placement, job.geometry)
        read_row_energy_aj = job.geometry.row_cells * job.read_bit_energy_aj
        self.array = MramArray(job.geometry, job.seed, read_row_energy_aj, job.chip)

    def run(self, pauses: StreamPauses | None = None) -> Outcome:
        """Do the job.

        Parameters
        ----------
        pauses : StreamPauses, optional
            How the outside holds back the streams; by default as the job's stalls are drawn.
        """
        job, array = self._job, self.array
        loaded = np.zeros_like(array.cells)
        steps = self._load_weights()
        if job.loading == "backdoor":
            loaded = array.cells.copy()
        for each in job.passes:
            steps += self._do_pass(each)
        images = len(job.images)
        if pauses is None:
            pauses = stream_pauses(job.stalls, job.network, self.placement, images)
        array.count_inference(self.placement, -(-images // job.geometry.lanes))
        stored = stored_network(job.network, self.placement, array.read_all())
        if job.geometry.memory.activation_generators:
            inference = self._infer_with_errors(stored)
        else:
            inference = infer(stored, job.images, job.geometry.word_bits)
        return Outcome(
            loaded=loaded,
            steps=tuple(steps),
            cells=array.cells,
            bits_wrong=self._bits_wrong(),
            random_state=array.rng_state,
            counters=array.counters,
            inference=inference,
            run=schedule.predict_run_clocks(
                job.network, self.placement, images, job.activation_point.pulse_clocks, pauses
            ),
        )

    def _load_weights(self) -> list[Step]:
        """Bring the network into the array."""
        array = self.array
        if self._job.loading == "front-door":
            return self._program()
        state = array.rng_state
        self._program()
        array.rng_state = state  # the machine draws and counts nothing
        for counts in array.counters.values():
            counts[:] = 0
        return []

    def _program(self) -> list[Step]:
        job = self._job
        steps: list[Step] = []
        assigned = assign_points(self._packets, job.point, job.ranges)
        for point, parts in groupby(assigned, key=itemgetter(1)):
            packets = tuple(packet for packet, _ in parts)
            logs = [self.array.program(packet, point) for packet in packets]
            clocks = tuple(
                schedule.predict_program_clocks(log, point, job.geometry, job.chip) for log in logs
            )
            steps.append(Step("program", point, sum(clocks), packets=packets, packet_clocks=clocks))
        return steps

    def _do_pass(self, each: Pass) -> list[Step]:
        """Age, scrub or program the array again."""
        if each.kind == "program":
            return self._program()
        geometry, chip = self._job.geometry, self._job.chip
        if each.kind == "age":
            self.array.age(each.first_row, each.last_row, each.point)
            rows = each.last_row - each.first_row + 1
            clocks = schedule.predict_age_clocks(rows, each.point, geometry, chip)
        else:
            log = self.array.scrub(each.first_row, each.last_row, each.point)
            clocks = schedule.predict_scrub_clocks(log, each.point, geometry, chip)
        return [Step(each.kind, each.point, clocks, each.first_row, each.last_row)]

    def _bits_wrong(self) -> NDArray[np.int64]:
        """Return how many bits a read of each bank gives other than intended."""
        ideal = MramArray(self._job.geometry, 0, chip=Chip(self._job.chip.seed))
        for packet in self._packets:
            ideal.program(packet, POINTS["ideal"])
        differing = self.array.read_all() ^ ideal.read_all()
        wrong: NDArray[np.int64] = np.bitwise_count(differing).sum(axis=(1, 2), dtype=np.int64)
        return wrong

    def _infer_with_errors(self, stored: Network) -> Inference:
        """Return what images give where their activations are stored with errors, which are counted."""
        job = self._job
        memory = ActivationMemory(self.placement, job.activation_point, len(job.images))
        traces = trace(stored, job.images, memory.store)
        self.array.counters |= memory.counters
        return Inference([memory.words[layer] for layer in sorted(memory.words)], _logits(stored, traces))


def infer(network: Network, images: NDArray[np.uint8], word_bits: int) -> Inference:
    """Return what images give.

    Parameters
    ----------
    network : Network
    images : uint8 [n, inputs]
    word_bits : int
        Of the memory in which activations lie.
    """
    hidden: list[list[Words]] = [[] for _ in network.layers[:-1]]
    logits = []
    for first in range(0, len(images), _BLOCK_IMAGES):
        traces = trace(network, images[first : first + _BLOCK_IMAGES])
        logits.append(_logits(network, traces))
        for layer, traced, words in zip(network.layers, traces, hidden, strict=False):
            assert traced.bits is not None
            words.append(split_map(traced.bits, layer, word_bits))
    return Inference([np.concatenate(words) for words in hidden], np.concatenate(logits))


def _logits(network: Network, traces: Sequence[LayerTrace]) -> NDArray[np.int32]:
    head = network.layers[-1].head
    assert isinstance(head, Affine)
    return head.logits(traces[-1].sums)
