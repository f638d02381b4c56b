"""Memory that holds the weights while a network learns: writes that fail, and their count.

The network computes with what the cells hold. After each batch the signs of the latent weights are what the
cells should hold; each cell that should change is written, once, and keeps its old value if that fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from spinbnn.golden.errors import SpinbnnError

ROW_CELLS = 64
"""Cells of a row, of one neuron, that a machine without bit masks writes together."""


@dataclass(frozen=True)
class Cells:
    """How the cells of a memory take writes.

    Attributes
    ----------
    p_fail_01, p_fail_10 : tuple of float
        Probability that a write from -1 to +1 fails, and from +1 to -1 (WER), of each class of cells.
    fractions : tuple of float
        Share of the cells in each class. Which cell is of which class is drawn once, with the run's
        generator, and kept.
    retry : bool
        Whether a cell that failed is written again after the next batch, as it still differs from what it
        should hold. Otherwise it is written only when the latent weight changes its sign again.

    Raises
    ------
    SpinbnnError
        If a number is no probability, or the classes are not as many everywhere.
    """

    p_fail_01: tuple[float, ...]
    p_fail_10: tuple[float, ...]
    fractions: tuple[float, ...] = (1.0,)
    retry: bool = True

    def __post_init__(self) -> None:
        for field in fields(self)[:3]:
            values = getattr(self, field.name)
            if len(values) != len(self.fractions) or not all(0 <= value <= 1 for value in values):
                raise SpinbnnError(
                    f"{field.name} must be {len(self.fractions)} probabilities from 0 to 1, not {values}"
                )


@dataclass
class Writes:
    """Writes of a training, of all cells.

    Attributes
    ----------
    switched_01, switched_10, failed_01, failed_10 : int
        Pulses on cells that should change, by direction and outcome.
    redundant : int
        Pulses that a memory adds which writes rows of `ROW_CELLS` whole, if one of a row's cells should
        change: on cells that hold what they should, and on those of a last row that hold no weight.
    updates : int
        How often all latent weights were compared with the cells; the first time before the first batch,
        when all cells hold -1.
    """

    switched_01: int = 0
    switched_10: int = 0
    failed_01: int = 0
    failed_10: int = 0
    redundant: int = 0
    updates: int = 0

    @property
    def pulses(self) -> int:
        """Pulses on cells that should change."""
        return self.switched_01 + self.switched_10 + self.failed_01 + self.failed_10


class WeightMemory:
    """The cells of a network's weights.

    Parameters
    ----------
    torch : module
    cells : Cells
    wanted : sequence of tensor
        Of each layer, +1 and -1: what the cells should hold first. They hold -1 before.
    generator : torch.Generator
        The run's: it draws the classes of the cells, and failures.
    """

    def __init__(self, torch: Any, cells: Cells, wanted: Sequence[Any], generator: Any) -> None:
        self._torch = torch
        self._cells = cells
        self._generator = generator
        self._p_fail = torch.tensor([cells.p_fail_10, cells.p_fail_01])  # by the bit that is written
        self.stored = [-torch.ones_like(layer) for layer in wanted]
        self.pulsed = [torch.zeros(layer.shape, dtype=torch.int32) for layer in wanted]
        self._class = [self._classes(layer.numel()) for layer in wanted]
        self._asked = [layer.clone() for layer in self.stored]
        self.writes = Writes()
        self.update(wanted)

    def _classes(self, count: int) -> Any:
        """Return the class of each cell, int64 [count]; nothing is drawn for one class."""
        torch = self._torch
        if len(self._cells.fractions) == 1:
            return torch.zeros(count, dtype=torch.int64)
        ends = torch.tensor(self._cells.fractions, dtype=torch.float64).cumsum(0)[:-1]
        return torch.bucketize(torch.rand(count, generator=self._generator), ends, right=True)

    def update(self, wanted: Sequence[Any]) -> None:
        """Write the cells that should change to hold these signs."""
        self.writes.updates += 1
        for layer, signs in enumerate(wanted):
            self._write(layer, signs)

    def _write(self, layer: int, signs: Any) -> None:
        torch, stored = self._torch, self.stored[layer]
        changing = stored != signs
        if not self._cells.retry:
            changing &= signs != self._asked[layer]
            self._asked[layer].copy_(signs)
        self._count_rows(changing)
        positions = changing.view(-1).nonzero().squeeze(1)
        bits = (signs.view(-1)[positions] > 0).long()
        rates = self._p_fail[bits, self._class[layer][positions]]
        # Where no cell can fail nothing is drawn: the network is then the one trained without a memory.
        failed = (
            torch.rand(len(positions), generator=self._generator) < rates
            if self._p_fail.any()
            else torch.zeros(len(positions), dtype=torch.bool)
        )
        stored.view(-1)[positions[~failed]] = signs.view(-1)[positions[~failed]]
        self.pulsed[layer].view(-1)[positions] += 1
        outcomes = torch.bincount(2 * failed.long() + bits, minlength=4).tolist()
        writes = self.writes
        writes.switched_10 += outcomes[0]
        writes.switched_01 += outcomes[1]
        writes.failed_10 += outcomes[2]
        writes.failed_01 += outcomes[3]

    def _count_rows(self, changing: Any) -> None:
        flat = changing.movedim(1, -1).flatten(1)  # channels last, as rows hold them
        missing = -flat.shape[1] % ROW_CELLS
        rows = self._torch.nn.functional.pad(flat, (0, missing)).unflatten(1, (-1, ROW_CELLS))
        self.writes.redundant += int(rows.any(2).sum()) * ROW_CELLS - int(flat.sum())

    def state(self) -> dict[str, Any]:
        """Return all that a checkpoint must keep."""
        return {
            "stored": self.stored,
            "pulsed": self.pulsed,
            "class": self._class,
            "asked": self._asked,
            "writes": asdict(self.writes),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take everything from what `state` returned."""
        self.stored, self.pulsed = state["stored"], state["pulsed"]
        self._class, self._asked = state["class"], state["asked"]
        self.writes = Writes(**state["writes"])
