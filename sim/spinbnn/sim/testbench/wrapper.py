"""The Verilog around the machine: its clock, its streams, and what is watched without waking Python.

Python is woken by value changes, and a wake costs as much time as many clocks of the machine. So what happens
every clock, or every beat of a stream, stays in Verilog: the clock; the streams, whose beats and pauses come
from files and whose accepted beats go into logs; the logs of activations and layers; and copying the array to
and from files. Registers are Python's. Only what is marked ``public`` is visible to Python, which leaves
Verilator free to optimise the machine itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from spinbnn.golden.geometry import Geometry
from spinbnn.sim.engine_schedule import STALLS

TOP = "spinbnn_bench"
CLOCK_NS = 10

PROGRAM, IMAGE, RESULT = "s_axis_program_t", "s_axis_image_t", "m_axis_result_t"
"""The streams, by what their signals begin with."""

PAUSE_BYTES = 4
RESULT_LOG = "results.log"
IMAGE_LOG = "images.log"
LAYER_LOG = "layers.log"

_READ = "/*verilator public_flat_rd*/"
_WRITE = "/*verilator public_flat_rw*/"


def bank_file(bank: int) -> str:
    """Return the name of the file through which a bank's cells are loaded and dumped."""
    return f"bank_{bank}.hex"


def beat_file(stream: str) -> str:
    """Return the name of the file from which a stream takes its beats, or, of results, its pauses."""
    return f"{stream}.beats"


def activation_log(lane: int) -> str:
    """Return the name of the log of a lane's activations."""
    return f"activations_{lane}.log"


def wrapper(geometry: Geometry, *, own_clock: bool = True) -> str:
    """Return the Verilog of the testbench's top module for one geometry.

    Parameters
    ----------
    geometry : Geometry
    own_clock : bool
        Whether it makes its clock, in simulated time, or has it as its port.
    """
    channels = [
        _Channel("s_axi_aw", True, {"addr": 12}),
        _Channel("s_axi_w", True, {"data": 32, "strb": 4}),
        _Channel("s_axi_b", False, {"resp": 2}),
        _Channel("s_axi_ar", True, {"addr": 12}),
        _Channel("s_axi_r", False, {"data": 32, "resp": 2}),
        _Player(PROGRAM, {"data": 64, "last": 1}),
        _Player(IMAGE, {"data": geometry.stream_bits, "last": 1}, IMAGE_LOG),
        _Recorder(RESULT, {"data": 32, "last": 1}, RESULT_LOG),
    ]
    ports = ["clk", "rst", "irq", *(signal for channel in channels for signal in channel.signals)]
    lines = [
        "`timescale 1ns/1ns",
        *_clock(own_clock),
        f"  reg [63:0] clock {_READ} = 64'd0;",
        "  always @(posedge clk) clock <= clock + 64'd1;",
        f"  reg rst {_WRITE} = 1'b1;",
        f"  wire irq {_READ};",
        f"  reg flush_logs {_WRITE} = 1'b0;",
        *(line for channel in channels for line in channel.verilog()),
        *_activation_logs(geometry),
        *_layer_log(),
        *_array_access(geometry),
        "  spinbnn dut (",
        ",\n".join(f"    .{port}({port})" for port in ports),
        "  );",
        "endmodule",
    ]
    return "\n".join(lines) + "\n"


def _clock(own: bool) -> list[str]:
    if not own:
        return [f"module {TOP} (input wire clk);"]
    return [
        f"module {TOP};",
        f"  reg clk {_WRITE} = 1'b0;",
        f"  reg stop_clock {_WRITE} = 1'b0;  // for drivers that need a clock made in Python",
        f"  always #{CLOCK_NS // 2} if (!stop_clock) clk = ~clk;",
    ]


