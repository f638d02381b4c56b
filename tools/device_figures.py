"""Draw the figures of docs/mram.md: ``python tools/device_figures.py``."""

from collections.abc import Iterator
from pathlib import Path

from markupsafe import Markup

from spinbnn.golden.device.mtj import write_pulse
from spinbnn.golden.device.rram import RramTechnology
from spinbnn.golden.device.technology import MtjTechnology, load_technology
from spinbnn.sim import device_charts

IMAGES = Path(__file__).parents[1] / "docs" / "images"


def figures() -> Iterator[tuple[str, Markup]]:
    """Yield the name and the drawing of each figure."""
    junction, memory = load_technology("tzoufras2019"), load_technology("hfo2_rram")
    assert isinstance(junction, MtjTechnology)
    assert isinstance(memory, RramTechnology)
    pulse = write_pulse(junction)
    for name, draw in (
        ("write_voltage", device_charts.error_rate_against_voltage),
        ("write_time", device_charts.error_rate_against_time),
        ("closed_form", device_charts.closed_form_and_fokker_planck),
        ("energy", device_charts.energy_against_error_rate),
        ("endurance", device_charts.endurance_against_voltage),
    ):
        yield f"mram_{name}.svg", draw(junction, pulse, file=True)
    yield "mram_retention.svg", device_charts.retention_against_stability(file=True)
    yield "mram_read_disturb.svg", device_charts.disturb_against_voltage(junction, file=True)
    yield "mram_rram.svg", device_charts.rram_error_rate_against_energy(memory, file=True)


if __name__ == "__main__":
    for file_name, drawing in figures():
        (IMAGES / file_name).write_text(drawing, encoding="utf-8")
