"""One lane: the activations of one image, fed to all banks, and the packing of the results."""

from math import gcd
from typing import Any

from amaranth.hdl import Cat, Const, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from spinbnn.golden.geometry import Geometry
from spinbnn.hw.cells import Ram
from spinbnn.hw.library import Library
from spinbnn.hw.xnor_popcount import largest_count, weighted_count


def chunk_bits(geometry: Geometry) -> int:
    """Bits of a finished group that are packed a clock."""
    return min(geometry.banks, geometry.word_bits)


def operand_address_bits(geometry: Geometry) -> int:
    """Address bits that reach the whole input buffer (both halves) and the whole activation memory."""
    return ceil_log2(max(2 * geometry.input_words, geometry.activation_words))


class PackControl(data.StructLayout):
    """What the drain tells every lane; see `spinbnn.hw.drain.Drain`."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__(
            {
                "capture": 1,  # take the banks' bits
                "chunk": 1,  # pack one chunk
                "valid_bits": range(chunk_bits(geometry) + 1),  # of this chunk
                "fill": range(geometry.word_bits),  # bits already waiting in the packer
                "cross": 1,  # the chunk completes a word
                "write": 1,  # a word is written
                "address": ceil_log2(geometry.activation_words),
            }
            | (self._plane_fields(geometry) if geometry.activation_bits > 1 else {})
        )

    @staticmethod
    def _plane_fields(geometry: Geometry) -> dict[str, Any]:
        return {
            "plane": range(geometry.activation_bits),  # of the activations, that is packed
            "last_plane": 1,  # the chunk is done with it
        }


class Lane(wiring.Component):
    """Input buffer, activation memory, operand mask and packer of one image.

    Parameters
    ----------
    geometry : Geometry
        Machine size.

    Members
    -------
    input_write_enable, input_write_address, input_write_data
        Writes a plane's word into the input buffer.
    read_enable, read_input, read_address
        Fetches an operand word, in the clock in which its beat is issued.
    from_input, is_unsigned, paired, outside, pad_ones, pad_masked, tail_mask
        About the beat issued in the clock before: where it was read, its kind, whether it holds two planes,
        whether it lies in padding, whether padding is +1 and whether it adds nothing, its valid bits.
    operand, mask : Out(word_bits)
        Operand and valid bits, the clock after issue.
    mask_count : Out
        Weighted count of the mask, one clock later.
    bits : In(banks * activation_bits)
        The banks' activations.
    pack : In(PackControl)
        Packs `bits` into words.
    activation_write_enable, activation_write_address, activation_write_data : Out
        The finished word, stored at the end of this clock.
    present : In(1)
        The lane holds an image of the group being packed.
    intended : Out(word_bits), flips : In(word_bits)
        The finished word as it should be stored, and the bits of it that are stored wrong. Only where
        activations are stored in MRAM.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = g = geometry
        errors = {"intended": Out(g.word_bits), "flips": In(g.word_bits)}
        super().__init__(
            {
                "input_write_enable": In(1),
                "input_write_address": In(ceil_log2(2 * g.input_words)),
                "input_write_data": In(g.word_bits),
                "read_enable": In(1),
                "read_input": In(1),
                "read_address": In(operand_address_bits(g)),
                "from_input": In(1),
                "is_unsigned": In(1),
                "paired": In(1),
                "outside": In(1),
                "pad_ones": In(1),
                "pad_masked": In(1),
                "tail_mask": In(g.word_bits),
                "operand": Out(g.word_bits),
                "mask": Out(g.word_bits),
                "mask_count": Out(range(largest_count(g) + 1)),
                "bits": In(g.banks * g.activation_bits),
                "pack": In(PackControl(g)),
                "present": In(1),
                "activation_write_enable": Out(1),
                "activation_write_address": Out(ceil_log2(g.activation_words)),
                "activation_write_data": Out(g.word_bits),
            }
            | (errors if g.memory.activation_generators else {})
        )

    def elaborate(self, library: Library) -> Elaboratable:
        m = Module()
        self._elaborate_operand(m)
        self._elaborate_packer(m)
        return m

    def _elaborate_operand(self, m: Module) -> None:
        g = self._geometry
        inputs = Ram(m, "inputs", g.word_bits, 2 * g.input_words)
        activations = Ram(m, "activations", g.word_bits, g.activation_words)
        stored = Signal(g.word_bits)
        masked = Signal()
        m.d.comb += [
            inputs.read_enable.eq(self.read_enable & self.read_input),
            inputs.read_address.eq(self.read_address),
            inputs.write_enable.eq(self.input_write_enable),
            inputs.write_address.eq(self.input_write_address),
            inputs.write_data.eq(self.input_write_data),
            activations.read_enable.eq(self.read_enable & ~self.read_input),
            activations.read_address.eq(self.read_address),
            activations.write_enable.eq(self.activation_write_enable),
            activations.write_address.eq(self.activation_write_address),
            activations.write_data.eq(self.activation_write_data),
            stored.eq(Mux(self.from_input, inputs.read_data, activations.read_data)),
            self.operand.eq(Mux(self.outside, self.pad_ones.replicate(g.word_bits), stored)),
            masked.eq(self.outside & self.pad_masked),
            self.mask.eq(
                self.tail_mask & Mux(self.is_unsigned, self.operand, ~masked.replicate(g.word_bits))
            ),
        ]
        m.d.sync += self.mask_count.eq(weighted_count(m, g, "mask", self.mask, self.paired))

    def _elaborate_packer(self, m: Module) -> None:
        g, pack = self._geometry, self.pack
        size = chunk_bits(g)
        planes = range(g.activation_bits)
        held = [Signal(g.banks, name=f"held_{plane}") for plane in planes]
        rests = [Signal(g.word_bits, name=f"rest_{plane}") for plane in planes]
        chosen = pack.plane if g.activation_bits > 1 else Const(0, 1)
        last_plane = pack.last_plane if g.activation_bits > 1 else Const(1)
        chunk = Signal(size)
        merged = Signal(g.word_bits + size - 1)
        valid = Signal(size)
        stored = merged
        if g.memory.activation_generators:
            m.d.comb += self.intended.eq(merged)
            stored = merged ^ self.flips
        m.d.comb += [
            valid.eq((1 << pack.valid_bits) - 1),
            chunk.eq(Cat(bits[:size] for bits in held).word_select(chosen, size) & valid),
            merged.eq(Cat(rests).word_select(chosen, g.word_bits) | (chunk << self._fill())),
            self.activation_write_enable.eq(pack.write & self.present),
            self.activation_write_address.eq(pack.address),
            self.activation_write_data.eq(stored),
        ]
        for plane, (bits, rest) in enumerate(zip(held, rests, strict=True)):
            with m.If(pack.chunk & last_plane):
                m.d.sync += bits.eq(bits >> size)
            with m.If(pack.chunk & (chosen == plane)):
                with m.If(pack.cross):
                    m.d.sync += rest.eq(merged[g.word_bits :])
                with m.Elif(pack.write):
                    m.d.sync += rest.eq(0)
                with m.Else():
                    m.d.sync += rest.eq(merged)
            with m.If(pack.capture):
                m.d.sync += bits.eq(
                    Cat(self.bits[bank * g.activation_bits + plane] for bank in range(g.banks))
                )

    def _fill(self) -> Value:
        # Groups and words are multiples of this many bits, and so are fill levels: the shifter then is small.
        unit = gcd(self._geometry.banks, self._geometry.word_bits)
        zeros = (unit & -unit).bit_length() - 1
        return Cat(Const(0, zeros), self.pack.fill[zeros:])
