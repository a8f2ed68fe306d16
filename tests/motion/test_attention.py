"""Where attention looks, told from outside."""

import torch

from animlib.motion.attention import AttentionWarp


def test_a_place_asks_with_the_nearest_pixel():
    "Poses are one-hot: each pixel of the driving frame agrees with itself alone."
    poses = 50 * torch.eye(9).reshape(1, 9, 3, 3)
    warp = AttentionWarp(poses, poses[:, None])

    for x, column in [(-1.0, 0), (-0.6, 0), (-0.4, 1), (0.4, 1), (0.6, 2), (1.0, 2), (7.0, 2)]:
        share = warp.weights(torch.tensor([[x, 0.0]]))[0, 0]
        torch.testing.assert_close(share.sum(), torch.tensor(1.0))
        assert share[1, column] > 0.99, x
