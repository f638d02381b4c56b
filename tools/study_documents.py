"""Write docs/studies.md and its figures from the results in docs/results: ``make studies-doc``."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from markupsafe import Markup

from spinbnn.sim.report import write_whole
from spinbnn.sim.studies.registry import STUDIES
from spinbnn.sim.studies.study import AGREEMENT, Table
from spinbnn.sim.study_pictures import caption, draw
from spinbnn.sim.study_report import StudyReport, load, numeric_columns

DOCS = Path(__file__).parents[1] / "docs"

_PREFACE = """\
# Studies

Experiments of the literature on binarized networks in memory that errs, repeated with this project's golden
model, device physics and Verilog. All that follows is computed from the files in [results](results):
`make studies-doc` writes this page anew from them, and a test compares.

How to read it:

- An *error* is a stored bit that is wrong. A bit error rate (BER) is a share of all stored bits, unless the
  text says otherwise. A write that fails leaves a wrong bit only where the bit had to change, about half of
  random bits: the rate of failed writes is then about twice the BER.
- *Thresholds match the error rate.* At a BER of p every sum shrinks by 1 − 2p, on average. A network that was
  trained with errors has that in its batch normalisation; others get thresholds for the rate that they meet.
  Where thresholds do not match, the text says so.
- *Intervals* are 95 %: Wilson's of a share of images, Student's of a mean over seeds. They stand in
  parentheses behind a value, and are the bands and bars of figures.
- *Energies* are those of a macro, with its periphery, and not of the junctions alone. [The memory](mram.md)
  and [technology.py](../golden/spinbnn/golden/technology.py) give each number with its source. They are there
  to compare operating points with each other.
- *Agrees* says whether a paper's claim holds here, or that the measurement cannot tell; *why* names what
  differs from the paper's experiment.

`spinbnn study NAME` runs a study; `spinbnn report` shows its results as a page.
"""


def load_shipped(docs: Path = DOCS) -> list[StudyReport]:
    """Return the shipped results, in the studies' order."""
    reports = load(sorted((docs / "results").glob("*.sqlite")))
    order = list(STUDIES)
    return sorted(reports, key=lambda report: order.index(report.study.name))


def document(reports: Sequence[StudyReport]) -> str:
    """Return docs/studies.md."""
    overview = []
    if reports:
        overview = ["", "| study | its claims agree |", "|---|---|"]
        overview += [f"| [{_text(each.title)}](#{each.anchor}) | {each.tally} |" for each in reports]
    lines = [line for report in reports for line in _section(report)]
    return "\n".join([_PREFACE.rstrip("\n"), *overview, *lines]) + "\n"


def figures(reports: Sequence[StudyReport]) -> Iterator[tuple[str, Markup]]:
    """Yield the name and the drawing of each figure."""
    for report in reports:
        for number, picture in enumerate(report.findings.pictures, 1):
            yield _figure(report, number), draw(picture, file=True)


def write(docs: Path = DOCS) -> None:
    """Write the page and its figures; figures that are no longer there are deleted."""
    reports = load_shipped(docs)
    images = docs / "images" / "studies"
    drawn = dict(figures(reports))
    for name, drawing in drawn.items():
        write_whole(images / name, drawing)
    for path in images.glob("*.svg"):
        if path.name not in drawn:
            path.unlink()
    write_whole(docs / "studies.md", document(reports))


def _section(report: StudyReport) -> Iterator[str]:
    study, findings = report.study, report.findings
    yield from (
        "",
        f'<a id="{report.anchor}"></a>',
        "",
        f"## {_text(report.title)}",
        "",
        _text(study.question),
    )
    if study.paper:
        yield from ("", f"After {_text(study.paper)}")
    yield from ("", _text(findings.summary))
    if findings.verdicts:
        names = ("claim", "paper", "ours", "agrees", "why")
        rows = [(v.claim, v.paper or "-", v.ours, AGREEMENT[v.agrees], v.why) for v in findings.verdicts]
        yield from ("", *_table(names, rows, [False] * len(names)))
    for number, picture in enumerate(findings.pictures, 1):
        title = _text(picture.title)
        yield from ("", f"![{title}](images/studies/{_figure(report, number)})")
        yield from ("", f"*{title}.* {_text(caption(picture))}".rstrip())
    for table in findings.tables:
        yield from ("", f"### {_text(table.title)}", "", *_of_findings(table))
    if findings.notes:
        yield from ("", "### Notes", "", *(f"- {_text(note)}" for note in findings.notes))
    yield from ("", "### How it was measured", "", "```sh", report.results.about["command"], "```", "")
    yield from _table(("", ""), [each for each in report.about if each[0] != "command"], [False, False])


def _of_findings(table: Table) -> Iterator[str]:
    return _table(table.columns, table.rows, numeric_columns(table))


def _table(names: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool]) -> Iterator[str]:
    yield _row(names)
    yield "|" + "|".join("---:" if each and index else "---" for index, each in enumerate(right)) + "|"
    yield from map(_row, rows)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(_text, cells)) + " |"


def _text(text: str) -> str:
    """Return text in which Markdown sees no marks of its own."""
    text = text.replace("\n", " ").replace("|", "\\|")
    pieces = text.split("`")  # every other one is code, in which only | is a mark
    for mark, instead in (("&", "&amp;"), ("<", "&lt;"), ("*", "\\*")):
        pieces[::2] = [piece.replace(mark, instead) for piece in pieces[::2]]
    return "`".join(pieces)


def _figure(report: StudyReport, number: int) -> str:
    return f"{report.anchor}-{number}.svg"


if __name__ == "__main__":
    write()
