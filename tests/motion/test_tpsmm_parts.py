"""The parts of TPSMM: properties that wrong versions of them, easily written, do not have."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from animlib.animator import Animator, Part, Step
from animlib.backbones.resnet import BasicBlock, ResNet18
from animlib.core import Flow, GridWarp, InputError, Keypoints
from animlib.dense.contributions import (
    ContributionCfg,
    ContributionMotion,
    DropoutCfg,
    drop_candidates,
    drop_rate,
    group_evidence,
)
from animlib.detectors.groups import GroupDetector, GroupDetectorCfg
from animlib.generators.inpainting import InpaintingCfg, InpaintingGenerator
from animlib.generators.occlusion import GeneratorCfg, OcclusionGenerator
from animlib.geometry import OURS, from_pixels, identity_grid, warp, warp_each
from animlib.losses.consistency import dominant_motion, round_trip_error, warp_consistency
from animlib.losses.equivariance import equivariance
from animlib.models.tpsmm import TpsmmCfg, build, losses
from animlib.motion.tps import flat_groups, in_groups, tps_grids
from animlib.options import set_options


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


# ---- backbone ----
def test_a_block_adds_before_the_relu():
    block = BasicBlock(4, 4).eval()
    nn.init.zeros_(block.f[4].weight)
    x = torch.randn(2, 4, 8, 8)
    assert_close(block(x), x.relu())  # after it, negative values would pass


def test_the_stem_quarters_the_size():
    assert ResNet18(width=8).stem(torch.rand(1, 3, 64, 96)).shape[-2:] == (16, 24)


# ---- detector ----
def test_points_are_x_before_y_in_the_whole_frame():
    detector = GroupDetector(2, 3, GroupDetectorCfg(width=4)).eval()
    nn.init.zeros_(detector.head.weight)
    wanted = torch.rand(6, 2) * 1.8 - 0.9
    detector.head.bias.data = (2 * wanted.atanh()).flatten()
    assert_close(detector(torch.rand(1, 3, 64, 64)).xy[0], wanted, atol=1e-4, rtol=0)


# ---- motion ----
def test_a_group_with_a_number_missing_is_flat():
    points = torch.rand(1, 5, 2)
    assert not flat_groups(points, 5).any()
    points[0, 2, 0] = torch.nan
    assert flat_groups(points, 5).all()


def test_every_grid_is_of_its_own_group_and_frame():
    first = [[8, 9], [20, 7], [14, 16], [9, 24], [23, 22]]
    second = [[3, 4], [12, 3], [8, 9], [4, 14], [13, 12]]
    centres = torch.tensor([first, second])
    xy_d = from_pixels(centres.float(), (33, 33)).flatten(0, 1).expand(3, -1, -1)
    xy_s = xy_d + 0.2 * torch.randn(3, 10, 2)
    grids = tps_grids(Keypoints(xy_s), Keypoints(xy_d), (33, 33))
    for k in (0, 1):
        column, row = centres[k].unbind(-1)
        assert_close(grids[:, k, row, column], in_groups(xy_s, 5)[:, k], atol=1e-4, rtol=0)


# ---- dropout ----
LOGITS = torch.randn(1, 4, 5, 6, generator=torch.Generator().manual_seed(0))
KEEP = torch.tensor([[True, False, True]])


def check_dropout(f):
    "Dropped everywhere, sums to 1, and the kept ones weigh 1/(1-p) against the background."
    weights = f(LOGITS, KEEP, 0.3)
    assert_close(weights.sum(1), torch.ones(1, 5, 6))
    assert (weights[:, 2] == 0).all() and (weights[:, [0, 1, 3]] > 0).all()
    odds = (LOGITS[:, 1] - LOGITS[:, 0]).exp() / 0.7
    assert_close(weights[:, 1] / weights[:, 0], odds)


def after_softmax(logits, keep, p):
    shares = logits.softmax(1)
    return torch.cat([shares[:, :1], shares[:, 1:] * keep[..., None, None] / (1 - p)], 1)


def scaled_logits(logits, keep, p):  # before the exponential
    return drop_candidates(logits / (1 - p), keep, p, rescale=False)


def of_pixels(logits, keep, p):
    return nn.functional.dropout(logits.exp(), p) / logits.exp().sum(1, keepdim=True)


def test_whole_candidates_are_dropped():
    check_dropout(drop_candidates)
    for wrong in (after_softmax, scaled_logits, of_pixels):
        with pytest.raises(AssertionError):
            check_dropout(wrong)


def test_dropout_ends():
    assert drop_rate(0.2, DropoutCfg()) == 0.3 and drop_rate(0.35, DropoutCfg()) == 0
    assert drop_rate(0.9, DropoutCfg(until=1.0)) == 0.3


# ---- dense motion ----
def test_the_evidence_is_a_zero_map_then_gaussians_then_images():
    source = torch.rand(1, 3, 17, 17)
    kp_s, kp_d = (Keypoints(torch.rand(1, 4, 2) - 0.5) for _ in range(2))
    grids = identity_grid(17, 17).expand(1, 3, -1, -1, -1) + 0.1 * torch.randn(1, 3, 1, 1, 2)
    evidence = group_evidence(source, kp_s, kp_d, grids)
    assert (evidence[:, 0] == 0).all() and (evidence[:, 1:5].abs().amax((2, 3)) > 0.1).all()
    assert_close(evidence[:, 5:], warp_each(source, grids).flatten(1, 2))


def test_masks_come_coarse_to_fine_and_nothing_is_dropped_in_use():
    cfg = ContributionCfg(width=8, depth=3, max_width=16, scale=0.5, kernel=3)
    dense = ContributionMotion(3, 2, cfg, n_masks=3).eval()
    dense.set_progress(0.2)
    kp = Keypoints(torch.rand(8, 6, 2) - 0.5)
    grids = identity_grid(8, 8).expand(8, 4, -1, -1, -1)
    flow = dense(dense.shrink(torch.rand(8, 3, 16, 16)), kp, kp, grids)
    assert [mask.shape[-1] for mask in flow.visible] == [4, 8, 16]
    assert (flow.weights > 0).all()
    dense.train()
    assert (dense(dense.shrink(torch.rand(8, 3, 16, 16)), kp, kp, grids).weights == 0).any()


# ---- generator ----
def masked(grid, *trust):
    "A flow with constant masks, coarse to fine."
    sides = (4, 8, 16, 32)
    masks = (torch.full((len(grid), 1, n, n), float(v)) for n, v in zip(sides, trust))
    return Flow(GridWarp(grid), visible=tuple(masks))


def test_one_means_visible_and_visible_is_copied():
    generator = InpaintingGenerator(InpaintingCfg(width=4, max_width=12, downs=3, kernel=3))
    x = torch.rand(2, 3, 32, 32)
    features = generator.encode(x)
    at_rest = identity_grid(32, 32).expand(2, -1, -1, -1)
    assert_close(generator(features, masked(at_rest, 0, 0, 0, 1)), x, atol=1e-5, rtol=0)
    first, second = generator(features, masked(at_rest, 0, 0, 0, 0))
    assert_close(first, second, atol=1e-5, rtol=0)


def test_every_mask_counts():
    generator = InpaintingGenerator(InpaintingCfg(width=4, max_width=12, downs=3, kernel=3))
    features = generator.encode(torch.rand(2, 3, 32, 32))
    at_rest = identity_grid(32, 32).expand(2, -1, -1, -1)
    base = generator(features, masked(at_rest, 0.5, 0.5, 0.5, 0.5))
    for i in range(4):
        trust = [0.5] * 4
        trust[i] = 0.1
        assert (generator(features, masked(at_rest, *trust)) - base).abs().max() > 1e-4


# ---- losses ----
def matrix(zoom=1.0, x=0.0):
    return torch.tensor([[[zoom, 0, x], [0, zoom, 0], [0, 0, 1]]])


def test_the_round_trip_is_back_after_there():
    assert_close(round_trip_error(matrix(2.0), matrix(x=1.0)), torch.tensor(3 / 9))
    assert_close(round_trip_error(matrix(x=1.0), matrix(2.0)), torch.tensor(4 / 9))
    # the mean of absolute values, not of squares
    assert_close(round_trip_error(matrix(x=0.3), matrix(x=0.3)), torch.tensor(0.6 / 9))


class AnyCamera(nn.Module):
    "A background that is any matrix."

    def grid(self, camera, size):
        points = torch.cat([identity_grid(*size), torch.ones(*size, 1)], -1)
        return (points @ camera[0].mT)[None, ..., :2]


def step_of(source, driving, *, camera=None, flow=None, background=None, generator=None):
    parts = dict(detector=None, motion=None, dense=None)
    model = Animator(**parts, generator=generator, background=background)
    return Step(source, driving, None, None, flow, None, model, camera)


def panned(px):
    "A step with a camera that claims `px`, of a wall that moved by 2 px and a box by 6."
    noise = torch.rand(1, 3, 16, 18, generator=torch.Generator().manual_seed(0))
    grain = nn.functional.interpolate(noise, (32, 36), mode="bilinear") * 0.16 + 0.3
    frames = [grain[..., 4 - wall : 36 - wall].clone() for wall in (0, 2)]
    for frame, box in zip(frames, (0, 6)):
        frame[..., 11:21, 8 + box : 18 + box] = 0.95
    return step_of(*frames, camera=matrix(x=-2 * px / 31), background=AnyCamera())


def left_over(step):
    grid = step.model.background.grid(step.camera, step.source.shape[-2:])
    return warp(step.source, grid) - step.driving, (grid.abs() <= 1).all(-1)


def squared_error(step):
    error, inside = left_over(step)
    return error.square().mean(1)[inside].mean()


def test_the_dominant_motion_is_the_walls():
    def best(f):
        return min(range(-4, 10), key=lambda px: f(panned(px)).item())

    assert best(dominant_motion) == 2
    assert best(squared_error) == 6  # follows the box
    inverse = replace(panned(2), camera=torch.linalg.inv(panned(2).camera))
    assert dominant_motion(inverse) > 2 * dominant_motion(panned(2))
    assert dominant_motion(panned(2)) < 0.25  # pixels from outside do not count


class Values(Part):
    "An encoder that returns the image, and its values once more."

    sampling = OURS

    def encode(self, x):
        return x, x


def dot(x):
    distance = (identity_grid(32, 32) - torch.tensor([x, 0.0])).square().sum(-1)
    return torch.exp(-40 * distance)[None, None]


def dot_step(mask=None):
    visible = () if mask is None else (mask,)
    flow = Flow(GridWarp(identity_grid(32, 32)[None]), visible=visible)
    return step_of(dot(0.0), dot(8 / 31), flow=flow, generator=Values())


def test_features_are_compared_without_the_image_and_both_are_masked():
    step = dot_step()
    gap = (step.source - step.driving).abs()
    assert_close(warp_consistency(step), gap.mean())  # the image, level 0, does not count
    left = (identity_grid(32, 32)[..., 0] < 0).float()[None, None]
    assert_close(warp_consistency(dot_step(left), masked=True), (gap * left).mean())


def test_the_source_is_warped_not_the_driving_frame():
    flow = Flow(GridWarp(identity_grid(32, 32)[None] - torch.tensor([8 / 31, 0])))
    step = replace(dot_step(), flow=flow)
    swapped = replace(step, source=step.driving, driving=step.source)
    assert warp_consistency(step) < 1e-4 < 0.01 < warp_consistency(swapped)


def test_a_generator_with_skips_can_be_compared():
    cfg = GeneratorCfg(width=4, max_width=8, downs=2, blocks=1, kernel=3)
    flow = Flow(GridWarp(identity_grid(32, 32)[None]))
    frames = torch.rand(2, 1, 3, 32, 32)
    with_skips = OcclusionGenerator(replace(cfg, skips=True))
    assert warp_consistency(step_of(*frames, flow=flow, generator=with_skips)) > 0
    with pytest.raises(InputError, match="skips=True"):
        warp_consistency(step_of(*frames, flow=flow, generator=OcclusionGenerator(cfg)))


# ---- the model ----
SMALL = set_options(
    TpsmmCfg(size=32, n_tps=3),
    {
        "detector.width": 4,
        "background.width": 4,
        "dense": dict(width=8, depth=3, max_width=16, scale=0.5, kernel=3),
        "generator": dict(width=8, max_width=16, downs=2, kernel=3),
        "loss.reconstruction": "pyramid",
        "disentangle.enabled": False,
    },
)


def test_options_reach_the_parts():
    assert build(SMALL).detector.head.out_features == 2 * 15
    assert build(replace(SMALL, n_tps=4)).detector.head.out_features == 2 * 20
    model = build(set_options(SMALL, {"dropout": {"rate": 0.0, "start": 0.0}}))
    model.set_progress(0.2)
    assert model.dense.rate == 0


def test_the_terms_are_the_papers():
    terms = losses(SMALL)
    assert list(terms) == ["rec", "equivariance", "background", "warp", "camera"]
    assert [term.weight for term in terms.values()] == [10.0] * 4 + [0.0]


def test_equivariance_warps_the_driving_frame():
    model = build(SMALL).eval()
    step = model(*torch.rand(2, 2, 3, 32, 32))
    values = []
    for term in (losses(SMALL)["equivariance"].fn, equivariance):
        for frame in ("driving", "source"):
            torch.manual_seed(1)
            extra = {} if term is not equivariance else dict(frame=frame)
            values.append(term(step, **extra)["xy"])
    own, _, driving, source = values
    assert_close(own, driving)
    assert (own - source).abs() > 1e-5
