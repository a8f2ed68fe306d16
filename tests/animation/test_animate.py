"""Animation as users meet it.

Whatever the driving comes as, the result has its length, speed and sound, in memory that does
not grow."""

import json
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from einops import rearrange
from PIL import Image

import animlib
from animlib.animation import animate, animate_stream
from animlib.core import InputError
from animlib.data import toy
from animlib.inference import find_keypoints, ready
from animlib.media.read import probe
from animlib.media.write import Video, VideoWriter
from animlib.zoo.hub import load

SIZE, T, FPS = 32, 12, 12.5
RATE = 48000  # samples of sound a second


# ---- a small model, a source image, a driving clip in all its forms ----
@pytest.fixture(scope="module")
def model(tiny_model_file):
    return load(tiny_model_file)


@pytest.fixture(scope="module")
def clip():
    "The driving clip, `[t,3,h,w]`."
    return toy.clips("body", 1, T, SIZE, toy.split_seed("test")).video[0]


@pytest.fixture(scope="module")
def image():
    "The source image, of another identity, `[3,h,w]`."
    return toy.clips("body", 1, 1, SIZE, toy.split_seed("test", 1)).video[0, 0]


def write_tone(path, seconds: float):
    "A file of sound."
    wave = (0.3 * np.sin(np.arange(round(seconds * RATE)) / 17)).astype(np.float32)
    with av.open(str(path), "w") as out:
        track = out.add_stream("aac", rate=RATE)
        frame = av.AudioFrame.from_ndarray(wave[None], format="fltp", layout="mono")
        frame.sample_rate = RATE
        frame.pts = 0
        frame.time_base = Fraction(1, RATE)
        out.mux(track.encode(frame))
        out.mux(track.encode(None))


@pytest.fixture(scope="module")
def files(clip, tmp_path_factory):
    "The driving clip as a strip, a folder of frames, a gif, a video and a video with sound."
    folder = tmp_path_factory.mktemp("driving")
    video = Video.from_tensor(clip, FPS)
    for name in ("strip.png", "frames/", "silent.mp4", "clip.gif"):
        video.save(f"{folder}/{name}")
    write_tone(folder / "tone.m4a", T / FPS)
    Video.from_tensor(clip, FPS, str(folder / "tone.m4a")).save(folder / "sound.mp4")
    return folder


def run(model, source, driving, *args, **options) -> "Video|Path":
    "`animate` on the CPU, without a bar."
    return animate(model, source, driving, *args, **{"device": "cpu", "progress": False, **options})


def difference(first: Video, second: Video) -> torch.Tensor:
    "Of every pixel, in grey levels."
    return (first.frames.int() - second.frames.int()).abs().float()


def as_bytes(frames: torch.Tensor) -> torch.Tensor:
    "Floats `[...,3,h,w]` as uint8 of the same shape."
    return (frames * 255).round().byte()


def seconds(path, kind: str) -> float:
    "How long the frames, or the samples, of a file last."
    with av.open(str(path)) as file:
        if kind == "audio":
            return sum(part.samples / part.sample_rate for part in file.decode(audio=0))
        count = sum(1 for _ in file.decode(video=0))
        return count / float(file.streams.video[0].average_rate)


# ---- what goes in ----
@pytest.fixture(scope="module")
def from_strip(model, image, files):
    "What the other forms of the driving clip are compared with."
    return run(model, image, files / "strip.png")


def test_a_strip_of_frames_drives(from_strip):
    assert from_strip.frames.shape == (T, SIZE, SIZE, 3)


def test_folders_names_and_videos_in_memory_are_the_same(model, image, files, from_strip):
    strip = files / "strip.png"
    for same in (files / "frames", str(strip), Video.open(strip)):
        assert difference(run(model, image, same), from_strip).max() == 0


def test_a_tensor_is_nearly_the_same(model, image, clip, from_strip):
    "It is rounded to bytes first."
    assert difference(run(model, image, clip), from_strip).max() <= 1


@pytest.mark.parametrize("name", ["silent.mp4", "clip.gif"])
def test_videos_are_close(model, image, files, from_strip, name):
    "Colours change a little, the order of frames does not."
    made = run(model, image, files / name)
    backwards = Video(from_strip.frames.flip(0))

    assert len(made) == T
    wrong_order = difference(made, backwards).mean()
    assert difference(made, from_strip).mean() < wrong_order / 2


