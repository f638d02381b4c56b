"""The result unit: scaling, the first maximum, image order, clocks and back-pressure."""

import random
from typing import Any

import pytest

from spinbnn.golden.geometry import Geometry
from spinbnn.hw.results import ResultUnit
from tests.hw.simulation import simulate

# Clocks from taking a batch's last logit to its first result beat; see docs/architecture.md, Timing.
FIRST_RESULT_CLOCKS = 4


class Case:
    """A machine, the scales and biases of its logits, and random batches of sums."""

    def __init__(self, geometry: Geometry, outputs: int, seed: int) -> None:
        self.geometry = geometry
        self.outputs = outputs
        self.rng = random.Random(seed)
        self.block = ResultUnit(geometry)
        self.scales = [
            self.rng.choice((-(2**15), 2**15 - 1, self.rng.randint(-99, 99))) for _ in range(outputs)
        ]
        self.biases = [self.rng.randint(-(2**30), 2**30) for _ in range(outputs)]

    def sums(self, images: int) -> list[list[int]]:
        """Return sums [image][neuron], some of them equal."""
        limit = min(2**15, 2 ** (self.geometry.accumulator_bits - 1))
        choices = [0, limit - 1, -limit, self.rng.randint(-limit, limit - 1)]
        return [[self.rng.choice(choices) for _ in range(self.outputs)] for _ in range(images)]

    def expected(self, batch: list[list[int]]) -> list[tuple[int, bool]]:
        """Return word and tlast of every beat."""
        beats = []
        for sums in batch:
            logits = [s * x + b for s, x, b in zip(self.scales, sums, self.biases, strict=True)]
            beats += [(logit % 2**32, False) for logit in logits]
            beats.append((logits.index(max(logits)), True))
        return beats

    async def load(self, ctx: Any) -> None:
        block = self.block
        ctx.set(block.last_output, self.outputs - 1)
        for address, pair in enumerate(zip(self.scales, self.biases, strict=True)):
            ctx.set(block.parameter_write_address, address)
            for enable, word in zip((block.scale_write_enable, block.bias_write_enable), pair, strict=True):
                ctx.set(block.parameter_write_data, word % 2**32)
                ctx.set(enable, 1)
                await ctx.tick()
                ctx.set(enable, 0)

    async def capture(self, ctx: Any, batch: list[list[int]]) -> None:
        """Hand over a batch, group by group, each as soon as the group before is drained."""
        g, block = self.geometry, self.block
        groups = -(-self.outputs // g.banks)
        for group in range(groups):
            base = group * g.banks
            neurons = min(g.banks, self.outputs - base)
            sums = self.rng.getrandbits(g.banks * g.lanes * g.accumulator_bits)  # where nothing is
            for bank in range(neurons):
                for lane, image in enumerate(batch):
                    low = (bank * g.lanes + lane) * g.accumulator_bits
                    mask = (1 << g.accumulator_bits) - 1
                    sums = sums & ~(mask << low) | (image[base + bank] & mask) << low
            ctx.set(block.sums, sums)
            ctx.set(block.group.logits, 1)
            ctx.set(block.group.first, group == 0)
            ctx.set(block.group.last, group == groups - 1)
            ctx.set(block.group.neurons, neurons)
            ctx.set(block.group.images, len(batch))
            ctx.set(block.capture, 1)
            await ctx.tick()
            ctx.set(block.capture, 0)
            ctx.set(block.sums, 0)
            for _ in range(neurons * len(batch) - 1):  # returns in the clock that takes its last logit
                await ctx.tick()

    async def start(self, ctx: Any, images: int) -> None:
        ctx.set(self.block.images, images)
        ctx.set(self.block.start, 1)
        await ctx.tick()
        ctx.set(self.block.start, 0)


CASES = [
    (Geometry(5, 24, outputs=16), 10),
    (Geometry(5, 24, lanes=3, outputs=12, stream_bits=8), 12),
    (Geometry(1, 8, lanes=2, outputs=3), 3),
    (Geometry(16, 8, lanes=4, accumulator_bits=12, outputs=20), 20),
    (Geometry(8, 8, outputs=2), 1),
]


@pytest.mark.parametrize(("geometry", "outputs"), CASES, ids=str)
def test_logits_and_class_of_every_image(geometry: Geometry, outputs: int) -> None:
    case = Case(geometry, outputs, seed=outputs)
    block = case.block
    sizes = [geometry.lanes, geometry.lanes, 1]
    batches = [case.sums(images) for images in sizes]
    wanted = [beat for batch in batches for beat in case.expected(batch)]
    received: list[tuple[int, bool]] = []

    async def producer(ctx: Any) -> None:
        await case.load(ctx)
        await case.start(ctx, sum(sizes))
        for batch in batches:
            while not ctx.get(block.free):
                await ctx.tick()
            ctx.set(block.claim, 1)
            await ctx.tick()
            ctx.set(block.claim, 0)
            assert not ctx.get(block.free)
            await case.capture(ctx, batch)

    async def consumer(ctx: Any) -> None:
        pauses = random.Random(5)
        offered = None
        while len(received) < len(wanted):
            ready = pauses.random() < 0.4
            ctx.set(block.stream.tready, ready)
            beat = (ctx.get(block.stream.tdata), bool(ctx.get(block.stream.tlast)))
            if ctx.get(block.stream.tvalid):
                assert offered in (None, beat)  # an offered beat stays until it is taken
                offered = None if ready else beat
                last = ready and len(received) == len(wanted) - 1
                assert ctx.get(block.finished) == last
                if ready:
                    received.append(beat)
            else:
                assert offered is None
                assert not ctx.get(block.finished)
            await ctx.tick()

    simulate(block, producer, consumer)
    assert received == wanted


@pytest.mark.parametrize("images", [1, 3])
def test_clocks_of_a_batch(images: int) -> None:
    """A logit every second clock, the class right behind, and two clocks to the next image."""
    case = Case(Geometry(4, 8, lanes=3, outputs=6), 6, seed=1)
    block = case.block
    clocks: list[int] = []

    async def bench(ctx: Any) -> None:
        await case.load(ctx)
        await case.start(ctx, images)
        ctx.set(block.stream.tready, 1)
        await case.capture(ctx, case.sums(images))
        for clock in range(60):
            if ctx.get(block.stream.tvalid):
                clocks.append(clock)
            await ctx.tick()

    simulate(block, bench)
    image = [0, 2, 4, 6, 8, 10, 11]  # six logits and the class
    first = [FIRST_RESULT_CLOCKS + 13 * number for number in range(images)]
    assert clocks == [start + at for start in first for at in image]


def test_equal_logits_give_the_first_class() -> None:
    case = Case(Geometry(4, 8, outputs=8), 6, seed=2)
    case.scales, case.biases = [1] * 6, [0] * 6

    async def bench(ctx: Any) -> None:
        await case.load(ctx)
        ctx.set(case.block.stream.tready, 1)
        for sums, winner in (([-3, 5, 1, 5, 5, 0], 1), ([-7] * 6, 0), ([-2, -2, -1, -2, -1, -9], 2)):
            await case.start(ctx, 1)
            await case.capture(ctx, [sums])
            while not ctx.get(case.block.stream.tlast):
                await ctx.tick()
            assert ctx.get(case.block.stream.tdata) == winner
            assert ctx.get(case.block.finished)
            await ctx.tick()

    simulate(case.block, bench)


def test_activations_are_not_results() -> None:
    case = Case(Geometry(4, 8, outputs=8), 6, seed=3)

    async def bench(ctx: Any) -> None:
        await case.start(ctx, 1)
        ctx.set(case.block.group.logits, 0)
        ctx.set(case.block.group.last, 1)
        ctx.set(case.block.group.neurons, 4)
        ctx.set(case.block.group.images, 1)
        ctx.set(case.block.capture, 1)
        for _ in range(20):
            assert not ctx.get(case.block.stream.tvalid)
            await ctx.tick()
            ctx.set(case.block.capture, 0)

    simulate(case.block, bench)
