"""Run the benchmarks: one table, and the same as JSON in build/bench.json."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench import array, forward, harness, kernels, luts, monte_carlo, programming, training
from bench.machine import commit, machine
from bench.measurement import Benchmark, Measurement, NotMeasuredError

TOPICS = {
    "kernels": kernels,
    "forward": forward,
    "programming": programming,
    "monte_carlo": monte_carlo,
    "harness": harness,
    "array": array,
    "luts": luts,
    "training": training,
}


def table_of(results: list[Measurement], title: str) -> Table:
    table = Table(title=title)
    for column in ("benchmark", "subject", "", "baseline", "", "times faster", "target", "note"):
        numeric = column in ("", "times faster", "target")
        table.add_column(column, justify="right" if numeric else "left")
    for result in results:
        verdict = {None: "", True: "met", False: "missed"}[result.met]
        table.add_row(
            result.name,
            result.subject,
            f"{result.seconds * 1e3:,.1f} {result.unit}",
            result.baseline,
            f"{result.baseline_seconds * 1e3:,.1f} {result.unit}",
            f"{result.ratio:,.2f}",
            "" if result.target is None else f"{result.target:g}: {verdict}",
            result.note,
        )
    return table


def attempt(benchmark: Benchmark) -> Measurement | str:
    """Return a measurement, or why there is none."""
    try:
        return benchmark()
    except NotMeasuredError as error:
        return str(error)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help=f"of {', '.join(TOPICS)}; by default all")
    chosen = parser.parse_args().topics or list(TOPICS)
    unknown = [topic for topic in chosen if topic not in TOPICS]
    if unknown:
        parser.error(f"topic must be one of {', '.join(TOPICS)}, not {unknown[0]}")
    benchmarks = [benchmark for topic in chosen for benchmark in TOPICS[topic].BENCHMARKS]
    progress = Console(stderr=True)
    attempts = [attempt(benchmark) for benchmark in track(benchmarks, "benchmarks", console=progress)]
    results = [each for each in attempts if isinstance(each, Measurement)]
    missing = [each for each in attempts if isinstance(each, str)]
    console = Console()
    console.print(table_of(results, f"spinbnn at {commit()}, {machine()}"))
    for line in missing:
        console.print(f"not measured: {line}")
    path = Path("build/bench.json")
    path.parent.mkdir(exist_ok=True)
    rows = [asdict(result) | {"ratio": result.ratio, "met": result.met} for result in results]
    path.write_text(
        json.dumps(
            {"commit": commit(), "machine": machine(), "results": rows, "not_measured": missing}, indent=2
        )
        + "\n",
        encoding="utf-8",
    )
    console.print(f"{path}")


if __name__ == "__main__":
    main()
