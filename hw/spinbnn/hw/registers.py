"""The register map: read from ``registers.rdl``, given to Python, built as an AXI4-Lite register block."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.resources import as_file, files

from amaranth.hdl import Cat, Const, Elaboratable, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from systemrdl import RDLCompiler
from systemrdl.node import FieldNode, RegNode, RootNode

from spinbnn.golden.geometry import Geometry
from spinbnn.hw.axi import AxiLite
from spinbnn.hw.library import Library

OKAY, SLVERR = 0b00, 0b10
INJECTOR = "injector"
"""What registers of the error injector name as their option, besides the options of the memory."""


def compile_rdl() -> RootNode:
    """Elaborated SystemRDL tree of the register map."""
    compiler = RDLCompiler()
    with as_file(files("spinbnn.hw").joinpath("registers.rdl")) as path:
        compiler.compile_file(str(path))
    return compiler.elaborate()


@dataclass(frozen=True)
class Field:
    """A field of a register.

    Attributes
    ----------
    name : str
        Name within the register.
    low, width : int
        Lowest bit and number of bits.
    reset : int
        Value after reset.
    stored : bool
        The register block stores it (``sw=rw, hw=r``).
    pulse : bool
        A one-clock pulse when software writes 1 (``singlepulse``).
    readable : bool
        Software can read it.
    writable : bool
        Software can write it.
    description : str
        What it is.
    options : tuple of str
        Machines with at least one of these options have the field; none: all that have its register.
    """

    name: str
    low: int
    width: int
    reset: int
    stored: bool
    pulse: bool
    readable: bool
    writable: bool
    description: str
    options: tuple[str, ...]

    @property
    def access(self) -> str:
        """What software can do: "r", "w" or "rw"."""
        return "r" * self.readable + "w" * self.writable

    def place(self, value: int) -> int:
        """Value of the register that holds `value` in this field and 0 elsewhere."""
        if not 0 <= value < 1 << self.width:
            raise ValueError(f"{self.name} must be in 0..{(1 << self.width) - 1}, not {value}")
        return value << self.low

    def extract(self, word: int) -> int:
        """Value of this field in the register value `word`."""
        return (word >> self.low) & ((1 << self.width) - 1)


@dataclass(frozen=True)
class Register:
    """A 32-bit register: name, byte offset, description, fields; `strobe` when hardware sees each write.

    It is there in machines with at least one of its `options`; in all machines if it has none.
    """

    name: str
    offset: int
    description: str
    fields: tuple[Field, ...]
    strobe: bool
    options: tuple[str, ...]

    def __getitem__(self, field: str) -> Field:
        return next(f for f in self.fields if f.name == field)

    @property
    def readable(self) -> bool:
        """Software can read at least one field."""
        return any(f.readable for f in self.fields)

    @property
    def writable(self) -> bool:
        """Software can write at least one field."""
        return any(f.writable for f in self.fields)


def options_of(node: FieldNode | RegNode) -> tuple[str, ...]:
    """Options for one of which a machine has a register or field; none if every machine has it."""
    return tuple((node.get_property("option", default=None) or "").split())


def _field(node: FieldNode) -> Field:
    return Field(
        name=node.inst_name,
        low=node.low,
        width=node.width,
        reset=int(str(node.get_property("reset") or 0)),
        stored=node.is_sw_readable and node.is_sw_writable and not node.is_hw_writable,
        pulse=bool(node.get_property("singlepulse")),
        readable=node.is_sw_readable,
        writable=node.is_sw_writable,
        description=node.get_property("desc") or "",
        options=options_of(node),
    )


def _register(node: RegNode) -> Register:
    path = node.get_path().split(".", 1)[1]
    name = path.replace("[", "_").replace("].", "_").replace("]", "")
    fields = list(node.fields())
    return Register(
        name=name,
        offset=node.absolute_address,
        description=node.get_property("desc") or "",
        fields=tuple(_field(f) for f in fields),
        strobe=any(f.get_property("swmod") for f in fields),
        options=options_of(node),
    )


class RegisterMap:
    """All registers, by name as attributes: ``REGISTERS.CONTROL.offset``, ``REGISTERS.POINT_0_PULSE``.

    Members of arrays carry their index: ``ROW_DATA_0``, ``RNG_STATE_7``, ``POINT_3_PULSE``.
    """

    @cached_property
    def _by_name(self) -> dict[str, Register]:
        nodes = compile_rdl().top.descendants(unroll=True)
        return {r.name: r for r in map(_register, (n for n in nodes if isinstance(n, RegNode)))}

    def __iter__(self) -> Iterator[Register]:
        return iter(self._by_name.values())

    def built(self, geometry: Geometry, *, injector: bool = True) -> list[Register]:
        """Return the registers of one machine, with the fields that it has."""
        options = {name for name, value in geometry.memory.to_dict().items() if value}
        options |= {INJECTOR} if injector else set()
        options |= {"image_elements"} if geometry.image_elements else set()

        def is_built(item: Register | Field) -> bool:
            return not item.options or not options.isdisjoint(item.options)

        return [replace(r, fields=tuple(filter(is_built, r.fields))) for r in self if is_built(r)]

    def __getitem__(self, name: str) -> Register:
        return self._by_name[name]

    def __getattr__(self, name: str) -> Register:
        try:
            return self._by_name[name]
        except KeyError:
            raise AttributeError(f"no register {name}") from None


REGISTERS = RegisterMap()


class RegisterBlock(wiring.Component):
    """AXI4-Lite registers as ``registers.rdl`` defines them.

    A write takes effect in the clock after its address and data were accepted; pulses and strobes last that
    one clock, when stored values are already new. Writes take whole words: a write with a zero strobe bit, to
    a register that software cannot write, or to no register, and a read of no register, answer SLVERR and do
    nothing. What software can only write reads 0. Registers and fields of options that the machine is built
    without are not there.

    Parameters
    ----------
    geometry : Geometry
        Machine size: `memory`, `image_elements`.
    injector : bool
        Whether the machine has the error injector.

    Members
    -------
    bus : In(AxiLite)
        The bus.
    <REGISTER>_<field> : Out
        Stored fields and pulses, for each register and field; In for fields the hardware provides.
    <REGISTER>_strobe : Out(1)
        Software has written the register (registers with ``swmod``).
    write_data : Out(32)
        The word last written, for registers whose storage lies elsewhere.
    """

    def __init__(self, geometry: Geometry, *, injector: bool = True) -> None:
        self._registers = REGISTERS.built(geometry, injector=injector)
        members: dict[str, In | Out] = {"bus": In(AxiLite(address_bits=12)), "write_data": Out(32)}
        for register in self._registers:
            if register.strobe:
                members[f"{register.name}_strobe"] = Out(1)
            for field in register.fields:
                if field.stored or field.pulse:
                    members[f"{register.name}_{field.name}"] = Out(field.width, init=field.reset)
                elif field.readable:
                    members[f"{register.name}_{field.name}"] = In(field.width)
        super().__init__(members)

    def _value(self, register: Register) -> Cat:
        """Word that software reads."""
        parts, position = [], 0
        for field in sorted(register.fields, key=lambda f: f.low):
            visible = field.readable and not field.pulse
            parts.append(Const(0, field.low - position))
            parts.append(getattr(self, f"{register.name}_{field.name}") if visible else Const(0, field.width))
            position = field.low + field.width
        return Cat(*parts)

    def elaborate(self, library: Library) -> Elaboratable:
        m = Module()
        self._elaborate_writes(m)
        self._elaborate_reads(m)
        return m

    def _elaborate_writes(self, m: Module) -> None:
        bus = self.bus
        accept = Signal()
        address = bus.awaddr[2:]
        known = Signal()
        m.d.comb += [
            accept.eq(bus.awvalid & bus.wvalid & (~bus.bvalid | bus.bready)),
            bus.awready.eq(accept),
            bus.wready.eq(accept),
        ]
        pulses = [getattr(self, f"{r.name}_{f.name}") for r in self._registers for f in r.fields if f.pulse]
        strobes = [getattr(self, f"{r.name}_strobe") for r in self._registers if r.strobe]
        m.d.sync += [signal.eq(0) for signal in pulses + strobes]
        with m.If(bus.bready):
            m.d.sync += bus.bvalid.eq(0)
        with m.Switch(address):
            for register in filter(lambda r: r.writable, self._registers):
                with m.Case(register.offset >> 2):
                    m.d.comb += known.eq(bus.wstrb.all())
        with m.If(accept):
            m.d.sync += [bus.bvalid.eq(1), bus.bresp.eq(Mux(known, OKAY, SLVERR))]
        with m.If(accept & known):
            m.d.sync += self.write_data.eq(bus.wdata)
            with m.Switch(address):
                for register in filter(lambda r: r.writable, self._registers):
                    with m.Case(register.offset >> 2):
                        self._store(m, register)

    def _store(self, m: Module, register: Register) -> None:
        for field in register.fields:
            if field.stored or field.pulse:
                value = self.bus.wdata[field.low : field.low + field.width]
                m.d.sync += getattr(self, f"{register.name}_{field.name}").eq(value)
        if register.strobe:
            m.d.sync += getattr(self, f"{register.name}_strobe").eq(1)

    def _elaborate_reads(self, m: Module) -> None:
        bus = self.bus
        m.d.comb += bus.arready.eq(~bus.rvalid | bus.rready)
        with m.If(bus.rready):
            m.d.sync += bus.rvalid.eq(0)
        with m.If(bus.arvalid & bus.arready):
            m.d.sync += bus.rvalid.eq(1)
            with m.Switch(bus.araddr[2:]):
                for register in self._registers:
                    with m.Case(register.offset >> 2):
                        m.d.sync += [bus.rdata.eq(self._value(register)), bus.rresp.eq(OKAY)]
                with m.Default():
                    m.d.sync += [bus.rdata.eq(0), bus.rresp.eq(SLVERR)]
