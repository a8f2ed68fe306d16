"Frames, speed and sound go to files, completely or not at all."

import av
import numpy as np
import pytest
import torch
from videos import disc, error_line, read_all, seconds_of_sound, write_tone, write_video

from animlib.media.read import probe
from animlib.media.write import Video, VideoWriter

CONTAINERS = ["a.mp4", "a.mov", "a.mkv", "a.webm"]


@pytest.mark.parametrize("seconds", [0.5, 3])
@pytest.mark.parametrize("name", CONTAINERS)
def test_sound_goes_along_and_ends_with_the_images(tmp_path, name, seconds):
    tone = write_tone(tmp_path / "t.m4a", seconds)

    path = write_video(tmp_path / name, disc(25), sound=tone)

    assert probe(path).has_sound and len(read_all(path)) == 25
    heard = seconds_of_sound(path)
    assert min(seconds, 1) - 0.06 <= heard <= 1.03, heard


@pytest.mark.parametrize("name,codec", [("b.mp4", "aac"), ("b.webm", "opus")])
def test_sound_is_copied_or_encoded_where_it_must_be(tmp_path, name, codec):
    tone = write_tone(tmp_path / "t.m4a", 2)
    driving = Video.open(write_video(tmp_path / "driving.mp4", disc(25), sound=tone))

    driving.save(tmp_path / name)

    with av.open(str(tmp_path / name)) as container:
        track = container.streams.audio[0]
        assert track.codec_context.name.removeprefix("lib") == codec


@pytest.mark.parametrize("driving", ["silent.mp4", "anim.gif", "strip.png", "frames/"])
def test_a_driving_video_without_sound_gives_a_silent_one(tmp_path, driving):
    write_video(f"{tmp_path}/{driving}", disc(4))

    path = write_video(tmp_path / "out.mp4", disc(4), sound=tmp_path / driving)

    assert not probe(path).has_sound


@pytest.mark.parametrize("rows,columns", [(33, 48), (48, 33), (1, 1), (35, 37)])
def test_odd_sizes_are_padded_by_one(tmp_path, rows, columns):
    path = write_video(tmp_path / "odd.mp4", np.full((3, rows, columns, 3), 90, np.uint8))

    assert probe(path).size == (rows + rows % 2, columns + columns % 2)
    assert np.abs(read_all(path)[0].astype(int) - 90).max() < 4


@pytest.mark.parametrize("name", ["a.gif", "a.webp"])
def test_an_animation_of_one_frame_is_written(tmp_path, name):
    path = write_video(tmp_path / name, disc(1))

    assert len(read_all(path)) == 1


def test_a_frame_folder_there_and_back(tmp_path):
    write_video(f"{tmp_path}/g/", disc(12))
    assert np.array_equal(read_all(tmp_path / "g"), disc(12))

    write_video(f"{tmp_path}/g/", disc(11))

    assert len(read_all(tmp_path / "g")) == 11  # nothing of the longer one is left


def test_a_folder_of_other_things_is_never_overwritten(tmp_path):
    photo = tmp_path / "photos" / "me.png"
    photo.parent.mkdir()
    photo.write_bytes(b"x")

    error_line(VideoWriter, f"{tmp_path}/photos/")

    assert photo.read_bytes() == b"x"


@pytest.mark.parametrize("name", ["keep.mp4", "new.mp4", "new.gif", "new.png", "new/"])
def test_an_interrupted_writer_leaves_what_was_there(tmp_path, name):
    before = write_video(tmp_path / "keep.mp4", disc(3)).read_bytes()

    with pytest.raises(KeyboardInterrupt):
        with VideoWriter(f"{tmp_path}/{name}") as writer:
            writer.write(disc(3))
            raise KeyboardInterrupt
    assert "none" in error_line(write_video, f"{tmp_path}/{name}", frames=disc(1)[:0])

    assert [p.name for p in tmp_path.iterdir()] == ["keep.mp4"]
    assert (tmp_path / "keep.mp4").read_bytes() == before


BAD_OUTPUTS = {  # -> arguments of VideoWriter below the folder, and a word of the message
    "an unknown ending": (("a.wmv",), "mp4"),
    "no ending": (("a",), "no ending"),
    "a speed of nothing": (("a.mp4", 0), "0 to 1000"),
    "sound that is not there": (("a.mp4", 25, "none.mp4"), "nothing"),
    "a kind that is no ending": (("a.folder",), "rename"),
}


@pytest.mark.parametrize("kind", BAD_OUTPUTS)
def test_an_output_that_cannot_be_is_refused_at_once(tmp_path, kind):
    (name, *options), word = BAD_OUTPUTS[kind]
    options = [tmp_path / o if isinstance(o, str) else o for o in options]

    assert word in error_line(VideoWriter, tmp_path / name, *options)


def test_a_file_in_the_way_of_a_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("x")

    error_line(VideoWriter(tmp_path / "file" / "a.mp4").__enter__)


def test_frames_are_checked_and_folders_are_made(tmp_path):
    path = tmp_path / "sub" / "dir" / "a.mp4"

    with VideoWriter(path) as writer:
        writer.write(disc(2))
        writer.write(torch.from_numpy(disc(1)[0]))
        assert "uint8" in error_line(writer.write, torch.zeros(3, 48, 48))
        assert "one size" in error_line(writer.write, disc(1, 32, 32))

    assert len(read_all(path)) == 3


def test_a_video_shows_itself(tmp_path):
    video = Video.from_tensor(torch.rand(5, 3, 33, 32), fps=12)

    html = video._repr_html_()

    assert "<video" in html and "base64" in html
    assert "5 frames of 32x33 (width x height), 12 fps" in repr(video) and len(video) == 5
    assert video.tensor().shape == (5, 3, 33, 32)
    assert Video.open(video.save(tmp_path / "a.gif")).fps == pytest.approx(12, rel=0.05)


def test_floats_are_refused_as_frames():
    assert "from_tensor" in error_line(Video, torch.rand(2, 4, 4, 3))
