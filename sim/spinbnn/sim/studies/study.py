"""What a study is: settings, what is measured at each, and what the measurements say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from spinbnn.golden.errors import DataError
from spinbnn.sim.line_chart import Axis, Curve, Limit

Scalar = int | float | str | bool | None
"""What a cell of a results file holds."""

Setting = Mapping[str, Scalar]
"""A point of a sweep: all that decides what is measured there, its seed (an int named "seed") included."""

Row = Mapping[str, Scalar]
"""A measurement. A setting gives one or more; all rows of a study have the same names."""


@dataclass(frozen=True)
class StudyOptions:
    """What a study is run with.

    Attributes
    ----------
    quick : bool
        Minutes instead of hours: fewer points, seeds and epochs; the verdict still means something.
    data : mapping of str to Path
        Directories of images by data set: "mnist", "fashion-mnist", "cifar10", "digits". Those not given are
        not there; a study uses what is shipped instead, or leaves that part out and says so in its findings.
    folder : Path
        Where networks that were trained for studies, and their checkpoints, are kept and found again.
    """

    quick: bool
    data: Mapping[str, Path]
    folder: Path

    def directory(self, name: str) -> Path:
        """Return the directory of a data set.

        Raises
        ------
        DataError
            If it was not given.
        """
        if name not in self.data:
            raise DataError(f"this needs the images of {name}: give their directory with --data {name}=DIR")
        return self.data[name]


@dataclass(frozen=True)
class Verdict:
    """A claim of a paper, beside what was measured.

    Attributes
    ----------
    claim : str
        In a sentence.
    paper : str
        The paper's number, or "" where it has none.
    ours : str
        The measured number with its 95 % interval.
    agrees : bool or None
        None where the measurement cannot tell.
    why : str
        Why it agrees or does not, and what differs between the paper's experiment and this one.
    """

    claim: str
    paper: str
    ours: str
    agrees: bool | None
    why: str


AGREEMENT: Mapping[bool | None, str] = {True: "yes", False: "no", None: "cannot tell"}
"""Words for `Verdict.agrees`."""


@dataclass(frozen=True)
class Table:
    """A table of a report. Cells are text; the report puts numbers to the right."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Band:
    """An interval along a curve.

    Attributes
    ----------
    curve : int
        Index of the curve.
    points : sequence of (x, low, high)
    """

    curve: int
    points: Sequence[tuple[float, float, float]]


@dataclass(frozen=True)
class Chart:
    """A picture: curves with intervals over one x axis and one y axis."""

    title: str
    x: Axis
    y: Axis
    curves: Sequence[Curve]
    bands: Sequence[Band] = ()
    limits: Sequence[Limit] = ()


@dataclass(frozen=True)
class HeatMap:
    """A picture: a number for each of a grid of cells, such as every bank of every layer.

    Attributes
    ----------
    title, unit : str
    rows, columns : sequence of str
        Names of the rows and columns.
    values : sequence of sequence of float
        By row, then column; nan where there is nothing.
    """

    title: str
    unit: str
    rows: Sequence[str]
    columns: Sequence[str]
    values: Sequence[Sequence[float]]


@dataclass(frozen=True)
class Findings:
    """What the measurements of a study say.

    Attributes
    ----------
    summary : str
        Two or three sentences.
    verdicts : sequence of Verdict
    tables : sequence of Table
    pictures : sequence of Chart or HeatMap
    notes : sequence of str
        What was left out or must be known to read the numbers.
    """

    summary: str
    verdicts: Sequence[Verdict] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Chart | HeatMap] = field(default=())
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Study:
    """A study.

    Attributes
    ----------
    name : str
        As the command line has it.
    title : str
    question : str
        What it asks, in a sentence.
    paper : str
        The work it repeats, with its identifier; "" where there is none.
    settings : callable
        Gives the settings of the sweep, in the order of the results. Reads no images.
    measure : callable
        Measures at one setting. A function of a module, so that other processes find it; it depends on
        nothing but its arguments and the images, so that every run gives the same rows.
    findings : callable
        Reads the rows of all settings.
    needs_torch : bool
        Whether networks are trained.
    """

    name: str
    title: str
    question: str
    paper: str
    settings: Callable[[StudyOptions], Sequence[Setting]]
    measure: Callable[[Setting, StudyOptions], Sequence[Row]]
    findings: Callable[[Sequence[Row]], Findings]
    needs_torch: bool = False
