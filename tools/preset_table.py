"""What each preset takes on 64 banks of 64 bits, by the predicted clocks, as the README shows it.

Prints a table in Markdown.
"""

from collections.abc import Iterator

from spinbnn.golden.architectures import ARCHITECTURES, Architecture, build_random
from spinbnn.golden.fitting import fit
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.placement import place
from spinbnn.sim.schedule import loop_clocks, predict_steady_clocks, predict_utilisation

HEAD = ("preset", "weights", "rows of a bank", "loops", "clocks an image", "of the loops", "utilisation")


def cells(architecture: Architecture) -> tuple[str, ...]:
    network = build_random(architecture)
    placement = place(network, fit(network, Geometry()))
    loops, steady = loop_clocks(placement), predict_steady_clocks(network, placement)
    return (
        f"`{architecture.name}`",
        f"{architecture.weight_count:,}",
        f"{sum(placed.rows for placed in placement.layers):,}",
        f"{loops:,}",
        f"{steady:,.0f}",
        f"{steady / loops:.4f}",
        f"{predict_utilisation(network, placement):.1%}".replace("%", " %"),
    )


def lines() -> Iterator[str]:
    """Yield the lines of the table."""
    yield f"| {' | '.join(HEAD)} |"
    yield f"|---|{'---:|' * (len(HEAD) - 1)}"
    for architecture in ARCHITECTURES.values():
        yield f"| {' | '.join(cells(architecture))} |"


def main() -> None:
    for line in lines():
        print(line)


if __name__ == "__main__":
    main()
