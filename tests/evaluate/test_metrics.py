"Distances of features: known Gaussians, batches that change nothing, errors."

import pytest
import torch
from torch.testing import assert_close

from animlib.core import InputError
from animlib.evaluate.metrics import (
    embedding_distance,
    encoder_features,
    frechet_distance,
    moving,
)
from animlib.models.registry import build


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_frechet_distance_of_known_gaussians():
    "Exact moments in three dimensions, diagonal, then turned: the closed form stays."
    white = torch.linalg.qr(torch.randn(9, 3, generator=seeded(), dtype=torch.double))[0]
    white = torch.linalg.qr(white - white.mean(0))[0] * 8**0.5  # 9 rows, mean 0, covariance I
    first = white * torch.tensor([1.0, 2.0, 3.0])
    second = white * torch.tensor([2.0, 2.0, 0.5]) + torch.tensor([0.0, 3.0, 4.0])
    turn = torch.linalg.qr(torch.randn(3, 3, generator=seeded(1), dtype=torch.double))[0]
    for a, b in ((first, second), (first @ turn, second @ turn), (second, first)):
        assert abs(frechet_distance(a, b) - (25 + 1 + 6.25)) < 1e-6


def test_fewer_frames_than_features_are_fine():
    few = torch.randn(4, 50, generator=seeded())
    assert frechet_distance(few, few) < 1e-5
    assert frechet_distance(few, few + 1) == pytest.approx(50, rel=1e-4)


@pytest.mark.parametrize("method", ["monkeynet", "fomm"])
def test_features_do_not_depend_on_the_batch(method):
    model = build(method, "toy").eval()
    frames = torch.rand(5, 3, 32, 32, generator=seeded())
    features = encoder_features(model)(frames)
    assert features.ndim == 2 and len(features) == 5
    assert_close(encoder_features(model, 2)(frames), features, atol=1e-5, rtol=1e-4)
    assert embedding_distance(features, features) == 0


def test_errors_say_what_to_do():
    with pytest.raises(InputError, match="same features"):
        frechet_distance(torch.zeros(5, 3), torch.zeros(5, 4))
    with pytest.raises(InputError, match="same length"):
        embedding_distance(torch.zeros(5, 3), torch.zeros(4, 3))


def test_embedding_distance_sums_over_features():
    features = torch.zeros(2, 4)
    assert embedding_distance(features, features + 0.5) == pytest.approx(1.0)
    assert embedding_distance(features, features + 0.5, squared=False) == pytest.approx(0.5)


def test_features_belong_to_frames_and_not_to_their_places():
    frames = torch.rand(4, 3, 32, 32, generator=seeded())
    features_of = encoder_features(build("fomm", "toy").eval())
    assert_close(features_of(frames.flip(0)), features_of(frames).flip(0), atol=1e-5, rtol=1e-4)
    assert embedding_distance(features_of(frames[:2]), features_of(frames[2:])) > 0


def test_a_pixel_that_gets_darker_moves():
    bright = torch.full((3, 2, 2), 0.5)
    dark = bright.clone()
    dark[2, 1, 0] = 0.39
    for source, driving in ((bright, dark), (dark, bright)):
        assert moving(source, driving).tolist() == [[False, False], [True, False]]
