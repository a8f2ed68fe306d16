"""The moving image of the explorers in README: a mouse drags, and networks in a page answer.

python tests/support/explorers_gif.py [--pages FOLDER]     FOLDER: made before (`build_explorers`)
"""

import argparse
import io
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from math import cos, pi, sin
from pathlib import Path

import numpy as np
import torch
from browser import SECONDS, chromium
from PIL import Image
from project_files import ROOT

from animlib.core import as_images
from animlib.run.web import build_explorers
from animlib.viz.images import to_gif

OUT = ROOT / "nbs" / "assets" / "explorers.gif"
WINDOW = dict(width=620, height=400)
FPS = 9.0
LARGEST = 1_500_000  # bytes
# Two figures below a title, and a pointer that shows where the mouse is.
STYLE = """
nav, .lead, .row, .timing, .told, footer, h2, h3, section > p, section:nth-of-type(2),
.panels ~ .panels, .legend, .two figcaption, figure:nth-child(n + 3) { display: none !important }
main { padding: .7rem 1rem !important } h1 { font-size: 1.15rem !important }
.panels { grid-template-columns: 1fr 1fr !important; gap: .8rem !important; margin: .3rem 0 }
.tiles { max-width: 17.5rem } figcaption { min-height: 0 !important }
#mouse { position: fixed; z-index: 9; pointer-events: none; width: 22px; height: 22px }
"""
MOUSE = """() => {
  document.body.insertAdjacentHTML('beforeend', `<svg id="mouse" viewBox="0 0 22 22">
    <path d="M3 2 L3 18 L8 14 L11 20 L14 19 L11 13 L17 13 Z" fill="#111" stroke="#fff"/></svg>`);
  const mouse = document.querySelector('#mouse');
  addEventListener('pointermove', event => {
    mouse.style.left = `${event.clientX - 3}px`;
    mouse.style.top = `${event.clientY - 2}px`;
  }, true);
}"""
IDLE = "!(animlib.tokens ? animlib.tokens.state().busy : animlib.stage.busy)"


@contextmanager
def opened(browser, pages: Path, name: str) -> Iterator:
    "A page from the disk, when its network runs."
    page = browser.new_page(viewport=WINDOW, device_scale_factor=1)
    page.goto((pages / f"{name}.html").as_uri())
    page.wait_for_selector("#explorer[data-ready=yes]", timeout=120 * SECONDS)
    page.add_style_tag(content=STYLE)
    page.evaluate(MOUSE)
    yield page
    page.close()


def middle(locator) -> tuple[float, float]:
    "The middle of an element on the screen."
    box = locator.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def shot(page) -> np.ndarray:  # `[h,w,3]` uint8
    "The screen, when the network has answered."
    page.wait_for_timeout(0.06 * SECONDS)
    page.wait_for_function(IDLE, timeout=120 * SECONDS)
    page.wait_for_timeout(0.06 * SECONDS)
    return np.array(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))


def highest(handles):
    "The handle that is nearest to the top of the screen."
    seen = [handle for handle in handles.all() if handle.is_visible()]
    return min(seen, key=lambda handle: handle.bounding_box()["y"])


def round_trip(steps: int, wide: float, high: float) -> list[tuple[float, float]]:
    "Away from a place and back to it, along a loop."
    turns = [2 * pi * i / steps for i in range(steps + 1)]
    return [(wide * sin(turn), high * (cos(turn) - 1) / 2) for turn in turns]


def dragged(page, handle, path: list[tuple[float, float]]) -> list[np.ndarray]:
    "Screens while a handle is pulled along a path from where it is."
    x, y = middle(handle)
    page.mouse.move(x, y)
    frames = [shot(page), shot(page)]
    page.mouse.down()
    for dx, dy in path:
        page.mouse.move(x + dx, y + dy)
        frames.append(shot(page))
    page.mouse.up()
    return frames


def hovered(page, path: list[tuple[float, float]]) -> list[np.ndarray]:
    "Screens while the mouse goes over places of the first image, in [0,1]."
    box = page.locator(".square").first.bounding_box()
    frames = []
    for x, y in path:
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        frames.append(shot(page))
    return frames


def frames_of(browser, pages: Path) -> list[np.ndarray]:
    "Anchors, splines, attention."
    with opened(browser, pages, "anchors") as page:
        frames = dragged(page, page.locator("circle.chosen"), round_trip(16, 34, 30))
    with opened(browser, pages, "splines") as page:
        frames += dragged(page, highest(page.locator("circle.handle")), round_trip(12, 40, 30))
    with opened(browser, pages, "attention") as page:
        page.get_by_label("layer 2, head 1").click()
        frames += hovered(page, [(0.15 + 0.06 * i, 0.42 + 0.3 * sin(i / 2)) for i in range(13)])
    return frames


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--pages", type=Path, help="made before; left out: they are made now")
    options.add_argument("--out", type=Path, default=OUT)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder, chromium(sys.exit) as browser:
        pages = given.pages or build_explorers(Path(folder, "pages"))
        frames = frames_of(browser, pages)
    video = as_images(torch.from_numpy(np.stack(frames)))
    data = to_gif(video, fps=FPS, colours=224)
    if len(data) > LARGEST:
        sys.exit(f"{len(data):,} bytes: more than {LARGEST:,}; make the window smaller")
    given.out.write_bytes(data)
    print(f"{given.out}: {len(frames)} frames, {len(frames) / FPS:.1f} s, {len(data):,} bytes")


if __name__ == "__main__":
    main()