def test_every_form_of_the_source_is_the_same(model, image, files, tmp_path):
    tensor = as_bytes(image)
    array = rearrange(tensor, "c h w -> h w c").numpy()
    file = tmp_path / "source.png"
    Image.fromarray(array).save(file)
    want = run(model, file, files / "strip.png")

    for same in (str(file), array, tensor, Image.fromarray(array), [file], tensor[None]):
        assert difference(run(model, same, files / "strip.png"), want).max() == 0


def test_sources_that_are_not_used_are_mentioned(model, image, files, capsys):
    one = run(model, image, files / "strip.png", mode="absolute")
    assert capsys.readouterr().err == ""

    two = run(model, [image, 1 - image], files / "strip.png", mode="absolute")

    assert difference(one, two).max() == 0
    note = "animlib: note: fomm uses 1 of the 2 source images: the first\n"
    assert capsys.readouterr().err == note


@pytest.mark.parametrize("fit", ["crop", "stretch", "pad"])
@pytest.mark.parametrize("size,shape", [(None, (SIZE, SIZE)), ((40, 64), (40, 64))])
def test_other_shapes_are_fitted(model, fit, size, shape):
    wide = toy.clips("body", 1, 3, (40, 64), 7).video[0]
    assert run(model, wide[0], wide, fit=fit, size=size).frames.shape == (3, *shape, 3)


# ---- each input is opened once ----
@pytest.fixture
def opened(monkeypatch):
    "The names of the video files that are opened, once for each time."
    names = []
    open_file = av.open

    def counting(file, *args, **options):
        names.append(str(file))
        return open_file(file, *args, **options)

    monkeypatch.setattr(av, "open", counting)
    return names


@pytest.mark.parametrize("options", [{}, {"best_frame": True}, {"mode": "absolute"}])
def test_a_driving_file_is_probed_once_and_streamed_once(model, image, files, opened, options):
    run(model, image, files / "silent.mp4", **options)
    assert opened.count(str(files / "silent.mp4")) <= 2


def test_so_it_is_when_the_result_is_a_file(model, image, files, opened, tmp_path):
    run(model, image, files / "silent.mp4", tmp_path / "out.mp4")
    assert opened.count(str(files / "silent.mp4")) <= 2


@pytest.mark.parametrize("options", [{}, {"mode": "absolute"}, {"batch": 1}])
def test_the_mode_is_checked_once(model, image, clip, monkeypatch, options):
    module = sys.modules["animlib.animation"]
    modes = []
    monkeypatch.setattr(module, "check_mode", lambda mode, network=True: modes.append(mode))

    run(model, image, clip, **options)

    assert len(modes) == 1


# ---- what comes out ----
@pytest.mark.parametrize("name", ["silent.mp4", "sound.mp4"])
@pytest.mark.parametrize("out", ["o.mp4", "o.mkv", "o.webm"])
def test_length_speed_and_sound_are_those_of_the_driving(model, image, files, tmp_path, name, out):
    made = run(model, image, files / name, tmp_path / out)

    assert made == tmp_path / out
    info = probe(made)
    assert (info.fps, info.size, info.has_sound) == (FPS, (SIZE, SIZE), name == "sound.mp4")
    assert abs(seconds(made, "video") - T / FPS) < 1e-6
    if info.has_sound:
        assert abs(seconds(made, "audio") - seconds(files / name, "audio")) < 0.06
    assert [path.name for path in tmp_path.iterdir()] == [out]


def test_a_video_in_memory_has_length_speed_and_sound(model, image, files):
    made = run(model, image, files / "sound.mp4")
    assert (len(made), made.fps, bool(made.sound)) == (T, FPS, True)


@pytest.mark.parametrize("out", ["o.png", "o/"])
def test_a_video_in_memory_is_the_file(model, image, files, tmp_path, out):
    made = run(model, image, files / "sound.mp4")
    file = run(model, image, files / "sound.mp4", f"{tmp_path}/{out}")
    assert torch.equal(Video.open(file).frames, made.frames)


def test_a_folder_has_a_file_for_every_frame(model, image, clip, tmp_path):
    folder = run(model, image, clip, f"{tmp_path}/o/")
    assert len(list(folder.glob("*.png"))) == T


@pytest.mark.parametrize("batch", [1, 5])
def test_the_batch_does_not_matter(model, image, clip, batch):
    whole = run(model, image, clip, batch=T)
    assert difference(run(model, image, clip, batch=batch), whole).max() <= 1


@pytest.mark.parametrize("batch", [1, 5])
def test_the_batch_does_not_matter_to_keypoints(model, clip, batch):
    quick = ready(model, "cpu")
    whole = find_keypoints(quick, clip)

    parts = [find_keypoints(quick, frames) for frames in clip.split(batch)]

    for name in ("xy", "jac"):
        joined = torch.cat([getattr(part, name) for part in parts])
        assert (joined - getattr(whole, name)).abs().max() < 1e-4


