"Wrong versions that the checks of chapter 030 refuse; they run below its cells."

from fastcore.test import expect_fail
from torch import nn

from animlib.geometry import identity_grid

# %% after c13b
with expect_fail(AssertionError):
    check_double(nn.Upsample(scale_factor=2))  # nearest


with expect_fail(AssertionError):
    # a displacement is not a position
    check_displaced(lambda flow: displaced(flow) - identity_grid(5, 7))
with expect_fail(AssertionError):
    check_displaced(lambda flow: identity_grid(5, 7) + flow.movedim(1, -1))  # no bound
