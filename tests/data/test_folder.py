"A folder of videos is decoded once, and again when a file changes."

import json
import os
import shutil
import stat
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from tqdm.auto import tqdm
from videos import disc, error_line, write_splits, write_strip, write_video

from animlib.data import folder as folders
from animlib.data.check import check_folder
from animlib.data.folder import open_folder
from animlib.data.pairs import Pair, read_pairs
from animlib.data.sources import open_source
from animlib.shipped import share

SAMPLES = share("data_samples")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    "The cache folder of one test."
    monkeypatch.setenv("ANIMLIB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def arrays(cache):
    "Every decoded array, and when it was written."
    return {path: path.stat().st_mtime_ns for path in cache.rglob("frames.npy")}


def test_clips_are_what_the_files_hold(tmp_path, cache):
    data = write_splits(tmp_path / "data", train=3)

    clips = open_folder(data, "train")

    assert clips.names == ["train0.png", "train1.png", "train2.png"]
    assert clips.lengths.tolist() == [3, 4, 5] and clips.size == (48, 48)
    assert np.array_equal(clips.frames(2), disc(5, step=4))
    assert clips.video(0).shape == (3, 3, 48, 48)
    assert len(clips.frames(1, [3, 0])) == 2


def test_the_cache_is_used_a_second_time(tmp_path, cache):
    data = write_splits(tmp_path / "data", train=3)
    open_folder(data, "train")
    first = arrays(cache)

    open_folder(data, "train")

    assert arrays(cache) == first
    assert open_folder(data, "train", size=32).size == (32, 32)
    assert len(arrays(cache)) == 2  # one for each size


def test_a_changed_file_is_decoded_again(tmp_path, cache):
    data = write_splits(tmp_path / "data", train=3)
    open_folder(data, "train")
    first = arrays(cache)

    write_strip(data / "train" / "train0.png", disc(6))

    assert open_folder(data, "train").lengths.tolist() == [6, 4, 5]
    assert len(arrays(cache)) == 1 and not first.keys() & arrays(cache).keys()


def test_a_file_that_was_removed_is_noticed(tmp_path, cache):
    data = write_splits(tmp_path / "data", train=3, test=2)
    open_folder(data, "train")

    (data / "train" / "train1.png").unlink()

    assert open_folder(data, "train").lengths.tolist() == [3, 5]
    assert len(open_folder(data)) == 4 and len(open_folder(data, "test")) == 2


def test_the_cache_holds_complete_slots_only(tmp_path, cache):
    open_folder(write_splits(tmp_path / "data", train=2), "train")

    for path in arrays(cache):
        assert json.loads((path.parent / "index.json").read_text())["lengths"]
    assert not list(cache.glob(".*"))


SPELLINGS = {  # -> how the folder `data` is written, seen from its parent
    "relative": "data",
    "relative with a dot": "./data/",
    "with ..": "elsewhere/../data",
    "a symbolic link": "link",
    "from inside": ".",
}


@pytest.mark.parametrize("split", ["train", "test", None])
@pytest.mark.parametrize("kind", SPELLINGS)
def test_a_folder_may_be_written_in_many_ways(tmp_path, cache, monkeypatch, kind, split):
    data = write_splits(tmp_path / "data", train=2, test=1)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(data)
    expected = open_folder(data.resolve(), split)
    first = arrays(cache)
    monkeypatch.chdir(data if kind == "from inside" else tmp_path)

    clips = open_folder(SPELLINGS[kind], split)

    assert clips.names == expected.names and torch.equal(clips.array, expected.array)
    assert arrays(cache) == first  # the same slot


def test_a_folder_below_a_symbolic_link(tmp_path, cache, monkeypatch):
    write_splits(tmp_path / "disk" / "videos", train=2)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "link").symlink_to(tmp_path / "disk")
    monkeypatch.chdir(tmp_path / "home")

    assert open_folder("link/videos", "train").names == ["train0.png", "train1.png"]
    assert open_folder("../home/link/videos").names == ["train/train0.png", "train/train1.png"]


def test_a_home_folder_is_expanded(tmp_path, cache, monkeypatch):
    write_splits(tmp_path / "data", train=2)
    monkeypatch.setenv("HOME", str(tmp_path))

    assert len(open_folder("~/data", "train")) == 2


def test_data_may_be_read_only(tmp_path, cache):
    data = write_splits(tmp_path / "data", train=1)
    folders = (data / "train", data)
    for path in folders:
        path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    before = {path: path.stat().st_mtime_ns for path in data.rglob("*")}

    open_folder(data, "train")

    assert {path: path.stat().st_mtime_ns for path in data.rglob("*")} == before
    for path in folders:
        path.chmod(stat.S_IRWXU)


