"""Monkey-Net against the official code.

Numbers that it gave for small random weights (tests/golden/monkeynet.*), the names and shapes of
the released checkpoints (tests/golden/monkeynet_keys.json), and models of other sizes. No network,
no download."""

from dataclasses import replace
from functools import lru_cache

import pytest
import torch
import torch.nn.functional as F
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
)
from layer_shapes import (
    conv,
    decoder,
    encoder,
    hourglass,
    hourglass_options,
    hourglass_width,
    norm,
    residual,
)
from torch import nn

from animlib.blocks import fold_norms
from animlib.core import InputError
from animlib.dense.blend import motion_evidence
from animlib.detectors.keypoint import GaussianMaps, floor_covariance
from animlib.geometry import Sampling, identity_grid, resize_maps
from animlib.losses.adversarial import discriminator_terms
from animlib.losses.reconstruction import total_loss
from animlib.models import monkeynet
from animlib.models.registry import build
from animlib.retarget.transfer import figure_scale, relative
from animlib.training.state import save_model
from animlib.zoo.convert import discriminator_from_official, from_official
from animlib.zoo.files import read_model

GOLDEN = Golden("monkeynet", "kp_detector", "generator", "discriminator")
SOURCE = GOLDEN.input("source")[:, :, 0]  # `[2,3,64,64]`
VIDEO = GOLDEN.input("video").movedim(2, 1)  # `[2,2,3,64,64]`: two clips, two driving frames
N_CLIPS, N_FRAMES = VIDEO.shape[:2]


@lru_cache(None)
def steps(aligned):
    "One pass of the converted model for each driving frame."
    with torch.no_grad():
        return [GOLDEN.model(aligned)(SOURCE, VIDEO[:, t]) for t in range(N_FRAMES)]


def official_clips(name, aligned):
    "Golden frames, `[clips,frames,...]` as ours are."
    return GOLDEN.output(name, aligned).movedim(2, 1)


# ---- numbers of the official code ----
@both_conventions
def test_keypoints_and_covariances(aligned):
    kp_s = steps(aligned)[0].kp_s
    positions = torch.stack([out.kp_d.xy for out in steps(aligned)], 1)
    covariances = torch.stack([out.kp_d.cov for out in steps(aligned)], 1)

    assert_near(kp_s.xy[:, None], GOLDEN.output("kp_source.mean", aligned), 1e-5)
    assert_near(kp_s.cov[:, None], GOLDEN.output("kp_source.var", aligned), 1e-5)
    assert_near(positions, GOLDEN.output("kp_driving.mean", aligned), 1e-5)
    assert_near(covariances, GOLDEN.output("kp_driving.var", aligned), 1e-5)


@both_conventions
def test_flow_and_frames(aligned):
    grids = torch.stack([out.flow.warp.grid for out in steps(aligned)], 1)
    frames = torch.stack([out.frame for out in steps(aligned)], 1)
    warped = torch.stack([out.flow.warp(SOURCE) for out in steps(aligned)], 1)

    assert_near(grids, GOLDEN.output("deformation", aligned)[..., :2], 1e-4)
    assert_near(frames, official_clips("video_prediction", aligned), 1e-4)
    assert_near(warped, official_clips("video_deformed", aligned), 1e-4)


@both_conventions
def test_input_of_the_motion_network(aligned):
    model = GOLDEN.model(aligned)
    out = steps(aligned)[0]
    small = model.dense.shrink(SOURCE)
    grids = model.motion(out.kp_s, out.kp_d, small.shape[-2:])

    evidence = motion_evidence(
        small, out.kp_s, out.kp_d, grids, model.dense.gaussians, model.cfg.sampling
    )

    assert_near(evidence, GOLDEN.output("mask_embedding", aligned)[:, :, 0], 1e-4)


