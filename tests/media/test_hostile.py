"Files that lead elsewhere, that are too large, or that carry malformed side matter."

import os
import socket
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from videos import disc, error_line, read_all, write_splits, write_tone, write_video

from animlib.data.check import check_folder
from animlib.data.folder import clip_paths, open_folder, split_paths
from animlib.inputs import open_driving, open_source_images
from animlib.media.encode import CONTAINERS, KINDS
from animlib.media.files import expect_binary
from animlib.media.image import rows_and_columns
from animlib.media.imagefile import ImageFile
from animlib.media.read import open_video, probe, read_frames, read_image
from animlib.media.sound import has_sound
from animlib.media.write import Video

DOORS = {  # whatever takes a path of an image or a video
    "read_frames": read_all,
    "open_video": open_video,
    "probe": probe,
    "read_image": read_image,
    "Video.open": Video.open,
    "has_sound": has_sound,
    "expect_binary": expect_binary,
    "open_driving": open_driving,
    "open_source_images": open_source_images,
}
every_door = pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)


def no_file(folder: Path, kind: str) -> Path:
    "The path of something that is no regular file."
    path = folder / "a.mp4"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        socket.socket(socket.AF_UNIX).bind(str(path))
    elif kind == "link to a device":
        path.symlink_to("/dev/zero")
    elif kind == "link to nothing":
        path.symlink_to(folder / "none")
    elif kind == "link to itself":
        path.symlink_to(path)
    return path


@every_door
@pytest.mark.parametrize(
    "kind", ["pipe", "socket", "link to a device", "link to nothing", "link to itself"]
)
def test_only_regular_files_are_opened(tmp_path, monkeypatch, kind, door):
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    assert "a.mp4" in error_line(door, no_file(Path(), kind))


@every_door
@pytest.mark.parametrize("x", [None, 5, b"bytes", object(), "", "a\0b", "n" * 300], ids=repr)
def test_what_is_no_path_is_named(x, door):
    assert len(error_line(door, x)) < 500


PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n\1",
    "concat": "ffconcat version 1.0\nfile {}\n\1",
    "http": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/{}\n#EXT-X-ENDLIST\n\1",
}


@pytest.mark.parametrize("kind", PLAYLISTS)
def test_a_playlist_leads_nowhere(tmp_path, kind):
    write_video(tmp_path / "other.mp4", disc(4))
    path = tmp_path / "a.mp4"
    path.write_text(PLAYLISTS[kind].format("other.mp4"))

    for door in (open_video, has_sound):
        error_line(door, path)


@pytest.mark.parametrize("name", ["concat:a.mp4|a.mp4", "pipe:0", "http:a.mp4", "subfile,,a.mp4"])
def test_a_name_leads_to_a_file_or_nowhere(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "a.mp4", disc(4))
    assert "nothing" in error_line(open_video, name)

    (tmp_path / name).write_bytes((tmp_path / "a.mp4").read_bytes())

    assert len(read_all(name)) == 4 and not has_sound(name)


def test_links_to_their_own_folder_are_followed_once(tmp_path):
    write_splits(tmp_path, train=3, test=1)
    for name in ("a", "b"):
        (tmp_path / "train" / name).symlink_to(tmp_path / "train")
    os.mkfifo(tmp_path / "test" / "z.mp4")

    assert [path.name for path in clip_paths(tmp_path / "train")] == [
        "train0.png",
        "train1.png",
        "train2.png",
    ]
    assert len(split_paths(tmp_path)) == 5
    assert any("z.mp4" in line and "a pipe" in line for line in check_folder(tmp_path).lines())
    assert "a pipe" in error_line(open_folder, tmp_path, cache=tmp_path / "cache")


# ---- pixels ----
def image_of(kind: str, rows: int, columns: int, path: Path) -> Path:
    "A small file of so many pixels, all of one colour."
    Image.new("L", (columns, rows)).save(path, kind)
    return path


