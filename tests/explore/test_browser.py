"""The page of the demonstration, and widgets in JupyterLab, in a real browser without a network."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from browser import SECONDS, WINDOW, Page, in_time, open_file, share_changed
from lab import run_in_lab
from notebook_files import write_notebook
from project_files import ROOT


# ---- the page of the demonstration ----
def test_demo_page_plays_without_a_network(browser, demo_folder):
    opened = open_file(browser, demo_folder / "demo.html")
    page = opened.page
    every = "[...document.querySelectorAll('{}')]"
    videos, images = every.format("video"), every.format("img")

    page.wait_for_function(f"{videos}.every(v => v.readyState >= 2)", timeout=20 * SECONDS)
    page.wait_for_function(f"{videos}[0].currentTime > .2", timeout=20 * SECONDS)  # by itself

    shown = page.evaluate(f"{videos}.map(v => [v.videoWidth, v.videoHeight, v.duration])")
    assert len(shown) >= 4
    for width, height, duration in shown:
        assert width > 200 and height > 100 and duration > 2
    shown = page.evaluate(f"{images}.map(v => [v.complete, v.naturalWidth, v.naturalHeight])")
    assert len(shown) >= 1
    for complete, width, height in shown:
        assert complete and width > 100 and height > 100
    assert page.title() == "One image moves like one video"
    assert page.evaluate("document.documentElement.scrollWidth") <= WINDOW["width"]
    assert not opened.requests and not opened.problems


def test_a_request_would_be_seen(browser, tmp_path):
    (tmp_path / "bad.html").write_text(
        "<!doctype html><title>x</title>"
        '<script src="https://example.org/x.js"></script><img src="missing.png">'
    )

    opened = open_file(browser, tmp_path / "bad.html")

    assert "https://example.org/x.js" in opened.requests
    assert any("missing.png" in request for request in opened.requests)
    assert opened.problems


# ---- widgets in JupyterLab ----


def wait_for_output(page, kind: str):
    "The first element of this kind below the cell, drawn."
    element = page.locator(f".jp-OutputArea {kind}")
    element.wait_for(timeout=60 * SECONDS)
    page.wait_for_timeout(0.8 * SECONDS)
    return element


def output_text(page) -> str:
    "The text below the cell."
    return page.locator(".jp-OutputArea").first.inner_text()


def canvas_pixels(page, area: str) -> list[int]:
    "Bytes of a part of the canvas; `area` is left, top, width, height in terms of the canvas `c`."
    return page.evaluate(
        "(() => { const c = document.querySelector('.jp-OutputArea canvas');"
        f" return [...c.getContext('2d').getImageData({area}).data] }})()"
    )


def test_a_dragged_point_bends_the_picture(browser, lab):
    opened = run_in_lab(
        browser,
        lab,
        "import torch",
        "from animlib.data import toy",
        "from animlib.explore.splines import bend",
        "face = toy.clips('face', 1, 1, 64, 3).video[0, 0]",
        "bend(face, torch.tensor([[0., .5], [-.6, -.6], [.6, -.6]]), zoom=4)",
    )
    page = opened.page
    box = wait_for_output(page, "canvas").bounding_box()
    above_the_points = "60, 60, c.width - 120, 60"
    before = canvas_pixels(page, above_the_points)
    assert box["width"] == box["height"] == 256
    assert max(before) - min(before) > 50

    def place(x, y):
        return box["x"] + (x + 1) / 2 * box["width"], box["y"] + (y + 1) / 2 * box["height"]

    page.mouse.move(*place(0, 0.5))
    page.mouse.down()
    page.mouse.move(*place(0, 0.2), steps=4)
    page.mouse.move(*place(0.1, -0.2), steps=4)
    page.mouse.up()
    page.wait_for_timeout(1.5 * SECONDS)

    # where no disc was drawn, the new image of the kernel shows
    assert share_changed(before, canvas_pixels(page, above_the_points)) > 0.1
    assert not opened.requests


def test_a_slider_shows_another_layer(browser, lab):
    opened = run_in_lab(
        browser,
        lab,
        "from animlib import load",
        "from animlib.data import toy",
        "from animlib.explore.attention import attention_view",
        "clips = toy.clips('body', 1, 6, 64, toy.split_seed('test'))",
        "attention_view(load('motion_transformer-body'), clips.video[0, -1], zoom=4)",
    )
    page = opened.page
    image = wait_for_output(page, "img")
    sliders = page.locator(".jp-OutputArea [role=slider]")
    in_time(sliders).to_have_count(3)
    assert image.bounding_box()["width"] == 256
    assert "motion tokens" in output_text(page)

    shown = [image.screenshot()]
    for number in range(3):  # layer, head, token
        sliders.nth(number).focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(1.2 * SECONDS)
        shown.append(image.screenshot())

    assert len(set(shown)) == 4
    assert not opened.requests


def test_a_click_shows_what_it_attends_to(browser, lab):
    opened = run_in_lab(
        browser,
        lab,
        "from animlib import load",
        "from animlib.data import toy",
        "from animlib.explore.attention import lookup_board",
        "clip = toy.clips('body', 1, 12, 64, toy.split_seed('test')).video[0]",
        "lookup_board(load('pose_attentive-body'), clip[[0, 4]], clip[11])",
    )
    page = opened.page
    box = wait_for_output(page, "canvas").bounding_box()
    assert box["width"] == 3 * box["height"] == 576  # the driving frame, two sources
    sources = "200, 0, 376, 192"
    before = canvas_pixels(page, sources)

    page.mouse.click(box["x"] + 100, box["y"] + 60)  # in the driving frame
    page.wait_for_timeout(1.5 * SECONDS)
    assert share_changed(before, canvas_pixels(page, sources)) > 0.02

    page.mouse.click(box["x"] + 400, box["y"] + 60)  # in a source
    page.wait_for_timeout(1.5 * SECONDS)
    assert "over a source" in output_text(page)
    assert not opened.requests


def errors(opened: Page) -> list[str]:
    "What went wrong on the page; JupyterLab's remarks on slow plugins are no fault of a widget."
    return [problem for problem in opened.problems if "to activate" not in problem]


def wait_for_answers(page):
    "Until Python has answered all that the explorer asked."
    page.wait_for_timeout(0.1 * SECONDS)
    page.locator(".animlib-explorer[aria-busy=false]").wait_for(timeout=120 * SECONDS)
    page.wait_for_timeout(0.3 * SECONDS)  # to decode and draw the image


def small_pixels(page, number: int) -> list[int]:
    "Bytes of a canvas of the explorer, made 48 x 48."
    return page.evaluate(
        f"(() => {{ const c = document.querySelectorAll('.jp-OutputArea canvas')[{number}];"
        " const small = new OffscreenCanvas(48, 48).getContext('2d');"
        " small.drawImage(c, 0, 0, 48, 48);"
        " return [...small.getImageData(0, 0, 48, 48).data] })()"
    )


def test_a_dragged_keypoint_is_painted_by_the_generator(browser, lab):
    opened = run_in_lab(
        browser,
        lab,
        "from animlib.explore.anchors import anchors",
        "anchors('fomm-emoji', frames=4)",
    )
    page = opened.page
    wait_for_answers(page)
    twin = page.locator("figure[data-twin]")
    in_time(twin).to_have_count(1)
    in_time(twin).to_be_hidden()  # the live one hides it, and moves up
    box = page.locator(".jp-OutputArea canvas").first.bounding_box()

    def result():
        return small_pixels(page, 1)

    def place(x, y):
        return box["x"] + (x + 1) / 2 * box["width"], box["y"] + (y + 1) / 2 * box["height"]

    still = result()
    page.mouse.move(*place(-0.03, -0.53))  # the hair
    page.mouse.down()
    page.mouse.move(*place(0.1, -0.6), steps=4)
    page.mouse.move(*place(0.25, -0.6), steps=4)
    page.mouse.up()
    wait_for_answers(page)
    dragged = result()
    assert share_changed(still, dragged) > 0.03

    page.locator(".jp-OutputArea canvas").first.focus()
    for _ in range(4):
        page.keyboard.press("ArrowDown")
    wait_for_answers(page)
    assert share_changed(dragged, result()) > 0.01

    page.get_by_label("put all points back").click()
    wait_for_answers(page)
    assert share_changed(still, result()) < 0.001
    print(page.locator("figcaption", has_text="ms").first.inner_text())
    assert not opened.requests and not errors(opened)


def test_the_fader_of_masks_mixes_two_panes(browser, lab):
    opened = run_in_lab(
        browser,
        lab,
        "from animlib.explore.masks import masks",
        "masks('tpsmm-body', frames=4)",
    )
    page = opened.page
    wait_for_answers(page)
    tiles = page.locator(".animlib-tile", has_text="occlusion")
    in_time(tiles).to_have_count(4)

    half = small_pixels(page, 0)
    page.get_by_label("fader").fill("1")
    page.get_by_label("lay winners over the other pane").click()
    page.wait_for_timeout(0.5 * SECONDS)
    winners = small_pixels(page, 0)
    assert share_changed(half, winners) > 0.3

    page.get_by_label("frame", exact=True).focus()
    page.keyboard.press("ArrowRight")
    wait_for_answers(page)
    assert "frame 4 of 4" in page.locator(".animlib-explorer output").inner_text()
    assert share_changed(winners, small_pixels(page, 0)) > 0.01
    assert not opened.requests and not errors(opened)


# ---- plots ----
def hover_over(page) -> str:
    "What stands under the pointer in the middle of a plot."
    box = page.locator(".js-plotly-plot .nsewdrag").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(box["x"] + box["width"] / 2 + 3, box["y"] + box["height"] / 2, steps=3)
    told = page.locator(".js-plotly-plot .hoverlayer").first
    told.locator("text").first.wait_for(timeout=30 * SECONDS)
    return told.text_content()


PLOT = [
    "from animlib.viz.hover import hover_curves",
    "from animlib.viz.images import curves",
    "hover_curves(curves({'rec': ([0, 10, 20], [3.25, 3.25, 3.25])}, xlabel='step'))",
]


def test_a_plot_tells_its_values(browser, lab):
    opened = run_in_lab(browser, lab, *PLOT)
    image = opened.page.locator(".jp-OutputArea img")
    image.wait_for(timeout=180 * SECONDS)
    place = image.bounding_box()
    opened.page.mouse.move(place["x"] + 50, place["y"] + 50)  # now JupyterLab draws the plot
    plot = opened.page.locator(".jp-OutputArea .js-plotly-plot .main-svg").first
    plot.wait_for(timeout=180 * SECONDS)
    assert "3.25" in hover_over(opened.page)
    in_time(image).to_be_hidden()
    assert not opened.requests and not errors(opened)


def test_an_exported_plot_is_an_image(browser, tmp_path):
    notebook = write_notebook(tmp_path / "plot.ipynb", "\n".join(PLOT))
    page_file = exported(notebook, tmp_path / "report.ipynb")
    assert "Plotly" not in page_file.read_text()
    context = browser.new_context(offline=True)
    opened = Page(context, own_addresses=(page_file.as_uri(),))
    opened.page.goto(page_file.as_uri(), wait_until="domcontentloaded")
    assert opened.page.locator(".jp-OutputArea img").bounding_box()["width"] > 250


# ---- without a kernel ----
def exported(source: Path, notebook: Path, *parameters: str) -> Path:
    "A notebook, run by papermill and exported by nbconvert."
    for command in (
        ["papermill", str(source), str(notebook), *parameters, "--no-progress-bar"],
        ["nbconvert", "--to", "html", str(notebook)],
    ):
        subprocess.run([sys.executable, "-m", *command], check=True, capture_output=True)
    return notebook.with_suffix(".html")


@pytest.mark.parametrize("name", ["anchors", "masks"])
def test_a_report_of_an_explorer_has_no_blank_cell(browser, tmp_path, name):
    source = ROOT / "nbs" / "explore" / f"{name}.ipynb"
    page_file = exported(source, tmp_path / f"{name}.ipynb", "-p", "frames", "3")
    cells = json.loads((tmp_path / f"{name}.ipynb").read_text())["cells"]
    shown = [cell for cell in cells if "display(" in "".join(cell["source"])]
    context = browser.new_context(offline=True)
    opened = Page(context, own_addresses=(page_file.as_uri(),))
    opened.page.goto(page_file.as_uri(), wait_until="domcontentloaded")

    images = opened.page.locator("figure[data-twin] img")

    assert images.count() == len(shown) >= 2
    for number in range(images.count()):
        assert images.nth(number).bounding_box()["width"] > 250
        assert images.nth(number).get_attribute("alt")