@both_conventions
def test_transfer(aligned):
    model = GOLDEN.model(aligned)
    prepared = model.prepare(SOURCE[:1])
    kp_d = model.detector(VIDEO[0])
    kp_first = kp_d[:1]

    moved = relative(prepared.kp, kp_d, kp_first, figure_scale(prepared.kp, kp_first))
    # an option of the official code that the golden numbers use
    moved = replace(moved, xy=moved.xy.clamp(-1, 1))

    assert_near(moved.xy[None], GOLDEN.output("transfer.kp_norm.mean", aligned), 1e-5)
    frames = model(prepared, moved).frame[None]
    assert_near(frames, official_clips("transfer.video_prediction", aligned), 1e-4)


# ---- the discriminator ----
class NormOfClips(nn.Module):
    """A norm over all frames of a clip together, as the official one.

    Training has one driving frame, where there is no difference; the golden numbers have two."""

    def __init__(self, norm):
        super().__init__()
        self.norm = norm

    def forward(self, features):
        clips = features.unflatten(0, (N_CLIPS, N_FRAMES)).movedim(1, 2)
        normalised = self.norm(clips.flatten(2, 3)).unflatten(2, (N_FRAMES, -1))
        return normalised.movedim(2, 1).flatten(0, 1)


@lru_cache(None)
def official_discriminator():
    "The discriminator of the golden numbers, with its norms over clips, and its options."
    discriminator, cfg = discriminator_from_official("monkeynet", GOLDEN.state, GOLDEN.config)
    for block in discriminator.nets[0].blocks[1:]:  # the first has no norm
        block[1] = NormOfClips(block[1])
    return discriminator, cfg


@lru_cache(None)
def step_of_all_frames(aligned):
    "One pass over both frames of both clips."
    with torch.no_grad():
        source = SOURCE.repeat_interleave(N_FRAMES, 0)
        return GOLDEN.model(aligned)(source, VIDEO.flatten(0, 1))


def clips(features):
    "`[clips,frames,...]`."
    return features.unflatten(0, (N_CLIPS, N_FRAMES))


@both_conventions
def test_the_discriminator(aligned):
    discriminator, _ = official_discriminator()
    out = step_of_all_frames(aligned)

    first, *features = discriminator(out.driving, out.kp_d)[0]
    scores = discriminator(out.frame, out.kp_d)[0][-1]

    for i, feature in enumerate(features):
        assert_near(clips(feature), official_clips(f"disc_real.{i}", aligned), 1e-4)
    assert_near(clips(scores), official_clips("disc_generated_map", aligned), 1e-4)


def test_options_of_the_losses():
    _, cfg = official_discriminator()
    assert cfg.loss.image == 10.0
    assert cfg.loss.matching == 10.0
    assert cfg.loss.matching_last == 1.0
    assert cfg.loss.adversarial == 1.0
    assert cfg.loss.deformed == 5.0
    assert cfg.loss.detach is False
    assert cfg.spread.factor == 0.5


def official_loss(name, aligned):
    "A golden loss: the mean over the two clips."
    return sum(GOLDEN.loss(name, aligned)) / N_CLIPS


@both_conventions
def test_losses(aligned):
    discriminator, cfg = official_discriminator()
    terms = monkeynet.losses(cfg, discriminator=discriminator)
    terms = {**terms, **discriminator_terms(discriminator)}

    _, losses = total_loss(terms, step_of_all_frames(aligned))

    names = {
        "image": "layer-0_rec",
        "deformed": "rec_def",
        "adversarial.adversarial": "gen_gan",
        "discriminator": "disc_gan",
    }
    for ours, theirs in names.items():
        assert_same_loss(losses[ours], official_loss(theirs, aligned))
    matching = [official_loss(f"layer-{i}_rec", aligned) for i in (1, 2, 3)]
    assert_same_loss(losses["adversarial.matching"], sum(matching))


