"""Runs jobs in the Verilated machine without cocotb: for sweeps, and as a yardstick of cocotb's overhead."""

from spinbnn.sim.harness.build import build_harness
from spinbnn.sim.harness.run import run_job, run_jobs

__all__ = ["build_harness", "run_job", "run_jobs"]
