"Motion against the truth: distances in pixels of each axis, joints read as they were coded."

import pytest
import torch
from torch.testing import assert_close

from animlib.evaluate.truth import endpoint_error, joint_reader, warp_error
from animlib.geometry import from_pixels, identity_grid, resize_grid, to_pixels

ROWS, COLUMNS = SIZE = (48, 64)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def shifted(dx, dy):
    "A grid that reads dx px to the right and dy px down."
    places = to_pixels(identity_grid(*SIZE), SIZE) + torch.tensor([dx, dy])
    return from_pixels(places, SIZE)[None]


@pytest.mark.parametrize("dx,dy,length", [(3.0, 4.0, 5.0), (3.0, 0.0, 3.0), (0.0, 4.0, 4.0)])
def test_error_is_the_length_in_pixels(dx, dy, length):
    still = shifted(0.0, 0.0)
    everywhere = torch.ones(1, *SIZE, dtype=torch.bool)
    for grid in (shifted(dx, dy), resize_grid(shifted(dx, dy), (12, 16))):
        assert warp_error(grid, still, everywhere) == pytest.approx(length, abs=1e-4)


@pytest.mark.parametrize("axis,size", [(0, COLUMNS), (1, ROWS)])
def test_rows_and_columns_have_their_own_scale(axis, size):
    grid = identity_grid(*SIZE)[None]
    moved = grid.clone()
    moved[..., axis] += 0.1
    expected = torch.full((1, *SIZE), 0.1 * (size - 1) / 2)
    assert_close(endpoint_error(moved, grid), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("offset", [0.0, 0.3, -2.0])
def test_joints_are_read_from_a_linear_code_with_any_origin(offset):
    joints = torch.rand(300, 5, 2, generator=seeded()) * 2 - 1
    code = (joints.flatten(1) @ torch.randn(10, 10, generator=seeded(1)) + offset).unflatten(
        1, (5, 2)
    )
    read = joint_reader(code[:200], joints[:200], torch.ones(200, 5, dtype=torch.bool))
    assert_close(read(code[200:]), joints[200:], atol=0.01, rtol=0)