# ---- what numbers tell apart ----
def test_the_conventions_are_told_apart():
    other = GOLDEN.output("video_prediction", False)[:, :, 0]
    assert largest_difference(steps(True)[0].frame, other) > 1e-3


def test_printed_and_released_heatmaps_are_told_apart():
    model = from_official("monkeynet", GOLDEN.state, GOLDEN.config)
    model.cfg = None
    model.dense.pose_gaussians = GaussianMaps(True, factor=1.0, norm=100.0)  # eq. 2 as printed

    frame = model(SOURCE, VIDEO[:, 0]).frame

    released = GOLDEN.output("video_prediction", True)[:, :, 0]
    assert largest_difference(frame, released) > 1e-3


# ---- the same frames by every way ----
@both_conventions
def test_two_speeds_are_one_model(aligned):
    model = GOLDEN.model(aligned)
    frames = model(model.prepare(SOURCE[:1]), model.detector(VIDEO[0])).frame
    assert_near(frames, official_clips("video_prediction", aligned)[0], 1e-4)


@both_conventions
def test_folded_norms_give_the_same_frames(aligned):
    folded = fold_norms(GOLDEN.model(aligned))
    official = official_clips("video_prediction", aligned)
    assert_near(folded(SOURCE, VIDEO[:, 0]).frame, official[:, 0], 1e-4)


@both_conventions
def test_through_our_file(aligned, tmp_path):
    model = GOLDEN.model(aligned)
    save_model(tmp_path / "m.safetensors", model, **model.info)
    back = read_model(tmp_path / "m.safetensors")

    assert back.cfg == model.cfg
    assert back.cfg.sampling == Sampling(aligned, False)
    assert back.info["official"]["unused"] == ["discriminator"]
    assert torch.equal(back(SOURCE, VIDEO[:, 0]).frame, steps(aligned)[0].frame)


# ---- other sizes ----
def detector_shapes(params, k):
    "The official keypoint detector; every convolution has a time axis."
    n = hourglass_width(3, params)
    body = hourglass("predictor.", 3, params, time_axis=True)
    return body | conv("predictor.decoder.conv", n, k, 3, time_axis=True)


def dense_motion_shapes(params, k):
    "The official dense motion: an embedding, groups, an hourglass and its head."
    name = "dense_motion_module"
    with_image = params["mask_embedding_params"]["use_deformed_source_image"]
    per_candidate = 4 if with_image else 1
    n = (k + 1) * per_candidate
    outputs = (k + 1) * params["use_mask"] + 2 * params["use_correction"]
    shapes = hourglass(f"{name}.hourglass.", n, params, time_axis=True)
    width = hourglass_width(n, params)
    shapes |= conv(f"{name}.hourglass.decoder.conv", width, outputs, 3, time_axis=True)
    for i in range(params["num_group_blocks"]):
        group = f"{name}.group_blocks.{i}"
        shapes |= conv(f"{group}.conv", per_candidate, n, 1, time_axis=True)
        shapes |= norm(f"{group}.norm", n)
    return shapes


def generator_shapes(params, k):
    "The official generator: an hourglass that reads k heatmaps at every level, and refinement."
    width = hourglass_width(3, params) + k
    shapes = encoder("appearance_encoder", 3, params, time_axis=True)
    shapes |= decoder("video_decoder", params, extra=k, time_axis=True)
    for i in range(params["num_refinement_blocks"]):
        shapes |= residual(f"refinement_module.r{i}", width, time_axis=True)
    shapes |= conv("refinement_module.conv-last", width, 3, 1, time_axis=True)
    return shapes | dense_motion_shapes(params["dense_motion_params"], k)


def official_shapes(config):
    "Names and shapes of a checkpoint with this config."
    params = config["model_params"]
    k = params["common_params"]["num_kp"]
    return dict(
        kp_detector=detector_shapes(params["kp_detector_params"], k),
        generator=generator_shapes(params["generator_params"], k),
    )


