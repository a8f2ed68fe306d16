"""Every preset of a paper against the facts of that paper and of its released configs.

The table is written out here, from the papers and from the list of facts about their released
configs, so that a number that drifts in a preset is found. Where neither states one, the table
says `...`, and nothing is compared."""

import math
from dataclasses import dataclass, fields
from types import EllipsisType

import pytest
import torch
from released import RELEASED, Released, tree_of

from animlib.models.names import method_names
from animlib.models.registry import configure, get_method, variant_options
from animlib.options import option_values, set_options
from animlib.training.config import in_steps
from animlib.zoo.official.config import OFFICIAL, official_cfg

Open = EllipsisType


@dataclass(frozen=True)
class Facts:
    "What is known of a training; `...`: neither the paper nor its released config says."

    size: int
    keypoints: int  # keypoints, regions, splines, motion anchors
    batch: int | Open
    epochs: int | Open
    repeats: int | Open
    milestones: tuple[int, ...] | Open  # epochs
    lr: float = 2e-4
    by_identity: bool | Open = ...
    jitter: float | Open = ...
    hue: float | Open = ...
    flip: bool | Open = True
    reverse: bool | Open = True
    rotate: float | Open = 0.0
    resize: float | Open = 0.0


LATE = (60, 90)  # of 100 epochs
EACH = dict(by_identity=True, jitter=0.1, hue=0.1)
GIFS = dict(by_identity=False, jitter=0.0, hue=0.5, resize=0.1)
TURNS = dict(rotate=20.0, jitter=0.1, hue=0.1)
PLAIN = dict(jitter=0.0, hue=0.0)  # Monkey-Net: flips alone
FACTS = {
    "x2face": {"vox": Facts(256, 0, 16, ..., ..., ())},
    "monkeynet": {
        "taichi": Facts(64, 10, 32, 750, ..., (500,), **PLAIN),
        "nemo": Facts(64, 10, ..., 750, ..., ..., **PLAIN),
        "bair": Facts(64, 10, ..., 15, ..., (10,), **PLAIN),
        "mgif": Facts(128, 10, 64, ..., ..., ..., resize=...),
        "vox": Facts(256, 10, 20, 20, ..., (), **PLAIN),
    },
    "fomm": {
        "vox": Facts(256, 10, 40, 100, 75, LATE, **EACH),
        "taichi": Facts(256, 10, 30, 100, 150, LATE, **EACH),
        "fashion": Facts(256, 10, 27, 100, 50, LATE, jitter=0.0, hue=0.1),
        "mgif": Facts(256, 10, 36, 100, 25, LATE, **GIFS),
        "bair": Facts(256, 10, 36, 20, 1, (12, 18)),
        "nemo": Facts(256, 10, 36, 100, 8, LATE, jitter=0.0, hue=0.0),
    },
    "pose_attentive": {
        "vox": Facts(256, 10, ..., ..., ..., ...),
        "taichi": Facts(256, 10, ..., ..., ..., ...),
        "bair": Facts(64, 10, ..., ..., ..., ...),
    },
    "mraa": {
        "vox": Facts(256, 10, 14, 100, 75, LATE, **EACH),
        "taichi": Facts(256, 10, 14, 100, 150, LATE, **EACH),
        "mgif": Facts(256, 10, 14, 100, 50, LATE, **GIFS),
        "ted": Facts(384, 10, 6, 100, 150, LATE, **EACH),
        "ted-youtube": Facts(384, 20, 20, 100, 150, LATE, **EACH),
    },
    "tpsmm": {
        "vox": Facts(256, 10, 28, 100, 75, (70, 90)),
        "taichi": Facts(256, 10, 28, 100, 150, (70, 90)),
        "mgif": Facts(256, 10, 28, 100, 50, (70, 90), resize=...),
        "ted": Facts(384, 10, 12, 100, 150, (70, 90)),
    },
    "dam": {
        "taichi": Facts(256, 10, 48, 100, 150, LATE, by_identity=True),
        "taichi-512": Facts(512, 10, ..., 100, 150, LATE, by_identity=True),
        "vox": Facts(256, 10, 48, 100, 75, LATE, by_identity=True),
        "fashion": Facts(256, 10, 48, 100, 50, LATE),
        "mgif": Facts(256, 10, 48, 100, 25, LATE, resize=...),
    },
    "motion_transformer": {
        "taichi": Facts(256, 10, 64, 100, 250, LATE, flip=False, **TURNS),
        "vox": Facts(256, 10, 64, 100, 150, LATE, jitter=0.1, hue=0.1),
        "ted": Facts(384, 10, 56, 100, 150, LATE, **TURNS),
        "mgif": Facts(256, 10, 64, 100, 50, LATE, jitter=0.0, hue=0.5, resize=0.1),
    },
}
FACTS["hdam"] = FACTS["dam"]
MAIN = dict.fromkeys(("monkeynet", "dam", "hdam", "motion_transformer"), "taichi")  # others: vox
ALL = [(method, data) for method in FACTS for data in FACTS[method]]


