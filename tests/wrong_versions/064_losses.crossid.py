"Wrong versions that the checks of chapter 064 refuse; they run below its cells."

from fastcore.test import expect_fail

# %% after d33
for check, wrong in WRONG:
    with expect_fail(AssertionError):
        check(wrong)
