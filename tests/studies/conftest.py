"""Where the studies' simulators are built; kept from run to run, and shared with the other co-simulations."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def build_dir() -> Path:
    """Return the folder whose "sim" holds the builds."""
    return ROOT / "build"
