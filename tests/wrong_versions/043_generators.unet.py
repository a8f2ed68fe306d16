"Wrong versions that the checks of chapter 043 refuse; they run below its cells."

from fastcore.test import expect_fail

# %% after c14
with expect_fail(AssertionError):
    check_lower_levels(OnlyTop)
