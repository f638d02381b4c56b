"""Curves: scales, clipping at the frame, legend, and what makes a file of a drawing."""

import math
import re
import xml.etree.ElementTree as ET

import pytest

from spinbnn.sim.line_chart import Axis, Curve, Limit, line_chart

X, Y = Axis("x, V", 0, 10), Axis("rate", 1e-4, 1, log=True)
LEFT, RIGHT, TOP, BOTTOM = 62, 626, 34, 258
SVG = "{http://www.w3.org/2000/svg}"


def chart(*curves: Curve, x=X, limits=(), bands=None, description="") -> ET.Element:
    drawing = line_chart(
        curves, title="a < b", x=x, y=Y, limits=limits, bands=bands, description=description, file=True
    )
    return ET.fromstring(drawing)


def of_class(svg: ET.Element, name: str) -> list[ET.Element]:
    return [each for each in svg.iter() if name in (each.get("class") or "").split()]


def paths(svg: ET.Element) -> list[list[tuple[float, float]]]:
    """Return the pieces of all curves, but not the legend's keys."""
    drawn = [path.get("d") or "" for path in svg.iter(f"{SVG}path")]
    pieces = [piece for path in drawn if "h22" not in path for piece in path.split("M")[1:]]
    return [
        [tuple(map(float, point.split(","))) for point in piece.split()]  # type: ignore[misc]
        for piece in pieces
    ]


def paths_of(svg: ET.Element, name: str) -> list[list[tuple[float, float]]]:
    drawn = [path.get("d") or "" for path in of_class(svg, name)]
    pieces = [path.strip("MZ ").split() for path in drawn if "h22" not in path]
    return [[tuple(map(float, point.split(","))) for point in piece] for piece in pieces]  # type: ignore[misc]


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


def test_after_seven_colours_curves_are_dashed() -> None:
    svg = chart(*(Curve("c", [(0, 1), (1, 1)]) for _ in range(9)))
    keys = [path.get("class") for path in of_class(svg, "curve") if "h22" in (path.get("d") or "")]
    assert keys[6:] == ["curve c6", "curve c0 dashed", "curve c1 dashed"]


def test_a_band_runs_through_low_and_high_values() -> None:
    curve = Curve("c", [(0, 1e-3), (5, 1e-2), (10, 1e-1)])
    svg = chart(curve, bands={0: [(0, 1e-4, 1e-2), (5, 1e-3, 1e-1), (10, 1e-2, 1)]})
    (band,) = of_class(svg, "band")
    # Four decades on 224 units: a decade is 56.
    assert band.get("d") == "M62.0,146.0 344.0,90.0 626.0,34.0 626.0,146.0 344.0,202.0 62.0,258.0 Z"
    assert band.get("class") == "band c0"


@pytest.mark.parametrize(
    ("intervals", "outlines"),
    [
        (
            [(0, 0.0, 1e-2), (5, 1e-3, 1e9)],
            ["M62.0,146.0 344.0,34.0 344.0,202.0 62.0,258.0 Z"],
        ),  # to the frame
        ([(0, 1e-9, 1e-8), (5, 1e2, 1e3)], []),
        ([(-2, 1e-3, 1e-2), (-1, 1e-3, 1e-2)], []),
        ([(0, math.nan, 1e-2), (5, 1e-3, math.nan)], []),
    ],
)
def test_a_band_stays_in_the_frame(intervals, outlines) -> None:
    svg = chart(Curve("c", [(0, 1e-2), (5, 1e-2)]), bands={0: intervals})
    assert [band.get("d") for band in of_class(svg, "band")] == outlines


def test_what_is_missing_divides_a_band_and_what_stands_alone_is_an_error_bar() -> None:
    places = [0, 1, math.nan, 3, math.nan, 5, 6]
    curve = Curve("c", [(x, 1e-2) for x in places])
    svg = chart(curve, bands={0: [(x, 1e-3, 1e-1) for x in places]})
    assert [(band.get("d") or "").count(",") for band in of_class(svg, "band")] == [4, 4]
    (bar,) = of_class(svg, "bar")
    assert bar.get("d") == "M231.2,202.0 V90.0 M228.2,202.0 h6 M228.2,90.0 h6"


def test_points_alone_have_error_bars() -> None:
    svg = chart(
        Curve("c", [(0, 1e-1), (5, 1e-2)]),
        Curve("measured", [(5, 1e-2), (10, 1e-2)], dots=True),
        bands={1: [(5, 1e-3, 1e-1), (10, 1e-4, 1)]},
    )
    assert [bar.get("d") for bar in of_class(svg, "bar")] == [
        "M344.0,202.0 V90.0 M341.0,202.0 h6 M341.0,90.0 h6",
        "M626.0,258.0 V34.0 M623.0,258.0 h6 M623.0,34.0 h6",
    ]
    assert not of_class(svg, "band")


def test_measured_points_of_a_curve_say_value_and_interval() -> None:
    svg = chart(
        Curve("c", [(0, 1e-1), (5, 1e-2), (6, math.nan), (7, 0.0)]), bands={0: [(5, 1e-3, 1e-1), (6, 0, 1)]}
    )
    titles = [dot.findtext(f"{SVG}title") for dot in of_class(svg, "dot")]
    assert titles == ["c: 0.1 at 0", "c: 0.01 (0.001 to 0.1) at 5"]


def test_zero_has_a_place_of_its_own_on_a_logarithm() -> None:
    axis = Axis("BER", 1e-6, 1, log=True, zero=True)
    curve = Curve("c", [(0.0, 1e-2), (1e-6, 1e-2), (1, 1e-2)])
    svg = chart(curve, x=axis, bands={0: [(x, 1e-3, 1e-1) for x, _ in curve.points]})
    start = LEFT + 56
    assert paths_of(svg, "curve") == [[(start, 146), (RIGHT, 146)]]
    assert [dot.get("cx") for dot in of_class(svg, "dot")] == ["80.7", f"{start}.0", f"{RIGHT}.0"]
    assert (of_class(svg, "bar")[0].get("d") or "").startswith("M80.7,202.0 V90.0")
    assert [path[0] for path in paths_of(svg, "band")] == [(start, 90)]
    labels = {text.text: text.get("x") for text in of_class(svg, "axis") if text.get("y") == "273"}
    assert (labels["0"], labels["1e-6"], labels["1"]) == ("80.7", f"{start}.0", f"{RIGHT}.0")
    assert len(of_class(svg, "break")) == 1


def test_zero_has_no_place_without_being_asked_for() -> None:
    svg = chart(Curve("c", [(0.0, 1e-2), (1, 1e-2)], dots=True), x=Axis("BER", 1e-6, 1, log=True))
    assert [dot.get("cx") for dot in of_class(svg, "dot")] == [
        f"{RIGHT}.0",
        "73.0",
    ]  # the last is the legend's
    assert not of_class(svg, "break")


def test_a_description_is_there_for_screen_readers() -> None:
    assert chart(description="a & b").findtext(f"{SVG}desc") == "a & b"
    assert chart().find(f"{SVG}desc") is None


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
        (Axis("a", 20, 300, log=True), [20, 50, 100, 200]),
        (Axis("a", 0.2, 0.9, log=True), [0.2, 0.5]),
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
