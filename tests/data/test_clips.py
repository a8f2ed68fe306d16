"All clips in one array, and pairs drawn from it."

import numpy as np
import pytest
import torch
from videos import error_line

from animlib.core import as_images
from animlib.data.clips import Clips, compose, farthest_frame, premultiplied
from animlib.data.identities import ByIdentity, identity_groups


@pytest.fixture
def clips():
    return Clips.from_tensor(torch.rand(3, 6, 3, 16, 16))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_seed_is_a_batch(clips):
    source, driving = clips.pairs(5, seeded())
    again = clips.pairs(5, seeded())

    assert source.shape == driving.shape == (5, 3, 16, 16) and source.dtype == torch.float32
    assert torch.equal(source, again[0]) and torch.equal(driving, again[1])
    assert not torch.equal(source, clips.pairs(5, seeded(1))[0])


def test_small_clips_go_to_a_device_and_large_ones_stay(clips):
    moved = clips.to("cpu")

    assert len(moved) == 3 and torch.equal(moved.array, clips.array)
    assert clips.to("cpu", limit=10) is clips


def test_the_first_clips_are_a_view(clips):
    two = clips.first(2)

    assert len(two) == 2 and two.names == clips.names[:2]
    assert two.array.data_ptr() == clips.array.data_ptr()
    assert torch.equal(two.frames(-1), clips.frames(1))


BAD = {  # -> lengths, names
    "too few frames": ([6, 6], None),
    "a name is missing": ([6, 6, 6], ["a"]),
    "a clip without frames": ([18, 0], None),
    "no clips": ([], None),
}


@pytest.mark.parametrize("kind", BAD)
def test_lengths_and_names_must_add_up(clips, kind):
    lengths, names = BAD[kind]

    assert "count again" in error_line(Clips, clips.array, lengths, names)


def test_the_farthest_frame_of_a_loop_is_not_its_last():
    "0 1 2 3 2 1 0, once in a corner and once everywhere."
    levels = torch.tensor([0.0, 1, 2, 3, 2, 1, 0]) / 3
    loop = torch.zeros(7, 3, 4, 4)
    loop[:, :, 0, 0] = levels[:, None]

    assert farthest_frame(loop) == 3
    assert farthest_frame(1 - loop) == 3
    assert farthest_frame(torch.full((3, 3, 4, 4), 0.5)) == 0


# ---- alpha ----


def figure(n=3, t=4):
    "Straight alpha `[n*t,16,16,4]`: a red disc with a soft edge moves to the right; black around."
    y, x = np.mgrid[:16, :16]
    frames = np.zeros((n * t, 16, 16, 4), np.uint8)
    for i in range(n * t):
        cover = (6 - np.hypot(y - 8, x - 6 - i % t)).clip(0, 1)
        frames[i, ..., 0] = 255 * (cover > 0)
        frames[i, ..., 3] = 255 * cover
    return frames


@pytest.fixture
def clear():
    return Clips(torch.from_numpy(premultiplied(figure())), [4, 4, 4])


def test_tests_see_white_and_a_ground_of_ones_own(clear):
    video = clear.video(1)

    assert video.shape == (4, 3, 16, 16) and (video[:, :, 0] == 1).all()
    assert torch.equal(video, as_images(clear.frames(1)))
    assert clear.frames(0, [0], (0, 0, 1))[0, 0, 0].tolist() == [0, 0, 255]
    assert clear.first(2).has_alpha and clear.to("cpu").has_alpha
    assert clear.frames(-1, slice(0, 2)).shape == (2, 16, 16, 3)


@pytest.mark.parametrize("ground", [(1, 1, 1), (0, 0, 0), (0.2, 0.9, 0.4)])
def test_an_edge_has_no_fringe(clear, ground):
    "Every pixel lies between red and the ground; straight alpha leaves that line."

    def off_the_line(frames):
        image = compose(frames, torch.tensor(ground))
        cover = torch.from_numpy(figure())[..., 3] / 255
        red = torch.tensor([1.0, 0, 0])
        line = cover[..., None] * red + (1 - cover[..., None]) * torch.tensor(ground)
        return (image - line.movedim(-1, 1)).abs().max()

    assert off_the_line(clear.array) < 2 / 255
    assert off_the_line(torch.from_numpy(figure())) > 0.2


@pytest.mark.parametrize("draw", [Clips.pairs, ByIdentity.pairs, identity_groups])
def test_the_frames_of_a_pair_share_their_ground_and_a_seed_is_a_batch(clear, draw):
    def drawn(seed):
        data = ByIdentity(clear) if draw is ByIdentity.pairs else clear
        more = (2,) if draw is identity_groups else ()
        source, driving = draw(data, 6, *more, generator=seeded(seed))
        return (source[:, 0] if source.ndim == 5 else source), driving

    source, driving = drawn(0)

    corners = [frames[:, :, 0, 0] for frames in (source, driving)]
    assert torch.equal(*corners) and len(corners[0].unique(dim=0)) > 3
    assert not torch.equal(source, driving)
    assert all(map(torch.equal, drawn(0), (source, driving)))


def test_grounds_are_drawn_last_and_only_for_alpha(clear):
    "Opaque clips take as many random numbers as before; the same frames are drawn of both."
    opaque = Clips(clear.array[..., :3].contiguous(), clear.lengths)
    generator, other = seeded(), seeded()
    opaque.pairs(5, generator)
    torch.randint(3, (5,), generator=other)
    torch.rand(2, 5, generator=other)

    assert torch.equal(generator.get_state(), other.get_state())
    over_black = [frames[:, 0] for frames in opaque.pairs(5, seeded())]
    over_grounds = [frames[:, 0] for frames in clear.pairs(5, seeded())]
    covered = [frames == 1 for frames in over_black]
    for frames, mask in zip(over_grounds, covered):
        assert mask.any() and (frames[mask] == 1).all()


def test_pairs_with_alpha_are_channels_last(clear):
    for frames in clear.pairs(4, seeded()):
        assert frames.is_contiguous(memory_format=torch.channels_last)
        assert 0 <= frames.min() and frames.max() <= 1