def _found(cfg, training) -> Facts:
    "What a preset says."
    return Facts(
        size=cfg.size,
        keypoints=getattr(cfg, "n_tps", getattr(cfg, "n_kp", 0)),  # X2Face has a code
        batch=training.batch,
        epochs=training.epochs,
        repeats=training.repeats,
        milestones=tuple(round(part * (training.epochs or 1)) for part in training.milestones),
        lr=training.lr,
        by_identity=training.id_sampling,
        jitter=training.jitter,
        hue=training.hue,
        flip=training.flip,
        reverse=training.reverse,
        rotate=training.rotate,
        resize=training.resize,
    )


def _differences(facts: Facts, cfg, training) -> list[str]:
    "Every number of a preset that is not what is known."
    found = _found(cfg, training)
    pairs = [(o.name, getattr(facts, o.name), getattr(found, o.name)) for o in fields(Facts)]
    return [
        f"{name}: {fact} expected, found {x}" for name, fact, x in pairs if fact not in (x, ...)
    ]


def test_every_preset_of_a_paper_is_in_the_table():
    "A new preset `paper-...` needs its facts; the main one is called `paper`, too."
    for name in method_names():
        presets = get_method(name).presets
        data_sets = {preset.removeprefix("paper-") for preset in presets if "paper-" in preset}
        assert data_sets == set(FACTS[name]), name
        assert presets["paper"] == presets[f"paper-{MAIN.get(name, 'vox')}"]


@pytest.mark.parametrize("method, data", ALL)
def test_presets_agree_with_papers(method, data):
    preset = get_method(method).presets[f"paper-{data}"]
    assert not _differences(FACTS[method][data], *preset)


def test_a_number_that_drifts_is_found():
    "The comparison sees every fact that it knows, and no other."
    for options in (dict(batch=41), dict(repeats=9), dict(id_sampling=False), dict(size=128)):
        found = _differences(FACTS["fomm"]["vox"], *configure("fomm", "paper", **options))
        assert len(found) == 1
    nothing = Facts(256, 10, ..., ..., ..., ...)
    assert not _differences(nothing, *configure("fomm", "paper", batch=9))


@pytest.mark.parametrize("method, data", ALL)
def test_presets_build_and_take_their_frames(method, data):
    "Model and discriminator run on frames of the preset's size, without memory."
    paper = get_method(method)
    cfg, _ = paper.presets[f"paper-{data}"]
    with torch.device("meta"):
        model = paper.build(cfg)
        assert cfg.size % model.stride == 0
        network = paper.discriminator(cfg) if paper.discriminator else None
        step = model(*torch.empty(2, 1, 3, cfg.size, cfg.size))
        assert step.frame.shape == (1, 3, cfg.size, cfg.size)
        if network is not None:
            network(step.frame, step.kp_d)


# ---- what else the papers or the released configs say ----
def _preset(method, data):
    return get_method(method).presets[f"paper-{data}"]


def test_gradients_are_clipped_as_released():
    "DAM, HDAM, Motion Transformer: the detector's L2 norm; TPSMM: entries, the generator's not."
    for method in ("dam", "hdam", "motion_transformer"):
        for data in FACTS[method]:
            training = _preset(method, data)[1]
            clipping = (training.clip, training.clip_norm, training.clip_parts)
            assert clipping == (1.0, 2.0, ("detector",))
    for data in FACTS["tpsmm"]:
        training = _preset("tpsmm", data)[1]
        assert (training.clip, training.clip_norm, training.weight_decay) == (10.0, math.inf, 1e-4)
        assert training.clip_parts == ("detector", "dense", "background")
    for method in ("fomm", "mraa", "monkeynet"):
        assert all(_preset(method, data)[1].clip == 0 for data in FACTS[method])


