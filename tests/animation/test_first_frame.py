"""A driving video whose first frame shows nothing: the user is told what to do."""

import numpy as np
import pytest
import torch

from animlib.animation import animate
from animlib.data import toy
from animlib.viz.images import to_uint8
from animlib.zoo.hub import load


@pytest.fixture(scope="module")
def clip():
    "A driving clip, `[t,3,h,w]`."
    return toy.clips("body", 1, 6, 64, 3).video[0]


def notes(capsys, name, clip, **options):
    "What is printed while an image is animated."
    animate(load(name), clip[-1], clip, device="cpu", progress=False, **options)
    return capsys.readouterr().err


@pytest.mark.parametrize("colour", [0.0, 1.0, 0.5])
def test_a_first_frame_of_one_colour(colour, clip, capsys):
    noise = torch.from_numpy(np.random.default_rng(0).normal(0, 0.005, clip[0].shape)).float()
    faded = torch.cat([(torch.full_like(clip[:1], colour) + noise).clamp(0, 1), clip])

    assert "--best-frame" in notes(capsys, "fomm-body", faded)
    assert "shows nothing" not in notes(capsys, "fomm-body", faded, best_frame=True)
    assert "shows nothing" not in notes(capsys, "fomm-body", faded, mode="absolute")
    assert "shows nothing" not in notes(capsys, "fomm-body", clip)


def test_the_best_frame_is_none_that_shows_nothing(clip):
    "With it, a black start changes nothing of the other frames."
    faded = torch.cat([torch.zeros_like(clip[:1]), clip])
    options = dict(best_frame=True, device="cpu", progress=False)

    plain = animate("fomm-body", clip[-1], clip, **options).frames
    late = animate("fomm-body", clip[-1], faded, **options).frames

    assert np.abs(to_numpy(late)[1:].astype(int) - to_numpy(plain)).max() <= 2


def to_numpy(frames):
    return np.asarray(frames)


def test_a_method_without_points_is_told_where_to_cut(clip, capsys):
    faded = torch.cat([torch.zeros_like(clip[:2]), clip])
    assert "begin with frame 2" in notes(capsys, "x2face-face", faded)


def test_a_video_that_shows_nothing(clip, capsys):
    assert "another video" in notes(capsys, "x2face-face", torch.zeros_like(clip))
    assert to_uint8(clip).std() > 10
