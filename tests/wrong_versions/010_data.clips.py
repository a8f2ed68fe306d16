"Wrong versions that the checks of chapter 010 refuse; they run below its cells."

from fastcore.test import expect_fail


# %% after k12
def never_sorted(clips, batch, generator, reverse):
    "Runs backwards although it was told not to."
    return clips.pairs(batch, generator, reverse=True)


def always_sorted(clips, batch, generator, reverse):
    "Never runs backwards."
    return clips.pairs(batch, generator, reverse=False)


with expect_fail(AssertionError, "earlier one"):
    check_pairs(never_sorted)
with expect_fail(AssertionError):
    check_reverse(always_sorted)