def gif_of(rows: int, columns: int) -> bytes:
    "A gif of two frames that announces a large canvas and fills one pixel of it."
    size = columns.to_bytes(2, "little") + rows.to_bytes(2, "little")
    pixel = b"!\xf9\x04\0\x0a\0\0\0," + bytes(4) + b"\1\0\1\0\x80" + bytes(6) + b"\2\2\x44\1\0"
    return b"GIF89a" + size + bytes(3) + 2 * pixel + b";"


@pytest.mark.parametrize("door", [read_all, probe, read_image, Video.open, open_driving])
def test_a_gif_of_huge_frames_is_refused(tmp_path, door):
    (tmp_path / "a.gif").write_bytes(gif_of(60000, 60000))

    assert "million pixels" in error_line(door, tmp_path / "a.gif")


def test_a_jpeg_beyond_the_budget_is_read_if_its_size_is_known(tmp_path):
    path = image_of("jpeg", 8400, 8400, tmp_path / "a.jpg")

    assert read_image(path, 64).shape == (3, 64, 64)
    assert "million pixels" in error_line(read_image, path)


PEAK = """
import re, sys
from pathlib import Path
from animlib.core import InputError
from animlib.media.read import read_image


def highest():
    "Kilobytes; of this program alone, unlike what getrusage tells of a process that was forked."
    return int(re.search(r"VmHWM:\\s*([0-9]+)", Path("/proc/self/status").read_text())[1])


before = highest()
try:
    x = read_image(sys.argv[1], int(sys.argv[2]) or None)
    print(tuple(x.shape))
except InputError as error:
    print(error)
print((highest() - before) // 1024)
"""
linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")


