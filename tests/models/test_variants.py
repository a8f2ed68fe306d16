"""Variants are changes relative to a preset; at `paper` they are the rows of the papers' tables."""

import pytest
import torch

from animlib.models.names import MODULES
from animlib.models.registry import configure, get_method, variant_options
from animlib.options import option_values, set_options
from animlib.run.ablate import variants_of

# What every variant changes at `paper`, with the table that it is from.
PAPER = {
    "x2face": {},
    "fomm": {},
    "monkeynet": {  # table 2
        "no F": {"dense.coarse": False, "dense.residual": False},
        "no F_residual": {"dense.residual": False},
        "no F_coarse": {"dense.coarse": False},
        "no Sigma": {"spread.learned": False},
        "no x": {"dense.appearance": False},
        # in no table
        "no discriminator": {
            "loss.adversarial": 0.0,
            "loss.matching": 0.0,
            "loss.matching_last": 0.0,
        },
    },
    "pose_attentive": {
        "no cross-identity": {"loss.cross": 0.0},  # table 3
        "concat": {"retrieval.kind": "concat"},  # table 5
        "nearest": {"retrieval.kind": "nearest"},  # table 5
        "average": {"retrieval.kind": "average"},  # table 5
        # open choices, in no table
        "scaled": {"retrieval.scale": 128**-0.5},
        "decoder sees pose": {"decoder.sees_pose": True},
        "detached": {"loss.detach": True},
        "with discriminator": {},  # the paper has one
        "no discriminator": {"loss.adversarial": 0.0, "loss.matching": 0.0},
    },
    "mraa": {  # one idea less each
        "predicted axes": {"detector.pca": False},
        "no sign fix": {"fix_axes": False},
        "no background": {"background.kind": "zero"},
        "round Gaussians": {"dense.ellipses": False},
    },
    "tpsmm": {  # table 4: what a row still lacks
        "TPS": {
            "dropout.rate": 0.0,
            "dropout.start": 0.0,
            "dense.multi_mask": False,
            "loss.consistency": 0.0,
            "loss.warping": 0.0,
        },
        "+ dropout": {"dense.multi_mask": False, "loss.consistency": 0.0, "loss.warping": 0.0},
        "+ multi-masks": {"loss.consistency": 0.0, "loss.warping": 0.0},
        "+ L_bg": {"loss.warping": 0.0},
    },
    "dam": {  # table 1 compares with FOMM, which has no prior; others are as released
        "no prior": {"loss.motion_prior": 0.0},
        "no background": {"background.kind": "zero"},
        "source warped": {"loss.warped": "source"},
        "positions alone": {"loss.matrices": False},  # eq. 11 as printed
        "second pass": {"loss.second_pass": 1.0},
    },
    "hdam": {
        "2 intermediate": {"n_intermediate": 2},  # table 4
        "4 intermediate": {"n_intermediate": 4},  # table 4
        "5 intermediate": {"n_intermediate": 5},  # table 4
        "6 intermediate": {"n_intermediate": 6},  # table 4
        "5 motion": {"n_kp": 5},  # table 3
        "20 motion": {"n_kp": 20},  # table 3
        # the released code: all weights 10, one a mean over three of weight 1
        "released axis": {"detector.attention_divisor": 3},
        "kept apart, none left out": {"loss.overlap": 10.0, "loss.coverage": 10.0},
        "all of the released code": {
            "loss.warped": "source",
            "loss.motion_prior": 10.0,
            "loss.intermediate_prior": 1 / 3,
            "loss.overlap": 10.0,
            "loss.coverage": 10.0,
            "loss.second_pass": 1.0,
            "detector.attention_divisor": 3,
        },
    },
    "motion_transformer": {
        "no positions": {"transformer.positions": "none"},  # table 4
        "stem alone": {"backbone.kind": "stem"},  # table 5
        "half as wide again": {"backbone.width": 48},  # table 5: HRNet-W48
        "a third of the layers": {"transformer.layers": 4},  # table 6
        "two thirds of the layers": {"transformer.layers": 8},  # table 6
        # as released, or in no table
        "positions in every layer": {"transformer.positions": "every"},
        "two tokens each": {"transformer.tokens": "split"},
        "two attentions": {"transformer.attention": "separate"},  # eq. 5 instead of eq. 7
        "no mask losses": {"loss.masks": 0.0},
    },
}
# The parameters of Motion Transformer's table 5, in millions: of the motion estimator alone.
TABLE_5 = {"stem alone": 5.56, "full": 12.23, "half as wide again": 21.30}


