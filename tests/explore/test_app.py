"""The explorers as an app, in a real browser: they open, answer the mouse, and ask nobody else."""

import os
import time
import urllib.error
import urllib.request
from importlib.util import find_spec
from urllib.parse import urlsplit

import imageio.v3 as iio
import pytest
from browser import REQUIRED, SECONDS, Page, share_changed
from videos import disc

from animlib.explore.app import explorers, serving

DESKTOP = dict(width=1200, height=2400)
PHONE = dict(width=390, height=844)
HARMLESS = ("Unsatisfied version", "No satisfying version")  # Voila and JupyterLab share modules
LONG = 180 * SECONDS  # loading torch and models, on a busy machine
OWN_TEST = {"splines", "attention", "retarget"}


@pytest.fixture(scope="module")
def address():
    "The page that lists the explorers, served by Voila."
    if find_spec("voila") is None:
        (pytest.fail if os.environ.get(REQUIRED) else pytest.skip)(
            "voila is missing: pip install voila"
        )
    with serving() as found:
        yield found


def opened(browser, address: str, page: str, window: dict = DESKTOP) -> Page:
    "A page of the app, with its key."
    parts = urlsplit(address)
    own = f"{parts.scheme}://{parts.netloc}"
    shown = Page(browser.new_context(viewport=window), (own, own.replace("http", "ws")))
    url = f"{own}/voila/{page}?{parts.query}"
    shown.page.goto(url, wait_until="commit", timeout=LONG)
    return shown


def explorer(browser, address: str, name: str, ready: str, window: dict = DESKTOP) -> Page:
    "An explorer, until something of this selector is there."
    shown = opened(browser, address, f"render/{name}.ipynb", window)
    shown.page.wait_for_selector(ready, timeout=LONG)
    shown.page.wait_for_timeout(1.5 * SECONDS)
    return shown


def expect_clean(shown: Page):
    "No request has left the machine, and nothing was complained of."
    assert not shown.requests
    problems = [o for o in shown.problems if not any(word in o for word in HARMLESS)]
    assert not problems, problems


def image(page, caption: str) -> str:
    "The image of the pane with this caption."
    figure = page.locator("figure:not([data-twin])", has_text=caption).first
    return figure.locator("img").get_attribute("src")


def shown_by(canvas) -> str:
    "What a canvas shows, to be compared."
    return canvas.evaluate("c => c.toDataURL()")


def pixels(canvas) -> list[int]:
    "Bytes of a canvas, made small."
    return canvas.evaluate(
        "c => { const s = document.createElement('canvas'); s.width = s.height = 32;"
        " const pen = s.getContext('2d'); pen.drawImage(c, 0, 0, 32, 32);"
        " return [...pen.getImageData(0, 0, 32, 32).data]; }"
    )


def seconds_until(page, has_changed, limit: float = 20) -> float:
    "How long it takes until this is true; at most `limit` seconds."
    start = time.perf_counter()
    while not has_changed():
        assert time.perf_counter() - start < limit, "nothing has changed"
        page.wait_for_timeout(10)
    return time.perf_counter() - start


def give(page, button: str, path):
    "A file for a button that asks for one."
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name=button).first.click()
    chooser.value.set_files(path)


def move_to(page, box: dict, x: float, y: float, **options):
    "The mouse over a place of a canvas, in [0,1]."
    page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], **options)


# ---- the server ----
def test_the_list_names_every_explorer(browser, address):
    shown = opened(browser, address, "tree", PHONE)
    links = shown.page.locator("main a")

    assert links.count() == len(explorers())
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    expect_clean(shown)


def test_nobody_comes_in_without_the_key(address):
    bare = address.split("?")[0]
    with urllib.request.urlopen(bare) as answer:  # a page that asks for it
        assert "/login" in answer.url
    kernels = bare.replace("/voila/tree", "/api/kernels/00000000-0000-0000-0000-000000000000")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(kernels)
    elsewhere = urllib.request.Request(address, headers={"Host": "example.org"})
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(elsewhere)


# ---- the explorers ----
@pytest.mark.parametrize("name", sorted(set(explorers()) - OWN_TEST))
def test_every_explorer_opens(browser, address, name):
    shown = explorer(browser, address, name, "canvas")

    assert "Traceback" not in shown.page.inner_text("body")
    expect_clean(shown)


