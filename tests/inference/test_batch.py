"Frames at a time: what is fastest on this processor, measured once; the frames stay the same."

import pytest
import torch

from animlib import inference
from animlib.animation import animate_stream
from animlib.engines.files import smooth_images
from animlib.engines.runners import Engine
from animlib.fast import choice
from animlib.fast.choice import Choices
from animlib.fast.shared import can_pack
from animlib.inference import fastest_batch, frames_at_once, measured_batch, ready
from animlib.models.names import method_names
from animlib.models.registry import build
from animlib.viz.images import to_uint8

SIZE = (128, 128)  # 4 and 16 frames are tried
CPU = torch.device("cpu")


class Work:
    "Takes so many seconds for each frame, on a clock of its own."

    def __init__(self, seconds: dict[int, float], monkeypatch):
        self.seconds = seconds
        self.now = 0.0
        self.calls: list[int] = []
        monkeypatch.setattr(choice.time, "perf_counter", lambda: self.now)

    def __call__(self, count: int):
        self.calls.append(count)
        self.now += count * self.seconds[count]


@pytest.fixture
def file(tmp_path, monkeypatch):
    "The file of choices; each use of it is a program of its own."
    path = tmp_path / "cache" / "ways.json"
    monkeypatch.setattr(inference, "user_choices", lambda: Choices(path))
    return path


def source_and_frames(model, count: int = 7):
    "Of 32 px; as many sources as the method uses."
    frames = smooth_images((32, 32), count, seed=1)
    return (frames[:1] if model.n_sources == 1 else frames[None, :2]), frames


# ---- the choice ----
@pytest.mark.parametrize(
    "seconds,expected",
    [
        ({2: 1.0, 4: 1.0, 8: 1.0}, 8),
        ({2: 1.0, 4: 1.02, 8: 1.04}, 8),  # equal, but for noise: the largest
        ({2: 1.0, 4: 1.02, 8: 1.08}, 4),
        ({2: 2.0, 4: 1.0, 8: 1.5}, 4),
        ({2: 3.0, 4: 2.0, 8: 1.0}, 8),
        ({2: 1.0, 4: 2.0, 8: 3.0}, 2),
    ],
)
def test_no_slower_number_is_chosen(seconds, expected, monkeypatch):
    assert fastest_batch(Work(seconds, monkeypatch), [*seconds]) == expected


def test_one_slow_run_decides_nothing(monkeypatch):
    work = Work({2: 1.0, 4: 1.0, 8: 1.0}, monkeypatch)
    slow_calls = (*range(1, 8), 14, 28)  # those that only warm up, then two of the three of 8

    def disturbed(count):
        work(count)
        if len(work.calls) in slow_calls:
            work.now += 5.0

    assert fastest_batch(disturbed, [2, 4, 8]) == 8


def test_timing_costs_a_few_frames(file, monkeypatch):
    "Once to warm up and three times by the clock: 128 frames of 128 px, 32 of 256 px."
    for side, frames in ((128, 128), (256, 32)):
        work = Work({1: 1.0, 4: 1.0, 16: 1.0}, monkeypatch)
        measured_batch(work, (side, side), "a model")
        assert sum(work.calls) == frames


def test_a_remembered_number_is_not_measured_again(file, monkeypatch):
    work = Work({4: 1.0, 16: 2.0}, monkeypatch)
    assert measured_batch(work, SIZE, "a model") == 4
    count = len(work.calls)
    assert measured_batch(work, SIZE, "a model") == 4 and len(work.calls) == count
    assert measured_batch(work, SIZE, "another model") == 4 and len(work.calls) > count


def test_a_number_that_is_no_candidate_is_measured_anew(file, monkeypatch):
    work = Work({4: 1.0, 16: 2.0}, monkeypatch)
    measured_batch(work, SIZE, "a model")
    file.write_text(file.read_text().replace('"4"', '"4000"'))
    assert measured_batch(work, SIZE, "a model") == 4


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("a file in the place of the folder")
    choices = Choices(tmp_path / "cache" / "ways.json")
    monkeypatch.setattr(inference, "user_choices", lambda: choices)
    work = Work({4: 1.0, 16: 2.0}, monkeypatch)
    assert measured_batch(work, SIZE, "a model") == 4
    count = len(work.calls)
    assert measured_batch(work, SIZE, "a model") == 4 and len(work.calls) == count


