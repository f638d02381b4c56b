"""The library that writes each block once."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spinbnn.golden.geometry import Geometry
from spinbnn.hw.accelerator import Accelerator
from spinbnn.hw.axi import AxiStream
from spinbnn.hw.bank import Bank
from spinbnn.hw.library import TOP, Library, module_name, ports, used
from spinbnn.hw.xnor_popcount import XnorPopcount


class Leaf(wiring.Component):
    """Counts in `width` bits."""

    def __init__(self, width: int) -> None:
        super().__init__({"stream": In(AxiStream(width)), "count": Out(width), "nothing": In(0)})

    def elaborate(self, library: Library) -> Module:
        m = Module()
        m.d.sync += self.count.eq(self.count + self.stream.tdata)
        return m


class TwoLeaves(wiring.Component):
    """Has the same block twice."""

    total: Out(8)

    def elaborate(self, library: Library) -> Module:
        m = Module()
        leaves = [library.add(m, f"leaf_{index}", Leaf(8)) for index in range(2)]
        m.d.comb += self.total.eq(leaves[0].count + leaves[1].count)
        return m


def test_a_block_used_twice_is_written_once() -> None:
    texts = Library().convert(TwoLeaves())
    assert list(texts) == [TOP, "spinbnn_leaf"]
    assert texts[TOP].count("cell \\spinbnn_leaf ") == 2
    assert "module \\spinbnn_leaf" in texts["spinbnn_leaf"]
    assert "module" not in texts[TOP].split("module", 1)[1].replace("endmodule", "")


def test_a_conversion_forgets_the_one_before() -> None:
    library = Library()
    assert list(library.convert(TwoLeaves())) == [TOP, "spinbnn_leaf"]
    assert list(library.convert(Leaf(4))) == [TOP]


def test_ports_have_the_names_of_the_bus() -> None:
    leaf = used(Leaf(4))
    assert [(name, member.flow, len(value)) for name, member, value in ports(leaf)] == [
        ("stream_tdata", In, 4),
        ("stream_tvalid", In, 1),
        ("stream_tready", Out, 1),
        ("stream_tlast", In, 1),
        ("count", Out, 4),
    ]


def test_modules_are_named_after_their_class() -> None:
    geometry = Geometry()
    assert module_name(used(Accelerator(geometry))) == "spinbnn_accelerator"
    assert module_name(used(Bank(geometry))) == "spinbnn_bank"
    assert module_name(used(XnorPopcount(geometry))) == "spinbnn_xnor_popcount"


def test_a_block_that_is_only_looked_at_does_not_warn() -> None:
    """Amaranth warns of components that are never elaborated, and warnings are errors in these tests."""
    block = used(Leaf(1))
    assert isinstance(block.count, Signal)
    del block
