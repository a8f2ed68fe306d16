"""Data of the papers, from local videos: a program that stands for yt-dlp, and interruptions."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from project_files import ROOT
from videos import disc, error_line, write_video

from animlib.cli import main
from animlib.data.coded import CODINGS, read_clip, write_clip
from animlib.data.download import read_report
from animlib.data.filling import get_folder, get_videos
from animlib.data.pairs import read_pairs
from animlib.data.recipes import COLUMNS, RECIPES, read_metadata
from animlib.data.store import index_store, open_store, read_store
from animlib.media.image import disc_columns
from animlib.media.read import read_frames

FAKE = """#!{python}
import os, shutil, sys, time
video = sys.argv[-1].rpartition("=")[2]
home = {home!r}
with open(home + "/asked", "a") as asked:
    asked.write(video + "\\n")
out = sys.argv[sys.argv.index("--output") + 1].replace("%(ext)s", "mp4")
if video.startswith("gone"):
    print("WARNING: [youtube] an older version")
    sys.exit("ERROR: [youtube] " + video + ": Video unavailable. This video is private")
if os.path.exists(home + "/down-" + video):
    sys.exit("ERROR: unable to download: <urlopen error timed out>")
if os.path.exists(home + "/slow-" + video):
    open(out + ".part", "w").write("half")
    open(home + "/waiting", "w").close()
    time.sleep(60)
