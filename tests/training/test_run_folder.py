"A run's folder: whose it is, what is refused, what survives damage and a full disk."

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from project_files import ROOT
from safetensors.torch import load_file

from animlib.cli import main
from animlib.core import InputError
from animlib.data.folder import open_folder
from animlib.process import stop_signals
from animlib.run import jobs
from animlib.storage import FolderLock
from animlib.training import config, folder, record, state

SMALL = "train fomm --data toy:arm --preset toy --clips 2 --frames 2 --device cpu".split()
QUICK = "-o batch=2 -o save_every=2 -o log_every=1 -o preview_every=0".split()
FULL = RuntimeError("[enforce fail at inline_container.cc:668] . unexpected pos 64 vs 0")


def train(run, *more, steps=6) -> int:
    "Exit code of a small training."
    return main([*SMALL, *QUICK, "--steps", steps, "--run", run, *more])


def one_line(capsys) -> str:
    "What was said on stderr, which is one line and notes."
    lines = capsys.readouterr().err.splitlines()
    ends = [line for line in lines if not line.startswith("animlib: note:")]
    assert len(ends) == 1, lines
    return ends[0]


def everything(run) -> dict:
    "Every file of a folder, and what is in it."
    return {p.relative_to(run): p.read_bytes() for p in run.rglob("*") if p.is_file()}


def states(run) -> list[str]:
    return sorted(path.name for path in (run / "state").glob("*"))


def weights(run) -> dict:
    return load_file(run / "model.safetensors")


def same(first, second) -> bool:
    return all(torch.equal(value, second[name]) for name, value in first.items())


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    "A run that nothing happened to."
    run = tmp_path_factory.mktemp("whole") / "run"
    assert train(run) == 0
    return run


class StopsAt:
    "A sampler that meets a bad clip after some batches."

    def __init__(self, batches: int):
        self.left = batches

    def __call__(self, *args):
        self.left -= 1
        if self.left < 0:
            raise InputError("clip 7: one frame; take it out")
        return config.pair_sampler(*args)


def stopped_at(run, step, monkeypatch) -> int:
    "Exit code of a training that meets a bad clip in this step."
    with monkeypatch.context() as patch:
        patch.setattr(jobs, "pair_sampler", StopsAt(step))
        return train(run)


# ---- one owner ----
@pytest.mark.parametrize("resume", [[], ["--resume"]])
def test_a_folder_at_work_is_refused_and_untouched(resume, whole, capsys):
    before = everything(whole)
    with FolderLock(whole, "run"):
        assert train(whole, *resume) == 2

    assert f"run {whole}: another process is at work" in one_line(capsys)
    assert everything(whole) == before


def test_two_started_together(tmp_path):
    "One of them trains, the other is refused, and the run is whole."
    paths = [str(ROOT), os.environ.get("PYTHONPATH")]
    env = os.environ | dict(PYTHONPATH=os.pathsep.join(filter(None, paths)), OMP_NUM_THREADS="1")
    argv = [sys.executable, "-m", "animlib", *SMALL, *QUICK, "--steps", "30", "--run"]
    pipes = dict(stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=env)
    both = [subprocess.Popen([*argv, tmp_path / "run"], **pipes) for _ in range(2)]
    said = [process.communicate(timeout=240)[1] for process in both]

    codes = [process.returncode for process in both]
    assert sorted(codes) == [0, 2], said
    refusal = said[codes.index(2)]
    assert "another process is at work" in refusal or "exists already" in refusal
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, 31))
    assert weights(tmp_path / "run")


# ---- nothing that was there is removed ----
def test_a_refused_training_removes_what_it_made_alone(tmp_path, capsys):
    "A size that the model cannot have is noticed in the first step."
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")

    assert (
        train(tmp_path / "mine", "-o", "size=20") == train(tmp_path / "new", "-o", "size=20") == 2
    )

    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
    assert not (tmp_path / "new").exists()


def test_an_input_error_in_the_middle_keeps_what_was_saved(tmp_path, monkeypatch, whole, capsys):
    run = tmp_path / "run"
    assert stopped_at(run, 5, monkeypatch) == 2

    assert "step 4 was saved: resume (--resume)" in one_line(capsys)
    assert states(run) == ["step-00000002.pt", "step-00000004.pt"]
    assert train(run, "--resume") == 0 and same(weights(run), weights(whole))


