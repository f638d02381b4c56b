"""What all tests share: the simulators they run on, and the browser.

``SPINBNN_SIMULATORS`` names them, separated by blanks. Unset, it is both; tests of a missing one then fail.
``SPINBNN_BROWSER`` names the program of a Chromium; unset, it is looked for, and "none" leaves its tests out.
What is left out is deselected, and the header says so: nothing is skipped silently.
"""

import os

import pytest

# NumPy reads it when it is imported. The matrices here are small, and tests run beside each other: threads of
# one product only wait for those of another.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("SPINBNN_THREADS", "1")  # the same of our kernels

SIMULATORS = ("verilator", "icarus")
WANTED = tuple(os.environ.get("SPINBNN_SIMULATORS", " ".join(SIMULATORS)).split())
BROWSER_WANTED = os.environ.get("SPINBNN_BROWSER") != "none"


def pytest_configure() -> None:
    if not WANTED or not set(WANTED) <= set(SIMULATORS):
        raise pytest.UsageError(f"SPINBNN_SIMULATORS must name some of {SIMULATORS}, not {WANTED}")


def pytest_report_header() -> str:
    left_out = [name for name in SIMULATORS if name not in WANTED]
    left_out += [] if BROWSER_WANTED else ["browser"]
    return f"simulators: {' '.join(WANTED)}" + "".join(f"; {name} TESTS ARE LEFT OUT" for name in left_out)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    def runs(item: pytest.Item) -> bool:
        if item.get_closest_marker("browser") and not BROWSER_WANTED:
            return False
        return all(name in WANTED for name in SIMULATORS if item.get_closest_marker(name))

    left_out = [item for item in items if not runs(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if runs(item)]
