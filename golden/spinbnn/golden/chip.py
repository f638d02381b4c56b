"""What is fixed when a chip is made: the class of each cell and the mismatch of each sense amplifier.

Both come from keyed generators (`random_bits`) whose seed is the chip's.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.cell_code import mismatch_slices
from spinbnn.golden.encoding import Words, pack
from spinbnn.golden.errors import OperatingPointError
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.memory_options import CLASSES
from spinbnn.golden.random_bits import KeyedGenerators, bernoulli

SHARE_BITS = 16
SENSE_KEY = 1 << 63  # sets the amplifiers' generators apart from the cells'

_SHARE_MAX = 2**SHARE_BITS - 1


@dataclass(frozen=True)
class Chip:
    """A chip.

    Parameters
    ----------
    seed : int
        What makes this chip differ from others, 64 bits.
    class_shares : tuple of 3 int
        Probability that a cell is of class 1, of class 2 if not of class 1, and of class 3 if of neither,
        in units of 2**-16 (0 to 65535).
    stuck : tuple of 4 bool
        Classes whose cells never switch.

    Raises
    ------
    OperatingPointError
        If a value is impossible.
    """

    seed: int = 0
    class_shares: tuple[int, int, int] = (0, 0, 0)
    stuck: tuple[bool, bool, bool, bool] = (False, False, False, False)

    def __post_init__(self) -> None:
        if not isinstance(self.seed, int) or isinstance(self.seed, bool) or not 0 <= self.seed < 2**64:
            raise OperatingPointError(f"chip seed must be an integer from 0 to 2**64 - 1, not {self.seed!r}")
        whole = all(isinstance(share, int) and 0 <= share <= _SHARE_MAX for share in self.class_shares)
        if len(self.class_shares) != CLASSES - 1 or not whole:
            raise OperatingPointError(
                f"class_shares must be three integers from 0 to {_SHARE_MAX}, not {self.class_shares!r}"
            )
        if len(self.stuck) != CLASSES or not all(isinstance(stuck, bool) for stuck in self.stuck):
            raise OperatingPointError(f"stuck must be true or false for 4 classes, not {self.stuck!r}")

    @classmethod
    def from_fractions(
        cls,
        seed: int,
        fractions: tuple[float, float, float, float],
        stuck: tuple[bool, bool, bool, bool] = (False, False, False, False),
    ) -> "Chip":
        """Return the chip whose classes hold these fractions of the cells, rounded to what shares can say.

        Raises
        ------
        OperatingPointError
            If the fractions are not four probabilities that add up to 1.
        """
        if len(fractions) != CLASSES or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-9:
            raise OperatingPointError(f"fractions must be four that add up to 1, not {fractions!r}")
        shares, left = [], 1.0
        for fraction in fractions[1:]:
            share = fraction / left if left > 0 else 0.0
            shares.append(min(round(share * 2**SHARE_BITS), _SHARE_MAX))
            left -= fraction
        return cls(seed, (shares[0], shares[1], shares[2]), stuck)

    def class_masks(
        self, geometry: Geometry, banks: NDArray[np.intp], rows: NDArray[np.intp]
    ) -> NDArray[np.uint64]:
        """Return which cells of rows are of each class.

        Returns
        -------
        masks : uint64 [4, n, Lc]
            Each cell's bit is 1 in the mask of its class.
        """
        keys = banks.astype(np.uint64) << np.uint64(32) | rows.astype(np.uint64)
        generators = KeyedGenerators(self.seed, keys)
        cells = pack(np.ones(geometry.row_cells, dtype=np.uint8))
        masks = np.zeros((CLASSES, len(keys), geometry.cell_slices), dtype=np.uint64)
        left = np.broadcast_to(cells, masks.shape[1:]).copy()
        for number, share in enumerate(self.class_shares, start=1):
            planes = (generators.draw(geometry.cell_slices).T for _ in range(SHARE_BITS))
            chosen = bernoulli(planes, share)
            masks[number] = chosen & left
            left &= ~chosen
        masks[0] = left
        return masks

    def sense_mismatch(self, geometry: Geometry) -> Words:
        """Return what each bank's sense amplifiers read of two equal cells.

        Returns
        -------
        mismatch : uint64 [banks, slices of the code bits]
        """
        generators = KeyedGenerators(
            self.seed, np.arange(geometry.banks, dtype=np.uint64) | np.uint64(SENSE_KEY)
        )
        words = np.ascontiguousarray(generators.draw(mismatch_slices(geometry)).T)
        amplifiers: Words = words & pack(np.ones(geometry.code_bits, dtype=np.uint8))
        return amplifiers


TYPICAL = Chip()
"""A chip whose cells are all of class 0."""
