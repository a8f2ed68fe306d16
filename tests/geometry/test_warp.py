"""Warps where a number is not one, in every convention, and in half precision."""

import pytest
import torch

from animlib.geometry import (
    Sampling,
    full_precision,
    identity_grid,
    point_jacobian,
    resize_grid,
    resize_maps,
    warp,
    warp_each,
)

OUTER_EDGES = Sampling(corners=False, resize_corners=False)
NEAREST = Sampling(resize="nearest")


@pytest.fixture
def image():
    "Different values everywhere; the middle pixel has 12."
    return torch.arange(25.0).reshape(1, 1, 5, 5)


@pytest.mark.parametrize("pad", ["border", "reflection"])
def test_a_grid_without_numbers_reads_the_centre(image, pad):
    grid = identity_grid(5, 5)[None].clone()
    grid[0, 1, 2] = float("nan")
    grid[0, 3, 3, 0] = float("nan")

    out = warp(image, grid, pad)

    assert out[0, 0, 1, 2] == 12
    assert out[0, 0, 3, 3] == 17  # the middle column of its row
    kept = ~grid.isnan().any(-1)
    assert torch.equal(out[:, 0][kept], image[:, 0][kept])


@pytest.mark.parametrize("pad", ["border", "reflection"])
@pytest.mark.parametrize("value", [float("inf"), -float("inf"), 1e38, -1e38])
def test_a_grid_far_away_reads_no_foreign_memory(image, pad, value):
    grid = identity_grid(5, 5)[None].clone()
    grid[0, 2] = value

    out = warp(image, grid, pad)

    assert out.isfinite().all()
    assert out.min() >= 0 and out.max() <= 24
    if pad == "border":
        assert (out[0, 0, 2] == (24 if value > 0 else 0)).all()


@pytest.mark.parametrize("sampling", [Sampling(), OUTER_EDGES], ids=["corners", "edges"])
def test_a_convention_is_that_of_torch(image, sampling):
    grid = torch.rand(1, 5, 5, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
    expected = torch.nn.functional.grid_sample(image, grid, align_corners=sampling.corners)

    assert torch.equal(warp(image, grid, sampling=sampling), expected)
    assert torch.equal(warp_each(image, grid[None], sampling=sampling)[0], expected)


@pytest.mark.parametrize("sampling", [Sampling(), OUTER_EDGES, NEAREST], ids=str)
def test_a_small_grid_is_resized_by_the_convention(image, sampling):
    small = identity_grid(3, 3)[None] * 0.5
    resized = resize_grid(small, (5, 5), sampling)

    assert torch.equal(
        warp(image, small, sampling=sampling), warp(image, resized, "zeros", sampling)
    )
    assert not torch.equal(resize_grid(small, (5, 5)), resize_grid(small, (5, 5), OUTER_EDGES))


def test_the_nearest_pixel():
    maps = torch.arange(4.0).reshape(1, 1, 1, 4)
    edges = Sampling(resize_corners=False, resize="nearest")

    assert resize_maps(maps, (1, 6), NEAREST).flatten().tolist() == [0, 1, 1, 2, 2, 3]
    assert resize_maps(maps, (1, 6), edges).flatten().tolist() == [0, 0, 1, 2, 2, 3]


def test_images_and_grids_must_agree():
    with pytest.raises(ValueError, match="found 2 and 3"):
        warp_each(torch.rand(2, 1, 4, 4), torch.rand(3, 2, 4, 4, 2))


def test_half_precision_is_widened_and_autocast_is_off():
    @full_precision
    def product(a, b):
        return a @ b

    a = torch.full((4, 4), 1 + 2**-9)
    with torch.autocast("cpu", torch.bfloat16):
        found = product(a, a)
    assert torch.equal(found, a @ a) and found.dtype == torch.float32
    assert product(a.half(), b=a.half()).dtype == torch.float32


def test_a_jacobian_has_the_output_in_its_rows():
    def shear(xy):
        return torch.stack([xy[..., 0] + 3 * xy[..., 1], xy[..., 1]], -1)

    found = point_jacobian(shear, torch.zeros(2, 2))

    assert torch.equal(found, torch.tensor([[1.0, 3.0], [0.0, 1.0]]).expand(2, 2, 2))


def test_a_jacobian_is_differentiable_again():
    "The equivariance of Jacobians trains through it."
    factor = torch.tensor(2.0, requires_grad=True)

    found = point_jacobian(lambda xy: factor * xy, torch.zeros(3, 2))
    found.sum().backward()

    assert factor.grad == 6
