"A compiled step is the same step: numbers, names, resumed runs; a missing compiler is one line."

import json
from dataclasses import dataclass
from functools import partial

import pytest
import torch

from animlib.animator import Model
from animlib.core import InputError
from animlib.losses.reconstruction import Term
from animlib.models.names import method_names
from animlib.models.registry import configure, get_method
from animlib.training import loop
from animlib.training.compiled import compiled
from animlib.training.config import TrainCfg
from animlib.training.loop import Objective, fit
from animlib.training.state import RunState


@dataclass(frozen=True)
class LayerCfg:
    "Options of a model of one layer."

    size: int = 8


class Layer(Model):
    "A model whose step is a convolution of the driving frames."

    def __init__(self):
        super().__init__()
        self.cfg = LayerCfg()
        self.method = "layer"
        self.conv = torch.nn.Conv2d(3, 3, 3)

    def training_step(self, source, driving):
        return self.conv(driving).square()


class Noise:
    "Pairs of noise."

    def pairs(self, batch, generator, device, reverse=True):
        return tuple(torch.rand(2, batch, 3, 8, 8, generator=generator))


def trained(run, steps=3, resume=False, **options):
    "The state after these steps."
    torch.manual_seed(0)
    losses = dict(small=Term(1.0, lambda made: made.mean()))
    cfg = TrainCfg(steps=steps, batch=2, save_every=2, preview_every=0, milestones=(), **options)
    fit(Layer(), losses, Noise(), cfg, run, device="cpu", progress=False, resume=resume)
    return torch.load(RunState(run).files()[-1], weights_only=True)


@pytest.fixture
def recording(monkeypatch):
    "Steps are recorded and run as they are: compiling takes minutes."
    monkeypatch.setattr(loop, "compiled", partial(compiled, backend="eager"))


def test_the_same_weights_by_the_same_names(tmp_path, recording):
    plain = trained(tmp_path / "plain")["model"]
    found = trained(tmp_path / "compiled", compile=True)["model"]
    torch.testing.assert_close(found, plain)
    assert list(found) == ["conv.weight", "conv.bias"]


def test_a_resumed_run_may_be_compiled_and_says_so(tmp_path, recording, capfd):
    trained(tmp_path / "run", steps=2)
    resumed = trained(tmp_path / "run", steps=3, resume=True, compile=True)
    torch.testing.assert_close(resumed["model"], trained(tmp_path / "whole")["model"])
    assert "train.compile: False -> True" in capfd.readouterr().err
    config = json.loads((tmp_path / "run/config.json").read_text())
    assert config["history"][0]["changes"]["train.compile"] == [False, True]


def test_without_a_compiler_nothing_is_made(tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(InputError, match="option compile: expected a C.. compiler .no-such") as it:
        trained(tmp_path / "run", compile=True)
    assert "\n" not in str(it.value) and not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("method", method_names())
def test_every_step_can_be_recorded(method, precision, monkeypatch):
    "Without a gap, while everything changes that changes in a training."
    monkeypatch.setattr(loop, "compiled", partial(compiled, backend="eager"))
    torch._dynamo.reset()
    cfg, _ = configure(method, "toy")
    paper = get_method(method)
    torch.manual_seed(0)
    model = paper.build(cfg).train()
    terms = paper.losses(cfg)
    source, driving = torch.rand(2, 4, 3, cfg.size, cfg.size)
    recorded = Objective(model, terms, compile=True)
    plain = Objective(model, terms)
    for progress in (0.0, 0.03, 0.05, 0.9):
        model.set_progress(progress)
        losses = []
        for objective in (recorded, plain):
            torch.manual_seed(1)
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
                losses.append(objective(source, driving)[0].detach())
        torch.testing.assert_close(*losses)