def changed_fields(method, variant, preset="paper"):
    "Dotted options of the model that are not the preset's."
    cfg, _ = configure(method, preset)
    after = option_values(set_options(cfg, variant_options(method, variant, cfg)))
    before = option_values(cfg)
    return {name: value for name, value in after.items() if value != before[name]}


@pytest.mark.parametrize("method", MODULES)
def test_variants_at_paper_are_the_papers_tables(method):
    found = {name: changed_fields(method, name) for name in get_method(method).variants}
    assert found == {"full": {}, **PAPER[method]}


@pytest.mark.parametrize("method", MODULES)
def test_every_variant_of_the_paper_can_be_built(method):
    cfg, _ = configure(method, "paper")
    for name in get_method(method).variants:
        with torch.device("meta"):
            model = get_method(method).build(set_options(cfg, variant_options(method, name, cfg)))
        assert sum(p.numel() for p in model.parameters()) > 1_000_000, name


@pytest.mark.parametrize("method", MODULES)
def test_variants_hold_at_every_preset(method):
    "A variant changes the same options everywhere; what changes nothing is not in the ablation."
    for preset in get_method(method).presets:
        listed = variants_of(method, preset)
        assert listed["full"] == {}
        for name in get_method(method).variants:
            changed = changed_fields(method, name, preset)
            assert bool(changed) == (name in listed and name != "full"), (preset, name)
            allowed = {*PAPER[method].get(name, {}), "loss.adversarial", "loss.matching"}
            assert set(changed) <= allowed, (preset, name)


# What a preset of a data set already is: (method, variant) -> the sets on which it changes nothing.
SAME = {
    ("pose_attentive", "with discriminator"): {"vox", "taichi", "bair"},
    ("mraa", "no background"): {"mgif"},
    ("dam", "no background"): {"vox", "fashion", "mgif"},
    ("hdam", "4 intermediate"): {"mgif"},
    ("motion_transformer", "no mask losses"): {"vox", "ted", "mgif"},
}


@pytest.mark.parametrize("method", MODULES)
def test_variants_that_change_nothing_on_a_data_set_are_known(method):
    found: dict[tuple[str, str], set[str]] = {}
    for preset in get_method(method).presets:
        if preset.startswith("paper-"):
            for name in get_method(method).variants.keys() - variants_of(method, preset).keys():
                found.setdefault((method, name), set()).add(preset.removeprefix("paper-"))
    assert found == {key: sets for key, sets in SAME.items() if key[0] == method}


@pytest.mark.parametrize(("variant", "millions"), TABLE_5.items())
def test_parameters_of_table_5(variant, millions):
    cfg, _ = configure("motion_transformer", "paper")
    with torch.device("meta"):
        model = get_method("motion_transformer").build(
            set_options(cfg, variant_options("motion_transformer", variant, cfg))
        )
    n = sum(p.numel() for p in model.detector.parameters())
    assert round(n / 1e6, 2) == millions


def test_toy_is_changed_by_its_own_measures():
    assert changed_fields("motion_transformer", "half as wide again", "toy") == {
        "backbone.width": 12
    }
    assert changed_fields("pose_attentive", "scaled", "nano") == {"retrieval.scale": 0.125}
    released = changed_fields("hdam", "all of the released code", "toy")
    assert released["loss.motion_prior"] == 1.0 and released["loss.overlap"] == 1.0
    assert released["loss.intermediate_prior"] == pytest.approx(0.1 / 3)


def test_a_preset_that_was_changed_is_what_a_variant_is_relative_to():
    wide = variants_of("motion_transformer", "toy", **{"backbone.width": 20})
    assert wide["half as wide again"] == {"backbone.width": 30}
