"A video from one image: keypoints as numbers, windows, runs that resume, rendered frames, errors."

import json

import pytest
import torch
from torch.testing import assert_close

from animlib.core import InputError, Keypoints
from animlib.data.clips import Clips
from animlib.losses.reconstruction import Term
from animlib.models.registry import build as build_model
from animlib.retarget.forecast import (
    Forecast,
    ForecastCfg,
    Forecaster,
    as_moments,
    build,
    forecast_error,
    predict_video,
    presets,
    render,
    thicken,
)
from animlib.retarget.sequences import (
    KeypointWindows,
    extrapolate,
    has_own_covariance,
    horizon_error,
    read_sequences,
    repeat_first,
    to_keypoints,
    to_numbers,
)
from animlib.training.config import TrainCfg, plain_sampler
from animlib.training.loop import fit
from animlib.training.state import read_header

K, T = 2, 6
CFG = ForecastCfg(K, hidden=8, length=T)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def random_keypoints(n, k=K):
    factor = torch.rand(n, k, 2, 2, generator=seeded())
    return Keypoints(torch.rand(n, k, 2, generator=seeded()) * 2 - 1, cov=factor @ factor.mT)


def circling(t, phase):
    "Rows of two points on a circle, and of a covariance that changes with them."
    angle = torch.arange(t) * 0.5 + phase
    first = torch.stack([angle.cos(), angle.sin()], -1)
    second = torch.stack([-angle.sin(), angle.cos()], -1)
    variance = (0.1 + 0.05 * angle.sin())[:, None, None, None]
    cov = torch.eye(2).expand(t, K, 2, 2) * variance
    return to_numbers(Keypoints(torch.stack([first, second], 1) * 0.5, cov=cov))


def windows():
    return KeypointWindows([circling(20, phase) for phase in (0.0, 1.0, 2.0)], T)


@pytest.fixture(scope="module", params=("monkeynet", "fomm", "monkeynet-plain"))
def model(request):
    "Untrained models: with covariances, with Jacobians, with neither."
    torch.manual_seed(0)
    method, _, plain = request.param.partition("-")
    options = {"spread.learned": False} if plain else {}
    return build_model(method, "toy", **options).eval()


def detected(model, images):
    with torch.no_grad():
        return model.detector(images)


def with_covariance(model):
    return has_own_covariance(detected(model, torch.zeros(1, 3, 32, 32)))


def predictor(model):
    torch.manual_seed(1)
    kp = detected(model, torch.zeros(1, 3, 32, 32))
    cfg = ForecastCfg(kp.xy.shape[1], 8, T, covariance=has_own_covariance(kp))
    return Forecaster(cfg).eval()


# ---- numbers ----
def test_numbers_and_back():
    kp = random_keypoints(5)
    back = to_keypoints(to_numbers(kp), K)
    assert torch.equal(back.xy, kp.xy) and torch.equal(back.cov, kp.cov)
    assert to_keypoints(to_numbers(kp, False), K).cov is None


def test_any_output_of_the_network_is_a_keypoint():
    raw = torch.randn(300, 12, generator=seeded()) * 5
    kp = to_keypoints(as_moments(raw, K), K)
    assert kp.xy.abs().max() <= 1 and torch.equal(kp.cov, kp.cov.mT)
    assert torch.linalg.eigvalsh(thicken(kp.cov.double(), 0.01)).min() > 0.01 - 1e-9
    thick = random_keypoints(1).cov + torch.eye(2)
    assert torch.equal(thicken(thick), thick)


def test_the_released_size_and_what_a_file_needs():
    "The counts of the paper's preset; what `animlib.load` asks of a network."
    with torch.device("meta"):
        assert sum(p.numel() for p in build(presets["paper"][0]).parameters()) == 3_397_692
    for cfg, options in presets.values():
        assert build(cfg).cfg == cfg and TrainCfg(**options)
    assert Forecaster.method == "forecast" and build(CFG).info == {}


def test_only_the_first_frame_is_read():
    torch.manual_seed(0)
    network = Forecaster(CFG)
    first, sequence = windows().pairs(4, seeded())
    unread = network(first, torch.rand_like(sequence)).numbers
    assert_close(network(first, sequence).numbers, unread)
    assert torch.equal(network(first).numbers[:, 0], first)
    assert network(first, length=11).numbers.shape == (4, 11, 12)


# ---- baselines, errors ----
def test_baselines():
    "Constant speed is predicted exactly up to the border; at rest the first frame is right."
    place = torch.rand(3, 1, K, 2, generator=seeded()) * 0.4 - 0.2
    speed = torch.rand(3, 1, K, 2, generator=seeded(1)) * 0.1
    walk = (place + speed * torch.arange(T)[:, None, None]).flatten(2)
    assert_close(extrapolate(walk[:, :2], T, K), walk)
    assert extrapolate(walk[:, :2], 500, K).max() == 1
    assert torch.equal(repeat_first(walk[:, 0], 3), walk[:, :1].expand(-1, 3, -1))
    error = horizon_error(repeat_first(walk[:, 0], T), walk, K, (33, 33))
    assert error[0] == 0 and (error.diff() > 0).all()


def test_the_error_leaves_the_given_frame_out():
    truth = torch.rand(2, 4, 12, generator=seeded())
    guess = truth.clone()
    guess[:, 0] += 1
    guess[:, 1:, :2] += 0.5
    errors = forecast_error(Forecast(guess, truth, K))
    assert_close(errors["xy"], torch.tensor(0.25))
    assert errors["cov"] == 0


