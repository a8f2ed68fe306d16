"""Networks in a page: the browser's numbers are PyTorch's, hands change them, nothing leaves."""

import functools
import http.server
import os
import shutil
import threading

import numpy as np
import pytest
import torch
from browser import REQUIRED, SECONDS, WINDOW, Page, chromium, open_file

import animlib
from animlib.core import InputError, as_images
from animlib.engines.export import export_model
from animlib.engines.exported import OnnxModel
from animlib.explore.heads import rank_correlation, token_tree
from animlib.inference import ready
from animlib.models.registry import build
from animlib.retarget.transfer import relative
from animlib.run import web
from animlib.run.scenes import emoji_scene, runtime_folder, toy_scene
from animlib.viz.images import to_uint8

NAMES = sorted(web.PAGES)
READY = "#explorer[data-ready]"
CLIP = "input[aria-label='frame of the clip']"
PHONE = dict(width=390, height=844)
LONG = 120 * SECONDS


@pytest.fixture(scope="module")
def running():
    "One browser for all tests of this file."
    with chromium(pytest.fail if os.environ.get(REQUIRED) else pytest.skip) as found:
        yield found


@pytest.fixture
def browser(running):
    "The browser, without the pages of other tests."
    yield running
    for context in running.contexts:
        context.close()


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
def models(tmp_path_factory) -> dict[str, OnnxModel]:
    "The trained generator for emoji; the rest small and untrained."
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    sharp = {"retrieval.scale": 200.0}  # else an untrained model looks everywhere
    chosen = {
        "anchors": "fomm-emoji",
        "splines": build("tpsmm", "toy").eval(),
        "tokens": build("motion_transformer", "toy").eval(),
        "lookup": build("pose_attentive", "toy", **sharp).eval(),
    }
    assert set(chosen) == set(web.EXPLORERS)
    return {key: export_model(model, folder / key, "float16") for key, model in chosen.items()}


@pytest.fixture(scope="module")
def scenes(models):
    "Emoji, and figures of the toy world."
    sizes = {key: model.card["size"] for key, model in models.items()}
    return {
        key: emoji_scene(size) if key == "anchors" else toy_scene("body", size, 6)
        for key, size in sizes.items()
    }


@pytest.fixture(scope="module")
def pages(models, scenes, runtime, tmp_path_factory):
    "All pages."
    return web.write_explorers(tmp_path_factory.mktemp("pages") / "out", models, scenes, runtime)


class Quiet(http.server.SimpleHTTPRequestHandler):
    "A server that does not tell of every request."

    def log_message(self, *words):
        "Nothing."


@pytest.fixture(scope="module")
def address(pages):
    "The pages, served to this machine."
    serve = functools.partial(Quiet, directory=str(pages))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def open_page(browser, address, name="anchors", before="", **options) -> Page:
    "A page in the browser, when its network runs or has given up; `before`: a script to run first."
    context = browser.new_context(**(dict(viewport=WINDOW) | options))
    opened = Page(context, own_addresses=(address,))
    opened.page.add_init_script(before)
    opened.page.goto(f"{address}/{name}.html")
    opened.page.wait_for_selector(READY, timeout=LONG)
    return opened


def state_of(opened: Page) -> str:
    return opened.page.get_attribute("#explorer", "data-ready")


def expect_clean(opened: Page):
    "No request has left the page, and nothing was complained of."
    readback = "willReadFrequently"  # Chromium's remark on a test that reads a canvas often
    assert not opened.requests
    assert not [text for text in opened.problems if readback not in text]


# ---- every page opens ----
CONTROLS = "#explorer button, #explorer input, #explorer [tabindex='0']"
REACHED = """o => {
  o.scrollIntoView({block: 'center'});
  const box = o.getBoundingClientRect();
  const middle = [box.left + box.width / 2, box.top + box.height / 2];
  const top = document.elementFromPoint(...middle);
  return {
    name: o.getAttribute('aria-label') || o.textContent,
    inside: box.left >= 0 && box.right <= innerWidth && box.width > 5 && box.height > 5,
    free: o === top || o.contains(top) || top instanceof SVGElement,  // handles lie on each other
  };
}"""


