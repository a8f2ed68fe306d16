"Wrong versions that the checks of chapter 063 refuse; they run below its cells."

from fastcore.test import expect_fail

# %% after d36
for check, wrong in WRONG:
    with expect_fail(AssertionError):
        check(wrong)
