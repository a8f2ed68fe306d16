"What an output replaces, and what is left when several write at once."

import os
import threading

import numpy as np
import pytest
from videos import disc, error_line, read_all, write_video

from animlib.media.encode import KINDS
from animlib.media.output import MARK, expect_output
from animlib.media.write import VideoWriter
from animlib.storage import temporary_name

every_kind = pytest.mark.parametrize("kind", KINDS)


def name_of(kind):
    "The name of an output of that kind."
    return "out/" if kind == "folder" else f"out.{kind}"


def contents(folder):
    "Every file below a folder, with its bytes."
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@every_kind
def test_an_input_is_never_replaced(tmp_path, monkeypatch, kind):
    given = write_video(f"{tmp_path}/{name_of(kind)}", disc(3))
    (tmp_path / "link").symlink_to(given)
    before = contents(tmp_path)

    forms = [given, tmp_path / "link", tmp_path / "none" / ".." / given.name]
    monkeypatch.chdir(tmp_path)
    for form in [*forms, given.name]:
        line = error_line(VideoWriter, f"{tmp_path}/{name_of(kind)}", inputs={"the source": [form]})
        assert "found the source" in line

    assert contents(tmp_path) == before


def test_an_input_in_a_folder_of_frames_is_not_lost_with_it(tmp_path):
    frames = write_video(f"{tmp_path}/out/", disc(3))
    inputs = {"the source image": [frames / "000001.png"]}

    assert "the source image" in error_line(VideoWriter, f"{tmp_path}/out/", inputs=inputs)
    assert "the driving" in error_line(
        expect_output, frames / "000002.png", {"the driving": [frames]}
    )
    assert len(read_all(frames)) == 3


def test_numbered_images_of_others_are_never_removed(tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for t in range(30):
        (folder / f"{t:06d}.png").write_bytes(bytes([t]))
    before = contents(folder)

    assert "other files" in error_line(VideoWriter, f"{folder}/")

    assert contents(folder) == before


@pytest.mark.parametrize("change", ["another file", "another image", "a folder", "no mark", "junk"])
def test_frames_that_were_changed_are_not_ours_any_more(tmp_path, change):
    folder = write_video(f"{tmp_path}/out/", disc(3))
    if change == "another file":
        (folder / "notes.txt").write_text("x")
    elif change == "another image":
        (folder / "000001.png").write_bytes(b"a photo of mine")
    elif change == "a folder":
        (folder / "more").mkdir()
    elif change == "no mark":
        (folder / MARK).unlink()
    else:
        (folder / MARK).write_bytes(b"[1, 2]")
    before = contents(folder)

    assert "other files" in error_line(VideoWriter, f"{folder}/")

    assert contents(folder) == before


def test_a_file_that_appears_meanwhile_is_not_removed(tmp_path):
    folder = write_video(f"{tmp_path}/out/", disc(3))
    writer = VideoWriter(f"{folder}/")

    def write():
        with writer:
            writer.write(disc(2))
            (folder / "photo.png").write_bytes(b"a photo")

    assert "other files" in error_line(write)
    assert (folder / "photo.png").exists() and (folder / "000002.png").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


@every_kind
@pytest.mark.parametrize("there", ["a folder", "a pipe", "a file"])
def test_what_is_no_file_is_not_replaced(tmp_path, kind, there):
    path = tmp_path / name_of(kind).rstrip("/")
    if there == "a folder":
        path.mkdir()
        (path / "x").write_bytes(b"x")
    elif there == "a pipe":
        os.mkfifo(path)
    elif kind != "folder":
        return  # a file that the user named is replaced
    else:
        path.write_bytes(b"x")

    error_line(VideoWriter, f"{tmp_path}/{name_of(kind)}")

    assert path.exists()


@every_kind
def test_a_link_is_written_through(tmp_path, kind):
    (tmp_path / "real").mkdir()
    path = f"{tmp_path}/{name_of(kind)}"
    target = tmp_path / "real" / name_of(kind).rstrip("/")
    write_video(path if kind != "folder" else f"{target}/", disc(2))
    if kind != "folder":
        os.rename(path, target)
    os.symlink(target, path.rstrip("/"))

    write_video(path, disc(3))

    assert os.path.islink(path.rstrip("/")) and len(read_all(target)) == 3


@every_kind
def test_several_write_one_name_at_once(tmp_path, kind):
    path = f"{tmp_path}/{name_of(kind)}"
    barrier = threading.Barrier(4)
    errors = []

    def write(shade):
        try:
            with VideoWriter(path) as writer:
                for _ in range(4):
                    barrier.wait(20)
                    writer.write(np.full((1, 32, 32, 3), shade, np.uint8))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(60 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not errors or kind == "folder"  # two folders cannot take one name in the same moment
    frames = np.array(read_all(path))
    assert len(frames) == 4 and np.ptp(frames) <= 8
    assert [p.name for p in tmp_path.iterdir()] == [name_of(kind).rstrip("/")]


@every_kind
def test_what_a_killed_process_left_is_swept(tmp_path, kind):
    name = name_of(kind).rstrip("/")
    mine = temporary_name(tmp_path / name).name.replace(f".{os.getpid()}.", ".999999999.")
    other = temporary_name(tmp_path / "other.mp4").name.replace(f".{os.getpid()}.", ".999999999.")
    (tmp_path / mine).mkdir()
    (tmp_path / mine / "000000.png").write_bytes(b"x")
    (tmp_path / other).write_bytes(b"x")

    write_video(f"{tmp_path}/{name_of(kind)}", disc(2))

    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([name, other])


@every_kind
@pytest.mark.parametrize("shape", [(0, 8, 3), (8, 0, 3), (8, 8, 4), (8, 8), (1, 70000, 3)])
def test_frames_that_cannot_be_written_are_one_line(tmp_path, kind, shape):
    if kind in ("png", "folder") and 70000 in shape:
        return  # such a png is possible

    def write():
        with VideoWriter(f"{tmp_path}/{name_of(kind)}") as writer:
            writer.write(np.zeros(shape, np.uint8))

    error_line(write)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("fps", ["25", None, float("nan"), float("inf"), -1, 2000, [25]])
def test_a_speed_is_a_number(tmp_path, fps):
    assert "0 to 1000" in error_line(VideoWriter, tmp_path / "a.mp4", fps)
