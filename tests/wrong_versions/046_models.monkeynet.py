"Wrong versions that the checks of chapter 046 refuse; they run below its cells."

from dataclasses import replace

from fastcore.test import expect_fail

# %% after c11c
with expect_fail(AssertionError):  # no covariances at all
    check_build(lambda cfg: build(replace(cfg, spread=KeypointSpreadCfg(learned=False))))


# %% after c14
def always_made(cfg):
    return discriminator(replace(cfg, loss=MonkeynetLossCfg()))


with expect_fail(AssertionError):
    check_discriminator(always_made)


# %% after c19b
def fixed_weights(cfg, discriminator=None):
    return losses(replace(cfg, loss=MonkeynetLossCfg()), discriminator=discriminator)


with expect_fail(AssertionError):
    check_weights(fixed_weights)