def test_the_model_that_was_given_stays_as_it_was(model, image, clip):
    before = {name: value.clone() for name, value in model.state_dict().items()}

    model.train()
    from_training = run(model, image, clip)
    was_training = model.training
    from_evaluation = run(model.eval(), image, clip)

    assert was_training and difference(from_training, from_evaluation).max() == 0
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not torch.is_inference_mode_enabled() and torch.is_grad_enabled()


def test_a_stream_leaves_its_caller_in_peace(model, image, clip):
    "Between two batches neither inference mode nor autocast is on."
    frames = list(rearrange(as_bytes(clip), "t c h w -> t h w c").numpy())
    stream = animate_stream(ready(model, "cpu"), image[None], frames, batch=5, precision="bf16")

    next(stream)

    assert not torch.is_inference_mode_enabled() and not torch.is_autocast_enabled("cpu")


def test_bf16_is_close(model, image, clip):
    there = difference(run(model, image, clip, precision="bf16"), run(model, image, clip))
    assert 0 < there.mean() < 6


def test_the_public_name_is_the_function(tiny_model_file, image, clip):
    made = animlib.animate(str(tiny_model_file), image, clip, device="cpu", progress=False)
    assert len(made) == T


# ---- the driving's motion, the source's shape ----
def test_relative_motion_starts_with_the_source(model, image, clip):
    "In its first frame nothing has moved: the model's own reconstruction of the source."
    with torch.no_grad():
        want = as_bytes(model(image[None], image[None]).frame[0]).int()

    first = run(model, image, clip[:2], scale=1.0).frames[0].int()

    assert (rearrange(first, "h w c -> c h w") - want).abs().max() <= 2


def test_the_best_frame_is_found(model, clip):
    """The source is the driving's own frame 7.

    From there relative motion is absolute motion; from the first frame it is not."""
    absolute = run(model, clip[7], clip, mode="absolute")

    best = difference(absolute, run(model, clip[7], clip, best_frame=True))
    first = difference(absolute, run(model, clip[7], clip))

    assert best.max() <= 2 and first.mean() > 3 * best.mean()


def test_a_better_frame_is_mentioned_once(model, clip, capsys):
    for options in ({"mode": "absolute"}, {"best_frame": True}, {}):
        run(model, clip[7], clip, **options)

    notes = capsys.readouterr().err
    assert notes.count("\n") == 1
    assert "frame 7 of the driving" in notes and "--best-frame" in notes


def test_the_scale_is_taken_over(model, image, clip):
    still = run(model, image, clip, scale=1e-6)
    half, full = (difference(run(model, image, clip, scale=s), still).mean() for s in (0.5, 1.0))
    assert half < full


@pytest.mark.parametrize("scale", [0, -1, "big", None])
def test_a_scale_that_makes_no_sense(model, image, clip, scale):
    with pytest.raises(InputError, match="scale"):
        run(model, image, clip, scale=scale)


