"""The table of speeds leaves out what cannot be measured, and says so."""

import pytest
import torch

from animlib.core import InputError
from animlib.models.registry import build
from animlib.run import speed
from animlib.run.speed import frame_speeds, speeds

SMALL = dict(preset="toy", size=32, frames=2, rounds=1, training="", progress=False)


def test_an_engine_that_cannot_run_a_model_is_left_out(monkeypatch, capsys):
    def refuse(*args):
        raise InputError("graph drive: expected operators that ONNX has, found one that it has not")

    monkeypatch.setattr(speed, "open_engine", refuse)
    model = build("fomm", "toy").eval()
    found = frame_speeds(model, {"no": 1e11}, size=32, frames=2, engines=["torch"], rounds=1)

    assert [way.engine for way in found] == [speed.BEFORE]
    assert "fomm: torch, fp32 is left out: graph drive: " in capsys.readouterr().err


@pytest.mark.parametrize("able", [False, True])
def test_bf16_is_timed_where_it_is_not_imitated(able, monkeypatch, capsys):
    monkeypatch.setattr(speed, "computes_in_bf16", lambda device: able)
    monkeypatch.setattr(speed, "machine_limit", lambda device, precision: 1e11)
    found = speeds(("fomm",), engines=("torch",), device="cpu", **SMALL)

    precisions = {way["precision"] for way in found["frames"]["fomm"]}
    assert precisions == ({"no", "bf16"} if able else {"no"})
    assert ("bf16 is left out" in capsys.readouterr().err) is not able


@pytest.mark.parametrize("ratio,expected", [(0.03, False), (0.5, False), (1.9, True)])
def test_a_device_that_is_slower_in_bf16_imitates_it(ratio, expected, monkeypatch):
    monkeypatch.setattr(speed, "in_turns", lambda ways, rounds: {"bf16": (1.0, ratio)})
    assert speed.computes_in_bf16(torch.device("cpu")) is expected
