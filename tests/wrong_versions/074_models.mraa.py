"Wrong versions that the checks of chapter 074 refuse; they run below its cells."

from dataclasses import replace

from fastcore.test import expect_fail

# %% after c12d
with expect_fail(AssertionError):
    check_sizes(lambda cfg: build(replace(cfg, n_kp=3)))
