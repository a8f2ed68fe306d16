"Wrong versions that the checks of chapter 017a refuse; they run below its cells."

from fastcore.test import expect_fail


# %% after c20x
def other_frame(c, s, d):
    return c.truth(s, d - 3)[0], c.truth(s, d)[1]


for family in FAMILIES:
    with expect_fail(AssertionError):
        check_truth(other_frame, family)
