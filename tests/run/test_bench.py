"""The bench report on a graphics card, for which stand-ins are used here, and its command."""

import json
from functools import partial

import pytest
import torch

from animlib.cli import main
from animlib.core import InputError
from animlib.engines import choice
from animlib.engines.replayed import ReplayedEngine
from animlib.run import against, bench, speed
from animlib.shipped import share

QUICK = dict(preset="toy", size=32, frames=3, rounds=1, device="cpu", progress=False)
TRAINING = dict(training="toy", training_size=32, batch=2)
WAYS_OF_A_CARD = ("plain", "eager", "prepared")
BESIDE = "bench --against a --config b.yaml --checkpoint c.pth".split()


# ---- a card ----
@pytest.fixture
def card(monkeypatch):
    "The engine of a card, with a recorder that works here; gives the list of its replays."
    replays = []

    def same_memory(step):
        made = step()

        def replay():
            replays.append(len(made))
            with torch.inference_mode():  # in which `made` was made
                return made.copy_(step())

        return replay

    def open_engine(engine, model, given, source, precision="no"):
        return ReplayedEngine(model, precision, same_memory)

    for module in (bench, speed):
        monkeypatch.setattr(module, "open_engine", open_engine)
    return replays


@pytest.fixture
def named_card(monkeypatch):
    "`device='cuda'` is taken for the name of a device that is here."
    for module in (bench, speed, choice):
        monkeypatch.setattr(module, "pick_device", torch.device)


def test_frames_on_a_card_are_replayed_beside_eager_ones(card, capsys):
    found = bench.bench(**QUICK, **TRAINING)

    assert [*found["frames"]] == [
        f"{way}, {precision}" for precision in ("fp32", "bf16") for way in WAYS_OF_A_CARD
    ]
    assert set(card) == {3} and len(card) >= 2 * 2  # whole batches, in both precisions
    assert found["frames_in_round"] == 3
    assert "not replayed" not in capsys.readouterr().err


def test_the_shares_of_operators_are_those_without_a_recording(monkeypatch):
    measured = []
    monkeypatch.setattr(bench, "operator_shares", lambda way: measured.append(way) or {"x": 1.0})
    made = {f"{way}, fp32": partial(int, i) for i, way in enumerate(WAYS_OF_A_CARD)}
    eager, prepared = made["eager, fp32"], made["prepared, fp32"]
    monkeypatch.setattr(bench, "_frame_ways", lambda *given: made)
    bench.bench(**QUICK, **TRAINING)
    assert measured[0] is eager

    del made["eager, fp32"]
    bench.bench(**QUICK, **TRAINING)
    assert measured[2] is prepared


def test_methods_on_a_card_are_replayed_beside_eager_ones(card, monkeypatch):
    monkeypatch.setattr(speed, "computes_in_bf16", lambda device: True)
    found = speed.speeds(("tpsmm",), engines=("torch",), training="", **QUICK)

    ways = [(way["engine"], way["precision"]) for way in found["frames"]["tpsmm"]]
    assert ways == [
        (speed.BEFORE, "no"),
        (speed.EAGER, "no"),
        ("torch", "no"),
        (speed.EAGER, "bf16"),
        ("torch", "bf16"),
    ]
    assert card and "| tpsmm | eager, bf16 |" in speed.speed_table(found)


def test_a_card_is_filled_by_the_models_of_the_papers(named_card):
    card, processor = map(torch.device, ("cuda", "cpu"))
    assert bench.report_model("cuda") == dict(preset="paper", size=256)
    assert bench.report_model("cuda", "small", 128) == dict(preset="small", size=128)
    assert bench.report_model("cpu") == dict(preset="toy", size=32)
    assert (bench.frames_in_round(card), bench.frames_in_round(processor)) == (64, 4)


def test_the_limit_of_a_card_is_found_by_more_work(monkeypatch):
    small, large = (speed._AMOUNTS[kind] for kind in ("cpu", "cuda"))
    assert all(2 * few < many for few, many in zip(small, large))

    monkeypatch.setitem(speed._AMOUNTS, "cpu", (1, 64))
    ways = speed._limit_ways(torch.device("cpu"), "no")
    assert ways["matrix product"][1] == 2 * 64**3
    assert ways["convolution"][1] == 2 * 64**2 * 9 * 256**2


def test_an_engine_of_the_processor_is_refused_on_a_card(named_card):
    with pytest.raises(InputError, match="engine compile: expected device cpu"):
        speed.speeds(("fomm",), engines=("compile",), **QUICK | dict(device="cuda"))


# ---- what is kept ----
def test_numbers_keep_what_was_run(monkeypatch):
    monkeypatch.setattr(speed, "_precisions", lambda device: ["no"])
    found = speed.speeds(("fomm",), engines=("torch",), training="", **QUICK)

    assert found["frames_in_round"] == 3
    for way in json.loads(json.dumps(found))["frames"]["fomm"]:
        assert 0 <= way["mean_difference"] <= way["difference"]
    heading = speed.speed_table(found).splitlines()
    assert "3 frames in a round" in heading[0]
    assert heading[2].endswith("| largest difference | mean difference |")


def test_numbers_of_before_are_still_read():
    stored = json.loads(share("assets", "speed.json").read_text())
    table = speed.speed_table(stored).splitlines()

    assert "frames_in_round" not in stored and "in a round" not in table[0]
    rows = [line for line in table if line.count("|") > 4]
    assert {line.count("|") for line in rows} == {7}
    assert rows[0].endswith("| largest difference |")


# ---- what is refused ----
def test_an_unknown_engine_is_refused_before_anything_is_measured(monkeypatch, capsys):
    monkeypatch.setattr(speed, "machine_limit", None)
    names = "torch, compile, onnxruntime, openvino or auto"
    with pytest.raises(InputError, match=f"engines: expected a list, each {names}"):
        speed.speeds(("fomm",), engines=("torch", "foo"), **QUICK)
    with pytest.raises(InputError, match=f"engine: expected {names}, found 'foo'"):
        choice.open_engine("foo", None, None, None)

    assert main(["bench", "--engine", "torch", "foo"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "--engine" in error and "'foo'" in error
    assert all(name in error for name in ("torch", "compile", "onnxruntime", "openvino", "auto"))


@pytest.mark.parametrize(
    "words",
    ["--method fomm", "--preset paper", "--engine torch", "--training none", "--device cpu"],
)
def test_what_means_nothing_beside_another_program_is_refused(words, monkeypatch, capsys):
    monkeypatch.setattr(against, "against", None)

    assert main([*BESIDE, *words.split()]) == 2

    error = capsys.readouterr().err
    assert error.count("\n") == 1 and f"found {words.split()[0]} as well" in error


# ---- beside another program ----
def test_frames_and_numbers_of_two_programs(monkeypatch, tmp_path):
    calls = []

    def compare(*files, **options):
        calls.append(options)
        return dict(theirs=2.0, ours=1.0)

    monkeypatch.setattr(against, "against", compare)
    file = tmp_path / "o.json"

    assert main([*BESIDE, "--frames", "7", "--rounds", "2", "--out", str(file)]) == 0
    assert main(BESIDE) == 0

    assert [options["frames"] for options in calls] == [7, 20]
    assert json.loads(file.read_text()) == dict(
        size=256, frames=7, rounds=2, seconds=dict(theirs=2.0, ours=1.0)
    )
