"""TPSMM against the official code.

Numbers that it gave for small random weights (tests/golden/tpsmm.*), the names and shapes of the
released checkpoints (tests/golden/tpsmm_keys.json), and models of other sizes. No network, no
download."""

from functools import lru_cache, partial

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
    formula_weights,
    largest_difference,
    make_state,
    random_state,
    shapes_of,
    with_or_without_avd,
    zeros_and_blur,
)
from layer_shapes import (
    anti_alias,
    conv,
    disentangler,
    hourglass_options,
    hourglass_width,
    instance_norm,
    level_width,
    linear,
    norm,
    plain_conv,
    residual,
)

from animlib.blocks import AntiAlias
from animlib.core import InputError
from animlib.dense.contributions import drop_candidates, group_evidence
from animlib.geometry import Sampling, warp
from animlib.losses.consistency import background_consistency, round_trip_error, warp_consistency
from animlib.losses.equivariance import equivariance, position_error
from animlib.motion.tps import in_groups
from animlib.retarget.transfer import figure_scale, relative
from animlib.splines import fit_tps
from animlib.training.state import save_model
from animlib.zoo.convert import from_official
from animlib.zoo.files import read_model

GOLDEN = Golden(
    "tpsmm",
    "inpainting_network",
    "kp_detector",
    "dense_motion_network",
    "bg_predictor",
    avd_network=formula_weights(disentangler(30, 16, 16)),
)
SOURCE = GOLDEN.input("source")
DRIVING = GOLDEN.input("driving")
FIRST = GOLDEN.input("driving_initial")


def official():
    "Our model with the official weights; the official code states its convention."
    return GOLDEN.model()


@lru_cache(None)
def step(camera=True):
    "One pass of the converted model."
    model = official()
    with torch.no_grad():
        prepared = model.prepare(SOURCE)
        kp_d = model.detector(DRIVING)
        return model.drive(prepared, kp_d, DRIVING if camera else None)


def random_warp():
    "The draw of the equivariance loss; the official distance is the textbook's."
    return GOLDEN.random_warp("r2")


# ---- numbers of the official code ----
@pytest.mark.parametrize(
    "frame,name",
    [(SOURCE, "kp_source"), (DRIVING, "kp_driving"), (FIRST, "kp_driving_initial")],
    ids=["source", "driving", "first"],
)
def test_keypoints(frame, name):
    assert_near(official().detector(frame).xy, GOLDEN.output(name), 1e-5)


def test_background():
    assert_near(step().camera, GOLDEN.output("bg_param"), 1e-5)


def test_splines():
    out = step()
    points_d = in_groups(out.kp_d.xy, 5)
    points_s = in_groups(out.kp_s.xy, 5)
    spline = fit_tps(points_d, points_s, 0.01, 0.01)
    assert_near(spline.affine, GOLDEN.output("tps.theta"), 1e-3)
    assert_near(spline.weights, GOLDEN.output("tps.control_params"), 1e-3)


def test_candidates():
    model = official()
    out = step()
    expected = GOLDEN.output("transformations")
    grids = model.motion(out.kp_s, out.kp_d, (16, 16))
    assert_near(grids[:, 1:], expected[:, 1:], 2e-4)
    assert_near(model.background.grid(out.camera, (16, 16)), expected[:, 0], 1e-5)


def test_input_of_the_motion_network():
    model = official()
    out = step()
    small = model.dense.shrink(SOURCE)
    candidates = GOLDEN.output("transformations")

    evidence = group_evidence(small, out.kp_s, out.kp_d, candidates, model.dense.gaussians)

    assert_near(small, GOLDEN.output("source_down"), 1e-6)
    assert_near(evidence[:, :16], GOLDEN.output("heatmap"), 1e-5)
    assert_near(evidence[:, 16:], GOLDEN.output("deformed_source").flatten(1, 2), 1e-4)


def test_dense_motion():
    flow = step().flow
    assert_near(flow.weights, GOLDEN.output("contribution_maps"), 1e-4)
    assert_near(flow.warp.grid, GOLDEN.output("deformation"), 2e-4)
    still = step(camera=False).flow
    assert_near(still.warp.grid, GOLDEN.output("deformation_nobg"), 2e-4)


def test_visibility_at_every_scale():
    masks = step().flow.visible
    assert [mask.shape[-1] for mask in masks] == [8, 16, 32, 64]
    for i, mask in enumerate(masks):
        assert_near(mask, GOLDEN.output(f"occlusion_map.{i}"), 1e-4)


