"""Commands that are asked to end in the middle of their work: at a chosen write.

A script: `python signalled.py FOLDER COMMAND...` prints one line of json for each command and
signal."""

import json
import os
import shutil
import signal
import sys
from pathlib import Path

import torch
from killed import files, wait, writes_to

from animlib.cli import main
from animlib.data import toy
from animlib.media.write import Video
from animlib.process import stop_signals

SMALL = "--data toy:arm --preset toy --clips 2 --frames 2 --device cpu -o batch=2".split()
# A long `save_every`: without the signal's own save there would be none.
OPTIONS = "--steps 6 -o save_every=100 -o log_every=1 -o preview_every=2".split()
JOB = "import time\nprint('begun')"


def write_inputs(home: Path):
    "A trained model, an image, a video and a notebook."
    video = toy.clips("arm", 1, 6, 32, 0).video[0]
    Video.from_tensor(video[:1], 10).save(home / "me.png")
    Video.from_tensor(video, 10).save(home / "dance.gif")
    assert main(["train", "fomm", *SMALL, "--run", home / "model", *OPTIONS]) == 0
    cells = [("n = 1", ["parameters"]), (JOB, []), ("print(n)", [])]
    code = dict(cell_type="code", execution_count=None, outputs=[])
    cells = [
        dict(code, id=str(i), metadata=dict(tags=t), source=s) for i, (s, t) in enumerate(cells)
    ]
    notebook = dict(cells=cells, metadata={}, nbformat=4, nbformat_minor=5)
    (home / "job.ipynb").write_text(json.dumps(notebook))


def commands(home: Path, out: Path) -> dict[str, list]:
    "What is run, by the name of the command; everything is written below `out`."
    pair = ["--source", home / "me.png", "--driving", home / "dance.gif"]
    model = ["--model", home / "model" / "model.safetensors"]
    device = ["--device", "cpu"]
    return {
        "train": ["train", "fomm", *SMALL, "--run", out / "run", *OPTIONS],
        "animate": ["animate", *model, *pair, "--out", f"{out}/frames/", "--batch", "2", *device],
        "reconstruct": ["reconstruct", *model, "--data", "toy:arm", "--limit", "2", "--out", out],
        "run": ["run", home / "job.ipynb", "--out", out / "report.ipynb"],
    }


def ask_at(out: Path, number: int, write: int | None) -> list:
    "From now on writes are counted; at the one of that number, the process is asked to end."
    seen: list = []

    def hook(event, args):
        if writes_to(out, event, args):
            seen.append(event)
            if len(seen) == write:
                os.kill(os.getpid(), number)

    sys.addaudithook(hook)
    return seen


def run(argv: list, out: Path, number: int = 0, write: int | None = None) -> tuple[int, int]:
    "Exit code of a command in a process of its own, and how often it wrote."
    process = os.fork()
    if process:
        return wait(process), int((out.parent / "writes").read_text())
    code = 99
    try:
        torch.set_num_threads(1)
        log = os.open(out.parent / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        seen = ask_at(out, number, write)
        code = main(argv)
        (out.parent / "writes").write_text(str(len(seen)))
    finally:
        sys.stderr.flush()
        os._exit(code)


def try_every_signal(home: Path, name: str):
    "A line for each signal."
    out = home / "out"
    argv = commands(home, out)[name]
    code, n = run(argv, out)
    assert code == 0, (home / "log").read_text()
    for number in stop_signals():
        shutil.rmtree(out, ignore_errors=True)
        code, _ = run(argv, out, number, max(1, n // 2))
        said = [line for line in (home / "log").read_text().splitlines() if "animlib:" in line]
        left = files(out) if out.exists() else []
        line = dict(command=name, signal=int(number), code=code, said=said, left=left)
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    for number in stop_signals():  # as in a shell; in the background some are ignored
        signal.signal(number, signal.default_int_handler if number == 2 else signal.SIG_DFL)
    folder = Path(sys.argv[1]).resolve()
    write_inputs(folder)
    for word in sys.argv[2:]:
        try_every_signal(folder, word)
