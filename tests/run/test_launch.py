"""A training by several processes, started by one call from a notebook or a program."""

import json
import sys

import pytest
from safetensors import safe_open

from animlib.core import InputError
from animlib.run.processes import LaunchFailed, train_in_processes

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs gloo")
SMALL = dict(clips=2, frames=2, device="cpu")
QUICK = dict(steps=2, batch=2, log_every=1, preview_every=0)


@pytest.mark.slow
def test_two_processes_train_one_model_and_go_on(tmp_path):
    run = train_in_processes(2, "fomm", "toy:arm", "toy", tmp_path / "run", **SMALL, **QUICK)
    with safe_open(run / "model.safetensors", "pt") as file:
        assert "fomm" in json.dumps(file.metadata())
    lines = (run / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2]

    longer = QUICK | dict(steps=3)
    with pytest.raises(InputError, match="exists already"):
        train_in_processes(2, "fomm", "toy:arm", "toy", run, **SMALL, **longer)
    train_in_processes(2, "fomm", "toy:arm", "toy", run, resume=True, **SMALL, **longer)
    lines = (run / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3]


@pytest.mark.slow
def test_a_training_that_diverges_says_so(tmp_path):
    odd = QUICK | dict(lr=1e30, steps=20)
    with pytest.raises(LaunchFailed, match="failed"):
        train_in_processes(1, "fomm", "toy:arm", "toy", tmp_path / "run", **SMALL, **odd)