def test_frames():
    out = step()
    still = step(camera=False)
    assert_near(out.flow.warp(SOURCE), GOLDEN.output("deformed"), 1e-3)
    assert_near(out.frame, GOLDEN.output("prediction"), 1e-3)
    assert_near(still.frame, GOLDEN.output("prediction_nobg"), 1e-3)


def test_relative_keypoints():
    detector = official().detector
    kp_s, kp_d, kp_first = (detector(frames)[:1] for frames in (SOURCE, DRIVING, FIRST))
    moved = relative(kp_s, kp_d, kp_first, figure_scale(kp_s, kp_first))
    assert_near(moved.xy, GOLDEN.output("kp_relative"), 1e-5)


def test_disentangled_keypoints():
    model = official()
    kp_s = model.detector(SOURCE)
    kp_d = model.detector(DRIVING)
    moved = model.disentangler.retarget(kp_s, kp_d)
    assert_near(moved.xy, GOLDEN.output("kp_avd"), 1e-4)


def test_dropout_with_the_same_draw():
    keep = GOLDEN.input("dropout_softmax.uniform")[:, 1:] < 0.5
    logits = GOLDEN.input("dropout_softmax.logits")
    expected = GOLDEN.output("dropout_softmax_p0.5")

    as_released = drop_candidates(logits, keep, 0.5, rescale=False)
    as_printed = drop_candidates(logits, keep, 0.5)

    assert_near(as_released, expected, 1e-4)
    assert largest_difference(as_printed, expected) > 0.01  # the paper's rescaling matters


def test_features_that_the_warp_loss_compares():
    out = step()
    model = official()
    of_source = model.generator.encode(SOURCE)[1:]
    of_driving = model.generator.encode(DRIVING)[1:]
    visible = out.flow.visible  # coarsest first

    for i, feature in enumerate(reversed(of_source)):
        warped = out.flow.warp(feature) * visible[i]
        assert_near(warped, GOLDEN.output(f"warped_encoder_maps.{i}"), 1e-3)
    for i, feature in enumerate(of_driving):
        expected = GOLDEN.output(f"driving_encoder_maps.{i}")
        assert_near(feature * visible[3 - i], expected, 1e-4)


def test_warp_loss():
    loss = 10 * warp_consistency(step(), masked=True)
    assert_same_loss(loss, GOLDEN.loss("warp_loss"), 1e-3)


def test_background_loss():
    "The official product is A A', the paper's A' A."
    out = step()
    back = official().background(DRIVING, SOURCE)
    assert_same_loss(10 * round_trip_error(back, out.camera), GOLDEN.loss("bg"))
    assert_same_loss(background_consistency(out), round_trip_error(out.camera, back))


def test_equivariance_loss():
    model = official()
    spline = random_warp()
    out = step()
    kp_t = model.detector(warp(DRIVING, spline.grid((64, 64)), "reflection"))

    assert_near(kp_t.xy, GOLDEN.output("transformed_kp"), 1e-4)
    back = GOLDEN.output("random_tps.warp_of_transformed_kp")
    assert_near(spline(kp_t.xy), back, 1e-4)
    official_loss = GOLDEN.loss("equivariance_value")
    assert_same_loss(10 * position_error(out.kp_d, kp_t, spline), official_loss)
    assert_same_loss(10 * equivariance(out, transform=spline)["xy"], official_loss)


@pytest.mark.parametrize("scale", ["0.5", "0.25", "0.125"])
def test_pyramid_levels(scale):
    # of the driving frame, although the official name is `prediction`
    level = AntiAlias(float(scale))(DRIVING)
    assert_near(level, GOLDEN.output(f"pyramid.prediction_{scale}"), 1e-6)


# ---- the same frames by every way ----
@pytest.mark.parametrize("camera", [False, True], ids=["still", "moving"])
def test_two_speeds_are_one_model(camera):
    model = official()
    prepared = model.prepare(SOURCE[:1])
    frames = torch.cat([DRIVING, FIRST])
    keypoints = model.detector(frames)

    def drive(which):
        return model.drive(prepared, keypoints[which], frames[which] if camera else None).frame

    together = drive(slice(None))
    alone = torch.cat([drive([i]) for i in range(4)])
    assert_near(together, alone, 1e-3)


def test_through_our_file(tmp_path):
    model = official()
    save_model(tmp_path / "m.safetensors", model, **model.info)
    back = read_model(tmp_path / "m.safetensors")

    assert back.cfg == model.cfg
    assert back.cfg.sampling == Sampling()
    assert back.cfg.motion.stiff == 0.01
    assert back.cfg.motion.stiff_sides == 0.01
    assert back.cfg.dropout.rescale is False
    assert back.cfg.detector.width == 8
    assert torch.equal(back(SOURCE, DRIVING).frame, model(SOURCE, DRIVING).frame)


