"""Networks in a page: the browser's frames are PyTorch's, a drag changes them, nothing leaves."""

import functools
import http.server
import shutil
import threading

import numpy as np
import pytest
import torch
from browser import SECONDS, WINDOW, Page, open_file

import animlib
from animlib.core import InputError
from animlib.inference import ready
from animlib.retarget.transfer import relative
from animlib.run.scenes import emoji_scene, runtime_folder
from animlib.run.web import build_explorers

READY = "#explorer[data-ready]"
CLIP = "input[aria-label='frame of the clip']"


@pytest.fixture(scope="module")
def runtime(tmp_path_factory):
    "onnxruntime for the browser: as it was fetched before, or by npm now."
    try:
        return runtime_folder(tmp_path_factory.mktemp("no_archive"))
    except InputError:
        pass
    if not shutil.which("npm"):
        pytest.skip("no npm on this machine: install Node.js")
    try:
        return runtime_folder()
    except InputError as error:
        pytest.skip(f"npm cannot fetch the runtime: {error}")


@pytest.fixture(scope="module")
def pages(runtime, tmp_path_factory):
    "The page of anchors, with the trained generator for emoji."
    return build_explorers(
        tmp_path_factory.mktemp("pages") / "out", {"anchors": "fomm-emoji"}, None, runtime
    )


@pytest.fixture(scope="module")
def address(pages):
    "The pages, served to this machine."

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *words):
            "Nothing."

    serve = functools.partial(Quiet, directory=str(pages))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def open_page(browser, address, name="anchors.html", **options) -> Page:
    "A page in the browser, when its network runs or has given up."
    context = browser.new_context(**(dict(viewport=WINDOW) | options))
    opened = Page(context, own_addresses=(address,))
    opened.page.goto(f"{address}/{name}")
    opened.page.wait_for_selector(READY, timeout=120 * SECONDS)
    return opened


def state_of(opened: Page) -> str:
    return opened.page.get_attribute("#explorer", "data-ready")


FRAMES = """async count => {
  const {stage} = animlib;
  const made = [];
  for (let i = 0; i < count; i++) {
    const codes = stage.network.relative(stage.state, stage.codes[i], stage.codes[0]);
    const {frame} = await stage.network.drive(stage.state, codes);
    made.push(Array.from(animlib.bytes(frame).data));
  }
  return made;
}"""


def torch_frames(count: int) -> np.ndarray:  # `[count,3,h,w]` in [0,1]
    "The same frames by the library, from the weights as they are stored."
    scene = emoji_scene(128)
    network = ready(animlib.load("fomm-emoji"), "cpu")
    source = next(iter(scene.sources.values()))[None]
    with torch.inference_mode():
        prepared = network.prepare(source)
        kp_d = network.detector(scene.clip[:count])
        return network(prepared, relative(prepared.kp, kp_d, kp_d[:1])).frame.numpy()


def test_frames_of_the_page_are_those_of_torch(browser, address):
    opened = open_page(browser, address)
    assert state_of(opened) == "yes"

    made = np.array(opened.page.evaluate(FRAMES, 10), dtype=float).reshape(10, 128, 128, 4)

    expected = 255 * torch_frames(10).transpose(0, 2, 3, 1)
    difference = np.abs(made[..., :3] - expected).max()
    print(f"largest difference of ten frames: {difference:.2f} of 255")
    assert difference <= 2
    assert np.abs(expected[8] - expected[0]).max() > 30, "the clip moves the source"
    assert not opened.requests and not opened.problems


def result_of(page) -> np.ndarray:
    "Bytes of the second panel."
    data = page.evaluate(
        "[...document.querySelectorAll('.square canvas')[1].getContext('2d')"
        ".getImageData(0, 0, 128, 128).data]"
    )
    return np.array(data, dtype=int)


def wait_for_frame(page):
    "Until nothing is being computed."
    page.wait_for_timeout(0.2 * SECONDS)
    page.wait_for_function("!animlib.stage.busy", timeout=60 * SECONDS)


def test_hands_keys_and_the_clip_move_anchors(browser, address):
    opened = open_page(browser, address)
    page = opened.page
    wait_for_frame(page)
    still = result_of(page)
    assert "ms in this browser" in page.inner_text(".timing")

    chosen = page.locator("circle.chosen")  # the one that moves most of the image
    box = chosen.bounding_box()
    start = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(start[0] + 60, start[1] - 40, steps=3)
    page.mouse.up()
    wait_for_frame(page)
    dragged = result_of(page)
    assert (np.abs(dragged - still) > 8).mean() > 0.01

    chosen.focus()
    for _ in range(3):
        page.keyboard.press("Shift+ArrowDown")
    wait_for_frame(page)
    assert (np.abs(result_of(page) - dragged) > 8).mean() > 0.002

    page.get_by_role("button", name="reset").click()
    wait_for_frame(page)
    assert np.abs(result_of(page) - still).max() == 0

    page.locator(CLIP).evaluate("o => { o.value = 8; o.dispatchEvent(new Event('input')); }")
    wait_for_frame(page)
    assert (np.abs(result_of(page) - still) > 8).mean() > 0.02
    readback = "willReadFrequently"  # Chromium's remark on this test, which reads the canvas often
    problems = [text for text in opened.problems if readback not in text]
    assert not opened.requests and not problems


def test_a_page_works_from_a_disk_on_a_phone(browser, pages):
    screen = dict(width=390, height=844)
    opened = open_file(browser, pages / "anchors.html", pages.as_uri(), viewport=screen)
    opened.page.wait_for_selector(READY, timeout=120 * SECONDS)
    assert state_of(opened) == "yes"
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert not opened.requests and not opened.problems


def test_without_webassembly_the_still_image_stays(browser, address):
    context = browser.new_context(viewport=WINDOW)
    opened = Page(context, own_addresses=(address,))
    opened.page.add_init_script("delete window.WebAssembly")
    opened.page.goto(f"{address}/anchors.html")
    opened.page.wait_for_selector(READY, timeout=120 * SECONDS)

    assert state_of(opened) == "no"
    assert "this browser has no WebAssembly" in opened.page.inner_text("main")
    shown = opened.page.evaluate("document.querySelector('.twin').naturalWidth")
    assert shown > 500
    assert not opened.requests and not opened.problems
