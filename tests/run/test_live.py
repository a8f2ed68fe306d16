"An image that follows a camera, in a browser; a file plays the camera, or the browser's own does."

import asyncio
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from urllib.parse import urlsplit

import numpy as np
import pytest
from browser import SECONDS, Page
from PIL import Image
from project_files import ROOT
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

from animlib.animation import source_images
from animlib.cli import main
from animlib.data import toy
from animlib.inference import ready
from animlib.media.write import Video
from animlib.run.camera import LiveAnimator, reading
from animlib.run.camera_input import played_frames
from animlib.run.camera_page import LivePage
from animlib.run.camera_server import serving_page
from animlib.viz.images import to_uint8
from animlib.zoo.hub import load

DESKTOP = dict(width=1100, height=850)
PHONE = dict(width=390, height=844)
LONG = 60 * SECONDS


@pytest.fixture(scope="module")
def clips():
    "Two toy bodies, `[2,t,3,64,64]`."
    return toy.clips("body", 2, 12, 64, toy.split_seed("test")).video


@pytest.fixture(scope="module")
def inputs(clips, tmp_path_factory):
    "An image, another one, and a video that plays the camera."
    folder = tmp_path_factory.mktemp("live")
    Image.fromarray(to_uint8(clips[0, 0])).save(folder / "me.png")
    Image.fromarray(to_uint8(clips[1, 5])).save(folder / "you.png")
    Video.from_tensor(clips[1], 12.0).save(folder / "dance.mp4")
    return folder


@pytest.fixture(scope="module")
def model():
    return ready(load("fomm-body"), "cpu")


@pytest.fixture
def live(model, inputs):
    return LiveAnimator(model, source_images(model, inputs / "me.png"), mirror=False)


@pytest.fixture
def server(live, inputs):
    "A page of which the program has the camera, and that is a file."
    with reading(played_frames(inputs / "dance.mp4")) as camera:
        with serving_page(LivePage(live, camera)) as serving:
            yield serving


def opened(browser, server, window: dict = DESKTOP) -> tuple[Page, list[dict]]:
    "The page, when three frames were drawn; and the orders that it sends."
    orders: list[dict] = []

    def note(message):
        if isinstance(message, str):
            orders.append(json.loads(message))

    own = (server.address, server.address.replace("http", "ws"))
    shown = Page(browser.new_context(viewport=window), own)
    shown.page.on("websocket", lambda o: o.on("framesent", note))
    shown.page.goto(server.address)
    wait_for_frames(shown.page, 3)
    return shown, orders


def wait_for_frames(page, n: int):
    "Until so many more were drawn."
    drawn = "Number(document.body.dataset.frames || 0)"
    count = page.evaluate(drawn)
    wait_until(page, f"{drawn} >= {count + n}")


def wait_until(page, condition: str):
    "Until this is true; the page's own rules forbid playwright's `wait_for_function`."
    end = time.monotonic() + LONG / SECONDS
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(30)


def result(page) -> np.ndarray:  # int `[h,w,3]`
    "The pixels of the image, moved."
    pixels = page.evaluate(
        "(() => { const pen = new OffscreenCanvas(64, 64).getContext('2d');"
        " pen.drawImage(document.getElementById('result'), 0, 0);"
        " return [...pen.getImageData(0, 0, 64, 64).data] })()"
    )
    return np.array(pixels).reshape(64, 64, 4)[..., :3]


def difference(one, other) -> float:
    return np.abs(one.astype(int) - other).mean()


# ---- the page ----
def test_a_file_drives_the_image(browser, server, inputs, tmp_path):
    shown, orders = opened(browser, server)
    page = shown.page
    seen = []
    for _ in range(4):
        seen.append(result(page))
        wait_for_frames(page, 3)
    assert max(difference(one, seen[0]) for one in seen) > 2, "it does not move"
    wait_until(page, "Number(document.getElementById('rate').innerText) > 0")
    assert 0 < float(page.inner_text("#delay")) < 20_000

    page.keyboard.press("m")
    wait_until(page, "state.mirror")
    page.keyboard.press("a")
    wait_until(page, "state.mode === 'absolute'")
    assert page.is_disabled("#start")
    page.get_by_role("button", name="relative").click()
    wait_until(page, "state.mode === 'relative'")
    assert [order["do"] for order in orders] == ["mirror", "mode", "mode"]

    page.set_input_files("#file", inputs / "you.png")
    wait_until(page, "state.source === 2")
    (tmp_path / "text.png").write_text("no image")
    page.set_input_files("#file", tmp_path / "text.png")
    page.wait_for_selector("#note:not([hidden])")
    assert "found others" in page.inner_text("#note")
    wait_for_frames(page, 1)
    assert page.evaluate("state.source") == 2
    assert not shown.requests and not shown.problems


def test_space_pauses_and_s_saves_what_is_shown(browser, server, tmp_path):
    shown, _ = opened(browser, server)
    page = shown.page
    page.keyboard.press(" ")
    page.wait_for_selector("#paused")
    page.wait_for_timeout(0.7 * SECONDS)
    still = result(page)
    page.wait_for_timeout(0.5 * SECONDS)
    assert (result(page) == still).all()

    with page.expect_download() as download:
        page.keyboard.press("s")
    download.value.save_as(tmp_path / "saved.png")
    saved = np.array(Image.open(tmp_path / "saved.png"))
    assert saved.shape == (64, 64, 3) and difference(saved, still) < 3
    assert re.fullmatch(r"animlib-[\d-]+\.png", download.value.suggested_filename)
    page.keyboard.press(" ")
    wait_for_frames(page, 1)
    assert not shown.requests and not shown.problems


