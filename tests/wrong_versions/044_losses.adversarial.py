"Wrong versions that the checks of chapter 044 refuse; they run below its cells."

from fastcore.test import expect_fail

from animlib.losses.reconstruction import Term

# %% after c09
with expect_fail(AssertionError):
    check_lsgan(lambda real, fake: lsgan_discriminator(fake, real), lsgan_generator)


# %% after c14
def squared(real, fake, weights):
    return sum(w * (a - b).square().mean() for w, a, b in zip(weights, real, fake))


with expect_fail(AssertionError):
    check_matching(squared)


# %% after c27e
def discriminator_side(discriminator, adversarial, matching):
    def fn(step):
        scores = [discriminator(x, step.kp_d.detach())[0][-1] for x in (step.driving, step.frame)]
        return dict(adversarial=lsgan_discriminator(*scores), matching=0)

    return Term(1.0, fn)


with expect_fail(AssertionError):
    check_generator_side(discriminator_side)
with expect_fail(AssertionError):
    # a discriminator that changes with the generator
    check_frozen(lambda d, *weights: adversarial_term(d.requires_grad_(True), *weights))


# %% after c31a
def roles_swapped(discriminator):
    (term,) = discriminator_terms(discriminator).values()

    def fn(step):
        return term.fn(step_of(step.driving, step.frame, step.kp_d))

    return dict(discriminator=Term(1.0, fn))


with expect_fail(AssertionError):
    check_discriminator_side(roles_swapped)
