"Wrong versions that the checks of chapter 022 refuse; they run below its cells."

from fastcore.test import expect_fail

# %% after c16c
with expect_fail(AssertionError):
    check_l1(lambda a, b: (a - b).square().mean())
with expect_fail(AssertionError):
    check_l1(lambda a, b: (a - b).abs().sum())
with expect_fail(AssertionError):
    check_levels(lambda x, n=4: pyramid_levels(x, n, min_side=1))  # levels of a few pixels
with expect_fail(AssertionError):
    check_pyramid(lambda a, b: l1(a, b.detach()))
with expect_fail(AssertionError):
    check_pyramid(lambda a, b: pyramid(a, b) / 4)


# %% after c32c
def unweighted(terms, step):
    loss, log = total_loss(terms, step)
    return loss, {name: value / terms[name.split(".")[0]].weight for name, value in log.items()}


with expect_fail(AssertionError):
    check_total(unweighted)


def not_normalised(a, b, vgg, **options):
    return perceptual(a, b, lambda x: vgg(x * vgg.std + vgg.mean), **options)


def one_scale(a, b, vgg, scales=(1,), **options):
    return perceptual(a, b, vgg, scales=scales, **options)


for wrong in (not_normalised, one_scale):
    with expect_fail(AssertionError):
        check_perceptual(wrong)