def test_r_starts_from_what_the_camera_shows(browser, live, clips):
    poses = list(to_uint8(clips[1, [0, 8]]))
    shown_now = [poses[0]]

    def camera_frames():
        while True:
            time.sleep(0.03)
            yield shown_now[0]

    with reading(camera_frames()) as camera, serving_page(LivePage(live, camera)) as server:
        shown, orders = opened(browser, server)
        page = shown.page
        own_pose = result(page)
        shown_now[0] = poses[1]
        wait_for_frames(page, 4)
        moved = result(page)
        page.keyboard.press("r")
        wait_for_frames(page, 4)
        started = result(page)
    assert orders == [{"do": "start"}]
    assert difference(moved, own_pose) > 2 > difference(started, own_pose)
    assert not shown.requests and not shown.problems


def test_the_camera_of_the_browser(browser, live):
    "Chromium's own is a moving disc, which is no figure; it is asked for, sent, and answered."
    with serving_page(LivePage(live)) as server:
        shown, _ = opened(browser, server)
        assert shown.page.evaluate("document.getElementById('video').videoWidth") > 0
        shown.page.wait_for_selector("text=far from the frames that this model was trained on")
        assert not shown.requests and not shown.problems
    shown.page.wait_for_selector("text=Start animlib live again", timeout=LONG)
    live_tracks = "stream.getTracks().filter(o => o.readyState === 'live').length"
    assert shown.page.evaluate(live_tracks) == 0  # the camera's lamp is off


def test_a_telephone_takes_over(browser, server):
    "Two pages of one program: the second one goes on, and the first is told."
    first, _ = opened(browser, server)
    second, _ = opened(browser, server, PHONE)
    first.page.wait_for_selector("text=Open in another page")
    page = second.page
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    for name in ("result", "start", "pause"):
        box = page.locator(f"#{name}").bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"]
        assert box["y"] + box["height"] <= PHONE["height"]
    wait_for_frames(page, 2)
    assert not first.problems and not second.problems


# ---- the server ----
def get(address: str, path: str = "", **headers) -> int:
    "Code of an answer."
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    connection.request("GET", f"{parts.path}{path}", headers=headers)
    reply = connection.getresponse()
    reply.read()
    connection.close()
    return reply.status


def test_only_this_machine_with_the_key_comes_in(server):
    assert urlsplit(server.address).hostname == "127.0.0.1"
    for path in ("", "frame.png", "source.png"):
        assert get(server.address, path) == 200
        wrong_key = server.address[:-5] + "xxxx/"
        for address, headers in (
            (wrong_key, {}),
            (server.address, {"Host": f"evil.example:{server.port}"}),
            (server.address, {"Host": "127.0.0.1:1"}),
            (server.address, {"Origin": "http://evil.example"}),
        ):
            assert get(address, path, **headers) == 404, (path, headers)
    for path in ("../", "..", "x", "other.png", "../../settings.ini"):
        assert get(server.address, path) == 404, path


@pytest.mark.parametrize(
    "origin,host", [("http://evil.example", None), ("null", None), (None, "evil.example:80")]
)
def test_no_other_page_opens_the_socket(server, origin, host):
    own = f"http://127.0.0.1:{server.port}"
    headers = {"Origin": origin or own} | ({"Host": host} if host else {})
    address = server.address.replace("http", "ws") + "socket"
    with pytest.raises(HTTPClientError, match="40[34]"):
        asyncio.run(connect(address, headers))
    asyncio.run(connect(address, {"Origin": own}))


async def connect(address: str, headers: dict):
    (await websocket_connect(HTTPRequest(address, headers=headers))).close()


@pytest.mark.parametrize("order", ["", "[]", "no json", "{}", '{"do": "fly"}', '{"do": "mode"}'])
def test_a_wrong_order_changes_nothing(live, order):
    page = LivePage(live)
    before = json.loads(page.state())
    (after,) = map(json.loads, page.answers([order], None))
    assert "expected an order" in after.pop("note")
    assert after == {name: before[name] for name in after}


# ---- the command ----
def words(inputs, *more) -> list[str]:
    given = ["live", "--model", "fomm-body", "--source", inputs / "me.png", "--no-browser", *more]
    return [str(word) for word in given]


@pytest.mark.parametrize(
    "more,message",
    [
        (["--video", "none.mp4"], "check the path"),
        (["--camera", "0", "--video", "none.mp4"], "found both"),
        (["--camera", "99999"], "leave --camera out"),
        (["--camera", "x"], "expected a whole number"),
        (["--mode", "realtive"], "did you mean"),
        (["--size", "7"], "nearest: 32"),
    ],
)
def test_what_is_wrong_is_one_line(inputs, more, message, capsys, monkeypatch):
    monkeypatch.setattr("animlib.run.camera_server.show_live", lambda *given: None)
    assert main(words(inputs, *more)) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1


def test_a_port_that_is_taken(inputs, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert main(words(inputs, "--port", taken.getsockname()[1])) == 2
    said = capsys.readouterr().err
    assert "--port" in said and "leave it out" in said and said.count("\n") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("number,code", [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_it_is_ended_cleanly(inputs, number, code):
    command = [sys.executable, "-m", "animlib", *words(inputs, "--video", inputs / "dance.mp4")]
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": paths}, **pipes)
    address = re.match(r"http://\S+", process.stdout.readline())[0]
    assert get(address) == 200
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert err == ("" if code == 0 else "animlib: stopped\n")