# ---- windows ----
def test_windows_are_a_function_of_the_seed():
    first, same, other = (windows().pairs(16, seeded(seed))[1] for seed in (3, 3, 4))
    assert torch.equal(first, same) and not torch.equal(first, other)


def test_windows_stay_in_their_clip():
    rows = [torch.full((t, 1), float(i)) for i, t in enumerate((T, T + 5, T))]
    first, sequence = KeypointWindows(rows, T).pairs(300, seeded())
    assert (sequence == first[:, None]).all()
    assert set(first.flatten().tolist()) == {0.0, 1.0, 2.0}


def test_sequences_are_those_of_the_clips(model):
    frames = torch.randint(0, 256, (7, 32, 32, 3), dtype=torch.uint8, generator=seeded())
    covariance = with_covariance(model)
    found = read_sequences(model, Clips(frames, [4, 3]), covariance, batch=2, progress=False)
    rows = to_numbers(detected(model, frames.movedim(-1, 1) / 255), covariance)
    assert [len(sequence) for sequence in found] == [4, 3] and not found[0].is_inference()
    assert_close(torch.cat(found), rows, atol=1e-4, rtol=0)


# ---- training ----
def trained(run, steps, resume=False, **info):
    torch.manual_seed(0)
    every = dict(save_every=10, log_every=10, preview_every=0)
    cfg = TrainCfg(steps=steps, batch=8, lr=0.02, milestones=(), **every)
    options = dict(device="cpu", data_name="circles", sampler=plain_sampler, progress=False)
    losses = {"error": Term(1.0, forecast_error)}
    return fit(Forecaster(CFG), losses, windows(), cfg, run, resume=resume, **options, **info)


def test_the_loop_trains_it(tmp_path):
    network = trained(tmp_path / "run", 120, detector="some")
    log = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    first_line = json.loads(log[0])
    last_line = json.loads(log[-1])
    assert last_line["loss"] < 0.5 * first_line["loss"]
    assert {"error.xy", "error.cov"} <= first_line.keys()
    first, truth = windows().pairs(64, seeded(9))

    def error(guess):
        return horizon_error(guess, truth, K, (32, 32))[1:].mean()

    assert error(network(first).numbers) < 0.5 * error(repeat_first(first, T))
    header = read_header(tmp_path / "run" / "model.safetensors")
    assert header["method"] == "forecast" and header["detector"] == "some"
    assert ForecastCfg(**header["cfg"]) == CFG


def test_resumed_is_the_same_to_the_bit(tmp_path, monkeypatch):
    import animlib.training.loop as training

    step = training.Trainer.step
    uninterrupted = trained(tmp_path / "whole", 30).state_dict()

    def killed(self, i):
        if i == 17:
            raise KeyboardInterrupt
        return step(self, i)

    monkeypatch.setattr(training.Trainer, "step", killed)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "half", 30)
    monkeypatch.setattr(training.Trainer, "step", step)
    resumed = trained(tmp_path / "half", 30, resume=True).state_dict()
    assert all(torch.equal(value, resumed[name]) for name, value in uninterrupted.items())


# ---- rendering ----
def test_a_video_begins_with_the_image_in_its_own_pose(model):
    network = predictor(model)
    image = torch.rand(3, 32, 32, generator=seeded())
    video = predict_video(model.train(), network.train(), image)
    assert model.training and network.training  # as they were before
    model.eval()
    network.eval()
    assert video.shape == (T, 3, 32, 32) and video.isfinite().all() and not video.is_inference()
    with torch.no_grad():
        kp = model.detector(image[None])
        own = model(model.prepare(image[None]), kp).frame
        rows = network(to_numbers(kp, with_covariance(model))).numbers[0]
    assert_close(video[:1], own, atol=1e-4, rtol=0)
    assert_close(video, render(model, image, rows, batch=4), atol=1e-4, rtol=0)
    assert len(predict_video(model, network, image, 9)) == 9


def test_what_rows_do_not_hold_is_the_sources(model):
    image = torch.rand(3, 32, 32, generator=seeded())
    kp = detected(model, image[None])
    with torch.no_grad():
        own = model(model.prepare(image[None]), kp).frame
    assert_close(render(model, image, to_numbers(kp, False)), own, atol=1e-4, rtol=0)
    if with_covariance(model):
        assert render(model, image, torch.zeros(2, 6 * kp.xy.shape[1])).isfinite().all()


# ---- errors ----
def short_windows():
    return KeypointWindows([torch.zeros(t, 2) for t in (40, 8, 9)])


ERRORS = {
    "such as Monkey-Net, or covariance=False": lambda: to_numbers(Keypoints(torch.zeros(1, 3, 2))),
    "X2Face": lambda: to_numbers(Keypoints(torch.zeros(1, 0, 2))),
    "expected 12 numbers for 2 keypoints": lambda: to_keypoints(torch.zeros(1, 7), 2),
    "expected 12 numbers .2 keypoints., found 60": lambda: Forecaster(CFG)(torch.zeros(1, 60)),
    "2 of 3 that are shorter, the shortest 8; leave them out, or use length=8": short_windows,
    "at least one sequence": lambda: KeypointWindows([]),
}


@pytest.mark.parametrize("message", ERRORS)
def test_errors_say_what_to_do(message):
    with pytest.raises(InputError, match=message) as error:
        ERRORS[message]()
    assert "\n" not in str(error.value)


def test_another_models_predictor_is_refused():
    image = torch.rand(3, 32, 32)
    with pytest.raises(InputError, match="trained on this model"):
        predict_video(build_model("monkeynet", "toy"), Forecaster(CFG), image)
    with pytest.raises(InputError, match="such as Monkey-Net"):
        predict_video(build_model("fomm", "toy"), Forecaster(CFG), image)
