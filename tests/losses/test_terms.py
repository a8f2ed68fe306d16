"""Loss terms on detectors and networks whose answers are known."""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch

from animlib.animator import Step
from animlib.core import Flow, KeypointExtra, Keypoints
from animlib.losses.equivariance import equivariance
from animlib.losses.reconstruction import (
    Term,
    perceptual,
    pyramid,
    pyramid_levels,
    total_loss,
)
from animlib.splines import random_spline


class Recorder:
    "A detector that keeps every image it is shown."

    def __init__(self):
        self.images = []

    def __call__(self, images):
        self.images.append(images)
        return Keypoints(torch.zeros(len(images), 1, 2))


def step_of(source, driving, detector):
    "A step whose model has this detector."
    kp = Keypoints(torch.zeros(len(source), 1, 2))
    model = SimpleNamespace(detector=detector)
    return Step(source, driving, kp, kp, Flow(None), source, model)


def test_a_warped_frame_has_no_black_borders():
    "A white frame stays white, however far the map reaches beyond it."
    detector = Recorder()
    white = torch.ones(2, 3, 16, 16)
    torch.manual_seed(0)

    equivariance(step_of(white, white, detector), affine=0.5, bend=0.1)

    (shown,) = detector.images
    torch.testing.assert_close(shown, white)


@pytest.mark.parametrize("frame,value", [("source", 0.25), ("driving", 0.75)])
def test_the_named_frame_is_warped(frame, value):
    detector = Recorder()
    source, driving = torch.full((1, 3, 16, 16), 0.25), torch.full((1, 3, 16, 16), 0.75)

    equivariance(step_of(source, driving, detector), frame)

    torch.testing.assert_close(detector.images[0], torch.full_like(source, value))


def test_positions_are_compared_through_the_map():
    transform = random_spline(1, generator=torch.Generator().manual_seed(0))
    found = torch.tensor([[[0.5, -0.5]]])
    image = torch.rand(1, 3, 16, 16)
    step = step_of(image, image, lambda images: Keypoints(found))

    error = equivariance(step, transform=transform)["xy"]

    torch.testing.assert_close(error, transform(found).abs().mean())


@dataclass(frozen=True)
class MorePoints(KeypointExtra):
    "Points that move no pixels."

    xy: torch.Tensor

    def join(self, keypoints):
        return Keypoints(torch.cat([keypoints.xy, self.xy], 1))


def test_points_that_move_no_pixels_count():
    transform = random_spline(1, generator=torch.Generator().manual_seed(0))
    found = torch.tensor([[[0.5, -0.5], [0.25, 0.75]]])
    kp = Keypoints(found[:, :1], extra=MorePoints(found[:, 1:]))
    image = torch.rand(1, 3, 16, 16)
    model = SimpleNamespace(detector=lambda images: kp)
    step = Step(image, image, kp, kp, Flow(None), image, model)

    error = equivariance(step, transform=transform)["xy"]

    torch.testing.assert_close(error, (found - transform(found)).abs().mean())


def test_no_gradient_flows_into_the_truth():
    frame, target = torch.rand(2, 1, 3, 32, 32, requires_grad=True).unbind()

    pyramid(frame, target).backward()
    assert torch.autograd.grad(pyramid(frame, target), target, allow_unused=True) == (None,)

    def features(image):
        return [2 * image]

    loss = perceptual(frame, target, features, weights=(1.0,))
    assert torch.autograd.grad(loss, target, allow_unused=True) == (None,)


def test_a_pyramid_begins_at_full_size_and_ends_before_it_is_too_small():
    sizes = [level.shape[-1] for level in pyramid_levels(torch.rand(1, 3, 40, 64), 4)]
    assert sizes == [64, 32, 16]
    assert [level.shape[-1] for level in pyramid_levels(torch.rand(1, 3, 4, 4), 4)] == [4]


def test_a_perceptual_loss_sees_both_frames_at_each_scale_that_is_large_enough():
    seen = []

    def features(image):
        seen.append(image.shape[-1])
        return [image, image]

    loss = perceptual(torch.ones(1, 3, 32, 32), torch.zeros(1, 3, 32, 32), features, weights=(2, 3))

    assert seen == [32, 32, 16, 16]
    assert 9.8 < loss < 10, "2 scales, weights 2 and 3; a blur darkens borders a little"


def test_a_term_of_weight_0_is_not_computed():
    def never(step):
        raise AssertionError("computed")

    terms = dict(a=Term(2.0, lambda step: dict(b=step)), c=Term(0.0, never))
    total, log = total_loss(terms, torch.tensor(3.0, requires_grad=True))

    assert total == 6 and log == {"a.b": torch.tensor(6.0)}
    assert not log["a.b"].requires_grad


def test_both_parts_of_the_adversarial_term_have_their_weights():
    from animlib.losses.adversarial import Discriminator, DiscriminatorCfg, adversarial_term

    torch.manual_seed(0)
    network = Discriminator(DiscriminatorCfg(width=4, max_width=8, depth=2))
    step = step_of(*torch.rand(2, 1, 3, 32, 32), None)

    once = adversarial_term(network, 1.0, (1.0, 0.0, 0.0)).fn(step)
    thrice = adversarial_term(network, 3.0, (3.0, 0.0, 0.0)).fn(step)

    for name in ("adversarial", "matching"):
        torch.testing.assert_close(thrice[name], 3 * once[name])
