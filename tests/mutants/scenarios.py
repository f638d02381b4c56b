"""A scenario that the regression lacks."""

from typing import Any

import cocotb

from tests.cosim.scenarios import OTHER_NETWORK, SURE, Lab


@cocotb.test()
async def start_withdraws_done(dut: Any) -> None:
    """From the start of a run to its end, done and irq are 0."""
    lab = Lab(dut)
    await lab.begin()
    await lab.program(OTHER_NETWORK, SURE)
    await lab.run(OTHER_NETWORK, 1)
    assert dut.irq.value
    await lab.machine.start_run(1)
    await lab.machine.wait_for("busy", 1)
    assert not dut.irq.value
    assert await lab.machine.status("done") == 0
