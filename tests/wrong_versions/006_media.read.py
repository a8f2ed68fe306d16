"Wrong versions that the checks of chapter 006 refuse; they run below its cells."

from fastcore.test import expect_fail

# %% after r29
with expect_fail(AssertionError):  # cut at the wrong width
    check_read_frames(lambda path: read_frames(path, frame_width=48))
