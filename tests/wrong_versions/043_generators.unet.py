"Wrong versions that the checks of chapter 043 refuse; they run below its cells."

from fastcore.test import expect_fail


# %% after c09b
def heat_first(features, flow):
    return deform(features, flow).roll(3, 1)


def heat_warped(features, flow):  # it is in the driving pose already
    return flow.warp(deform(features, Flow(still(2, 17), pose_maps=flow.pose_maps)))


for wrong in (heat_first, heat_warped):
    with expect_fail(AssertionError):
        check_deform(wrong)


# %% after c14
with expect_fail(AssertionError):
    check_lower_levels(OnlyTop)
