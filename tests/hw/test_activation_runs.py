"""Machines with activations in MRAM, from the start of a run to its counters, against a slow model."""

import random
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from spinbnn.golden.geometry import Geometry
from spinbnn.golden.layers import Affine, Dense, Threshold
from spinbnn.golden.memory_options import MemoryOptions
from spinbnn.golden.network import Network
from spinbnn.golden.placement import place
from spinbnn.hw.accelerator import Accelerator
from spinbnn.hw.activation_counters import LANE_COUNTERS
from spinbnn.hw.counters import Counter
from spinbnn.hw.descriptor import descriptor_words, logit_words, step_words, threshold_words
from spinbnn.hw.lane import Lane
from spinbnn.hw.registers import REGISTERS
from spinbnn.sim.schedule import predict_run_clocks
from tests.hw.simulation import simulate
from tests.hw.test_accelerator import PATIENCE, Host
from tests.hw.test_activation_injector import WORD_ENERGY, Errors
from tests.sim.test_schedule import clock_by_clock

SEED, P_01, P_10 = 0x0123_4567_89AB_CDEF, 0x1800_0000, 0x2000_0000
INPUT_BITS = 2


def minus_one_network(rng: random.Random, sizes: tuple[int, ...]) -> Network:
    """Return a network whose weights are all -1, as in a blank array, and whose bits depend on its inputs."""
    layers = []
    for index, (inputs, outputs) in enumerate(pairwise(sizes)):
        typical = 0 if index else -3 * inputs // 2
        values = np.array([typical + rng.randint(-3, 3) for _ in range(outputs)], dtype=np.int32)
        flip = np.array([rng.random() < 0.5 for _ in range(outputs)])
        head: Affine | Threshold = Threshold(values, flip)
        if index == len(sizes) - 2:
            head = Affine(np.arange(3, 3 + outputs, dtype=np.int32), np.arange(outputs, dtype=np.int32))
        weights = np.zeros((outputs, 1), dtype=np.uint64)
        layers.append(Dense(f"layer {index}", weights, inputs, head))
    return Network("minus one", tuple(layers), INPUT_BITS, False, {})


def run_by_hand(
    network: Network, geometry: Geometry, images: list[list[int]], errors: Errors
) -> tuple[list[list[tuple[int, int]]], list[list[int]]]:
    """Return the words that each lane stores, with their flips, and the logits of each image."""
    stored: list[list[tuple[int, int]]] = [[] for _ in range(geometry.lanes)]
    logits = []
    width = geometry.word_bits
    for first in range(0, len(images), geometry.lanes):
        batch = images[first : first + geometry.lanes]
        sums = [-sum(image) for image in batch]  # the same for all neurons of a layer
        for layer in network.layers[:-1]:
            assert isinstance(layer.head, Threshold)
            values, flip = layer.head.values.tolist(), layer.head.flip.tolist()
            bits = [[int((s >= v) != f) for v, f in zip(values, flip, strict=True)] for s in sums]
            for start in range(0, layer.outputs, width):
                words = [sum(b << k for k, b in enumerate(mine[start : start + width])) for mine in bits]
                # Lanes without an image draw too, for whatever they would store.
                flips = errors.next_flips(words + [0] * (geometry.lanes - len(words)))
                for lane, mine in enumerate(bits):
                    kept = words[lane] ^ flips[lane]
                    stored[lane].append((kept, flips[lane]))
                    for index in range(start, min(start + width, layer.outputs)):
                        mine[index] = kept >> (index - start) & 1
            sums = [sum(1 - 2 * bit for bit in mine) for mine in bits]
        head = network.layers[-1].head
        assert isinstance(head, Affine)
        logits += [(head.scale * s + head.bias).tolist() for s in sums]
    return stored, logits


class Machine:
    """A machine with a network, its streams, and what came out of it."""

    def __init__(
        self, geometry: Geometry, network: Network, images: list[list[int]], pulse_clocks: int
    ) -> None:
        self.geometry, self.network, self.images = geometry, network, images
        self.pulse_clocks = pulse_clocks
        self.accelerator = Accelerator(geometry)
        self.lanes: list[Lane] = []
        self.stored: list[list[int]] = [[] for _ in range(geometry.lanes)]
        self.results: list[int] = []

    def simulate(self, control: Any) -> None:
        """Stream images, again and again, while `control` runs with a host."""
        finished = False

        async def software(ctx: Any) -> None:
            nonlocal finished
            await control(Host(ctx, self.accelerator))
            finished = True

        async def feed(ctx: Any) -> None:
            stream = self.accelerator.s_axis_image
            while not finished:
                for image in self.images:
                    for start in range(0, len(image), 4):
                        beat = bytes(image[start : start + 4])
                        ctx.set(stream.tdata, int.from_bytes(beat, "little"))
                        ctx.set(stream.tlast, start + 4 >= len(image))
                        ctx.set(stream.tvalid, 1)
                        while not ctx.get(stream.tready) and not finished:
                            await ctx.tick()
                        await ctx.tick()

        async def watch(ctx: Any) -> None:
            stream = self.accelerator.m_axis_result
            ctx.set(stream.tready, 1)
            while not finished:
                if ctx.get(stream.tvalid):
                    self.results.append(ctx.get(stream.tdata))
                for lane, seen in zip(self.lanes, self.stored, strict=True):
                    if ctx.get(lane.activation_write_enable):
                        seen.append(ctx.get(lane.activation_write_data))
                await ctx.tick()

        def watched_lane(geometry: Geometry) -> Lane:
            self.lanes.append(Lane(geometry))
            return self.lanes[-1]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("spinbnn.hw.accelerator.Lane", watched_lane)
            simulate(self.accelerator, feed, watch, software)

    async def set_up(self, host: Host) -> None:
        """Load the network, and say how activations are stored."""
        network, placement = self.network, place(self.network, self.geometry)
        for index, words in enumerate(descriptor_words(network, placement).tolist()):
            await host.table(0, words, row=index)
        await host.table(4, step_words(placement).ravel().tolist())
        for row, words in enumerate(threshold_words(network, placement, self.geometry).tolist()):
            await host.table(1, words, row=row)
        await host.table(2, logit_words(network).ravel().tolist())
        values = {
            "LAYERS": len(network.layers),
            "IMAGES": len(self.images),
            "IMAGE_ELEMENTS": network.inputs,
            "IMAGE_PLANES": INPUT_BITS,
            "OUTPUTS": network.outputs,
            "ACTIVATION_P_01": P_01,
            "ACTIVATION_P_10": P_10,
            "ACTIVATION_PULSE_CLOCKS": self.pulse_clocks,
            "ACTIVATION_WORD_ENERGY": WORD_ENERGY,
            "ACTIVATION_SEED_LO": SEED & 0xFFFF_FFFF,
            "ACTIVATION_SEED_HI": SEED >> 32,
        }
        for name, value in values.items():
            await host.write(name, value=value)
        await until(host, "programming", 0)


