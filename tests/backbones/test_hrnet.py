"""HRNet's parts on closed forms, and each tensor of a published file in its place."""

import re
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from unittest import mock

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from animlib.backbones import hrnet
from animlib.backbones.hrnet import BackboneCfg, Exchange, HRNet, Stem
from animlib.backbones.published import PUBLISHED
from animlib.core import InputError
from animlib.storage import sha256

TINY = BackboneCfg(width=8, blocks=1, modules=(1, 1), stem_width=8, stem_blocks=1)


# ---- wiring ----
def test_the_diagonal_of_an_exchange_is_the_identity():
    exchange = Exchange([2, 4, 8], 3).eval()
    maps = [torch.rand(1, n, 16 // 2**i, 16 // 2**i) for i, n in enumerate((2, 4, 8))]
    for parameter in exchange.parameters():
        nn.init.zeros_(parameter)
    for x, y in zip(maps, exchange(maps), strict=True):
        assert_close(x, y)


def test_coarse_maps_are_repeated_and_not_smoothed():
    path = Exchange.path([1, 1, 1], 0, 2).eval()
    nn.init.ones_(path[0].weight)
    enlarged = path(torch.rand(1, 1, 4, 4))
    assert torch.equal(enlarged[..., ::4, ::4], enlarged[..., 3::4, 3::4])


def test_only_between_two_strides_is_a_relu():
    relus = [
        sum(isinstance(layer, nn.ReLU) for layer in Exchange.path([1, 1, 1], i, 0).modules())
        for i in (1, 2)
    ]
    assert relus == [0, 1]


def test_each_output_of_an_exchange_depends_on_each_input():
    exchange = Exchange([2, 4, 8], 2).eval()
    maps = [torch.rand(1, n, 8 // 2**i, 8 // 2**i) for i, n in enumerate((2, 4, 8))]
    before = exchange(maps)
    assert len(before) == 2
    for i in range(3):
        after = exchange([0 * x if j == i else x for j, x in enumerate(maps)])
        assert all((x - y).abs().max() > 1e-3 for x, y in zip(before, after))


def test_fine_features_do_not_pass_through_coarse_ones():
    net = HRNet(TINY).eval()
    for path in (net.two[0].fuse.paths[0][1], *net.three[0].fuse.paths[0][1:]):
        nn.init.zeros_(path[1].weight)
    x = torch.rand(1, 3, 32, 32)
    fine = net.two[0].branches[0](net.first[0](net.stem(x))).relu()
    assert_close(net(x), net.three[0].branches[0](fine).relu())


# ---- a published file, spelled out a second time ----
def layer_shapes(conv, norm, n_out, n_in, kernel):
    "A convolution and its norm."
    shapes = {f"{conv}.weight": (n_out, n_in, kernel, kernel), f"{norm}.num_batches_tracked": ()}
    parts = ("weight", "bias", "running_mean", "running_var")
    return shapes | {f"{norm}.{part}": (n_out,) for part in parts}


def stem_shapes():
    shapes = layer_shapes("conv1", "bn1", 64, 3, 3) | layer_shapes("conv2", "bn2", 64, 64, 3)
    for block in range(4):
        name = f"layer1.{block}"
        n_in = 256 if block else 64
        for i, (n_out, n, kernel) in enumerate(((64, n_in, 1), (64, 64, 3), (256, 64, 1)), 1):
            shapes |= layer_shapes(f"{name}.conv{i}", f"{name}.bn{i}", n_out, n, kernel)
    skip = "layer1.0.downsample"
    return shapes | layer_shapes(f"{skip}.0", f"{skip}.1", 256, 64, 1)


def transition_shapes(width):
    shapes = {}
    for name, n_out, n_in in (
        ("transition1.0", width, 256),
        ("transition1.1.0", 2 * width, 256),
        ("transition2.2.0", 4 * width, 2 * width),
    ):
        shapes |= layer_shapes(f"{name}.0", f"{name}.1", n_out, n_in, 3)
    return shapes


def path_shapes(name, i, j, width):
    "From resolution j to resolution i."
    n_in = width * 2**j
    n_out = width * 2**i
    if j > i:
        return layer_shapes(f"{name}.0", f"{name}.1", n_out, n_in, 1)
    shapes = {}
    for stride in range(i - j):
        n = n_out if stride == i - j - 1 else n_in
        shapes |= layer_shapes(f"{name}.{stride}.0", f"{name}.{stride}.1", n, n_in, 3)
    return shapes


def round_shapes(name, n_resolutions, width):
    shapes = {}
    for i in range(n_resolutions):
        n = width * 2**i
        for block, layer in product(range(4), (1, 2)):
            place = f"{name}.branches.{i}.{block}"
            shapes |= layer_shapes(f"{place}.conv{layer}", f"{place}.bn{layer}", n, n, 3)
        for j in range(n_resolutions):
            shapes |= path_shapes(f"{name}.fuse_layers.{i}.{j}", i, j, width)
    return shapes


def published_shapes(width=32):
    "Names and shapes of the published classifier, as far as stage 3."
    shapes = stem_shapes() | transition_shapes(width) | round_shapes("stage2.0", 2, width)
    for n in range(4):
        shapes |= round_shapes(f"stage3.{n}", 3, width)
    return shapes


PLACE = {name: float(i) for i, name in enumerate(published_shapes())}


def numbered(shape, number):
    "A tensor full of one number, which takes no memory."
    dtype = torch.float if shape else torch.long
    return torch.full((1,) * len(shape), number, dtype=dtype).expand(shape)


def numbered_state(width=32):
    "Tensor number i is full of i; and some tensors of later stages."
    state = {k: numbered(s, i) for i, (k, s) in enumerate(published_shapes(width).items())}
    later = {"classifier.weight": (2, 3), "stage4.0.branches.3.0.conv1.weight": (1,)}
    return state | {name: torch.zeros(shape) for name, shape in later.items()}


@contextmanager
def published_file(folder, state):
    "A file with these tensors, for the time of the block the one that is published."
    path = folder / "made"
    torch.save(state, path)
    path = path.rename(path.with_name(f"hrnet-{sha256(path)[:8]}.pth"))
    row = replace(PUBLISHED["hrnet-w32"], url=path.as_uri())
    with mock.patch.dict(PUBLISHED, {"hrnet-w32": row}):
        yield path


# ---- its tensors ----
def tensors(net):
    "Some of ours, and the names of the published ones that belong there."
    two = net.two[0]
    three = net.three
    return (
        (net.stem.shrink[3].weight, "conv2.weight"),
        (net.stem.layers[2].f[7].running_var, "layer1.2.bn3.running_var"),
        (net.stem.layers[0].skip[0].weight, "layer1.0.downsample.0.weight"),
        (net.first[0][0].weight, "transition1.0.0.weight"),
        (net.first[1][1].bias, "transition1.1.0.1.bias"),
        (net.third[1].weight, "transition2.2.0.1.weight"),
        (two.branches[1][2].f[3].weight, "stage2.0.branches.1.2.conv2.weight"),
        (two.fuse.paths[0][1][0].weight, "stage2.0.fuse_layers.0.1.0.weight"),
        (three[1].fuse.paths[2][0][1][0].weight, "stage3.1.fuse_layers.2.0.1.0.weight"),
        (three[3].fuse.paths[0][2][1].bias, "stage3.3.fuse_layers.0.2.1.bias"),
    )


@pytest.mark.parametrize("with_counters", [True, False])
def test_each_tensor_is_in_its_place(tmp_path, with_counters):
    state = {k: v for k, v in numbered_state().items() if with_counters or "tracked" not in k}
    with published_file(tmp_path, state) as path:
        net = hrnet.imagenet_hrnet(path.parent)
    for ours, name in tensors(net):
        assert (ours == PLACE[name]).all(), name
    counter = PLACE["bn1.num_batches_tracked"] if with_counters else 0
    assert net.stem.shrink[1].num_batches_tracked == counter


def test_a_stem_starts_from_the_same_file(tmp_path):
    stem = Stem()
    with published_file(tmp_path, numbered_state()) as path:
        hrnet.start_from_imagenet(stem, path.parent)
    assert stem.layers[2].f[7].running_var[0] == PLACE["layer1.2.bn3.running_var"]


def test_only_the_last_sums_of_coarse_maps_are_left_out():
    used = {hrnet._published(name) for name in HRNet().state_dict()}
    assert used < set(PLACE)
    last = r"stage3\.3\.fuse_layers\.[12]"
    assert all(re.match(last, name) for name in set(PLACE) - used)
    assert not any(re.match(last, name) for name in used)


MISSING = "stage3.2.branches.1.3.bn2.running_mean"
REFUSED = {
    "names with a prefix": {f"module.{name}": v for name, v in numbered_state().items()},
    "one statistic too few": {k: v for k, v in numbered_state().items() if k != MISSING},
    "a wider network": numbered_state(width=48),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_networks_are_refused(tmp_path, name):
    with published_file(tmp_path, REFUSED[name]) as path:
        with pytest.raises(InputError, match="not a HRNet-W32 state dict"):
            hrnet.imagenet_hrnet(path)


def test_a_damaged_file_is_refused(tmp_path):
    with published_file(tmp_path, numbered_state()) as path:
        path.write_bytes(path.read_bytes() + b".")
        with pytest.raises(InputError, match="damaged or another file"):
            hrnet.imagenet_hrnet(path.parent)
