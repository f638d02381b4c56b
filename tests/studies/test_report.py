"""The page of studies, and the document: from a results file that is made here."""

import importlib.util
import re
import shutil
import sqlite3
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner, Result

from spinbnn.sim.cli import app
from spinbnn.sim.studies import registry
from spinbnn.sim.studies.study import Findings, StudyOptions, Table
from spinbnn.sim.study_pictures import caption, describe, draw
from spinbnn.sim.study_report import load, numeric_columns, to_html
from tests.cli.conftest import Page
from tests.studies import made_up

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the study that is made up among the studies."""
    monkeypatch.setitem(registry.STUDIES, "made-up", "tests.studies.made_up")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_up.write_results(tmp_path_factory.mktemp("results") / "made-up.sqlite")


def report(*args: str | Path) -> Result:
    return CliRunner().invoke(app, ["report", *map(str, args)], prog_name="spinbnn")


def page_of(*paths: Path) -> str:
    return to_html(load(paths), "spinbnn report x.sqlite")


def test_the_command_writes_a_page_that_needs_no_other_file(results: Path, tmp_path: Path) -> None:
    output = tmp_path / "new" / "report.html"
    done = report(results, "-o", output)
    assert done.exit_code == 0, done.output
    assert re.sub(" {2,}", "  ", done.stdout).splitlines()[0].strip() == "made-up  1 yes, 1 no, 1 cannot tell"
    page = output.read_text("utf-8")
    assert f"<pre>spinbnn report {results} -o {output}</pre>" in page
    assert Page(page).references == []
    assert "url(" not in page
    assert "<script" not in page


def test_the_page_says_all_that_was_found(results: Path) -> None:
    texts = Page(page_of(results)).texts
    findings = made_up.findings(load([results])[0].results.rows)
    for text in (
        f"{made_up.STUDY.title} (quick)",
        made_up.STUDY.question,
        findings.summary,
        *(text for v in findings.verdicts for text in (v.claim, v.ours, v.why.strip())),
        *(cell for table in findings.tables for row in table.rows for cell in row),
        *(f"{picture.title}." for picture in findings.pictures),
        findings.notes[0],
    ):
        assert text in texts, text


def test_verdicts_are_words_beside_their_claims(results: Path) -> None:
    page = page_of(results)
    rows = re.findall(
        r'<th scope="row" role="rowheader">(.*?)</th>.*?"agrees (\w+)">(.*?)</span>', page, re.S
    )
    assert rows == [
        ("Accuracy holds at 1e-3 &amp; below.", "good", "yes"),
        ("It is &lt;b&gt;bold&lt;/b&gt;.", "bad", "no"),
        ("All else.", "untold", "cannot tell"),
    ]


def test_text_is_escaped_everywhere(results: Path) -> None:
    page = page_of(results)
    assert "<b>bold" not in page
    assert "<MLP>" not in page
    assert "<li>BER &lt; 1e-6 is not told from 0, see <code>a &lt; b</code>.</li>" in page
    assert page.count("mnist_1024 &lt;MLP&gt;") > len(made_up.RATES)


def test_how_it_was_measured_is_there(results: Path) -> None:
    (each,) = load([results])
    assert each.about == [
        ("command", "spinbnn study made-up --quick"),
        ("extent", "quick: fewer points, seeds and epochs"),
        ("settings", "33, which gave 33 rows"),
        ("seed", "1"),
        ("mnist, SHA-256", f"train {'0f' * 32}; test {'a1' * 32}"),
        ("commit", "c0ffee"),
        ("numpy", "2.1.0"),
        ("spinbnn", "0.1.0"),
    ]


def test_the_time_is_told_where_the_log_is_there(results: Path, tmp_path: Path) -> None:
    shutil.copy(results, tmp_path)
    (tmp_path / "made-up.log.jsonl").write_text(
        '{"event": "begin", "time": 1000.0}\n'
        '{"event": "setting", "time": 1090.0, "number": 0, "seconds": 88.0}\n'
        '{"event": "setting", "time": 4960.0, "number": 1, "seconds": 7200.0}\n'
        + "".join(
            f'{{"event": "setting", "time": 4960.0, "number": {number}, "seconds": 0.0}}\n'
            for number in range(2, 33)
        )
    )
    assert load([tmp_path / "made-up.sqlite"])[0].about[-1] == (
        "time",
        "1 h 6 min; 2 h 1 min in all processes together",
    )


def test_several_results_are_sections_with_a_table_of_contents(results: Path) -> None:
    page = page_of(results, results)
    assert re.findall(r'<section id="([^"]*)">', page) == ["made-up", "made-up-2"]
    assert Page(page).references == ["#made-up", "#made-up-2"]
    assert page.count("<h1>") == 1
    assert "<nav" not in page_of(results)


def test_tables_have_headers_with_a_scope_and_pictures_a_description(results: Path) -> None:
    page = page_of(results)
    assert set(re.findall(r"<th(?=[ >])([^>]*?)(?: class=\"text\")?>", page)) == {
        ' scope="col"',
        ' scope="row"',
        ' scope="row" role="rowheader"',
    }
    pictures = [ET.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", page)]
    assert len(pictures) == 3
    for picture in pictures:
        assert picture.get("role") == "img"
        assert picture.get("aria-label")
        assert picture.findtext("desc")


def test_numbers_are_at_the_right_and_words_at_the_left() -> None:
    cells = [
        "1,861,632",
        "0.01 (0.008 to 0.012)",
        "3e-3",
        "−0.2 points",
        "99.2 %",
        "-",
        "\u2013",
        "<1e-6",
        "2×",
    ]
    words = ["2T2R", "784-1024-10", "conv1", "1T1R", "bit", "-O2", "e3"]
    table = Table(
        "t",
        ["n", "w", "mixed"],
        [[n, w, n if n in "-" else w] for n, w in zip(cells, [*words, "x", "y"], strict=True)],
    )
    assert numeric_columns(table) == [True, False, False]
    for word in words:
        assert numeric_columns(Table("t", ["w"], [[word]])) == [False], word
    assert numeric_columns(Table("t", ["a", "b"], [])) == [False, False]


def test_a_logarithm_has_a_place_for_zero_where_a_curve_has_a_point_there() -> None:
    accuracy, front, _ = made_up.findings(rows()).pictures
    assert "break" in draw(accuracy)
    assert "break" not in draw(front)


def rows():
    options = StudyOptions(quick=True, data={}, folder=Path())
    return [row for point in made_up.settings(options) for row in made_up.measure(point, options)]


def test_pictures_are_told_in_words() -> None:
    accuracy, front, sensitivity = made_up.findings(rows()).pictures
    assert describe(accuracy) == (
        "accuracy, % against BER, per stored bit. Curves: mnist_1024 <MLP>; lenet4 & friends; cnv."
    )
    assert (caption(accuracy), caption(front)) == ("Bands are 95 % intervals.", "Bars are 95 % intervals.")
    assert caption(sensitivity) == (
        "4 by 64 cells, in percentage points. Least: 1.349e-06 (fc4, 12). Most: 6 (conv1, 11)."
    )


def test_bad_results_are_one_line(tmp_path: Path) -> None:
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE things (name TEXT)")
    database.close()
    (tmp_path / "text.sqlite").write_text("no database" * 100)
    made_up.write_results(tmp_path / "unfinished.sqlite", finished=False)
    made_up.write_results(tmp_path / "foreign.sqlite", study="of-others")
    made_up.write_results(tmp_path / "old.sqlite", column="correct")
    for name, words in (
        ("other", "must be a results file"),
        ("text", "cannot be used as a results file"),
        ("missing", "must be a results file"),
        ("unfinished", "is unfinished (1 of 33 settings)"),
        ("foreign", "not 'of-others'"),
        ("old", "must have 'right', as this version of made-up gives it"),
    ):
        path, output = tmp_path / f"{name}.sqlite", tmp_path / "report.html"
        done = report(path, "-o", output)
        assert done.exit_code == 2, name
        assert done.stderr.startswith("spinbnn: error: "), name
        assert len(done.stderr.splitlines()) == 1, name
        assert str(path) in done.stderr, name
        assert words in done.stderr, name
        assert not output.exists(), name


def test_a_page_that_cannot_be_written_is_said_before_anything_is_read(tmp_path: Path) -> None:
    done = report(tmp_path / "missing.sqlite", "-o", tmp_path)
    assert (done.exit_code, "cannot be written" in done.stderr) == (2, True)


def test_findings_may_have_nothing_but_a_summary(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (each,) = load([results])
    bare = replace(each, findings=Findings("Nothing."))
    page = to_html([bare], "spinbnn report x.sqlite")
    assert "Nothing." in Page(page).texts
    assert "Verdicts" not in page
    assert bare.tally == ""


# The document


@pytest.fixture(scope="module")
def documents() -> ModuleType:
    spec = importlib.util.spec_from_file_location("study_documents", ROOT / "tools" / "study_documents.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_document_is_what_the_shipped_results_give(documents: ModuleType) -> None:
    reports = documents.load_shipped()
    assert documents.document(reports) == (ROOT / "docs" / "studies.md").read_text("utf-8"), (
        "make studies-doc"
    )
    images = ROOT / "docs" / "images" / "studies"
    drawn = dict(documents.figures(reports))
    assert {path.name for path in images.glob("*")} == set(drawn), "make studies-doc"
    for name, drawing in drawn.items():
        assert drawing == (images / name).read_text("utf-8"), f"{name}: make studies-doc"


def test_the_document_has_verdicts_tables_figures_and_how_it_was_measured(
    documents: ModuleType, results: Path, tmp_path: Path
) -> None:
    (tmp_path / "results").mkdir()
    shutil.copy(results, tmp_path / "results")
    stale = tmp_path / "images" / "studies" / "made-up-9.svg"
    stale.parent.mkdir(parents=True)
    stale.write_text("<svg/>")
    documents.write(tmp_path)
    lines = (tmp_path / "studies.md").read_text("utf-8").splitlines()
    for line in (
        "| [A study that was made up (quick)](#made-up) | 1 yes, 1 no, 1 cannot tell |",
        "| It is &lt;b>bold&lt;/b>. | - | no | no | " + "The paper's networks are other ones. " * 6 + " |",
        "![Accuracy against energy](images/studies/made-up-2.svg)",
        "*Accuracy against energy.* Bars are 95 % intervals.",
        "| network | weights | BER | energy of programming | memory | from |",
        "|---|---:|---:|---:|---|---|",
        "| cnv | 1,542,848 | - | 1.838 µJ | 1T1R | convolutions |",
        "- BER &lt; 1e-6 is not told from 0, see `a < b`.",
        "spinbnn study made-up --quick",
        "| seed | 1 |",
    ):
        assert line in lines, line
    assert sorted(path.name for path in stale.parent.iterdir()) == [f"made-up-{n}.svg" for n in (1, 2, 3)]
    for path in stale.parent.iterdir():
        assert ET.fromstring(path.read_text("utf-8")).get("viewBox")


def test_the_document_says_nothing_of_studies_without_results(documents: ModuleType) -> None:
    assert documents.document([]).count("\n#") == 0


def test_marks_of_markdown_do_not_break_tables(documents: ModuleType) -> None:
    assert documents._row(["a|b", "*c*\nd"]) == "| a\\|b | \\*c\\* d |"
