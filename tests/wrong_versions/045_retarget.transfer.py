"Wrong versions that the checks of chapter 045 refuse; they run below its cells."

from fastcore.test import expect_fail
from scipy.spatial import ConvexHull

# %% after c12e
for wrong in (absolute, lambda s, d, d0: relative(s, d0, d)):
    for check in (check_identity, check_affine):
        with expect_fail(AssertionError):
            check(wrong)

with expect_fail(AssertionError):
    check_affine(with_product(lambda s, d, inverse0: d @ s @ inverse0))


# %% after c17a
with expect_fail(AssertionError):  # scipy's `area` is the perimeter in 2-D
    check_hull(lambda xy: float(ConvexHull(xy.numpy()).area))


# %% after c20a
with expect_fail(AssertionError):
    check_scale(lambda s, d0: figure_scale(s, d0) ** 2)  # areas, not lengths


# %% after c25c
with expect_fail(AssertionError):
    check_best(lambda s, d: 0)


# %% after c29a
def exchanged(mode, *rest):
    return transfer({"absolute": "relative", "relative": "absolute"}.get(mode, mode), *rest)


with expect_fail(AssertionError):
    check_transfer(exchanged)
