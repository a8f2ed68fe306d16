"Wrong versions that the checks of chapter 132a refuse; they run below its cells."

from fastcore.test import expect_fail

# %% after p13
with expect_fail(AssertionError):
    check_filling(lambda row, data: dict(filling.numbers(row, data), clips=4))
