"Wrong versions that the checks of chapter 121 refuse; they run below its cells."

from fastcore.test import expect_fail

# %% after c25d
with expect_fail(AssertionError):
    assert advice(advise_if_far, turned, points, mode="absolute") == []

# %% after c30d
with expect_fail(AssertionError):
    check_reference(animate_stream, best, 1.0, scale=1.0)  # from the first frame
