"""One array written again and again with the same network, as the source of random weights.

Bits that hold their target are not pulsed, so a network written over itself meets no new errors: it loses the
ones it had. Something else has to be written in between. Both that and the network are written with the same
weak pulse: a bit which fails to leave its target is right without a second pulse.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from spinbnn.golden.encoding import pack
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.mram import MramArray
from spinbnn.golden.network import Network
from spinbnn.golden.operating_point import POINTS, OperatingPoint
from spinbnn.golden.placement import ProgramPacket, place, program_rows, stored_network
from spinbnn.sim.schedule import predict_program_clocks

WAYS: Mapping[str, str] = MappingProxyType(
    {
        "complement": "every bit is written with its complement, then the network: errors of both signs",
        "erase": "every bit is written with 0, then the network: errors are +1 that stayed -1",
        "overwrite": "a blank array is written, then written again: only wrong bits are pulsed",
    }
)
"""What is written for each member."""


def stored_error_rates(way: str, failure: float) -> tuple[float, float]:
    """Return the share of stored 0 that should be 1, and of 1 that should be 0, after many members.

    Parameters
    ----------
    way : {"complement", "erase", "overwrite"}
    failure : float
        Probability p that a pulse fails, both ways.

    Returns
    -------
    error_01, error_10 : float
        That a 0 is stored as 1, and a 1 as 0. A share w of wrong bits becomes ``(1 - w) (1 - p) p + w p``,
        of which ``p / (1 + p)`` is the fixed point; the first member has ``p (1 - p)``. Overwritten, nothing
        stays wrong.
    """
    steady = failure / (1 + failure)
    return {"complement": (steady, steady), "erase": (0.0, steady), "overwrite": (0.0, 0.0)}[way]


@dataclass(frozen=True)
class Member:
    """A network as the array holds it, and what writing it took.

    Attributes
    ----------
    network : Network
        With the heads of the intended one.
    wrong_bits : int
        Weights that are not the intended ones.
    energy_aj : int
        Energy of pulses, and of reading each row before it is written, in attojoules.
    clocks : int
        Clocks of the controller.
    """

    network: Network
    wrong_bits: int
    energy_aj: int
    clocks: int


class Reprogrammed:
    """An array that is written anew for each member.

    It holds the network without errors at first; to be overwritten, it is blank.

    Parameters
    ----------
    network : Network
    geometry : Geometry
    way : {"complement", "erase", "overwrite"}
    point : OperatingPoint
        Of all pulses.
    seed : int
        Of the array's random stream.
    """

    def __init__(
        self, network: Network, geometry: Geometry, way: str, point: OperatingPoint, seed: int
    ) -> None:
        self._network, self._point = network, point
        self._placement = place(network, geometry)
        self.array = MramArray(geometry, seed)
        packets = program_rows(network, self._placement, geometry)
        before = {
            "complement": program_rows(complement(network), self._placement, geometry),
            "erase": [replace(packet, rows=np.zeros_like(packet.rows)) for packet in packets],
            "overwrite": [],
        }[way]
        for packet in packets if before else ():
            self.array.program(packet, POINTS["ideal"])
        self._packets: list[ProgramPacket] = [*before, *packets]

    def member(self) -> Member:
        """Write the array anew."""
        energy, clocks = self._spent_aj(), 0
        for packet in self._packets:
            log = self.array.program(packet, self._point)
            clocks += predict_program_clocks(log, self._point, self.array.geometry)
        stored = stored_network(self._network, self._placement, self.array.cells)
        return Member(stored, wrong_bits(self._network, stored), self._spent_aj() - energy, clocks)

    def _spent_aj(self) -> int:
        counters = self.array.counters
        return sum(int(counters[name].sum()) for name in ("program_energy_aj", "read_energy_aj"))


def complement(network: Network) -> Network:
    """Return the network with every weight of the other sign."""
    layers = (
        replace(layer, weights=layer.weights ^ pack(np.ones(layer.sum_length, dtype=np.uint8)))
        for layer in network.layers
    )
    return replace(network, layers=tuple(layers))


def wrong_bits(network: Network, stored: Network) -> int:
    """Return how many weights are stored with errors."""
    pairs = zip(network.layers, stored.layers, strict=True)
    return sum(int(np.bitwise_count(one.weights ^ other.weights).sum()) for one, other in pairs)


def image_reading_aj(network: Network, geometry: Geometry) -> int:
    """Return the energy of reading the array for an image, in attojoules."""
    placement = place(network, geometry)
    array = MramArray(geometry, 0)
    array.count_inference(placement, 1)
    return int(array.counters["read_energy_aj"].sum())