async def until(host: Host, flag: str, value: int) -> None:
    for _ in range(PATIENCE):
        if await host.status(flag) == value:
            return
    raise AssertionError(f"{flag} does not become {value}")


async def counter(host: Host, lane: int, index: int) -> int:
    await host.write("COUNTER_SELECT", counter=index, bank=lane)
    await until(host, "counter_ready", 1)
    return await host.read("COUNTER_LO") | await host.read("COUNTER_HI") << 32


@pytest.mark.parametrize(
    ("banks", "word_bits", "lanes", "generators", "pulse_clocks"),
    [(4, 8, 2, 4, 1), (16, 4, 1, 32, 3), (5, 8, 3, 1, 40)],
)
def test_a_machine_runs_with_errors_in_the_predicted_clocks(
    banks: int, word_bits: int, lanes: int, generators: int, pulse_clocks: int
) -> None:
    """Two runs: each is seeded when it is started, and the counters add up."""
    memory = MemoryOptions(activation_generators=generators)
    geometry = Geometry(banks, word_bits, lanes=lanes, stream_bits=32, outputs=4, memory=memory)
    rng = random.Random(generators)
    network = minus_one_network(rng, (20, 21, 11, 3))
    count = 2 * lanes - (lanes > 1)  # the last batch is not full
    images = [[rng.randrange(4) for _ in range(network.inputs)] for _ in range(count)]
    machine = Machine(geometry, network, images, pulse_clocks)
    words, logits = run_by_hand(network, geometry, images, Errors(geometry, SEED, P_01, P_10))
    placement = place(network, geometry)
    predicted = predict_run_clocks(network, placement, count, pulse_clocks)
    slow = clock_by_clock(network, geometry, count, pulse_clocks)
    assert (predicted.total, predicted.beats) == (slow.results[-1], slow.issued)

    async def control(host: Host) -> None:
        await machine.set_up(host)
        for run in (1, 2):
            await host.write("CONTROL", start=1)
            await until(host, "done", 1)
            await host.write("CONTROL", clear_done=1)
            assert await host.read("RUN_CLOCKS_LO") == run * predicted.total
            for lane in range(lanes):
                flips = sum(flip.bit_count() for _, flip in words[lane])
                expected = [len(words[lane]), flips, WORD_ENERGY * len(words[lane])]
                counted = [await counter(host, lane, index) for index in LANE_COUNTERS]
                assert counted == [run * value for value in expected]
        row_reads = sum(placed.rows for placed in placement.layers) * 2 * -(-count // lanes)
        assert await counter(host, banks - 1, Counter.ROW_READS) == row_reads  # banks still have theirs
        await host.write("CONTROL", clear_counters=1)
        await until(host, "programming", 0)
        for lane in range(lanes):
            assert [await counter(host, lane, index) for index in LANE_COUNTERS] == [0, 0, 0]

    machine.simulate(control)
    assert machine.stored == [[word for word, _ in words[lane]] * 2 for lane in range(lanes)]
    beats = []
    for image in logits + logits:
        beats += [*(value & 0xFFFF_FFFF for value in image), image.index(max(image))]
    assert machine.results == beats


def test_a_run_waits_for_its_generators_and_a_second_start_changes_nothing() -> None:
    """Its first word is written before its twelfth clock: had it begun at once, the word would show it."""
    memory = MemoryOptions(activation_generators=32)
    geometry = Geometry(8, 8, stream_bits=32, outputs=2, memory=memory)
    network = minus_one_network(random.Random(1), (4, 8, 2))
    machine = Machine(geometry, network, [[0, 1, 2, 3]], pulse_clocks=1)
    words, _ = run_by_hand(network, geometry, machine.images, Errors(geometry, SEED, P_01, P_10))
    assert words[0][0][1]
    total = predict_run_clocks(network, place(network, geometry), 1).total
    delays = range(20)

    async def control(host: Host) -> None:
        await machine.set_up(host)
        start = REGISTERS.CONTROL["start"].place(1)
        for delay in delays:
            await host.bus.accept_write(REGISTERS.CONTROL.offset, start)
            host.ctx.set(host.bus.bus.bready, 1)
            await host.ctx.tick().repeat(1 + delay)
            await host.bus.accept_write(REGISTERS.CONTROL.offset, start)
            await host.bus.response()
            await until(host, "done", 1)
            await host.write("CONTROL", clear_done=1)
        assert await host.read("RUN_CLOCKS_LO") == total * len(delays)

    machine.simulate(control)
    assert machine.stored == [[words[0][0][0]] * len(delays)]
