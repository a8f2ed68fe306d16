"""Tokens, their places and what is read from them, on cases that tell a wrong version."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from animlib.backbones.hrnet import Stem
from animlib.core import InputError
from animlib.detectors.tokens import TokenDetector, TransformerCfg, read_tokens, sine_positions
from animlib.detectors.transformer import Attention, TokenLayer

CFG = TransformerCfg(width=16, layers=2, heads=2, patch=2)


def detector(**options):
    return TokenDetector(5, Stem(4, 1), replace(CFG, **options)).eval()


# ---- places ----
def test_sines_and_cosines_take_turns_and_the_last_row_ends_the_turn():
    encoding = sine_positions(4, 2, 8).reshape(4, 2, 8)
    assert_close(encoding[0, 0, :2], torch.tensor([1.0, 0.0]), atol=1e-5, rtol=0)  # a quarter
    assert_close(encoding[3, 0, :2], torch.tensor([0.0, 1.0]), atol=1e-5, rtol=0)  # a whole turn
    slow = torch.tensor(2 * math.pi / 100)
    assert_close(encoding[3, 0, 2:4], torch.stack([slow.sin(), slow.cos()]), atol=1e-5, rtol=0)


def test_places_are_listed_row_after_row():
    encoding = sine_positions(2, 3, 8)
    assert_close(encoding[0, :4], encoding[2, :4])  # the row stands in the first half
    assert_close(encoding[0, 4:], encoding[3, 4:])  # the column in the second


# ---- what is read ----
def test_positions_are_half_the_tangent():
    xy = torch.tensor([[[1.0, -2.0]]])
    kp = read_tokens(xy, torch.tensor([[[1.0, 2.0, 3.0, 4.0]]]))
    assert_close(kp.xy, (xy / 2).tanh())
    assert_close(kp.jac, torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]))


class GivenTokens(TokenDetector):
    "A detector of tokens that are given."

    tokens = torch.randn(2, 10, 16, generator=torch.Generator().manual_seed(0))

    def mix(self, frame, keep=None):
        return self.tokens


def test_of_two_tokens_the_first_are_positions():
    found = GivenTokens(5, Stem(4, 1), replace(CFG, tokens="split")).eval()
    nn.init.normal_(found.heads[1][1].weight)
    kp = found(torch.rand(2, 3, 32, 48))
    assert_close(kp.xy, (found.heads[0](found.tokens[:, :5]) / 2).tanh())
    assert_close(kp.jac.flatten(-2), found.heads[1](found.tokens[:, 5:]))


@pytest.mark.parametrize("tokens", ["joint", "split"])
def test_at_first_nothing_turns(tokens):
    kp = detector(tokens=tokens)(torch.rand(2, 3, 32, 48))
    assert_close(kp.jac, torch.eye(2).expand(2, 5, 2, 2))


def test_frames_of_a_batch_are_apart():
    frames = torch.rand(3, 3, 32, 32)
    net = detector()
    nn.init.normal_(net.heads[0][1].weight)
    assert_close(net(frames[1:2]).xy, net(frames).xy[1:2], atol=1e-5, rtol=0)


def test_keeping_attention_changes_nothing():
    frame = torch.rand(1, 3, 32, 32)
    net = detector()
    assert_close(net.mix(frame, []), net.mix(frame))


@pytest.mark.parametrize(
    "options,message",
    [
        (dict(tokens="single"), "expected joint or split"),
        (dict(positions="twice"), "expected once, every or none, found 'twice'"),
        (dict(attention="both"), "expected unified or separate"),
        (dict(heads=5), "expected a multiple of transformer.heads"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(InputError, match=message):
        detector(**options)


# ---- layers ----
def test_no_token_is_hidden_from_another():
    "The first token's answer depends on the last token: attention is not causal."
    layer = TokenLayer(12, 3)
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    x = torch.randn(1, 5, 12)
    other = torch.cat([x[:, :4], -x[:, 4:]], 1)
    assert (layer(x)[:, 0] - layer(other)[:, 0]).abs().max() > 1e-4


def test_a_layer_adds_to_tokens_of_any_size():
    "With norms after the sum, the size of a token would be lost."
    layer = TokenLayer(12, 3)
    for part in (layer.attention.out, layer.mlp[2]):
        nn.init.zeros_(part.weight)
        nn.init.zeros_(part.bias)
    x = 100 * torch.randn(1, 5, 12)
    assert torch.equal(layer(x), x)


def test_kept_weights_are_those_after_the_softmax():
    attention = Attention(12, 3)
    nn.init.normal_(attention.ask.weight)
    keep = []
    attention(torch.randn(2, 5, 12), keep)
    assert keep[0].min() >= 0
    assert_close(keep[0].sum(-1), torch.ones(2, 3, 5))
