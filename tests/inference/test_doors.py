"""Models in another precision, in training mode, used by several threads: at every door.

Understood, or refused in one line; the model that was given stays as it was."""

import threading

import pytest
import torch

from animlib.animation import animate
from animlib.animator import evaluation_mode
from animlib.core import InputError
from animlib.data import toy
from animlib.evaluate.metrics import reconstruction_metrics
from animlib.inference import ready
from animlib.models.names import method_names
from animlib.models.registry import build
from animlib.viz.images import to_uint8
from animlib.zoo.catalog import zoo
from animlib.zoo.hub import load

SIZE = 64


@pytest.fixture(scope="module")
def clips():
    "Two toy clips, `[n,t,3,h,w]`."
    return toy.clips("body", 2, 4, SIZE, 0).video


def frames_of(model, clips):
    "An animation as numbers."
    return animate(model, clips[0, 0], clips[1], device="cpu", progress=False).frames


@pytest.fixture
def float64_by_default():
    "As after `torch.set_default_dtype(torch.float64)`."
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="module")
def expected(clips):
    return frames_of(load("fomm-body"), clips)


class Clips:
    "Clips for a measurement."

    def __init__(self, video):
        self.video = video

    def __len__(self):
        return len(self.video)

    def frames(self, i):
        return torch.from_numpy(to_uint8(self.video[i]))


def measured(model, clips):
    "What an evaluation finds."
    return reconstruction_metrics(model, Clips(clips), progress=False)


# ---- precision ----
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_animation_of_a_model_in_another_precision(dtype, clips, expected):
    model = load("fomm-body").to(dtype)

    made = frames_of(model, clips)

    difference = (made.int() - expected.int()).abs()
    assert difference.float().mean() < 2
    assert next(model.parameters()).dtype == dtype


DOORS = {
    "forward": lambda model, clips: model(clips[:, 0], clips[:, 1]),
    "prepare": lambda model, clips: model.prepare(clips[:, 0]),
    "training step": lambda model, clips: model.training_step(clips[:, 0], clips[:, 1]),
    "evaluation": lambda model, clips: measured(model, clips),
}


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
@pytest.mark.parametrize("door", DOORS)
def test_other_doors_say_what_to_do(door, dtype, clips):
    model = build("fomm", "toy").to(dtype)

    with pytest.raises(InputError, match=r"model.float\(\)") as raised:
        DOORS[door](model, clips)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", list(zoo())[:1])
def test_a_loaded_model_is_float32_whatever_the_default(name, float64_by_default):
    model = load(name)
    floats = [v for v in model.state_dict().values() if v.is_floating_point()]
    assert {value.dtype for value in floats} == {torch.float32}


@pytest.mark.parametrize("name", zoo())
def test_animation_under_float64_by_default(name, clips, float64_by_default):
    clips = clips.float()
    made = frames_of(name, clips)

    torch.set_default_dtype(torch.float32)
    difference = (made.int() - frames_of(name, clips).int()).abs()
    assert difference.max() <= 1


@pytest.mark.parametrize("method", method_names())
def test_a_model_that_is_built_under_float64_by_default_says_what_to_do(method, float64_by_default):
    model = build(method, "toy").train()
    frames = torch.rand(2, 2, 3, 32, 32, dtype=torch.float32)

    with pytest.raises(InputError, match=r"model.float\(\)"):
        model.training_step(*frames)

    assert model.float().training_step(*frames).frame.isfinite().all()

    step = model.training_step(*frames)

    assert step.frame.isfinite().all()


# ---- training mode, threads ----
def in_threads(n: int, work):
    "What `work()` gives in each of so many threads at once."
    results = [None] * n
    start = threading.Barrier(n)

    def run(i):
        start.wait()
        try:
            results[i] = work()
        except Exception as error:
            results[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        if isinstance(result, Exception):
            raise result
    return results


@pytest.mark.parametrize("training", [True, False])
def test_threads_that_animate_one_model_get_the_same_frames(training, clips, expected):
    model = load("fomm-body").train(training)
    before = {name: value.clone() for name, value in model.state_dict().items()}

    for frames in in_threads(4, lambda: frames_of(model, clips)):
        assert torch.equal(frames, expected)

    assert model.training is training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_threads_that_load_get_the_same_model(clips, expected):
    for frames in in_threads(4, lambda: frames_of("fomm-body", clips)):
        assert torch.equal(frames, expected)


@pytest.mark.parametrize("training", [True, False])
def test_threads_that_evaluate_one_model_get_the_same_numbers(training, clips):
    model = load("fomm-body").train(training)
    before = {name: value.clone() for name, value in model.state_dict().items()}

    numbers = in_threads(4, lambda: str(measured(model, clips)))

    assert len(set(numbers)) == 1
    assert model.training is training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_mode_comes_back_when_the_last_user_leaves():
    model = build("fomm", "toy").train()
    model.generator.eval()  # a frozen part
    inside, leave = threading.Event(), threading.Event()

    def stay():
        with evaluation_mode(model):
            inside.set()
            leave.wait(10)

    other = threading.Thread(target=stay)
    with evaluation_mode(model):
        other.start()
        inside.wait(10)
    assert not model.training
    leave.set()
    other.join()

    assert model.training and model.detector.training
    assert not model.generator.training and not model.generator.final.training


def test_ready_gives_a_model_of_its_own():
    model = build("fomm", "toy").half().train()
    quick = ready(model, "cpu")
    assert model.training and not quick.training
    assert next(model.parameters()).dtype == torch.float16
    assert next(quick.parameters()).dtype == torch.float32


def test_what_is_no_model_for_frames_is_refused():
    with pytest.raises(InputError, match="model"):
        ready(torch.nn.Linear(1, 1), "cpu")
