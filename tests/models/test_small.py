"The preset `small` of every method: 128 px, a few million weights, one way of training."

from dataclasses import replace

import pytest
import torch

from animlib.cli import main
from animlib.losses.reconstruction import total_loss
from animlib.models.names import method_names
from animlib.models.registry import (
    SMALL_LOSS,
    SMALL_TRAINING,
    configure,
    get_method,
    variant_options,
)
from animlib.options import option_values, set_options
from animlib.training.config import TrainCfg

# What a paper asks of its training, where it is not as the others'.
OWN = {
    "pose_attentive": dict(sources=2),
    "tpsmm": dict(milestones=(0.7, 0.9), clip=10.0, clip_norm=float("inf"), weight_decay=1e-4),
}


def differs(training, method):
    "Whether a method is trained otherwise than the preset says."
    return training != replace(SMALL_TRAINING, **OWN.get(method, {}))


def half_bytes(model):
    "Size of all that a file stores of a model, in half precision."
    return 2 * sum(values.numel() for values in model.state_dict().values())


@pytest.mark.parametrize("method", method_names())
def test_small_is_one_size_and_one_training(method):
    cfg, training = configure(method, "small")
    with torch.device("meta"):
        model = get_method(method).build(cfg)

    assert cfg.size == 128 and cfg.size % model.stride == 0
    assert 1_000_000 < sum(p.numel() for p in model.parameters()) < 3_000_000
    assert half_bytes(model) <= 4_000_000, "a file of the zoo has 4 MB at most"
    assert not differs(training, method)


def test_a_training_of_its_own_is_found():
    assert differs(replace(SMALL_TRAINING, lr=1e-3), "fomm")
    assert differs(SMALL_TRAINING, "tpsmm")


def test_the_precision_of_small_is_chosen_by_the_user():
    assert SMALL_TRAINING.precision == TrainCfg().precision == "no"
    assert configure("fomm", "small", precision="bf16")[1].precision == "bf16"


def unused_weights(model, losses, n_sources):
    "Names of weights that one step of training does not reach."
    generator = torch.Generator().manual_seed(0)
    frames = torch.rand(1 + n_sources, 2, 3, 128, 128, generator=generator)
    source = frames[1] if n_sources == 1 else frames[1:].transpose(0, 1)
    model.train().set_progress(1.0)
    loss, _ = total_loss(losses, model.training_step(source, frames[0]))
    loss.backward()
    assert loss.isfinite()
    return [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]


def light(cfg):
    "A config whose loss needs no network that was trained elsewhere."
    options = {"loss.reconstruction": "pyramid", "loss.perceptual": 0.0}
    return set_options(cfg, {name: options[name] for name in options.keys() & option_values(cfg)})


@pytest.mark.parametrize("method", method_names())
def test_small_is_trained_with_features(method):
    "The pyramid and, of weight 0.3, features of the network that is obtained by a command."
    options = option_values(configure(method, "small")[0])

    assert options["loss.perceptual"] == SMALL_LOSS["perceptual"] == 0.3
    if "loss.reconstruction" in options:
        assert options["loss.reconstruction"] == "perceptual"
        assert options["loss.features"] == "efficientnet"
    else:
        assert options["loss.pyramid"] == 10.0


@pytest.mark.parametrize("method", method_names())
def test_every_weight_of_small_is_trained(method):
    paper = get_method(method)
    cfg = light(configure(method, "small")[0])
    network = paper.discriminator(cfg) if paper.discriminator else None
    losses = paper.losses(cfg, discriminator=network)
    n_sources = max(1, configure(method, "small")[1].sources)

    assert unused_weights(paper.build(cfg), losses, n_sources) == []


@pytest.mark.parametrize("method", method_names())
def test_variants_of_small_render_frames(method):
    "Without memory: every ablation of a paper has networks that fit each other at 128 px."
    paper = get_method(method)
    cfg = configure(method, "small")[0]
    for variant in paper.variants:
        with torch.device("meta"):
            model = paper.build(set_options(cfg, variant_options(method, variant, cfg)))
            frame = model(*torch.empty(2, 1, 3, 128, 128)).frame
        assert frame.shape == (1, 3, 128, 128), variant


def test_the_command_names_the_four_sizes(capsys):
    assert main(["train", "--help"]) == 0
    assert "toy, nano, small, paper" in " ".join(capsys.readouterr().out.split())
