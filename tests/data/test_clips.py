"All clips in one array, and pairs drawn from it."

import pytest
import torch
from videos import error_line

from animlib.data.clips import Clips, farthest_frame


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
