"Work that is killed at any write, or at any moment, and done once more, equals work that was not."

import json
import os
import subprocess
import sys

import pytest
from project_files import ROOT

SCRIPTS = ROOT / "tests" / "support"
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes are forked")


def kills(tmp_path, *argv: str) -> list[dict]:
    "What came of every kill."
    paths = filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
    env = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    script, work, *way = argv
    command = [sys.executable, SCRIPTS / script, work, tmp_path, *way]
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=900)
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def check(lines: list[dict], at_least: int):
    "All were killed, went on, and came to the same result and files, no stray among them."
    assert len(lines) >= at_least
    assert [line for line in lines if not line["same"]] == []
    assert not [line for line in lines if any(".tmp" in name for name in line["after"])]
    # the test is not blind: something was killed while it was writing
    assert any(".tmp" in name for line in lines for name in line["before"])


@pytest.mark.parametrize("work,at_least", [("training", 60), ("decoding", 6)])
def test_killed_at_every_write(work, at_least, tmp_path):
    lines = kills(tmp_path, "killed.py", work, "every")

    assert {line["code"] for line in lines} == {9}
    check(lines, at_least)


@pytest.mark.slow
def test_killed_at_fifty_moments(tmp_path):
    lines = kills(tmp_path, "killed.py", "training", "random", "50")

    assert len(lines) == 50 and [line for line in lines if not line["same"]] == []
