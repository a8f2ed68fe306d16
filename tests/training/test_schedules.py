"""Trainings as the papers state them: epochs, identities, ImageNet, a gradient of one part."""

import json
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import load_file

import animlib.backbones.hrnet as hrnet
import animlib.run.jobs as jobs
from animlib import build
from animlib.backbones.published import PUBLISHED
from animlib.cli import main
from animlib.core import InputError
from animlib.data.clips import Clips
from animlib.data.identities import ByIdentity
from animlib.data.sources import DataSource, open_source
from animlib.models.registry import configure, get_method
from animlib.storage import sha256
from animlib.training.config import TrainCfg
from animlib.training.loop import Trainer
from animlib.zoo.official.config import official_cfg

GOLDEN = Path(__file__).parents[1] / "golden"
TOY = "--data toy:arm --preset toy --frames 3 --device cpu -o preview_every=0".split()


def few(n: int) -> DataSource:
    "n clips of the toy world."
    return open_source("toy:arm", 32, n, 3, progress=False)


# ---- epochs ----
EPOCHS = "-o epochs=2 -o repeats=3 -o batch=2".split()


def test_epochs_become_steps_of_this_data(tmp_path):
    "Two epochs of three times five clips in pairs: 2 x 7 steps, in the config and in the model."
    run = tmp_path / "run"
    command = ["train", "fomm", *TOY, *EPOCHS, "--clips", "5", "--run-dir", str(run)]
    assert main(command) == 0
    saved = json.loads((run / "config.json").read_text())["train"]
    assert (saved["steps"], saved["epochs"], saved["repeats"]) == (14, 2, 3)
    assert json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["step"] == 14
    before = load_file(run / "model.safetensors")
    assert main([*command, "--resume"]) == 0  # finished: nothing is left to do
    after = load_file(run / "model.safetensors")
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_a_run_in_epochs_is_not_resumed_on_other_data(tmp_path, capsys):
    run = tmp_path / "run"
    command = ["train", "fomm", *TOY, *EPOCHS, "--run-dir", str(run)]
    assert main([*command, "--clips", "5"]) == 0
    assert main([*command, "--clips", "7", "--resume"]) == 2
    assert "train.steps: 14 -> 20" in capsys.readouterr().err


def test_too_few_clips_for_a_batch_leave_nothing(tmp_path, capsys):
    run = tmp_path / "run"
    command = ["train", "fomm", *TOY, *"-o epochs=2 -o batch=8 --clips 5".split()]
    assert main([*command, "--run-dir", str(run)]) == 2
    assert "at least one batch of 8" in capsys.readouterr().err
    assert not run.exists()


class Uncounted:
    "Data of no known length."

    def pairs(self, batch, generator, device):
        return torch.rand(2, batch, 3, 32, 32)


def test_epochs_of_data_without_a_length(tmp_path):
    model = build("fomm", "toy")
    with pytest.raises(InputError, match="know how many clips"):
        Trainer(model, {}, Uncounted(), TrainCfg(epochs=2), tmp_path / "run", "cpu")


# ---- identities ----
@pytest.fixture
def given(monkeypatch):
    "What `jobs.train` hands to the loop, which does not run."
    calls = []
    monkeypatch.setattr(jobs, "fit", lambda model, losses, data, *rest, **o: calls.append(data))
    return calls


def test_id_sampling_gives_the_loop_identities(tmp_path, given):
    "Also in epochs of them; groups of sources draw identities by themselves."
    source = few(4)
    for method, options in (("fomm", {}), ("fomm", dict(id_sampling=True)), ("pose_attentive", {})):
        jobs.train(method, source, "toy", tmp_path / "run", "cpu", **options)
    jobs.train("pose_attentive", source, "toy", tmp_path / "run", "cpu", id_sampling=True)
    assert [type(data) for data in given] == [Clips, ByIdentity, Clips, Clips]


# ---- weights of ImageNet ----
WIDE = {"backbone.width": 32, "backbone.blocks": 4, "backbone.modules": (1, 4)}
WIDE |= {"backbone.stem_width": 64, "backbone.stem_blocks": 4, "pretrained": True}


@pytest.fixture
def imagenet(tmp_path, monkeypatch):
    "The published file, made here: other numbers than a fresh model has. Nothing is fetched."
    torch.manual_seed(9)
    state = {hrnet._published(name): v for name, v in hrnet.HRNet().state_dict().items()}
    folder = tmp_path / "weights"
    folder.mkdir()
    torch.save(state, folder / "made")
    file = (folder / "made").rename(folder / f"hrnet-{sha256(folder / 'made')[:8]}.pth")
    row = replace(PUBLISHED["hrnet-w32"], url=f"https://example.org/{file.name}")
    monkeypatch.setitem(PUBLISHED, "hrnet-w32", row)
    monkeypatch.setenv("ANIMLIB_WEIGHTS", str(folder))
    monkeypatch.setenv("HOME", str(tmp_path))

    def offline(*args, **options):
        raise URLError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    return file


