"A training that is killed and resumed equals one that was not; two processes train one model."

import json
import os
import random
import shutil
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from animlib.cli import main

ROOT = Path(__file__).parents[2]
PATHS = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
ENV = os.environ | {"PYTHONPATH": os.pathsep.join(PATHS), "OMP_NUM_THREADS": "1"}
STEPS = 40
SAVED_EVERY = 10
ALL_STEPS = list(range(1, STEPS + 1))

ALONE = ("fomm",)
ADVERSARIAL = (
    "fomm",
    "loss.adversarial=1",
    "loss.matching=10",
    "discriminator.sees_keypoints=true",
    "accumulate=2",  # a batch in two parts
)
# Two generations in a step, and a discriminator that sees both.
CROSS_IDENTITY = ("pose_attentive", "loss.adversarial=1", "loss.matching=2", "loss.cross_from=0")
CASES = [
    pytest.param(ALONE, id="alone"),
    pytest.param(ADVERSARIAL, id="discriminator"),
    pytest.param(CROSS_IDENTITY, id="cross-identity"),
]


# ---- runs ----
def command(run, method: tuple, *more: str, steps: int = STEPS) -> list[str]:
    "`animlib train` on four toy clips; `method` is a name and options."
    name, *options = method
    general = ["batch=2", f"save_every={SAVED_EVERY}", "log_every=1", "preview_every=0"]
    given = [word for option in [*general, *options] for word in ("-o", option)]
    data = "--data toy:arm --preset toy --clips 4 --frames 4 --device cpu".split()
    return ["train", name, *data, "--steps", str(steps), "--run-dir", str(run), *given, *more]


def train(run, method: tuple, *more: str, steps: int = STEPS):
    "In this process, on one thread: the order of a sum depends on their number."
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert main(command(run, method, *more, steps=steps)) == 0
    finally:
        torch.set_num_threads(threads)


def lines(run) -> list[dict]:
    "The reports of a run."
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def column(run, name: str) -> list:
    "One number of every report."
    return [line[name] for line in lines(run)]


def end_of(run, name: str) -> float:
    "A loss at the end of a run: the mean of its last reports."
    values = column(run, name)[-10:]
    return sum(values) / len(values)


def weights(run) -> dict:
    "The tensors of the model file."
    return load_file(run / "model.safetensors")


def newest_state(run) -> Path:
    "The file that a resumed run starts from."
    return max((run / "state").glob("step-*.pt"))


def state(run) -> dict:
    "What a resumed run starts from."
    return torch.load(newest_state(run), weights_only=True)


def same(first, second) -> bool:
    "Equality to the bit, of anything that a saved state is made of."
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        keys = first.keys() == second.keys()
        return keys and all(same(value, second[name]) for name, value in first.items())
    if isinstance(first, (list, tuple)):
        return len(first) == len(second) and all(map(same, first, second))
    return first == second


def differences(first: dict, second: dict) -> list:
    "The names of what is not the same in two states."
    names = first.keys() | second.keys()
    return sorted(name for name in names if not same(first.get(name), second.get(name)))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    "Runs that nothing stops, by their method; each is trained once."

    @cache
    def run_of(method):
        run = tmp_path_factory.mktemp("runs") / "whole"
        train(run, method)
        return run

    return run_of


# ---- killed and resumed ----
def wait_for_step(run, step: int, process, seconds: float = 120):
    "Return when the reports of a running process have come to this step, or when it has ended."
    metrics = run / "metrics.jsonl"
    end = time.time() + seconds
    while time.time() < end and process.poll() is None:
        if metrics.exists() and metrics.read_bytes().count(b"\n") >= step:
            return
        time.sleep(0.005)


def train_and_kill(run, method: tuple, step: int):
    "Train in a process of its own, which is killed soon after this step."
    argv = [sys.executable, "-m", "animlib", *command(run, method)]
    with subprocess.Popen(
        argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=ENV
    ) as process:
        try:
            wait_for_step(run, step, process)
        finally:
            process.kill()  # SIGKILL: nothing can be tidied up
        error = process.stderr.read().decode()
    assert process.returncode != 0, "it ended before it was killed"
    assert not (run / "model.safetensors").exists(), error


@pytest.mark.parametrize("method", CASES)
def test_killed_and_resumed_is_the_same_to_the_bit(method, uninterrupted, tmp_path):
    run = tmp_path / "killed"
    step = random.randint(SAVED_EVERY + 1, STEPS - 8)
    whole = uninterrupted(method)

    train_and_kill(run, method, step)
    saved = [file.name for file in (run / "state").iterdir() if file.name[0] != "."]
    train(run, method, "--resume")

    assert 1 <= len(saved) <= 2  # the two newest
    assert set(saved) <= {"step-00000010.pt", "step-00000020.pt", "step-00000030.pt"}
    assert differences(weights(run), weights(whole)) == [], f"killed at step {step}"
    assert column(run, "step") == column(whole, "step") == ALL_STEPS
    assert column(run, "loss") == column(whole, "loss"), f"killed at step {step}"
    assert differences(state(run), state(whole)) == [], f"killed at step {step}"


@pytest.mark.parametrize("method", CASES)
def test_the_state_has_the_discriminator(method, uninterrupted):
    saved = state(uninterrupted(method))
    expected = method != ALONE
    assert ("discriminator" in saved) == ("discriminator_opt" in saved) == expected


def test_another_seed_is_another_model(uninterrupted, tmp_path):
    "The comparison of weights is not blind."
    train(tmp_path / "other", (*ALONE, "seed=1"))
    assert differences(weights(tmp_path / "other"), weights(uninterrupted(ALONE)))