# ---- other sizes ----
def official_config(
    tps=10,
    gen=(64, 512, 3),
    dense=(64, 1024, 5, 0.25),
    bg=True,
    multi=True,
    avd=(128, 128),
    width=64,
    **train,
):
    "A config as the official code reads it; by default that of the paper."
    schedule = dict(
        num_epochs=100,
        dropout_epoch=35,
        dropout_maxp=0.3,
        dropout_startp=0.1,
        dropout_inc_epoch=10,
        bg_start=10,
    )
    generator = dict(block_expansion=gen[0], max_features=gen[1], num_down_blocks=gen[2])
    return dict(
        dataset_params=dict(frame_shape=None),
        resnet_width=width,
        train_params=schedule | train,
        model_params=dict(
            common_params=dict(num_tps=tps, num_channels=3, bg=bg, multi_mask=multi),
            generator_params=generator,
            dense_motion_params=hourglass_options(*dense),
            avd_network_params=dict(id_bottle_size=avd[0], pose_bottle_size=avd[1]),
        ),
    )


def block(name, n_in, n_out, kernel=3):
    "A convolution and its instance norm."
    return conv(f"{name}.conv", n_in, n_out, kernel) | instance_norm(f"{name}.norm", n_out)


def resnet_block(name, n_in, n_out):
    "Two convolutions, and one beside them where the width changes."
    shapes = plain_conv(f"{name}.conv1", n_in, n_out, 3) | norm(f"{name}.bn1", n_out)
    shapes |= plain_conv(f"{name}.conv2", n_out, n_out, 3) | norm(f"{name}.bn2", n_out)
    if n_in != n_out:
        shapes |= plain_conv(f"{name}.downsample.0", n_in, n_out, 1)
        shapes |= norm(f"{name}.downsample.1", n_out)
    return shapes


def resnet(name, n_in, width, n_out):
    "A ResNet-18 of any width."
    shapes = plain_conv(f"{name}.conv1", n_in, width, 7) | norm(f"{name}.bn1", width)
    n = width
    for i in range(4):
        for j in range(2):
            shapes |= resnet_block(f"{name}.layer{i + 1}.{j}", n, width * 2**i)
            n = width * 2**i
    return shapes | linear(f"{name}.fc", n, n_out)


def inpainting_shapes(params):
    "The official generator: each level but the coarsest reads its level of the way down, too."
    wide = partial(level_width, params)
    depth = params["num_down_blocks"]
    shapes = block("first", 3, wide(0), 7) | conv("final", wide(0), 3, 7)
    for i in range(depth):
        n = wide(depth - i) * (2 if i else 1)
        shapes |= block(f"down_blocks.{i}", wide(i), wide(i + 1))
        shapes |= block(f"up_blocks.{i}", n, wide(depth - i - 1))
        for j in (2 * i, 2 * i + 1):
            shapes |= residual(f"resblock.{j}", n, norm=instance_norm)
    return shapes


