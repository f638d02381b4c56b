"""What a study found, for a terminal and for machines."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.text import Text

from spinbnn.sim import show
from spinbnn.sim.studies.study import AGREEMENT, Findings, Study, Verdict
from spinbnn.sim.sweep.results_file import Results


def to_text(study: Study, results: Results, findings: Findings) -> RenderableType:
    """Return what a study found: summary, claims beside what was measured, and tables."""
    claims = [part for verdict in findings.verdicts for part in _claim(verdict)]
    tables = [
        part
        for table in findings.tables
        for part in (
            show.heading(table.title),
            show.columns(
                [escape(name) for name in table.columns],
                [[escape(cell) for cell in row] for row in table.rows],
            ),
            Text(""),
        )
    ]
    return Group(
        Text(study.title, style="bold"),
        Text(study.question, style="dim"),
        Text(""),
        Text(findings.summary),
        Text(""),
        *claims,
        *tables,
        *(Text(f"note: {note}") for note in findings.notes),
        Text(_origin(results), style="dim"),
        Text(str(results.path), style="dim", no_wrap=True, overflow="ignore"),
    )


def to_dict(study: Study, results: Results, findings: Findings) -> dict[str, Any]:
    """Return the same as plain JSON types; the rows are in the results file."""
    return {
        "study": study.name,
        "results": str(results.path),
        "about": dict(results.about),
        "settings": len(results.settings),
        "rows": len(results.rows),
        "seconds": results.seconds,
        "wall_seconds": results.wall_seconds,
        "summary": findings.summary,
        "verdicts": [asdict(verdict) for verdict in findings.verdicts],
        "tables": [asdict(table) for table in findings.tables],
        "notes": list(findings.notes),
    }


def _claim(verdict: Verdict) -> list[RenderableType]:
    rows = [
        ("paper", verdict.paper or "no number"),
        ("here", verdict.ours),
        ("agrees", AGREEMENT[verdict.agrees]),
        ("why", verdict.why),
    ]
    return [
        Text(verdict.claim, style="bold cyan"),
        show.named([(name, escape(text)) for name, text in rows]),
        Text(""),
    ]


def _origin(results: Results) -> str:
    """Return where the numbers come from, in a line."""
    about = results.about
    parts = [f"{len(results.settings):,} settings, {len(results.rows):,} rows"]
    if results.seconds is not None and results.wall_seconds is not None:
        parts.append(f"{results.seconds:,.1f} s of work in {results.wall_seconds:,.1f} s")
    parts.append(
        ", ".join(f"{name} {about[name]}" for name in ("spinbnn", "numpy", "torch") if name in about)
    )
    if "commit" in about:
        parts.append(f"commit {about['commit']}")
    return "; ".join(parts)