def test_clips_may_be_written_to_without_changing_the_cache(tmp_path, cache):
    data = write_splits(tmp_path / "data", train=1)

    open_folder(data, "train").array[0] = 0

    assert open_folder(data, "train").frames(0).float().mean() > 10


def test_a_failed_decoding_leaves_nothing(tmp_path, cache):
    data = write_splits(tmp_path / "data", train=2)
    (data / "train" / "x.mp4").write_bytes(b"<html>")

    assert "x.mp4" in error_line(open_folder, data, "train")
    assert not list(cache.iterdir())


def test_four_at_once_make_one_cache(tmp_path, cache):
    data = write_splits(tmp_path / "data", train=2)

    with ThreadPoolExecutor(4) as pool:
        every = list(pool.map(lambda _: open_folder(data, "train"), range(4)))

    assert [len(clips) for clips in every] == [2] * 4
    assert len(list(cache.iterdir())) == 1


def test_a_cache_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    data = write_splits(tmp_path / "data", train=1)

    assert "ANIMLIB_CACHE" in error_line(open_folder, data, cache=tmp_path / "file" / "cache")


def test_clips_of_two_sizes_need_one(tmp_path, cache):
    data = write_splits(tmp_path / "data", train=1)
    write_strip(data / "train" / "big.png", disc(3, 64, 64))

    assert "size=" in error_line(open_folder, data, "train")
    assert open_folder(data, "train", size=32).size == (32, 32)


BAD_FOLDERS = {  # -> folder, split, and words of the message
    "not there": ("none", None, "found nothing"),
    "a file": ("data/train/train0.png", None, "found a file"),
    "no test": ("data", "test", "a folder test/ in it"),
    "no such split": ("data", "val", "a folder val/ in it"),
    "empty": ("empty", None, "videos, found none"),
}


@pytest.mark.parametrize("kind", BAD_FOLDERS)
def test_a_folder_that_does_not_fit_is_named(tmp_path, cache, kind):
    write_splits(tmp_path / "data", train=1)
    (tmp_path / "empty").mkdir()
    folder, split, words = BAD_FOLDERS[kind]

    assert words in error_line(open_folder, tmp_path / folder, split)


def test_a_folder_without_splits_is_split_the_same_way_everywhere(tmp_path, cache):
    for i in range(11):
        write_video(f"{tmp_path}/data/clip{i}/", disc(2))

    train, test = (open_folder(tmp_path / "data", split).names for split in ("train", "test"))

    assert len(test) == 2 and len(train) == 9 and not set(train) & set(test)
    for names in (train, test):
        assert names == sorted(names, key=lambda name: int(name[4:]))
    shutil.copytree(tmp_path / "data", tmp_path / "copy")
    assert open_folder(tmp_path / "copy", "test").names == test


def test_pairs_are_read_from_a_csv(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("distance,source,driving,frame\n1, a.mp4,b.mp4,0\n")

    assert read_pairs(path) == [Pair("a.mp4", "b.mp4")]


BAD_CSV = {  # -> the text, and a word of the message
    "an empty name": ("source,driving\na,\n", "line 2"),
    "no frame": ("source,driving,frame\na,b,0\na,b,x\n", "line 3"),
    "a frame below 0": ("source,driving,frame\na,b,-1\n", "line 2"),
    "other columns": ("a,b\n1,2\n", "columns source and driving"),
    "no rows": ("source,driving\n", "rows"),
    "not there": (None, "nothing"),
}


@pytest.mark.parametrize("kind", BAD_CSV)
def test_a_csv_that_names_no_pairs_is_an_error(tmp_path, kind):
    text, word = BAD_CSV[kind]
    if text is not None:
        (tmp_path / "p.csv").write_text(text)

    assert word in error_line(read_pairs, tmp_path / "p.csv")


def test_checking_also_takes_a_relative_folder(tmp_path, monkeypatch):
    data = write_splits(tmp_path / "data", train=2, test=1)
    monkeypatch.chdir(data)

    assert check_folder(".").ok and check_folder(f"..{os.sep}data").ok


@pytest.mark.parametrize("spec", ["folder", f"fluent:people={SAMPLES / 'emoji'}"])
def test_the_bar_of_decoding_is_shown_where_it_is_wanted(spec, tmp_path, cache, monkeypatch):
    if spec == "folder":
        spec = write_splits(tmp_path / "data", train=2)
    shown = []

    def bar(*given, **options):
        shown.append(not options["disable"])
        return tqdm(*given, **options)

    monkeypatch.setattr(folders, "tqdm", bar)
    for size, progress in ((16, True), (24, False)):
        open_source(spec, size, progress=progress).clips("train")
    assert shown == [True, False]