def test_a_state_without_the_discriminator_is_another_state(uninterrupted):
    "The comparison of states is not blind."
    saved, changed = state(uninterrupted(ADVERSARIAL)), state(uninterrupted(ADVERSARIAL))
    part = changed["discriminator"]
    changed["discriminator"] = {name: value + 1e-7 for name, value in part.items()}

    assert differences(saved, saved) == []
    assert differences(saved, changed) == ["discriminator"]


def test_a_state_without_the_discriminator_is_not_resumed(uninterrupted, tmp_path):
    run = tmp_path / "lost"
    shutil.copytree(uninterrupted(ADVERSARIAL), run)
    rest = {name: part for name, part in state(run).items() if name != "discriminator"}
    torch.save(rest, newest_state(run))

    with pytest.raises(KeyError, match="discriminator"):
        train(run, ADVERSARIAL, "--resume")


def test_a_finished_run_stays_what_it_is(uninterrupted):
    run = uninterrupted(ALONE)
    before = weights(run)

    train(run, ALONE, "--resume")

    assert differences(weights(run), before) == []
    assert column(run, "step") == ALL_STEPS


# ---- both networks learn ----
@pytest.mark.parametrize(
    "method,names",
    [
        (ADVERSARIAL, ["rec", "adversarial.adversarial", "adversarial.matching", "discriminator"]),
        (
            CROSS_IDENTITY,
            [
                "image",
                "cross image",
                "adversarial.adversarial",
                "cross adversarial.adversarial",
                "adversarial.matching",
                "cross adversarial.matching",
                "discriminator",
            ],
        ),
    ],
    ids=["discriminator", "cross-identity"],
)
def test_every_loss_is_in_the_reports(method, names, uninterrupted):
    for line in lines(uninterrupted(method)):
        assert set(names) <= line.keys()
        assert "adversarial" not in line  # its parts are


@pytest.mark.parametrize(
    "method,name",
    [
        (ADVERSARIAL, "discriminator"),
        (CROSS_IDENTITY, "discriminator"),
        (CROSS_IDENTITY, "image"),
        (CROSS_IDENTITY, "cross image"),
    ],
)
def test_losses_go_down(method, name, uninterrupted):
    run = uninterrupted(method)
    assert end_of(run, name) < column(run, name)[0]


def test_the_adversarial_losses_are_in_range(uninterrupted):
    run = uninterrupted(ADVERSARIAL)
    assert 0 < end_of(run, "adversarial.adversarial") < 4
    assert end_of(run, "adversarial.matching") > 0


def test_a_discriminator_makes_another_model(uninterrupted):
    assert differences(weights(uninterrupted(ADVERSARIAL)), weights(uninterrupted(ALONE)))


# ---- several processes ----
KEEP_BOTH = """
import os, sys, torch
import animlib.run.jobs as jobs
fit = jobs.fit

def fit_and_keep(*args, **options):
    model, discriminator = fit(*args, **options), options.get("discriminator")
    parts = dict(model=model.state_dict(), discriminator={})
    if discriminator is not None:
        parts["discriminator"] = discriminator.state_dict()
    torch.save(parts, f"{sys.argv[1]}/rank{os.environ['RANK']}.pt")
    return model

jobs.fit = fit_and_keep
from animlib.cli import main
sys.exit(main(sys.argv[2:]))
"""


def torchrun(*argv):
    "Start processes as the help of `animlib train` tells it."
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    options = dict(capture_output=True, text=True, timeout=240, env=ENV)
    return subprocess.run([*launcher, *map(str, argv)], **options)


def learned(part: dict) -> dict:
    "The weights of a network, without what its norms measured."
    return {
        name: value
        for name, value in part.items()
        if "running" not in name and "tracked" not in name
    }


@pytest.mark.parametrize("method", CASES)
def test_two_processes_train_one_model(method, tmp_path):
    script, run, alone = tmp_path / "keep.py", tmp_path / "run", tmp_path / "alone"
    script.write_text(KEEP_BOTH)
    train(alone, method, steps=10)

    result = torchrun("--nproc-per-node", 2, script, tmp_path, *command(run, method, steps=10))

    assert result.returncode == 0, result.stderr[-3000:]
    ranks = [torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)]
    assert ranks[0]["model"] and bool(ranks[0]["discriminator"]) == (method != ALONE)
    for name in ("model", "discriminator"):
        assert same(*(learned(rank[name]) for rank in ranks)), name
    for name in ("model", "discriminator") if method != ALONE else ("model",):
        assert same(ranks[0][name], state(run)[name])  # rank 0's are written
        # twice the pairs: not what one process learns
        assert not same(learned(ranks[0][name]), learned(state(alone)[name]))
    assert same(ranks[0]["model"], weights(run))
    assert result.stdout.count("trained") == 1
    assert column(run, "step") == list(range(1, 11))


def test_torchrun_starts_the_module(tmp_path):
    "torchrun reads options, too, and must leave ours alone."
    run = tmp_path / "run"
    argv = ["train", "fomm", "--data", "toy:arm", "--preset", "toy", "--run-dir", run]
    argv += "--steps 2 --clips 2 --frames 2 -o batch=2 -o preview_every=0".split()

    result = torchrun("--nproc-per-node", 1, "-m", "animlib.cli", *argv)

    assert result.returncode == 0, result.stderr[-2000:]
    assert (run / "model.safetensors").exists()
