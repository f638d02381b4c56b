"""A study made up for the tests of the report: rows by formulas, in a results file."""

import math
from collections.abc import Sequence
from pathlib import Path

from spinbnn.sim.line_chart import Axis, Curve, Limit
from spinbnn.sim.studies.statistics import proportion
from spinbnn.sim.studies.study import (
    Band,
    Chart,
    Findings,
    HeatMap,
    Row,
    Setting,
    Study,
    StudyOptions,
    Table,
    Verdict,
)
from spinbnn.sim.sweep.results_file import Store, canonical

RATES = (0.0, 1e-6, 1e-5, 1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.2, 0.3)
NETWORKS = {"mnist_1024 <MLP>": (0.99, 0.13), "lenet4 & friends": (0.992, 0.05), "cnv": (0.91, 0.02)}
IMAGES, CLASSES = 500, 10


def settings(options: StudyOptions) -> list[Setting]:
    return [
        {"network": network, "ber": rate, "seed": 1, "training_seed": None}
        for network in NETWORKS
        for rate in RATES
    ]


def measure(setting: Setting, options: StudyOptions) -> list[Row]:
    ideal, knee = NETWORKS[str(setting["network"])]
    ber = float(setting["ber"] or 0)
    accuracy = 1 / CLASSES + (ideal - 1 / CLASSES) / (1 + (ber / knee) ** 2)
    return [{**setting, "right": round(IMAGES * accuracy), "of": IMAGES}]


def findings(rows: Sequence[Row]) -> Findings:
    curves, bands = [], []
    for index, network in enumerate(NETWORKS):
        intervals = []
        for rate in RATES:
            (row,) = [row for row in rows if row["network"] == network and row["ber"] == rate]
            intervals.append((rate, proportion(int(row["right"] or 0), int(row["of"] or 0))))
        curves.append(Curve(network, [(rate, 100 * each.value) for rate, each in intervals]))
        bands.append(Band(index, [(rate, 100 * each.low, 100 * each.high) for rate, each in intervals]))
    accuracy = Chart(
        "Accuracy against bit error rate",
        Axis("BER, per stored bit", 1e-6, 0.3, log=True),
        Axis("accuracy, %", 0, 100),
        curves,
        bands,
        [Limit("1 %", 1e-2)],
    )
    return Findings(
        "Three networks that do not exist keep their accuracy up to an error rate of about 1 %, as the "
        "formula has it. More than that is not to be learned here.",
        [
            Verdict(
                "Accuracy holds at 1e-3 & below.", "98.9 %", "99.0 % (98.3 to 99.4)", True, "It is built so."
            ),
            Verdict("It is <b>bold</b>.", "", "no", False, "The paper's networks are other ones. " * 6),
            Verdict("All else.", "2×", "-", None, "Nothing was measured that would tell."),
        ],
        [
            Table(
                "Largest BER with at most 1 % less accuracy",
                ["network", "weights", "BER", "energy of programming", "memory", "from"],
                [
                    [
                        "mnist_1024",
                        "1,861,632",
                        "0.01 (0.008 to 0.012)",
                        "2.218 µJ",
                        "2T2R",
                        "784-1024-1024-10",
                    ],
                    ["lenet4", "430,500", "3e-3 (2e-3 to 4e-3)", "513.0 nJ", "1T1R", "convolutions"],
                    ["cnv", "1,542,848", "-", "1.838 µJ", "1T1R", "convolutions"],
                ],
            )
        ],
        [accuracy, front(), sensitivity()],
        ["CIFAR-10 is left out: its images are not here.", "BER < 1e-6 is not told from 0, see `a < b`."],
    )


def front() -> Chart:
    points = [(12.0 * (1 + ber / 0.01) ** -0.3, 98.5 / (1 + (ber / 0.1) ** 2)) for ber in RATES[1:]]
    return Chart(
        "Accuracy against energy",
        Axis("energy of programming, macro, µJ", 2, 15, log=True),
        Axis("accuracy, %", 0, 100),
        [Curve("Pareto front", points, dashed=True), Curve("operating points", points, dots=True, colour=1)],
        [Band(1, [(energy, accuracy - 2, min(100.0, accuracy + 2)) for energy, accuracy in points])],
    )


def sensitivity() -> HeatMap:
    layers, banks = 4, 64
    values = [
        [3.0 / (1 + layer) * (1 + math.sin(bank / 7 + layer)) for bank in range(banks)]
        for layer in range(layers)
    ]
    values[2][5] = math.nan
    names = ["conv1", "conv2", "a fully connected layer with a long name", "fc4"]
    return HeatMap(
        "Accuracy lost by layer and bank", "percentage points", names, [str(b) for b in range(banks)], values
    )


STUDY = Study(
    name="made-up",
    title="A study that was made up",
    question="Is what a formula says drawn, written & escaped?",
    paper="N. Obody, “On nothing”, 2020, doi:10.0000/0",
    settings=settings,
    measure=measure,
    findings=findings,
)


def write_results(
    path: Path, *, study: str = "made-up", finished: bool = True, column: str = "right"
) -> Path:
    """Write the results file, whole or with its first setting only."""
    options = StudyOptions(quick=True, data={}, folder=path.parent)
    points = settings(options)
    about = {
        "study": study,
        "title": STUDY.title,
        "command": f"spinbnn study {study} --quick",
        "quick": "true",
        "data": '{"mnist": {"train": "' + "0f" * 32 + '", "test": "' + "a1" * 32 + '"}}',
        "spinbnn": "0.1.0",
        "numpy": "2.1.0",
    }
    Store.create(path, about, [canonical(point) for point in points])
    with Store.opened(path) as store:
        for number, point in enumerate(points if finished else points[:1]):
            (row,) = measure(point, options)
            store.add(number, [{column if name == "right" else name: row[name] for name in row}], "c0ffee")
        if finished:
            store.complete()
    return path
