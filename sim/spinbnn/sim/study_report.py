"""The report of studies: results files as one self-contained HTML page."""

from __future__ import annotations

import importlib.metadata
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from spinbnn.golden.errors import SweepError
from spinbnn.sim.studies.registry import load_study
from spinbnn.sim.studies.study import AGREEMENT, Findings, Study, Table
from spinbnn.sim.study_pictures import caption, draw
from spinbnn.sim.sweep import results_file
from spinbnn.sim.sweep.results_file import Results

_AGREEMENT_CLASS: Mapping[bool | None, str] = {True: "good", False: "bad", None: "untold"}
_NUMBER = re.compile(r"[<>≤≥≈~±+−-]?\s?\d[\d.,]*(e[+−-]?\d+)?(?=$|[\s%(±×\u2013])|[\u2013-]?$")
_CODE = re.compile(r"`([^`]+)`")
_MOST_SEEDS = 12


@dataclass(frozen=True)
class StudyReport:
    """A results file and what it says.

    Attributes
    ----------
    study : Study
    findings : Findings
    results : Results
    anchor : str
        Its name within a page.
    """

    study: Study
    findings: Findings
    results: Results
    anchor: str

    @property
    def title(self) -> str:
        """The study's title, and whether it was run quickly."""
        return f"{self.study.title}{' (quick)' if self.results.quick else ''}"

    @property
    def tally(self) -> str:
        """How many claims agree, such as "2 yes, 1 cannot tell"."""
        counts = Counter(verdict.agrees for verdict in self.findings.verdicts)
        return ", ".join(f"{counts[answer]} {word}" for answer, word in AGREEMENT.items() if counts[answer])

    @property
    def about(self) -> list[tuple[str, str]]:
        """How it was measured: command, extent, seeds, hashes of the data, versions and time."""
        results = self.results
        shown = [
            ("command", results.about["command"]),
            ("extent", "quick: fewer points, seeds and epochs" if results.quick else "full"),
            ("settings", f"{len(results.settings):,}, which gave {len(results.rows):,} rows"),
            *_seeds(results),
            *((f"{name}, SHA-256", _hashes(parts)) for name, parts in results.data.items()),
        ]
        told = {"study", "title", "command", "quick", "data"}
        shown += [(key, value) for key, value in results.about.items() if key not in told]
        if results.seconds is not None and results.wall_seconds is not None:
            took = f"{_time(results.wall_seconds)}; {_time(results.seconds)} in all processes together"
            shown.append(("time", took))
        return shown


def load(paths: Sequence[Path]) -> list[StudyReport]:
    """Read results files, in the order given.

    Raises
    ------
    SweepError
        If one is no results file, is unfinished, is of a study that is not here, or does not have the rows
        that this version of the study reads.
    """
    reports: list[StudyReport] = []
    for path in paths:
        results = results_file.read(path)
        try:
            study = load_study(results.study)
            findings = study.findings(results.rows)
        except SweepError as error:
            raise SweepError(f"{path}: {error}") from error
        except KeyError as error:
            raise SweepError(
                f"{path} must have {error}, as this version of {study.name} gives it: run the study again"
            ) from error
        earlier = sum(report.study.name == study.name for report in reports)
        anchor = f"{study.name}-{earlier + 1}" if earlier else study.name
        reports.append(StudyReport(study, findings, results, anchor))
    return reports


def numeric_columns(table: Table) -> list[bool]:
    """Return for each column of a table whether all its cells are numbers, with unit or interval or not."""
    return [
        all(_NUMBER.match(cell.strip()) for cell in cells) for cells in zip(*table.rows, strict=True)
    ] or [False] * len(table.columns)


def to_html(reports: Sequence[StudyReport], command: str) -> str:
    """Return studies as one HTML page that needs no other file.

    Parameters
    ----------
    reports : sequence of StudyReport
        At least one.
    command : str
        The command that makes the page again.
    """
    environment = Environment(
        loader=PackageLoader("spinbnn.sim"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["prose"] = _prose
    return environment.get_template("study.html").render(
        reports=reports,
        agreement=AGREEMENT,
        agreement_class=_AGREEMENT_CLASS,
        numeric=numeric_columns,
        draw=draw,
        caption=caption,
        command=command,
        version=importlib.metadata.version("spinbnn"),
    )


def _seeds(results: Results) -> Iterator[tuple[str, str]]:
    """Yield the seeds of the settings, under each name that ends so."""
    names = dict.fromkeys(name for setting in results.settings for name in setting if name.endswith("seed"))
    for name in names:
        found = {setting.get(name) for setting in results.settings}
        values = sorted(value for value in found if isinstance(value, int))
        if len(values) > _MOST_SEEDS:
            yield name, f"{len(values):,} from {values[0]} to {values[-1]}"
        elif values:
            yield name, ", ".join(map(str, values))


def _prose(text: str) -> Markup:
    """Return text with `names of code` as such."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))


def _hashes(parts: Mapping[str, str]) -> str:
    return "; ".join(f"{part} {digest}" for part, digest in parts.items())


def _time(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
