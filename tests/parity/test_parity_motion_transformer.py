"""Motion Transformer against the official code.

Numbers that it gave for small random weights (tests/golden/motion_transformer.*), the names and
shapes of the released checkpoints (tests/golden/motion_transformer_keys.json), and models of other
sizes. No network, no download."""

from copy import deepcopy
from functools import lru_cache

import pytest
import torch
from golden import (
    Golden,
    assert_counts,
    assert_misses,
    assert_near,
    count,
    make_state,
    random_state,
    zeros_and_blur,
)
from layer_shapes import (
    background,
    generator_options,
    generator_with_dense_motion,
    hourglass_options,
)

from animlib.blocks import fold_norms
from animlib.core import InputError
from animlib.detectors.tokens import sine_positions
from animlib.training.state import save_model
from animlib.zoo.convert import from_official
from animlib.zoo.files import read_model

GOLDEN = Golden("motion_transformer", "kp_detector")
SOURCE = GOLDEN.input("source")


def generator_params(sizes, dense):
    "Options of the generator, as the official config names them."
    motion = hourglass_options(*dense)
    more = dict(estimate_occlusion_map=True, skips=True, dense_motion_params=motion)
    return generator_options(*sizes) | more


SMALL = generator_params((8, 32, 2, 1), (8, 32, 2, 0.25))
PAPER = generator_params((64, 512, 2, 6), (64, 1024, 5, 0.25))
AFFINE_BACKGROUND = dict(block_expansion=8, max_features=32, num_blocks=2, bg_type="affine")


def official_config(gen=SMALL, model=None, camera=False):
    "A config as the official code reads it; by default that of the golden numbers."
    config = deepcopy(GOLDEN.config)
    config["MODEL"] |= model or {}
    config["model_params"] = dict(generator_params=gen, use_bg_predictor=camera)
    return config


def official_state():
    "The golden detector, and a generator of random numbers."
    generator = generator_with_dense_motion(5, SMALL)
    return GOLDEN.state | random_state(dict(generator=generator))


@lru_cache(None)
def official():
    "Our model with the official weights."
    config = official_config()
    return from_official("motion_transformer", official_state(), config, align_corners=True)


# ---- numbers of the official code ----
def test_features():
    assert_near(official().detector.body(SOURCE), GOLDEN.output("feature"), 1e-4)


def test_positions():
    assert_near(sine_positions(4, 4, 32)[None], GOLDEN.output("pos_embedding"), 1e-6)


def test_keypoints():
    keypoints = official().detector(SOURCE)
    assert_near(keypoints.xy, GOLDEN.output("value"), 1e-5)
    assert_near(keypoints.jac, GOLDEN.output("jacobian"), 1e-5)


# ---- the same numbers by every way ----
def test_stored_attention_is_that_of_the_forward_pass():
    detector = official().detector
    maps = detector.attend(SOURCE)
    layers, batch, heads, tokens = 3, 2, 4, 26  # ten motion tokens, sixteen patches
    assert maps.shape == (layers, batch, heads, tokens, tokens)
    assert_near(maps.sum(-1), torch.ones(layers, batch, heads, tokens), 1e-5)

    layer = detector.layers[0]
    asked = layer.attention.ask(layer.norms[0](first_tokens(detector)))
    query, key, value = asked.view(batch, tokens, 3, heads, 8).permute(2, 0, 3, 1, 4)
    expected = torch.nn.functional.scaled_dot_product_attention(query, key, value)
    assert_near(maps[0] @ value, expected, 1e-5)


def first_tokens(detector):
    "What goes into the first layer: motion tokens, then patches of 4x4 features with positions."
    patches = detector.body(SOURCE).unfold(2, 4, 4).unfold(3, 4, 4)
    flat = patches.permute(0, 2, 3, 4, 5, 1).reshape(2, 16, -1)
    image_tokens = detector.embed(flat) + sine_positions(4, 4, 32)
    return torch.cat([detector.motion.expand(2, -1, -1), image_tokens], 1)


def test_through_our_file_folded(tmp_path):
    save_model(tmp_path / "m.safetensors", official(), **official().info)
    back = read_model(tmp_path / "m.safetensors")
    driving = torch.rand(2, 3, 64, 64)

    assert back.cfg == official().cfg
    assert back.cfg.transformer.tokens == "split"
    assert back.cfg.transformer.positions == "every"
    assert back.cfg.loss.matrices is True
    frame = fold_norms(back)(SOURCE, driving).frame
    assert_near(frame, official()(SOURCE, driving).frame, 1e-4)


