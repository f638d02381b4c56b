"""Errors of stored bits while training: +1 that reads as -1, and the reverse.

As in `spinbnn.golden.monte_carlo`, gaps between errors are drawn instead of a number for each bit: of 1.9
million weights that takes a fifth of the time at an error rate of 4 %.
"""

from __future__ import annotations

from typing import Any


def flip_signs(torch: Any, signs: Any, rate_01: float, rate_10: float, generator: Any) -> None:
    """Turn some of a tensor of +1 and -1 around, in place.

    Nothing is drawn where both rates are 0.

    Parameters
    ----------
    torch : module
    signs : tensor
        Contiguous; of +1 and -1.
    rate_01, rate_10 : float
        Probability that a -1 becomes +1, and a +1 becomes -1; below 1.
    generator : torch.Generator
    """
    highest = max(rate_01, rate_10)
    if not highest:
        return
    flat = signs.view(-1)  # refuses what is not contiguous: errors in a copy would be lost
    positions = _error_positions(torch, highest, len(flat), generator)
    held = flat[positions]
    if rate_01 != rate_10:  # thin out what was drawn at the higher rate
        drawn = torch.rand(len(positions), generator=generator) * highest
        kept = drawn < torch.where(held > 0, rate_10, rate_01)
        positions, held = positions[kept], held[kept]
    flat[positions] = -held


def _error_positions(torch: Any, rate: float, cells: int, generator: Any) -> Any:
    """Return which of a row of cells err, ascending, int64 [errors], each with one probability."""
    drawn = []
    last = -1.0
    while last < cells:
        expected = rate * (cells - last)
        # As many gaps as there are errors but for 4 standard deviations: a second draw is rare.
        gaps = torch.empty(int(expected + 4 * expected**0.5) + 8, dtype=torch.float64)
        gaps.geometric_(rate, generator=generator).clamp_(max=cells + 1)
        drawn.append(gaps.cumsum_(0).add_(last))
        last = float(drawn[-1][-1])
    positions = torch.cat(drawn).long()
    return positions[: int(torch.searchsorted(positions, cells))]
