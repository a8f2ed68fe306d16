"""MRAA against the official code.

Numbers that it gave for small random weights (tests/golden/mraa.*), the names and shapes of the
released checkpoints (tests/golden/mraa_keys.json), and models of other sizes. No network, no
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
    avd_state,
    both_conventions,
    count,
    formula_weights,
    make_state,
    random_state,
    shapes_of,
    with_or_without_avd,
    zeros_and_blur,
)
from layer_shapes import (
    anti_alias,
    background,
    conv,
    dense_motion,
    disentangler,
    generator_blocks,
    generator_options,
    hourglass,
    hourglass_options,
    hourglass_width,
)

from animlib.blocks import fold_norms
from animlib.core import InputError, Keypoints
from animlib.geometry import Sampling, warp
from animlib.losses.equivariance import equivariance, position_error
from animlib.motion.pca import axes_error
from animlib.retarget.transfer import figure_scale, relative, transfer
from animlib.training.state import save_model
from animlib.zoo.convert import from_official
from animlib.zoo.files import read_model

GOLDEN = Golden(
    "mraa",
    "region_predictor",
    "generator",
    "bg_predictor",
    avd_network=formula_weights(disentangler(5 * 6, 16, 16)),
)
SOURCE = GOLDEN.input("source")
DRIVING = GOLDEN.input("driving")
FIRST = GOLDEN.input("driving_initial")
NAMES = dict(xy="shift", jac="affine", cov="covar")  # our field, the official name
whether_background_moves = pytest.mark.parametrize(
    "camera,suffix", [(True, ""), (False, "_nobg")], ids=["moving", "still"]
)


def official_regions(name, aligned):
    """The official regions.

    The signs of their axes come from LAPACK, so whatever depends on them starts from these."""
    found = {ours: GOLDEN.output(f"{name}.{theirs}", aligned) for ours, theirs in NAMES.items()}
    return Keypoints(**found)


@lru_cache(None)
def step(aligned, camera=True):
    "One pass of the converted model, from the official regions."
    model = GOLDEN.model(aligned)
    kp_s = official_regions("source_region", aligned)
    kp_d = official_regions("driving_region", aligned)
    with torch.no_grad():
        prepared = replace(model.prepare(SOURCE), kp=kp_s)
        return model.drive(prepared, kp_d, DRIVING if camera else None)


def random_warp():
    "The draw of the equivariance loss; the official distance is L1."
    return GOLDEN.random_warp("l1")


# ---- numbers of the official code ----
@both_conventions
@pytest.mark.parametrize(
    "frame,name",
    [
        (SOURCE, "source_region"),
        (DRIVING, "driving_region"),
        (FIRST, "driving_region_initial"),
    ],
    ids=["source", "driving", "first"],
)
def test_regions(frame, name, aligned):
    ours = GOLDEN.model(aligned).detector(frame)
    theirs = official_regions(name, aligned)

    assert_near(ours.xy, theirs.xy, 1e-5)
    assert_near(ours.cov, theirs.cov, 1e-5)
    assert_near(ours.heat, GOLDEN.output(f"{name}.heatmap", aligned), 1e-5)
    # the columns of the matrix are the same axes, up to their signs
    assert_near(ours.jac @ ours.jac.mT, theirs.jac @ theirs.jac.mT, 1e-5)
    assert_near(ours.jac.abs(), theirs.jac.abs(), 1e-4)


@both_conventions
def test_background(aligned):
    official = GOLDEN.output("bg_params", aligned)
    assert_near(GOLDEN.model(aligned).background(SOURCE, DRIVING), official, 1e-5)
    assert_near(step(aligned).camera, official, 1e-5)


@both_conventions
@whether_background_moves
def test_dense_motion(camera, suffix, aligned):
    flow = step(aligned, camera).flow
    assert_near(flow.warp.grid, GOLDEN.output(f"optical_flow{suffix}", aligned), 1e-4)
    assert_near(flow.visible[0], GOLDEN.output(f"occlusion_map{suffix}", aligned), 1e-4)


@both_conventions
def test_warped_source(aligned):
    assert_near(step(aligned).flow.warp(SOURCE), GOLDEN.output("deformed", aligned), 1e-4)


@both_conventions
@whether_background_moves
def test_frames(camera, suffix, aligned):
    frame = step(aligned, camera).frame
    assert_near(frame, GOLDEN.output(f"prediction{suffix}", aligned), 2e-4)


@both_conventions
def test_our_own_axes_give_the_same_motion_up_to_mirrors(aligned):
    """Our axes are never mirrored, LAPACK's may be.

    Where both agree in the sign of the determinant, the candidates agree without any help."""
    model = GOLDEN.model(aligned)
    ours = model(SOURCE, DRIVING)
    theirs = step(aligned)

    same = orientation(ours) == orientation(theirs)

    assert same.any()
    assert_near(candidates(model, ours)[same], candidates(model, theirs)[same], 1e-3)


def orientation(out):
    "The sign of what happens to areas between driving and source, for each region."
    return (out.kp_s.jac.det() * out.kp_d.jac.det()).sign()


def candidates(model, out):
    "The candidate grids of the regions."
    return model.motion(out.kp_s, out.kp_d, (16, 16))[:, 1:]


@both_conventions
def test_relative_transfer(aligned):
    names = ("source_region", "driving_region", "driving_region_initial")
    kp_s, kp_d, kp_first = (official_regions(name, aligned)[:1] for name in names)

    moved = relative(kp_s, kp_d, kp_first, figure_scale(kp_s, kp_first))

    for ours, theirs in NAMES.items():
        official = GOLDEN.output(f"relative_region.{theirs}", aligned)
        assert_near(getattr(moved, ours), official, 1e-4)


@both_conventions
def test_disentangled_transfer(aligned):
    model = GOLDEN.model(aligned)
    kp_s = official_regions("source_region", aligned)
    kp_d = official_regions("driving_region", aligned)

    moved = model.disentangler.retarget(kp_s, kp_d)

    for ours, theirs in NAMES.items():
        official = GOLDEN.output(f"avd_region.{theirs}", aligned)
        assert_near(getattr(moved, ours), official, 1e-4)
    frame = model.drive(replace(model.prepare(SOURCE), kp=kp_s), moved).frame
    assert_near(frame, GOLDEN.output("prediction_avd", aligned), 2e-4)
    by_mode = transfer("disentangled", kp_s[:1], kp_d[:1], network=model.disentangler)
    assert_near(by_mode.xy, moved.xy[:1], 1e-5)


@both_conventions
def test_equivariance_losses_with_the_same_draw(aligned):
    model = GOLDEN.model(aligned)
    spline = random_warp()
    kp_d = official_regions("driving_region", aligned)
    kp_t = official_regions("transformed_region", aligned)

    frame = warp(DRIVING, spline.grid((64, 64)), "reflection", model.cfg.sampling)

    assert_near(frame, GOLDEN.output("transformed_frame", aligned), 1e-4)
    assert_near(model.detector(frame).xy, kp_t.xy, 1e-4)
    assert_near(model.detector(frame).cov, kp_t.cov, 1e-4)
    shift = 10 * position_error(kp_d, kp_t, spline)
    assert_same_loss(shift, GOLDEN.loss("equivariance_shift", aligned))
    affine = 10 * axes_error(kp_d, kp_t, spline)
    assert_same_loss(affine, GOLDEN.loss("equivariance_affine", aligned), 1e-3)


def test_the_loss_term_itself():
    """Positions exactly; matrices to what the mirrored axes of LAPACK allow.

    The term is compared with the function on our own axes."""
    model = GOLDEN.model(True)
    spline = random_warp()
    out = model(SOURCE, DRIVING)
    kp_t = model.detector(warp(DRIVING, spline.grid((64, 64)), "reflection"))

    losses = equivariance(out, transform=spline, matrix_error=axes_error)

    assert_same_loss(10 * losses["xy"], GOLDEN.loss("equivariance_shift", True))
    assert_same_loss(losses["jac"], axes_error(out.kp_d, kp_t, spline))
    without_axes = equivariance(out, transform=spline)
    assert not torch.allclose(losses["jac"], without_axes["jac"])


# ---- the same frames by every way ----
@both_conventions
@pytest.mark.parametrize("camera", [False, True], ids=["still", "moving"])
def test_two_speeds_are_one_model(camera, aligned):
    model = GOLDEN.model(aligned)
    prepared = model.prepare(SOURCE[:1])
    frames = torch.cat([DRIVING, FIRST])
    keypoints = model.detector(frames)

    def drive(which):
        return model.drive(prepared, keypoints[which], frames[which] if camera else None).frame

    together = drive(slice(None))
    alone = torch.cat([drive([i]) for i in range(4)])
    assert_near(together, alone, 1e-4)


@both_conventions
def test_through_our_file_folded(aligned, tmp_path):
    model = GOLDEN.model(aligned)
    save_model(tmp_path / "m.safetensors", model, **model.info)
    back = read_model(tmp_path / "m.safetensors")

    assert back.cfg == model.cfg
    assert back.cfg.sampling == Sampling(aligned, False)
    assert back.cfg.disentangle.enabled
    frame = fold_norms(back)(SOURCE, DRIVING).frame
    assert_near(frame, model(SOURCE, DRIVING).frame, 1e-4)


# ---- other sizes ----
def official_config(
    regions=10,
    det=(32, 1024, 5, 0.25),
    dense=(64, 1024, 5, 0.25),
    gen=(64, 512, 2, 6),
    bg=(32, 1024, 5),
    kind="affine",
    pca=True,
    occlusion=True,
    skips=True,
    avd=(64, 64),
    **more,
):
    "A config as the official code reads it; by default that of the paper."
    detector = dict(temperature=0.1, pca_based=pca, fast_svd=False, **hourglass_options(*det))
    motion = dict(
        use_deformed_source=True,
        use_covar_heatmap=True,
        estimate_occlusion_map=occlusion,
        **hourglass_options(*dense),
    )
    generator = dict(
        **generator_options(*gen),
        skips=skips,
        pixelwise_flow_predictor_params=motion,
    )
    return dict(
        dataset_params=dict(frame_shape=None),
        model_params=dict(
            num_regions=regions,
            num_channels=3,
            estimate_affine=True,
            revert_axis_swap=True,
            bg_predictor_params=dict(**hourglass_options(*bg), bg_type=kind),
            region_predictor_params=detector | more,
            avd_network_params=dict(id_bottle_size=avd[0], pose_bottle_size=avd[1]),
            generator_params=generator,
        ),
    )


def detector_shapes(params, k):
    "The official region predictor."
    n = hourglass_width(3, params)
    shapes = hourglass("predictor.", 3, params)
    shapes |= conv("regions", n, k, 7) | anti_alias("down", params["scale_factor"])
    if not params["pca_based"]:
        shapes |= conv("jacobian", n, 4, 7)
    return shapes


def generator_shapes(params, k):
    "The official generator, which owns its dense motion."
    motion = params["pixelwise_flow_predictor_params"]
    occlusion = motion["estimate_occlusion_map"]
    own = dense_motion("pixelwise_flow_predictor", k, motion, occlusion)
    return generator_blocks(params) | own


def official_shapes(config):
    "Names and shapes of a checkpoint with this config."
    params = config["model_params"]
    k = params["num_regions"]
    avd = params["avd_network_params"]
    shapes = dict(
        region_predictor=detector_shapes(params["region_predictor_params"], k),
        generator=generator_shapes(params["generator_params"], k),
        avd_network=disentangler(6 * k, avd["id_bottle_size"], avd["pose_bottle_size"]),
    )
    if params["bg_predictor_params"]["bg_type"] != "zero":
        shapes["bg_predictor"] = background(params["bg_predictor_params"])
    return shapes


def test_the_second_listing_is_right():
    assert official_shapes(GOLDEN.config) == shapes_of(GOLDEN.state)
    assert official_shapes(official_config()) == GOLDEN.published


TINY = dict(
    regions=4,
    det=(8, 32, 2, 0.25),
    dense=(8, 32, 3, 0.25),
    gen=(8, 32, 2, 1),
    bg=(8, 32, 2),
    avd=(4, 6),
)
OTHER_SIZES = dict(
    still=dict(kind="zero"),
    shift=dict(kind="shift"),
    perspective=dict(kind="perspective"),
    predicted_axes=dict(pca=False),
    cropped=dict(pad=0),
    no_occlusion=dict(occlusion=False),
    no_skips=dict(skips=False),
    few=dict(regions=2, dense=(8, 24, 3, 0.5), det=(8, 16, 3, 0.5)),
    whole_image=dict(det=(8, 32, 2, 1)),
)
OTHER_CONFIGS = [
    dict(regions=5),
    dict(kind="shift"),
    dict(kind="zero"),
    dict(pca=False),
    dict(avd=(4, 5)),
    dict(bg=(8, 32, 3)),
    dict(gen=(8, 32, 2, 2)),
]


@pytest.mark.parametrize("name", OTHER_SIZES)
@with_or_without_avd
def test_other_sizes_are_accounted_for(name, avd):
    config = official_config(**TINY | OTHER_SIZES[name])
    state = avd_state(official_shapes(config), avd)

    model = from_official("mraa", state, config)

    assert_uses_all(model, state)
    assert model.cfg.disentangle.enabled == avd
    assert (model.disentangler is not None) == avd
    for module in state:
        first = next(iter(state[module]))
        match = "avd_network" if module == "avd_network" else ""
        assert_misses("mraa", state, config, module, first, match)


@pytest.mark.parametrize("name", OTHER_SIZES)
@with_or_without_avd
def test_other_sizes_run(name, avd):
    config = official_config(**TINY | OTHER_SIZES[name])
    model = from_official("mraa", avd_state(official_shapes(config), avd), config)
    source, driving = torch.rand(2, 1, 3, 96, 64)

    out = model(source, driving)

    assert out.frame.shape == source.shape
    assert out.frame.isfinite().all()
    assert (out.camera is None) == (name == "still")
    assert bool(out.flow.visible) == (name != "no_occlusion")


@pytest.mark.parametrize("wrong", OTHER_CONFIGS, ids=str)
def test_another_config_than_the_trained_one_is_refused(wrong):
    state = random_state(official_shapes(official_config(**TINY)))
    with pytest.raises(InputError):
        from_official("mraa", state, official_config(**TINY | wrong))


# ---- the published size ----
def test_published_checkpoints_are_accounted_for():
    state = make_state(GOLDEN.published, zeros_and_blur)
    model = from_official("mraa", state, official_config())

    assert count(model.dense) + count(model.generator) == 45_575_391
    assert_counts(
        dict(
            detector=(model.detector, 14_146_728),
            background=(model.background, 6_282_438),
            disentangler=(model.disentangler, 2_290_620),
        )
    )
    assert model.cfg.size == 256
    assert model.cfg.n_kp == 10
    assert model.cfg.sampling == Sampling(False, False)
    assert model.cfg.detector.pad == 3
