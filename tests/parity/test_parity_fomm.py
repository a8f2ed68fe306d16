"""FOMM against the official code.

Numbers that it gave for small random weights (tests/golden/fomm.*), the names and shapes of the
released checkpoints (tests/golden/fomm_keys.json), and models of other sizes. No network, no
download."""

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
    largest_difference,
    make_state,
    random_state,
    shapes_of,
    zeros,
    zeros_and_blur,
)
from layer_shapes import (
    anti_alias,
    conv,
    generator_options,
    generator_with_dense_motion,
    hourglass,
    hourglass_options,
    hourglass_width,
)

from animlib.blocks import AntiAlias, fold_norms
from animlib.core import InputError
from animlib.geometry import Sampling, point_jacobian, warp, warp_each
from animlib.losses.adversarial import adversarial_term, discriminator_terms
from animlib.losses.equivariance import equivariance, jacobian_error, position_error
from animlib.losses.reconstruction import total_loss
from animlib.retarget.transfer import figure_scale, relative
from animlib.training.state import save_model
from animlib.zoo.convert import discriminator_from_official, from_official
from animlib.zoo.files import read_model

GOLDEN = Golden("fomm", "kp_detector", "generator", "discriminator")
SOURCE = GOLDEN.input("source")
DRIVING = GOLDEN.input("driving")
FIRST = GOLDEN.input("driving_initial")
NAMES = dict(xy="value", jac="jacobian")  # our field, the official name


@lru_cache(None)
def step(aligned):
    "One pass of the converted model."
    with torch.no_grad():
        return GOLDEN.model(aligned)(SOURCE, DRIVING)


def random_warp():
    "The draw of the equivariance loss; the official distance is L1."
    return GOLDEN.random_warp("l1")


# ---- numbers of the official code ----
@both_conventions
def test_keypoints(aligned):
    found = dict(
        source=step(aligned).kp_s,
        driving=step(aligned).kp_d,
        driving_initial=GOLDEN.model(aligned).detector(FIRST),
    )
    for frame, keypoints in found.items():
        assert_near(keypoints.xy, GOLDEN.output(f"kp_{frame}.value", aligned), 1e-5)
        assert_near(keypoints.jac, GOLDEN.output(f"kp_{frame}.jacobian", aligned), 1e-5)


@both_conventions
def test_candidates(aligned):
    model = GOLDEN.model(aligned)
    out = step(aligned)
    small = model.dense.shrink(SOURCE)
    grids = model.motion(out.kp_s, out.kp_d, small.shape[-2:])
    warped = warp_each(small, grids, sampling=model.cfg.sampling)
    assert_near(warped, GOLDEN.output("sparse_deformed", aligned), 1e-4)


@both_conventions
def test_dense_motion(aligned):
    flow = step(aligned).flow
    assert_near(flow.weights, GOLDEN.output("mask", aligned), 1e-4)
    assert_near(flow.warp.grid, GOLDEN.output("deformation", aligned), 1e-4)
    assert_near(flow.visible[0], GOLDEN.output("occlusion_map", aligned), 1e-4)


@both_conventions
def test_frames(aligned):
    out = step(aligned)
    assert_near(out.flow.warp(SOURCE), GOLDEN.output("deformed", aligned), 1e-4)
    assert_near(out.frame, GOLDEN.output("prediction", aligned), 1e-4)


@both_conventions
def test_relative_transfer(aligned):
    model = GOLDEN.model(aligned)
    kp_s = step(aligned).kp_s[:1]
    kp_d = step(aligned).kp_d[:1]
    kp_first = model.detector(FIRST)[:1]

    moved = relative(kp_s, kp_d, kp_first, figure_scale(kp_s, kp_first))

    assert_near(moved.xy, GOLDEN.output("kp_relative.value", aligned), 1e-5)
    assert_near(moved.jac, GOLDEN.output("kp_relative.jacobian", aligned), 1e-5)
    frame = model(model.prepare(SOURCE[:1]), moved).frame
    assert_near(frame, GOLDEN.output("prediction_relative_sample0", aligned), 1e-4)


