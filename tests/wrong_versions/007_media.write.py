"Wrong versions that the checks of chapter 007 refuse; they run below its cells."

import tracemalloc

from fastcore.test import expect_fail

from animlib.media.image import moving_disc


# %% after w17
def peak_of_list(n_frames):
    "Keeps all frames before the first is written."
    tracemalloc.start()
    kept = [moving_disc(1, 96)[0].copy() for _ in range(n_frames)]
    megabytes = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return megabytes + 0 * len(kept)


with expect_fail(AssertionError):
    check_memory(peak_of_list)
