"""Motion Transformer's two forms of attention: eq. 5 (two softmaxes, added) and eq. 7 (one)."""

from dataclasses import asdict

import pytest
import torch
from torch.testing import assert_close

from animlib.core import InputError
from animlib.detectors.tokens import TransformerCfg
from animlib.detectors.transformer import Attention, SeparateAttention
from animlib.models.motion_transformer import METHOD
from animlib.models.registry import build
from animlib.zoo.files import header_config
from animlib.zoo.hub import load

M = 2  # motion tokens


def even(kind, n):
    "Attention with equal scores, whose values are the tokens themselves."
    attention = kind(M, 4, 1) if kind is SeparateAttention else kind(4, 1)
    attention.ask.weight.data = torch.cat([torch.zeros(8, 4), torch.eye(4)])
    attention.out.weight.data = torch.eye(4)
    attention.out.bias.data.zero_()
    return attention


@pytest.mark.parametrize("n", (3, 100))
def test_equal_scores_have_known_answers(n):
    "Motion tokens hold 1, n patches hold 5: eq. 5 adds the means, eq. 7 averages over all."
    x = torch.cat([torch.ones(1, M, 4), 5 * torch.ones(1, n, 4)], 1)
    added = even(SeparateAttention, n)(x)
    mean = even(Attention, n)(x)[:, :M]
    assert_close(added, torch.full((1, M, 4), 6.0))
    assert_close(mean, torch.full((1, M, 4), (M + 5 * n) / (M + n)))


def test_what_was_trained_before_the_option_has_one_softmax():
    cfg = asdict(METHOD.presets["nano"][0])
    del cfg["transformer"]["attention"]
    header = dict(format="animlib 2", method="motion_transformer", cfg=cfg)
    assert header_config(header, "a file").transformer.attention == "unified"
    assert load("motion_transformer-body").cfg.transformer.attention == "unified"
    assert TransformerCfg() == METHOD.presets["paper"][0].transformer


def test_the_kinds_share_their_weights_and_differ_in_their_frames():
    unified = load("motion_transformer-body")
    separate = build("motion_transformer", "nano", **{"transformer.attention": "separate"})
    separate.load_state_dict(unified.state_dict())
    separate.eval()
    frame = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert (separate.detector(frame).xy - unified.detector(frame).xy).abs().max() > 0.01


def test_separate_attention_trains():
    model = build("motion_transformer", "toy", **{"transformer.attention": "separate"})
    model(*torch.rand(2, 1, 3, 32, 32)).frame.mean().backward()
    assert all(p.grad is not None for p in model.detector.layers.parameters())


def test_another_kind_is_refused():
    with pytest.raises(InputError, match="unified or separate, found 'both'"):
        build("motion_transformer", "toy", **{"transformer.attention": "both"})
