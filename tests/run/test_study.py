"A study in a real browser: sides, keys, a stop in the middle; and what a server must refuse."

import csv
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from urllib.parse import urlsplit

import pytest
from browser import SECONDS, Page
from project_files import ROOT

from animlib.cli import main
from animlib.core import InputError
from animlib.data import toy
from animlib.media.write import Video
from animlib.run.asking import asking
from animlib.run.study import Study, questions_for, systems_of, videos_in

DESKTOP = dict(width=1200, height=800)
PHONE = dict(width=390, height=844)
READY = "#left:enabled"
SEEN = ("left", "right", "reference", "undo")  # without scrolling


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    "Three systems with two videos each, and what drives them."
    top = tmp_path_factory.mktemp("systems")
    clips = toy.clips("face", 4, 8, 64, toy.split_seed("test")).video
    for i, system in enumerate(("fomm", "tpsmm", "x2face", "driving")):
        (top / system).mkdir()
        for name, video in zip(("nod", "smile"), (clips[i], clips[i].flip(0))):
            Video.from_tensor(video, 10.0).save(top / system / f"{name}.mp4")
    return [top / system for system in ("fomm", "tpsmm", "x2face")]


def opened(browser, address: str, window: dict = DESKTOP) -> Page:
    "The page, when the first question can be answered."
    shown = Page(browser.new_context(viewport=window), (address,))
    shown.page.goto(address)
    shown.page.wait_for_selector(READY, timeout=30 * SECONDS)
    return shown


def answer(page, key: str):
    "Press a key, and wait for the next question or the end."
    count = page.inner_text("#count")
    page.keyboard.press(key)
    page.wait_for_function("o => document.getElementById('count').innerText != o", arg=count)
    over = "() => document.querySelector('#left:enabled, #message:not(:empty)')"
    page.wait_for_function(over, timeout=30 * SECONDS)


