"Wrong versions that the checks of chapter 073 refuse; they run below its cells."

from dataclasses import replace

from fastcore.test import expect_fail


# %% after c10
def axes_as_covariance(numbers, k):
    kp = from_pose_numbers(numbers, k)
    return replace(kp, cov=kp.jac)


with expect_fail(AssertionError):
    check_numbers(pose_numbers, axes_as_covariance)

# %% after c11
with expect_fail(AssertionError):
    check_stretch(lambda numbers, factors, k: stretch(numbers, factors.flip(1), k))