def expect_usable(page):
    "Nothing is wider than the screen, and every control can be reached and has a name."
    width = page.viewport_size["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    controls = [o for o in page.locator(CONTROLS).all() if o.is_visible()]
    assert len(controls) > 8
    for control in controls:
        found = control.evaluate(REACHED)
        assert found["name"] and found["inside"] and found["free"], found


@pytest.mark.parametrize("name", NAMES)
def test_a_page_on_a_server_on_a_phone(browser, address, name):
    opened = open_page(browser, address, name, viewport=PHONE, has_touch=True)
    assert state_of(opened) == "yes"
    expect_usable(opened.page)
    assert "ms in this browser" in opened.page.inner_text("main")
    expect_clean(opened)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_from_a_disk(browser, pages, name):
    opened = open_file(browser, pages / f"{name}.html", pages.as_uri())
    opened.page.wait_for_selector(READY, timeout=LONG)
    assert state_of(opened) == "yes"
    expect_usable(opened.page)
    assert opened.page.locator(".twin").count() == 0
    expect_clean(opened)


def expect_twin(opened: Page, reason: str) -> str:
    "The still image is there, with one line; nothing else can be pressed."
    assert state_of(opened) == "no"
    lines = opened.page.locator("[role=status]").all_inner_texts()
    assert len(lines) == 1 and reason in lines[0]
    assert opened.page.evaluate("document.querySelector('.twin').naturalWidth") > 100
    assert opened.page.locator("button").count() == 0
    expect_clean(opened)
    return lines[0]


@pytest.mark.parametrize("name", NAMES)
def test_without_webassembly_the_still_image_stays(browser, address, name):
    opened = open_page(browser, address, name, "delete window.WebAssembly")
    line = expect_twin(opened, "this browser has no WebAssembly")
    assert "http.server" not in line


def test_a_disk_that_the_browser_refuses(browser, pages):
    refused = "URL.createObjectURL = () => { throw new Error('refused'); }"
    opened = open_page(browser, pages.as_uri(), "anchors", refused)
    line = expect_twin(opened, "refused")
    assert "python -m http.server 8000" in line and "127.0.0.1:8000/anchors.html" in line


# ---- anchors ----
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
    expect_clean(opened)


def canvas_of(page, number: int) -> np.ndarray:
    "Bytes of a panel."
    data = page.evaluate(
        f"[...(c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data)"
        f"(document.querySelectorAll('.square canvas')[{number}])]"
    )
    return np.array(data, dtype=int)


def changed(before: np.ndarray, after: np.ndarray) -> float:
    "The share of bytes that differ visibly."
    return (np.abs(after - before) > 8).mean()


def wait_for_frame(page):
    "Until nothing is being computed."
    page.wait_for_timeout(0.2 * SECONDS)
    page.wait_for_function("!animlib.stage.busy", timeout=LONG)


def drag(page, handle, x: int, y: int):
    "A handle, so many pixels further."
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    start = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(start[0] + x, start[1] + y, steps=3)
    page.mouse.up()


def test_hands_keys_and_the_clip_move_anchors(browser, address):
    opened = open_page(browser, address)
    page = opened.page
    wait_for_frame(page)
    still = canvas_of(page, 1)

    chosen = page.locator("circle.chosen")  # the one that moves most of the image
    drag(page, chosen, 60, -40)
    wait_for_frame(page)
    dragged = canvas_of(page, 1)
    assert changed(still, dragged) > 0.01

    chosen.focus()
    for _ in range(3):
        page.keyboard.press("Shift+ArrowDown")
    wait_for_frame(page)
    assert changed(dragged, canvas_of(page, 1)) > 0.002

    page.get_by_role("button", name="reset").click()
    wait_for_frame(page)
    assert np.abs(canvas_of(page, 1) - still).max() == 0

    page.locator(CLIP).evaluate("o => { o.value = 8; o.dispatchEvent(new Event('input')); }")
    wait_for_frame(page)
    assert changed(still, canvas_of(page, 1)) > 0.02
    expect_clean(opened)


# ---- splines ----
def test_hands_keys_and_the_slider_bend_splines(browser, address):
    opened = open_page(browser, address, "splines")
    page = opened.page
    wait_for_frame(page)
    point = page.get_by_label("group 1, point 1", exact=True)
    lattice = page.locator("path.web").first  # over the source
    straight = lattice.get_attribute("d")
    still = canvas_of(page, 2)

    drag(page, point, 50, 30)
    wait_for_frame(page)
    bent = lattice.get_attribute("d")
    dragged = canvas_of(page, 2)
    assert bent != straight and np.abs(dragged - still).max() > 0

    point.focus()
    page.keyboard.press("Shift+ArrowLeft")
    wait_for_frame(page)
    assert np.abs(canvas_of(page, 2) - dragged).max() > 0

    stiff = page.get_by_label("stiffness")
    before = lattice.get_attribute("d")
    stiff.focus()
    page.keyboard.press("End")
    assert lattice.get_attribute("d") != before

    page.get_by_role("button", name="reset").click()
    wait_for_frame(page)
    assert np.abs(canvas_of(page, 2) - still).max() == 0
    expect_clean(opened)


# ---- attention ----
STATE = "(({seen, query, at, busy}) => ({query, at, busy}))(animlib.tokens.state())"
SEEN = "[...animlib.tokens.state().seen.data]"


def patch_place(box: dict, row: int, column: int, side: int) -> tuple[float, float]:
    "The middle of a patch on the screen."
    step = box["width"] / side
    return box["x"] + (column + 0.5) * step, box["y"] + (row + 0.5) * step


def test_patches_tokens_heads_and_frames(browser, address, models):
    opened = open_page(browser, address, "attention")
    page = opened.page
    layers, heads, total, _ = models["tokens"].card["graphs"]["attention"]["outputs"]["attention"]
    tokens = web.motion_tokens(models["tokens"].card)
    side = round((total - tokens) ** 0.5)
    told = page.locator(".told")
    assert page.evaluate(STATE)["query"] == 0 and told.inner_text().startswith("Token 1 (")
    tiles = page.locator(".tiles button")
    assert tiles.count() == layers * (heads + 1)

    square = page.locator(".square").first
    square.scroll_into_view_if_needed()
    box = square.bounding_box()
    before = canvas_of(page, 0)
    page.mouse.move(*patch_place(box, side - 1, 0, side))  # hover
    assert page.evaluate(STATE)["query"] == tokens + (side - 1) * side
    assert f"row {side}, column 1" in told.inner_text()
    page.mouse.move(box["x"] - 20, box["y"] - 5)
    assert page.evaluate(STATE)["query"] == 0  # as before
    assert np.abs(canvas_of(page, 0) - before).max() == 0

    page.mouse.click(*patch_place(box, 0, side - 1, side))
    page.mouse.move(box["x"] - 20, box["y"] - 5)
    assert page.evaluate(STATE)["query"] == tokens + side - 1  # it stays
    page.get_by_label("the patch that looks").focus()
    page.keyboard.press("ArrowDown")
    assert page.evaluate(STATE)["query"] == tokens + 2 * side - 1

    page.get_by_role("button", name="token 2").click()
    assert page.evaluate(STATE)["query"] == 1
    tiles.first.click()
    assert page.evaluate(STATE)["at"] == [0, 0]
    page.keyboard.press("ArrowRight")
    assert page.evaluate(STATE)["at"] == [0, 1]

    seen = page.evaluate(SEEN)
    page.locator(CLIP).first.evaluate("o => { o.value = 3; o.dispatchEvent(new Event('input')); }")
    page.wait_for_function(f"!({STATE}).busy", timeout=LONG)
    assert page.evaluate(SEEN) != seen
    expect_clean(opened)


def test_attention_of_the_page_is_the_models(browser, address, models, scenes):
    opened = open_page(browser, address, "attention")
    model = models["tokens"]
    scene = scenes["tokens"]
    tokens = web.motion_tokens(model.card)
    stored = as_images(torch.from_numpy(to_uint8(scene.clip[0])))  # as the page has it

    found = model.run("attention", {"frame": stored[None].numpy()})

    attention = torch.from_numpy(found["attention"])
    made = torch.tensor(opened.page.evaluate(SEEN)).reshape(attention.shape)
    torch.testing.assert_close(made, attention, atol=1e-4, rtol=0)
    layer, head = opened.page.evaluate(STATE)["at"]
    assert head == attention.shape[1]  # the mean of all
    near = token_tree(keypoints(model, scene, tokens), scene.joints, scene.family)
    expected = rank_correlation(attention[layer, :, :tokens, :tokens].mean(0), near)
    assert abs(opened.page.evaluate("animlib.tokens.correlation") - expected) < 1e-3
    assert f"{expected:.2f}" in opened.page.locator("figcaption", has_text="Rank").inner_text()


def keypoints(model: OnnxModel, scene, tokens: int) -> torch.Tensor:  # `[t,m,2]`
    "Of the tokens, in all frames."
    xy = torch.from_numpy(model.detect(scene.clip.numpy())["xy"])
    return xy[:, torch.arange(tokens) % xy.shape[1]]


def test_all_heads_share_a_scale_on_which_uniform_is_marked(browser, address):
    opened = open_page(browser, address, "attention")
    page = opened.page
    legends = page.locator(".tiles + div .legend")

    top = page.evaluate("animlib.tokens.state().seen.tokenTop")
    all_tokens = page.evaluate("animlib.tokens.state().seen.all")

    assert f"uniform: {100 / all_tokens:.1f} %" in legends.inner_text()
    assert f"{100 * top:.1f} %" in legends.inner_text()
    left = float(page.locator(".tiles + div i").get_attribute("style").split(":")[1].rstrip("%"))
    assert abs(left - 100 * (1 / all_tokens / top) ** 0.5) < 0.1
    strongest = page.evaluate(  # opacity of the darkest pixel in all thumbnails
        "Math.max(...[...document.querySelectorAll('.tiles canvas')].flatMap(c =>"
        " [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
        ".filter((_, i) => i % 4 === 3)))"
    )
    assert 0 < strongest <= 235


def test_the_lookup_follows_the_mouse(browser, address):
    opened = open_page(browser, address, "attention")
    page = opened.page
    lookup = page.locator("section").nth(1)
    source = lookup.locator(".square canvas").nth(1)
    square = lookup.locator(".square").first
    square.scroll_into_view_if_needed()
    box = square.bounding_box()

    def shown() -> str:
        return source.evaluate("c => c.toDataURL()")

    def wait_for(reached):
        page.wait_for_timeout(0.1 * SECONDS)
        for _ in range(600):
            if reached(shown()):
                return
            page.wait_for_timeout(0.1 * SECONDS)
        raise AssertionError("the source shows something else")

    before = shown()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.8 * box["height"])
    wait_for(lambda now: now != before)
    page.mouse.move(box["x"] - 20, box["y"] - 5)
    wait_for(lambda now: now == before)
    page.get_by_label("the place that is looked up").focus()
    for _ in range(3):
        page.keyboard.press("Shift+ArrowRight")
    wait_for(lambda now: now != before)
    expect_clean(opened)


# ---- the pages of the site ----
@pytest.mark.slow
def test_the_models_of_the_zoo(browser, runtime, tmp_path):
    pages = web.build_explorers(tmp_path / "out", runtime=runtime)
    for name in NAMES:
        opened = open_file(browser, pages / f"{name}.html", pages.as_uri())
        opened.page.wait_for_selector(READY, timeout=LONG)
        assert state_of(opened) == "yes"
        expect_clean(opened)
