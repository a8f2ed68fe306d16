"""Frames that a loss warps at random keep their borders: the detector never sees black ones."""

import pytest
import torch
from torch import nn

from animlib.animator import Step
from animlib.core import Flow, Keypoints
from animlib.losses.anchors import anchor_errors, second_pass
from animlib.losses.equivariance import equivariance
from animlib.losses.reconstruction import Term
from animlib.models.registry import build

WHITE = torch.ones(4, 3, 32, 32)
STRONG = 0.4  # deviation of the affine numbers: every frame is seen far beyond its border


class Recorder(nn.Module):
    "A detector that keeps the frames it is shown."

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, frame):
        self.seen.append(frame)
        return Keypoints(torch.zeros(len(frame), 2, 2))


def watched_model():
    "A model with such a detector, which gives the driving frame as its result."
    model = build("fomm", "toy")
    model.detector = Recorder()
    return model


def step(model):
    "A step of white frames."
    kp = Keypoints(torch.zeros(4, 2, 2))
    return Step(WHITE, WHITE, kp, kp, Flow(None), WHITE, model)


class Repeats(nn.Module):
    "A model that passes its driving frame on."

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, source, driving):
        self.seen.append(driving)
        return step(self)


def seen_by_equivariance(frame):
    model = watched_model()
    equivariance(step(model), frame=frame, affine=STRONG)
    return model.detector.seen


def seen_by_anchor_errors():
    model = watched_model()
    anchor_errors(model, [WHITE], affine=STRONG)
    return model.detector.seen


def seen_by_the_second_pass():
    model = Repeats()
    second_pass(step(model), Term(1.0, lambda out: out.frame.mean()), affine=STRONG)
    return model.seen


LOSSES = {
    "equivariance of the driving frame": lambda: seen_by_equivariance("driving"),
    "equivariance of the source": lambda: seen_by_equivariance("source"),
    "errors of the anchors": seen_by_anchor_errors,
    "the second pass": seen_by_the_second_pass,
}


@pytest.mark.parametrize("name", LOSSES)
def test_white_frames_stay_white(name):
    torch.manual_seed(0)

    seen = LOSSES[name]()

    assert seen
    for frames in seen:
        assert torch.allclose(frames, WHITE, atol=1e-5)