def test_two_speeds_are_one_model():
    model = official()
    prepared = model.prepare(SOURCE[:1])
    keypoints = model.detector(torch.rand(4, 3, 64, 64))

    together = model.drive(prepared, keypoints).frame

    alone = torch.cat([model.drive(prepared, keypoints[[i]]).frame for i in range(4)])
    assert_near(together, alone, 1e-4)


def test_a_frame_of_another_size():
    source = torch.rand(1, 3, 96, 64)
    out = official()(source, source.flip(3))
    assert out.frame.shape == source.shape
    assert out.frame.isfinite().all()


# ---- other configs ----
def test_with_a_background():
    config = official_config(camera=True)
    config["model_params"]["bg_predictor_params"] = AFFINE_BACKGROUND
    moving = random_state(dict(bg_predictor=background(AFFINE_BACKGROUND)))

    model = from_official("motion_transformer", official_state() | moving, config)

    assert model.cfg.background.kind == "affine"
    assert model.cfg.loss.masks == 1.0
    assert model.cfg.background.width == 8
    assert model(SOURCE, SOURCE).camera is not None


def test_without_a_background():
    cfg = official().cfg
    assert cfg.background.kind == "zero"
    assert cfg.loss.masks == 0.0


@pytest.mark.parametrize(
    "model",
    [
        dict(NUM_JOINTS=6),
        dict(DIM=64),
        dict(TRANSFORMER_DEPTH=4),
        dict(PATCH_SIZE=[2, 2]),
        dict(TRANSFORMER_MLP_RATIO=4),
        dict(POS_EMBEDDING_TYPE="learnable"),
        dict(UNKNOWN=1),
        dict(ESTIMATE_JACOBIAN=False),
    ],
    ids=str,
)
def test_another_config_than_the_trained_one_is_refused(model):
    with pytest.raises(InputError):
        from_official("motion_transformer", official_state(), official_config(model=model))


@pytest.mark.parametrize("module", ["kp_detector", "generator"])
def test_every_tensor_counts(module):
    state = official_state()
    first = next(name for name in state[module] if not name.endswith("tracked"))
    assert_misses("motion_transformer", state, official_config(), module, first)


def test_every_network_is_tested_above():
    assert set(official_state()) == {"kp_detector", "generator"}


def test_other_positions_are_refused():
    state = official_state()
    state["kp_detector"] = dict(state["kp_detector"])
    state["kp_detector"]["transformer.pos_embedding"] = torch.zeros(1, 16, 32)
    with pytest.raises(InputError, match="pos_embedding"):
        from_official("motion_transformer", state, official_config())


# ---- the published size ----
STAGE2 = dict(
    NUM_MODULES=1,
    NUM_BRANCHES=2,
    BLOCK="BASIC",
    NUM_BLOCKS=[4, 4],
    NUM_CHANNELS=[32, 64],
    FUSE_METHOD="SUM",
)
STAGE3 = STAGE2 | dict(
    NUM_MODULES=4,
    NUM_BRANCHES=3,
    NUM_BLOCKS=[4, 4, 4],
    NUM_CHANNELS=[32, 64, 128],
)
PAPER_MODEL = dict(
    NUM_JOINTS=10,
    DIM=192,
    TRANSFORMER_DEPTH=12,
    TRANSFORMER_HEADS=8,
    IMAGE_SIZE=[256, 256],
    HEATMAP_SIZE=[64, 64],
    EXTRA=dict(FINAL_CONV_KERNEL=1, PRETRAINED_LAYERS=["*"], STAGE2=STAGE2, STAGE3=STAGE3),
)


def test_the_second_listing_is_right():
    released = {name: list(shape) for name, shape in GOLDEN.published["generator"].items()}
    assert generator_with_dense_motion(10, PAPER) == released


def test_published_checkpoints_are_accounted_for():
    state = make_state(GOLDEN.published, zeros_and_blur)
    state["kp_detector"]["transformer.pos_embedding"] = sine_positions(16, 16, 192)[None]
    config = official_config(PAPER, PAPER_MODEL)

    model = from_official("motion_transformer", state, config, align_corners=None)

    assert_counts(
        dict(detector=(model.detector, 12_234_310), body=(model.detector.body, 7_685_632))
    )
    assert count(model.dense) + count(model.generator) == 45_575_391
    assert model.cfg.size == 256
    assert model.cfg.n_kp == 10
    assert model.cfg.transformer.layers == 12
    assert model.cfg.transformer.tokens == "split"
