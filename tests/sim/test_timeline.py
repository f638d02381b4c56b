"""The timeline of a run: that it accounts for every clock, and shows what it accounts for."""

import io
import json
from collections import defaultdict
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from rich.console import Console, Group

from spinbnn.golden.architectures import ARCHITECTURES, build_random
from spinbnn.golden.errors import DataError
from spinbnn.golden.fitting import fit
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.memory_options import MemoryOptions
from spinbnn.golden.mram import MramArray
from spinbnn.golden.network import Network, random_network
from spinbnn.golden.operating_point import operating_point
from spinbnn.golden.placement import program_rows
from spinbnn.sim.engine_schedule import STALLS, operand_addresses
from spinbnn.sim.model import MachineModel
from spinbnn.sim.named_networks import random_images
from spinbnn.sim.schedule import predict_program_clocks
from spinbnn.sim.spec import Pass, RunJob, StallProfile
from spinbnn.sim.timeline import LEVELS, Loops, Span, Timeline, parse_batches
from spinbnn.sim.timeline_chart import timeline_chart
from spinbnn.sim.timeline_text import timeline_text
from spinbnn.sim.timeline_trace import MOST_SLICES, chrome_trace

SMALL = random_network((37, 11, 10), seed=3)


def job(network: Network, geometry: Geometry, images: int, stalls: StallProfile | None = None) -> RunJob:
    point = operating_point(1e-3)
    return RunJob(network, random_images(network, images), geometry, point, stalls=stalls)


def fitted(name: str, geometry: Geometry) -> tuple[Network, Geometry]:
    network = build_random(ARCHITECTURES[name])
    return network, fit(network, geometry)


def timelines() -> dict[str, Timeline]:
    slow = Geometry(memory=MemoryOptions.parse(["activation_generators=1"]))
    stalls = StallProfile(3, image_idle=0.8, result_pause=0.9)
    jobs = {
        "small": job(SMALL, Geometry.from_preset("5x24"), 5),
        "lanes, stalls": job(SMALL, Geometry.from_preset("8x16x3"), 8, stalls),
        "digits, stalls": job(*fitted("digits", Geometry()), 6, StallProfile(5, result_pause=0.99)),
        "convolutions": job(*fitted("lenet4", Geometry()), 3),
        "slow activations": job(*fitted("cnv-w1a2", Geometry()), 2),
        "slow writes": job(*fitted("lenet4", slow), 2, stalls),
    }
    return {name: Timeline.of_job(each) for name, each in jobs.items()}


TIMELINES = timelines()


@pytest.fixture(params=TIMELINES)
def timeline(request: pytest.FixtureRequest) -> Timeline:
    return TIMELINES[request.param]


def test_the_examples_meet_every_cause() -> None:
    met = {cause for timeline in TIMELINES.values() for cause in timeline.causes}
    assert met >= {"input", "operand", "drain", "result"}


def test_every_clock_is_a_beat_or_a_wait(timeline: Timeline) -> None:
    clock = 1
    for number in range(timeline.batches):
        for layer in timeline.batch(number).layers:
            assert layer.begin == clock
            beats = timeline.issued(
                number, layer.layer, np.arange(timeline.loops[layer.layer].beats)
            ).tolist()
            assert (beats[0], beats[-1]) == (layer.first, layer.last)
            taken = dict.fromkeys(beats, "beat")
            for cause, span, beat in timeline.waits(number, layer.layer):
                assert span.clocks > 0
                assert span.last < beats[beat]
                taken |= dict.fromkeys(range(span.first, span.last + 1), cause)
            assert sorted(taken) == list(range(clock, layer.last + 1))
            for cause in STALLS:
                assert layer.stalled(cause) == list(taken.values()).count(cause)
            clock = layer.last + 1
    assert clock - 1 + timeline.tail == timeline.run.total


def test_sums_add_up_to_the_run(timeline: Timeline) -> None:
    assert sum(of.clocks for of in timeline.sums()) + timeline.tail == timeline.run.total
    assert sum(of.beats for of in timeline.sums()) == timeline.run.beats
    for layer, of in enumerate(timeline.sums()):
        batches = [timeline.sums(number)[layer] for number in range(timeline.batches)]
        assert of.clocks == sum(batch.clocks for batch in batches)
        assert of.stalls == {cause: sum(batch.stalls[cause] for batch in batches) for cause in STALLS}


