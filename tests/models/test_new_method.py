"A method is defined in one place; one registration lists, trains, loads, measures, animates it."

import math
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest
import torch
from videos import error_line

from animlib import list_models
from animlib.animation import animate
from animlib.animator import Animator
from animlib.cli import main
from animlib.data.sources import open_source
from animlib.dense.blend import DenseCfg, DenseMotion
from animlib.detectors.keypoint import DetectorCfg, KeypointDetector
from animlib.evaluate.tables import evaluate
from animlib.generators.occlusion import GeneratorCfg, OcclusionGenerator
from animlib.losses.reconstruction import Term, l1
from animlib.models import names
from animlib.models.names import method_names
from animlib.models.registry import Method, build, get_method, register
from animlib.motion.translation import translation_motion
from animlib.run import jobs
from animlib.run.ablate import ablate
from animlib.training.config import TrainCfg
from animlib.zoo.catalog import method_rows
from animlib.zoo.hub import load

DATA = "toy:arm"


# ---- the method ----
@dataclass(frozen=True)
class ShiftCfg:
    "Keypoints that only shift their neighbourhood, and a generator that fills what they hide."

    size: int = 32
    n_kp: int = 3
    weight: float = 10.0  # of the one loss
    detector: DetectorCfg = DetectorCfg(width=4, depth=2, max_width=8, scale=0.5, kernel=3, pad=1)
    dense: DenseCfg = DenseCfg(width=4, depth=2, max_width=8, scale=0.5, kernel=3)
    generator: GeneratorCfg = GeneratorCfg(width=4, max_width=8, blocks=1, kernel=3)


def build_shift(cfg: ShiftCfg) -> Animator:
    "Monkey-Net's detector and motion, FOMM's dense stage and generator."
    return Animator(
        detector=KeypointDetector(cfg.n_kp, cfg.detector),
        motion=translation_motion,
        dense=DenseMotion(cfg.n_kp, cfg.dense),
        generator=OcclusionGenerator(cfg.generator),
        cfg=cfg,
        method="shift",
    )


def shift_losses(cfg: ShiftCfg, vgg=None, discriminator=None):
    return {"l1": Term(cfg.weight, lambda step: l1(step.frame, step.target))}


SHIFT = Method(
    name="shift",
    paper="none: a method of this test",
    config=ShiftCfg,
    build=build_shift,
    losses=shift_losses,
    presets={"toy": (ShiftCfg(), TrainCfg(steps=3, batch=2, lr=1e-3, save_every=3))},
    variants={"full": {}, "no occlusion": {"dense.occlusion": False}},
)


@contextmanager
def registered(method: Method):
    "The method is known inside, and to nobody afterwards."
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(names.registered, method.name, method)
        yield register(method)


@pytest.fixture(scope="module")
def method():
    with registered(SHIFT) as known:
        yield known


@pytest.fixture(scope="module")
def run(method, tmp_path_factory):
    "The folder of a run of three steps."
    folder = tmp_path_factory.mktemp("shift") / "run"
    size = dict(clips=4, frames=4, **{"dense.width": 6})
    return jobs.train("shift", DATA, "toy", folder, "cpu", progress=False, **size)


# ---- listed ----
def test_it_is_listed(method, capsys):
    row = {"method": "shift", "toy (px, weights)": f"32, {count_weights() / 1e6:.2f} M"}

    assert get_method("shift") is method
    assert method_names()[-1] == "shift"
    assert method_rows()[-1] == row and row in list_models().methods
    assert main(["models"]) == 0
    assert "shift" in capsys.readouterr().out


def count_weights() -> int:
    return sum(weight.numel() for weight in build("shift", "toy").parameters())


def test_messages_name_it(method):
    assert "did you mean shift?" in error_line(build, "shfit")
    assert "animlib.build('shift')" in error_line(load, "shift")


# ---- trained, and loaded ----
def test_it_is_trained(run):
    torch.manual_seed(SHIFT.presets["toy"][1].seed)
    fresh = dict(build("shift", "toy", **{"dense.width": 6}).named_parameters())

    trained = dict(load(run).named_parameters())

    changed = [name for name in fresh if not torch.equal(fresh[name], trained[name])]
    assert fresh.keys() == trained.keys()
    assert {name.split(".")[0] for name in changed} == {"detector", "dense", "generator"}
    assert (run / "metrics.jsonl").read_text() and (run / "preview.gif").is_file()


def test_its_run_loads_with_its_options(run):
    model = load(run)

    assert model.method == "shift"
    assert model.cfg == replace(ShiftCfg(), dense=replace(ShiftCfg().dense, width=6))
    assert (model.info["data"], model.info["steps"]) == (DATA, 3)


def test_a_shell_command_trains_it(method, tmp_path):
    command = f"train shift --data {DATA} --preset toy --device cpu --clips 2 --frames 3"
    options = ["-o", "weight=2", "-o", "dense.width=6", "-o", "preview_every=0"]

    assert main([*command.split(), *options, "--run", str(tmp_path / "run")]) == 0
    assert load(tmp_path / "run").cfg.weight == 2.0


def test_its_variants_are_compared(method, tmp_path):
    size = dict(clips=2, frames=3, limit=1)
    found = ablate("shift", DATA, preset="toy", out=tmp_path, device="cpu", progress=False, **size)

    metrics = [row["metrics"][0] for row in found["variants"].values()]
    assert list(found["variants"]) == ["full", "no occlusion"]
    assert all(math.isfinite(numbers["l1"]) for numbers in metrics)


# ---- evaluated, and animated ----
def test_it_is_evaluated(run):
    source = open_source(DATA, 32, 2, 4, progress=False)
    expected = evaluate(load(run), source, 2, progress=False)

    found = jobs.evaluate_run(run, limit=2, progress=False)

    assert {"l1", "l1_ratio", "warp_ratio", "keypoint_ratio"} <= found.keys()
    assert all(math.isfinite(value) for value in found.values())
    assert found["l1"] == pytest.approx(expected["l1"])
    assert load(run).info["metrics"] == found


def test_it_animates(run, tmp_path):
    clips = open_source(DATA, 32, 2, 4, progress=False).clips("test")
    source = clips.video(0)[0]
    driving = clips.video(1)

    path = animate(run, source, driving, tmp_path / "out.gif", device="cpu", progress=False)
    video = animate(run, source, driving, device="cpu", progress=False)

    assert path.is_file()
    assert video.frames.shape == (4, 32, 32, 3)
    assert video.frames.float().std() > 0


# ---- and gone ----
def test_it_leaves_nothing_behind():
    with registered(replace(SHIFT, name="passing")):
        assert "passing" in method_names()

    assert "passing" not in method_names()
    assert "unknown" in error_line(get_method, "passing")