def heatmap_options(norm_const):
    "How keypoints become heatmaps."
    return dict(use_heatmap=True, heatmap_type="difference", norm_const=norm_const)


def official_config(
    kp=10,
    det=(32, 1024, 5),
    dense=(32, 1024, 5),
    gen=(32, 1024, 7),
    blocks=4,
    scales=(0.25, 0.25, 0.25),
    groups=2,
    mask=True,
    correction=True,
    image=True,
    norms=(100, 100),
    resize="trilinear",
    spread="matrix",
    **more,
):
    "A config as the official code reads it; by default that of the paper."
    detector = dict(
        temperature=0.1,
        clip_variance=0.001,
        **hourglass_options(*det, scales[0]),
    )
    motion = dict(
        use_mask=mask,
        use_correction=correction,
        num_group_blocks=groups,
        mask_embedding_params=dict(**heatmap_options(norms[1]), use_deformed_source_image=image),
        **hourglass_options(*dense, scales[2]),
    )
    generator = dict(
        interpolation_mode=resize,
        num_refinement_blocks=blocks,
        kp_embedding_params=dict(**heatmap_options(norms[0]), scale_factor=scales[1]),
        dense_motion_params=motion,
        **hourglass_options(*gen),
    )
    discriminator = dict(
        kp_embedding_params=dict(norm_const=100),
        block_expansion=32,
        max_features=256,
        num_blocks=4,
    )
    return dict(
        dataset_params=dict(frame_shape=[256, 256, 3]),
        model_params=dict(
            common_params=dict(num_kp=kp, kp_variance=spread, num_channels=3),
            kp_detector_params=detector | more,
            generator_params=generator,
            discriminator_params=discriminator,
        ),
    )


def converted(modules):
    "The networks that are converted into a model."
    return {name: modules[name] for name in ("kp_detector", "generator")}


def test_the_second_listing_is_right():
    assert official_shapes(GOLDEN.config) == converted(shapes_of(GOLDEN.state))


@pytest.mark.parametrize(
    "released,options",
    [
        (GOLDEN.published, dict()),
        (GOLDEN.variants["taichi"], dict(gen=(32, 1024, 5))),
        (
            GOLDEN.variants["nemo"],
            dict(det=(32, 512, 5), dense=(32, 512, 5), gen=(32, 512, 5)),
        ),
    ],
    ids=["vox", "taichi", "nemo"],
)
def test_the_second_listing_is_right_for_what_was_released(released, options):
    assert official_shapes(official_config(**options)) == converted(released)


TINY = dict(
    kp=4,
    det=(8, 32, 2),
    dense=(8, 32, 2),
    gen=(8, 32, 3),
    blocks=1,
    scales=(0.5, 0.5, 0.5),
)
OTHER_SIZES = dict(
    one_keypoint=dict(kp=1),
    deep=dict(gen=(8, 24, 5), det=(8, 16, 4)),
    whole_image=dict(scales=(1, 1, 1)),
    scales=dict(scales=(0.25, 0.125, 0.5)),
    uneven=dict(scales=(0.75, 0.75, 0.75)),
    nearest=dict(resize="nearest"),
    sum_to_one=dict(norms=("sum", "sum")),
    mixed_norms=dict(norms=(100, "sum")),
    one_group=dict(groups=1),
    no_groups=dict(groups=0),
    no_correction=dict(correction=False),
    no_mask=dict(mask=False),
    no_image=dict(image=False),
    fixed_spread=dict(spread=0.01),
    unclipped=dict(clip_variance=None),
)
OTHER_CONFIGS = [
    (dict(kp=5), "expected shape"),
    (dict(spread="single"), "kp_variance"),
    (dict(groups=1), "without a place"),
    (dict(gen=(8, 32, 2)), "generator"),
]


