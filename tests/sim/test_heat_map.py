"""Heat maps: colours follow values, and what has none stays blank."""

import math
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest

from spinbnn.sim.heat_map import colour, heat_map

SVG = "{http://www.w3.org/2000/svg}"
DARKEST, MIDDLE, LIGHTEST = "#00224e", "#7c7b78", "#fee838"


def drawn(values, rows=None, columns=None, unit="points") -> ET.Element:
    rows = rows or [f"r{row}" for row in range(len(values))]
    columns = columns or [f"c{column}" for column in range(len(values[0]))]
    return ET.fromstring(heat_map(values, rows=rows, columns=columns, title="a < b", unit=unit, file=True))


def cells(svg: ET.Element) -> dict[str, ET.Element]:
    """Return the cells by their titles."""
    found = ((rect.findtext(f"{SVG}title"), rect) for rect in svg.iter(f"{SVG}rect"))
    return {title: rect for title, rect in found if title is not None}


def texts(svg: ET.Element, kind: str) -> list[str | None]:
    return [text.text for text in svg.iter(f"{SVG}text") if kind in (text.get("class") or "").split()]


def luminance(parts: tuple[int, int, int]) -> float:
    red, green, blue = (
        part / 3294 if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_colours_follow_values_from_the_least_to_the_most() -> None:
    found = {title: cell.get("fill") for title, cell in cells(drawn([[2.0, 4.0], [3.0, -1.0]])).items()}
    assert found["r1, c1: -1 points"] == DARKEST
    assert found["r0, c1: 4 points"] == LIGHTEST
    assert found["r0, c0: 2 points"] == "#" + "".join(f"{part:02x}" for part in colour(0.6))
    assert len(set(found.values())) == 4


def test_the_scale_rises_in_luminance() -> None:
    rising = [luminance(colour(step / 100)) for step in range(101)]
    assert rising == sorted(rising)
    assert rising[-1] / rising[0] > 30


def test_numbers_on_cells_are_readable() -> None:
    svg = drawn([[step / 10 for step in range(11)]])
    numbers = [text for text in svg.iter(f"{SVG}text") if "cell" in (text.get("class") or "")]
    assert [text.text for text in numbers] == [f"{step / 10:g}" for step in range(11)]
    inks = {"cell on-light": luminance((0x1B, 0x1F, 0x24)), "cell on-dark": 1.0}
    for step, text in enumerate(numbers):
        low, high = sorted((inks[text.get("class") or ""], luminance(colour(step / 10))))
        assert (high + 0.05) / (low + 0.05) > 3.9, step


@pytest.mark.parametrize("nothing", [math.nan, math.inf])
def test_what_has_no_value_is_blank_and_not_of_the_scale(nothing: float) -> None:
    svg = drawn([[nothing, 1.0, 2.0]])
    blank = cells(svg)["r0, c0: no value"]
    assert (blank.get("class"), blank.get("fill")) == ("blank", None)
    assert cells(svg)["r0, c1: 1 points"].get("fill") == DARKEST


def test_equal_values_have_one_colour_and_one_number_in_the_scale() -> None:
    svg = drawn([[7.0, 7.0]])
    assert {cell.get("fill") for cell in cells(svg).values()} == {MIDDLE}
    assert texts(svg, "axis")[-1] == "7"


def test_without_any_value_all_is_blank() -> None:
    assert {cell.get("class") for cell in cells(drawn([[math.nan] * 3])).values()} == {"blank"}


def test_cells_lie_side_by_side_in_the_frame() -> None:
    svg = drawn([[float(bank) for bank in range(64)]] * 4)
    boxes = [
        tuple(float(cell.get(name) or 0) for name in ("x", "y", "width"))
        for cell in svg.iter()
        if cell.find(f"{SVG}title") is not None and cell.tag == f"{SVG}rect"
    ]
    assert len(boxes) == 4 * 64
    row = boxes[:64]
    assert all(x + width < after for (x, _, width), (after, _, _) in pairwise(row))
    assert row[-1][0] + row[-1][2] <= 640
    assert len({y for _, y, _ in boxes}) == 4


def test_names_of_columns_do_not_meet() -> None:
    svg = drawn([[float(bank) for bank in range(64)]], columns=[f"bank {bank}" for bank in range(64)])
    named = [text for text in svg.iter(f"{SVG}text") if (text.text or "").startswith("bank")]
    places = [float(text.get("x") or 0) for text in named]
    assert 5 < len(named) < 20
    assert all(after - at > 6.3 * len("bank 63") for at, after in pairwise(places))


def test_scale_has_its_ends_and_unit_and_long_names_are_cut() -> None:
    svg = drawn([[0.5, 1.5]], rows=["a layer with a name that takes too much room"], unit="points < 1")
    assert texts(svg, "axis")[-3:] == ["0.5", "1", "1.5"]
    assert texts(svg, "legend") == ["points < 1"]
    assert texts(svg, "axis")[0] == "a layer with a name tha…"
    assert svg.get("aria-label") == "a < b"
