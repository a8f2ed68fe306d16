"""Explorers of keypoints and of masks, without a browser: every method, odd questions, the twin."""

import re

import pytest
import torch

from animlib.core import InputError
from animlib.data import toy
from animlib.explore.anchors import AnchorPage, anchors
from animlib.explore.codes import influence, track_of
from animlib.explore.masks import MaskPage, masks
from animlib.explore.page import Explorer
from animlib.explore.stage import open_stage
from animlib.explore.twin import Twin
from animlib.models.names import method_names
from animlib.models.registry import build
from animlib.retarget.transfer import MODES

WITHOUT_POINTS = ["x2face"]
EXPLORERS = {"anchors": anchors, "masks": masks}


def clips():
    "A figure, and another one that moves."
    return toy.clips("body", 2, 3, 32, 5).video


def tiny_stage(method="fomm", **options):
    "A stage of an untrained model of a method."
    torch.manual_seed(0)
    source, driving = clips()
    given = dict(scale=1, device="cpu") | options
    return open_stage(build(method, "toy"), source[0], driving, **given)


# ---- every method ----
@pytest.mark.parametrize("method", method_names())
def test_masks_of_every_method_open(method):
    page = masks(tiny_stage(method)).widget

    assert not page.note and {"source", "result", "flow"} <= set(page.images)


@pytest.mark.parametrize("method", [o for o in method_names() if o not in WITHOUT_POINTS])
def test_a_dragged_point_of_every_method_changes_the_result(method):
    page = AnchorPage(tiny_stage(method), shown=["driving", "flow", "occlusion", "candidate"])
    first = page.images["result"]
    shift = [[0.4, -0.3]] * len(page.shift)

    page.set_state({"shift": shift, "asked": 1})

    assert page.answered == 1 and not page.note
    if page.panels[-1] == "candidate":  # an untrained retrieval may find the same everywhere
        assert page.images["result"] != first
    assert {"result", "source", *page.panels} == set(page.images)


@pytest.mark.parametrize("method", WITHOUT_POINTS)
def test_a_method_without_points_is_refused_in_one_line(method):
    with pytest.raises(InputError, match="anchors: expected a model with keypoints") as error:
        anchors(tiny_stage(method))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "disentangled"])
def test_modes_give_other_tracks(mode):
    track = track_of(tiny_stage("hdam", mode=mode))

    at_rest = torch.allclose(track.xy[0], track.xy[1], atol=1e-5)
    assert at_rest == (mode == "relative")
    assert len(track.latent) == len(track.xy) == 4


# ---- what the page may send ----
@pytest.mark.parametrize(
    "state,told",
    [
        ({"frame": 99}, "expected 0 to 2"),
        ({"turn": [[[0.0, 0.0], [0.0, 0.0]]]}, "point 1: expected an ellipse"),
    ],
)
def test_a_wrong_question_is_told_and_the_next_one_answered(state, told):
    page = AnchorPage(tiny_stage())
    if "turn" in state:
        state = {"turn": state["turn"] * len(page.turn)}
    before = page.get_state(list(state))
    image = page.images["result"]

    page.set_state(state | {"asked": 1})
    assert told in page.note and "\n" not in page.note and page.images["result"] == image
    page.set_state(before | {"asked": 2})

    assert not page.note and page.answered == 2 and page.images["result"] == image


def test_only_files_that_exist_are_made():
    sent = []

    class Listening(AnchorPage):
        def send(self, content, buffers=None):
            sent.append((content["file"], bytes(buffers[0][:4])))

    page = Listening(tiny_stage())
    for kind in ("png", "gif", "exe", None):
        page.receive(page, {"save": kind}, [])

    assert sent == [("anchors.png", b"\x89PNG"), ("anchors.gif", b"GIF8")]


def test_a_question_costs_one_pass(monkeypatch):
    stage = tiny_stage()
    page = AnchorPage(stage, shown=[])
    passes = []
    drive = type(stage).drive
    monkeypatch.setattr(type(stage), "drive", lambda *given: passes.append(1) or drive(*given))

    page.set_state({"shift": [[0.1, 0.0]] * len(page.shift), "asked": 1})

    assert len(passes) == 1


def test_a_point_that_dense_motion_ignores_has_no_influence():
    stage = tiny_stage()
    mask = stage.model.dense.mask
    with torch.no_grad():
        mask.weight[2] = 0
        mask.bias[2] = -50  # the candidate of point 1

    table = influence(stage)

    assert table[1] < 0.5 * table.max() and table.max() == 1


# ---- without a kernel ----
@pytest.mark.parametrize("explorer", EXPLORERS.values(), ids=EXPLORERS)
def test_an_explorer_shows_an_image_and_a_widget(explorer):
    twin = explorer(tiny_stage())
    still, live = twin.outputs(live=True)

    assert isinstance(twin, Twin) and isinstance(twin.widget, (Explorer, AnchorPage, MaskPage))
    image = re.search(r'src="data:image/webp;base64,(.+?)"', still["text/html"])[1]
    assert len(image) > 5000
    assert set(live) == {"application/vnd.jupyter.widget-view+json", "text/plain"}
