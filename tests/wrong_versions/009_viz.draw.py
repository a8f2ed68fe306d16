"Wrong versions that the checks of chapter 009 refuse; they run below its cells."

from dataclasses import replace

import torch
from fastcore.test import expect_fail

from animlib.geometry import resize_maps

# %% after v11
with expect_fail(AssertionError):  # all alike
    check_colours(lambda k: _hsv((torch.arange(k) * 0.618034) % 1, 0.5))

# %% after v15
edges = torch.tensor([64 / 63, 48 / 47])  # -1 and 1 as edges of the image, not pixel centres
with expect_fail(AssertionError):
    check_points(lambda frame, xy, *rest: draw_points(frame, xy * edges, *rest))
with expect_fail(AssertionError):  # half a pixel thin
    check_points(lambda frame, xy, c, radius: draw_points(frame, xy, c, radius - 0.5))

# %% after v21
with expect_fail(AssertionError):  # the identity, whatever the Jacobian
    unit = torch.eye(2)[None]
    check_axes(lambda frame, kp, *rest: draw_axes(frame, replace(kp, jac=unit), *rest))

# %% after v29
with expect_fail(AssertionError):  # a grid mistaken for a displacement
    check_flow(lambda grid, *size: flow_image(grid - identity, *size))
with expect_fail(AssertionError):  # the other way round
    check_flow(lambda grid, *size: flow_image(2 * identity - grid, *size))
with expect_fail(AssertionError):  # px of the grid, not of the image
    check_flow(lambda grid, *size: flow_image(grid, *size, maximum=4.0))
with expect_fail(AssertionError):
    check_wheel(lambda n: flow_wheel(n).flip(-1))


# %% after v31
def lattice_in_source_units(grid):
    "Thick where it zooms in."
    place = (grid + 1) / 2 * 8
    line = (place - place.round()).abs().lt(0.06).any(-1).float()
    return 1 - line[None] + torch.zeros(3, 1, 1)


with expect_fail(AssertionError):
    check_lines(lattice_in_source_units)

# %% after v39
with expect_fail(AssertionError):  # anchors of the source
    check_comparison(lambda s: comparison(replace(s, kp_d=s.kp_s)))
with expect_fail(AssertionError):  # enlarged with a blur
    check_comparison(lambda s: resize_maps(comparison(s, upscale=1)[None], (534, 778))[0])
