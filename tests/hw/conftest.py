"""Machines to generate, and their Verilog, emitted once for all tests."""

from collections.abc import Callable
from functools import cache

import pytest

from spinbnn.golden.geometry import Geometry
from spinbnn.hw.verilog import emit_verilog

Emitted = Callable[..., str]


@cache
def _emit(geometry: Geometry, injector: bool) -> str:
    return emit_verilog(geometry, injector=injector)


@pytest.fixture(scope="session")
def emitted() -> Emitted:
    """Return a function that gives the Verilog of a geometry, with injector or without."""

    def emitted(geometry: Geometry, *, injector: bool = True) -> str:
        return _emit(geometry, injector)

    return emitted
