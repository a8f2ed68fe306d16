"Wrong versions that the checks of chapter 080 refuse; they run below its cells."

from dataclasses import replace

import torch
from fastcore.test import expect_fail


# %% after c12
class RowColumn(AnchorAttention):  # features read at (y,x)
    def forward(self, features, intermediate, motion):
        return super().forward(features, intermediate.flip(-1), motion.flip(-1))


class Zeroed(AnchorAttention):  # set to 0 after the softmax: rows no longer sum to 1
    def forward(self, *inputs):
        dropped = torch.tensor(self.ignored, dtype=int)
        self.ignored = []
        return super().forward(*inputs).index_fill(2, dropped, 0.0)


class OtherDivisor(AnchorAttention):
    def __init__(self, n_in, cfg):
        super().__init__(n_in, cfg)
        self.divisor = 2


for wrong in (RowColumn, OtherDivisor):
    with expect_fail(AssertionError):
        check_attention(wrong)
with expect_fail(AssertionError):
    check_ignored(Zeroed)


# %% after c17c
class RootFirst(AnchorDetector):
    def read(self, features, heat):
        kp = super().read(features, heat)
        rolled = replace(kp.extra, xy=kp.extra.xy.roll(1, 1), jac=kp.extra.jac.roll(1, 1))
        return replace(kp, extra=rolled)


class RootAttends(AnchorDetector):  # the root gets a row of attention, too
    def read(self, features, heat):
        kp = super().read(features, heat)
        attention = self.attention(features, kp.extra.xy, kp.xy)
        return replace(kp, extra=replace(kp.extra, attention=attention))


class Batched(AnchorDetector):  # norms in training mode see the batch
    def train(self, mode=True):
        return super().train(True)


with expect_fail(AssertionError):
    check_order(RootFirst)
for wrong in (RootAttends, Batched):
    with expect_fail(AssertionError):
        check_detector(wrong)


# %% after c26
def only_motion(new, old):
    "The body and the motion anchors; the root starts again."
    heads = [name for name in new.state_dict() if name.startswith("score")]
    fresh = {name: new.state_dict()[name][-1:].clone() for name in heads}
    state = adopt_anchors(new, old).state_dict()
    for name in heads:
        state[name][-1:] = fresh[name]  # a state shares its memory with the module
    return new


with expect_fail(AssertionError):
    check_adopt(only_motion)
