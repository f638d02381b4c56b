"""Run the benchmarks: one table, and the same as JSON in build/bench.json."""

import argparse
import json
import os
import platform
import subprocess
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench import array, forward, luts, programming
from bench.measurement import Measurement

TOPICS = {"forward": forward, "programming": programming, "luts": luts, "array": array}


def commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def processor() -> str:
    """Return the name of the processor, or of its architecture where the system does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


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


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help=f"of {', '.join(TOPICS)}; by default all")
    chosen = parser.parse_args().topics or list(TOPICS)
    unknown = [topic for topic in chosen if topic not in TOPICS]
    if unknown:
        parser.error(f"topic must be one of {', '.join(TOPICS)}, not {unknown[0]}")
    benchmarks = [benchmark for topic in chosen for benchmark in TOPICS[topic].BENCHMARKS]
    machine = f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    results = [benchmark() for benchmark in track(benchmarks, "benchmarks", console=Console(stderr=True))]
    console = Console()
    console.print(table_of(results, f"spinbnn at {commit()}, {machine}"))
    path = Path("build/bench.json")
    path.parent.mkdir(exist_ok=True)
    rows = [asdict(result) | {"ratio": result.ratio, "met": result.met} for result in results]
    path.write_text(
        json.dumps({"commit": commit(), "machine": machine, "results": rows}, indent=2) + "\n",
        encoding="utf-8",
    )
    console.print(f"{path}")


if __name__ == "__main__":
    main()
