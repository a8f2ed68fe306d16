"""From drag to drawn image: medians of every explorer that can be dragged, in Chromium.

python tests/support/latency.py [--pages FOLDER]     FOLDER: pages made before (`build_explorers`)
"""

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from browser import SECONDS, chromium
from lab import run_in_lab, running_lab

from animlib.explore.app import serving
from animlib.run.web import build_explorers

MOVES = 20
FAR = 60  # pixels from the start: further than a patch is wide
LONG = 180 * SECONDS
WINDOW = dict(width=1200, height=1400)
# Milliseconds from a move of the mouse to the first screen on which the canvas shows another image.
WATCH = """(canvas, pressed) => {
  const small = document.createElement('canvas');
  small.width = small.height = 64;
  const pen = small.getContext('2d', {willReadFrequently: true});
  const sum = () => {
    pen.clearRect(0, 0, 64, 64);
    pen.drawImage(canvas, 0, 0, 64, 64);
    return pen.getImageData(0, 0, 64, 64).data.reduce((a, b) => (31 * a + b) | 0, 0);
  };
  let shown = sum();
  let began = null;
  window.latencies = [];
  addEventListener('pointermove', event => {
    if (event.buttons || !pressed) began ??= performance.now();
  }, true);
  const look = () => {
    const now = sum();
    if (now !== shown && began !== null) {
      latencies.push(performance.now() - began);
      began = null;
    }
    shown = now;
    requestAnimationFrame(look);
  };
  look();
}"""


def measured(page, canvas, start: tuple[float, float], pressed: bool) -> list[float]:
    "Milliseconds of single moves around a place, each after the answer to the one before."
    canvas.evaluate(WATCH, pressed)
    x, y = start
    page.mouse.move(x, y)
    page.wait_for_timeout(1 * SECONDS)
    if pressed:
        page.mouse.down()
    for i in range(MOVES):
        before = page.evaluate("latencies.length")
        page.mouse.move(x + (FAR if i % 2 == 0 else -FAR), y + i)
        page.wait_for_function(f"latencies.length > {before}", timeout=LONG)
        page.wait_for_timeout(0.15 * SECONDS)
    if pressed:
        page.mouse.up()
    return page.evaluate("latencies")[1:]  # without the first, which may wait for a compiler


def middle(locator) -> tuple[float, float]:
    "The middle of an element on the screen."
    locator.scroll_into_view_if_needed()
    box = locator.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


@contextmanager
def static_page(browser, pages: Path, name: str) -> Iterator:
    "A page from the disk, ready."
    page = browser.new_page(viewport=WINDOW)
    page.goto((pages / f"{name}.html").as_uri())
    page.wait_for_selector("#explorer[data-ready=yes]", timeout=LONG)
    yield page
    page.close()


def in_the_page(browser, pages: Path) -> Iterator[tuple[str, list[float]]]:
    "Networks that run in the browser."
    square = ".square canvas"
    with static_page(browser, pages, "anchors") as page:
        start = middle(page.locator("circle.chosen"))
        yield "page, anchors", measured(page, page.locator(square).nth(1), start, True)
    with static_page(browser, pages, "splines") as page:
        start = middle(page.get_by_label("group 1, point 1", exact=True))
        yield "page, splines", measured(page, page.locator(square).nth(2), start, True)
    with static_page(browser, pages, "attention") as page:
        start = middle(page.locator(".square").first)
        yield "page, attention", measured(page, page.locator(square).first, start, False)


def widget(page) -> list[float]:
    "The widget of anchors, when Python has answered its first questions."
    page.locator(".animlib-explorer[aria-busy=false]").first.wait_for(timeout=LONG)
    page.wait_for_timeout(2 * SECONDS)
    canvases = page.locator(".animlib-explorer canvas")
    return measured(page, canvases.nth(1), middle(canvases.first), True)


def in_jupyterlab(browser) -> list[float]:
    "Python paints, and a notebook shows it."
    with tempfile.TemporaryDirectory() as folder, running_lab(Path(folder)) as lab:
        lines = "from animlib.explore.anchors import anchors", "anchors('fomm-emoji', frames=4)"
        return widget(run_in_lab(browser, lab, *lines).page)


def in_voila(browser) -> list[float]:
    "Python paints, and the app shows it."
    with serving() as address:
        parts = urlsplit(address)
        page = browser.new_page(viewport=WINDOW)
        place = f"{parts.scheme}://{parts.netloc}/voila/render/anchors.ipynb?{parts.query}"
        page.goto(place, wait_until="commit", timeout=LONG)
        return widget(page)


def everything(browser, pages: Path) -> Iterator[tuple[str, list[float]]]:
    "All explorers, one after the other."
    yield from in_the_page(browser, pages)
    yield "JupyterLab, anchors", in_jupyterlab(browser)
    yield "Voila, anchors", in_voila(browser)


def tell(name: str, found: list[float], say: Callable = print):
    "One line of the table."
    low, *_, high = statistics.quantiles(found, n=10)
    spread = f"({low:.0f} to {high:.0f} for eight of ten)"
    say(f"{name:22}{statistics.median(found):5.0f} ms {spread}", flush=True)


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--pages", type=Path, help="made before; left out: they are made now")
    given = options.parse_args().pages
    load = f"load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "load unknown"
    print(f"{os.cpu_count()} CPU cores, {load}; {MOVES - 1} moves each, from move to drawn image")
    with tempfile.TemporaryDirectory() as folder, chromium(sys.exit) as browser:
        pages = given or build_explorers(Path(folder, "pages"))
        for name, found in everything(browser, pages):
            tell(name, found)


if __name__ == "__main__":
    main()
