"""Looks at a page in Chromium, without a driver: what a script measures there, and a screenshot."""

import html
import json
import os
import re
import shutil
import struct
import subprocess
import zlib
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = (
    "no Chromium was found: install chromium (Debian: apt-get install chromium), name its program with "
    "SPINBNN_BROWSER, or leave these tests out with SPINBNN_BROWSER=none"
)
_SECONDS = 120
# A window is at least 500 pixels wide; a frame in it may be as narrow as a telephone.
_FRAME = """<!DOCTYPE html>
<body><pre id="seen"></pre>
<script>
const look = page => {{
  const root = page.documentElement, size = box => [box.width, box.height];
  document.querySelector("#seen").textContent = JSON.stringify({{
    width: root.clientWidth, scrollWidth: root.scrollWidth, height: root.scrollHeight,
    pictures: [...page.querySelectorAll("svg")].map(svg => size(svg.getBoundingClientRect())),
    ground: getComputedStyle(page.body).backgroundColor,
    smallest: Math.min(...[...page.querySelectorAll("svg text")].map(text =>
      parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a)),
  }});
}};
</script>
<iframe width="{width}" height="{height}" style="border:0" onload="look(this.contentDocument)"
  srcdoc="{page}"></iframe>
"""


@dataclass(frozen=True)
class Seen:
    """What a browser made of a page.

    Attributes
    ----------
    width, scroll_width, height : float
        Of the window and of the page, in CSS pixels.
    pictures : list of (float, float)
        Width and height of every SVG.
    ground : str
        Colour of the page's ground.
    smallest_text : float
        Height of the smallest text in a picture, in CSS pixels.
    screenshot : bytes
        PNG.
    """

    width: float
    scroll_width: float
    height: float
    pictures: list[tuple[float, float]]
    ground: str
    smallest_text: float
    screenshot: bytes


def find_browser() -> str:
    """Return the program of a Chromium.

    Raises
    ------
    AssertionError
        If there is none: what it would test is then not tested, which is a failure.
    """
    named = os.environ.get("SPINBNN_BROWSER")
    found = next(filter(None, map(shutil.which, [named] if named else PROGRAMS)), None)
    assert found is not None, MISSING
    return found


def look(page: str, width: int, height: int, folder: Path, *, dark: bool = False) -> Seen:
    """Open a page in a window, and return what is seen.

    Parameters
    ----------
    page : str
        HTML.
    width, height : int
        Of the window, in CSS pixels.
    folder : Path
        For the browser's files, and the screenshot.
    dark : bool
        Whether the browser prefers dark pages.
    """
    path, frame, screenshot = (folder / name for name in ("page.html", "frame.html", "screenshot.png"))
    path.write_text(page, encoding="utf-8")
    frame.write_text(_FRAME.format(width=width, height=height, page=html.escape(page)), encoding="utf-8")
    command = [
        find_browser(),
        "--headless=new",
        "--no-sandbox",  # containers and root have none
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        "--no-first-run",
        f"--user-data-dir={folder / 'profile'}",
        f"--window-size={width},{height}",
        f"--blink-settings=preferredColorScheme={0 if dark else 1}",
    ]
    _run([*command, f"--screenshot={screenshot}", path.as_uri()])
    document = _run([*command, "--dump-dom", frame.as_uri()])
    found = re.search(r'<pre id="seen">(.+?)</pre>', document)
    assert found is not None, "the script did not run"
    measured = json.loads(html.unescape(found[1]))
    return Seen(
        width=measured["width"],
        scroll_width=measured["scrollWidth"],
        height=measured["height"],
        pictures=[(across, down) for across, down in measured["pictures"]],
        ground=measured["ground"],
        smallest_text=measured["smallest"],
        screenshot=screenshot.read_bytes(),
    )


def png_size(png: bytes) -> tuple[int, int]:
    """Return width and height of a PNG."""
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def distinct_lines(png: bytes) -> int:
    """Return how many scan lines of a PNG differ, as they are coded: a blank picture has very few."""
    at, data = 8, b""
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            data += png[at + 8 : at + 8 + length]
        at += 12 + length
    lines = zlib.decompress(data)
    stride = len(lines) // png_size(png)[1]
    return len({lines[start : start + stride] for start in range(0, len(lines), stride)})


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    assert done.returncode == 0, f"{command[0]} ended with {done.returncode}: {done.stderr[-2000:]}"
    return done.stdout
