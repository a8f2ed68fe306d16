"Wrong versions that the checks of chapter 047 refuse; they run below its cells."

from dataclasses import replace

from fastcore.test import expect_fail


# %% after s09b
def exchanged(numbers, k):
    kp = to_keypoints(numbers, k)
    return replace(kp, xy=kp.xy.flip(-1))


with expect_fail(AssertionError):
    check_numbers(to_numbers, exchanged)

# %% after s18b
with expect_fail(AssertionError):
    check_extrapolate(lambda two, t, k: extrapolate(two, t + 1, k)[:, 1:])  # a frame too far
