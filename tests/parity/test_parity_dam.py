"""DAM and HDAM against the official code.

Numbers that it gave for small random weights (tests/golden/{dam,hdam}.*), the names and shapes of
the released checkpoints (tests/golden/*_keys.json), and models of other sizes. No network, no
download."""

from dataclasses import replace
from functools import lru_cache

import pytest
import torch
from golden import (
    Golden,
    assert_counts,
    assert_misses,
    assert_near,
    assert_same_loss,
    assert_uses_all,
    both_conventions,
    count,
    make_state,
    random_state,
    shapes_of,
    zeros_and_blur,
)
from layer_shapes import (
    anti_alias,
    background,
    conv,
    generator_options,
    generator_with_dense_motion,
    hourglass,
    hourglass_options,
    hourglass_width,
    norm,
)

from animlib.blocks import fold_norms
from animlib.core import InputError
from animlib.geometry import Sampling, warp
from animlib.losses.anchors import root_prior
from animlib.losses.equivariance import equivariance, jacobian_error, position_error
from animlib.losses.hierarchy import attention_overlap, coverage_gap, hierarchy_prior
from animlib.models import hdam
from animlib.options import set_options
from animlib.training.state import save_model
from animlib.zoo.convert import from_official
from animlib.zoo.files import read_model

METHODS = ("dam", "hdam")
GOLDEN = {name: Golden(name, "kp_detector", "generator", "bg_predictor") for name in METHODS}
N_MIDDLE = dict(dam=0, hdam=3)  # intermediate anchors of the released models
both_methods = pytest.mark.parametrize("method", METHODS)


@lru_cache(None)
def step(method, aligned, camera=True):
    "One pass of the converted model."
    golden = GOLDEN[method]
    model = golden.model(aligned)
    source, driving = golden.input("source"), golden.input("driving")
    with torch.no_grad():
        if camera:
            return model(source, driving)
        return model.drive(model.prepare(source), model.detector(driving))


def random_warp(method):
    "The draw of the equivariance loss; the official distance is L1."
    return GOLDEN[method].random_warp("l1")


# ---- numbers of the official code ----
@both_methods
@both_conventions
def test_anchors(method, aligned):
    golden = GOLDEN[method]
    out = step(method, aligned)
    for keypoints, name in ((out.kp_s, "kp_source"), (out.kp_d, "kp_driving")):
        assert_near(keypoints.whole.xy, golden.output(f"{name}.value", aligned), 1e-5)
        assert_near(keypoints.whole.jac, golden.output(f"{name}.jacobian", aligned), 1e-4)


@both_methods
@both_conventions
def test_latent_anchors_are_told_apart(method, aligned):
    kp_d = step(method, aligned).kp_d
    n_latent = dict(dam=1, hdam=3)  # the root and, in HDAM, two intermediate anchors
    n_motion = 5

    assert kp_d.xy.shape[1] == n_motion
    assert kp_d.extra.xy.shape[1] == n_latent[method]
    heatmaps = GOLDEN[method].output("kp_driving.heatmap", aligned)
    assert_near(kp_d.heat, heatmaps[:, :n_motion], 1e-5)


@both_methods
@both_conventions
def test_features_of_the_detector(method, aligned):
    golden = GOLDEN[method]
    features, _ = golden.model(aligned).detector.look(golden.input("driving"))
    assert_near(features, golden.output("kp_driving.feature_map", aligned), 1e-4)


@both_conventions
def test_attention(aligned):
    attention = step("hdam", aligned).kp_d.extra.attention
    ignored = attention[..., 1]

    assert_near(attention, GOLDEN["hdam"].output("attention", aligned), 1e-5)
    assert (ignored == 0).all()
    assert step("dam", aligned).kp_d.extra.attention is None


@both_methods
@both_conventions
def test_motion(method, aligned):
    golden = GOLDEN[method]
    out = step(method, aligned)
    assert_near(out.camera, golden.output("bg_params", aligned), 1e-5)
    assert_near(out.flow.weights, golden.output("mask", aligned), 1e-4)
    assert_near(out.flow.warp.grid, golden.output("deformation", aligned), 1e-4)
    assert_near(out.flow.visible[0], golden.output("occlusion_map", aligned), 1e-4)


