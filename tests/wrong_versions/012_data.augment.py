"Wrong versions that the checks of chapter 012 refuse; they run below its cells."

import torch
from fastcore.test import expect_fail


# %% after a15
def mirror_anyway(source, driving, generator, **options):
    "Mirrors with probability 1/2 whatever time does."
    mirror = torch.rand(len(source), 1, 1, 1, generator=generator) < 0.5
    source = torch.where(mirror, source.flip(-1), source)
    driving = torch.where(mirror, driving.flip(-1), driving)
    return augment(source, driving, generator, flip=False, **options)


with expect_fail(AssertionError):
    check_motion(mirror_anyway)


# %% after p04
def placed_apart(source, driving, *args, **options):
    "Each frame has a place of its own."
    return augment(source, source, *args, **options)[0], augment(
        driving, driving, *args, **options
    )[1]


with expect_fail(AssertionError):
    check_placed(placed_apart)
