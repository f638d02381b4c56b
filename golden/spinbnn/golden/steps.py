"""The steps of a word: in what order the planes of its inputs meet the planes of its weights."""

from dataclasses import dataclass
from itertools import pairwise

from spinbnn.golden.network import Format


@dataclass(frozen=True)
class Step:
    """One beat of a word: a plane of the inputs meets a plane of the weights.

    Parameters
    ----------
    plane : int
        Number of the input plane's word among the word's, the most significant first.
    weight_plane : int
        Number of the row among the word's rows.
    shift : int
        Doublings of the word's sum before the product is added: 0 to 2.
    negative : bool
        The product is subtracted: of the highest plane of two's complement.
    read_row : bool
        The row is read; otherwise it is the row of the step before.
    """

    plane: int = 0
    weight_plane: int = 0
    shift: int = 0
    negative: bool = False
    read_row: bool = True


def layer_steps(inputs: Format, weight_shifts: tuple[int, ...], *, paired: bool = False) -> tuple[Step, ...]:
    """Return the steps of a layer's words, so that products of a higher place value come first.

    Parameters
    ----------
    inputs : Format
    weight_shifts : tuple of int
        Place values of the planes of the weights, as in `layers.Dense`.
    paired : bool
        A word holds two planes of inputs: even ones in its lower half, odd ones in its upper half.
    """
    stride = 2 if paired else 1
    words = -(-inputs.bits // stride)
    order = sorted(
        (
            (word * stride + shift, number, word)
            for number, shift in enumerate(weight_shifts)
            for word in range(words)
        ),
        key=lambda each: (-each[0], each[1]),
    )
    shifts = [0, *(high - low for (high, _, _), (low, _, _) in pairwise(order))]
    rows = [-1, *(number for _, number, _ in order)]
    return tuple(
        Step(
            plane=words - 1 - word,
            weight_plane=number,
            shift=shift,
            negative=inputs.kind == "signed" and word == words - 1,
            read_row=number != before,
        )
        for (_, number, word), shift, before in zip(order, shifts, rows, strict=False)
    )
