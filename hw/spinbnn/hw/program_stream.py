"""The program stream: packets of rows with the address and the operating point in a header beat."""

import numpy as np
from amaranth.lib import data
from numpy.typing import NDArray

from spinbnn.golden.placement import ProgramPacket

BEAT_BITS = 64

HeaderLayout = data.StructLayout({"row": 32, "bank": 12, "bank_count": 12, "point": 2, "reserved": 6})


def header(row: int, bank: int, bank_count: int, point: int) -> int:
    """Header beat of a packet.

    It fills banks ``bank .. bank + bank_count - 1`` of `row`, then of the rows that follow.
    """
    fields = {"row": row, "bank": bank, "bank_count": bank_count, "point": point}
    return sum(value << HeaderLayout[name].offset for name, value in fields.items())


def beats(packet: ProgramPacket, point: int) -> NDArray[np.uint64]:
    """All beats of a packet, header first.

    Parameters
    ----------
    packet : ProgramPacket
        Rows in programming order.
    point : int
        Index of the operating point, 0 to 3.

    Returns
    -------
    ndarray of uint64, shape (1 + rows * slices,)
    """
    first = np.array([header(packet.row, packet.bank, packet.bank_count, point)], dtype=np.uint64)
    return np.concatenate([first, packet.rows.reshape(-1)])