def start_of(monkeypatch, run, **options):
    "The backbone with which a training begins."
    source = few(2)
    begun = []
    monkeypatch.setattr(jobs, "fit", lambda model, *rest, **o: begun.append(model))
    jobs.train("motion_transformer", source, "toy", run, "cpu", **options)
    return begun[0].detector.body.state_dict()


def is_published(body, file) -> bool:
    "Whether every tensor of a backbone is the file's."
    state = torch.load(file, weights_only=True)
    return all(torch.equal(value, state[hrnet._published(name)]) for name, value in body.items())


def test_a_training_starts_from_imagenet(tmp_path, monkeypatch, imagenet):
    run = tmp_path / "run"
    assert is_published(start_of(monkeypatch, run, **WIDE), imagenet)
    assert not is_published(start_of(monkeypatch, run, **WIDE | {"pretrained": False}), imagenet)


def test_missing_weights_are_named_and_nothing_is_left(tmp_path, capsys, imagenet):
    "The file, the place where it is looked for, and the way on."
    imagenet.unlink()
    run = tmp_path / "run"
    given = [word for name, value in WIDE.items() for word in ("-o", f"{name}={value}")]
    given = [word.replace("(1, 4)", "[1,4]").replace("True", "true") for word in given]
    command = ["train", "motion_transformer", *TOY, "--clips", "2", "--run-dir", str(run), *given]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert imagenet.name in error and "pretrained=False" in error and "not found" in error
    assert not run.exists()


def test_a_trained_model_and_a_resumed_run_need_no_published_weights(
    tmp_path, monkeypatch, imagenet
):
    source = few(2)
    options = {**WIDE, "steps": 1, "batch": 2, "preview_every": 0}
    run = jobs.train("motion_transformer", source, "toy", tmp_path / "a", "cpu", **options)
    imagenet.unlink()
    method = ("motion_transformer", source, "toy")
    jobs.train(*method, run, "cpu", resume=True, progress=False, **options)
    jobs.train(*method, tmp_path / "b", "cpu", init=str(run), progress=False, **options)
    with pytest.raises(InputError, match="pretrained"):
        jobs.train(*method, tmp_path / "c", "cpu", progress=False, **options)
    (run / "model.safetensors").unlink()
    for state in (run / "state").iterdir():
        state.unlink()  # a run that was stopped before its first save starts anew
    with pytest.raises(InputError, match="pretrained"):
        jobs.train(*method, run, "cpu", resume=True, progress=False, **options)


def test_methods_without_published_weights_say_so(tmp_path):
    source = few(2)
    with pytest.raises(InputError, match="found fomm; leave it out"):
        jobs.train("fomm", source, "toy", tmp_path / "run", "cpu", pretrained=True)


# ---- the gradient of one part ----
def gradients(tmp_path, **options) -> dict[str, torch.Tensor]:
    "Of every part of a small DAM after one step, as one vector each."
    cfg, training = configure("dam", "toy", batch=2, preview_every=0, **options)
    source = few(2)
    torch.manual_seed(0)
    method = get_method("dam")
    model = method.build(cfg)
    clips = source.clips("train")
    trainer = Trainer(model, method.losses(cfg), clips, training, tmp_path / "run", "cpu")
    trainer.step(0)
    return {
        name: torch.cat([p.grad.flatten() for p in part.parameters() if p.grad is not None])
        for name, part in model.named_children()
    }


def test_only_the_detectors_gradient_is_clipped(tmp_path):
    "DAM, as released; all parts together are another step, and no limit is a third."
    free = gradients(tmp_path)
    limit = free["detector"].norm().item() / 5
    assert limit < free["generator"].norm()
    one = gradients(tmp_path, clip=limit, clip_parts=("detector",))
    torch.testing.assert_close(one["detector"].norm().item(), limit, rtol=1e-3, atol=0)
    torch.testing.assert_close(one["detector"], free["detector"] / 5, rtol=1e-3, atol=1e-8)
    for name in set(free) - {"detector"}:
        assert torch.equal(one[name], free[name]), name
    together = gradients(tmp_path, clip=limit)
    assert together["generator"].norm() < free["generator"].norm()


def test_a_part_that_no_model_has(tmp_path):
    with pytest.raises(InputError, match="option clip_parts: expected a list, each detector"):
        gradients(tmp_path, clip=1.0, clip_parts=("detectors",))


# ---- what is the paper's alone ----
def test_released_monkeynet_keeps_the_sources_covariances():
    "The paper's presets draw both frames with the driving's; the released code does not."
    config = json.loads((GOLDEN / "monkeynet.json").read_text())["config"]
    assert not official_cfg("monkeynet", config).spread.from_driving
    assert configure("monkeynet", "paper")[0].spread.from_driving
