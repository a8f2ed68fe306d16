"""Grids of any numbers are read safely: a motion that has diverged crashes no process.

A crash would take pytest with it, so every read runs in a process of its own."""

import subprocess
import sys

import pytest
import torch

from animlib.geometry import identity_grid, warp
from animlib.splines import random_spline

PADS = ["zeros", "border", "reflection"]
READ = """
import torch
from animlib.geometry import warp, warp_each

for number in {numbers}:
    for dtype in (torch.float32, torch.float64):
        image = torch.rand(1, 2, 40, 40, dtype=dtype, requires_grad=True)
        for size in (8, 40):
            grid = torch.full((1, size, size, 2), number, dtype=dtype, requires_grad=True)
            warp(image, grid, {pad!r}).sum().backward()
            warp_each(image, grid[None], {pad!r}).sum().backward()
"""
NUMBERS = "(float('nan'), float('inf'), -float('inf'), 3e38, -3e38, 1e20, 1e10, -1e10)"


@pytest.mark.parametrize("pad", PADS)
def test_a_motion_that_has_diverged_crashes_no_process(pad):
    code = READ.format(numbers=NUMBERS, pad=pad)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-500:]


@pytest.mark.parametrize("pad", ["border", "reflection"])
@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf"), 3e38, -3e38])
def test_what_is_read_there_is_a_pixel_and_has_finite_gradients(pad, number):
    image = torch.rand(1, 3, 16, 16, requires_grad=True)
    grid = torch.full((1, 16, 16, 2), number, requires_grad=True)

    read = warp(image, grid, pad)
    read.sum().backward()

    assert ((read >= image.min() - 1e-5) & (read <= image.max() + 1e-5)).all()
    assert image.grad.isfinite().all() and grid.grad.isfinite().all()


def test_the_border_is_read_from_any_distance():
    image = torch.rand(1, 3, 9, 9)
    for number in (2.0, 1e3, 1e10, 3e38, float("inf")):
        read = warp(image, torch.full((1, 9, 9, 2), number), "border")
        assert torch.equal(read, image[..., -1:, -1:].expand_as(read)), number


@pytest.mark.parametrize("pad", PADS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_grids_of_any_sane_motion_are_read_as_torch_reads_them(pad, dtype):
    "Bit for bit, the gradients too."
    torch.manual_seed(0)
    image = torch.rand(2, 3, 12, 20, dtype=dtype)
    grid = (torch.randn(2, 12, 20, 2, dtype=dtype) * 3).requires_grad_()
    by_torch = torch.nn.functional.grid_sample(image, grid, padding_mode=pad, align_corners=True)
    ours = warp(image, grid, pad)

    assert torch.equal(ours, by_torch)
    gradients = [torch.autograd.grad(read.square().sum(), grid)[0] for read in (ours, by_torch)]
    assert torch.equal(*gradients)


def test_nothing_is_read_far_outside():
    image = torch.ones(1, 3, 8, 8)
    for number in (5.0, -5.0, 1e4, 1e10, -1e10):
        assert not warp(image, torch.full((1, 8, 8, 2), number)).any()


@pytest.mark.parametrize("pad", ["border", "reflection"])
def test_frames_that_are_warped_at_random_keep_their_borders(pad):
    "White stays white: a black border would be seen by the detector, and be learned."
    white = torch.ones(8, 3, 32, 32)
    spline = random_spline(8, affine=0.3, generator=torch.Generator().manual_seed(0))
    grid = spline.grid((32, 32))
    assert (grid.abs() > 1.2).any()  # it does look outside

    assert torch.allclose(warp(white, grid, pad), white, atol=1e-5)
    assert warp(white, grid).min() == 0
    assert identity_grid(2, 2).abs().max() == 1
