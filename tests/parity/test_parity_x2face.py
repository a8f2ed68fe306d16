"""X2Face against the official code.

Numbers that it gave for small random weights (tests/golden/x2face.*), and the names and shapes of
the released checkpoint (tests/golden/x2face_keys.json). No network, no download."""

from functools import lru_cache

import pytest
import torch
from golden import (
    Golden,
    assert_counts,
    assert_near,
    both_conventions,
    count,
    largest_difference,
    make_state,
    zeros,
)

from animlib.blocks import fold_norms
from animlib.core import InputError
from animlib.geometry import Sampling
from animlib.models.registry import build
from animlib.training.state import save_model
from animlib.zoo.convert import from_official
from animlib.zoo.files import read_model

GOLDEN = Golden("x2face", "state_dict")
SOURCE = GOLDEN.input("source")
DRIVING = GOLDEN.input("driving")


@lru_cache(None)
def step(aligned):
    "One pass of the converted model."
    with torch.no_grad():
        return GOLDEN.model(aligned)(SOURCE, DRIVING)


# ---- numbers of the official code ----
@both_conventions
def test_code(aligned):
    # the official one was read behind an activation in place
    official = GOLDEN.output("bottleneck", aligned).flatten(1)
    assert_near(step(aligned).kp_d.extra.values.relu(), official, 1e-5)


@both_conventions
def test_grid(aligned):
    grid = step(aligned).flow.warp.grid[:, ::4, ::4]
    assert_near(grid, GOLDEN.output("sampler", aligned), 1e-4)


@both_conventions
def test_embedded_face(aligned):
    face = GOLDEN.model(aligned).generator.encode(SOURCE)[0][..., ::4, ::4]
    assert_near(face, GOLDEN.output("unwrapped_strided4", aligned), 1e-3)


@both_conventions
def test_frame(aligned):
    assert_near(step(aligned).frame, GOLDEN.output("prediction", aligned), 1e-3)


def test_the_conventions_are_told_apart():
    assert largest_difference(step(True).frame, GOLDEN.output("prediction", False)) > 1e-2


# ---- the same frames by every way ----
@both_conventions
def test_two_speeds_are_one_model(aligned):
    model = GOLDEN.model(aligned)
    frame = model(model.prepare(SOURCE), model.detector(DRIVING)).frame
    assert_near(frame, GOLDEN.output("prediction", aligned), 1e-3)


@both_conventions
def test_folded_norms_give_the_same_frames(aligned):
    folded = fold_norms(GOLDEN.model(aligned))
    assert_near(folded(SOURCE, DRIVING).frame, GOLDEN.output("prediction", aligned), 1e-3)


@both_conventions
def test_through_our_file(aligned, tmp_path):
    model = GOLDEN.model(aligned)
    save_model(tmp_path / "m.safetensors", model, **model.info)
    back = read_model(tmp_path / "m.safetensors")

    assert back.cfg == model.cfg
    assert back.cfg.sampling == Sampling(aligned, aligned)
    assert torch.equal(back(SOURCE, DRIVING).frame, step(aligned).frame)


def test_one_source_several_times_is_the_one_source():
    model = GOLDEN.model(True)
    one = model.prepare(SOURCE)
    many = model.prepare(SOURCE[:, None].expand(-1, 3, -1, -1, -1))

    assert_near(many.features[0], one.features[0], 1e-4)
    frame = model(many, model.detector(DRIVING)).frame
    assert_near(frame, GOLDEN.output("prediction", True), 1e-3)


# ---- the published size ----
def test_published_checkpoint_is_accounted_for():
    state = make_state(GOLDEN.published, zeros)
    model = from_official("x2face", state, dict(ngf=64, inner_nc=128))

    assert_counts(
        dict(
            all=(model, 64_771_840),
            generator=(model.generator, 39_157_760),
            paper=(build("x2face", "paper"), 64_771_840),
        )
    )
    assert count(model.detector) + count(model.motion) == 25_614_080
    assert model.cfg.size == 256
    assert model.cfg.sampling == Sampling(True, True)
    assert model.stride == 256
    assert model.n_sources is None


# ---- other files and configs ----
def test_torch_0_2_wrote_no_counters():
    old = {
        module: {name: o for name, o in tensors.items() if not name.endswith("num_batches_tracked")}
        for module, tensors in GOLDEN.state.items()
    }
    model = from_official("x2face", old, GOLDEN.config)
    assert torch.equal(model(SOURCE, DRIVING).frame, step(True).frame)


@pytest.mark.parametrize(
    "config,message",
    [
        (dict(ngf=8, inner_nc=8), "expected shape"),
        (dict(ngf=4, inner_nc=16), "expected shape"),
        (dict(ngf=4), "none of the options"),
        (dict(ngf=4, inner_nc=8, skips=1), "skips is unknown"),
    ],
    ids=str,
)
def test_wrong_configs_are_refused(config, message):
    with pytest.raises(InputError, match=message):
        from_official("x2face", GOLDEN.state, config)


def test_frames_of_another_size_are_refused():
    source, driving = torch.rand(2, 1, 3, 512, 512)
    with pytest.raises(InputError, match="size=256"):
        GOLDEN.model(True)(source, driving)