# ---- when it goes wrong ----
def test_an_old_result_survives_a_failure(model, image, files, tmp_path):
    "A driving video that breaks off in the middle is noticed late."
    driving, out = tmp_path / "driving.mkv", tmp_path / "out.mp4"
    Video.from_tensor(toy.clips("body", 1, 60, 64, 3).video[0], 25).save(driving)
    data = driving.read_bytes()
    driving.write_bytes(data[: len(data) // 2])
    out.write_bytes(b"old")

    with pytest.raises(InputError):
        run(model, image, driving, out)

    assert out.read_bytes() == b"old"
    assert sorted(tmp_path.iterdir()) == [driving, out]


def test_an_old_result_is_replaced(model, image, files, tmp_path):
    (tmp_path / "out.mp4").write_bytes(b"old")
    run(model, image, files / "silent.mp4", tmp_path / "out.mp4")
    assert probe(tmp_path / "out.mp4").frames == T


@pytest.fixture
def stop_in_third_batch(monkeypatch):
    "The user stops the program while the third batch is made."
    module = sys.modules["animlib.engines.runners"]
    animate_frames = module.animate_frames
    calls = []

    def stopped(*args):
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return animate_frames(*args)

    monkeypatch.setattr(module, "animate_frames", stopped)


@pytest.mark.parametrize("out", ["o.mp4", "o.gif", "o/"])
def test_an_error_in_the_middle_leaves_nothing(
    model, image, clip, tmp_path, stop_in_third_batch, out
):
    with pytest.raises(KeyboardInterrupt):
        run(model, image, clip, f"{tmp_path}/{out}", batch=4)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "options,message",
    [
        (dict(mode="realtive"), "did you mean 'relative'"),
        (dict(mode="disentangled"), "mode 'disentangled': expected a model with"),
        (dict(device="tpu"), "device: expected auto"),
        (dict(precision="fp8"), "precision"),
        (dict(batch=0), "batch"),
        (dict(size=7), "nearest: 8"),
        (dict(size=(32, 30)), "multiples of 8"),
        (dict(fit="squeeze"), "fit"),
        (dict(out="x.doc"), "a name ending in"),
    ],
)
def test_options_that_make_no_sense(model, image, clip, options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(InputError) as error:
        run(model, image, clip, **options)

    assert message in str(error.value) and "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "options",
    [dict(mode="disentangled"), dict(precision="fp8"), dict(batch=0), dict(size=7), dict(scale=0)],
)
def test_what_is_refused_late_leaves_nothing(model, image, clip, options, tmp_path):
    with pytest.raises(InputError):
        run(model, image, clip, tmp_path / "out.mp4", **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("options", [dict(mode="realtive"), dict(out="x.doc")])
def test_what_needs_no_model_is_refused_before_it_is_loaded(image, clip, options):
    with pytest.raises(InputError, match="did you mean 'relative'|a name ending in"):
        run("no such model", image, clip, **options)


def test_drivings_that_make_no_sense(model, image, clip, files):
    cases = [
        (clip[:1], "at least 2 frames"),
        (clip[0], "t c h w"),
        (clip.tolist(), "found list"),
        (files / "nowhere.mp4", "nothing"),
        (Video.from_tensor(clip[:1]), "at least 2 frames"),
    ]
    for driving, message in cases:
        with pytest.raises(InputError, match=message):
            run(model, image, driving)


@pytest.mark.parametrize("name", ["one.png", "one.gif", "one.mp4", "one.mkv", "one.webm"])
def test_one_frame_drives_nothing(model, image, clip, tmp_path, name):
    "Also where the file does not count its frames."
    Video.from_tensor(clip[:1]).save(tmp_path / name)
    with pytest.raises(InputError, match="at least 2 frames"):
        run(model, image, tmp_path / name)


def test_the_driving_video_is_not_overwritten(model, image, files):
    before = (files / "silent.mp4").read_bytes()
    with pytest.raises(InputError, match="the driving video"):
        run(model, image, files / "silent.mp4", files / "silent.mp4")
    assert (files / "silent.mp4").read_bytes() == before


@pytest.mark.parametrize("form", ["same", "link", "one of several", "frames", "bytes"])
def test_no_source_is_overwritten(model, image, clip, tmp_path, form):
    Video.from_tensor(image[None]).save(tmp_path / "me.png")
    before = (tmp_path / "me.png").read_bytes()
    (tmp_path / "link.png").symlink_to(tmp_path / "me.png")
    sources = {"link": tmp_path / "link.png", "one of several": [image, tmp_path / "me.png"]}
    out = {"frames": f"{tmp_path}/", "bytes": tmp_path / "new.png"}.get(form, tmp_path / "me.png")
    source = before if form == "bytes" else sources.get(form, tmp_path / "me.png")

    if form == "bytes":  # an image in memory may be written anywhere
        assert run(model, source, clip, out).exists()
    else:
        with pytest.raises(InputError, match="found the source image"):
            run(model, source, clip, out)

    assert (tmp_path / "me.png").read_bytes() == before


def test_what_a_source_may_not_be_a_driving_may_not_be_either(model, image, clip):
    "One door: ranges, types and channels of a frame."
    spoiled = {
        "divide by 255": clip * 255,
        "nan": clip * torch.nan,
        "int64": clip.long(),
        r"\[2, ": clip[:, :2],
        r"found -": clip * 2 - 1,
    }
    for words, frames in spoiled.items():
        with pytest.raises(InputError, match=words):
            run(model, frames[0], clip)
        with pytest.raises(InputError, match=words):
            run(model, image, frames)
    for scale in (float("inf"), float("nan"), 0, "1"):
        with pytest.raises(InputError, match="scale: expected"):
            run(model, image, clip, scale=scale)


def test_no_source_is_refused(model, clip):
    with pytest.raises(InputError, match="empty list"):
        run(model, [], clip)


# ---- memory ----
# glibc gives back at once what is freed: else up to 60 MiB of the reading are its leftovers
TIDY = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "65536",
    "MALLOC_TRIM_THRESHOLD_": "131072",
}
MEMORY = """
import json, os, sys
import torch
torch.set_num_threads(1)
from animlib.zoo.hub import load
import animlib.animation
from animlib.engines import runners
module = sys.modules["animlib.animation"]
model, folder = load(sys.argv[1]), sys.argv[2]
write, batches, detect = module.VideoWriter.write, module.batches, runners.find_keypoints

# large frames, little work
def find_keypoints(model, frames, precision):
    return detect(model, frames[..., ::4, ::4], precision)

def animate_frames(model, prepared, kp_d, precision):
    return prepared.source.expand(len(kp_d), -1, -1, -1).contiguous()

runners.find_keypoints = find_keypoints
runners.animate_frames = animate_frames
sizes = []

def write_and_measure(self, frames):
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[1])
    sizes.append(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)
    write(self, frames)

module.VideoWriter.write = write_and_measure

def peak(name):
    sizes.clear()
    files = (f"{folder}/{name}" for name in ("source.png", name, "out.mp4"))
    module.animate(model, *files, device="cpu", size=128, progress=False)
    return max(sizes)

found = [peak("short.mp4"), peak("short.mp4"), peak("long.mp4")]
module.batches = lambda *args: iter(list(batches(*args)))
print(json.dumps([*found, peak("long.mp4")]))
"""


def write_long(path, frames, count: int):
    "A video of these frames, repeated until there are enough."
    with VideoWriter(path, 25) as writer:
        for number in range(count):
            writer.write(frames[number % len(frames)])


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs Linux's /proc/self/statm")
def test_memory_does_not_grow_with_length(tiny_model_file, tmp_path):
    "Ten times as many frames, which fill 94 MiB when they are read at once."
    frames = Video.from_tensor(toy.clips("body", 1, 24, 128, 5).video[0]).frames
    Image.fromarray(frames[0].numpy()).save(tmp_path / "source.png")
    write_long(tmp_path / "short.mp4", frames, 50)
    write_long(tmp_path / "long.mp4", frames, 500)
    argv = [sys.executable, "-c", MEMORY, str(tiny_model_file), str(tmp_path)]
    options = dict(capture_output=True, text=True, timeout=300, env=os.environ | TIDY)

    result = subprocess.run(argv, **options)

    assert result.returncode == 0, result.stderr
    _, short, long, at_once = json.loads(result.stdout)
    assert probe(tmp_path / "out.mp4").frames == 500
    assert long - short < 25 and at_once - short > 70, result.stdout


@pytest.mark.cuda
def test_cuda_gives_the_numbers_of_the_cpu(model, image, clip):
    here = run(model, image, clip)
    there = run(model, image, clip, device="cuda")
    in_bf16 = run(model, image, clip, device="auto", precision="bf16")
    assert difference(there, here).mean() < 1 and difference(in_bf16, here).mean() < 6


# ---- MRAA and TPSMM: three modes, splines that cannot bend ----
@pytest.fixture(scope="module")
def bodies():
    "Two clips of unseen bodies, `[2,t,3,h,w]`."
    return toy.clips("body", 2, 6, 64, toy.split_seed("test")).video


@pytest.mark.parametrize("name", ["mraa-body", "tpsmm-body"])
def test_three_modes(name, bodies):
    modes = ("absolute", "relative", "disentangled")
    made = {m: run(name, bodies[0, 0], bodies[1], mode=m).tensor() for m in modes}

    assert all(video.shape == (6, 3, 64, 64) for video in made.values())
    assert (made["absolute"] - made["disentangled"]).abs().max() > 0.05
    # relative motion begins where the source stands
    assert (made["relative"][0] - bodies[0, 0]).abs().mean() < 0.04


@pytest.mark.parametrize("name", ["mraa-body", "tpsmm-body"])
def test_disentangled_motion_by_file(name, bodies, tmp_path):
    run(name, bodies[0, 0], bodies[1], tmp_path / "out.mp4", mode="disentangled")
    assert (tmp_path / "out.mp4").stat().st_size > 500


def test_a_model_without_the_network_is_refused_and_writes_nothing(tmp_path):
    video = torch.rand(3, 3, 64, 64)
    with pytest.raises(InputError, match="train one on it"):
        run("fomm-body", video[0], video, tmp_path / "out.mp4", mode="disentangled")
    assert not list(tmp_path.iterdir())


def test_splines_without_area_are_named(capsys):
    model = load("tpsmm-body")
    model.detector.head.weight.data.zero_()
    model.detector.head.bias.data.zero_()
    video = torch.rand(4, 3, 64, 64)

    made = run(model, video[0], video, mode="absolute")

    assert made.tensor().isfinite().all()
    assert "without bending" in capsys.readouterr().err
