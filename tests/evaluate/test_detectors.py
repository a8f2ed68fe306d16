"""What detectors return and leave: with stand-ins, and with real networks where they are."""

import json
import math
import sys
import types

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist

from animlib.backbones.published import PUBLISHED, find_weights
from animlib.cli import main
from animlib.core import InputError
from animlib.evaluate.agreement import (
    agreement_means,
    embedding_sums,
    identity_distance,
    landmark_sums,
    point_distance,
)
from animlib.evaluate.choice import DETECTORS, open_detector, register_detector
from animlib.evaluate.instruments import Card, Embeddings, LandmarkDetector, Landmarks
from animlib.evaluate.metrics import frechet_distance
from animlib.evaluate.tflite import Region, merge_boxes


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


# ---- formulas ----
def test_distances_are_those_of_scipy():
    a, b = torch.rand(2, 7, 2, generator=seeded())
    rows = range(7)
    assert np.allclose(point_distance(a, b, "euclidean"), cdist(a, b)[rows, rows])
    assert np.allclose(point_distance(a, b), cdist(a, b, "cityblock")[rows, rows] / 2)
    assert np.allclose(identity_distance(a, b), cdist(a, b, "sqeuclidean")[rows, rows])
    assert np.allclose(identity_distance(a, b, "euclidean"), cdist(a, b)[rows, rows])


def test_frechet_distance_is_that_of_scipy():
    a, b = torch.randn(2, 60, 5, generator=seeded(), dtype=torch.double)
    b = 2 * b + 1
    first = np.cov(a.T)
    second = np.cov(b.T)
    gap = np.square(a.numpy().mean(0) - b.numpy().mean(0)).sum()
    expected = gap + np.trace(first + second - 2 * sqrtm(first @ second).real)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)


def test_a_model_that_loses_its_worst_frames_does_not_hide_it():
    "Losing the worst of ten frames lowers AKD, and raises MKR and the missed frames by a tenth."
    true = Landmarks(torch.zeros(10, 4, 2), torch.ones(10), torch.ones(10, 4, dtype=torch.bool))
    off = torch.ones(10, 4, 2)
    off[9] = 50.0
    kept = agreement_means(landmark_sums(Landmarks(off, true.presence, true.seen), true))
    seen = true.seen.clone()
    presence = true.presence.clone()
    seen[9] = False
    presence[9] = 0.0
    off[9] = math.nan
    lost = agreement_means(landmark_sums(Landmarks(off, presence, seen), true))
    assert lost["akd"] == 1 < kept["akd"] == pytest.approx(5.9)
    assert kept["mkr"] == kept["missed"] == 0
    assert lost["mkr"] == lost["missed"] == pytest.approx(0.1) and lost["frames_both"] == 9


def test_sums_of_clips_are_those_of_one_long_clip():
    xy = torch.rand(9, 3, 2, generator=seeded())
    seen = torch.rand(9, 3, generator=seeded(1)) < 0.6
    found = Landmarks(xy, seen.any(1).float(), seen)
    true = Landmarks(xy.flip(0), seen.flip(0).any(1).float(), seen.flip(0))

    def part(landmarks, frames):
        return Landmarks(landmarks.xy[frames], landmarks.presence[frames], landmarks.seen[frames])

    whole = landmark_sums(found, true)
    parts = [landmark_sums(part(found, f), part(true, f)) for f in (slice(4), slice(4, None))]
    for name, total in whole.items():
        assert sum(sums[name] for sums in parts) == pytest.approx(total), name


def test_no_embedding_in_common_is_no_number():
    nothing = Embeddings(torch.full((3, 2), math.nan), torch.zeros(3, dtype=torch.bool))
    true = Embeddings(torch.eye(2)[[0, 1, 0]], torch.ones(3, dtype=torch.bool))
    means = agreement_means(embedding_sums(nothing, true))
    assert "aed" not in means and means["missed"] == 1 and means["frames_true"] == 3


