"""An input that is unlike the training frames is worth one note; a usual one none."""

import pytest
import torch
from matplotlib import cbook

from animlib.animation import animate
from animlib.data import toy
from animlib.data.clips import Clips
from animlib.domain import Domain, advise_domain, measure_domain, read_domain
from animlib.media.read import read_image
from animlib.run.jobs import evaluate_run, train
from animlib.training.state import read_header
from animlib.zoo.catalog import zoo
from animlib.zoo.hub import load

SIZE = 64


@pytest.fixture(scope="module")
def clip():
    "A toy body of the test split, `[t,3,h,w]`."
    return toy.clips("body", 1, 3, SIZE, toy.split_seed("test")).video[0]


@pytest.fixture(scope="module")
def photo():
    "A portrait, `[3,h,w]`."
    return read_image(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False), SIZE)


@pytest.fixture
def notes(capsys):
    "What an animation says about its inputs."

    def collect(model, source, driving):
        made = animate(model, source, driving, mode="absolute", device="cpu", progress=False)
        assert len(made.frames) == len(driving)  # a note never ends the work
        return capsys.readouterr().err.splitlines()

    return collect


def test_a_photo_is_noted_once(notes, photo, clip):
    [line] = notes("fomm-body", photo, clip)
    assert line.startswith("animlib: note: far from the frames")
    assert "the source image" in line and "frame 0 of the driving" not in line
    assert "toy:body at 64 px" in line and "animlib train fomm --data" in line


def test_a_far_driving_is_named(notes, photo, clip):
    [line] = notes("fomm-body", clip[0], torch.stack([photo, photo]))
    assert "frame 0 of the driving" in line and "the source image" not in line


def test_both_in_one_note(notes, photo):
    [line] = notes("fomm-body", photo, torch.stack([photo, photo]))
    assert "the source image" in line and "frame 0 of the driving" in line


def test_held_out_frames_are_not_noted(notes, clip):
    assert notes("fomm-body", clip[0], clip) == []


def test_nearer_models_are_named(notes, clip):
    [line] = notes("monkeynet-shapes", clip[0], clip)
    assert "-body" in line.split("nearer models: ")[1] and "animlib train" not in line


@pytest.mark.parametrize("name", ["pose_attentive-body", "x2face-face"])
def test_every_source_is_looked_at(notes, photo, clip, name):
    assert "the source image" in notes(name, [clip[0], photo], clip)[0]


def test_an_older_header_says_nothing(notes, photo, clip):
    model = load("fomm-body")
    del model.info["domain"]
    assert notes(model, photo, clip) == []


def test_a_damaged_header_is_noted(notes, photo, clip):
    model = load("fomm-body")
    model.info["domain"]["std"][3] = 0.0
    [line] = notes(model, photo, clip)
    assert "damaged" in line and "not compared" in line


@pytest.mark.parametrize("name", zoo())
def test_the_zoo_knows_its_domain(name):
    assert isinstance(read_domain(read_header(zoo()[name])), Domain)


def test_a_run_knows_its_domain(tmp_path, photo):
    quick = dict(steps=2, batch=2, preview_every=0, save_every=2, clips=100, frames=2)
    run = train("fomm", "toy:body", "toy", tmp_path / "run", "cpu", progress=False, **quick)
    written = read_header(run / "model.safetensors")["domain"]
    evaluate_run(run, 1, progress=False)
    assert read_header(run / "model.safetensors")["domain"] == written
    model = load(run)
    seen = toy.clips("body", 1, 1, 32, toy.split_seed("train")).video[0]
    assert advise_domain(model, seen, seen) == []
    [line] = advise_domain(model, photo[None], seen)
    assert "animlib train fomm" in line and "animlib convert" in line


def test_clips_that_are_all_alike():
    grey = Clips(torch.full((6, 32, 32, 3), 128, dtype=torch.uint8), [2, 2, 2])
    domain = measure_domain(grey)
    assert domain.distance(grey.video(0)).max() <= domain.limit
    assert domain.distance(torch.rand(1, 3, 32, 32)) > domain.limit
