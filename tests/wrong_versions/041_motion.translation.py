"Wrong versions that the checks of chapter 041 refuse; they run below its cells."

from fastcore.test import expect_fail

from animlib.core import Keypoints
from animlib.geometry import identity_grid


# %% after c10d
def rows_first(kp_s, kp_d, size):  # (y,x) instead of (x,y)
    return translation_grids(Keypoints(kp_s.xy.flip(-1)), Keypoints(kp_d.xy.flip(-1)), size)


for check in (check_shift, check_own_source):
    with expect_fail(AssertionError):
        check(rows_first)
    with expect_fail(AssertionError):
        check(lambda s, d, size: translation_grids(d, s, size))
    with expect_fail(AssertionError):
        check(lambda s, d, size: translation_grids(s, d, size) - identity_grid(*size))
