"""Break the hardware on purpose, fault by fault: the regression's checks must notice each.

The exit code is 0 only if the hardware as it is matches golden, and every mutant is killed.
"""

import argparse
import shutil
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count

from tests.mutants.faults import FAULTS, Fault
from tests.mutants.mutant import Verdict, examine


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    options = _options(arguments)
    faults = [fault for fault in FAULTS if not options.only or fault.name in options.only]
    if options.list:
        for fault in faults:
            print(f"{fault.name:22} {fault.file:20} {fault.what}")
        return 0
    started = time.monotonic()
    print(f"{'fault':22} {'seconds':>7}  killed by")
    unmutated = examine(None, options.simulator)
    print(_line("none", unmutated, "nothing, as it must be"), flush=True)
    if unmutated.difference is not None or unmutated.problem is not None:
        print("The hardware fails as it is: no mutant says anything.")
        return 1
    verdicts = list(_examine_all(faults, options.simulator, options.jobs))
    killed = sum(verdict.difference is not None for verdict in verdicts)
    print(f"{killed} of {len(faults)} mutants killed in {time.monotonic() - started:.0f} s")
    return 0 if killed == len(faults) else 1


def _options(arguments: list[str] | None) -> argparse.Namespace:
    names = [fault.name for fault in FAULTS]
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--list", action="store_true", help="list the faults, and run nothing")
    parser.add_argument(
        "--only", action="append", choices=names, metavar="NAME", help="this fault; may repeat"
    )
    parser.add_argument(
        "-j", "--jobs", type=int, default=cpu_count() or 1, help="mutants at a time (%(default)s)"
    )
    parser.add_argument(
        "--simulator",
        choices=("icarus", "verilator"),
        default="icarus" if shutil.which("iverilog") else "verilator",
        help="the default is Icarus where it is: it builds ten times as fast",
    )
    return parser.parse_args(arguments)


def _examine_all(faults: list[Fault], simulator: str, jobs: int) -> Iterator[Verdict]:
    """Examine mutants, several at a time, and print a line for each in the order of the table."""
    with ThreadPoolExecutor(jobs) as pool:
        verdicts = pool.map(lambda fault: examine(fault, simulator), faults)
        for fault, verdict in zip(faults, verdicts, strict=True):
            print(_line(fault.name, verdict, f"SURVIVES: {fault.what}"), flush=True)
            yield verdict


def _line(name: str, verdict: Verdict, survival: str) -> str:
    found = f"BROKEN: {verdict.problem}" if verdict.problem else verdict.difference or survival
    return f"{name:22} {verdict.seconds:7.1f}  {found}"


if __name__ == "__main__":
    sys.exit(main())
