"Wrong versions that the checks of chapter 021 refuse; they run below its cells."

from fastcore.test import expect_fail
from torch import nn


# %% after r11
class BeforeRelu(Vgg19):
    taps = (0, 5, 10, 19, 28)


class Thawed(Vgg19):
    def train(self, mode=True):
        return nn.Module.train(self.requires_grad_(), mode)


with expect_fail(AssertionError):
    check_features(BeforeRelu)
with expect_fail(AssertionError):
    check_frozen(Thawed)
