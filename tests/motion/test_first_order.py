"""FOMM's parts on cases that tell a wrong version: the order of factors, axes and candidates."""

import pytest
import torch
from torch.testing import assert_close

from animlib.core import Flow, Keypoints
from animlib.detectors.jacobian import read_jacobian
from animlib.generators.occlusion import visible_mask
from animlib.geometry import identity_grid, inverse_2x2
from animlib.losses.equivariance import jacobian_error
from animlib.models.fomm import FommCfg, discriminator
from animlib.motion.affine import affine_grids
from animlib.options import set_options
from animlib.splines import random_spline

TURN = torch.tensor([[0.0, -1.0], [1.0, 0.0]])  # a right angle
STRETCH = torch.tensor([[2.0, 0.0], [0.0, 1.0]])  # along x


def centred(jac):
    return Keypoints(torch.zeros(1, 1, 2), jac.expand(1, 1, 2, 2))


def test_the_source_factor_stands_on_the_left():
    "J_s J_d^-1: the point (1, 0) is turned back, then stretched; J_d^-1 J_s stretches first."
    grid = affine_grids(centred(STRETCH), centred(TURN), (3, 3))[0, 0]
    assert_close(grid[1, 2], torch.tensor([0.0, -1.0]))  # of (1, 0)
    assert_close(grid[2, 1], torch.tensor([2.0, 0.0]))  # of (0, 1)


def test_a_grid_holds_x_before_y():
    kp_s = Keypoints(torch.tensor([[[0.5, 0.0]]]), torch.eye(2).expand(1, 1, 2, 2))
    grid = affine_grids(kp_s, centred(torch.eye(2)), (3, 5))[0, 0]
    assert_close(grid, identity_grid(3, 5) + torch.tensor([0.5, 0.0]))


def test_a_singular_jacobian_gives_no_finite_warp():
    flat = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    assert not affine_grids(centred(torch.eye(2)), centred(flat), (4, 4)).isfinite().all()


def test_each_keypoint_reads_its_own_field():
    heat = torch.full((1, 2, 2, 2), 0.25)
    maps = torch.cat([TURN.flatten(), STRETCH.flatten()])[None, :, None, None].expand(1, 8, 2, 2)
    assert_close(read_jacobian(heat, maps)[0], torch.stack([TURN, STRETCH]))


@pytest.mark.parametrize("with_map", [True, False])
def test_the_jacobian_error_needs_the_map(with_map):
    transform = random_spline(2, affine=0.2, bend=0.02)
    xy = torch.rand(2, 5, 2) - 0.5
    jac = torch.eye(2).expand(2, 5, 2, 2)
    true = Keypoints(transform(xy), transform.jacobian(xy) @ jac)
    if with_map:
        assert jacobian_error(true, Keypoints(xy, jac), transform) < 1e-4
    else:
        assert (torch.eye(2) - inverse_2x2(true.jac) @ jac).abs().mean() > 0.02


def test_masks_are_coarse_to_fine():
    masks = tuple(torch.full((1, 1, n, n), float(n)) for n in (4, 8, 32))
    for size, found in ((2, 4), (4, 4), (6, 8), (16, 32), (64, 32)):
        assert visible_mask(Flow(None, visible=masks), (size, size)).mean() == found
    turned = Flow(None, visible=masks[::-1])
    assert visible_mask(turned, (4, 4)).mean() == 32


def test_a_discriminator_is_made_where_a_weight_asks_for_one():
    assert discriminator(FommCfg()) is None
    for name in ("adversarial", "matching"):
        with torch.device("meta"):
            assert discriminator(set_options(FommCfg(), {f"loss.{name}": 1.0})) is not None
