"Files that are not what their names say, or not complete."

import struct

import pytest
from videos import disc, error_line, read_all, write_tone, write_video

from animlib.media.files import expect_binary, expect_complete, sniff
from animlib.media.read import probe, read_image
from animlib.media.write import Video

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n"
BAD = {  # file name -> its bytes, and a word of the message
    "empty.mp4": (b"", "empty file"),
    "page.mp4": (b"<!DOCTYPE html><html>no</html>", "HTML page"),
    "note.mp4": (b"just words\n" * 9, "text file"),
    "lfs.png": (LFS, "git lfs pull"),
    "noise.mp4": (bytes(range(256)) * 9, "decoder"),
    "head.png": (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, ""),
    "head.webm": (b"\x1aE\xdf\xa3", ""),
    "head.gif": (b"GIF89a\x01\0\x01\0\0\0\0", ""),
}


@pytest.mark.parametrize("read", [read_all, probe, read_image, Video.open])
@pytest.mark.parametrize("name", BAD)
def test_what_is_no_video_is_named_in_one_line(tmp_path, name, read):
    data, word = BAD[name]
    (tmp_path / name).write_bytes(data)

    line = error_line(read, tmp_path / name)

    assert word in line and name in line


def test_nothing_a_folder_and_sound_alone_are_named(tmp_path):
    sound = write_tone(tmp_path / "sound.mp4", 1)

    assert "nothing" in error_line(read_all, tmp_path / "none.mp4")
    assert "found a folder" in error_line(read_image, tmp_path)
    assert "without images" in error_line(read_all, sound)


@pytest.mark.parametrize("part", [0.02, 0.3, 0.6, 0.9, 0.97])
@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.webm", "a.mkv", "a.gif", "a.webp", "a.png"])
def test_a_cut_file_is_never_a_shorter_video(tmp_path, name, part):
    data = write_video(tmp_path / name, disc(12)).read_bytes()
    cut = tmp_path / f"cut{name}"
    cut.write_bytes(data[: int(len(data) * part)])

    error_line(read_all, cut)


def test_sniff_leaves_binary_files_alone(tmp_path):
    checkpoint = tmp_path / "weights"
    checkpoint.write_bytes(struct.pack("<Q", 40) + b'{"x":{"dtype":"F32"}}')
    text = tmp_path / "text"
    text.write_text('{"a": 1}')

    assert sniff(checkpoint) is None and expect_binary(checkpoint) == checkpoint
    assert sniff(text) == "text file"
    assert "a model, found a text file" in error_line(expect_binary, text, "a model")


def test_a_complete_file_is_opened_once_and_its_beginning_returned(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.webm", disc(12))
    data = path.read_bytes()
    opened = []
    original = open
    monkeypatch.setattr(
        "builtins.open", lambda *args, **options: opened.append(args) or original(*args, **options)
    )

    head = expect_complete(path)

    assert head == data[:1024] and len(opened) == 1


def test_a_home_folder_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_video(tmp_path / "a.gif", disc(3))

    assert expect_binary("~/a.gif") == tmp_path / "a.gif"
    assert len(read_all("~/a.gif")) == 3