def rows(out) -> list[dict]:
    "What stands in answers.csv."
    with open(out / "answers.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# ---- the page ----
def test_keys_answer_and_a_study_goes_on(browser, folders, tmp_path):
    study = Study(folders, tmp_path)
    asked = study.questions
    with asking(study) as address:
        shown = opened(browser, address)
        for key in "121":
            answer(shown.page, key)
    assert [(o["name"], o["left"], o["right"]) for o in rows(tmp_path)] == [
        (o.name, o.left, o.right) for o in asked[:3]
    ]
    chosen = [o["chosen"] for o in rows(tmp_path)]
    assert chosen == [asked[0].left, asked[1].right, asked[2].left]
    assert all(0 < float(o["seconds"]) < 60 for o in rows(tmp_path))

    with asking(Study(folders, tmp_path)) as address:  # the same command once more
        shown = opened(browser, address)
        assert shown.page.inner_text("#count") == "3 of 6"
        shown.page.click("#undo")
        shown.page.wait_for_function("() => document.getElementById('count').innerText == '2 of 6'")
        shown.page.wait_for_selector(READY)
        for _ in range(4):
            answer(shown.page, "2")
        assert "Thank you" in shown.page.inner_text("#message")
        assert not shown.page.is_visible("#pair") and not shown.page.is_visible("#left")
    assert len(rows(tmp_path)) == 6
    assert not shown.requests and not shown.problems
    results = (tmp_path / "results.md").read_text()
    assert results.count("could be chance") == 3 and "| rank |" in results


@pytest.mark.parametrize("window", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_both_videos_are_seen_whole(browser, folders, tmp_path, window):
    driving = folders[0].parent / "driving"
    with asking(Study(folders[:2], tmp_path, reference=driving)) as address:
        shown = opened(browser, address, window)
        page = shown.page
        boxes = [page.locator(f"#{o}").bounding_box() for o in SEEN]
        for box in boxes:
            assert box["x"] >= 0 and box["x"] + box["width"] <= window["width"]
            assert box["y"] >= 0 and box["y"] + box["height"] <= window["height"]
        assert all(box["height"] > 90 for box in boxes[:3])
        plays = "[...document.querySelectorAll('video')].map(o => !o.paused && o.currentTime)"
        page.wait_for_timeout(300)
        times = page.evaluate(plays)
        assert len(times) == 3 and all(times)
        page.keyboard.press(" ")
        page.wait_for_timeout(100)
        assert not any(page.evaluate(plays))
        page.click("#left")
        page.wait_for_function("() => document.getElementById('count').innerText == '1 of 2'")
        assert not shown.problems


def test_nothing_on_the_page_says_whose_a_video_is(browser, folders, tmp_path):
    with asking(Study(folders, tmp_path)) as address:
        seen = []
        shown = opened(browser, address)
        shown.page.on("request", lambda request: seen.append(request.url))
        shown.page.reload()
        shown.page.wait_for_selector(READY)
        seen.append(shown.page.content())
    assert not any(folder.name in text for folder in folders for text in seen)


def test_a_file_that_no_browser_plays_can_be_left_out(browser, folders, tmp_path):
    for system in ("A", "B"):
        (tmp_path / system).mkdir()
        (tmp_path / system / "broken.mp4").write_bytes(b"no video")
    study = Study([tmp_path / "A", tmp_path / "B"], tmp_path / "out")
    with asking(study) as address:
        shown = Page(browser.new_context(viewport=DESKTOP), (address,))
        shown.page.goto(address)
        shown.page.click("#skip", timeout=30 * SECONDS)
        shown.page.wait_for_selector("text=Thank you")
    assert rows(tmp_path / "out")[0]["chosen"] == "" and study.wins() == {}


def test_the_page_says_when_the_program_has_ended(browser, folders, tmp_path):
    with asking(Study(folders, tmp_path)) as address:
        shown = opened(browser, address)
    shown.page.keyboard.press("1")
    shown.page.wait_for_selector("text=Not connected")


def test_an_answer_is_on_the_disk_before_the_next_question(folders, tmp_path):
    study = Study(folders, tmp_path)
    study.answer(study.waiting()[0], "left")
    assert len(rows(tmp_path)) == 1
    assert len(Study(folders, tmp_path).waiting()) == len(study.questions) - 1


# ---- the server ----
def get(address: str, path: str, method: str = "GET", body: str = "", **headers):
    "Code, headers and content of a request."
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    connection.request(method, f"{parts.path}{path}", body or None, headers)
    reply = connection.getresponse()
    content = reply.read()
    connection.close()
    return reply.status, dict(reply.getheaders()), content


def test_only_this_machine_with_the_key_comes_in(folders, tmp_path):
    with asking(Study(folders, tmp_path)) as address:
        assert urlsplit(address).hostname == "127.0.0.1"
        assert get(address, "state")[0] == 200
        for path in ("../state", "../", "..", "../no-key/state", "media/0/left/../../state"):
            assert get(address, path)[0] == 404, path
        assert get(address, "state", Host="evil.example:80")[0] == 404
        wrong_key = address[:-5] + "xxxx/"
        for path in ("", "state", "media/0/left"):
            assert get(wrong_key, path)[0] == 404
    assert not (tmp_path / "answers.csv").exists()


@pytest.mark.parametrize("path", ["media/99/left", "media/-1/left", "media/0/up", "media/0/", "x"])
def test_no_other_file_is_served(folders, tmp_path, path):
    with asking(Study(folders, tmp_path)) as address:
        assert get(address, path)[0] == 404


WRONG = ["", "[]", "no json", "{}", '{"question": 0}', '{"question": "0", "side": "left"}']
WRONG += [
    '{"question": 0, "side": "up", "seconds": 1}',
    '{"question":0,"side":"left","seconds":"x"}',
]
WRONG += ['{"question": true, "side": "left", "seconds": 1}']


@pytest.mark.parametrize("body", WRONG)
def test_a_wrong_answer_changes_nothing(folders, tmp_path, body):
    study = Study(folders, tmp_path)
    with asking(study) as address:
        assert get(address, "answer", "POST", body)[0] == 400
    assert not study.answers and not (tmp_path / "answers.csv").exists()


def test_an_answer_that_comes_twice_counts_once(folders, tmp_path):
    study = Study(folders, tmp_path)
    with asking(study) as address:
        for side in ("left", "right"):
            body = json.dumps(dict(question=0, side=side, seconds=1))
            assert get(address, "answer", "POST", body)[0] == 200
    assert [o["chosen"] for o in rows(tmp_path)] == [study.questions[0].left]


def test_a_part_of_a_video_can_be_asked_for(folders, tmp_path):
    study = Study(folders, tmp_path)
    with asking(study) as address:
        whole = get(address, "media/0/left")[2]
        code, headers, part = get(address, "media/0/left", Range="bytes=10-19")
    assert whole == (study.systems[study.questions[0].left][study.questions[0].name]).read_bytes()
    assert (code, part) == (206, whole[10:20])
    assert headers["Content-Range"] == f"bytes 10-19/{len(whole)}"


def test_a_folder_has_one_study_at_a_time(folders, tmp_path):
    with asking(Study(folders, tmp_path)):
        with pytest.raises(InputError, match="at work"), asking(Study(folders, tmp_path)):
            pass


# ---- the questions ----
def test_questions_are_balanced_and_stay(folders):
    systems = systems_of(folders)
    assert questions_for("me", systems) == questions_for("me", systems)
    firsts = [questions_for(str(i), systems)[0] for i in range(300)]
    assert 110 < sum(o.left < o.right for o in firsts) < 190
    assert len({(o.name, *sorted((o.left, o.right))) for o in firsts}) == 6


def test_what_no_study_can_be_made_of(folders, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "walk.gif").write_bytes((folders[0] / "nod.mp4").read_bytes())
    with pytest.raises(InputError, match="two or more different folders"):
        Study([folders[0]])
    with pytest.raises(InputError, match="found none"):
        Study([folders[0], tmp_path / "empty"])
    with pytest.raises(InputError, match="of the same names"):
        Study([folders[0], tmp_path / "others"])
    with pytest.raises(InputError, match="check the path"):
        videos_in(tmp_path / "missing")


# ---- the command ----
def test_the_command_refuses_in_one_line(folders, tmp_path, capsys):
    assert main(["study", str(folders[0]), "--out", str(tmp_path / "o")]) == 2
    assert "two or more" in capsys.readouterr().err and not (tmp_path / "o").exists()


def test_answers_that_are_not_of_a_study_stay(folders, tmp_path, capsys):
    file = tmp_path / "answers.csv"
    file.write_text("mine\n")
    words = ["study", *map(str, folders), "--out", str(tmp_path), "--no-browser"]
    assert main(words) == 2
    assert "name another --out" in capsys.readouterr().err and file.read_text() == "mine\n"


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_control_c_is_an_end_and_keeps_every_answer(folders, tmp_path):
    command = [sys.executable, "-m", "animlib", "study", *map(str, folders), "--no-browser"]
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    env = os.environ | {"PYTHONPATH": paths}
    process = subprocess.Popen([*command, "--out", str(tmp_path)], env=env, **pipes)
    address = re.match(r"http://\S+", process.stdout.readline())[0]
    body = json.dumps(dict(question=0, side="left", seconds=2))
    assert get(address, "answer", "POST", body)[0] == 200
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0 and not err
    assert "| share |" in out and len(rows(tmp_path)) == 1
