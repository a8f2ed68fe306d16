"Wrong versions that the checks of chapter 023 refuse; they run below its cells."

import torch
from fastcore.test import expect_fail

# %% after c23
with expect_fail(AssertionError):
    check_layout(plain_sampler)


# %% after c29
def draw_without_rank(sampler, data, cfg, step, rank=0):
    "Every process gets the same batch."
    return draw_batch(sampler, data, cfg, step)


def draw_without_losses(sampler, data, cfg, step, rank=0):
    "Torch's own generator is left as it is."
    seed = step_seed(cfg.seed, step, rank)
    return sampler(data, cfg, torch.Generator().manual_seed(seed))


for wrong in (draw_without_rank, draw_without_losses):
    with expect_fail(AssertionError):
        check_draw(wrong)
