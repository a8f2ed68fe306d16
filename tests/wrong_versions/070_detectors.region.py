"Wrong versions that the checks of chapter 070 refuse; they run below its cells."

from dataclasses import replace
from functools import partial

from fastcore.test import expect_fail

# %% after c11c
for wrong in (dict(turn=-1), dict(power=1)):  # the rotation transposed; no root
    with expect_fail(AssertionError):
        check_axes(partial(loose_axes, **wrong))
for wrong in (dict(floor=0.0), dict(roundness=0.0)):  # a point; a circle
    with expect_fail(AssertionError):
        check_degenerate(partial(loose_axes, **wrong))


# %% after c19f
class Rows(RegionDetector):  # axes as rows
    def forward(self, frame):
        kp = super().forward(frame)
        return replace(kp, jac=kp.jac.mT, cov=kp.jac.mT @ kp.jac)


class Batched(RegionDetector):  # norms in training mode see the batch
    def train(self, mode=True):
        return super().train(True)


with expect_fail(AssertionError):
    check_bars(Rows)
with expect_fail(AssertionError):
    check_alone(Batched)