@both_methods
@both_conventions
def test_frames(method, aligned):
    golden = GOLDEN[method]
    out = step(method, aligned)
    still = step(method, aligned, camera=False)
    assert_near(out.flow.warp(out.source), golden.output("deformed", aligned), 1e-4)
    assert_near(out.frame, golden.output("prediction", aligned), 2e-4)
    assert_near(still.frame, golden.output("prediction_nobg", aligned), 2e-4)


@both_methods
@both_conventions
def test_equivariance_is_of_the_source_and_of_all_anchors(method, aligned):
    golden = GOLDEN[method]
    spline = random_warp(method)
    model = golden.model(aligned)

    grid = spline.grid((64, 64))
    frame = warp(golden.input("source"), grid, "reflection", model.cfg.sampling)
    keypoints = step(method, aligned).kp_s.whole
    transformed = model.detector(frame).whole

    assert model.cfg.loss.warped == "source"
    assert_near(frame, golden.output("transformed_frame", aligned), 1e-4)
    position = 10 * position_error(keypoints, transformed, spline)
    assert_same_loss(position, golden.loss("equivariance_value", aligned))
    jacobian = 10 * jacobian_error(keypoints, transformed, spline)
    assert_same_loss(jacobian, golden.loss("equivariance_jacobian", aligned), 1e-3)


@both_methods
def test_the_loss_term_itself(method):
    "It warps by our one convention."
    golden = GOLDEN[method]
    losses = equivariance(step(method, True), "source", transform=random_warp(method))

    assert set(losses) == {"xy", "jac"}
    assert_same_loss(10 * losses["xy"], golden.loss("equivariance_value", True), 1e-3)
    assert_same_loss(10 * losses["jac"], golden.loss("equivariance_jacobian", True), 1e-3)


@both_conventions
def test_root_loss(aligned):
    official = GOLDEN["dam"].loss("root_motion_kp_distance", aligned)
    weight = GOLDEN["dam"].model(aligned).cfg.loss.motion_prior
    assert_same_loss(weight * root_prior(step("dam", aligned)), official)


@both_conventions
def test_weights_of_the_hierarchy_losses(aligned):
    cfg = GOLDEN["hdam"].model(aligned).cfg
    assert cfg.loss.motion_prior == 10.0
    assert cfg.loss.intermediate_prior == 0.5  # a mean over two
    assert cfg.loss.overlap == 10.0
    assert cfg.loss.coverage == 10.0
    assert cfg.loss.min_coverage == 0.6
    assert cfg.detector.ignored == (1,)


@both_conventions
def test_hierarchy_losses(aligned):
    golden = GOLDEN["hdam"]
    out = step("hdam", aligned)
    cfg = golden.model(aligned).cfg
    ignored = (1,)
    attention = out.kp_d.extra.attention

    parts = hierarchy_prior(out)

    weights = cfg.loss
    motion = weights.motion_prior * parts["motion"]
    prior = motion + weights.intermediate_prior * parts["middle"]
    assert_same_loss(prior, golden.loss("root_motion_kp_distance", aligned))
    overlap = 10 * attention_overlap(attention, ignored)
    assert_same_loss(overlap, golden.loss("sub_attetion_distance", aligned))
    coverage = 10 * coverage_gap(attention, 0.6, ignored)
    assert_same_loss(coverage, golden.loss("complete_sub_leaf_attention", aligned))


def test_the_table_of_losses_is_the_released_one():
    golden = GOLDEN["hdam"]
    out = step("hdam", True)
    table = hdam.METHOD.losses(
        set_options(golden.model(True).cfg, {"loss.reconstruction": "pyramid"})
    )

    prior = sum(table["prior"].fn(out).values())
    assert_same_loss(prior, golden.loss("root_motion_kp_distance", True))
    overlap = table["overlap"].weight * table["overlap"].fn(out)
    assert_same_loss(overlap, golden.loss("sub_attetion_distance", True))
    coverage = table["coverage"].weight * table["coverage"].fn(out)
    assert_same_loss(coverage, golden.loss("complete_sub_leaf_attention", True))


