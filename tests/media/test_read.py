"Every kind of video is one stream of frames."

import builtins
import struct

import av
import numpy as np
import pytest
from PIL import Image
from videos import disc, error_line, read_all, write_strip, write_tone, write_video

from animlib.data.folder import open_folder
from animlib.media import read
from animlib.media.image import disc_columns
from animlib.media.read import (
    VideoFile,
    VideoInfo,
    open_video,
    probe,
    read_frames,
    register_reader,
)

KINDS = ["a.mp4", "a.mov", "a.mkv", "a.webm", "a.gif", "a.webp"]


@pytest.mark.parametrize("fps", [10, 30, 30000 / 1001])
@pytest.mark.parametrize("name", KINDS)
def test_frames_speed_and_duration_survive(tmp_path, name, fps):
    path = write_video(tmp_path / name, fps=fps)

    frames = read_all(path)
    info = probe(path)

    assert len(frames) == 24 and frames[0].dtype == np.uint8
    assert np.abs(disc_columns(frames) - disc_columns(disc(24))).max() < 0.8
    assert abs(24 / info.fps - 24 / fps) < 1 / fps
    if name in ("a.mp4", "a.mov"):
        assert abs(info.fps - fps) < 1e-6 and info.frames == 24


def test_a_frame_folder_is_read_in_natural_order(tmp_path):
    for t, frame in enumerate(disc(12)):
        Image.fromarray(frame).save(tmp_path / f"frame{t}.png")
    (tmp_path / "._frame3.png").write_bytes(b"junk")
    (tmp_path / "notes.txt").write_text("x")

    frames = read_all(tmp_path)

    assert np.array_equal(frames, disc(12))
    assert probe(tmp_path) == VideoInfo(tmp_path, "folder", 25.0, 12, (48, 48), has_speed=False)


def test_a_folder_names_the_image_that_is_broken(tmp_path):
    Image.fromarray(disc(1)[0]).save(tmp_path / "frame0.png")
    (tmp_path / "frame1.png").write_bytes(b"<html>")

    line = error_line(read_all, tmp_path)

    assert "frame1.png" in line and "HTML page" in line


def test_a_strip_is_cut_into_squares(tmp_path):
    path = write_strip(tmp_path / "s.png", disc(7))

    assert probe(path) == VideoInfo(path, "strip", 25.0, 7, (48, 48), has_speed=False)
    assert np.array_equal(read_all(path), disc(7))


def test_a_strip_of_other_frames_needs_their_width(tmp_path):
    path = write_strip(tmp_path / "w.png", disc(5, 48, 64))

    assert len(read_all(path)) == 1
    assert np.array_equal(list(read_frames(path, frame_width=64)), disc(5, 48, 64))
    assert "frame_width" in error_line(lambda: list(read_frames(path, frame_width=50)))


@pytest.mark.parametrize(
    "matrix,turns", [((0, 1, -1, 0), 3), ((-1, 0, 0, -1), 2), ((0, -1, 1, 0), 1)]
)
def test_a_phone_held_upright(tmp_path, matrix, turns):
    data = write_video(tmp_path / "a.mp4", disc(3, columns=64)).read_bytes()
    start = data.index(b"tkhd") + 44  # where the track's display matrix is stored
    a, b, c, d = (x * 65536 for x in matrix)
    marked = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    (tmp_path / "r.mp4").write_bytes(data[:start] + marked + data[start + 36 :])
    expected = np.rot90(disc(1, columns=64)[0], turns)

    frame = read_all(tmp_path / "r.mp4")[0]

    assert frame.shape == expected.shape == (*probe(tmp_path / "r.mp4").size, 3)
    assert np.abs(frame.astype(int) - expected).mean() < 6