@both_conventions
def test_equivariance_losses_with_the_same_draw(aligned):
    model = GOLDEN.model(aligned)
    spline = random_warp()
    kp_d = step(aligned).kp_d

    frame = warp(DRIVING, spline.grid((64, 64)), "reflection", model.cfg.sampling)
    kp_t = model.detector(frame)

    assert_near(frame, GOLDEN.output("transformed_frame", aligned), 1e-4)
    assert_near(kp_t.xy, GOLDEN.output("transformed_kp.value", aligned), 1e-4)
    back = GOLDEN.output("transform.warp_of_transformed_kp", aligned)
    assert_near(spline(kp_t.xy), back, 1e-4)
    jacobian = GOLDEN.output("transform.jacobian_at_transformed_kp", aligned)
    assert_near(point_jacobian(spline, kp_t.xy), jacobian, 1e-4)
    errors = dict(value=position_error, jacobian=jacobian_error)
    for name, error in errors.items():
        official = GOLDEN.loss(f"equivariance_{name}", aligned)
        assert_same_loss(10 * error(kp_d, kp_t, spline), official)


def test_the_loss_term_itself():
    losses = equivariance(step(True), transform=random_warp())
    for ours, theirs in NAMES.items():
        assert_same_loss(10 * losses[ours], GOLDEN.loss(f"equivariance_{theirs}", True))


def official_discriminator():
    "The discriminator of the golden numbers, and the options that it was trained with."
    return discriminator_from_official("fomm", GOLDEN.state, GOLDEN.config)


def test_options_of_the_discriminator():
    _, cfg = official_discriminator()
    assert cfg.loss.adversarial == 1.0
    assert cfg.loss.matching == 10.0
    assert cfg.discriminator.depth == 3
    assert cfg.discriminator.spectral is False
    assert cfg.discriminator.sees_keypoints is False


@both_conventions
def test_the_discriminator(aligned):
    discriminator, _ = official_discriminator()
    first, *features, scores = discriminator(DRIVING, step(aligned).kp_d)[0]
    for i, feature in enumerate(features):
        assert_near(feature, GOLDEN.output(f"discriminator.features.{i}", aligned), 1e-4)
    assert_near(scores, GOLDEN.output("discriminator.map", aligned), 1e-4)


@both_conventions
def test_adversarial_losses(aligned):
    discriminator, cfg = official_discriminator()
    generator_term = adversarial_term(
        discriminator, cfg.loss.adversarial, (0.0, *[cfg.loss.matching] * 3)
    )
    terms = dict(adversarial=generator_term, **discriminator_terms(discriminator))

    _, losses = total_loss(terms, step(aligned))

    assert_same_loss(losses["adversarial.adversarial"], GOLDEN.loss("gen_gan", aligned))
    assert_same_loss(losses["adversarial.matching"], GOLDEN.loss("feature_matching", aligned))
    assert_same_loss(losses["discriminator"], GOLDEN.loss("disc_gan", aligned))


@pytest.mark.parametrize("scale", ["1", "0.5", "0.25", "0.125"])
def test_pyramid_levels(scale):
    # of the driving frame, although the official name is `prediction`
    level = AntiAlias(float(scale))(DRIVING)
    assert_near(level, GOLDEN.output(f"prediction_{scale}"), 1e-6)


def test_the_conventions_are_told_apart():
    assert largest_difference(step(True).frame, GOLDEN.output("prediction", False)) > 1e-2
    assert largest_difference(step(False).frame, GOLDEN.output("prediction", True)) > 1e-2


def test_turned_kernels_are_another_network():
    "They load, for their shapes are the same; only numbers tell."
    turned = {
        module: {name: turn_kernel(tensor) for name, tensor in tensors.items()}
        for module, tensors in GOLDEN.state.items()
    }
    other = from_official("fomm", turned, GOLDEN.config)
    frame = other(SOURCE, DRIVING).frame
    assert largest_difference(frame, GOLDEN.output("prediction", True)) > 1e-2


def turn_kernel(tensor):
    "A convolution with rows and columns exchanged."
    return tensor.mT.contiguous() if tensor.ndim == 4 else tensor


