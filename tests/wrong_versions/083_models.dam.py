"Wrong versions that the checks of chapter 083 refuse; they run below its cells."

from dataclasses import replace

from fastcore.test import expect_fail

from animlib.losses.reconstruction import Term

# %% after c11d
with expect_fail(AssertionError):
    check_build(lambda cfg: build(replace(cfg, n_kp=cfg.n_kp + 1)))
with expect_fail(AssertionError):
    check_build(lambda cfg: build(replace(cfg, n_intermediate=1)))


# %% after c17b
def reaching(cfg):
    "A prior that reaches the generator."
    table = losses(cfg)
    root = table["prior"].fn
    return table | dict(prior=Term(10.0, lambda step: root(step) + step.frame.mean()))


with expect_fail(AssertionError):
    check_prior(reaching)
