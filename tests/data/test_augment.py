"One change for all frames of a pair."

import pytest
import torch

from animlib.data.augment import augment


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
