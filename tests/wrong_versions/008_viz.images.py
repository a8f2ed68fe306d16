"Wrong versions that the checks of chapter 008 refuse; they run below its cells."

from fastcore.test import expect_fail


# %% after v21
def stride(video, n):
    "Never reaches the last frame."
    return grid_image(video[:: len(video) // n][:n], min(n, 5))


with expect_fail(AssertionError):
    check_strip(stride)


# %% after v25
def untitled(columns):
    "Empty words."
    page = titled_columns(columns)
    page[:, :16] = 1
    return page


with expect_fail(AssertionError):
    check_titles(untitled)
