"""A flow tells where a pixel of the driving frame reads in the source, for every kind of motion."""

import pytest
import torch
from torch.testing import assert_close

from animlib.core import Keypoints
from animlib.geometry import identity_grid, warp
from animlib.losses.equivariance import equivariance
from animlib.models.registry import build, get_method
from animlib.motion.affine import affine_grids
from animlib.motion.tps import tps_grids
from animlib.motion.translation import translation_grids
from animlib.splines import fit_tps

STAR = torch.tensor([[0.0, 0.0], [0.3, 0.1], [-0.2, 0.3], [-0.3, -0.3], [0.25, -0.3]])
STEP = torch.tensor([0.25, -0.125])  # from the driving frame to the source, in half-widths


def keypoints(xy):
    return Keypoints(xy[None], torch.eye(2).expand(1, len(xy), 2, 2))


@pytest.mark.parametrize("grids", (affine_grids, translation_grids, tps_grids))
def test_driving_pixels_read_at_the_source(grids):
    "T(P^D) = P^S: TPSMM's eq. 1 prints the frames the other way round."
    found = grids(kp_s=keypoints(STAR + STEP), kp_d=keypoints(STAR), size=(9, 9))
    wanted = (identity_grid(9, 9) + STEP).expand_as(found[0])
    assert_close(found[0], wanted, atol=1e-4, rtol=0)


def test_a_spline_maps_its_first_points_to_the_second():
    spline = fit_tps(xy_d=STAR, xy_s=STAR * 0.5 + STEP)
    assert_close(spline(STAR), STAR * 0.5 + STEP, atol=1e-5, rtol=0)
    assert torch.equal(spline.centres, STAR)  # eq. 2: the bumps are on the driving points


def test_an_image_follows_its_points():
    "A dot of the source under a point appears where that point is in the driving frame."
    source = torch.zeros(1, 1, 17, 17)
    source[0, 0, 7, 10] = 1.0  # at (0.25, -0.125), where the first point of the source is
    grids = tps_grids(kp_s=keypoints(STAR + STEP), kp_d=keypoints(STAR), size=(17, 17))
    driven = warp(source, grids[:, 0])[0, 0]
    assert driven.flatten().argmax().item() == 8 * 17 + 8  # the centre


WARPED = {  # method -> the frame that its equivariance warps; the released code agrees
    "fomm": "driving",
    "mraa": "driving",
    "tpsmm": "driving",  # eq. 10 prints the source
    "dam": "driving",  # eq. 11: "a given image"; the released code warps the source
    "motion_transformer": "driving",
}


@pytest.mark.parametrize("method", WARPED)
def test_the_frame_that_is_warped(method):
    torch.manual_seed(0)
    model = build(method, "toy")
    step = model(*torch.rand(2, 2, 3, 32, 32))
    term = get_method(method).losses(model.cfg)["equivariance"]
    values = {}
    for frame in ("driving", "source"):
        torch.manual_seed(1)
        values[frame] = equivariance(step, frame)["xy"]
    torch.manual_seed(1)
    assert_close(term.fn(step)["xy"], values[WARPED[method]])
    assert values["driving"] != values["source"]
