"""The Verilog around the machine: its clock, what Python drives, and what is watched without waking Python.

Python is woken by value changes, and a wake costs as much time as many clocks of the machine. So what happens
every clock stays in Verilog: the clock; counting accepted beats, which wakes Python once a beat and never
while a stream waits; the log of the activations; and copying the array to and from files. Only the registers
marked ``public`` are visible to Python, which leaves Verilator free to optimise the machine itself.
"""

from __future__ import annotations

from spinbnn.golden.geometry import Geometry

TOP = "spinbnn_bench"
CLOCK_NS = 10
ACTIVATION_LOG = "activations.txt"

_READ = "/*verilator public_flat_rd*/"
_WRITE = "/*verilator public_flat_rw*/"


def bank_file(bank: int) -> str:
    """Return the name of the file through which a bank's cells are loaded and dumped."""
    return f"bank_{bank}.hex"


def wrapper(geometry: Geometry) -> str:
    """Return the Verilog of the testbench's top module for one geometry."""
    channels = [
        _Channel("s_axi_aw", True, {"addr": 12}),
        _Channel("s_axi_w", True, {"data": 32, "strb": 4}),
        _Channel("s_axi_b", False, {"resp": 2}),
        _Channel("s_axi_ar", True, {"addr": 12}),
        _Channel("s_axi_r", False, {"data": 32, "resp": 2}),
        _Channel("s_axis_program_t", True, {"data": 64, "last": 1}),
        _Channel("s_axis_image_t", True, {"data": geometry.stream_bits, "last": 1}),
        _Channel("m_axis_result_t", False, {"data": 32, "last": 1}),
    ]
    ports = ["clk", "rst", "irq", *(signal for channel in channels for signal in channel.signals)]
    lines = [
        "`timescale 1ns/1ns",
        f"module {TOP};",
        f"  reg clk {_WRITE} = 1'b0;",
        f"  reg stop_clock {_WRITE} = 1'b0;  // for drivers that need a clock made in Python",
        f"  always #{CLOCK_NS // 2} if (!stop_clock) clk = ~clk;",
        f"  reg [63:0] clock {_READ} = 64'd0;",
        "  always @(posedge clk) clock <= clock + 64'd1;",
        f"  reg rst {_WRITE} = 1'b1;",
        f"  wire irq {_READ};",
        *(line for channel in channels for line in channel.verilog()),
        *_activation_log(geometry),
        *_array_access(geometry),
        "  spinbnn dut (",
        ",\n".join(f"    .{port}({port})" for port in ports),
        "  );",
        "endmodule",
    ]
    return "\n".join(lines) + "\n"


class _Channel:
    """A group of signals with one valid and one ready; `driven` by Python, or answered by it."""

    def __init__(self, prefix: str, driven: bool, payload: dict[str, int]) -> None:
        self.prefix = prefix
        self.driven = driven
        self.payload = payload

    @property
    def signals(self) -> list[str]:
        """Names of the signals, which are those of the machine's ports."""
        return [self.prefix + name for name in ("valid", "ready", *self.payload)]

    def verilog(self) -> list[str]:
        """Return the declarations, and the count of accepted beats with a copy of the last one."""
        p = self.prefix
        ours, theirs = ("valid", "ready") if self.driven else ("ready", "valid")
        lines = [
            f"  reg {p}{ours} {_WRITE} = 1'b0;",
            f"  wire {p}{theirs} {_READ};",
            f"  reg [31:0] {p}_beats {_READ} = 32'd0;",
        ]
        copies = []
        for name, width in self.payload.items():
            if self.driven:
                lines.append(f"  reg [{width - 1}:0] {p}{name} {_WRITE} = {width}'d0;")
            else:
                lines.append(f"  wire [{width - 1}:0] {p}{name} {_READ};")
                lines.append(f"  reg [{width - 1}:0] {p}_last_{name} {_READ} = {width}'d0;")
                copies.append(f"    {p}_last_{name} <= {p}{name};")
        if not self.driven:
            lines.append(f"  reg [63:0] {p}_last_clock {_READ} = 64'd0;")
            copies.append(f"    {p}_last_clock <= clock;")
        return [
            *lines,
            f"  always @(posedge clk) if ({p}valid && {p}ready) begin",
            *copies,
            f"    {p}_beats <= {p}_beats + 32'd1;  // last, as it wakes Python, which then reads the others",
            "  end",
        ]


def _activation_log(geometry: Geometry) -> list[str]:
    """Return the monitor of each lane's activation write port: a line "lane clock address data" a word."""
    lines = [
        f"  reg flush_log {_WRITE} = 1'b0;",
        "  integer log;",
        f'  initial log = $fopen("{ACTIVATION_LOG}", "w");',
        "  always @(posedge flush_log) $fflush(log);",
    ]
    for lane in range(geometry.lanes):
        port = f"dut.lane_{lane}.activation_write_"
        lines += [
            f"  always @(posedge clk) if ({port}enable !== 1'b0)",
            f'    $fwrite(log, "{lane} %0d %0d %h\\n", clock, {port}address, {port}data);',
        ]
    return lines


def _array_access(geometry: Geometry) -> list[str]:
    """Return the backdoor: all banks from files, or to files, at a rising edge."""
    access = {"load_array": "readmemh", "dump_array": "writememh"}
    lines = []
    for signal, task in access.items():
        lines += [f"  reg {signal} {_WRITE} = 1'b0;", f"  always @(posedge {signal}) begin"]
        for bank in range(geometry.banks):
            cells = f"dut.bank_{bank}.array.cells"
            lines.append(f'    ${task}("{bank_file(bank)}", {cells}, 0, {geometry.rows - 1});')
        lines.append("  end")
    return lines