class _Channel:
    """A group of signals with one valid and one ready; `driven` by us, or answered."""

    def __init__(self, prefix: str, driven: bool, payload: dict[str, int]) -> None:
        self.prefix = prefix
        self.driven = driven
        self.payload = payload

    @property
    def signals(self) -> list[str]:
        """Names of the signals, which are those of the machine's ports."""
        return [self.prefix + name for name in ("valid", "ready", *self.payload)]

    @property
    def accepted(self) -> str:
        """The expression for a beat that is accepted."""
        return f"{self.prefix}valid && {self.prefix}ready"

    def declarations(self) -> list[str]:
        """Return the declarations of the signals, and of the count of accepted beats."""
        p = self.prefix
        ours, theirs = ("valid", "ready") if self.driven else ("ready", "valid")
        lines = [
            f"  reg {p}{ours} {_WRITE} = 1'b0;",
            f"  wire {p}{theirs} {_READ};",
            f"  reg [31:0] {p}_beats {_READ} = 32'd0;",
        ]
        for name, width in self.payload.items():
            if self.driven:
                lines.append(f"  reg [{width - 1}:0] {p}{name} {_WRITE} = {width}'d0;")
            else:
                lines.append(f"  wire [{width - 1}:0] {p}{name} {_READ};")
        return lines

    def verilog(self) -> list[str]:
        """Return the declarations, and the count of accepted beats with a copy of the last one."""
        p = self.prefix
        lines, copies = self.declarations(), []
        for name, width in {} if self.driven else self.payload.items():
            lines.append(f"  reg [{width - 1}:0] {p}_last_{name} {_READ} = {width}'d0;")
            copies.append(f"    {p}_last_{name} <= {p}{name};")
        return [
            *lines,
            f"  always @(posedge clk) if ({self.accepted}) begin",
            *copies,
            f"    {p}_beats <= {p}_beats + 32'd1;  // last, as it wakes Python, which then reads the others",
            "  end",
        ]


class _Stream(_Channel):
    """A stream whose beats are Verilog's: another number in ``_job`` starts a file anew, 0 stops it.

    Without a job the signals are left alone, for others to drive.
    """

    def __init__(self, prefix: str, driven: bool, payload: dict[str, int], log: str | None) -> None:
        super().__init__(prefix, driven, payload)
        self.log = log

    def _job(self, record_bits: int) -> list[str]:
        """Return the declarations of the job; ``_total`` is the number of the file's records."""
        p = self.prefix
        return [
            f"  reg [31:0] {p}_job {_WRITE} = 32'd0;",
            f"  reg [31:0] {p}_total {_WRITE} = 32'd0;",
            f"  reg [31:0] {p}_current = 32'd0;",
            f"  reg [31:0] {p}_left = 32'd0;",
            f"  reg [31:0] {p}_pause = 32'd0;",
            f"  reg [{record_bits - 1}:0] {p}_record;",
            f"  integer {p}_file = 0;",
            f"  integer {p}_read;",
        ]

    def _take_job(self, fetch: str, begin: Sequence[str] = ()) -> list[str]:
        """Return the statements that take up another job, up to its `else`."""
        p = self.prefix
        return [
            f"    if ({p}_job != {p}_current) begin",
            f"      if ({p}_file != 0) $fclose({p}_file);",
            f"      {p}_file = 0;",
            f"      {p}_current = {p}_job;",
            f"      {p}_left = {p}_job == 0 ? 32'd0 : {p}_total;",
            f"      if ({p}_left != 0) begin",
            f'        {p}_file = $fopen("{beat_file(p)}", "rb");',
            f"        {fetch}",
            "      end",
            *begin,
            "    end",
        ]

    def _log(self, line: str) -> list[str]:
        """Return the statement that logs an accepted beat."""
        return [f"      $fwrite({self.prefix}_log, {line});"] if self.log else []

    def _open_log(self) -> list[str]:
        return _log_file(f"{self.prefix}_log", self.log) if self.log else []


class _Player(_Stream):
    """Sends the beats of a file; a record is the pause before a beat, its last, and its data, big-endian."""

    def __init__(self, prefix: str, payload: dict[str, int], log: str | None = None) -> None:
        super().__init__(prefix, True, payload, log)

    def verilog(self) -> list[str]:
        p, width = self.prefix, self.payload["data"]
        fetch = f"{p}_read = $fread({p}_record, {p}_file); {p}_pause = {p}_record[{width + 8} +: 32];"
        return [
            *self.declarations(),
            *self._job(8 * PAUSE_BYTES + 8 + width),
            f"  reg [31:0] {p}_done {_READ} = 32'd0;  // the last job whose beats were all accepted",
            *self._open_log(),
            "  always @(posedge clk) begin",
            f"    if ({self.accepted}) begin",
            *self._log('"%h\\n", clock'),
            f"      {p}_beats <= {p}_beats + 32'd1;",
            f"      if ({p}_job == {p}_current && {p}_left != 0) {p}_left = {p}_left - 32'd1;",
            "    end",
            *self._take_job(fetch),
            f"    else if ({p}_file != 0 && (!{p}valid || {p}ready)) begin",
            f"      if ({p}_left == 0) begin",
            f"        {p}valid <= 1'b0;",
            f"        {p}_done <= {p}_current;",
            f"        $fclose({p}_file);",
            f"        {p}_file = 0;",
            "      end",
            f"      else if ({p}_pause != 0) begin",
            f"        {p}valid <= 1'b0;",
            f"        {p}_pause = {p}_pause - 32'd1;",
            "      end",
            "      else begin",
            f"        {p}valid <= 1'b1;",
            f"        {p}data <= {p}_record[{width - 1}:0];",
            f"        {p}last <= {p}_record[{width}];",
            f"        {fetch}",
            "      end",
            "    end",
            "  end",
        ]


