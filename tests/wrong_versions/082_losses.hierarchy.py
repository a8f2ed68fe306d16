"Wrong versions that the checks of chapter 082 refuse; they run below its cells."

from dataclasses import replace

from fastcore.test import expect_fail


# %% after z14
def attention_of_source(step):
    attention = step.kp_s.extra.attention
    extra = replace(step.kp_d.extra, attention=attention)
    return hierarchy_prior(replace(step, kp_d=replace(step.kp_d, extra=extra)))


def root_predicts_motion(step):
    _, root_s = anchor_levels(step.kp_s)
    _, root_d = anchor_levels(step.kp_d)
    motion = prior_error(root_s, root_d, step.kp_s, step.kp_d)
    past_middle = (motion * step.kp_d.extra.attention).sum((1, 2)).mean()
    return hierarchy_prior(step) | dict(middle=past_middle)


for wrong in (attention_of_source, root_predicts_motion):
    with expect_fail(AssertionError):
        check_hierarchy(wrong)
