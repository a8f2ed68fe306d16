"""The priors of DAM and HDAM are sums: their weight does not change with the number of anchors."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from animlib.animator import Step
from animlib.core import Keypoints
from animlib.detectors.anchors import LatentAnchors
from animlib.losses.anchors import root_prior
from animlib.losses.hierarchy import hierarchy_prior
from animlib.models.registry import configure, get_method
from animlib.options import set_options
from animlib.zoo.files import header_config

METHODS = ("dam", "hdam")


def frame(n_kp, n_intermediate, shift=0.0, intermediate_shift=0.0):
    "Keypoints that a frame's latent anchors expect, then shifted: two frames of a batch."
    xy = torch.linspace(-0.5, 0.5, 2 * n_kp).reshape(1, n_kp, 2).expand(2, -1, -1)
    latent = torch.linspace(-0.3, 0.3, 2 * n_intermediate + 2).reshape(1, -1, 2)
    latent = latent.repeat(2, 1, 1)
    latent[:, :-1] += intermediate_shift
    identity = torch.eye(2).expand(2, n_intermediate + 1, 2, 2)
    attention = torch.full((2, n_intermediate, n_kp), 1 / n_kp)
    extra = LatentAnchors(latent, identity, attention)
    return Keypoints(xy + shift, torch.eye(2).expand(2, n_kp, 2, 2), extra=extra)


def step(n_kp, n_intermediate, x=0.0, intermediate_shift=0.0):
    "Anchors of the source are off by x, in the first coordinate; those in between by another."
    kp_d = frame(n_kp, n_intermediate)
    kp_s = frame(n_kp, n_intermediate, torch.tensor([x, 0.0]), intermediate_shift)
    return Step(None, None, kp_s, kp_d, None, None, None)


def prior(method, preset, out, **options):
    "The weighted prior as training adds it."
    cfg = set_options(configure(method, preset)[0], {"loss.reconstruction": "pyramid", **options})
    term = get_method(method).losses(cfg)["prior"]
    value = term.fn(out)
    return term.weight * (sum(value.values()) if isinstance(value, dict) else value)


@pytest.mark.parametrize("k", (5, 10, 20))
def test_dam_adds_over_motion_anchors(k):
    "Eq. 12: K anchors that are all 0.1 off; 0.1 would be the mean."
    assert_close(root_prior(step(k, 0, 0.1)), torch.tensor(0.1 * k))
    assert_close(prior("dam", "paper", step(k, 0, 0.1), n_kp=k), torch.tensor(0.1 * k))


@pytest.mark.parametrize("i", (2, 3, 4, 5, 6))
def test_hdam_adds_over_intermediate_anchors(i):
    "Eq. 14 under the rows of table 4: I times 0.1, whatever the number of motion anchors."
    for k in (5, 10, 20):
        parts = hierarchy_prior(step(k, i, 0.1))
        assert_close(parts["motion"], torch.tensor(0.1 * i))
        assert_close(parts["middle"], torch.tensor(0.0), atol=1e-6, rtol=0)
    paper = prior("hdam", "paper", step(10, i, 0.1), n_intermediate=i)
    assert_close(paper, torch.tensor(0.1 * i))


@pytest.mark.parametrize("i", (2, 3, 6))
def test_the_second_part_of_eq_14_is_a_sum_too(i):
    "Intermediate anchors are off by (0.3, 0.4): half a half-width each, for the root."
    off = torch.tensor([0.3, 0.4])
    parts = hierarchy_prior(step(10, i, 0.0, off))
    assert_close(parts["middle"], torch.tensor(0.5 * i))
    weighted = prior("hdam", "paper", step(10, i, 0.0, off), n_intermediate=i)
    assert_close(weighted, parts["motion"] + parts["middle"])


@pytest.mark.parametrize("preset", ("toy", "nano"))
def test_the_small_presets_train_as_they_did(preset):
    "A mean of weight 1 over anchors, before it was a sum."
    k = configure("dam", preset)[0].n_kp
    assert_close(prior("dam", preset, step(k, 0, 0.1)), torch.tensor(0.1))
    off = torch.tensor([0.3, 0.4])
    both = step(k, 3, 0.1, off)
    parts = hierarchy_prior(both)
    mean = parts["motion"] / 3 + parts["middle"] / 3
    assert_close(prior("hdam", preset, both), mean)


def header(method, **changed):
    "Of a file that knew the priors as means."
    cfg, _ = configure(method, "nano")
    loss = dict(reconstruction="pyramid", equivariance=1.0, prior=1.0, prior_intermediate=1.0)
    values = dict(n_kp=cfg.n_kp, n_intermediate=cfg.n_intermediate, loss=loss | changed)
    return dict(format="animlib 2", method=method, cfg=values)


def test_old_headers_keep_what_they_weighed():
    dam = header_config(header("dam"), "a file").loss
    hdam = header_config(header("hdam"), "a file").loss
    assert dam.motion_prior == pytest.approx(0.1)
    assert (hdam.motion_prior, hdam.intermediate_prior) == pytest.approx((1 / 3, 1 / 3))
    assert replace(hdam, motion_prior=1.0) != hdam


@pytest.mark.parametrize("wrong", ("much", None, [1.0]))
def test_a_damaged_old_header_is_named(wrong):
    with pytest.raises(Exception, match="loss.motion_prior: expected a number") as caught:
        header_config(header("hdam", prior=wrong), "a file")
    assert type(caught.value).__name__ == "InputError"
