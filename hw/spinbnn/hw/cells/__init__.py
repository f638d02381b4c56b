"""Leaf cells written in Verilog, and the Amaranth components that instantiate them.

Memories and the population count are written as Verilog templates because each tool infers them best from its
usual form, and because a memory written by Amaranth carries one initialising line a word.
"""

from importlib.resources import files

from amaranth.hdl import ClockSignal, Instance, Module, Signal, Value
from amaranth.utils import ceil_log2

CELL_FILES = ("popcount.sv", "ram.sv", "mram_array.sv")


def cell_source(name: str) -> str:
    """Verilog text of the leaf cell file `name`."""
    return files(__name__).joinpath(name).read_text(encoding="utf-8")


def popcount(m: Module, name: str, bits: Value) -> Signal:
    """Add a population count of `bits` as submodule `name` and return its result.

    Parameters
    ----------
    m : Module
        Module that gets the submodule.
    name : str
        Name of the submodule, unique in `m`.
    bits : Value
        Bits to count.

    Returns
    -------
    Signal
        The count, just wide enough for ``len(bits)``; combinational.
    """
    count = Signal(range(len(bits) + 1), name=f"{name}_count")
    m.submodules[name] = Instance(
        "spinbnn_popcount",
        p_WIDTH=len(bits),
        p_COUNT_BITS=len(count),
        i_bits=bits,
        o_count=count,
    )
    return count


class Ram:
    """Synchronous memory with one read and one write port, added to `m` as submodule `name`.

    Parameters
    ----------
    m : Module
        Module that gets the memory.
    name : str
        Name of the submodule, unique in `m`.
    width : int
        Bits of a word.
    depth : int
        Number of words.

    Attributes
    ----------
    read_enable, read_address, read_data : Signal
        Read port: the data appear in the clock after the address, and hold while `read_enable` is 0.
    write_enable, write_address, write_data : Signal
        Write port: the word is stored at the end of the clock.
    """

    def __init__(self, m: Module, name: str, width: int, depth: int) -> None:
        address = max(1, ceil_log2(depth))
        self.read_enable = Signal(name=f"{name}_read_enable")
        self.read_address = Signal(address, name=f"{name}_read_address")
        self.read_data = Signal(width, name=f"{name}_read_data")
        self.write_enable = Signal(name=f"{name}_write_enable")
        self.write_address = Signal(address, name=f"{name}_write_address")
        self.write_data = Signal(width, name=f"{name}_write_data")
        m.submodules[name] = Instance(
            "spinbnn_ram",
            p_WIDTH=width,
            p_DEPTH=depth,
            p_ADDRESS_BITS=address,
            i_clk=ClockSignal(),
            i_read_enable=self.read_enable,
            i_read_address=self.read_address,
            o_read_data=self.read_data,
            i_write_enable=self.write_enable,
            i_write_address=self.write_address,
            i_write_data=self.write_data,
        )
