"""A step that is recorded once gives PyTorch's frames; one that cannot be is run as before."""

import pytest
import torch

from animlib.engines.choice import open_engine
from animlib.engines.replayed import ReplayedEngine
from animlib.engines.runners import Engine
from animlib.inference import ready
from animlib.models.registry import build


def test_a_card_replays_its_frames(monkeypatch):
    model = ready(build("fomm", "toy"), "cpu")
    monkeypatch.setattr(Engine, "device", torch.device("cuda"))
    assert isinstance(open_engine("torch", model, model, torch.rand(1, 3, 32, 32)), ReplayedEngine)


@pytest.mark.parametrize("method", ["tpsmm", "hdam", "pose_attentive", "x2face"])
def test_replayed_frames_follow_new_keypoints_and_new_sources(method, capsys):
    torch.manual_seed(0)
    model = ready(build(method, "toy"), "cpu", plain=True)
    replayed = ReplayedEngine(model, recorder=same_memory)
    plain = Engine(model)
    frames = torch.rand(5, 3, 32, 32)
    for source in (example_source(model), example_source(model)):
        prepared = plain.prepare(source)
        for some in (frames, frames[:2], frames.flip(0)):
            found = replayed.drive(prepared, replayed.detect(some))
            wanted = plain.drive(prepared, plain.detect(some))
            torch.testing.assert_close(found, wanted, atol=1e-4, rtol=0)
    assert "replay" not in capsys.readouterr().err  # no note that it gave up


def same_memory(step):
    "As a card: a replay reads the memory that was recorded, and writes into it."
    made = step()

    def replay():
        with torch.inference_mode():
            return made.copy_(step())

    return replay


def example_source(model):
    return torch.rand(*([1, 2] if model.n_sources != 1 else [1]), 3, 32, 32)


def check_given_up(engine):
    "The frames of PyTorch, the first time and later."
    frames = torch.rand(2, 3, 32, 32)
    prepared = engine.prepare(frames[:1])
    kp_d = engine.detect(frames)
    wanted = Engine(engine.model).drive(prepared, kp_d)
    for _ in range(2):
        torch.testing.assert_close(engine.drive(prepared, kp_d), wanted)


def test_a_step_that_cannot_be_recorded_is_run_as_before(capsys):
    def refuse(step):
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    model = ready(build("fomm", "toy"), "cpu")
    check_given_up(ReplayedEngine(model, recorder=refuse))
    assert capsys.readouterr().err.count("not replayed as a CUDA graph (operation not") == 1


def test_a_recording_with_other_frames_is_given_up(capsys):
    model = ready(build("fomm", "toy"), "cpu")
    check_given_up(ReplayedEngine(model, recorder=lambda step: lambda: 1 - step()))
    assert "apart on average" in capsys.readouterr().err
