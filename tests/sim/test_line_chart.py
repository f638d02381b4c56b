"""Curves: scales, clipping at the frame, legend, and what makes a file of a drawing."""

import re
import xml.etree.ElementTree as ET

import pytest

from spinbnn.sim.line_chart import Axis, Curve, Limit, line_chart

X, Y = Axis("x, V", 0, 10), Axis("rate", 1e-4, 1, log=True)
LEFT, RIGHT, TOP, BOTTOM = 62, 626, 34, 258
SVG = "{http://www.w3.org/2000/svg}"


def chart(*curves: Curve, limits=()) -> ET.Element:
    return ET.fromstring(line_chart(curves, title="a < b", x=X, y=Y, limits=limits, file=True))


def paths(svg: ET.Element) -> list[list[tuple[float, float]]]:
    """Return the pieces of all curves, but not the legend's keys."""
    drawn = [path.get("d") or "" for path in svg.iter(f"{SVG}path")]
    pieces = [piece for path in drawn if "h22" not in path for piece in path.split("M")[1:]]
    return [
        [tuple(map(float, point.split(","))) for point in piece.split()]  # type: ignore[misc]
        for piece in pieces
    ]


def test_a_curve_runs_from_corner_to_corner() -> None:
    assert paths(chart(Curve("c", [(0, 1e-4), (5, 1e-2), (10, 1)]))) == [
        [(LEFT, BOTTOM), ((LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2), (RIGHT, TOP)]
    ]


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([(-10, 1e-2), (20, 1e-2)], [[(LEFT, 146), (RIGHT, 146)]]),
        ([(0, 1e-8), (10, 1)], [[(344, BOTTOM), (RIGHT, TOP)]]),
        ([(0, 1e4), (10, 1e-4)], [[(344, TOP), (RIGHT, BOTTOM)]]),
        ([(0, 1e-2), (5, 1e-6), (10, 1e-2)], [[(LEFT, 146), (203, BOTTOM)], [(485, BOTTOM), (RIGHT, 146)]]),
        ([(0, 1e-6), (10, 1e-5)], []),
        ([(-2, 1e-3), (-1, 1e-1)], []),
        ([(-1, 1e-1), (1, 1e3)], []),  # passes the corner outside
        ([(0, 0.0), (10, 0.0)], []),
        ([(0, 1e-2)], []),
    ],
)
def test_what_lies_outside_the_frame_is_cut_off(points, expected) -> None:
    assert paths(chart(Curve("c", points))) == [[pytest.approx(point) for point in one] for one in expected]


def test_dots_outside_are_left_out_and_others_say_their_value() -> None:
    svg = chart(Curve("measured", [(5, 1e-2), (11, 1e-2), (5, 1e-5)], dots=True))
    titles = [circle.findtext(f"{SVG}title") for circle in svg.iter(f"{SVG}circle")]
    assert titles == ["measured: 0.01 at 5", None]  # the last is the legend's


def test_legend_names_every_curve_in_its_colour_and_breaks_lines() -> None:
    curves = [Curve(f"curve number {i} with a long name", [(0, 1), (1, 1)], dashed=i == 1) for i in range(4)]
    svg = chart(*curves)
    legend = [text for text in svg.iter(f"{SVG}text") if text.get("class") == "legend"]
    assert [text.text for text in legend] == [curve.name for curve in curves]
    assert [text.get("y") for text in legend] == ["306", "306", "323", "323"]
    keys = [path.get("class") for path in svg.iter(f"{SVG}path") if "h22" in (path.get("d") or "")]
    assert keys == ["curve c0", "curve c1 dashed", "curve c2", "curve c3"]
    assert svg.get("viewBox") == "0 0 640 334"


def test_a_curve_may_share_a_colour() -> None:
    svg = chart(Curve("a", [(0, 1), (1, 1)]), Curve("b", [(0, 1), (1, 1)], colour=0))
    assert {path.get("class") for path in svg.iter(f"{SVG}path")} == {"curve c0"}


def test_limits_inside_the_axis_are_named() -> None:
    svg = chart(Curve("c", [(0, 1), (1, 1)]), limits=[Limit("here", 5), Limit("there", 11)])
    lines = [line for line in svg.iter(f"{SVG}line") if line.get("class") == "limit"]
    assert [(line.get("x1"), line.findtext(f"{SVG}title")) for line in lines] == [("344.0", "here: 5")]


@pytest.mark.parametrize(
    ("axis", "expected"),
    [
        (Axis("a", 0, 1.2), [0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2]),
        (Axis("a", 25, 75), [30, 40, 50, 60, 70]),
        (Axis("a", 1e-4, 1, log=True), [1e-4, 1e-3, 1e-2, 1e-1, 1]),
        (Axis("a", 3, 2000, log=True), [10, 100, 1000]),
        (Axis("a", 1, 1e24, log=True), [1, 1e3, 1e6, 1e9, 1e12, 1e15, 1e18, 1e21, 1e24]),
    ],
)
def test_ticks(axis: Axis, expected: list[float]) -> None:
    assert axis.ticks() == pytest.approx(expected)


def test_tick_labels_of_logarithms_are_short() -> None:
    svg = line_chart([], title="t", x=Axis("a", 1e-3, 1e4, log=True), y=Y)
    labels = re.findall(r'text-anchor="middle">([^<]*)<', svg)
    assert labels[:-1] == ["1e-3", "0.01", "0.1", "1", "10", "100", "1e3", "1e4"]


def test_a_file_brings_its_style_and_a_part_of_a_page_does_not() -> None:
    file, part = (line_chart([], title="a < b", x=X, y=Y, file=file) for file in (True, False))
    assert "<style>" in file
    assert 'xmlns="http://www.w3.org/2000/svg"' in file
    assert "style" not in part
    assert "xmlns" not in part
    assert 'aria-label="a &lt; b"' in part
