"""Previews of loops: a clip that ends as it began still shows two different frames."""

import torch

from animlib.data.clips import Clips
from animlib.run.jobs import Preview


def loop(frames: int = 8, size: int = 16) -> torch.Tensor:  # `[t,3,size,size]`
    "A white square that goes to the right and comes back."
    video = torch.zeros(frames, 3, size, size)
    for i in range(frames):
        left = min(i, frames - 1 - i)
        video[i, :, 4:8, 2 * left : 2 * left + 4] = 1
    return video


def test_a_preview_of_loops_shows_frames_that_differ(tmp_path):
    video = loop()
    assert torch.equal(video[0], video[-1])
    preview = Preview(tmp_path, Clips.from_tensor(torch.stack([video, video.flip(-1)])))

    change = (preview.source - preview.driving).abs().mean((1, 2, 3))
    assert (change > 0.05).all()