def test_another_model_and_an_own_image(browser, address, tmp_path):
    iio.imwrite(tmp_path / "me.png", disc(1, 70, 90)[0])
    shown = explorer(browser, address, "anchors", "canvas")
    page = shown.page
    result = page.locator("canvas").nth(1)

    def wait_for_another(before):
        def has_changed():
            return result.count() and shown_by(result) != before

        seconds_until(page, has_changed, LONG / SECONDS)
        page.wait_for_timeout(1.5 * SECONDS)
        return shown_by(result)

    first = shown_by(result)
    page.get_by_label("model").first.select_option("fomm-body")
    other = wait_for_another(first)
    give(page, "your image", tmp_path / "me.png")
    mine = wait_for_another(other)
    (tmp_path / "text.png").write_text("no image")
    give(page, "your image", tmp_path / "text.png")
    page.wait_for_function("document.body.innerText.includes('found a text file')", timeout=LONG)
    assert shown_by(result) == mine  # what was there stays
    expect_clean(shown)


def test_a_dragged_point_of_a_spline(browser, address, capsys):
    shown = explorer(browser, address, "splines", "canvas")
    page = shown.page
    canvas = page.locator("canvas").first
    box = canvas.bounding_box()
    before = pixels(canvas)
    names = ["grid of", "affine part", "bending alone", "what the model makes"]
    images = {name: image(page, name) for name in names}

    move_to(page, box, 0.5, 0.5)  # takes the nearest point
    page.mouse.down()
    move_to(page, box, 0.8, 0.3, steps=3)
    took = seconds_until(page, lambda: image(page, names[0]) != images[names[0]])
    page.mouse.up()
    page.wait_for_timeout(1.5 * SECONDS)

    with capsys.disabled():
        print(f" [spline answers after {1000 * took:.0f} ms]", end="")
    assert share_changed(before, pixels(canvas)) > 0.05
    assert all(image(page, name) != images[name] for name in names)
    canvas.focus()
    before = image(page, names[0])
    page.keyboard.press("ArrowLeft")
    seconds_until(page, lambda: image(page, names[0]) != before)
    tint = image(page, "largest weight")
    buttons = page.locator("button", has_text="spline").or_(
        page.locator("button", has_text="backgr")
    )
    for i in range(buttons.count()):  # none is tinted
        buttons.nth(i).click()
    seconds_until(page, lambda: image(page, "largest weight") != tint)
    expect_clean(shown)


def test_a_click_enlarges_a_head(browser, address, capsys):
    shown = explorer(browser, address, "attention", "canvas >> nth=2")
    page = shown.page
    thumbs, large, lookup = (page.locator("canvas").nth(i) for i in range(3))
    before = pixels(large)
    map_before = shown_by(large)
    matrix = image(page, "token (row)")

    move_to(page, thumbs.bounding_box(), 0.9, 0.1)
    page.mouse.down()
    page.mouse.up()
    took = seconds_until(page, lambda: shown_by(large) != map_before)

    with capsys.disabled():
        print(f" [attention answers after {1000 * took:.0f} ms]", end="")
    page.wait_for_timeout(1.5 * SECONDS)
    assert share_changed(before, pixels(large)) > 0.02
    assert image(page, "token (row)") != matrix
    assert "uniform" not in image(page, "share") and image(page, "true tree")
    move_to(page, large.bounding_box(), 0.05, 0.05)  # hovered, not pressed
    page.wait_for_function("document.body.innerText.includes('row 1, column 1')")
    panels = shown_by(lookup)
    lookup.scroll_into_view_if_needed()
    move_to(page, lookup.bounding_box(), 0.1, 0.3)
    seconds_until(page, lambda: shown_by(lookup) != panels)
    expect_clean(shown)


def test_a_recorded_clip_drives_every_method(browser, address):
    shown = explorer(browser, address, "retarget", "video >> nth=1")  # the recorder's, the result's
    page = shown.page
    result = page.locator("video").last
    before = result.get_attribute("src") or result.locator("source").get_attribute("src")

    page.get_by_role("button", name="record 3 s").click()
    page.wait_for_function("document.body.innerText.includes('recorded.webm')", timeout=LONG)
    seconds = "[...document.querySelectorAll('video')].at(-1)"
    page.wait_for_function(f"{seconds}.src != {before!r}", timeout=LONG)
    page.wait_for_function(f"{seconds}.readyState >= 2", timeout=LONG)

    width, height = page.evaluate(f"[{seconds}.videoWidth, {seconds}.videoHeight]")
    assert width > 600 and height > 300  # source, driving, eight methods
    assert "notes of the methods" in page.inner_text("body")
    expect_clean(shown)


@pytest.mark.parametrize("name", sorted(OWN_TEST))
def test_it_fits_a_telephone(browser, address, name):
    shown = explorer(browser, address, name, "canvas, video:not([hidden])", PHONE)

    assert shown.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    wide = "[...document.querySelectorAll('canvas, img, video')].map(o => o.clientWidth)"
    assert max(shown.page.evaluate(wide)) <= PHONE["width"]
    expect_clean(shown)