# ---- the same frames by every way ----
def four_frames(method):
    "The two driving frames, and the sources mirrored."
    golden = GOLDEN[method]
    return torch.cat([golden.input("driving"), golden.input("source").flip(3)])


@both_methods
def test_two_speeds_are_one_model(method):
    golden = GOLDEN[method]
    model = golden.model(True)
    frames = four_frames(method)
    prepared = model.prepare(golden.input("source")[:1])
    keypoints = model.detector(frames)

    together = model.drive(prepared, keypoints, frames).frame

    alone = [model.drive(prepared, keypoints[[i]], frames[[i]]).frame for i in range(4)]
    assert_near(together, torch.cat(alone), 1e-4)


@both_methods
def test_latent_anchors_are_for_training_alone(method):
    golden = GOLDEN[method]
    model = golden.model(True)
    frames = four_frames(method)
    prepared = model.prepare(golden.input("source")[:1])
    keypoints = model.detector(frames)

    bare = replace(keypoints, extra=None)
    bare_source = replace(prepared, kp=replace(prepared.kp, extra=None))

    frame = model.drive(prepared, keypoints, frames).frame
    assert torch.equal(model.drive(bare_source, bare, frames).frame, frame)


@both_methods
@both_conventions
def test_through_our_file_folded(method, aligned, tmp_path):
    golden = GOLDEN[method]
    model = golden.model(aligned)
    save_model(tmp_path / "m.safetensors", model, **model.info)
    back = read_model(tmp_path / "m.safetensors")

    assert back.cfg == model.cfg
    assert back.cfg.sampling == Sampling(aligned, False)
    assert back.method == method
    out = fold_norms(back)(golden.input("source"), golden.input("driving"))
    assert_near(out.frame, step(method, aligned).frame, 1e-4)
    if method == "hdam":
        assert_near(out.kp_d.extra.attention, step(method, aligned).kp_d.extra.attention, 1e-5)


# ---- other sizes ----
def official_config(
    motion=10,
    middle=0,
    det=(32, 1024, 5, 0.25),
    dense=(64, 1024, 5, 0.25),
    gen=(64, 512, 2, 6),
    bg=(32, 1024, 5),
    kind="affine",
    camera=True,
    occlusion=True,
    skips=True,
    shared=False,
    look=64,
    ignored=(),
):
    "A config as the official code reads it; by default that of DAM's paper."
    detector = dict(
        temperature=0.1,
        **hourglass_options(*det),
        subroot_leaf_attention=middle > 0,
        attention_scale=1,
        attention_channel=look,
        detach_feature=False,
        ignore_kp_list=list(ignored),
        single_jacobian_map=shared,
    )
    generator = dict(
        **generator_options(*gen),
        estimate_occlusion_map=occlusion,
        skips=skips,
        root_motion_kp_distance=not middle,
        root_motion=False,
        num_root_kp=middle + 1,
        sub_kp_num=[],
        num_root_kp_orders=[middle or 1],
        dense_motion_params=dict(**hourglass_options(*dense), set_static_bg=False),
    )
    return dict(
        dataset_params=dict(frame_shape=None),
        model_params=dict(
            use_bg_predictor=camera,
            common_params=dict(num_kp=motion + middle + 1, num_channels=3, estimate_jacobian=True),
            bg_predictor_params=dict(**hourglass_options(*bg), bg_type=kind),
            kp_detector_params=detector,
            generator_params=generator,
        ),
    )


def detector_shapes(params, n_anchors, n_latent):
    "The official anchor detector; HDAM's has two blocks of attention."
    n = hourglass_width(3, params)
    jacobians = 1 if params["single_jacobian_map"] else n_anchors
    shapes = hourglass("predictor.", 3, params)
    shapes |= conv("kp", n, n_anchors, 7) | conv("jacobian", n, 4 * jacobians, 7)
    shapes |= anti_alias("down", params["scale_factor"])
    if n_latent > 1:
        width = params["attention_channel"]
        for name in ("subroot_attention_block", "leaf_attention_block"):
            shapes |= conv(f"{name}.0", n, width, 1) | norm(f"{name}.1", width)
    return shapes


