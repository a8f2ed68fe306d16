"Wrong versions that the checks of chapter 001h refuse; they run below its cells."

from fastcore.test import expect_fail

# %% after x08
with expect_fail(AssertionError, "expected 2, found nan"):
    expect_close(float("nan"), 2, "a number")
with expect_fail(AssertionError, "expected numbers, found NoneType"):
    expect_close(None, 2, "a number")
