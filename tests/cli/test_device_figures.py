"""The figures of docs/mram.md are those that the models give."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_figures_are_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("device_figures", ROOT / "tools" / "device_figures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = (ROOT / "docs" / "mram.md").read_text("utf-8")
    for name, drawing in module.figures():
        assert f"(images/{name})" in text, name
        kept = (ROOT / "docs" / "images" / name).read_text("utf-8")
        number = r"-?\d+\.?\d*"
        assert re.sub(number, "", drawing) == re.sub(number, "", kept), f"{name}: run tools/device_figures.py"
        drawn, shown = ([float(n) for n in re.findall(number, svg)] for svg in (drawing, kept))
        assert drawn == pytest.approx(shown, abs=0.11), f"{name}: run tools/device_figures.py"
