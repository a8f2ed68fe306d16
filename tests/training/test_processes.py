"Two processes train one model: one of them is killed, frozen, or asked to stop."

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from project_files import ROOT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs gloo and signals")
PATHS = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
ENV = os.environ | {"PYTHONPATH": os.pathsep.join(PATHS), "OMP_NUM_THREADS": "1"}
STEPS = 40

# Process 1 does something to itself, or to its launcher, when it draws its sixth batch.
TROUBLE = """
import os, signal, sys
from datetime import timedelta
from animlib.cli import main
from animlib.run import jobs
from animlib.training import config, peers

peers.WAIT = timedelta(seconds=5)
drawn = []


def sampler(*args):
    drawn.append(1)
    if len(drawn) == 6 and os.environ["RANK"] == "1":
        {trouble}
    return config.pair_sampler(*args)


jobs.pair_sampler = sampler
sys.exit(main(sys.argv[1:]))
"""
KILLED = "os.kill(os.getpid(), signal.SIGKILL)"
FROZEN = "os.kill(os.getpid(), signal.SIGSTOP)"
ASKED = "os.kill(os.getppid(), signal.SIGTERM)"


def command(run, *more) -> list[str]:
    small = "train fomm --data toy:arm --preset toy --clips 2 --frames 2 --device cpu".split()
    often = "-o batch=2 -o save_every=4 -o log_every=1 -o preview_every=0".split()
    return [*small, *often, "--steps", str(STEPS), "--run-dir", str(run), *more]


def torchrun(script, run, *more):
    "Exit code, what was said, and how long it took."
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    argv = [*launcher, "--nproc-per-node", "2", script, *command(run, *more)]
    begin = time.time()
    done = subprocess.run(argv, capture_output=True, text=True, timeout=240, env=ENV)
    return done.returncode, done.stderr, time.time() - begin


def sentences(said: str) -> list[str]:
    return [line for line in said.splitlines() if line.startswith("animlib:")]


def check_resumes(tmp_path, run):
    "All of the processes are started once more, without trouble."
    script = tmp_path / "resume.py"
    script.write_text(TROUBLE.format(trouble="pass"))
    code, said, _ = torchrun(script, run, "--resume")
    assert code == 0, said
    lines = (run / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, STEPS + 1))
    assert (run / "model.safetensors").exists()


def trouble(tmp_path, what: str):
    script, run = tmp_path / "trouble.py", tmp_path / "run"
    script.write_text(TROUBLE.format(trouble=what))
    return run, *torchrun(script, run)


@pytest.mark.slow
@pytest.mark.parametrize("what,reason", [(KILLED, "it ended"), (FROZEN, "it does not answer")])
def test_a_process_that_is_gone_ends_the_other(what, reason, tmp_path):
    run, code, said, seconds = trouble(tmp_path, what)

    assert code != 0 and seconds < 120, said
    [sentence] = sentences(said)
    assert f"another process of this training is lost: {reason}" in sentence
    assert "step 4 was saved: resume (--resume)" in sentence
    check_resumes(tmp_path, run)


@pytest.mark.slow
def test_all_stop_after_the_same_step(tmp_path):
    "TERM to the launcher, which asks both; what was learned is saved, and none waits for long."
    run, code, said, seconds = trouble(tmp_path, ASKED)

    assert code != 0 and seconds < 60, said
    stopped = [line for line in sentences(said) if "stopped after step" in line]
    assert stopped and all("--resume" in line for line in stopped), said
    steps = sorted((run / "state").glob("step-*.pt"))
    lines = (run / "metrics.jsonl").read_text().splitlines()
    assert int(steps[-1].stem[-8:]) == json.loads(lines[-1])["step"]  # nothing was lost
    check_resumes(tmp_path, run)


def test_the_trouble_is_what_is_meant():
    assert all(
        name in what for name, what in zip(("KILL", "STOP", "TERM"), (KILLED, FROZEN, ASKED))
    )
    assert signal.SIGTERM
