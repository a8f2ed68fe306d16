"Wrong versions that the checks of chapter 000b refuse; they run below its cells."

import torch
from fastcore.test import expect_fail

# %% after v05
with expect_fail(AssertionError):  # edges, not centres
    check_identity(lambda h, w: identity_grid(h, w) * torch.tensor([1 - 1 / w, 1 - 1 / h]))

# %% after g15
with expect_fail(AssertionError):  # mixed
    check_nearest(lambda maps, size, _: resize_maps(maps, size))
with expect_fail(AssertionError):  # the image turned by 180 degrees
    check_warp(lambda image, grid: warp(image, -grid))
