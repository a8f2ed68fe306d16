"""Plans and sweeps: a limit, an interruption and a lost parent lose nothing; failures are said."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from animlib.models.names import method_names
from animlib.run.plan import PlannedRun, in_turn, read_plan
from animlib.run.sweep import sweep
from animlib.shipped import share
from animlib.training.state import RunState

SMALL = dict(limit=1, clips=2, frames=3)
QUICK = {"batch": 1, "preview_every": 0, "save_every": 10**6, "log_every": 10**6}
ENDLESS = PlannedRun("long", "fomm", "toy:arm", "toy", options=QUICK | {"steps": 10**6})


# ---- the plan that is shipped ----
def test_every_method_is_trained_on_emoji_at_one_budget():
    planned = [run for run in read_plan(share("pipelines", "owed.yaml"))]
    people = [run for run in planned if run.data == "fluent:people"]
    assert [run.method for run in in_turn(people)] and len(people) == len(method_names())
    assert {run.method for run in people} == {*method_names()}
    assert len({run.configs()[1].steps for run in people}) == 1
    assert {run.configs()[0].size for run in people} == {128}
    assert len({run.preset for run in people}) == 1


def test_the_minutes_of_small_are_those_of_its_steps():
    "Measured: 7 (motion_transformer) to 30 (x2face) steps a second, side by side."
    small = [run for run in read_plan(share("pipelines", "owed.yaml")) if run.preset == "small"]
    rates = {run.name: run.configs()[1].steps / (60 * run.minutes) for run in small}
    assert all(6.5 < rate < 30 for rate in rates.values()), rates
    rest = {run.name for run in small if run.method not in ("motion_transformer", "x2face")}
    assert all(9 < rates[name] < 14 for name in rest), rates


# ---- stopped, and gone on with ----
def step_of(run):
    return RunState(run).newest_step()


def test_the_limit_saves_where_each_one_is(tmp_path, capsys):
    "One that cannot end in time; its state is younger than its last regular save: there is none."
    report = sweep([ENDLESS], tmp_path, minutes=0.25, device="cpu", **SMALL)
    step = step_of(tmp_path / "long")

    assert step > 0 and report["long"]["state"] == f"step {step:,} of 1,000,000"
    assert "minutes are over" in capsys.readouterr().err
    assert json.loads((tmp_path / "sweep.json").read_text()) == report

    shorter = PlannedRun("long", "fomm", "toy:arm", "toy", options=QUICK | {"steps": step + 1})
    report = sweep([shorter], tmp_path, device="cpu", **SMALL)
    assert report["long"]["state"] == "done" and report["long"]["metrics"]["clips"] == 1
    assert (tmp_path / "models" / "long.safetensors").is_file()


LEADER = """
import sys
from animlib.run.plan import PlannedRun
from animlib.run.sweep import sweep
from animlib.process import stoppable
with stoppable():
    sweep([PlannedRun("long", "fomm", "toy:arm", "toy", options={options})], sys.argv[1],
          device="cpu", limit=1, clips=2, frames=3)
"""


def started_leader(folder):
    "A process that leads a sweep, when its worker has begun to train."
    code = LEADER.replace("{options}", repr(ENDLESS.options | {"save_every": 5}))
    leader = subprocess.Popen([sys.executable, "-c", code, str(folder)], stderr=subprocess.DEVNULL)
    wait_until(lambda: step_of(folder / "long") > 0)
    return leader


def wait_until(happens, seconds=60):
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end
        time.sleep(0.05)


def is_free(folder):
    "Whether no process is at work in a folder any more."
    from animlib.core import InputError
    from animlib.storage import FolderLock

    try:
        with FolderLock(folder):
            return True
    except InputError:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_worker_is_left_when_the_leader_is_gone(tmp_path, number):
    leader = started_leader(tmp_path)
    os.kill(leader.pid, number)
    leader.wait(60)
    wait_until(lambda: is_free(tmp_path / "long"))
    assert step_of(tmp_path / "long") > 0


# ---- failures ----
def test_what_starts_from_a_failed_one_is_not_tried(tmp_path, capsys):
    bad = PlannedRun("bad", "dam", "toy:arms", "toy", options=QUICK)
    after = PlannedRun("after", "hdam", "toy:arm", "toy", init="bad", options=QUICK)
    report = sweep([after, bad], tmp_path, device="cpu", **SMALL)

    assert "unknown family" in report["bad"]["error"]
    assert report["after"]["error"] == "starts from bad, which is not trained"
    assert not (tmp_path / "after").exists() and not (tmp_path / "bad").exists()
    assert "training bad" in capsys.readouterr().err


def test_what_stands_for_a_data_set_here(tmp_path):
    run = PlannedRun("run", "fomm", "fluent:people", "toy", options=QUICK | {"steps": 1})
    report = sweep([run], tmp_path, data={"fluent:people": "toy:arm"}, device="cpu", **SMALL)
    assert report["run"]["measured_on"] == "toy:arm"