# ---- the same frames by every way ----
@both_conventions
def test_two_speeds_are_one_model(aligned):
    model = GOLDEN.model(aligned)
    frames = torch.cat([DRIVING, FIRST])

    together = model(model.prepare(SOURCE[:1]), model.detector(frames)).frame

    alone = torch.cat([model(SOURCE[:1], frame[None]).frame for frame in frames])
    assert_near(together, alone, 1e-4)
    assert_near(together[:1], GOLDEN.output("prediction", aligned)[:1], 1e-4)


@both_conventions
def test_folded_norms_give_the_same_frames(aligned):
    folded = fold_norms(GOLDEN.model(aligned))

    outside = [part for name, part in folded.named_modules() if "bottleneck" not in name]
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in outside)
    assert_near(folded(SOURCE, DRIVING).frame, GOLDEN.output("prediction", aligned), 1e-4)


@both_conventions
def test_through_our_file(aligned, tmp_path):
    model = GOLDEN.model(aligned)
    save_model(tmp_path / "m.safetensors", model, **model.info)
    back = read_model(tmp_path / "m.safetensors")

    assert back.cfg == model.cfg
    assert back.cfg.sampling == Sampling(aligned, False)
    assert back.info["official"]["unused"] == ["discriminator"]
    assert torch.equal(back(SOURCE, DRIVING).frame, step(aligned).frame)


# ---- other sizes ----
def detector_shapes(params, k, jacobian):
    "The official keypoint detector."
    n = hourglass_width(3, params)
    shapes = hourglass("predictor.", 3, params)
    shapes |= conv("kp", n, k, 7) | anti_alias("down", params["scale_factor"])
    if jacobian:
        maps = 1 if params.get("single_jacobian_map") else k
        shapes |= conv("jacobian", n, 4 * maps, 7)
    return shapes


def official_shapes(config):
    "Names and shapes of a checkpoint with this config."
    params = config["model_params"]
    common = params["common_params"]
    k, jacobian = common["num_kp"], common["estimate_jacobian"]
    return dict(
        kp_detector=detector_shapes(params["kp_detector_params"], k, jacobian),
        generator=generator_with_dense_motion(k, params["generator_params"]),
    )


def official_config(
    kp=10,
    jac=True,
    det=(32, 1024, 5, 0.25),
    dense=(64, 1024, 5, 0.25),
    gen=(64, 512, 2, 6),
    occlusion=True,
    **more,
):
    "A config as the official code reads it; by default that of the paper."
    detector = dict(temperature=0.1, **hourglass_options(*det), **more)
    generator = dict(
        **generator_options(*gen),
        estimate_occlusion_map=occlusion,
        dense_motion_params=hourglass_options(*dense),
    )
    discriminator = dict(scales=[1], sn=True, block_expansion=32, max_features=512, num_blocks=4)
    return dict(
        dataset_params=dict(frame_shape=[256, 256, 3]),
        train_params=dict(num_epochs=100),
        model_params=dict(
            common_params=dict(num_kp=kp, num_channels=3, estimate_jacobian=jac),
            kp_detector_params=detector,
            generator_params=generator,
            discriminator_params=discriminator,
        ),
    )


def without_discriminator(modules):
    "The networks that are converted into a model."
    return {name: shapes for name, shapes in modules.items() if name != "discriminator"}


def test_the_second_listing_is_right():
    released = without_discriminator(GOLDEN.published)
    assert official_shapes(GOLDEN.config) == without_discriminator(shapes_of(GOLDEN.state))
    assert official_shapes(official_config()) == released


def test_the_second_listing_is_right_for_one_shared_jacobian():
    shared = official_shapes(official_config(single_jacobian_map=True))
    changed = GOLDEN.variants["mgif-256"]["kp_detector"]
    assert shared["kp_detector"] == GOLDEN.published["kp_detector"] | changed


