"Wrong versions that the checks of chapter 072 refuse; they run below its cells."

import torch
import torch.nn.functional as F
from einops import einsum
from fastcore.test import expect_fail

from animlib.geometry import identity_grid

# %% after c11
with expect_fail(AssertionError):  # a change, not a map
    check_homography(lambda numbers: as_homography(numbers) - torch.eye(3))


# %% after c12a
def undivided(matrix, size):
    points = F.pad(identity_grid(*size), (0, 1), value=1.0)
    return einsum(matrix, points, "b i j, h w j -> b h w i")[..., :2]


with expect_fail(AssertionError):
    check_grid(undivided)
with expect_fail(AssertionError):
    check_grid(lambda matrix, size: homography_grid(matrix.mT, size))