def test_a_hole_in_a_video_is_found_by_the_decoder(tmp_path):
    data = bytearray(write_video(tmp_path / "a.mp4", disc(60)).read_bytes())
    start = len(data) * 7 // 10
    data[start : start + len(data) // 10] = bytes(len(data) // 10)
    (tmp_path / "d.mp4").write_bytes(data)

    error_line(read_all, tmp_path / "d.mp4")


def test_a_video_that_ends_before_it_should_is_damaged(tmp_path):
    "Its header announces twice the frames: half of them are missing, and none is broken."
    with av.open(str(tmp_path / "a.avi"), "w") as out:
        stream = out.add_stream("mpeg4", rate=25)
        stream.height = stream.width = 48
        for frame in disc(50):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        out.mux(stream.encode(None))
    data = bytearray((tmp_path / "a.avi").read_bytes())
    field = data.index(b"strh") + 40
    assert struct.unpack_from("<I", data, field) == (50,)
    struct.pack_into("<I", data, field, 100)
    (tmp_path / "d.avi").write_bytes(data)

    assert len(read_all(tmp_path / "a.avi")) == 50
    assert "expected 4.00 s of video" in error_line(read_all, tmp_path / "d.avi")


def test_a_video_trimmed_by_an_edit_list_is_complete(tmp_path):
    write_video(tmp_path / "a.mp4", disc(40))
    with av.open(str(tmp_path / "a.mp4")) as source, av.open(str(tmp_path / "e.mp4"), "w") as out:
        track = source.streams.video[0]
        stream = out.add_stream_from_template(track)
        for packet in source.demux(track):
            if packet.dts is None:
                continue
            shift = round(1.2 / packet.time_base)
            packet.pts -= shift
            packet.dts -= shift
            packet.stream = stream
            out.mux(packet)

    assert len(read_all(tmp_path / "e.mp4")) == 10


@pytest.mark.parametrize("name", [*KINDS, "a.png", "a/"])
def test_every_pass_is_a_new_stream(tmp_path, name):
    write_video(f"{tmp_path}/{name}", disc(6))
    video = open_video(tmp_path / name)

    first = list(video.frames())
    second = list(video.frames(size=32))

    assert len(first) == len(second) == 6
    assert second[0].shape == (32, 32, 3)
    assert np.array_equal(next(video.frames()), first[0])
    assert video.info is video.info


@pytest.fixture
def opened(monkeypatch):
    "Every path that Python or PyAV opens."
    paths = []

    def counting(original):
        def open_file(path, *args, **options):
            paths.append(str(path).removeprefix("file:"))
            return original(path, *args, **options)

        return open_file

    monkeypatch.setattr(builtins, "open", counting(open))
    monkeypatch.setattr(av, "open", counting(av.open))
    return paths


def test_a_video_is_opened_once_for_its_check_and_once_for_each_pass(tmp_path, opened):
    path = write_video(tmp_path / "a.mp4", disc(6), sound=write_tone(tmp_path / "t.m4a", 1))
    opened.clear()

    video = open_video(path)
    assert opened.count(str(path)) == 2  # as a file, and by its decoder
    assert video.info.frames == 6 and video.info.has_sound
    for _ in range(3):
        assert len(list(video.frames())) == 6

    assert opened.count(str(path)) == 2 + 3


class ArrayVideo(VideoFile):
    "A numpy file of shape `[t,h,w,3]`."

    def decode(self):
        yield from np.load(self.path)

    def describe(self):
        n, rows, columns, _ = np.load(self.path).shape
        return VideoInfo(self.path, "array", 25.0, n, (rows, columns))


def open_array(path, frame_width):
    "A reader of numpy files; other files are left to the next reader."
    return ArrayVideo(path) if path.suffix == ".npy" else None


@pytest.fixture
def array_reader():
    "Numpy files are videos for one test."
    register_reader(open_array, ".npy")
    yield
    read.READERS.remove(open_array)
    read.VIDEO_SUFFIXES.remove(".npy")


def test_a_reader_of_ones_own_is_used_everywhere(tmp_path, array_reader):
    (tmp_path / "train").mkdir()
    np.save(tmp_path / "train" / "a.npy", disc(5))
    write_video(tmp_path / "train" / "b.png", disc(4))

    assert np.array_equal(read_all(tmp_path / "train" / "a.npy"), disc(5))
    assert probe(tmp_path / "train" / "a.npy").kind == "array"
    clips = open_folder(tmp_path, "train", cache=tmp_path / "cache")
    assert clips.names == ["a.npy", "b.png"] and clips.lengths.tolist() == [5, 4]


def test_a_reader_that_finds_no_frame_is_an_error(tmp_path, array_reader):
    np.save(tmp_path / "empty.npy", disc(0))

    assert "without a single frame" in error_line(read_all, tmp_path / "empty.npy")
