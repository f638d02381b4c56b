"""Numbers and tables as people read them in a terminal."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

_ENERGY_UNITS = (("J", 18), ("mJ", 15), ("µJ", 12), ("nJ", 9), ("pJ", 6), ("fJ", 3), ("aJ", 0))
_SPARKS = "▁▂▃▄▅▆▇█"
SPARKLINE_WIDTH = 64
"""The most blocks of a `sparkline`."""


def energy(energy_aj: float) -> str:
    """Return an energy with the unit that leaves 1 to 999 before the point."""
    if not energy_aj:
        return "0 J"
    unit, exponent = energy_unit(energy_aj)
    return f"{energy_aj / 10**exponent:#.4g} {unit}"


def energy_unit(energy_aj: float) -> tuple[str, int]:
    """Return the unit fit for an energy, and its power of ten in attojoules."""
    fit = (unit for unit in _ENERGY_UNITS if energy_aj >= 10 ** unit[1])
    return next(fit, _ENERGY_UNITS[-1])


def count(value: float) -> str:
    """Return a count with separators; fractions, as means have, with one digit."""
    return f"{value:,.1f}" if isinstance(value, float) else f"{value:,}"


def sparkline(values: Sequence[float]) -> str:
    """Return one block a value, as high as the value by the largest; long rows are averaged in equal runs."""
    run = sparkline_run(len(values))
    means = [sum(part) / len(part) for part in (values[i : i + run] for i in range(0, len(values), run))]
    largest = max(means)
    if largest <= 0:
        return _SPARKS[0] * len(means)
    return "".join(_SPARKS[round(mean / largest * (len(_SPARKS) - 1))] for mean in means)


def sparkline_run(length: int) -> int:
    """Return how many of `length` values one block of a `sparkline` stands for."""
    return -(-length // SPARKLINE_WIDTH)


def heading(text: str) -> Text:
    """Return the heading of a part."""
    return Text(text, style="bold cyan")


def pairs(rows: Sequence[tuple[str, ...]]) -> Table:
    """Return a table of a name, a number and, where there is more to say, a remark."""
    table = Table.grid(padding=(0, 2))
    table.add_column(min_width=32)
    table.add_column(justify="right", min_width=12)
    table.add_column(style="dim")
    for name, *rest in rows:
        table.add_row(f"  {name}", *rest)
    return table


def columns(names: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Return a table with a heading a column; all but the first are numbers.

    It is as wide as its texts, also where a terminal is not: a wrapped line says more than one that is cut.
    """
    texts = [(f"  {first}", *rest) for first, *rest in (names, *rows)]
    widths = [max(len(text) for text in column) for column in zip(*texts, strict=True)]
    table = Table.grid(padding=(0, 2))
    table.width = sum(widths) + 2 * (len(widths) - 1)
    for index in range(len(names)):
        table.add_column(justify="right" if index else "left")
    table.add_row(*texts[0], style="dim")
    for row in texts[1:]:
        table.add_row(*row)
    return table


def named(rows: Sequence[tuple[str, str]]) -> Table:
    """Return a table of names and texts."""
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(overflow="fold")
    for name, text in rows:
        table.add_row(f"  {name}", text)
    return table
