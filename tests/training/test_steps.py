"""Single steps of a training with a network of one number: what an option changes, changes."""

import json
import os
from dataclasses import dataclass

import pytest
import torch

from animlib.animator import Model
from animlib.core import InputError
from animlib.losses.reconstruction import Term
from animlib.training.config import TrainCfg, draw_batch, pair_sampler, plain_sampler
from animlib.training.loop import Trainer, fit
from animlib.training.record import Reports
from animlib.training.state import RunState


@dataclass(frozen=True)
class NumberCfg:
    "Options of a model of a few numbers."

    size: int = 8


class Numbers(Model):
    "A model whose step is its weights."

    def __init__(self, n: int = 2):
        super().__init__()
        self.cfg = NumberCfg()
        self.method = "numbers"
        self.weight = torch.nn.Parameter(torch.ones(n))
        self.progress = []

    def training_step(self, source, driving):
        return self.weight

    def set_progress(self, progress):
        self.progress.append(progress)


class Frames:
    "Data that give frames of one column white, the first."

    def pairs(self, batch, generator, device, reverse=True):
        frames = torch.zeros(batch, 3, 8, 8)
        frames[..., 0] = 1
        return frames, frames.clone()


def trainer_of(tmp_path, slope=100.0, **options):
    "A trainer of two numbers whose loss is so steep."
    cfg = TrainCfg(**(dict(steps=10, batch=1) | options))
    losses = dict(loss=Term(slope, lambda weight: weight.sum()))
    return Trainer(Numbers(), losses, Frames(), cfg, tmp_path / "run", "cpu")


def gradient(trainer):
    "The gradient that the last step used."
    return trainer.model.weight.grad


# ---- one step ----
def test_gradients_are_clipped(tmp_path):
    trainer = trainer_of(tmp_path, clip=0.5)
    trainer.step(0)
    torch.testing.assert_close(gradient(trainer).norm(), torch.tensor(0.5))


def test_gradients_are_clipped_by_the_norm_of_the_config(tmp_path):
    trainer = trainer_of(tmp_path, clip=0.5, clip_norm=float("inf"))
    trainer.step(0)
    torch.testing.assert_close(gradient(trainer), torch.tensor([0.5, 0.5]))


def test_gradients_are_not_clipped_unless_asked(tmp_path):
    trainer = trainer_of(tmp_path)
    trainer.step(0)
    trainer.step(1)
    assert gradient(trainer).tolist() == [100.0, 100.0], "and they do not add up"


def test_the_rate_falls_at_parts_of_the_run(tmp_path):
    trainer = trainer_of(tmp_path, lr=1.0, milestones=(0.2, 0.5))
    rates = []
    for step in range(6):
        rates.append(trainer.optimized.lr)
        trainer.step(step)
    torch.testing.assert_close(rates, [1.0, 1.0, 0.1, 0.1, 0.1, 0.01])


def test_weights_decay(tmp_path):
    trainer = trainer_of(tmp_path, slope=1e-12, weight_decay=1.0, lr=0.1)
    trainer.step(0)
    assert (trainer.model.weight < 0.95).all()


def test_progress_is_a_part_of_the_run(tmp_path):
    trainer = trainer_of(tmp_path)
    trainer.step(5)
    assert trainer.model.progress == [0.5]


def test_a_discriminator_has_a_rate_of_its_own(tmp_path):
    trainer = trainer_of(tmp_path, lr=0.1, discriminator_lr=0.3)
    trainer.add_discriminator(torch.nn.Linear(1, 1), {})
    assert trainer.optimized.lr == 0.1
    assert trainer.optimized_discriminator.lr == 0.3


class Columns(Frames):
    "Frames of which each is as bright as its place in the batch."

    def pairs(self, batch, generator, device, reverse=True):
        frames = torch.linspace(0.1, 0.9, batch)[:, None, None, None].expand(batch, 3, 8, 8)
        return frames, frames.clone()


class Brightness(Numbers):
    "A model whose step is how far a weight is from every frame's brightness."

    def training_step(self, source, driving):
        return (self.weight[0] - driving.mean((1, 2, 3))).square()


def after_steps(tmp_path, accumulate: int) -> tuple:
    "The weights of a model and of a discriminator; every loss with its terms."
    cfg = TrainCfg(steps=3, batch=8, lr=0.1, accumulate=accumulate)
    model = Brightness()
    discriminator = Brightness()
    losses = dict(near=Term(2.0, lambda made: made.mean()))
    own = dict(own=Term(3.0, lambda made: (made.detach() * discriminator.weight[0]).mean()))
    run = tmp_path / "run"
    trainer = Trainer(model, losses, Columns(), cfg, run, "cpu", sampler=plain_sampler)
    trainer.add_discriminator(discriminator, own)
    reports = [trainer.step(step) for step in range(3)]
    terms = [torch.stack([loss, log["near"], log["own"]]) for loss, log in reports]
    return model.weight, discriminator.weight, torch.stack(terms)


