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
from animlib.inference import BatchChoice, batch_counts, frames_at_once, ready
from animlib.models.names import method_names
from animlib.models.registry import build
from animlib.viz.images import to_uint8

CPU = torch.device("cpu")


class Work:
    "Takes so many seconds for each frame, on a clock of its own."

    def __init__(self, seconds: dict[int, float], monkeypatch):
        self.seconds = seconds
        self.now = 0.0
        self.calls: list[int] = []
        monkeypatch.setattr(inference.time, "perf_counter", lambda: self.now)

    def __call__(self, count: int):
        self.calls.append(count)
        self.now += count * self.seconds[count]


@pytest.fixture
def file(tmp_path, monkeypatch):
    "The file of choices; each use of it is a program of its own."
    path = tmp_path / "cache" / "ways.json"
    monkeypatch.setattr(inference, "user_choices", lambda: Choices(path))
    return path


def choice_of(counts, name: str = "a model") -> BatchChoice:
    "Of these numbers of frames."
    return BatchChoice([*counts], name)


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
def test_no_slower_number_is_chosen(seconds, expected, file, monkeypatch):
    assert choice_of(seconds).settle(Work(seconds, monkeypatch)) == expected


def test_one_slow_run_decides_nothing(file, monkeypatch):
    work = Work({2: 1.0, 4: 1.0, 8: 1.0}, monkeypatch)
    slow_calls = (1, 2, 3, 10, 24)  # those that only warm up, then two of the three of 8

    def disturbed(count):
        work(count)
        if len(work.calls) in slow_calls:
            work.now += 5.0

    assert choice_of(work.seconds).settle(disturbed) == 8


def test_timing_takes_a_few_frames(file, monkeypatch):
    "One batch of each kind to warm up, then three turns."
    for side, frames in ((128, 20 + 3 * 32), (256, 5 + 3 * 8)):
        work = Work({1: 1.0, 4: 1.0, 16: 1.0}, monkeypatch)
        BatchChoice(batch_counts((side, side)), "a model").settle(work)
        assert sum(work.calls) == frames


def test_a_remembered_number_is_not_measured_again(file, monkeypatch):
    work = Work({4: 1.0, 16: 2.0}, monkeypatch)
    assert choice_of(work.seconds).settle(work) == 4
    count = len(work.calls)
    assert choice_of(work.seconds).settle(work) == 4 and len(work.calls) == count
    assert choice_of(work.seconds, "another").settle(work) == 4 and len(work.calls) > count


def test_a_number_that_is_no_candidate_is_measured_anew(file, monkeypatch):
    work = Work({4: 1.0, 16: 2.0}, monkeypatch)
    choice_of(work.seconds).settle(work)
    file.write_text(file.read_text().replace('"4"', '"4000"'))
    assert choice_of(work.seconds).settle(work) == 4


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("a file in the place of the folder")
    choices = Choices(tmp_path / "cache" / "ways.json")
    monkeypatch.setattr(inference, "user_choices", lambda: choices)
    work = Work({4: 1.0, 16: 2.0}, monkeypatch)
    assert choice_of(work.seconds).settle(work) == 4
    count = len(work.calls)
    assert choice_of(work.seconds).settle(work) == 4 and len(work.calls) == count


@pytest.mark.parametrize(
    "side,counts", [(1024, [1]), (512, [1]), (256, [1, 4]), (128, [4, 16]), (64, [16, 64])]
)
def test_the_memory_of_a_batch_is_bounded(side, counts):
    assert batch_counts((side, side)) == counts


# ---- on the frames of a video ----
def animated(n_frames, **options):
    "The batches in which a video is animated."
    model = ready(build("fomm", "toy"), "cpu")
    source, frames = source_and_frames(model)
    driving = [*to_uint8(frames)] * (n_frames // len(frames) + 1)
    made = animate_stream(model, source, driving[:n_frames], scale=1.0, **options)
    return [len(part) for part in made]


def test_the_frames_of_a_video_are_timed(file, monkeypatch):
    monkeypatch.setattr("animlib.engines.runners.batch_counts", lambda size: [2, 4])
    sizes = animated(40)
    assert sizes[:11] == [2, 4] + 3 * [2, 2, 4] and sum(sizes) == 40
    assert len(set(sizes[11:-1])) == 1  # decided
    assert set(animated(40)[:-1]) == {sizes[11]}  # remembered


def test_a_short_video_leaves_no_answer(file, monkeypatch):
    monkeypatch.setattr("animlib.engines.runners.batch_counts", lambda size: [2, 4])
    assert animated(7) == [2, 4, 1] == animated(7)
    assert "frames at a time" not in (file.read_text() if file.exists() else "")


def test_the_best_frame_is_looked_for_in_batches_of_one_size(file, monkeypatch):
    monkeypatch.setattr("animlib.engines.runners.batch_counts", lambda size: [2, 4])
    assert animated(7, best_frame=True) == [2, 2, 2, 1]


# ---- who decides ----
def refuse(*given):
    raise AssertionError("timed")


def test_a_given_batch_is_obeyed(monkeypatch):
    monkeypatch.setattr(Engine, "batch_choice", refuse)
    assert animated(7, batch=3) == [3, 3, 1]


def test_without_one_the_fastest_is_taken(monkeypatch):
    monkeypatch.setattr(Engine, "batch_choice", lambda *given: BatchChoice([5]))
    assert animated(7) == [5, 2]


@pytest.mark.parametrize("gigabytes,side,expected", [(24, 256, 24), (24, 128, 64), (2, 512, 1)])
def test_a_card_takes_what_fits_into_its_memory(gigabytes, side, expected, monkeypatch):
    class Card:
        total_memory = gigabytes * 2**30

    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: Card)
    assert frames_at_once(torch.device("cuda"), (side, side)) == expected


def test_cards_are_not_timed(monkeypatch):
    monkeypatch.setattr("animlib.engines.runners.batch_counts", refuse)
    monkeypatch.setattr(Engine, "device", torch.device("mps"))
    engine = Engine(build("fomm", "toy").eval())
    prepared = engine.model.prepare(torch.rand(1, 3, 64, 64))
    assert engine.frames_at_once(prepared) == 64


def test_what_is_timed_is_named(monkeypatch):
    "Another precision, size, model, or number of sources is another measurement."
    names = set()
    engines = [Engine(ready(build(name, "toy"), "cpu")) for name in ("fomm", "mraa")]
    engines.append(Engine(engines[0].model, "bf16"))
    for side in (32, 64):
        for engine in engines:
            names.add(engine.batch_choice(engine.prepare(torch.rand(1, 3, side, side))).name)
    assert len(names) == 6


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

    assert 1 <= engine.frames_at_once(prepared) <= 64
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
