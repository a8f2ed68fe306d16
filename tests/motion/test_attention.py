"""Where attention looks, told from outside."""

import torch

from animlib.motion.attention import AttentionWarp, retrieve


def test_a_place_asks_with_the_nearest_pixel():
    "Poses are one-hot: each pixel of the driving frame agrees with itself alone."
    poses = 50 * torch.eye(9).reshape(1, 9, 3, 3)
    warp = AttentionWarp(poses, poses[:, None])

    for x, column in [(-1.0, 0), (-0.6, 0), (-0.4, 1), (0.4, 1), (0.6, 2), (1.0, 2), (7.0, 2)]:
        share = warp.weights(torch.tensor([[x, 0.0]]))[0, 0]
        torch.testing.assert_close(share.sum(), torch.tensor(1.0))
        assert share[1, column] > 0.99, x


class Retrieve(torch.nn.Module):
    "Attention that looks up five similarities at a time, fewer than one query has."

    def forward(self, queries, keys, values):
        return retrieve(queries, keys, values, max_similarities=5)


def test_a_recorded_lookup_takes_any_number_of_frames():
    "Queries are looked up in pieces, but a recording holds for other batches, too."
    frames = torch.export.Dim("t", min=1, max=16)
    inputs = [torch.rand(2, n, c) for n, c in [(6, 3), (4, 3), (4, 2)]]
    axes = tuple({0: frames} for _ in inputs)
    program = torch.export.export(Retrieve(), tuple(inputs), dynamic_shapes=axes, strict=False)

    more = [torch.rand(7, n, c) for n, c in [(6, 3), (4, 3), (4, 2)]]
    torch.testing.assert_close(program.module()(*more), retrieve(*more))