shutil.copy(home + "/" + video + ".mp4", out)
"""
LINES = {  # video -> clips: start, end, split
    "vid1": [(5, 30, "train"), (20, 45, "train")],
    "vid2": [(0, 20, "train")],
    "vid3": [(10, 40, "test")],
    "vid4": [(30, 55, "test"), (40, 70, "test")],  # it has 60 frames
    "gone1": [(0, 20, "train")],
}
N_CLIPS = 7


@pytest.fixture
def home(tmp_path, monkeypatch):
    "Local videos, a list of clips, and a yt-dlp that copies them."
    for i in range(1, 5):
        write_video(tmp_path / f"vid{i}.mp4", disc(60, 72, 128, step=0.3 + 0.2 * i))
    rows = [",".join([*COLUMNS, "person_id"])]
    for video, clips in LINES.items():
        for start, end, split in clips:
            rows.append(f"{video},{start},{end},8-0-72-64,25,128,72,{split},id{video[-1]}")
    (tmp_path / "list.csv").write_text("\n".join(rows))
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "yt-dlp"
    program.write_text(FAKE.format(python=sys.executable, home=str(tmp_path)))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def get(home, *words):
    "The command; its exit code."
    given = ["--metadata", home / "list.csv", "--out", home / "set", "--size", 32, *words]
    return main(["data", "get", "taichi", *given])


def clips_of(home):
    "Names of the clips that are there; every one must be whole."
    found = sorted((home / "set").glob("t*/*.mp4"))
    for path in found:
        start, end = map(int, path.stem.split("#")[-2:])
        assert len(list(read_frames(path))) == end - start
    return {path.stem for path in found}


def left(home):
    "Everything in the folder of the set that is no clip."
    files = [path for path in (home / "set").rglob("*") if path.is_file()]
    return sorted(path.name for path in files if path.suffix != ".mp4")


def asked(home):
    return (home / "asked").read_text().split() if (home / "asked").exists() else []


# ---- the whole way ----
def test_a_set_comes_and_its_report_is_right(home, capsys):
    assert get(home) == 0

    text = capsys.readouterr().out
    assert "5 of 7 clips are here" in text
    assert "vanished: 1 videos, 1 clips" in text and "gone1: ERROR" in text
    assert "damaged: 1 videos, 1 clips" in text and "vid4: expected 30 frames, found 20" in text
    assert clips_of(home) == {
        "id1#vid1#000005#000030",
        "id1#vid1#000020#000045",
        "id2#vid2#000000#000020",
        "id3#vid3#000010#000040",
        "id4#vid4#000030#000055",
    }
    assert left(home) == ["pairs.csv", "recipe.json", "report.csv", "store.json"]
    states = {video: found.state for video, found in read_report(home / "set").items()}
    expected = dict.fromkeys(("vid1", "vid2", "vid3"), "made")
    assert states == expected | dict(vid4="damaged", gone1="vanished")
    assert {pair.source[:3] for pair in read_pairs(home / "set/pairs.csv")} == {"id3", "id4"}


def test_the_clips_are_the_frames_and_the_box_of_the_list(home):
    get(home)
    whole = np.stack(list(read_frames(home / "vid1.mp4")))[20:45, :64, 8:72]

    found = open_store(home / "set", "train", 64).frames(1).numpy()
    assert np.abs(disc_columns(found) - disc_columns(whole)).max() < 1


def test_what_is_there_or_gone_is_not_asked_for(home):
    get(home)
    first = asked(home)
    assert sorted(first) == sorted(LINES)

    assert get(home) == 0 and asked(home) == first
    (home / "set/train/id2#vid2#000000#000020.mp4").unlink()
    assert get(home) == 0 and asked(home) == [*first, "vid2"]
    assert get(home, "--retry") == 0 and set(asked(home)[len(first) + 1 :]) == {"gone1", "vid4"}


def test_what_failed_is_tried_by_the_same_command(home, capsys):
    (home / "down-vid2").touch()
    assert get(home) == 1
    assert "failed: 1 videos, 1 clips, the same command tries again" in capsys.readouterr().out
    assert "pairs.csv" not in left(home), "the set is not complete"

    (home / "down-vid2").unlink()
    assert get(home) == 0 and "id2#vid2#000000#000020" in clips_of(home)


def test_a_part_of_both_splits(home):
    assert get(home, "--limit", 3) == 0
    assert {path.parent.name for path in (home / "set").glob("t*/*.mp4")} == {"train", "test"}
    assert len(clips_of(home)) == 3


# ---- interruptions ----
def interrupted(home, number, jobs=1):
    "The command in a process of its own, ended by a signal while a video is being fetched."
    (home / "waiting").unlink(missing_ok=True)
    words = ["data", "get", "taichi", "--metadata", home / "list.csv", "--out", home / "set"]
    command = [sys.executable, "-m", "animlib", *words, "--size", "32", "--jobs", str(jobs)]
    paths = filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
    env = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    options = dict(env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process = subprocess.Popen([*map(str, command)], **options)
    for _ in range(600):
        if (home / "waiting").exists():
            break
        time.sleep(0.05)
    assert (home / "waiting").exists(), process.communicate(timeout=5)
    process.send_signal(number)
    _, complaint = process.communicate(timeout=30)
    return process.returncode, complaint


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_it_is_interrupted_twice_and_goes_on(home):
    (home / "slow-vid2").touch()
    code, complaint = interrupted(home, signal.SIGINT)
    assert code == 130 and complaint.strip().splitlines() == [
        "animlib: stopped; nothing half-fetched is left, the same command goes on"
    ]
    before = clips_of(home)
    assert before == {"id1#vid1#000005#000030", "id1#vid1#000020#000045"}
    assert left(home) == ["recipe.json", "report.csv", "store.json"]
    assert len(read_store(home / "set").clips["train"]) == 2, "what is there can be used"

    (home / "slow-vid2").unlink()
    (home / "slow-vid3").touch()
    code, _ = interrupted(home, signal.SIGKILL)
    assert code == -signal.SIGKILL and len(clips_of(home)) == 3

    (home / "slow-vid3").unlink()
    assert get(home) == 0 and len(clips_of(home)) == 5
    assert left(home) == ["pairs.csv", "recipe.json", "report.csv", "store.json"]
    assert asked(home).count("vid1") == 1 and asked(home).count("vid2") == 2


def test_a_report_that_broke_off_is_gone_on_with(home):
    get(home, "--limit", 2)
    with open(home / "set/report.csv", "a") as report:
        report.write('vid9,made,"1')

    assert get(home) == 0 and "vid9" not in read_report(home / "set")
    lines = (home / "set/report.csv").read_text().splitlines()[1:]
    assert {line.partition(",")[0] for line in lines} == set(LINES)


def test_an_empty_disk_is_no_fault_of_a_clip(home, monkeypatch):
    import animlib.data.coded as coded

    def full(path, write):
        from animlib.storage import writing

        with writing(path):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(coded, "write_atomic", full)
    line = error_line(get_videos, "taichi", home / "list.csv", home / "set", size=32)
    assert "No space left" in line and read_report(home / "set") == {}


# ---- what is refused ----
def test_without_yt_dlp(home, capsys, monkeypatch):
    monkeypatch.setenv("PATH", str(home / "none"))

    assert get(home) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and "expected the program yt-dlp, found none; pip install" in lines[0]
    assert not (home / "set").exists()


BAD_LISTS = {  # -> what is changed in a good line, and words of the message
    "a path for a video": (("vid2", "../up"), "line 4"),
    "no number": (("vid2,0,20", "vid2,zero,20"), "line 4"),
    "backwards": (("vid2,0,20", "vid2,20,0"), "line 4"),
    "a box without area": (("vid2,0,20,8-0-72-64", "vid2,0,20,8-0-8-64"), "line 4"),
    "no fps": (("vid2,0,20,8-0-72-64,25", "vid2,0,20,8-0-72-64,nan"), "line 4"),
    "another split": (("train,id2", "val,id2"), "line 4"),
    "a column is missing": (("bbox", "box"), "no bbox"),
}


@pytest.mark.parametrize("kind", BAD_LISTS)
def test_a_list_that_cannot_be_meant_names_its_line(home, kind):
    (old, new), word = BAD_LISTS[kind]
    (home / "list.csv").write_text((home / "list.csv").read_text().replace(old, new))

    assert word in error_line(read_metadata, home / "list.csv")


def test_a_folder_with_other_things_is_not_filled(home):
    (home / "set").mkdir()
    (home / "set/mine.txt").write_text("mine")
    call = get_videos, "taichi", home / "list.csv", home / "set"
    assert "a new folder" in error_line(*call, size=32)
    assert left(home) == ["mine.txt"]


def test_a_folder_is_filled_with_one_size(home):
    get(home)
    call = get_videos, "taichi", home / "list.csv", home / "set"
    assert "name another --out" in error_line(*call, size=64)


def test_a_budget_is_told_before_anything_is_fetched(home):
    call = get_videos, "taichi", home / "list.csv", home / "set"
    assert "found an estimate" in error_line(*call, size=32, budget=1e-9)
    assert asked(home) == [] and not (home / "set").exists()


# ---- folders ----
def test_a_folder_of_gifs(tmp_path):
    for split, n in (("train", 3), ("test", 2)):
        for i in range(n):
            (tmp_path / "in" / split).mkdir(parents=True, exist_ok=True)
            write_video(tmp_path / "in" / split / f"{i}.gif", disc(5, 40, 40, step=1 + i))
    (tmp_path / "in/test/broken.gif").write_bytes(b"GIF89a")

    got = get_folder("mgif", tmp_path / "in", tmp_path / "out", size=32)
    assert (got.here, got.wanted, got.ok) == (5, 6, True)
    assert [outcome.video for outcome in got.outcomes] == ["test/broken.gif"]
    true = np.stack(list(read_frames(tmp_path / "in/train/2.gif", 32)))
    found = open_store(tmp_path / "out", "train").frames(2).numpy()
    assert np.abs(found.astype(int) - true).mean() < 3


@pytest.mark.parametrize("coding", CODINGS)
def test_any_frame_of_a_clip(tmp_path, coding):
    frames = disc(40, 32, 48)
    path = tmp_path / f"clip.{CODINGS[coding].kind}"
    write_clip(path, iter(frames), 29.97, coding)

    whole = read_clip(path, range(40), 29.97)
    assert np.abs(disc_columns(whole) - disc_columns(frames)).max() < 0.7
    for t in range(40):
        assert np.array_equal(read_clip(path, [t], 29.97)[0], whole[t])


def test_recipes_name_their_sources():
    for recipe in RECIPES.values():
        assert recipe.source and recipe.licence and recipe.train > recipe.test > 0
        assert recipe.frames[0] >= 2


def test_an_index_does_not_leave_its_folder(tmp_path):
    write_clip(tmp_path / "s/train/a.mp4", disc(3), 25.0)
    index_store(tmp_path / "s")
    text = (tmp_path / "s/store.json").read_text()
    (tmp_path / "s/store.json").write_text(text.replace("a.mp4", "../../a.mp4"))

    assert "outside" in error_line(read_store, tmp_path / "s")