def test_monkeynet_follows_its_paper_at_64_px():
    "Section 3.3: the flow by nearest neighbour; 3.6: the driving's covariances; full scale."
    main = get_method("monkeynet").presets["paper"][0]
    assert (main.size, main.sampling.resize) == (64, "nearest")
    for data in ("taichi", "nemo", "bair", "mgif"):
        cfg, _ = _preset("monkeynet", data)
        assert cfg.sampling.resize == "nearest" and cfg.spread.from_driving
        assert cfg.detector.scale == cfg.dense.scale == cfg.generator.pose_scale == 1
        assert cfg.generator.depth == (6 if data == "mgif" else 5)
    assert _preset("monkeynet", "bair")[0].loss.deformed == 10
    assert _preset("monkeynet", "bair")[0].generator.norm == 0  # the sum of each map
    assert _preset("monkeynet", "vox")[0].sampling.resize == "bilinear"  # released: trilinear
    assert _preset("monkeynet", "vox")[0].generator.depth == 7


def test_fomm_has_a_discriminator_where_released():
    weights = {data: _preset("fomm", data)[0].loss for data in FACTS["fomm"]}
    assert {data for data, loss in weights.items() if loss.adversarial == 1} == {
        "fashion", "mgif", "bair", "nemo"
    }  # fmt: skip
    assert all(loss.matching == 10 * loss.adversarial for loss in weights.values())
    assert not _preset("fomm", "fashion")[0].discriminator.spectral
    assert [d for d in weights if _preset("fomm", d)[0].detector.shared_jacobian] == ["mgif"]


def test_mraa_pads_faces_and_has_no_background_for_gifs():
    pads = {data: _preset("mraa", data)[0].detector.pad for data in FACTS["mraa"]}
    assert pads == {"vox": 3} | dict.fromkeys(("taichi", "mgif", "ted", "ted-youtube"), 0)
    kinds = {data: _preset("mraa", data)[0].background.kind for data in FACTS["mraa"]}
    assert [data for data, kind in kinds.items() if kind == "zero"] == ["mgif"]


def test_tpsmm_schedules_are_the_released_ones():
    "Dropout rises over 10 of 100 epochs and ends at 35; the background begins at 10 for faces."
    known = dict(vox=(0.1, 0.3), taichi=(0.0, 0.7), ted=(0.0, 0.5), mgif=(0.2, 0.5))
    for data, rates in known.items():
        cfg, _ = _preset("tpsmm", data)
        dropout = cfg.dropout
        assert (dropout.start, dropout.rate) == rates
        assert (dropout.ramp, dropout.until) == (0.1, 0.35)
        assert cfg.background.start == (0.1 if data == "vox" else 0.0)
        assert cfg.background.kind == ("zero" if data == "mgif" else "affine")


def test_dam_and_hdam_differ_by_intermediate_anchors():
    "Background and Jacobians of their own on TaiChiHD alone; three intermediate anchors, MGif 4."
    for data in FACTS["dam"]:
        dam, hdam = (_preset(method, data)[0] for method in ("dam", "hdam"))
        taichi = data.startswith("taichi")
        assert dam.background.kind == ("affine" if taichi else "zero")
        assert dam.detector.shared_jacobian == (not taichi)
        assert dam.generator.skips == (data != "mgif")
        assert dam.n_intermediate == 0
        assert hdam.n_intermediate == (4 if data == "mgif" else 3)