def test_a_batch_in_parts_is_the_same_step(tmp_path):
    "Gradients, Adam's steps and reports of one, two and eight parts."
    whole = after_steps(tmp_path, 1)
    assert all((weight[0] - 1).abs() > 0.1 for weight in whole[:2])
    for n in (2, 8):
        for in_parts, expected in zip(after_steps(tmp_path, n), whole):
            torch.testing.assert_close(in_parts, expected)


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(batch=8, accumulate=3), "divides the batch of 8, found 3"),
        (dict(batch=4, sources=2, accumulate=2), "expected 1, because pairs with several sources"),
    ],
)
def test_parts_that_are_not_equal(options, message, tmp_path):
    with pytest.raises(InputError, match=message):
        trainer_of(tmp_path, **options)
    assert not (tmp_path / "run").exists()


# ---- batches ----
def batch(step=0, rank=0, **options):
    "The source frames of a batch of 16."
    cfg = TrainCfg(**(dict(batch=16, jitter=0.0, hue=0.0, flip=False) | options))
    return draw_batch(pair_sampler, Frames(), cfg, step, rank)[0]


def test_frames_are_mirrored_when_asked():
    assert (batch()[..., 0] == 1).all() and (batch()[..., -1] == 0).all()
    mirrored = batch(flip=True)[..., -1].amax((1, 2))
    assert 0 < mirrored.sum() < 16


def test_each_kind_of_change_can_be_asked_for():
    grey = batch()
    assert not torch.equal(batch(jitter=0.5), grey)


def test_the_hue_turns_when_asked():
    class Coloured(Frames):
        def pairs(self, *args):
            source, _ = super().pairs(*args)
            source = source * torch.tensor([1, 0.5, 0.2])[:, None, None]
            return source, source.clone()

    def drawn(hue):
        cfg = TrainCfg(batch=4, jitter=0.0, hue=hue, flip=False)
        return draw_batch(pair_sampler, Coloured(), cfg, 0)[0]

    assert not torch.equal(drawn(0.4), drawn(0.0))


def test_processes_and_steps_draw_for_themselves():
    first, same, other_step, other_rank = (
        batch(step, rank, flip=True) for step, rank in [(0, 0), (0, 0), (1, 0), (0, 1)]
    )
    assert torch.equal(first, same)
    assert not torch.equal(first, other_step) and not torch.equal(first, other_rank)


def test_losses_draw_the_same_in_the_same_step():
    def draw(step):
        batch(step)
        return torch.rand(3)

    first = draw(0)
    torch.rand(7)
    assert torch.equal(draw(0), first) and not torch.equal(draw(1), first)


# ---- what is left behind ----
def test_the_end_is_saved_and_ready_for_use(tmp_path):
    run = tmp_path / "run"
    cfg = TrainCfg(steps=3, batch=1, save_every=2, log_every=1, preview_every=0)
    losses = dict(loss=Term(1.0, lambda weight: weight.sum()))

    model = fit(Numbers(), losses, Frames(), cfg, run, device="cpu", progress=False)

    assert RunState(run).newest_step() == 3
    assert not model.training
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 3


class BadFrames(Frames):
    "Data that cannot be used."

    def pairs(self, batch, generator, device, reverse=True):
        raise InputError("clip 3: expected two frames, found one; leave it out")


@pytest.mark.parametrize("name", ["notes.txt", "bad/notes.txt"])
def test_what_was_in_the_folder_stays_when_a_training_ends_early(name, tmp_path):
    notes = tmp_path / "run" / name
    notes.parent.mkdir(parents=True)
    notes.write_text("mine")
    cfg = TrainCfg(steps=3, batch=1, preview_every=0)
    losses = dict(loss=Term(1.0, lambda weight: weight.sum()))

    with pytest.raises(InputError, match="clip 3"):
        fit(Numbers(), losses, BadFrames(), cfg, tmp_path / "run", device="cpu", progress=False)

    assert notes.read_text() == "mine"


def test_a_state_that_cannot_be_written_leaves_the_one_before(tmp_path, monkeypatch):
    "Whatever removes older states does so when the new one is whole."
    state = RunState(tmp_path / "run")
    part = torch.nn.Linear(1, 1)
    state.save(1, model=part)

    def full(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("torch.save", full)
    with pytest.raises((OSError, InputError)):
        state.save(2, model=part)
    assert state.load(model=part) == 1


class MakesFolder:
    "A pickle that makes a folder when it is loaded."

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_state_runs_no_code(tmp_path):
    state = RunState(tmp_path / "run")
    state.save(1, model=torch.nn.Linear(1, 1))
    torch.save(dict(step=1, model=MakesFolder(tmp_path / "it-ran")), state.files()[-1])

    with pytest.raises(InputError):
        state.load(model=torch.nn.Linear(1, 1))
    assert not (tmp_path / "it-ran").exists()


# ---- reports ----
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_the_first_loss_that_is_not_finite_is_named(tmp_path, bad):
    reports = Reports(tmp_path, "cpu")
    for step, loss in enumerate([1.0, bad, 2.0, bad]):
        reports.add(step, torch.tensor(loss), {})
    assert reports.first_bad() == 1


def test_reports_are_means_and_lines_after_the_start_are_dropped(tmp_path):
    reports = Reports(tmp_path, "cpu")
    for done in (1, 2, 3):
        reports.add(done, torch.tensor(2.0), {})
        reports.add(done, torch.tensor(4.0), {})
        assert reports.write(done, 0.1)["loss"] == 3.0

    reports.drop_after(2)

    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2]
