"""Networks written into the array by the golden model, which equals the hardware bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.chip import TYPICAL, Chip
from spinbnn.golden.fitting import fit
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.memory_options import PLAIN, MemoryOptions
from spinbnn.golden.mram import MramArray
from spinbnn.golden.network import Network
from spinbnn.golden.operating_point import OperatingPoint
from spinbnn.golden.placement import Placement, place, program_rows, stored_network
from spinbnn.golden.point_map import PointRange, assign_points
from spinbnn.sim.device_point import DevicePoint

TECHNOLOGY = "st_mram_28nm"
"""The macro whose write pulses studies use: 4.5 pJ a bit at 1.2 V and 20 ns are published of it."""

LADDER_V = MappingProxyType(
    {
        1e-6: 0.644,
        1e-5: 0.598,
        1e-4: 0.551,
        3e-4: 0.528,
        1e-3: 0.502,
        3e-3: 0.478,
        0.01: 0.450,
        0.02: 0.433,
        0.03: 0.422,
        0.05: 0.409,
        0.07: 0.399,
        0.1: 0.389,
        0.14: 0.378,
        0.2: 0.366,
        0.3: 0.350,
        0.4: 0.338,
        0.5: 0.326,
    }
)
"""Voltages of its pulses, to a millivolt, by the array's write error rate that they come within 2 % of."""


@dataclass(frozen=True)
class Programmed:
    """What programming a network gave.

    Attributes
    ----------
    network : Network
        As the array is read.
    bits : int
        Weights that the rows hold, padding left out; those of a first convolution twice where planes are
        paired.
    wrong_bits : int64 [banks]
        Bits of the rows that a read gives other than intended.
    bank_energy_aj : uint64 [banks]
        What programming took, attojoules.
    pulsed_bits : int
        Bit pulses, of cells that had to change, retries included.
    verify_energy_aj : int
        Of the reads that tell which bits to write again, attojoules; not in `bank_energy_aj`.
    """

    network: Network
    bits: int
    wrong_bits: NDArray[np.int64]
    bank_energy_aj: NDArray[np.uint64]
    pulsed_bits: int
    verify_energy_aj: int

    @property
    def energy_aj(self) -> int:
        """Energy of programming all banks, attojoules."""
        return int(self.bank_energy_aj.sum())

    @property
    def wrong_share(self) -> float:
        """Share of the weights' bits that are read wrong (BER)."""
        return int(self.wrong_bits.sum()) / self.bits


def machine_for(network: Network, memory: MemoryOptions = PLAIN, banks: int = 64) -> Geometry:
    """Return the machine of so many banks of 64 bits, its sizes raised to what a network needs.

    Raises
    ------
    CapacityError
        If there is none.
    """
    return fit(network, Geometry(banks=banks, memory=memory), ())


def program(
    network: Network,
    geometry: Geometry,
    point: OperatingPoint,
    *,
    seed: int,
    ranges: Sequence[PointRange] = (),
    chip: Chip = TYPICAL,
) -> Programmed:
    """Return what programming a blank array with a network gives; as `RunJob` does with the same arguments.

    Parameters
    ----------
    network : Network
    geometry : Geometry
    point : OperatingPoint
        Of the rows in no range.
    seed : int
        Of the machine's random stream.
    ranges : sequence of PointRange
    chip : Chip

    Raises
    ------
    SpinbnnError
        If the network does not fit, or a point asks for what the memory has not.
    """
    placement = place(network, geometry)
    array = MramArray(geometry, seed, chip=chip)
    packets = program_rows(network, placement, geometry)
    verify_reads = 0
    for packet, of_rows in assign_points(packets, point, ranges):
        verify_reads += int(array.program(packet, of_rows).verify_reads.sum())
    read = array.read_all()
    wrong = np.zeros(geometry.banks, dtype=np.int64)
    for packet in packets:
        banks, rows = packet.addresses()
        np.add.at(
            wrong, banks, np.bitwise_count(read[banks, rows] ^ packet.rows).sum(axis=-1, dtype=np.int64)
        )
    return Programmed(
        network=stored_network(network, placement, read),
        bits=stored_bits(network, placement),
        wrong_bits=wrong,
        bank_energy_aj=array.counters["program_energy_aj"],
        pulsed_bits=int((array.counters["bits_01"] + array.counters["bits_10"]).sum()),
        verify_energy_aj=verify_reads * array.read_row_energy_aj,
    )


def as_stored(network: Network) -> Network:
    """Return a network as a machine holds it: a first convolution of paired planes has its weights twice."""
    geometry = machine_for(network)
    placement = place(network, geometry)
    cells = np.zeros((geometry.banks, geometry.rows, geometry.slices), dtype=np.uint64)
    for packet in program_rows(network, placement, geometry):
        banks, rows = packet.addresses()
        cells[banks, rows] = packet.rows
    return stored_network(network, placement, cells)


def stored_bits(network: Network, placement: Placement) -> int:
    """Return the bits of weights that a machine holds, padding left out."""
    return sum(
        layer.neurons * layer.sum_length * placed.weight_planes * (2 if placed.paired else 1)
        for layer, placed in zip(network.layers, placement.layers, strict=True)
    )


@lru_cache(maxsize=256)
def pulse_point(technology: str, voltage_v: float | None, max_retries: int = 0) -> OperatingPoint:
    """Return the operating point of a write pulse of the technology's own length, at the macro's energies.

    Every cell fails with the mean probability of the array's cells.

    Parameters
    ----------
    technology : str
        The name of a preset, or a file.
    voltage_v : float or None
        Across the junction; None for the technology's own.
    max_retries : int

    Raises
    ------
    TechnologyError, PulseError
        If there is no such technology, or the pulse is impossible for it.
    """
    return DevicePoint.load(technology, voltage_v, None).operating_point(
        max_retries=max_retries, pulse_redundant=False, blind=False
    )