# ---- damage ----
def cut(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def zeros(file):
    file.write_bytes(bytes(file.stat().st_size))


def empty(file):
    file.write_bytes(b"")


DAMAGE = [cut, zeros, empty]


@pytest.mark.parametrize("damage", DAMAGE)
def test_of_two_states_the_whole_one_resumes(damage, tmp_path, monkeypatch, whole, capsys):
    run = tmp_path / "run"
    stopped_at(run, 5, monkeypatch)
    damage(run / "state" / "step-00000004.pt")

    assert train(run, "--resume") == 0
    assert "going on from step 2" in capsys.readouterr().err
    assert same(weights(run), weights(whole))
    lines = (run / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_config_is_named_with_a_cure_that_works(
    damage, tmp_path, monkeypatch, whole, capsys
):
    run = tmp_path / "run"
    stopped_at(run, 5, monkeypatch)
    damage(run / "config.json")
    capsys.readouterr()

    assert train(run, "--resume") == 2
    assert "config.json: expected the config of a run" in one_line(capsys)
    (run / "config.json").unlink()
    assert train(run) == 2  # the states are there
    assert train(run, "--resume") == 0 and same(weights(run), weights(whole))


def test_a_log_that_was_cut_in_a_line(tmp_path, monkeypatch, whole):
    run = tmp_path / "run"
    stopped_at(run, 5, monkeypatch)
    log = run / "metrics.jsonl"
    log.write_bytes(log.read_bytes()[:-20] + bytes(50))

    assert train(run, "--resume") == 0
    lines = log.read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4, 5, 6]


class Code:
    "Makes a folder where it is unpickled."

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_state_runs_no_code(tmp_path, monkeypatch):
    run = tmp_path / "run"
    stopped_at(run, 5, monkeypatch)
    torch.save({"step": 4, "model": Code(tmp_path / "ran")}, run / "state" / "step-00000004.pt")

    assert train(run, "--resume") == 0  # from the older one
    assert not (tmp_path / "ran").exists()


# ---- a full disk ----
class FullAt:
    "A writer that finds no space the n-th time."

    def __init__(self, write, n: int, error: Exception):
        self.write = write
        self.left = n
        self.error = error

    def __call__(self, *args, **options):
        self.left -= 1
        if self.left == 0:
            raise self.error
        return self.write(*args, **options)


FULL_DISKS = {  # what is written -> module, name of the writer, the error of its library
    "a state": (torch, "save", FULL),
    "the model": (state, "save_file", RuntimeError("I/O error: No space left on device")),
    "a report": (record.json, "dumps", OSError(28, "No space left on device")),
}


@pytest.mark.parametrize("what", FULL_DISKS)
def test_a_full_disk_is_one_line_and_costs_no_state(what, tmp_path, monkeypatch, whole, capsys):
    run = tmp_path / "run"
    module, name, error = FULL_DISKS[what]
    with monkeypatch.context() as patch:
        n = {"a state": 3, "the model": 1, "a report": 7}[what]
        patch.setattr(module, name, FullAt(getattr(module, name), n, error))
        code = train(run)

    assert code == 2 and "No space left on device" in one_line(capsys)
    assert len(states(run)) >= 1 and not any(name.endswith(".tmp") for name in states(run))
    if what == "a state":
        assert states(run) == ["step-00000002.pt", "step-00000004.pt"]
    assert train(run, "--resume") == 0 and same(weights(run), weights(whole))


def test_a_full_disk_while_decoding(tmp_path, monkeypatch):
    from PIL import Image

    (tmp_path / "data" / "clip").mkdir(parents=True)
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "data" / "clip" / "0.png")
    error = OSError(28, "No space left on device")
    writer = FullAt(np.lib.format.write_array_header_1_0, 2, error)
    monkeypatch.setattr(np.lib.format, "write_array_header_1_0", writer)

    with pytest.raises(InputError, match="No space left on device"):
        open_folder(tmp_path / "data", cache=tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


# ---- divergence, and what may change ----
class TooFar:
    "Adam, of which the step of that number leads to infinity."

    def __init__(self, step: int):
        self.left = step
        self.adam = torch.optim.Adam.step

    def __call__(self, adam, *args, **options):
        self.adam(adam, *args, **options)
        self.left -= 1
        if self.left == 0:
            for group in adam.param_groups:
                group["params"][0].data.fill_(float("inf"))


def test_a_run_that_diverges_in_its_last_step_says_so(tmp_path, monkeypatch, capsys):
    "The loss of that step was finite."
    run = tmp_path / "run"
    too_far = TooFar(6)
    step = too_far.__call__
    monkeypatch.setattr(torch.optim.Adam, "step", lambda adam, *args: step(adam, *args))
    assert train(run) == 1

    line = one_line(capsys)
    assert "step 5: model." in line and "is not finite after it" in line
    assert "the last good state is step 4: lower lr or set clip and resume" in line
    assert not (run / "model.safetensors").exists()
    assert states(run) == ["step-00000002.pt", "step-00000004.pt"]


def test_the_advice_can_be_followed(tmp_path, monkeypatch, capsys):
    run = tmp_path / "run"
    assert stopped_at(run, 5, monkeypatch) == 2
    assert train(run, "--resume", "-o", "lr=1e-5", "-o", "clip=1", steps=8) == 0

    assert "goes on from step 4 with train.steps: 6 -> 8" in capsys.readouterr().err
    saved = json.loads((run / "config.json").read_text())
    changes = {"train.steps": [6, 8], "train.lr": [3e-3, 1e-5], "train.clip": [0.0, 1.0]}
    assert saved["history"] == [{"step": 4, "changes": changes}]
    rates = [json.loads(line)["lr"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert len(rates) == 8 and rates[0] == 3e-3
    assert rates[4:] == [pytest.approx(rate) for rate in (1e-6, 1e-6, 1e-7, 1e-7)]


@pytest.mark.parametrize(
    "more,steps,words",
    [
        (["-o", "seed=1"], 6, "train.seed: 0 -> 1"),
        (["-o", "weight_decay=0.1"], 6, "--init"),
        ([], 3, "steps: expected at least 6"),
    ],
)
def test_other_changes_are_refused_with_a_way_on(more, steps, words, whole, capsys):
    before = everything(whole)
    assert train(whole, "--resume", *more, steps=steps) == 2

    line = one_line(capsys)
    assert words in line and "--init" in line
    assert everything(whole) == before


def test_the_folder_knows_every_option_that_may_change():
    "They are options of a training."
    names = {f"train.{name}" for name in config.TrainCfg.__dataclass_fields__}
    assert {*folder._FREE, *folder._CHANGEABLE} <= names and stop_signals()
