"Reconstruction of clips: the source once, every frame alike, whatever the batches are."

import pytest
import torch
from einops import rearrange
from torch.testing import assert_close

from animlib.animator import Animator, Part, Prepared, Step
from animlib.core import Flow, Keypoints
from animlib.data.clips import Clips
from animlib.data.toy import clips as draw_clips
from animlib.data.toy import split_seed
from animlib.evaluate.metrics import reconstruct_clip, reconstruction_metrics


class MeanColour(Part):
    def forward(self, x):
        return Keypoints(x.mean((-1, -2))[:, None, :2])


class Dial(Animator):
    "Shows a share of the way from the source to the driving frame, and notes what it is asked."

    def __init__(self, share):
        super().__init__(detector=MeanColour(), motion=None, dense=Part(), generator=Part())
        self.share = share
        self.calls = []

    def prepare(self, source):
        self.calls.append("source")
        return Prepared(source, self.detector(source), source, ())

    def drive(self, pre, kp_d, driving=None):
        self.calls.append(len(kp_d))
        end = pre.source if driving is None else driving
        frame = torch.lerp(pre.source + 0 * end, end, self.share)
        return Step(pre.source, driving, pre.kp, kp_d, Flow(None), frame, self)


class Videos:
    "The interface of `Clips`, for videos of different lengths."

    def __init__(self, *videos):
        self.videos = [
            (rearrange(video, "t c h w -> t h w c") * 255).round().byte() for video in videos
        ]

    def __len__(self):
        return len(self.videos)

    def frames(self, i, times=None):
        return self.videos[i]


@pytest.fixture(scope="module")
def long():
    return draw_clips("animal", 1, 20, 32, split_seed("test", 0)).video[0]


@pytest.fixture(scope="module")
def two(long):
    return Videos(long, draw_clips("animal", 1, 3, 32, split_seed("test", 1)).video[0])


def measured(share, clips, **options):
    return reconstruction_metrics(Dial(share), clips, progress=False, **options)


@pytest.mark.parametrize("batch,calls", [(8, [8, 8, 4]), (32, [20])])
def test_the_source_is_prepared_once(batch, calls, long):
    model = Dial(0.5).train()
    rebuilt, info = reconstruct_clip(model, long, batch)
    assert model.calls == ["source", *calls] and model.training
    assert_close(rebuilt, (long[:1] + long) / 2)
    assert_close(info["kp_d"].xy, model.detector(long).xy)


def test_every_frame_counts_alike_the_first_one_too(two):
    videos = [video.float() / 255 for video in two.videos]
    copied = torch.cat([(video - video[:1]).abs().mean((1, 2, 3)) for video in videos])
    found = measured(0.0, two)
    assert found["frames"] == len(copied) == 23 and found["clips"] == 2
    assert found["l1_copy"] == pytest.approx(copied.mean().item(), abs=1e-6)
    assert found["l1_ratio"] == pytest.approx(1.0, abs=1e-6)


def test_batches_change_nothing(two):
    whole, single = (list(measured(0.3, two, batch=batch).values()) for batch in (32, 1))
    assert_close(torch.tensor(single), torch.tensor(whole))


def test_the_first_clips_alone(two):
    assert measured(0.0, two, limit=1)["frames"] == 20


def test_clips_of_one_length(long):
    pool = Clips.from_tensor(torch.stack([long[:8], long[8:16]]))
    assert measured(0.0, pool)["l1_ratio"] == 1
