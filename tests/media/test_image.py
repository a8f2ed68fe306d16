"Images of every kind become one kind of array."

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from videos import disc, error_line, read_all, write_video

from animlib.media.image import natural_key, resize_frame, resize_image
from animlib.media.imagefile import ImageFile
from animlib.media.read import probe, read_image

RGB = disc(1)[0]
GREY = RGB[..., 1]
GREY_RGB = np.stack([GREY] * 3, -1)
MODES = {  # file name -> what is written, what is read
    "grey.png": (GREY, GREY_RGB),
    "opaque.png": (np.dstack([RGB, np.full((48, 48), 255, np.uint8)]), RGB),
    "clear.png": (np.dstack([RGB, np.zeros((48, 48), np.uint8)]), np.full_like(RGB, 255)),
    "deep.png": (GREY.astype(np.uint16) * 257, GREY_RGB),
    "deep.tif": (GREY.astype(np.uint16) * 257, GREY_RGB),
    "plain.bmp": (RGB, RGB),
    "plain.ppm": (RGB, RGB),
    "plain.tif": (RGB, RGB),
    "lossless.webp": (RGB, RGB),
}


@pytest.mark.parametrize("name", MODES)
def test_every_mode_becomes_rgb(tmp_path, name):
    written, expected = MODES[name]
    Image.fromarray(written).save(tmp_path / name, lossless=True)

    frames = read_all(tmp_path / name)

    assert len(frames) == 1 and np.array_equal(frames[0], expected)
    assert probe(tmp_path / name).kind == "image"


def test_a_palette_is_applied(tmp_path):
    Image.fromarray(RGB).quantize(64).save(tmp_path / "p.png")

    (frame,) = read_all(tmp_path / "p.png")

    assert frame.shape == (48, 48, 3)
    assert np.abs(frame.astype(int) - RGB).mean() < 4


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("mark", range(1, 9))
def test_a_photo_is_upright_whatever_its_mark(tmp_path, mark, mode, suffix):
    stored = Image.fromarray(np.kron(np.arange(6).reshape(2, 3), np.ones((16, 16))) * 50)
    stored = stored.convert("L").convert(mode)
    exif = Image.Exif()
    exif[0x112] = mark
    stored.save(tmp_path / f"a.{suffix}", exif=exif, quality=95)
    marked = stored.copy()
    marked.getexif()[0x112] = mark
    expected = np.asarray(ImageOps.exif_transpose(marked).convert("RGB")).astype(int)

    frame = (read_image(tmp_path / f"a.{suffix}") * 255).round().numpy().transpose(1, 2, 0)

    assert frame.shape == expected.shape
    assert np.abs(frame - expected).mean() < 4


SOURCES = {
    "path": lambda folder: folder / "a.png",
    "text": lambda folder: str(folder / "a.png"),
    "bytes": lambda folder: RGB,
    "floats": lambda folder: RGB / 255.0,
    "tensor": lambda folder: torch.from_numpy(RGB.transpose(2, 0, 1) / 255),
    "Pillow image": lambda folder: Image.fromarray(RGB),
    "mirrored twice": lambda folder: RGB[:, ::-1][:, ::-1],  # negative strides
}


@pytest.mark.parametrize("kind", SOURCES)
def test_a_source_may_come_as_anything(tmp_path, kind):
    iio.imwrite(tmp_path / "a.png", RGB)

    image = read_image(SOURCES[kind](tmp_path))

    expected = torch.from_numpy(RGB.transpose(2, 0, 1) / 255).float()
    torch.testing.assert_close(image, expected)


def test_a_source_may_be_a_video_or_a_strip(tmp_path):
    video = write_video(tmp_path / "v.mp4", disc(3))
    strip = write_video(tmp_path / "s.png", disc(3))

    assert read_image(video).shape == (3, 48, 48)  # its first frame
    assert read_image(strip).shape == (3, 48, 144)  # uncut
    assert read_image(strip, 32).shape == (3, 32, 32)


BAD_ARRAYS = {  # -> what is given, and a word of the message
    "floats up to 255": (RGB.astype(np.float32) * 255 / RGB.max(), "0 to 255"),
    "nan": (torch.full((3, 4, 4), float("nan")), "nan"),
    "int64": (np.zeros((4, 4, 3), np.int64), "int64"),
    "a batch": (torch.zeros(2, 3, 4, 4), "[2, 3, 4, 4]"),
}


@pytest.mark.parametrize("kind", BAD_ARRAYS)
def test_an_array_that_is_no_image_is_named(kind):
    array, word = BAD_ARRAYS[kind]

    assert word in error_line(read_image, array)


@pytest.mark.parametrize("size", [0, -3, (32, 0)])
def test_a_size_must_be_pixels(size):
    assert "size=64" in error_line(read_image, RGB, size)


def test_a_resized_image_is_not_darker():
    "Values between two steps of eight bits are rounded, not cut off."
    grey = torch.full((3, 8, 8), 99.7 / 255)

    assert torch.equal(resize_image(grey, 4), torch.full((3, 4, 4), 100 / 255))


def test_an_unknown_fit_is_named():
    assert "'fill'" in error_line(resize_frame, RGB, 32, "fill")


@pytest.mark.parametrize("fit", ["crop", "stretch", "pad"])
@pytest.mark.parametrize("size", [32, (20, 30), (96, 64)])
def test_a_frame_gets_the_size_that_is_asked_for(fit, size):
    expected = (size, size) if isinstance(size, int) else size

    assert resize_frame(RGB[:, :40], size, fit).shape == (*expected, 3)


def test_an_animation_that_begins_black_is_read(tmp_path):
    "Pillow gives its first frame no colour table; imageio's plugin fails on such a file."
    frames = np.concatenate([np.zeros((2, 48, 48, 3), np.uint8), disc(3)])
    frames[1] += 1
    Image.fromarray(frames[0]).quantize(4).save(
        tmp_path / "fade.gif",
        save_all=True,
        append_images=[Image.fromarray(frame).quantize(256) for frame in frames[1:]],
        duration=[50, 60, 70, 80, 90],
    )

    got = read_all(tmp_path / "fade.gif")

    assert len(got) == 5
    assert np.abs(got[-1].astype(int) - frames[-1]).mean() < 8
    with ImageFile(tmp_path / "fade.gif") as file:
        assert [file.delay(i) for i in range(5)] == [50, 60, 70, 80, 90]


def test_a_transparent_gif_keeps_one_colour_behind_its_subject(tmp_path):
    frames = []
    for offset in (0, 8, 16):
        frame = Image.new("RGBA", (48, 48), (0, 90, 0, 0))
        frame.paste((230, 40, 40, 255), (offset, 10, offset + 20, 30))
        frames.append(frame)
    frames[0].save(
        tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=80, disposal=2
    )

    got = read_all(tmp_path / "a.gif")

    assert len(got) == 3
    behind = {tuple(frame[0, 0].tolist()) for frame in got}
    assert behind == {(255, 255, 255)}


def test_names_are_sorted_as_numbers():
    names = ["a1b10.png", "a1b9.png", "A1b2.png", "a0.png"]

    assert sorted(names, key=natural_key) == ["a0.png", "A1b2.png", "a1b9.png", "a1b10.png"]
