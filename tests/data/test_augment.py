"One change for all frames of a pair."

import pytest
import torch

from animlib.data.augment import augment
from animlib.training.config import TrainCfg, draw_batch, pair_sampler


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def pair():
    return torch.rand(5, 3, 16, 16, generator=seeded(7)), torch.rand(5, 3, 16, 16)


def test_equal_frames_stay_equal(pair):
    source, _ = pair

    one, other = augment(source, source, seeded(), reverse=False)

    assert torch.equal(one, other) and one.shape == source.shape
    assert 0 <= one.min() and one.max() <= 1


def test_nothing_asked_nothing_done(pair):
    kept = augment(*pair, flip=False, reverse=False, jitter=0, hue=0)

    assert torch.equal(kept[0], pair[0]) and torch.equal(kept[1], pair[1])


def test_a_seed_is_a_change(pair):
    first, again, other = (augment(*pair, seeded(i)) for i in (0, 0, 1))

    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


def test_several_sources_have_one_light():
    frame = torch.rand(4, 3, 8, 8)
    sources = torch.stack([frame] * 3, 1)

    new_sources, new_driving = augment(sources, frame, seeded())

    assert new_sources.shape == (4, 3, 3, 8, 8)
    for i in range(3):
        torch.testing.assert_close(new_sources[:, i], new_driving)


class Bars:
    "Pairs of one frame: a white bar, 16 px long and 4 px high, in the middle."

    def pairs(self, batch, generator, device):
        frames = torch.zeros(batch, 3, 32, 32)
        frames[..., 14:18, 8:24] = 1
        return frames, frames.clone()


def moments(frames):
    "`[b,2,2]` second moments of the light about its centre, pixels; `[b]` its amount."
    light = frames.mean(1)
    x = torch.arange(32) - 15.5
    amount = light.sum((1, 2))
    place = torch.stack([x.expand(32, 32), x[:, None].expand(32, 32)])
    mean = torch.einsum("bhw,ihw->bi", light, place) / amount[:, None]
    off = place - mean[..., None, None]
    return torch.einsum("bhw,bihw,bjhw->bij", light, off, off) / amount[:, None, None], amount


def drawn(**options):
    "What a training with these options alone sees."
    plain = dict(flip=False, reverse=False, jitter=0.0, hue=0.0)
    cfg = TrainCfg(batch=64, **plain | options)
    source, driving = draw_batch(pair_sampler, Bars(), cfg, step=0)
    assert torch.equal(source, driving)
    return moments(source)


def test_a_training_turns_its_frames_by_up_to_an_angle():
    still, _ = drawn()
    turned, amount = drawn(rotate=30)
    angle = 0.5 * torch.atan2(2 * turned[:, 0, 1], turned[:, 0, 0] - turned[:, 1, 1]).rad2deg()

    assert still[:, 0, 1].abs().max() < 1e-4
    assert 20 < angle.max() < 32 and -32 < angle.min() < -20
    assert (amount / 64 - 1).abs().max() < 0.1  # turned, not stretched


def test_a_training_resizes_its_frames_by_up_to_a_factor():
    _, amount = drawn(resize=0.25)
    side = (amount / 64).sqrt()

    assert 1.15 < side.max() < 1.3 and 0.7 < side.min() < 0.85
