"""The integer head of a neuron: ReLU, pooling, residual, then threshold after threshold."""

from amaranth.hdl import Elaboratable, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from spinbnn.golden.geometry import Geometry
from spinbnn.golden.layers import MAX_ACTIVATION_BITS
from spinbnn.hw.library import Library


class HeadControl(data.Struct):
    """What the engine tells every integer head.

    The last beat of a sum is issued in clock t. `pool_*` and `relu` belong to clock t+4; if the sum is the
    group's last, `hold` and `residual_add` to t+5, `step`, `step_first`, `low` to t+6 and the clocks after.
    """

    relu: 1
    pool_enable: 1
    pool_first: 1
    pool_flipped: 1
    pool_sums: 1
    hold: 1
    residual_add: 1
    step: 1
    step_first: 1
    low: MAX_ACTIVATION_BITS


class IntegerHead(wiring.Component):
    """Makes an activation of several bits, or an integer for a logit, of the sums of a pooling window.

    Parameters
    ----------
    geometry : Geometry
        Machine size: `accumulator_bits`, `activation_bits`.

    Members
    -------
    control : In(HeadControl)
    sum : In(signed(accumulator_bits))
        The accumulator.
    flip : In(1)
        Of the neuron.
    residual : In(signed(accumulator_bits))
        The integer that is added, in the clock of `hold`.
    result : Out(signed(accumulator_bits))
        What becomes of the window, with the residual, in the clock of `hold`.
    held : Out(signed(accumulator_bits))
        The same, from the clock after on.
    start : In(signed(accumulator_bits))
        The negated threshold of this clock's step.
    code : Out(activation_bits)
        The activation, in the clock of the last step.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = geometry
        integer = signed(geometry.accumulator_bits)
        super().__init__(
            {
                "control": In(HeadControl),
                "sum": In(integer),
                "flip": In(1),
                "residual": In(integer),
                "result": Out(integer),
                "held": Out(integer),
                "start": In(integer),
                "code": Out(geometry.activation_bits),
            }
        )

    def elaborate(self, library: Library) -> Elaboratable:
        m = Module()
        control = self.control
        rectified = Signal.like(self.sum)
        pooled = Signal.like(self.sum)
        larger = Signal()
        takes = Signal()
        m.d.comb += [
            rectified.eq(Mux(control.relu & (self.sum < 0), 0, self.sum)),
            larger.eq(rectified > pooled),
            # The largest activation of a neuron that is flipped is that of the smallest sum.
            takes.eq(control.pool_first | (larger ^ (control.pool_flipped & self.flip))),
        ]
        flip = Signal()
        with m.If(control.pool_enable):
            m.d.sync += flip.eq(self.flip)
            with m.If(control.pool_sums & ~control.pool_first):
                m.d.sync += pooled.eq(pooled + rectified)
            with m.Elif(takes):
                m.d.sync += pooled.eq(rectified)

        held_flip = Signal()
        m.d.comb += self.result.eq(pooled + Mux(control.residual_add, self.residual, 0))
        with m.If(control.hold):
            m.d.sync += [self.held.eq(self.result), held_flip.eq(flip)]

        code = Signal.like(self.code)
        m.d.comb += [
            self.code.eq(
                Mux(control.step_first, control.low, code) + (~(self.held + self.start)[-1] ^ held_flip)
            ),
        ]
        with m.If(control.step):
            m.d.sync += code.eq(self.code)
        return m