TINY = dict(kp=4, det=(8, 32, 2, 0.25), dense=(8, 32, 3, 0.25), gen=(8, 32, 2, 1))
OTHER_SIZES = dict(
    few=dict(kp=3, det=(8, 32, 3, 0.5), dense=(8, 24, 3, 0.5), gen=(8, 24, 1, 1)),
    shared_jacobian=dict(single_jacobian_map=True),
    no_occlusion=dict(occlusion=False),
    no_jacobian=dict(jac=False),
    whole_image=dict(det=(8, 32, 2, 1), dense=(8, 32, 2, 0.25)),
    deep=dict(gen=(8, 16, 3, 3)),
    padded=dict(pad=3),
)
OTHER_CONFIGS = [
    dict(kp=5),
    dict(occlusion=False),
    dict(jac=False),
    dict(single_jacobian_map=True),
    dict(gen=(8, 32, 2, 2)),
    dict(dense=(8, 32, 2, 0.25)),
    dict(det=(8, 32, 2, 0.5)),
]


@pytest.mark.parametrize("name", OTHER_SIZES)
def test_other_sizes_are_accounted_for(name):
    config = official_config(**TINY | OTHER_SIZES[name])
    state = random_state(official_shapes(config))

    model = from_official("fomm", state, config)

    assert_uses_all(model, state)
    ours = list(model.state_dict().values())
    for theirs in (
        state["generator"]["final.weight"],
        state["kp_detector"]["kp.bias"],
    ):
        assert any(torch.equal(tensor, theirs) for tensor in ours)
    assert_misses("fomm", state, config, "generator", "first.conv.bias")
    assert_misses("fomm", state, config, "kp_detector", "kp.weight")


@pytest.mark.parametrize("name", OTHER_SIZES)
def test_other_sizes_run(name):
    config = official_config(**TINY | OTHER_SIZES[name])
    model = from_official("fomm", random_state(official_shapes(config)), config)
    source, driving = torch.rand(2, 1, 3, 96, 96)

    out = model(source, driving)

    assert out.frame.shape == source.shape
    assert out.frame.isfinite().all()
    assert (out.kp_d.jac is None) == (name == "no_jacobian")
    assert bool(out.flow.visible) == (name != "no_occlusion")


@pytest.mark.parametrize("wrong", OTHER_CONFIGS, ids=str)
def test_another_config_than_the_trained_one_is_refused(wrong):
    state = random_state(official_shapes(official_config(**TINY)))
    with pytest.raises(InputError):
        from_official("fomm", state, official_config(**TINY | wrong))


# ---- the published size ----
@lru_cache(None)
def published_model():
    "A model of the published size."
    return from_official("fomm", make_state(GOLDEN.published, zeros_and_blur), official_config())


def test_published_checkpoints_are_accounted_for():
    model = published_model()
    assert count(model.dense) + count(model.generator) == 45_575_391
    assert_counts(dict(detector=(model.detector, 14_215_368)))
    assert model.info["official"]["unused"] == ["discriminator"]
    assert model.cfg.size == 256
    assert model.cfg.n_kp == 10
    assert model.cfg.sampling == Sampling(True, False)
    assert model.stride == 128


def test_heatmaps_are_cropped_and_stretched():
    """Heads have no padding: 58x58 of 64x64 cells, and -1 and 1 are the ends of the 58.

    A head that looks for red finds it where it is."""
    detector = published_model().detector
    red, row, column = 32, 10, 40  # channel 32 of 35 is red itself; the rest is zero here
    image = torch.zeros(1, 3, 256, 256)
    image[:, 0, 4 * row : 4 * (row + 1), 4 * column : 4 * (column + 1)] = 1

    detector.score.weight[0, red, 3, 3] = 1000.0
    keypoints = detector(image)
    detector.score.weight.zero_()

    assert keypoints.heat.shape[-2:] == (58, 58)
    expected = torch.tensor([2 * (column - 3) / 57 - 1, 2 * (row - 3) / 57 - 1])
    assert_near(keypoints.xy[0, 0], expected, 0.02)


def test_published_discriminators_are_accounted_for():
    state = make_state(GOLDEN.published, zeros)
    discriminator, cfg = discriminator_from_official("fomm", state, official_config())
    assert cfg.discriminator.spectral
    assert count(discriminator) == 2_758_849