def dense_motion_shapes(params, k, depth):
    """The official dense motion for k splines.

    `depth`: levels of the generator; None where there is one visibility mask only."""
    n_in = 5 * k + 1 + 3 * (k + 1)  # heatmaps, and a warped image for each candidate
    n_out = hourglass_width(n_in, params)
    n_up = round(1 / params["scale_factor"]).bit_length() - 1  # from its scale to the full one
    shapes = motion_hourglass(params, n_in) | anti_alias("down", params["scale_factor"])
    shapes |= conv("maps", n_out, k + 1, 7)
    widths = [n_out]
    if depth is not None:
        widths = [2 * level_width(params, i) for i in range(depth - n_up, 0, -1)]
        widths += [n_out // 2**i for i in range(n_up + 1)]
        for i in range(n_up):
            shapes |= block(f"up.{i}", n_out // 2**i, n_out // 2 ** (i + 1))
    for i, width in enumerate(widths):
        shapes |= conv(f"occlusion.{i}", width, 1, 7)
    return shapes


def motion_hourglass(params, n_in):
    "The hourglass, with instance norms."
    wide = partial(level_width, params)
    depth = params["num_blocks"]
    shapes = {}
    for i in range(depth):
        coarsest = i == depth - 1
        up = f"hourglass.decoder.up_blocks.{depth - 1 - i}"
        down = f"hourglass.encoder.down_blocks.{i}"
        shapes |= block(down, n_in if i == 0 else wide(i), wide(i + 1))
        shapes |= block(up, wide(i + 1) * (1 if coarsest else 2), wide(i))
    return shapes


def official_shapes(config):
    "Names and shapes of a checkpoint with this config."
    params = config["model_params"]
    common, generator = params["common_params"], params["generator_params"]
    k = common["num_tps"]
    width = config["resnet_width"]
    avd = params["avd_network_params"]
    depth = generator["num_down_blocks"] if common["multi_mask"] else None
    shapes = dict(
        inpainting_network=inpainting_shapes(generator),
        kp_detector=resnet("fg_encoder", 3, width, 10 * k),
        dense_motion_network=dense_motion_shapes(params["dense_motion_params"], k, depth),
        avd_network=disentangler(10 * k, avd["id_bottle_size"], avd["pose_bottle_size"]),
    )
    if common["bg"]:
        shapes["bg_predictor"] = resnet("bg_encoder", 6, width, 6)
    return shapes


def test_the_second_listing_is_right():
    golden_config = GOLDEN.config | dict(resnet_width=8)
    assert official_shapes(golden_config) == shapes_of(GOLDEN.state)
    assert official_shapes(official_config()) == GOLDEN.published


TINY = dict(tps=3, gen=(8, 24, 3), dense=(8, 24, 3, 0.25), avd=(4, 6), width=4)
OTHER_SIZES = dict(
    one_mask=dict(multi=False),
    still=dict(bg=False),
    many=dict(tps=6),
    half=dict(dense=(8, 24, 4, 0.5)),
    whole_image=dict(dense=(8, 24, 5, 1)),
    shallow=dict(gen=(8, 24, 2)),
    deep=dict(gen=(8, 16, 4)),
    wide=dict(width=8),
)
OTHER_CONFIGS = [
    dict(tps=4),
    dict(bg=False),
    dict(multi=False),
    dict(avd=(4, 5)),
    dict(width=8),
    dict(gen=(8, 24, 2)),
    dict(dense=(8, 24, 3, 0.5)),
]


@pytest.mark.parametrize("name", OTHER_SIZES)
@with_or_without_avd
def test_other_sizes_are_accounted_for(name, avd):
    config = official_config(**TINY | OTHER_SIZES[name])
    state = avd_state(official_shapes(config), avd)

    model = from_official("tpsmm", state, config)

    assert_uses_all(model, state)
    assert model.cfg.disentangle.enabled == avd
    assert (model.disentangler is not None) == avd
    for module in state:
        last_bias = [key for key in state[module] if key.endswith(".bias")][-1]
        assert_misses("tpsmm", state, config, module, last_bias)


@pytest.mark.parametrize("name", OTHER_SIZES)
@with_or_without_avd
def test_other_sizes_run(name, avd):
    config = official_config(**TINY | OTHER_SIZES[name])
    model = from_official("tpsmm", avd_state(official_shapes(config), avd), config)
    source, driving = torch.rand(2, 1, 3, 96, 64)

    out = model(source, driving)

    assert out.frame.shape == source.shape
    assert out.frame.isfinite().all()
    assert (out.camera is None) == (name == "still")
    assert len(out.flow.visible) == (1 if name == "one_mask" else model.cfg.generator.downs + 1)


@pytest.mark.parametrize("wrong", OTHER_CONFIGS, ids=str)
def test_another_config_than_the_trained_one_is_refused(wrong):
    state = random_state(official_shapes(official_config(**TINY)))
    with pytest.raises(InputError):
        from_official("tpsmm", state, official_config(**TINY | wrong))


# ---- the published size ----
def published_model():
    "A model of the published size."
    state = make_state(GOLDEN.published, zeros_and_blur)
    return from_official("tpsmm", state, official_config())


def test_published_checkpoints_are_accounted_for():
    model = published_model()
    assert_counts(
        dict(
            detector=(model.detector, 11_227_812),
            background=(model.background, 11_188_998),
            dense=(model.dense, 37_941_397),
            generator=(model.generator, 24_737_283),
            disentangler=(model.disentangler, 2_583_652),
        )
    )
    assert model.cfg.size == 256
    assert model.cfg.n_tps == 10
    assert model.cfg.n_kp == 50


def test_published_schedule():
    model = published_model()
    assert model.cfg.dropout.rate == 0.3
    assert model.cfg.dropout.start == 0.1
    assert model.cfg.dropout.ramp == 0.1
    assert model.cfg.dropout.until == 0.35
    assert model.cfg.background.start == 0.1


@pytest.mark.parametrize(
    "progress,dropout,background",
    [(0.05, pytest.approx(0.25), False), (0.2, 0.3, True), (0.35, 0.0, True)],
)
def test_published_schedule_runs(progress, dropout, background):
    model = published_model()
    model.set_progress(progress)
    assert model.dense.rate == dropout
    assert model.background.active is background
