"""Area and spread of contribution maps on cases that tell a wrong version."""

import pytest
import torch
from torch.testing import assert_close

from animlib.animator import Step
from animlib.core import Flow
from animlib.losses.masks import concentration, foreground, foreground_area


def maps_of(*parts):
    "Contribution maps `[1,k+1,h,w]` of these parts; the background is the rest."
    parts = torch.stack(parts)
    return torch.cat([1 - parts.sum(0, keepdim=True), parts])[None]


def block(rows, columns):
    "A map `[9,9]` of ones in a block."
    part = torch.zeros(9, 9)
    part[rows, columns] = 1
    return part


@pytest.mark.parametrize("each", [1.0, 0.1])
def test_area_sums_over_parts(each):
    "Two parts of a ninth each, by norms and not by squares."
    weights = maps_of(block(slice(3), slice(3)) / 2, block(slice(3, 6), slice(6)) / 4)
    share = (4.5 + 4.5) / 81
    assert_close(foreground_area(weights, each), torch.tensor((1 + each) * share))


def test_spread_sums_over_parts_and_leaves_the_background_out():
    "Two pixels a half-width apart along x, in each of two parts; both far from the middle."
    pair = torch.zeros(9, 9)
    pair[0, 0] = pair[0, 2] = 0.3
    weights = maps_of(pair, pair.flip(0, 1))
    assert_close(concentration(weights), torch.tensor(2 * 0.0625))


def test_spread_does_not_see_how_much_there_is():
    part = torch.rand(9, 9, generator=torch.Generator().manual_seed(0)) / 2
    assert_close(
        concentration(maps_of(part)), concentration(maps_of(part / 100)), rtol=1e-4, atol=0
    )


def test_names_belong_to_their_losses():
    weights = maps_of(block(slice(9), slice(4)) / 3)
    step = Step(None, None, None, None, Flow(None, weights), None, None)
    found = foreground(step, 0.1)
    assert_close(found["area"], foreground_area(weights, 0.1))
    assert_close(found["spread"], concentration(weights))
    assert found.keys() == {"area", "spread"}
