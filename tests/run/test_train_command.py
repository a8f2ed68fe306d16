"""`animlib train` in a shell: what it leaves, how it fails, how it is stopped and resumed."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image
from project_files import ROOT

from animlib.cli import main
from animlib.data import toy
from animlib.media.read import probe
from animlib.media.write import Video
from animlib.viz.images import to_uint8

SMALL = "train fomm --data toy:arm --preset toy --clips 2 --device cpu -o batch=2".split()


# ---- what it leaves ----
def write_inputs():
    "me.png and dance.mp4."
    clips = toy.clips("body", 2, 10, 32, toy.split_seed("test")).video
    Image.fromarray(to_uint8(clips[0, 0])).save("me.png")
    Video.from_tensor(clips[1], 10).save("dance.mp4")


@pytest.fixture
def trained(tmp_path, monkeypatch, capsys):
    "A run with options of model and training, in the folder that the command chose."
    monkeypatch.chdir(tmp_path)
    options = "--frames 3 --steps 4 -o save_every=2 -o lr=1e-3 -o n_kp=4 -o preview_every=4"
    argv = [*SMALL, *options.split()]
    assert main(argv) == 0
    assert "runs/fomm-toy-arm-toy" in capsys.readouterr().out.replace("\\", "/")
    return argv


def test_train_leaves_a_run(trained):
    run = Path("runs/fomm-toy-arm-toy")
    config = json.loads((run / "config.json").read_text())
    names = {path.name for path in run.iterdir()}

    assert (config["train"]["lr"], config["train"]["steps"]) == (1e-3, 4)
    assert config["model"]["n_kp"] == 4
    assert {"config.json", "metrics.jsonl", "model.safetensors", "preview.gif", "state"} <= names


def test_train_then_animate_with_the_run(trained):
    write_inputs()
    model = "--model runs/fomm-toy-arm-toy --source me.png --driving dance.mp4"

    assert main(f"animate {model} --out o.mp4 --device cpu --scale 1".split()) == 0
    assert probe("o.mp4").frames == 10


def test_train_refuses_a_folder_that_is_taken(trained, capsys):
    assert main(trained) == 2
    err = capsys.readouterr().err
    assert "pass resume (--resume)" in err and "-p resume True" in err


def test_train_takes_nested_options(tmp_path):
    options = "--frames 2 --steps 1 -o dense.width=4 -o preview_every=0".split()

    assert main([*SMALL, *options, "--run", tmp_path / "run"]) == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["model"]["dense"]["width"] == 4


def test_train_on_a_folder(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANIMLIB_CACHE", str(tmp_path / "cache"))
    videos = toy.clips("animal", 3, 4, 48, 1).video
    folder = tmp_path / "My Videos"
    for number, video in enumerate(videos):
        Video.from_tensor(video, 10).save(folder / "train" / f"{number}.gif")
    Video.from_tensor(videos[-1].flip(0), 10).save(folder / "test" / "t.gif")

    assert main(["data", "check", folder]) == 0
    assert "4 clips, 16 frames, 0 problems" in capsys.readouterr().out

    options = "--preset toy --steps 2 --device cpu -o batch=2".split()
    assert main(["train", "fomm", "--data", folder, *options]) == 0
    assert Path("runs/fomm-my-videos-toy/model.safetensors").exists()


# ---- how it ends otherwise ----
def test_a_training_that_diverges(tmp_path, capsys):
    run = tmp_path / "run"
    options = "--frames 2 --steps 30 -o lr=1e30 -o log_every=1 -o preview_every=0".split()

    assert main([*SMALL, *options, "--run", run]) == 1
    err = capsys.readouterr().err
    assert err.startswith("animlib: failed: step ") and err.count("\n") == 1
    assert "bad_batch" in err and (run / "bad_batch.safetensors").exists()
    assert not (run / "model.safetensors").exists()


def listen_to_ctrl_c():
    "Started in the background, a shell's children ignore it."
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start_training(run) -> subprocess.Popen:
    "A training in another process that would take hours."
    paths = [str(ROOT), os.environ.get("PYTHONPATH")]
    options = "--frames 2 --steps 100000 -o save_every=2 -o preview_every=0".split()
    return subprocess.Popen(
        [sys.executable, "-m", "animlib", *SMALL, *options, "--run", str(run)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | dict(PYTHONPATH=os.pathsep.join(filter(None, paths))),
        preexec_fn=listen_to_ctrl_c,
    )


def wait_for_a_state(run, process):
    "Until the first state is saved, 90 seconds at most."
    until = time.time() + 90
    while time.time() < until and process.poll() is None:
        if any((run / "state").glob("step-*.pt")):
            return
        time.sleep(0.05)


def test_stopping_a_training(tmp_path):
    "Ctrl-C: 130, and one line on how to go on."
    run = tmp_path / "run"
    process = start_training(run)
    try:
        wait_for_a_state(run, process)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()

    line = (
        r"animlib: stopped after step \d+ was saved; "
        r"the same command with --resume goes on from there\n"
    )
    assert process.returncode == 130 and re.fullmatch(line, err), err