@pytest.mark.parametrize("name", OTHER_SIZES)
def test_other_sizes_are_accounted_for(name):
    config = official_config(**TINY | OTHER_SIZES[name])
    state = random_state(official_shapes(config))

    model = from_official("monkeynet", state, config)

    assert_uses_all(model, state)
    assert model.cfg.sampling.resize == ("nearest" if name == "nearest" else "bilinear")
    last = "refinement_module.conv-last.bias"
    assert_misses("monkeynet", state, config, "generator", last)


@pytest.mark.parametrize("name", OTHER_SIZES)
def test_other_sizes_run(name):
    config = official_config(**TINY | OTHER_SIZES[name])
    model = from_official("monkeynet", random_state(official_shapes(config)), config)
    size = model.stride * -(-64 // model.stride)  # the first multiple that is not below 64
    source, driving = torch.rand(2, 1, 3, size, size)

    out = model(source, driving)

    assert out.frame.shape == source.shape
    assert out.frame.isfinite().all()
    assert (out.kp_d.cov is None) == (name == "fixed_spread")
    assert (out.flow.weights is None) == (name == "no_mask")
    sums = model.dense.pose_gaussians(out.kp_d, (32, 32)).sum((-2, -1))
    assert torch.allclose(sums, torch.ones(())) == (name == "sum_to_one")


@pytest.mark.parametrize("wrong,message", OTHER_CONFIGS, ids=str)
def test_another_config_than_the_trained_one_is_refused(wrong, message):
    state = random_state(official_shapes(official_config(**TINY)))
    with pytest.raises(InputError, match=message):
        from_official("monkeynet", state, official_config(**TINY | wrong))


# ---- details of the released code ----
@pytest.mark.parametrize(
    "mode,options", [("nearest", dict()), ("bilinear", dict(align_corners=False))]
)
def test_resizing_is_that_of_the_released_code(mode, options):
    maps = torch.rand(1, 2, 8, 8)
    expected = F.interpolate(maps, (3, 5), mode=mode, **options)
    assert_near(resize_maps(maps, (3, 5), Sampling(True, False, mode)), expected, 1e-6)


def test_resizing_by_our_convention():
    "Every pixel of the small grid is a pixel of the large one."
    large = identity_grid(9, 9).movedim(-1, 0)[None]
    small = identity_grid(5, 5).movedim(-1, 0)[None]
    assert_near(resize_maps(large, (5, 5), Sampling(resize="nearest")), small, 1e-6)


def test_covariance_is_clipped_as_released():
    factors = torch.randn(50, 2, 2) * torch.logspace(-4, 0, 50)[:, None, None]
    covariances = factors @ factors.mT + 1e-7 * torch.eye(2)
    smallest = torch.linalg.svdvals(covariances.double())[..., -1:, None]
    expected = covariances * (smallest.clamp(min=0.001) / smallest)

    found = floor_covariance(covariances[None])[0].double()

    # in float32 the smaller of two unequal singular values is known only that well
    torch.testing.assert_close(found, expected, rtol=2e-2, atol=1e-6)


# ---- the published size ----
def test_published_checkpoints_are_accounted_for():
    model = from_official("monkeynet", make_state(GOLDEN.published, zeros), official_config())

    assert count(model.dense) + count(model.generator) == 80_629_691
    assert_counts(dict(detector=(model.detector, 14_132_728)))
    assert model.info["official"]["unused"] == ["discriminator"]
    assert model.cfg.size == 256
    assert model.cfg.n_kp == 10
    assert model.cfg.sampling == Sampling(True, False)
    assert model.stride == 128
    assert count(build("monkeynet", "paper-vox")) == count(model)


def test_published_discriminators_are_accounted_for():
    state = make_state(GOLDEN.published, zeros)
    official, _ = discriminator_from_official("monkeynet", state, official_config())
    ours = monkeynet.discriminator(build("monkeynet", "paper-vox").cfg)
    assert_counts(dict(official=(official, 1_719_489), ours=(ours, 1_719_489)))