def test_a_batch_says_when_its_images_and_results_pass(timeline: Timeline) -> None:
    lanes = timeline.placement.geometry.lanes
    images = [span for number in range(timeline.batches) for span in timeline.batch(number).images]
    assert images == [Span(int(beats[0]), int(beats[-1])) for beats in timeline.run.images]
    for number in range(timeline.batches):
        results = timeline.run.results[number * lanes : (number + 1) * lanes]
        assert timeline.batch(number).results == Span(int(results.min()), int(results.max()))


def test_places_are_those_of_the_operands(timeline: Timeline) -> None:
    for layer, (placed, loops) in enumerate(zip(timeline.placement.layers, timeline.loops, strict=True)):
        assert loops.beats == placed.beats
        if not layer:
            continue
        of_group = loops.inside("group")
        for beat in range(0, loops.beats, max(1, loops.beats // 500)):
            at = loops.place(beat)
            row, column = (
                (pixel * placed.window_stride[axis] + at.window[axis]) * placed.stride[axis]
                + at.tap[axis]
                + placed.origin[axis]
                for axis, pixel in enumerate((at.row, at.column))
            )
            inside = 0 <= row < placed.source[0] and 0 <= column < placed.source[1]
            pixel = (row * placed.source[1] + column) * placed.words + at.word
            address = pixel * placed.planes + placed.steps[at.step].plane if inside else None
            group, number = divmod(beat, of_group)
            of_pixel = at.row * placed.positions[1] + at.column
            assert group == of_pixel * placed.groups + at.group
            assert list(operand_addresses(placed, of_pixel))[number] == address


def test_loops_in_words() -> None:
    loops = Loops(4, 4, 7, (2, 2), (5, 5), 2, 1)
    assert str(loops) == "4x4 pixels x 7 groups x 2x2 sums x 5x5 taps x 2 words"
    assert loops.where(0) == "pixel 0,0 group 0 sum 0,0 tap 0,0 word 0"
    assert loops.where(loops.beats - 1) == "pixel 3,3 group 6 sum 1,1 tap 4,4 word 1"
    assert loops.where(loops.beats - 1, "group") == "pixel 3,3 group 6"
    assert {level: loops.turns(level) for level in LEVELS} == {
        "layer": 1, "pixel": 16, "group": 112, "sum": 448, "tap": 11_200, "word": 22_400,
    }  # fmt: skip
    one = Loops(1, 1, 1, (1, 1), (1, 1), 1, 1)
    assert (str(one), one.where(0)) == ("1 beat", "")


def test_json_tells_the_batches_that_are_asked_for(timeline: Timeline) -> None:
    last = timeline.batches - 1
    document = json.loads(json.dumps(timeline.to_dict([0, last])))
    assert [batch["number"] for batch in document["batches"]] == [0, last]
    assert document["totals"]["clocks"] == timeline.run.total
    clocks = [layer["clocks"] for layer in document["totals"]["layers"]]
    assert sum(clocks) + document["totals"]["results_behind_last_beat"] == timeline.run.total
    for layer in document["batches"][0]["layers"]:
        waited = sum(stall["clocks"] for stall in layer["stalls"])
        beats = document["layers"][layer["layer"]]["beats"]
        assert layer["last"] - layer["begin"] + 1 == beats + waited


def test_json_says_where_a_layer_waits() -> None:
    document = TIMELINES["small"].to_dict([1])
    (stall,) = [each for each in document["batches"][0]["layers"][1]["stalls"] if each["cause"] == "operand"]
    assert (stall["waits"], stall["first"]["group"], stall["first"]["tap"]) == (1, 0, (0, 0))


def slices(trace: dict[str, Any]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Return the slices of a trace by the names of their process and track."""
    names: dict[Any, str] = {}
    for event in trace["traceEvents"]:
        if event["ph"] == "M":
            key = event["pid"] if event["name"] == "process_name" else (event["pid"], event["tid"])
            names[key] = event["args"]["name"]
    found = defaultdict(list)
    for event in trace["traceEvents"]:
        if event["ph"] == "X":
            found[names[event["pid"]], names[event["pid"], event["tid"]]].append(event)
    return found


def test_trace_has_well_formed_events_that_nest(timeline: Timeline) -> None:
    trace = json.loads(json.dumps(chrome_trace(timeline, range(timeline.batches))))
    assert trace["displayTimeUnit"] == "ms"
    for event in trace["traceEvents"]:
        assert {"name", "ph", "ts", "pid", "tid", "args"} <= set(event)
        assert event["ph"] == "M" or (event["ph"] == "X" and event["dur"] > 0 and event["ts"] >= 0)
    for events in slices(trace).values():
        around: list[int] = []  # ends of the slices that are open
        for event in sorted(events, key=lambda event: (event["ts"], -event["dur"])):
            while around and around[-1] <= event["ts"]:
                around.pop()
            end = event["ts"] + event["dur"]
            assert not around or end <= around[-1]
            around.append(end)


def test_trace_accounts_for_every_clock(timeline: Timeline) -> None:
    tracks = slices(chrome_trace(timeline, range(timeline.batches)))
    engine = tracks["run", "engine"]
    layers = [event for event in engine if "loops" in event["args"]]
    assert len(layers) == timeline.batches * len(timeline.names)
    assert sum(event["dur"] for event in layers) + timeline.tail == timeline.run.total
    batches = [event for event in engine if "batch" in event["args"]]
    assert sum(event["dur"] for event in batches) + timeline.tail == timeline.run.total
    for layer in layers:
        waited = sum(clocks for name, clocks in layer["args"].items() if name.startswith("stalled"))
        assert layer["dur"] == layer["args"]["beats"] + waited
    # Turns of a loop fill the layer around them.
    inner = [event for event in engine if "loops" not in event["args"] and "batch" not in event["args"]]
    assert inner
    by_beats: dict[tuple[int, int, int], int] = defaultdict(int)
    for event in inner:
        around = [layer for layer in layers if layer["ts"] <= event["ts"] < layer["ts"] + layer["dur"]]
        by_beats[around[0]["ts"], around[0]["dur"], event["args"]["beats"]] += event["dur"]
    assert all(duration == total for (_, duration, _), total in by_beats.items())
    waits = sum(event["dur"] for event in tracks["run", "stalls"])
    assert waits == timeline.stalls.sum()
    assert (
        len(tracks["run", "image stream"]) == len(tracks["run", "result stream"]) == len(timeline.run.images)
    )


def test_trace_shows_drains_and_words_where_they_are() -> None:
    timeline = TIMELINES["lanes, stalls"]
    tracks = slices(chrome_trace(timeline, range(timeline.batches)))
    words = sorted(event["ts"] + 1 for event in tracks["run", "words written"])
    assert words == sorted(timeline.run.written(0).reshape(-1).tolist())
    groups = sum(loops.turns("group") for loops in timeline.loops)
    assert len(tracks["run", "drain"]) == groups * timeline.batches
    logits = [event["dur"] for event in tracks["run", "drain"] if event["name"] == timeline.names[-1]]
    assert logits[:2] == [8 * 3, 2 * 3]  # 10 neurons on 8 banks, 3 images


@pytest.mark.parametrize("name", ["nin", "cnv"])
def test_trace_of_a_large_network_stays_small(name: str) -> None:
    timeline = Timeline.of_job(
        job(*fitted(name, Geometry(memory=MemoryOptions.parse(["activation_generators=1"]))), 2)
    )
    tracks = slices(chrome_trace(timeline, [1]))
    assert all(len(events) <= MOST_SLICES + len(timeline.names) + 1 for events in tracks.values())
    assert (
        sum(event["dur"] for event in tracks["run", "engine"] if "loops" in event["args"])
        == timeline.batch(1).engine.clocks
    )


def test_trace_begins_with_programming() -> None:
    geometry = Geometry.from_preset("5x24")
    geometry = replace(geometry, memory=MemoryOptions.parse(["ageing"]))
    asked = job(SMALL, geometry, 2)
    asked = replace(asked, passes=(Pass("age", operating_point(0.01), 0, 3),))
    machine = MachineModel(asked)
    outcome = machine.run()
    timeline = Timeline(SMALL, machine.placement, outcome.run, outcome.steps)
    trace = chrome_trace(timeline, [0])
    events = slices(trace)["programming", "programming controller"]
    assert [event["name"] for event in events] == ["program", "layer0", "layer0", "layer1", "age"]
    array = MramArray(geometry, asked.seed)
    packets = program_rows(SMALL, machine.placement, geometry)
    logs = [array.program(packet, asked.point) for packet in packets]
    assert [event["dur"] for event in events[1:4]] == [
        predict_program_clocks(log, asked.point, geometry) for log in logs
    ]
    assert events[0]["dur"] == sum(event["dur"] for event in events[1:4])
    assert events[4]["ts"] == events[0]["dur"]
    assert events[0]["dur"] + events[4]["dur"] == outcome.program_clocks == trace["otherData"]["run_begins"]
    first = slices(trace)["run", "image stream"][0]
    assert first["ts"] == outcome.program_clocks + first["args"]["first_clock"] - 1


def printed(timeline: Timeline) -> list[str]:
    console = Console(file=io.StringIO(), width=80)
    console.print(Group(*timeline_text(timeline)), crop=False)
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_text_of_a_small_run() -> None:
    timeline = TIMELINES["small"]
    lines = printed(timeline)
    assert lines[:4] == [
        "Loops",
        "  layer   beats  loops",
        "  layer0     48  3 groups x 2 words x 8 steps",
        "  layer1      2  2 groups",
    ]
    busy = timeline.sums(4)
    first = lines.index(next(line for line in lines if line.startswith("Batch 4, a busy machine: clocks ")))
    assert lines[first + 1].split() == ["layer", "clocks", "share", "beats", *timeline.causes]
    expected = [busy[0].clocks, 48, *(busy[0].stalls[cause] for cause in timeline.causes)]
    cells = lines[first + 2].split()
    assert [int(cell) for cell in (cells[1], *cells[3:])] == expected
    assert lines[first + 4].split()[:2] == ["all", str(sum(of.clocks for of in busy))]
    assert "  layer1, operand  at group 0" in lines
    assert "  operand: words of the layer before are not written yet" in lines
    run = lines[lines.index(f"The run: {timeline.run.total} clocks") :]
    assert run[5].split()[:3] == ["all", str(timeline.run.total), "100.0%"]
    assert run[4].split()[:3] == ["last", "results", str(timeline.tail)]


def test_text_is_no_wider_than_a_terminal_for_any_example(timeline: Timeline) -> None:
    assert max(len(line) for line in printed(timeline)) <= 80


def test_one_batch_is_told_once() -> None:
    timeline = Timeline.of_job(job(SMALL, Geometry.from_preset("5x24"), 1))
    assert len([line for line in printed(timeline) if line.startswith("Batch ")]) == 1


def test_chart_draws_spans_in_proportion(timeline: Timeline) -> None:
    chart = ElementTree.fromstring(timeline_chart(timeline))
    titles = [(mark, mark[0].text or "") for mark in chart.iter("rect") if len(mark)]
    end = timeline.batch(min(timeline.batches, 3) - 1).results.last
    layer = timeline.batch(0).layers[0]
    (bar,) = [mark for mark, title in titles if title.startswith(f"batch 0, {timeline.names[0]}: ")]
    width, (results,) = (
        float(bar.attrib["width"]),
        [m for m, title in titles if title.startswith("results of batch 0")],
    )
    assert width == pytest.approx((480 - 76 - 10) * layer.clocks / end, abs=0.01)
    assert float(bar.attrib["x"]) == 76
    span = timeline.batch(0).results
    shift = float(results.attrib["x"]) - float(bar.attrib["x"])
    assert shift == pytest.approx((480 - 76 - 10) * (span.first - layer.begin) / end, abs=0.02)
    legend = [text.text or "" for text in chart.iter("text") if text.attrib["class"] == "legend"]
    shown = timeline.stalls[:3].sum(axis=(0, 1))
    assert [text.partition(":")[0] for text in legend[2:]] == [
        c for c, clocks in zip(STALLS, shown, strict=True) if clocks
    ]
    height = float(chart.attrib["viewBox"].split()[3])
    assert max(float(text.attrib["y"]) for text in chart.iter("text")) <= height


def test_chart_colours_as_much_as_is_stalled() -> None:
    timeline = TIMELINES["small"]
    chart = ElementTree.fromstring(timeline_chart(timeline))
    area = sum(
        float(mark.attrib["width"]) * float(mark.attrib["height"])
        for mark in chart.iter("rect")
        if mark.attrib["class"].startswith("stall-") and mark.attrib["height"] != "11"
    )
    clock = (480 - 76 - 10) / timeline.batch(2).results.last * 15  # one clock at the bar's whole height
    assert area / clock == pytest.approx(timeline.stalls[:3].sum(), rel=0.03)


@pytest.mark.parametrize(
    ("text", "expected"), [("0", [0]), ("0-3", [0, 1, 2, 3]), ("5,0-1,1", [0, 1, 5]), ("7-7", [7])]
)
def test_batches_are_parsed(text: str, expected: list[int]) -> None:
    assert parse_batches(text, "--batches", 8) == expected


@pytest.mark.parametrize("text", ["", "a", "0-", "-1", "0,,1", "0 1", "1.5"])
def test_batches_of_another_form_are_refused(text: str) -> None:
    with pytest.raises(DataError, match="--batches must be numbers of batches like 0-3,100, not"):
        parse_batches(text, "--batches", 8)


def test_batches_that_are_not_there_are_refused() -> None:
    with pytest.raises(DataError, match="--batches must name batches of the run, 0 to 7, not 3-8"):
        parse_batches("0,3-8", "--batches", 8)
    with pytest.raises(DataError, match="--batches must name a batch, but 3-1 is empty"):
        parse_batches("3-1", "--batches", 8)
