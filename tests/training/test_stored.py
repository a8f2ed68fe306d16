"""A training from coded clips: the same batches as alone, resumed to the bit, damage in a line."""

import json

import pytest
import torch
from videos import disc, error_line

from animlib.data.coded import write_clip
from animlib.data.store import index_store, open_store
from animlib.run.jobs import train
from animlib.training.config import TrainCfg, draw_batch, pair_sampler
from animlib.training.feed import Feed
from animlib.training.loop import Trainer

OPTIONS = dict(preset="toy", size=32, batch=2, log_every=2, save_every=2, preview_every=0)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    "A store of a few small clips."
    folder = tmp_path_factory.mktemp("data") / "store"
    for split, n in (("train", 4), ("test", 2)):
        for i in range(n):
            write_clip(folder / split / f"{i}.mp4", disc(14, 32, 32, step=1 + i / 3), 25.0)
    index_store(folder)
    return folder


def trained(store, run, **options):
    "What a training leaves: weights, optimisers, sums; and its reports."
    train("fomm", str(store), run=run, device="cpu", progress=False, **(OPTIONS | options))
    newest = sorted((run / "state").glob("step-*.pt"))[-1]
    return torch.load(newest, weights_only=True), reports(run)


def reports(run):
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def equal(a, b):
    "Whether two nested records hold the same bits."
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(equal, a, b))
    return a == b


def test_a_resumed_training_is_equal_to_the_bit(store, tmp_path):
    whole, lines = trained(store, tmp_path / "whole", steps=4, workers=2)
    alone, _ = trained(store, tmp_path / "alone", steps=4, workers=0)
    assert equal(whole, alone), "who decodes does not matter"

    class Killed(Exception):
        pass

    usual = Trainer.after_step

    def killed(self, done, loss, log):
        if done == 3:
            raise Killed
        return usual(self, done, loss, log)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "after_step", killed)
        with pytest.raises(Killed):
            trained(store, tmp_path / "run", steps=4, workers=2)
    resumed, again = trained(store, tmp_path / "run", steps=4, workers=1, resume=True)
    assert equal(whole, resumed)
    for line, other in zip(lines, again, strict=True):
        assert line["loss"] == other["loss"] and 0 <= line["waited"] <= 1


def test_the_feed_gives_what_is_drawn(store):
    clips = open_store(store, "train")
    cfg = TrainCfg(steps=3, batch=3, workers=1)
    feed = Feed(pair_sampler, clips, cfg, rank=1, ahead=True)
    for step in range(3):
        true = draw_batch(pair_sampler, clips, cfg, step, 1)
        assert all(map(torch.equal, feed.batch(step), true))
    feed.close()


def test_clips_in_memory_are_drawn_as_ever(tmp_path):
    train("fomm", "toy:arm", run=tmp_path / "run", device="cpu", progress=False, clips=3, steps=2)
    assert "waited" not in reports(tmp_path / "run")[-1]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_clip_is_one_line(tmp_path, workers):
    folder = tmp_path / "store"
    for split in ("train", "test"):
        for i in range(2):
            write_clip(folder / split / f"{i}.mp4", disc(14, 32, 32), 25.0)
    index_store(folder)
    clips = open_store(folder, "train")
    for i in range(2):
        path = folder / "train" / f"{i}.mp4"
        path.write_bytes(path.read_bytes()[:-200] + bytes(200))
    middle = path.read_bytes()
    path.write_bytes(middle[: len(middle) // 2])

    feed = Feed(pair_sampler, clips, TrainCfg(steps=40, batch=8, workers=workers), ahead=True)
    with pytest.raises(Exception) as raised:
        for step in range(40):
            feed.batch(step)
    line = str(raised.value)
    assert type(raised.value).__name__ == "InputError" and "\n" not in line and ".mp4" in line


def test_a_clip_that_changed_is_noticed_at_once(tmp_path):
    write_clip(tmp_path / "s/train/a.mp4", disc(5), 25.0)
    index_store(tmp_path / "s")
    write_clip(tmp_path / "s/train/a.mp4", disc(9), 25.0)

    assert "store.json says" in error_line(open_store, tmp_path / "s", "train")
