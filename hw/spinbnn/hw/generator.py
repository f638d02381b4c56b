"""Generate an accelerator: Verilog and what belongs to it."""

from spinbnn.hw.verilog import emit_verilog

__all__ = ["emit_verilog"]
