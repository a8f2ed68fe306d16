"Wrong versions that the checks of chapter 040 refuse; they run below its cells."

from fastcore.test import expect_fail

from animlib.heatmaps import spatial_softmax

# %% after c12
with expect_fail(AssertionError):
    check_floor(lambda cov: floor_by_root(cov, tiny=1e-20, sign=1))
with expect_fail(AssertionError):
    check_floor(floor_by_root)  # the gradient of a root of 0 is infinite, times 0 is NaN


# %% after c15b
def always_half(own_covariance=False, variance=0.01, factor=0.5):
    return GaussianMaps(own_covariance, variance)  # the released 1/2, whatever eq. 2 says


with expect_fail(AssertionError):
    check_formula(always_half)


# %% after c20b
def driving_alone(kp_s, kp_d, size, gaussians=GaussianMaps()):
    return gaussians(kp_d, size)  # where a point is, but not where it was


with expect_fail(AssertionError):
    check_difference(driving_alone)


# %% after c29d
class Hot(KeypointDetector):  # the temperature is forgotten
    def look(self, frame):
        features = self.body(self.shrink(frame))
        return features, spatial_softmax(self.score(features), 1.0)


with expect_fail(AssertionError):
    check_closed_form(Hot)
