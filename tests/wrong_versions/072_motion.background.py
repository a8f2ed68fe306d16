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


# %% after c14cs
for check in (check_light, check_local):
    with expect_fail(AssertionError):
        check(offset_of)  # not divided
with expect_fail(AssertionError):
    check_light(by_whole_image)


# %% after c18
class Random(BackgroundMotion):  # a head that begins anywhere
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        awake(self)


class Early(BackgroundMotion):  # moves first, is held later
    def set_progress(self, progress):
        self.active = progress < self.start


class Coloured(BackgroundMotion):  # forgets the option
    def __init__(self, *args, contrast=False, **options):
        super().__init__(*args, **options)


def make_wrong(wrong):
    return lambda kind="affine", **options: small(kind, wrong, **options)


for check, wrong in ((check_background, Random), (check_start, Early), (check_option, Coloured)):
    with expect_fail(AssertionError):
        check(make_wrong(wrong))