class _Recorder(_Stream):
    """Takes beats, and pauses after each as a file says for as many as it has; a record is a pause."""

    def __init__(self, prefix: str, payload: dict[str, int], log: str) -> None:
        super().__init__(prefix, False, payload, log)

    def verilog(self) -> list[str]:
        p = self.prefix
        fetch = f"{p}_read = $fread({p}_record, {p}_file);"
        return [
            *self.declarations(),
            *self._job(8 * PAUSE_BYTES),
            *self._open_log(),
            "  always @(posedge clk) begin",
            f"    if ({self.accepted}) begin",
            *self._log(f'"%h %h %h\\n", clock, {p}data, {p}last'),
            f"      {p}_beats <= {p}_beats + 32'd1;",
            "    end",
            *self._take_job(
                fetch, [f"      if ({p}_job != 0) {p}ready <= 1'b1;", f"      {p}_pause = 32'd0;"]
            ),
            f"    else if ({p}_current != 0 && !{p}ready) begin",
            f"      if ({p}_pause == 0) {p}ready <= 1'b1;",
            f"      else {p}_pause = {p}_pause - 32'd1;",
            "    end",
            f"    else if ({self.accepted} && {p}_left != 0) begin",
            f"      if ({p}_record != 0) begin",
            f"        {p}ready <= 1'b0;",
            f"        {p}_pause = {p}_record - 32'd1;",
            "      end",
            f"      {p}_left = {p}_left - 32'd1;",
            f"      if ({p}_left != 0) begin {fetch} end",
            "    end",
            "  end",
        ]


def _log_file(name: str, path: str) -> list[str]:
    """Return the declaration of a log."""
    return [
        f"  integer {name};",
        f'  initial {name} = $fopen("{path}", "w");',
        f"  always @(posedge flush_logs) $fflush({name});",
    ]


def _activation_logs(geometry: Geometry) -> list[str]:
    """Return the monitor of each lane's activation write port: a line "clock address data" a word."""
    lines = []
    for lane in range(geometry.lanes):
        log, port = f"activation_log_{lane}", f"dut.lane_{lane}.activation_write_"
        lines += [
            *_log_file(log, activation_log(lane)),
            f"  always @(posedge clk) if ({port}enable !== 1'b0)",
            f'    $fwrite({log}, "%h %h %h\\n", clock, {port}address, {port}data);',
        ]
    return lines


def _layer_log() -> list[str]:
    """Return the monitor of the engine: a line a layer, the clocks of its beats and its stalls by cause."""
    engine = "dut.engine"
    counts = [f"stalls_{cause}" for cause in STALLS]
    causes = []
    for cause, count in zip(STALLS, counts, strict=True):
        causes.append(f"else if ({engine}.stall_{cause}) {count} <= {count} + 32'd1;")
    return [
        *_log_file("layer_log", LAYER_LOG),
        "  reg layer_begun = 1'b0;",
        "  reg [63:0] layer_first = 64'd0;",
        *(f"  reg [31:0] {count} = 32'd0;" for count in counts),
        "  always @(posedge clk) begin",
        f"    if ({engine}.issue) begin",
        "      if (!layer_begun) layer_first <= clock;",
        f"      layer_begun <= !{engine}.layer_end;",
        f"      if ({engine}.layer_end) begin",
        f'        $fwrite(layer_log, "%h %h{" %h" * len(counts)}\\n",',
        f"          layer_begun ? layer_first : clock, clock, {', '.join(counts)});",
        *(f"        {count} <= 32'd0;" for count in counts),
        "      end",
        "    end",
        f"    else if (!{engine}.active) begin end",
        *(f"    {line}" for line in causes),
        "    if (rst) begin",
        "      layer_begun <= 1'b0;",
        *(f"      {count} <= 32'd0;" for count in counts),
        "    end",
        "  end",
    ]


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
