"Commands that are asked to end by INT, TERM or HUP: tidied, one line, exit code 128 + n."

import json
import os
import subprocess
import sys

import pytest
from project_files import ROOT

from animlib.cli import parser
from animlib.process import stop_signals

WORK = ["train", "animate", "reconstruct", "run"]  # of which the others are made, or they are short
OTHERS = {"demo", "evaluate", "convert", "export", "data", "explore", "study", "models"}
OTHERS |= {"bench", "docs"}
OTHERS |= {"sweep", "live"}  # ended in test_rows.py and in test_live.py


def commands_of_the_program() -> set[str]:
    subparsers = next(action for action in parser()._actions if action.choices)
    return set(subparsers.choices)


def test_every_command_is_looked_at():
    assert commands_of_the_program() == {*WORK, *OTHERS}


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    "What every command says and leaves that is asked to end in the middle of its writes."
    script = ROOT / "tests" / "support" / "signalled.py"
    paths = filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
    env = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, script, tmp_path_factory.mktemp("signals"), *WORK]
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


@pytest.mark.skipif(sys.platform == "win32", reason="processes are forked")
@pytest.mark.parametrize("command", WORK)
def test_asked_to_end(command, asked):
    lines = [line for line in asked if line["command"] == command]

    assert [line["signal"] for line in lines] == [int(number) for number in stop_signals()]
    for line in lines:
        assert line["code"] == 128 + line["signal"], line
        ends = [said for said in line["said"] if not said.startswith("animlib: note:")]
        assert len(ends) == 1 and ends[0].startswith("animlib: stopped"), line
        assert not [name for name in line["left"] if name.endswith((".tmp", ".part"))], line


@pytest.mark.skipif(sys.platform == "win32", reason="processes are forked")
def test_a_training_saves_what_it_has_learned(asked):
    "Its `save_every` lies beyond its end."
    for line in asked:
        if line["command"] == "train":
            assert "after step" in line["said"][-1] and "--resume" in line["said"][-1]
            assert [name for name in line["left"] if name.startswith("run/state/step-")]