def official_shapes(config):
    "Names and shapes of a checkpoint with this config."
    params = config["model_params"]
    n_anchors = params["common_params"]["num_kp"]
    n_latent = params["generator_params"]["num_root_kp"]
    n_motion = n_anchors - n_latent
    shapes = dict(
        kp_detector=detector_shapes(params["kp_detector_params"], n_anchors, n_latent),
        generator=generator_with_dense_motion(n_motion, params["generator_params"]),
    )
    if params["use_bg_predictor"]:
        shapes["bg_predictor"] = background(params["bg_predictor_params"])
    return shapes


@both_methods
def test_the_second_listing_is_right(method):
    golden = GOLDEN[method]
    released = dict(golden.published)
    del released["discriminator"]

    assert official_shapes(golden.config) == shapes_of(golden.state)
    assert official_shapes(official_config(middle=N_MIDDLE[method])) == released


TINY = dict(
    motion=4,
    det=(8, 32, 2, 0.25),
    dense=(8, 32, 3, 0.25),
    gen=(8, 32, 2, 1),
    bg=(8, 32, 2),
    look=8,
)
OTHER_SIZES = dict(
    still=dict(camera=False),
    shift=dict(kind="shift"),
    no_occlusion=dict(occlusion=False),
    no_skips=dict(skips=False),
    shared_jacobian=dict(shared=True),
    few=dict(motion=2, dense=(8, 24, 3, 0.5), det=(8, 16, 3, 0.5)),
    whole_image=dict(det=(8, 32, 2, 1)),
)
OTHER_CONFIGS = [
    dict(motion=5),
    dict(middle=1),
    dict(camera=False),
    dict(kind="shift"),
    dict(shared=True),
    dict(look=9),
    dict(bg=(8, 32, 3)),
    dict(gen=(8, 32, 2, 2)),
]
numbers_of_middle_anchors = pytest.mark.parametrize("middle", [0, 1, 4])


@pytest.mark.parametrize("name", OTHER_SIZES)
@numbers_of_middle_anchors
def test_other_sizes_are_accounted_for(name, middle):
    config = official_config(**TINY | OTHER_SIZES[name], middle=middle)
    state = random_state(official_shapes(config))

    model = from_official(None, state, config)

    assert_uses_all(model, state)
    assert model.method == ("hdam" if middle else "dam")
    for module in state:
        first = next(iter(state[module]))
        assert_misses(None, state, config, module, first)


@pytest.mark.parametrize("name", OTHER_SIZES)
@numbers_of_middle_anchors
def test_other_sizes_run(name, middle):
    config = official_config(**TINY | OTHER_SIZES[name], middle=middle)
    model = from_official(None, random_state(official_shapes(config)), config)
    source, driving = torch.rand(2, 1, 3, 96, 64)

    out = model(source, driving)

    assert out.frame.shape == source.shape
    assert out.frame.isfinite().all()
    assert (out.camera is None) == (name == "still")
    assert out.kp_d.extra.xy.shape[1] == middle + 1


@pytest.mark.parametrize("wrong", OTHER_CONFIGS, ids=str)
def test_another_config_than_the_trained_one_is_refused(wrong):
    right = TINY | dict(middle=2)
    state = random_state(official_shapes(official_config(**right)))
    with pytest.raises(InputError):
        from_official(None, state, official_config(**right | wrong))


# ---- the published size ----
@pytest.mark.parametrize("method,detector", [("dam", 14_223_948), ("hdam", 14_254_552)])
def test_published_checkpoints_are_accounted_for(method, detector):
    state = make_state(GOLDEN[method].published, zeros_and_blur)
    model = from_official(method, state, official_config(middle=N_MIDDLE[method]))

    assert count(model.dense) + count(model.generator) == 45_575_391
    assert_counts(
        dict(detector=(model.detector, detector), background=(model.background, 6_282_438))
    )
    assert model.cfg.size == 256
    assert model.cfg.n_kp == 10
    assert model.cfg.n_intermediate == N_MIDDLE[method]
    assert model.cfg.sampling == Sampling(False, False)