# ---- boxes and regions ----
def test_a_region_turns_points_and_pixels_alike():
    image = torch.zeros(3, 50, 70)
    image[:, 20, 45] = 1.0
    region = Region(np.array([40.0, 25.0]), 32.0, 0.7)
    crop = region.cut(image, 64)[..., 0]
    row, column = np.unravel_index(crop.argmax(), crop.shape)
    assert np.abs(region.place([column / 64, row / 64]) - [45, 20]).max() < 0.5


def test_merging_keeps_a_lonely_box():
    boxes = np.array([[[0, 0], [2, 2]], [[9, 9], [9, 9]]], float)  # the second has no area
    assert merge_boxes(boxes, np.array([0.5, 0.9])).tolist() == [[9, 9], [9, 9]]


# ---- the command ----
class Corner(LandmarkDetector):
    card = Card("corner", "none", "0", "nowhere", 0, "none")
    n_points = 1

    def find(self, image):
        row, column = divmod(int(image.mean(0).argmin()), image.shape[2])
        return np.array([[column, row]]), 1.0, np.array([True])


@pytest.fixture
def corner():
    register_detector("corner", Corner)
    yield
    DETECTORS.pop("corner")


def test_the_command_leaves_a_summary_and_rows(corner, tiny_model_file, tmp_path, capsys):
    out = tmp_path / "out"
    words = ["evaluate", "--model", tiny_model_file, "--data", "toy:body", "--out", out]
    words += ["--detector", "corner", "--limit", "2", "--frames", "3", "--device", "cpu"]
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    summary = json.loads((out / "summary.json").read_text())
    assert lines[-1] == str(out / "summary.json")
    assert any(line.startswith("corner_akd: ") for line in lines)
    assert summary["measured"]["detectors"][0]["name"] == "corner"
    assert summary["metrics"]["corner_frames"] == 6 and "warp_ratio" in summary["metrics"]
    assert len(list(out.glob("clips.*"))) == 1
    assert main([*words, "--akd", "euclidean"]) == 2
    assert "differs in akd" in capsys.readouterr().err


def test_an_unknown_detector_leaves_nothing(tmp_path, capsys):
    words = ["evaluate", "--model", "fomm-body", "--data", "toy:body", "--detector", "nose"]
    assert main([*words, "--out", tmp_path / "out"]) == 2
    assert "no such detector; expected one of face, body" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


# ---- what is missing is told ----
@pytest.mark.parametrize("name", DETECTORS)
def test_what_is_missing_is_told(name, tmp_path, monkeypatch):
    "Without packages and weights every detector says in one line what to do."
    monkeypatch.setenv("ANIMLIB_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    modules = "ai_edge_litert dlib face_alignment rtmlib torchreid torch_fidelity lpips".split()
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError) as error:
        open_detector(name)
    text = str(error.value)
    assert "\n" not in text and (
        "pip install" in text or "animlib data get" in text or "fetch" in text
    )


# ---- the real networks, where they are ----
def have(*names):
    "Whether weights and the package that runs them are on this machine."
    try:
        for name in names:
            find_weights(PUBLISHED[name])
        import ai_edge_litert
    except (InputError, ImportError):
        return False
    return isinstance(ai_edge_litert, types.ModuleType)


@pytest.mark.skipif(not have("face-boxes", "face-landmarks"), reason="no weights here")
def test_a_portrait_that_is_moved_moves_its_landmarks():
    matplotlib = pytest.importorskip("matplotlib")
    from matplotlib import cbook
    from PIL import Image

    assert matplotlib
    photo = Image.open(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)).convert("RGB")
    pixels = torch.as_tensor(np.array(photo)).movedim(-1, 0).float() / 255
    moved = torch.roll(pixels, (8, 16), (1, 2))
    landmarks = open_detector("face")(torch.stack([pixels, moved, torch.zeros_like(pixels)]))
    assert landmarks.found.tolist() == [True, True, False]
    gap = landmarks.xy[1] - landmarks.xy[0] - torch.tensor([16.0, 8.0])
    assert gap.norm(dim=-1).mean() < 1.5
