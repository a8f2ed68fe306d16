"What is read is what a viewer shows, at the time when it is shown."

from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image
from videos import disc, error_line, read_all, write_video

from animlib.media import imagefile
from animlib.media.encode import KINDS
from animlib.media.hdr import HLG, PQ, hlg_light, hlg_scene, pq_light, tone_map
from animlib.media.image import disc_columns
from animlib.media.read import open_video, probe
from animlib.media.write import VideoWriter

STARTS = np.concatenate(
    [np.arange(20) / 30, 2 / 3 + np.arange(10) / 10, 5 / 3 + np.arange(20) / 30]
)


def encode(path, frames, starts=None, prepare=None, pix_fmt="yuv420p", options=None):
    "Frames to a file by PyAV alone, each at its start in seconds; returns the path."
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=30, options=options or {"crf": "10"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        if prepare is not None:
            prepare(stream.codec_context)
        for t, frame in enumerate(frames):
            kind = "rgb48le" if frame.dtype == np.uint16 else "rgb24"
            image = av.VideoFrame.from_ndarray(frame, format=kind)
            if kind == "rgb48le":
                image = image.reformat(format=pix_fmt, dst_colorspace=9, dst_color_range=1)
            image.time_base = Fraction(1, 12000)
            image.pts = round(12000 * (t / 30 if starts is None else starts[t]))
            output.mux(stream.encode(image))
        output.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv"])
def test_a_variable_speed_stays_in_time(tmp_path, name):
    path = encode(tmp_path / name, disc(50, step=0.4), STARTS)

    columns = disc_columns(read_all(path))
    fps = probe(path).fps

    assert abs(len(columns) / fps - (STARTS[-1] + 1 / 30)) < 0.1
    shown = np.searchsorted(STARTS, (np.arange(len(columns)) + 0.5) / fps, "right") - 1
    assert np.abs(columns - disc_columns(disc(50, step=0.4))[shown]).max() < 1


def test_an_animation_that_holds_a_frame_is_read_in_time(tmp_path):
    images = [Image.fromarray(frame) for frame in disc(4, step=5)]
    delays = [40, 40, 40, 400]
    images[0].save(
        tmp_path / "a.webp", save_all=True, append_images=images[1:], duration=delays, lossless=True
    )

    columns = disc_columns(read_all(tmp_path / "a.webp"))

    assert probe(tmp_path / "a.webp").fps == 25 and len(columns) == 13
    assert np.abs(np.diff(columns)[3:]).max() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_equal_frames_are_kept_one_by_one(tmp_path, kind):
    frames = np.concatenate([disc(1).repeat(8, 0), disc(3)])
    for name, written in (("still", frames[:8]), ("moving", frames)):
        path = f"{tmp_path}/{name}/" if kind == "folder" else tmp_path / f"{name}.{kind}"
        write_video(path, written, fps=20)

        found = read_all(path)
        info = probe(path)

        assert len(found) == len(written) == info.frames or info.frames is None
        errors = np.abs(np.array(found).astype(int) - written).mean((1, 2, 3))
        assert errors.max() < 8
        if kind not in ("png", "folder"):  # these carry no speed
            assert abs(info.fps - 20) < 0.1


def light_of(values):
    "Nits of sRGB bytes, white at 203, in the primaries of BT.2020."
    to_709 = np.array(
        [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
    )
    x = values / 255
    linear = np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
    return 203 * linear @ np.linalg.inv(to_709).T


def signal_of(light, transfer):
    "The signal of a light, by looking it up in the curve."
    steps = np.linspace(0, 1, 4097)
    if transfer == PQ:
        return np.interp(light, pq_light(steps), steps)
    luminance = light @ np.array([0.2627, 0.6780, 0.0593])
    scene = light / 1000 / (np.maximum(luminance, 1e-3) / 1000)[..., None] ** (0.2 / 1.2)
    return np.interp(scene, hlg_scene(steps), steps)


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_an_hdr_video_is_not_grey(tmp_path, transfer):
    colours = np.array([[150, 40, 30], [40, 140, 50], [30, 60, 150], [20, 20, 20], [120, 120, 120]])
    frame = np.repeat(np.repeat(colours[None], 48, 0), 16, 1)
    signal = (signal_of(light_of(frame), transfer) * 65535).round().astype(np.uint16)

    def tag(context):
        context.color_trc = transfer
        context.color_primaries = context.colorspace = 9
        context.color_range = 1

    path = encode(tmp_path / "a.mp4", [signal] * 3, prepare=tag, pix_fmt="yuv420p10le")
    found = read_all(path)[0][24, 8::16].astype(int)

    assert np.abs(found - colours).max() <= 8, found
    assert np.abs(found - (signal[24, 8::16] >> 8)).max() > 30  # as it would be without a curve


def test_the_light_of_the_standards():
    assert abs(pq_light(np.array(0.58)) - 203) < 3
    assert abs(hlg_light(hlg_scene(np.full((1, 1, 3), 0.75))) - 203).max() < 3
    ramp = np.arange(0, 65536, 16).astype(np.uint16)[None, :, None].repeat(3, -1)
    for transfer in (PQ, HLG):
        assert (np.diff(tone_map(ramp, transfer)[0, :, 0].astype(int)) >= 0).all()


@pytest.mark.parametrize(
    "aspect,size", [((64, 45), (48, 91)), ((1, 2), (96, 64)), ((99, 100), (48, 64))]
)
def test_pixels_are_square(tmp_path, aspect, size):
    def tag(context):
        context.sample_aspect_ratio = Fraction(*aspect)

    path = encode(tmp_path / "a.mp4", disc(2, columns=64), prepare=tag)

    assert probe(path).size == size and read_all(path)[0].shape == (*size, 3)


def test_an_interlaced_video_has_no_combs(tmp_path):
    frames = disc(8, step=6)
    woven = frames.copy()
    woven[:-1, 1::2] = frames[1:, 1::2]

    def tag(context):
        context.flags |= 1 << 29 | 1 << 18

    path = encode(tmp_path / "a.mp4", woven, prepare=tag, options={"x264opts": "tff=1:crf=10"})
    found = np.array(read_all(path)).astype(int)

    def combs(video):
        video = video[2:6].astype(int)
        return np.abs(2 * video[:, 1:-1] - video[:, :-2] - video[:, 2:]).mean()

    assert len(found) == 8 and combs(found) < 0.5 * combs(woven)


def test_a_photo_of_a_phone_is_read(tmp_path):
    "HEIC, by its own package: upright, with a thumbnail, and as a frame of a folder."
    pillow_heif = pytest.importorskip("pillow_heif")
    ramp = np.zeros((96, 160, 3), np.uint8)
    ramp[..., 0] = np.arange(160)
    photo = pillow_heif.from_pillow(Image.fromarray(ramp))
    photo.save(tmp_path / "a.heic", quality=100, thumbnails=[64])

    found = read_all(tmp_path / "a.heic")

    assert np.shape(found) == (1, 96, 160, 3)
    assert np.abs(np.array(found)[0].astype(int) - ramp).mean() < 3
    assert probe(tmp_path / "a.heic").kind == "image"


def test_a_photo_in_tiles_is_an_error_that_says_so(tmp_path, monkeypatch):
    "A HEIC photo where its package is not installed: by its brand, every tile is a track."
    monkeypatch.setattr(imagefile, "_reads_heif", lambda: False)
    with av.open(str(tmp_path / "two.mp4"), "w") as output:
        streams = [output.add_stream("libx264", rate=25) for _ in range(2)]
        for stream in streams:
            stream.height = stream.width = 48
            stream.pix_fmt = "yuv420p"
        for stream in streams:
            image = av.VideoFrame.from_ndarray(disc(1)[0], format="rgb24")
            output.mux(stream.encode(image))
            output.mux(stream.encode(None))
    data = (tmp_path / "two.mp4").read_bytes().replace(b"ftypisom", b"ftypheic")
    (tmp_path / "photo.heic").write_bytes(data)

    assert "several tiles" in error_line(open_video, tmp_path / "photo.heic")


def test_a_stream_without_times_is_read_frame_by_frame(tmp_path):
    "Raw H.264 knows no times at all; an avi with frames that look ahead knows some."
    for name, form in (("a.h264", "h264"), ("a.avi", "avi")):
        with av.open(str(tmp_path / name), "w", format=form) as output:
            stream = output.add_stream("libx264", rate=10)
            stream.height = stream.width = 48
            for frame in disc(12):
                output.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            output.mux(stream.encode(None))
        found = read_all(tmp_path / name)
        assert len(found) in (12, 13)
        assert np.all(np.diff(disc_columns(found)) > -0.2)


def test_times_that_jump_do_not_fill_the_disk(tmp_path, capsys):
    starts = [0, 1 / 30, 5000, 5000 + 1 / 30]
    path = encode(tmp_path / "a.mkv", disc(4), starts)

    assert len(read_all(path)) <= 4 + 2
    assert "its times jump" in capsys.readouterr().err


def test_a_speed_beyond_a_format_is_refused(tmp_path):
    for name in ("a.gif", "a.webp"):
        assert "a delay of at most" in error_line(VideoWriter(tmp_path / name, 1e-5).__enter__)
