"Wrong versions that the checks of chapter 048 refuse; they run below its cells."

from dataclasses import replace

import torch
from fastcore.test import expect_fail

from animlib.core import Keypoints
from animlib.retarget.sequences import repeat_first, to_keypoints, to_numbers


# %% after c12a
def other_product(raw, k):  # V V^T: another matrix
    kp = to_keypoints(raw.flatten(0, -2), k)
    covariance = None if kp.cov is None else kp.cov @ kp.cov.mT
    made = Keypoints(kp.xy.tanh(), cov=covariance)
    return to_numbers(made, covariance is not None).reshape(raw.shape)


with expect_fail(AssertionError):
    check_moments(other_product)

# %% after c12e
with expect_fail(AssertionError):
    check_thicken(lambda cov, floor: cov + floor * torch.eye(2))  # thick ones, too


# %% after c16f
class WithoutFirst(Forecaster):
    def forward(self, *inputs, **options):
        made = super().forward(*inputs, **options)
        return replace(made, numbers=torch.cat([made.numbers[:, 1:], made.numbers[:, -1:]], 1))


with expect_fail(AssertionError):
    check_forecaster(WithoutFirst)


# %% after c19b
def one_mean(step):  # over all numbers
    share = {"xy": 1.0, "cov": 0.5}
    return {name: value * share[name] for name, value in forecast_error(step).items()}


with expect_fail(AssertionError):
    check_error(one_mean)


# %% after c34a
def nothing_predicted(model, forecaster, image, n):
    return render(model, image, repeat_first(to_numbers(kp, covariance), n)[0])


with expect_fail(AssertionError):
    check_predict(nothing_predicted)