def test_motion_transformer_starts_from_imagenet_and_counts_its_patches():
    "Section 4: HRNet-W32 of ImageNet; 256 patches at 256 px, 576 at 384; masks on TaiChiHD."
    for data in FACTS["motion_transformer"]:
        cfg, training = _preset("motion_transformer", data)
        assert training.pretrained and cfg.backbone.width == 32
        assert cfg.generator.skips == (data in ("taichi", "vox"))
        patches = (cfg.size // (4 * cfg.transformer.patch)) ** 2
        assert patches == (576 if cfg.size == 384 else 256)
        assert cfg.loss.masks == (0.1 if data == "taichi" else 0.0)
        assert cfg.background.kind == ("affine" if data == "taichi" else "zero")
    others = [name for name in FACTS if name != "motion_transformer"]
    assert not any(_preset(name, data)[1].pretrained for name in others for data in FACTS[name])


def test_steps_of_a_data_set():
    "FOMM on TaiChiHD, whose 2867 training clips are 2867 identities here."
    _, training = _preset("fomm", "taichi")
    assert in_steps(training, 2867).steps == 100 * (150 * 2867 // 30) == 1_433_500


# ---- every option against the released configs ----
SAME_DATA = {"moving-gif": "mgif", "voxceleb1": "vox", "UnwrapMosaic": "vox"}  # names of files
TORCH = {  # all methods
    "sampling.corners": "how the torch of its time read images",
    "sampling.resize_corners": "how the torch of its time resized maps",
}
DAM = {
    "loss.warped": "the paper warps the driving frame",
    "loss.second_pass": "a loss that is not in the paper",
}
ALLOWED: dict[str, dict[str, str]] = {  # method -> option that differs from the released: why
    "x2face": {},
    "monkeynet": {
        "spread.factor": "eq. 2 has no half",
        "spread.from_driving": "section 3.6",
        "loss.detach": "section 3.5",
        "loss.matching_last": "section 3.5: one weight for every layer",
    },
    "fomm": {  # where nothing is trained against a discriminator
        "loss.matching": "a weight that stands in the config and is not used",
        "discriminator.spectral": "of a discriminator that is not made",
    },
    "mraa": {},
    "tpsmm": {
        "motion.stiff": "its splines pass through their points",
        "motion.stiff_sides": "its splines pass through their points",
        "dropout.rescale": "eq. 7 and 8 keep the expected sum; without effect as released",
        "loss.warp_masked": "eq. 13 has no mask",
    },
    "dam": DAM | {"loss.min_coverage": "HDAM's; DAM has no attention"},
    "hdam": DAM
    | {
        "loss.motion_prior": "eq. 15: weight 1",
        "loss.intermediate_prior": "eq. 15: weight 1; eq. 14 is a sum",
        "loss.overlap": "a loss that is not in the paper",
        "loss.coverage": "a loss that is not in the paper",
        "detector.attention_divisor": "the number of features, as attention is defined",
        "detector.ignored": "anchors of one training, chosen after it",
    },
    "motion_transformer": {
        "transformer.positions": "added once; before every layer as released",
        "transformer.tokens": "one token for place and matrix; two as released",
        "loss.matrices": "of points alone",
        "loss.each": "eq. 11 has no such weight",
        "loss.masks": "section 3.3: a weight of 0.1",
    },
}
# `adv`: another training of the same networks, with a discriminator
COMPARED = [o for o in RELEASED if "adv" not in o.name]


def _released_data(released: Released) -> str:
    "The data set of a yaml: the longest of its method that its name begins with."
    name = SAME_DATA.get(released.name, released.name)
    return max((data for data in FACTS[released.method] if name.startswith(data)), key=len)


def _released_cfg(released: Released):
    "What a yaml says of the model, of its discriminator, and of the weights of its losses."
    tree = tree_of(released)
    cfg = official_cfg(released.method, tree)
    return set_options(cfg, OFFICIAL[released.method].discriminator_options(tree))


def _unlike(cfg, released: Released) -> set[str]:
    "Options that differ; the side of the frames only where the yaml names one."
    found, known = (option_values(o) for o in (cfg, _released_cfg(released)))
    differing = {name for name, value in known.items() if found[name] != value}
    named = released.tree.get("dataset_params", {}).get("frame_shape") is not None
    return differing if named else differing - {"size"}


def test_every_released_data_set_has_a_preset():
    "Those without a released config are known."
    compared = {(released.method, _released_data(released)) for released in COMPARED}
    alone = {o for o in ALL if o not in compared}
    no_code = {("pose_attentive", data) for data in FACTS["pose_attentive"]}
    assert alone == no_code | {("dam", "taichi-512"), ("hdam", "taichi-512")}


@pytest.mark.parametrize("released", COMPARED, ids=lambda o: f"{o.method}-{o.name}")
def test_presets_are_the_released_networks(released):
    "Every option, sizes of the networks included; what the paper says otherwise is listed."
    cfg, _ = _preset(released.method, _released_data(released))
    assert not _unlike(cfg, released) - set(ALLOWED[released.method] | TORCH)


@pytest.mark.parametrize("method", ALLOWED)
def test_every_allowed_difference_is_one(method):
    "What no preset does otherwise must leave the list."
    found: set[str] = set()
    for released in COMPARED:
        if released.method == method:
            found |= _unlike(_preset(method, _released_data(released))[0], released)
    assert found - set(TORCH) == set(ALLOWED[method])


def test_a_width_that_drifts_is_found():
    nemo = next(o for o in RELEASED if (o.method, o.name) == ("monkeynet", "nemo"))
    cfg = set_options(_preset("monkeynet", "nemo")[0], {"dense.max_width": 1024})
    assert _unlike(cfg, nemo) - set(ALLOWED["monkeynet"] | TORCH) == {"dense.max_width"}


HDAM = [o for o in COMPARED if o.method == "hdam"]


@pytest.mark.parametrize("released", HDAM, ids=lambda o: o.name)
def test_hdams_released_variant_is_the_released_config(released):
    "On every data set; the anchors to be ignored are those of one training, and stay out."
    cfg, _ = _preset("hdam", _released_data(released))
    cfg = set_options(cfg, variant_options("hdam", "all of the released code", cfg))
    assert _unlike(cfg, released) <= {"detector.ignored", *TORCH}
