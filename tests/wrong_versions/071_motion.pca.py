"Wrong versions that the checks of chapter 071 refuse; they run below its cells."

from dataclasses import replace

import torch
from fastcore.test import expect_fail

from animlib.motion.affine import affine_motion

# %% after c10a
with expect_fail(AssertionError):
    check_half_turn(lambda M: M.det()[..., None, None].sign())  # a half turn has determinant 1
with expect_fail(AssertionError):
    check_half_turn(lambda M: torch.where(M[..., :1, 1:] < 0, -1.0, 1.0))  # another entry


# %% after c11b
def product(A, B):  # the motion instead of the axes
    M = A @ inverse_2x2(B)
    return M * half_turn(M)


with expect_fail(AssertionError):
    check_same_side(product)


# %% after c14b
def every_frame_alone(s, d, size):
    return affine_motion(replace(s, jac=s.jac * half_turn(s.jac)), d, size)


with expect_fail(AssertionError):
    check_pca(every_frame_alone)
with expect_fail(AssertionError):
    check_pca(lambda s, d, size: pca_motion(d, s, size))  # frames swapped
with expect_fail(AssertionError):
    check_signs(affine_motion)