def peak(path: Path, size: int) -> tuple[str, int]:
    "What `read_image` says, and how many megabytes it took at most."
    command = [sys.executable, "-c", PEAK, str(path), str(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    said, megabytes = done.stdout.splitlines()
    return said, int(megabytes)


@linux
def test_a_small_file_of_many_pixels_takes_no_memory(tmp_path):
    path = image_of("png", 15000, 15000, tmp_path / "a.png")
    assert path.stat().st_size < 300_000

    said, megabytes = peak(path, 64)

    assert "million pixels" in said and megabytes < 50


@linux
def test_an_ordinary_photo_shrinks_before_it_becomes_floats(tmp_path):
    path = image_of("jpeg", 6000, 8000, tmp_path / "a.jpg")

    said, megabytes = peak(path, 256)

    assert said == "(3, 256, 256)" and megabytes < 650


@pytest.mark.parametrize("size", ["64", 64.0, True, None, (64,), (64, "64"), [1, 2, 3], 1 << 20])
def test_a_size_is_pixels_and_nothing_else(size):
    assert "size=64" in error_line(rows_and_columns, size)


# ---- side matter ----
BROKEN_EXIF = {
    "no EXIF": b"Exif\0\0not what a camera writes",
    "leads out": b"Exif\0\0II*\0" + b"\xff" * 4,
}


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("kind", BROKEN_EXIF)
@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.jpg"])
def test_malformed_exif_stops_nothing(tmp_path, name, kind, capsys):
    Image.fromarray(disc(1)[0]).save(tmp_path / f"plain{name}", lossless=True)
    Image.fromarray(disc(1)[0]).save(tmp_path / name, lossless=True, exif=BROKEN_EXIF[kind])

    assert np.array_equal(read_all(tmp_path / name), read_all(tmp_path / f"plain{name}"))
    with Image.open(tmp_path / name) as image:
        assert read_image(image).shape == (3, 48, 48)
    if kind == "no EXIF" and name != "a.jpg":  # Pillow passes over it in a jpg
        assert "its EXIF data cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "folder"])
def test_bytes_after_the_end_condemn_no_file(tmp_path, kind):
    path = write_video(tmp_path / f"a.{kind}", disc(4))
    before = read_all(path)
    with open(path, "ab") as file:
        file.write(b"appended by another program \0" * 9)

    assert np.array_equal(read_all(path), before)


@pytest.mark.parametrize("kind", CONTAINERS)
def test_an_odd_title_stops_nothing(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    options = {"write_crc32": "0"} if kind == "mkv" else {}
    with av.open(str(path), "w", options=options) as output:
        output.metadata["title"] = "QQQQQQQQ"
        stream = output.add_stream(CONTAINERS[kind].codec, rate=25)
        stream.height = stream.width = 48
        stream.pix_fmt = "yuv420p"
        for frame in disc(4):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        output.mux(stream.encode(None))
    data = path.read_bytes()
    assert b"QQQQQQQQ" in data
    path.write_bytes(data.replace(b"QQQQQQQQ", b"\xff\xfe\xe4\xc0\x80\xf6\xfcQ"))

    assert len(read_all(path)) == 4 and not has_sound(path)


def test_sound_in_an_unknown_codec_is_left_out(tmp_path, capsys):
    tone = write_tone(tmp_path / "t.m4a", 1)
    data = write_video(tmp_path / "a.mkv", disc(6), sound=tone).read_bytes()
    (tmp_path / "b.mkv").write_bytes(data.replace(b"A_AAC", b"A_ZZZ"))

    made = Video.open(tmp_path / "b.mkv").save(tmp_path / "out.mp4")

    assert len(read_all(made)) == 6 and not has_sound(made)
    assert "codec that no decoder knows" in capsys.readouterr().err


def test_sound_that_is_damaged_leaves_the_images_whole(tmp_path):
    write_tone(tmp_path / "t.wav", 2, codec="pcm_s16le")
    tone = write_tone(tmp_path / "t.m4a", 2)
    data = bytearray(tone.read_bytes())
    start = data.index(b"mdat")
    data[start + 2000 : start + 6000] = os.urandom(4000)
    (tmp_path / "d.m4a").write_bytes(data)

    for name in ("o.mp4", "o.webm"):
        assert len(read_all(write_video(tmp_path / name, sound=tmp_path / "d.m4a"))) == 24


def test_an_unknown_length_condemns_no_file(tmp_path):
    with av.open(str(tmp_path / "a.avi"), "w") as output:
        stream = output.add_stream("mpeg4", rate=25)
        stream.height = stream.width = 48
        stream.pix_fmt = "yuv420p"
        for frame in disc(6):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        output.mux(stream.encode(None))
    data = (tmp_path / "a.avi").read_bytes()
    (tmp_path / "b.avi").write_bytes(data[:4] + b"\xff" * 4 + data[8:])
    mp4 = bytearray(write_video(tmp_path / "a.mp4", disc(6)).read_bytes())
    for name, skip in ((b"mdhd", 20), (b"mvhd", 20), (b"tkhd", 24)):
        place = mp4.index(name) + skip
        mp4[place : place + 4] = b"\xff" * 4
    (tmp_path / "b.mp4").write_bytes(mp4)

    for name in ("a.avi", "b.avi", "b.mp4"):
        assert len(read_all(tmp_path / name)) == 6, name


# ---- images in memory ----
@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "webp", "avif"])
def test_bytes_and_open_files_are_read(tmp_path, kind):
    path = tmp_path / "a"
    Image.fromarray(disc(1)[0]).save(path, kind)
    expected = read_image(path, 32)

    with open(path, "rb") as file:
        forms = [path.read_bytes(), bytearray(path.read_bytes()), file]
        for x in forms:
            assert (read_image(x, 32) == expected).all()
    with open(path, "rb") as file, ImageFile(file) as image:
        assert image.size == (48, 48)


def test_bytes_of_a_video_are_refused_with_a_way_on(tmp_path):
    data = write_video(tmp_path / "a.mp4", disc(3)).read_bytes()

    assert "write a video to a file" in error_line(read_image, data)
    assert "write" in error_line(open_driving, data)
    with open(tmp_path / "a.mp4", encoding="latin-1") as file:
        assert "binary mode" in error_line(read_image, file)


def test_a_pillow_image_that_breaks_off_is_named(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(data[: len(data) // 2])

    with Image.open(tmp_path / "a.png") as image:
        assert "image: expected" in error_line(read_image, image)
    assert "breaks off" in error_line(lambda: list(read_frames(tmp_path / "a.png")))
