"""A setting of a study, run in the Verilog under cocotb: programmed, read back, images, counters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spinbnn.golden.chip import TYPICAL, Chip
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.network import Network
from spinbnn.golden.operating_point import OperatingPoint
from spinbnn.golden.point_map import PointRange
from spinbnn.sim.datasets import Dataset
from spinbnn.sim.job import run_job
from spinbnn.sim.show import energy
from spinbnn.sim.spec import RunJob
from spinbnn.sim.studies.cells import number, whole
from spinbnn.sim.studies.evaluation import right_classes
from spinbnn.sim.studies.programming import program
from spinbnn.sim.studies.study import Row, Scalar, StudyOptions, Verdict

COLUMNS = (
    "rtl_images",
    "rtl_right",
    "rtl_wrong_bits",
    "rtl_energy_aj",
    "rtl_stored_bits",
    "rtl_equal",
)
"""What `Confirmation.to_row` gives, and what rows that were not confirmed hold None for."""


@dataclass(frozen=True)
class Confirmation:
    """What the Verilog gave, beside golden.

    Attributes
    ----------
    images, right, golden_right : int
        Images, and how many are put into the right class.
    wrong_bits, golden_wrong_bits : int
        Stored bits that are read other than intended.
    energy_aj, golden_energy_aj : int
        Of programming.
    stored_bits : int
        Cells that were compared with golden's, one by one.
    match : bool
        Whether everything else that a run compares was equal, too: cells, activations, logits, counters and
        clocks.
    """

    images: int
    right: int
    golden_right: int
    wrong_bits: int
    golden_wrong_bits: int
    energy_aj: int
    golden_energy_aj: int
    stored_bits: int
    match: bool

    @property
    def equal(self) -> bool:
        """Whether the Verilog gave what golden did, exactly."""
        return self.match and (self.right, self.wrong_bits, self.energy_aj) == (
            self.golden_right,
            self.golden_wrong_bits,
            self.golden_energy_aj,
        )

    def to_row(self) -> dict[str, Scalar]:
        """Return the columns of a confirmed row."""
        return dict(
            zip(
                COLUMNS,
                (self.images, self.right, self.wrong_bits, self.energy_aj, self.stored_bits, self.equal),
                strict=True,
            )
        )


def confirm(
    network: Network,
    images: Dataset,
    geometry: Geometry,
    point: OperatingPoint,
    options: StudyOptions,
    *,
    seed: int,
    ranges: Sequence[PointRange] = (),
    chip: Chip = TYPICAL,
) -> Confirmation:
    """Program a network into the Verilog, run images, and compare everything with golden.

    Parameters
    ----------
    network : Network
    images : Dataset
        Fitted to the network.
    geometry, point, seed, ranges, chip
        As in `programming.program`.
    options : StudyOptions
        Simulators are built in its folder, and kept.

    Raises
    ------
    SpinbnnError
        If the simulator is missing or fails.
    """
    golden = program(network, geometry, point, seed=seed, ranges=ranges, chip=chip)
    result = run_job(
        RunJob(
            network=network,
            images=images.pixels,
            labels=images.labels,
            geometry=geometry,
            point=point,
            build_dir=options.folder / "sim",
            seed=seed,
            ranges=tuple(ranges),
            chip=chip,
        )
    )
    return Confirmation(
        images=len(images),
        right=round((result.accuracy_rtl or 0.0) * len(images)),
        golden_right=int(right_classes(golden.network, images).sum()),
        wrong_bits=sum(result.bits_wrong),
        golden_wrong_bits=int(golden.wrong_bits.sum()),
        energy_aj=sum(result.counters.get("program_energy_aj", [])),
        golden_energy_aj=golden.energy_aj,
        stored_bits=result.compared.get("stored bits", 0),
        match=result.match,
    )


def confirmed_verdict(row: Row) -> Verdict:
    """Judge a row that was confirmed; it has golden's "energy_aj", "wrong_bits" and "accuracy"."""
    return Verdict(
        claim="The Verilog under cocotb gives what the golden model gives: bits, energies, accuracy.",
        paper="",
        ours=f"{row['network']}, {whole(row, 'rtl_stored_bits'):,} stored bits compared, "
        f"{whole(row, 'rtl_wrong_bits'):,} of them wrong in both, {energy(whole(row, 'rtl_energy_aj'))}, "
        f"{whole(row, 'rtl_right')} of {whole(row, 'rtl_images')} images right",
        agrees=bool(row["rtl_equal"])
        and row["rtl_wrong_bits"] == row["wrong_bits"]
        and row["rtl_energy_aj"] == row["energy_aj"]
        and whole(row, "rtl_right") == round(number(row, "accuracy") * whole(row, "rtl_images")),
        why="Equal, not close: every cell, activation, logit, counter and clock is compared.",
    )
