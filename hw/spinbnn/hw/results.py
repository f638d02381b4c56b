"""The result unit: scales the last layer's sums to logits, finds the class, sends both image by image."""

from amaranth.hdl import Elaboratable, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from spinbnn.golden.geometry import Geometry
from spinbnn.hw.axi import AxiStream
from spinbnn.hw.cells import Ram
from spinbnn.hw.engine import GroupInfo
from spinbnn.hw.library import Library

SCALE_BITS = 16


class ResultUnit(wiring.Component):
    """Turns captured sums into ``scale * sum + bias`` one a clock, and streams logits and class.

    Parameters
    ----------
    geometry : Geometry
        Machine size.

    Members
    -------
    start : In(1), images : In(32)
        A run of so many images begins.
    capture : In(1), group : In(GroupInfo), sums : In
        A group is complete in this clock; `sums` holds bank 0's lanes, then bank 1's, and so on.
    last_output : In
        Logits of an image, less one.
    scale_write_enable, bias_write_enable, parameter_write_address, parameter_write_data
        Writes a neuron's scale or bias.
    claim : In(1), free : Out(1)
        A batch's logits are on their way; the logits of the batch before are all accepted.
    stream : Out(AxiStream(32))
        Results.
    finished : Out(1)
        The run's last beat is accepted in this clock.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = g = geometry
        address_bits = ceil_log2(g.outputs)
        super().__init__(
            {
                "start": In(1),
                "images": In(32),
                "capture": In(1),
                "group": In(GroupInfo(g)),
                "sums": In(g.banks * g.lanes * g.accumulator_bits),
                "last_output": In(address_bits),
                "scale_write_enable": In(1),
                "bias_write_enable": In(1),
                "parameter_write_address": In(address_bits),
                "parameter_write_data": In(32),
                "claim": In(1),
                "free": Out(1, init=1),
                "stream": Out(AxiStream(32)),
                "finished": Out(1),
            }
        )

    def elaborate(self, library: Library) -> Elaboratable:
        m = Module()
        g = self._geometry
        logits = Ram(m, "logits", 32, g.lanes * g.outputs)
        complete, images = self._elaborate_scaling(m, logits)
        self._elaborate_sending(m, logits, complete, images)
        return m

    def _elaborate_scaling(self, m: Module, logits: Ram) -> tuple[Signal, Signal]:
        """Scale the sums, one a clock.

        Returns the pulse that says a batch's last logit is being stored, and the number of its images.
        """
        g = self._geometry
        held = Signal(g.banks * g.lanes * g.accumulator_bits)
        taking = Signal()
        last_group = Signal()
        neurons = Signal(range(g.banks + 1))
        images = Signal(range(g.lanes + 1))
        lane = Signal(range(g.lanes))
        lane_address = Signal(range(g.lanes * g.outputs))
        bank = Signal(range(g.banks))
        sum_index = Signal(range(g.banks * g.lanes))
        neuron = Signal(range(g.outputs))
        last_lane = Signal()
        last_sum = Signal()
        m.d.comb += [
            last_lane.eq(lane == images - 1),
            last_sum.eq(taking & last_lane & (bank == neurons - 1)),
        ]
        with m.If(taking):
            m.d.sync += [
                lane.eq(lane + 1),
                lane_address.eq(lane_address + g.outputs),
                sum_index.eq(sum_index + 1),
            ]
            with m.If(last_lane):
                m.d.sync += [lane.eq(0), lane_address.eq(0), bank.eq(bank + 1), neuron.eq(neuron + 1)]
                m.d.sync += sum_index.eq(sum_index - lane + g.lanes)
            with m.If(last_sum):
                m.d.sync += taking.eq(0)
        with m.If(self.capture & self.group.logits):
            m.d.sync += [
                held.eq(self.sums),
                taking.eq(1),
                bank.eq(0),
                sum_index.eq(0),
                neurons.eq(self.group.neurons),
                images.eq(self.group.images),
                last_group.eq(self.group.last),
            ]
            with m.If(self.group.first):
                m.d.sync += neuron.eq(0)

        scales = Ram(m, "scales", SCALE_BITS, g.outputs)
        biases = Ram(m, "biases", 32, g.outputs)
        for memory, enable in ((scales, self.scale_write_enable), (biases, self.bias_write_enable)):
            m.d.comb += [
                memory.read_enable.eq(taking),
                memory.read_address.eq(neuron),
                memory.write_enable.eq(enable),
                memory.write_address.eq(self.parameter_write_address),
                memory.write_data.eq(self.parameter_write_data),
            ]

        selected = Signal(signed(g.accumulator_bits))
        product = Signal(signed(32))
        bias = Signal(signed(32))
        selected_address = Signal.like(logits.write_address)
        product_address = Signal.like(logits.write_address)
        selected_valid = Signal()
        product_valid = Signal()
        selected_last = Signal()
        product_last = Signal()
        m.d.sync += [
            selected.eq(held.word_select(sum_index, g.accumulator_bits)),
            selected_address.eq(lane_address + neuron),
            selected_valid.eq(taking),
            selected_last.eq(last_sum & last_group),
            product.eq(selected * scales.read_data.as_signed()),
            bias.eq(biases.read_data),
            product_address.eq(selected_address),
            product_valid.eq(selected_valid),
            product_last.eq(selected_last),
        ]
        m.d.comb += [
            logits.write_enable.eq(product_valid),
            logits.write_address.eq(product_address),
            logits.write_data.eq(product + bias),
        ]
        return product_last, images

    def _elaborate_sending(self, m: Module, logits: Ram, complete: Signal, batch_images: Signal) -> None:
        """Send a batch's logits, image by image, each image's class behind them."""
        g, stream = self._geometry, self.stream
        sending = Signal()
        images_left = Signal(range(g.lanes + 1))
        run_images_left = Signal(32)
        image_address = Signal(range(g.lanes * g.outputs))
        logit_index = Signal(range(g.outputs))
        value = logits.read_data.as_signed()
        best_value = Signal(signed(32))
        best_output = Signal(range(g.outputs))
        better = Signal()
        last_output = Signal()
        m.d.comb += [
            logits.read_address.eq(image_address + logit_index),
            better.eq((logit_index == 0) | (value > best_value)),
            last_output.eq(logit_index == self.last_output),
        ]
        with m.If(self.claim):
            m.d.sync += self.free.eq(0)
        with m.If(self.start):
            m.d.sync += run_images_left.eq(self.images)
        with m.If(complete):
            m.d.sync += [sending.eq(1), images_left.eq(batch_images), image_address.eq(0)]

        with m.FSM(name="send"):
            with m.State("READ"):
                m.d.comb += logits.read_enable.eq(sending)
                with m.If(sending):
                    m.next = "LOGIT"
            with m.State("LOGIT"):
                m.d.comb += [stream.tvalid.eq(1), stream.tdata.eq(value)]
                with m.If(stream.tready):
                    m.d.sync += logit_index.eq(logit_index + 1)
                    with m.If(better):
                        m.d.sync += [best_value.eq(value), best_output.eq(logit_index)]
                    with m.If(last_output):
                        m.d.sync += logit_index.eq(0)
                        m.next = "CLASS"
                    with m.Else():
                        m.next = "READ"
            with m.State("CLASS"):
                m.d.comb += [stream.tvalid.eq(1), stream.tlast.eq(1), stream.tdata.eq(best_output)]
                with m.If(stream.tready):
                    m.d.sync += [
                        image_address.eq(image_address + g.outputs),
                        images_left.eq(images_left - 1),
                        run_images_left.eq(run_images_left - 1),
                    ]
                    with m.If(images_left == 1):
                        m.d.sync += [sending.eq(0), self.free.eq(1)]
                    m.d.comb += self.finished.eq(run_images_left == 1)
                    m.next = "READ"
