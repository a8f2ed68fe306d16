"""A training begins with a trained model of another size: every method, every learned tensor."""

import pytest
import torch

from animlib.core import InputError
from animlib.data.sources import open_source
from animlib.models.names import method_names
from animlib.models.registry import build, configure, get_method
from animlib.options import option_values
from animlib.run.jobs import train
from animlib.training.state import read_header, save_model
from animlib.zoo.hub import load
from animlib.zoo.start import start_from

SCALES = ("detector.scale", "dense.scale", "generator.pose_scale")
FIXED = {"tpsmm": "dense.scale"}  # decides how many layers there are


def twice(method: str) -> dict:
    "Options of the toy preset at twice its size, whose parts see what they saw before."
    cfg, _ = configure(method, "toy")
    values = option_values(cfg)
    halved = {
        name: values[name] / 2 for name in SCALES if name in values.keys() - {FIXED.get(method)}
    }
    return {"size": 2 * values["size"], **halved}


def saved(folder, method: str, **options):
    "A fresh model in a file, as if it were trained."
    torch.manual_seed(1)
    model = build(method, "toy", **options)
    save_model(folder / f"{method}.safetensors", model)
    return folder / f"{method}.safetensors", model


@pytest.mark.parametrize("method", method_names())
def test_every_method_starts_from_a_smaller_one(tmp_path, capsys, method):
    file, trained = saved(tmp_path, method)
    model = build(method, "toy", **twice(method))
    windows = {name: value.clone() for name, value in model.named_buffers() if "shrink" in name}
    start_from(model, file)

    assert "size: 32 -> 64" in capsys.readouterr().err
    for name, weight in trained.named_parameters():
        assert torch.equal(weight, model.get_parameter(name)), name
    for name, value in trained.named_buffers():
        if name not in windows:
            assert torch.equal(value, model.get_buffer(name)), name
    for name, value in windows.items():
        assert torch.equal(value, model.get_buffer(name)), name


def test_the_first_half_of_a_warm_start_may_be_smaller(tmp_path):
    file, trained = saved(tmp_path, "dam")
    model = get_method("hdam").build(configure("hdam", "toy", **twice("hdam"))[0])
    start_from(model, file)

    found = {name for name, _ in model.named_parameters()}
    shared = [name for name, _ in trained.named_parameters() if name in found]
    taken = [n for n in shared if torch.equal(model.get_parameter(n), trained.get_parameter(n))]
    assert len(taken) > 0.8 * len(shared)


def test_a_training_goes_from_small_to_large(tmp_path):
    quick = dict(steps=2, batch=2, preview_every=0)
    small = open_source("toy:arm", 32, 2, 3, progress=False)
    large = open_source("toy:arm", 64, 2, 3, progress=False)
    first = train("fomm", small, "toy", tmp_path / "32", "cpu", progress=False, **quick)
    options = twice("fomm") | quick | dict(lr=1e-9)
    train("fomm", large, "toy", tmp_path / "64", "cpu", init=str(first), progress=False, **options)

    start, end = (dict(load(tmp_path / run).named_parameters()) for run in ("32", "64"))
    assert load(tmp_path / "64").cfg.size == 64
    assert read_header(tmp_path / "64" / "model.safetensors")["init"] == "32"
    for name, weight in start.items():
        assert torch.allclose(weight, end[name], atol=1e-6), name


def test_what_does_not_fit_leaves_no_run(tmp_path, capsys):
    file, _ = saved(tmp_path, "fomm", n_kp=3)
    data = open_source("toy:arm", 32, 2, 3, progress=False)
    with pytest.raises(InputError, match="n_kp: 3 -> 6"):
        train("fomm", data, "toy", tmp_path / "run", "cpu", init=str(file), progress=False)

    assert not (tmp_path / "run").exists()
    assert "fit" not in capsys.readouterr().err
