"""Small pieces of work in processes that are killed, at a chosen write or at a chosen moment.

A script: `python killed.py WORK FOLDER every|random [N]` prints one line of json for each kill.
Processes are forked from one that has imported torch: a kill and the work done once more take a
fraction of a second."""

import json
import os
import random
import shutil
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from safetensors.torch import load_file
from torch import nn

from animlib.animator import Animator, Step
from animlib.core import Flow, GridWarp, Keypoints
from animlib.data.folder import open_folder
from animlib.geometry import identity_grid
from animlib.losses.reconstruction import Term
from animlib.run.jobs import save_gif, save_png
from animlib.training.config import TrainCfg
from animlib.training.loop import fit

WRITES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod"}  # and `open` for writing


# ---- the work ----
@dataclass(frozen=True)
class SliderCfg:
    size: int = 16


class Slider(Animator):
    "The smallest animator that learns: one convolution finds a place, a translation follows it."

    def __init__(self):
        conv = nn.Conv2d(3, 2, 16)
        super().__init__(detector=conv, motion=None, dense=None, generator=None)
        self.method = "slider"
        self.cfg = SliderCfg()

    def find(self, frames):
        return Keypoints(rearrange(self.detector(frames), "b xy 1 1 -> b 1 xy"))

    def forward(self, source, driving):
        kp_s, kp_d = self.find(source), self.find(driving)
        grid = identity_grid(16, 16) + rearrange(kp_s.xy - kp_d.xy, "b 1 xy -> b 1 1 xy")
        flow = Flow(GridWarp(grid))
        return Step(source, driving, kp_s, kp_d, flow, flow.warp(source, "border"), self)


class Noise:
    "Images of random numbers."

    def pairs(self, batch, generator, device):
        return torch.rand(2, batch, 3, 16, 16, generator=generator).unbind(0)


def error(step):
    return (step.frame - step.driving).abs().mean()


def train(folder: Path, **options):
    "A training of eight steps with reports, previews and states; or the rest of one."

    def preview(model, step):
        save_png(folder / "preview.png", torch.zeros(3, 4, 4))
        save_gif(folder / "preview.gif", torch.zeros(2, 3, 4, 4))

    torch.manual_seed(0)
    short = dict(steps=8, batch=2, log_every=3, save_every=2, preview_every=4)
    cfg = TrainCfg(**{**short, **options})
    losses = {"error": Term(1.0, error)}
    resume = (folder / "config.json").exists()
    common = dict(device="cpu", preview=preview, progress=False, resume=resume)
    fit(Slider(), losses, Noise(), cfg, folder, **common)


def training_result(folder: Path) -> list:
    "Weights, and reports without the speed."
    weights = load_file(folder / "model.safetensors")
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    reports = [{k: v for k, v in line.items() if k != "steps_per_s"} for line in lines]
    return [{name: value.tolist() for name, value in weights.items()}, reports]


def decode(folder: Path):
    "Frames of a folder of videos, decoded into a cache."
    open_folder(folder.with_name("data"), cache=folder)


def decoding_result(folder: Path) -> list:
    "The frames."
    clips = open_folder(folder.with_name("data"), cache=folder)
    return [clips.array.flatten().tolist(), clips.names]


def write_data(folder: Path):
    "Two clips of frames beside `folder`."
    from PIL import Image

    for clip in ("a", "b"):
        (folder.with_name("data") / clip).mkdir(parents=True)
        for i in range(2):
            image = Image.fromarray(np.full((8, 8, 3), 40 * i, np.uint8))
            image.save(folder.with_name("data") / clip / f"{i}.png")


WORK = {"training": (train, training_result), "decoding": (decode, decoding_result)}


# ---- kills ----
def writes_to(folder: Path, event: str, args: tuple) -> bool:
    "Whether an audit event is about to change something in the folder."
    if event == "open":
        path, mode, flags = args
        changes = bool((flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    else:
        path = (args or [None])[0]
        changes = event in WRITES
    return changes and isinstance(path, (str, os.PathLike)) and str(path).startswith(str(folder))


def count_writes(folder: Path, kill_at: int | None) -> list:
    "From now on every write is counted, and the process dies before the one of that number."
    seen: list = []

    def hook(event, args):
        if writes_to(folder, event, args):
            if len(seen) == kill_at:
                os._exit(9)
            seen.append(event)

    sys.addaudithook(hook)
    return seen


def start(work, folder: Path, kill_at: int | None = None) -> int:
    "Do the work in a process of its own; its id."
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        torch.set_num_threads(1)
        seen = count_writes(folder, kill_at)
        work(folder)
        folder.with_name("writes").write_text(str(len(seen)))
        code = 0
    finally:
        os._exit(code)


def wait(process: int) -> int:  # 0: done, 1: an exception, -9 or 9: killed
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def files(folder: Path) -> list[str]:
    "Everything below the folder, but for the file of the lock."
    paths = folder.rglob("*")
    return sorted(str(path.relative_to(folder)) for path in paths if path.name != ".lock")


def report(work, result, folder: Path, whole: tuple, code: int, kill):
    "Do the rest of the work, and say how it compares."
    before = files(folder) if folder.exists() else []
    rest = wait(start(work, folder))
    same = rest == 0 and (result(folder), files(folder)) == whole
    line = dict(kill=kill, code=code, rest=rest, same=same, before=before, after=files(folder))
    print(json.dumps(line), flush=True)
    shutil.rmtree(folder)


def kill_at_every_write(work, result, folder: Path, whole: tuple, n: int):
    for kill_at in range(n):
        code = wait(start(work, folder, kill_at))
        report(work, result, folder, whole, code, kill_at)


def kill_at_random_moments(work, result, folder: Path, whole: tuple, n: int, seconds: float):
    for _ in range(n):
        moment = random.uniform(0, seconds)
        process = start(work, folder)
        time.sleep(moment)
        os.kill(process, signal.SIGKILL)
        report(work, result, folder, whole, wait(process), round(moment, 4))


def main(name: str, home: str, way: str, n: str = "50"):
    work, result = WORK[name]
    folder = Path(home) / "work"
    write_data(folder)
    work(Path(home) / "warm" / "work" if name == "training" else folder)  # imports, once
    shutil.rmtree(folder, ignore_errors=True)
    begin = time.time()
    assert wait(start(work, folder)) == 0
    seconds = time.time() - begin
    whole = result(folder), files(folder)
    shutil.rmtree(folder)
    if way == "every":
        kill_at_every_write(work, result, folder, whole, int((Path(home) / "writes").read_text()))
    else:
        kill_at_random_moments(work, result, folder, whole, int(n), seconds)


if __name__ == "__main__":
    main(*sys.argv[1:])
