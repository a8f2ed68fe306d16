"""Thin-plate splines: wrong versions are told from right ones, wrong inputs are named."""

import math

import pytest
import torch
from torch.testing import assert_close

from animlib.core import InputError
from animlib.geometry import identity_grid, point_jacobian
from animlib.splines import Spline, fit_tps, random_spline, tps_kernel, tps_slope

ORIGIN = torch.zeros(1, 2)


def random_points(seed: int, n: int = 6) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(3, n, 2, generator=generator).double() * 2 - 1


# ---- the kernel ----
def test_the_released_distance_is_along_the_axes():
    found = tps_kernel(torch.tensor([[1.0, -1]]), ORIGIN, "l1")
    assert_close(found, torch.tensor([[4 * math.log(2)]]), atol=1e-4, rtol=0)


@pytest.mark.parametrize("metric", ["r2", "l1"])
def test_the_slope_is_zero_at_a_control_point(metric):
    assert (tps_slope(ORIGIN, ORIGIN, metric) == 0).all()


@pytest.mark.parametrize("f", [tps_kernel, tps_slope])
def test_an_unknown_distance_is_refused(f):
    with pytest.raises(InputError, match="'r2' or 'l1'"):
        f(ORIGIN, ORIGIN, "l2")


# ---- the fit ----
D, S = random_points(0), random_points(1)
FAR = torch.randn(3, 9, 2, generator=torch.Generator().manual_seed(2)).double() * 2
THETA = torch.randn(3, 2, 3, generator=torch.Generator().manual_seed(3)).double()


def affine_map(z):
    return z @ THETA[..., :2].mT + THETA[..., None, :, 2]


def check_fit(fit):
    "It interpolates, reproduces affine maps, and its weights are those of r^2 log r^2."
    assert_close(fit(D, S)(D), S, atol=1e-6, rtol=0)
    assert_close(fit(D, affine_map(D))(FAR), affine_map(FAR), atol=1e-5, rtol=0)
    cross = torch.tensor([[1.0, 0], [-1, 0], [0, 1], [0, -1]]).double()
    lift = torch.tensor([[0, 1.0], [0, 1], [0, -1], [0, -1]]).double()
    assert_close(fit(cross, lift).weights, lift / (4 * math.log(2)), atol=1e-5, rtol=0)


def r_log_r(a, b):
    r = torch.cdist(a, b)
    return r * (r + 1e-9).log()


class RLogR(Spline):
    def __call__(self, xy):
        bumps = r_log_r(xy, self.centres) @ self.weights
        return xy @ self.affine[..., :2].mT + self.affine[..., None, :, 2] + bumps


def naive(d, s, U=tps_kernel, sides=True, kind=Spline):
    "The same system with pieces to break."
    n = d.shape[-2]
    P = torch.cat([d, torch.ones_like(d[..., :1])], -1)
    upper = torch.cat([U(d, d), P], -1)
    if sides:
        lower = torch.cat([P.mT, torch.zeros_like(P[..., :3, :])], -1)
        targets = torch.cat([s, torch.zeros_like(s[..., :3, :])], -2)
        solution = torch.linalg.solve(torch.cat([upper, lower], -2), targets)
    else:
        solution = torch.linalg.pinv(upper) @ s  # many solutions; take the shortest
    return kind(d, solution[..., :n, :], solution[..., n:, :].mT)


@pytest.mark.parametrize("fit", [fit_tps, naive])
def test_right_fits(fit):
    check_fit(fit)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda d, s: naive(d, s, r_log_r, kind=RLogR),
        lambda d, s: naive(d, s, sides=False),
        lambda d, s: fit_tps(s, d),  # the frames exchanged
        lambda d, s: fit_tps(d, s.flip(-1)),  # x and y exchanged
        lambda d, s: fit_tps(d, s, stiff=0.01),  # no longer interpolates
        lambda d, s: fit_tps(d, s, stiff=0.01, stiff_sides=0.01),  # nor affine
    ],
)
def test_wrong_fits_are_found(wrong):
    with pytest.raises(AssertionError):
        check_fit(wrong)


def energy_by_sum(f, half=4, n=640):
    "The integral of eq. 1 by second differences; what lies outside falls as 1/half^2."
    z = identity_grid(n, n, like=D) * half
    step = 2 * half / (n - 1)
    v = torch.cat([f(rows.flatten(0, 1)) for rows in z.split(32)]).reshape(n, n, 2)
    middle = v[1:-1, 1:-1]
    f_xx = v[1:-1, 2:] - 2 * middle + v[1:-1, :-2]
    f_yy = v[2:, 1:-1] - 2 * middle + v[:-2, 1:-1]
    f_xy = (v[2:, 2:] - v[2:, :-2] - v[:-2, 2:] + v[:-2, :-2]) / 4
    return (f_xx**2 + 2 * f_xy**2 + f_yy**2).sum() / step**2


@pytest.mark.parametrize("balanced", [True, False])
def test_the_energy_in_closed_form_is_the_integral(balanced):
    spline = fit_tps(D[0], S[0])
    weights = spline.weights if balanced else spline.weights + 0.2
    spline = Spline(spline.centres, weights, spline.affine)
    close = abs(energy_by_sum(spline) / spline.bending() - 1) < 0.02
    assert close == balanced  # the formula needs the side conditions


# ---- the derivative ----
@pytest.mark.parametrize("metric", ["r2", "l1"])
def test_the_jacobian_is_that_of_automatic_differentiation(metric):
    spline = Spline(D[0], S[0], THETA[0], metric)
    found = spline.jacobian(FAR[0])
    assert_close(found, point_jacobian(spline, FAR[0]), atol=1e-6, rtol=0)
    assert not torch.allclose(found, found.mT)  # rows are outputs, columns inputs
    assert spline.jacobian(D[0]).isfinite().all()  # at a control point too


# ---- random splines ----
def test_shared_weights_bend_along_the_diagonal_only():
    z = identity_grid(9, 9)
    shift = random_spline(8, 0.0, 0.05, shared=True).grid((9, 9)) - z
    assert_close(shift[..., 0], shift[..., 1])
    own = random_spline(8, 0.0, 0.05).grid((9, 9)) - z
    assert (own[..., 0] - own[..., 1]).abs().max() > 0.01


def test_the_generator_decides():
    first, second, third = (
        random_spline(2, generator=torch.Generator().manual_seed(seed)).weights
        for seed in (0, 0, 1)
    )
    assert torch.equal(first, second) and not torch.equal(first, third)


# ---- wrong inputs ----
LINE = torch.stack([torch.linspace(-0.8, 0.8, 5), 0.3 * torch.linspace(-0.8, 0.8, 5)], -1)
TARGETS = random_points(4, 5)[0].float()
TWICE = TARGETS[[0, 1, 2, 3, 3]]


@pytest.mark.parametrize(
    "points,targets,message",
    [
        (LINE, TARGETS, "5 control points lie on a line"),
        (torch.stack([TARGETS, LINE]), torch.stack([TARGETS] * 2), "of spline 1 lie on a line"),
        (TWICE, TARGETS, "coincide"),
        (TARGETS[:2], TARGETS[:2], "at least 3"),
        (TARGETS, TARGETS[:4], r"got \(5, 2\) and \(4, 2\)"),
    ],
)
def test_points_without_a_spline_are_named(points, targets, message):
    with pytest.raises(InputError, match=message):
        fit_tps(points, targets)


def test_a_stiff_spline_may_miss_points_that_coincide():
    assert fit_tps(TWICE, TARGETS, stiff=0.1)(TARGETS).isfinite().all()
