"""Where co-simulations are built; kept from run to run, and shared by all tests and by the command line."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def build_dir() -> Path:
    """Return the folder that the simulators' builds share."""
    return ROOT / "build" / "sim"
