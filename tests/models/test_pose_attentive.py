"Pose-Attentive: memory at the paper's size, sprites, folders, and the options it refuses."

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from animlib import build
from animlib.core import InputError
from animlib.data.folder import open_folder
from animlib.data.identities import identity_groups
from animlib.data.pairs import identity_of
from animlib.data.sources import open_source
from animlib.data.sprites import KINDS, SHEET, sprite_clips
from animlib.evaluate.cross import source_metrics, transfer_metrics
from animlib.zoo.hub import load

REPOSITORY = Path(__file__).parents[2]
EIGHT_SOURCES = """
import resource
import torch
from animlib import build
torch.set_num_threads(2)
model = build("pose_attentive", "paper", **{"loss.reconstruction": "pyramid"}).eval()
with torch.inference_mode():
    prepared = model.prepare(torch.rand(1, 8, 3, 256, 256))
    keypoints = model.detector(torch.rand(2, 3, 256, 256))
    frames = model(prepared, keypoints).frame
assert prepared.small.shape == (1, 8, 128, 32, 32)
assert frames.shape == (2, 3, 256, 256)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


def test_eight_sources_of_256_px_fit_in_4_GB():
    command = [sys.executable, "-c", EIGHT_SOURCES]
    result = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)
    assert result.returncode == 0, result.stderr[-2000:]
    assert float(result.stdout) < 4, result.stdout


def write_layer(folder: Path, layer: int, shade: int, name: str):
    "One sprite sheet: stripes of a colour of its own."
    sheet = np.zeros((*SHEET, 4), np.uint8)
    sheet[8 * layer :, 8 * layer :: 2, :] = (40 * shade, 30 * layer, 99, 255)
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(folder / name)


@pytest.fixture(scope="module")
def sprites(tmp_path_factory):
    "A folder of plain layers: six of each kind."
    root = tmp_path_factory.mktemp("lpc")
    for layer, kind in enumerate(KINDS):
        for sex in ("male", "female"):
            for i in range(6):
                write_layer(root / kind / sex, layer, i, f"{i}_{sex}.png")
    return root


def test_sprites_in_a_batch_are_different_characters(sprites):
    clips = sprite_clips(sprites, "train", 3, 32)
    assert len({identity_of(name) for name in clips.names}) == 3
    assert len(clips) == 63
    sources, driving = identity_groups(clips, 6, 2, torch.Generator().manual_seed(0))
    assert sources.shape == (6, 2, 3, 32, 32)
    assert driving.shape == (6, 3, 32, 32)


def test_sprites_have_a_true_answer_and_a_model_trains_on_them(sprites, tmp_path):
    from animlib.cli import main

    run = tmp_path / "run"
    command = ["train", "pose_attentive", "--data", f"lpc:{sprites}", "--preset", "toy"]
    command += ["--steps", "2", "--clips", "63", "--device", "cpu", "--run-dir", str(run)]
    assert main([*command, "-o", "batch=3", "-o", "preview_every=0"]) == 0
    pairs = open_source(f"lpc:{sprites}", 32).transfers(2)
    metrics = transfer_metrics(load(run), pairs, "absolute")
    assert metrics["l1"] > 0 and metrics["l1_copy"] > 0 and metrics["l1_driving"] > 0


def write_strip(path: Path, strip: np.ndarray):
    "A video of five frames side by side."
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(strip).save(path)


def test_a_folder_of_one_clip_has_no_other_identity(tmp_path):
    strip = np.random.default_rng(0).integers(0, 255, (32, 32 * 5, 3), dtype=np.uint8)
    for split in ("train", "test"):
        write_strip(tmp_path / split / f"{split}.png", strip)
    clips = open_folder(tmp_path, "train", cache=tmp_path / "c")
    with pytest.raises(InputError, match="2 frames|identities"):
        identity_groups(clips, 4, 2)


def test_a_folder_of_two_clips_has_two_identities(tmp_path):
    strip = np.random.default_rng(0).integers(0, 255, (32, 32 * 5, 3), dtype=np.uint8)
    write_strip(tmp_path / "train" / "train.png", strip)
    write_strip(tmp_path / "test" / "test.png", strip)
    assert len(open_folder(tmp_path, "train", cache=tmp_path / "c")) == 1
    write_strip(tmp_path / "train" / "other.png", strip[::-1])
    clips = open_folder(tmp_path, "train", cache=tmp_path / "c")  # decoded anew
    sources, driving = identity_groups(clips, 4, 3)
    assert sources.shape == (4, 3, 3, 32, 32)
    assert driving.shape == (4, 3, 32, 32)


def test_an_unknown_retrieval_is_refused():
    with pytest.raises(InputError, match="retrieval.kind"):
        build("pose_attentive", "toy", **{"retrieval.kind": "nearby"})


def test_a_detached_result_is_not_discriminated():
    options = {"discriminate_pseudo": True, "detach": True}
    with pytest.raises(InputError, match="discriminate_pseudo"):
        build("pose_attentive", "toy", loss=options)


def test_the_shipped_model_beats_the_trivial_answers():
    model = load("pose_attentive-body")
    in_header = model.info["metrics"]
    assert in_header["l1_ratio"] <= 0.6 and in_header["absolute_l1_ratio"] < 1
    pairs = open_source("toy:body", 64).transfers(6)
    metrics = transfer_metrics(model, pairs, "absolute")
    assert metrics["l1"] < min(metrics["l1_copy"], metrics["l1_driving"])


def test_more_sources_help():
    clips = open_source("toy:body", 64, progress=False).clips("val", 6, 24)
    shares = source_metrics(load("pose_attentive-body"), clips, (1, 4))
    assert shares["sources_4"] < shares["sources_1"] < 1