@pytest.mark.parametrize("side,tried", [(512, 1), (256, 4), (128, 16), (64, 16), (32, 16)])
def test_the_memory_of_a_batch_is_bounded(side, tried, file, monkeypatch):
    work = Work({count: 1 / count for count in range(1, 65)}, monkeypatch)
    assert measured_batch(work, (side, side), "a model") == tried


# ---- who decides ----
def refuse(*given):
    raise AssertionError("timed")


def test_a_given_batch_is_obeyed(monkeypatch):
    monkeypatch.setattr(Engine, "frames_at_once", refuse)
    model = ready(build("fomm", "toy"), "cpu")
    source, frames = source_and_frames(model)
    made = animate_stream(model, source, list(to_uint8(frames)), scale=1.0, batch=3)
    assert [len(part) for part in made] == [3, 3, 1]


def test_without_one_the_fastest_is_taken(monkeypatch):
    monkeypatch.setattr(Engine, "frames_at_once", lambda *given: 5)
    model = ready(build("fomm", "toy"), "cpu")
    source, frames = source_and_frames(model)
    made = animate_stream(model, source, list(to_uint8(frames)), scale=1.0)
    assert [len(part) for part in made] == [5, 2]


@pytest.mark.parametrize("gigabytes,side,expected", [(24, 256, 24), (24, 128, 64), (2, 512, 1)])
def test_a_card_takes_what_fits_into_its_memory(gigabytes, side, expected, monkeypatch):
    class Card:
        total_memory = gigabytes * 2**30

    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: Card)
    assert frames_at_once(torch.device("cuda"), (side, side)) == expected


def test_cards_are_not_timed(monkeypatch):
    monkeypatch.setattr("animlib.engines.runners.measured_batch", refuse)
    monkeypatch.setattr(Engine, "device", torch.device("mps"))
    engine = Engine(build("fomm", "toy").eval())
    prepared = engine.model.prepare(torch.rand(1, 3, 64, 64))
    assert engine.frames_at_once(prepared) == 64


def test_what_is_timed_is_named(monkeypatch):
    "Another precision, size, model, or number of sources is another measurement."
    names = []
    monkeypatch.setattr(
        "animlib.engines.runners.measured_batch", lambda make, *words: names.append(words) or 1
    )
    engines = [Engine(ready(build(name, "toy"), "cpu")) for name in ("fomm", "mraa")]
    engines.append(Engine(engines[0].model, "bf16"))
    for side in (32, 64):
        for engine in engines:
            engine.frames_at_once(engine.prepare(torch.rand(1, 3, side, side)))
    assert len(set(names)) == 6


# ---- the frames ----
class Packing(Choices):
    "Takes the rearranged kernel wherever it is a way."

    def choose(self, shape, ways):
        return "packed" if "packed" in ways else next(iter(ways))


@pytest.mark.parametrize("name", method_names())
def test_frames_do_not_depend_on_the_batch(name):
    torch.manual_seed(0)
    model = ready(build(name, "toy"), "cpu")
    source, frames = source_and_frames(model)
    engine = Engine(model)
    prepared = engine.prepare(source)

    def made(batch):
        parts = frames.split(batch)
        return torch.cat([engine.drive(prepared, engine.detect(part)) for part in parts])

    assert 1 <= engine.frames_at_once(prepared) <= 16
    for batch in (2, 5):
        torch.testing.assert_close(made(batch), made(1), atol=1e-5, rtol=0)


@pytest.mark.skipif(not can_pack(), reason="a PyTorch without oneDNN")
def test_frames_from_rearranged_kernels(monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setattr(choice, "user_choices", Packing)
    model = build("x2face", "toy", width=48).eval()
    source, frames = source_and_frames(model)
    quick = Engine(ready(model, "cpu"))
    plain = Engine(ready(model, "cpu", plain=True))
    for count in (1, 4):
        made, wanted = (
            engine.drive(engine.prepare(source), engine.detect(frames[:count]))
            for engine in (quick, plain)
        )
        torch.testing.assert_close(made, wanted, atol=1e-5, rtol=0)
    layers = [o for o in quick.model.modules() if isinstance(o, choice.ChoosingConv)]
    assert any("packed" in layer._kernels for layer in layers)
    again = Engine(ready(quick.model, "cpu"))  # a copy of a model that is ready
    made = again.drive(again.prepare(source), again.detect(frames))
    assert made.shape == frames.shape
