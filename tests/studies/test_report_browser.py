"""The page of studies in a browser: it fits a telephone and a screen, and shows its pictures."""

from pathlib import Path

import pytest

from spinbnn.sim.studies import registry
from spinbnn.sim.study_report import load, to_html
from tests.studies import made_up
from tests.studies.browser import distinct_lines, look, png_size

pytestmark = [pytest.mark.long, pytest.mark.browser]

SHIPPED = sorted((Path(__file__).parents[2] / "docs" / "results").glob("*.sqlite"))
SIZES = [(360, 800), (1280, 900)]
GROUNDS = {False: "rgb(246, 247, 249)", True: "rgb(13, 17, 23)"}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Make a page of the study that is made up and of all shipped results."""
    made = made_up.write_results(tmp_path_factory.mktemp("results") / "made-up.sqlite")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry.STUDIES, "made-up", "tests.studies.made_up")
        return to_html(load([made, *SHIPPED]), "spinbnn report made-up.sqlite")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_page_fits_the_window_and_shows_its_pictures(
    page: str, tmp_path: Path, width: int, height: int, dark: bool
) -> None:
    seen = look(page, width, height, tmp_path, dark=dark)
    assert seen.width == width
    assert seen.scroll_width <= seen.width
    assert seen.height > 2 * height
    assert len(seen.pictures) == page.count("<svg") >= 3
    # Those at the left of a narrow window scroll within themselves.
    assert all(across >= 500 and down >= 80 for across, down in seen.pictures), seen.pictures
    assert seen.smallest_text >= 9
    assert seen.ground == GROUNDS[dark]
    assert png_size(seen.screenshot) == (width, height)
    assert distinct_lines(seen.screenshot) > 100


def test_what_does_not_fit_and_what_is_blank_is_noticed(tmp_path: Path) -> None:
    wide = '<div style="width:400px">x</div><svg width="0" height="0"><text>y</text></svg>'
    seen = look(f'<!DOCTYPE html><body style="margin:0">{wide}', 360, 800, tmp_path)
    assert seen.scroll_width == 400
    assert seen.pictures == [(0, 0)]
    assert distinct_lines(seen.screenshot) < 30
