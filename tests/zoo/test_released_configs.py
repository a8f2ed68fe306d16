"""Every yaml file that the original authors released is read.

What they contain is written down in tests/support/released.py; names and shapes of the tensors of
their checkpoints in tests/golden/*_keys.json."""

import json
from dataclasses import asdict

import pytest
import torch
import yaml
from layer_shapes import background
from project_files import ROOT
from released import RELEASED, tree_of

from animlib.core import InputError
from animlib.options import option_values, set_options
from animlib.zoo.files import read_config
from animlib.zoo.official.config import OFFICIAL, guess_method, names_size, official_cfg, read_yaml
from animlib.zoo.official.facts import rename
from animlib.zoo.tensors import account, skeleton

IDS = [f"{released.method}-{released.name}" for released in RELEASED]
every_file = pytest.mark.parametrize("released", RELEASED, ids=IDS)


def test_every_method_with_official_files_is_listed():
    assert {released.method for released in RELEASED} == set(OFFICIAL)


@every_file
def test_it_is_recognised_and_read(released, tmp_path):
    path = tmp_path / f"{released.name}.yaml"
    path.write_text(yaml.safe_dump(released.tree))

    tree = read_yaml(path)
    cfg = official_cfg(released.method, path, size=released.size)

    assert guess_method(tree) == released.method
    assert cfg.size == released.size
    options = option_values(cfg)
    assert {name: options[name] for name in released.expected} == released.expected
    assert read_config(json.loads(json.dumps(asdict(cfg))), cfg) == cfg


@every_file
def test_a_size_that_is_named_is_read(released):
    "A file that leaves the size of its frames to the data is for 256 px unless it is given."
    size = official_cfg(released.method, released.tree).size

    assert size == (released.size if names_size(released.tree) else 256)


def listed_modules(released) -> dict:
    "Names and shapes of the tensors of a released checkpoint, by module."
    keys = json.loads((ROOT / "tests/golden" / f"{released.method}_keys.json").read_text())
    modules = {module: dict(shapes) for module, shapes in keys["modules"].items()}
    variant = keys.get("variants", {}).get(released.variant, {})
    for name in variant.get("missing", []):
        module, _, tensor = name.partition(".")
        modules[module].pop(tensor)
    whole = released.method == "monkeynet" and bool(variant)  # listed whole, not as changes
    for module, shapes in variant.items():
        if module != "missing":
            modules[module] = shapes if whole else modules.get(module, {}) | shapes
    if released.variant in ("no background", "shared"):
        modules.pop("bg_predictor")
    if released.variant == "config/taichi256.yaml":  # the only one with a moving background
        modules["bg_predictor"] = background(released.tree["model_params"]["bg_predictor_params"])
    if released.variant == "shared":  # one map of Jacobians for all anchors
        for name in ("jacobian.weight", "jacobian.bias"):
            shape = modules["kp_detector"][name]
            modules["kp_detector"][name] = [4, *shape[1:]]
    if released.variant == "384":  # more image tokens: 24 x 24
        name = next(k for k in modules["kp_detector"] if k.endswith("pos_embedding"))
        modules["kp_detector"][name] = [1, 576, 192]
    return modules


KNOWN = [released for released in RELEASED if released.variant != "-"]


@pytest.mark.parametrize("released", KNOWN, ids=lambda r: f"{r.method}-{r.name}")
def test_its_checkpoint_has_the_tensors_of_our_model(released):
    "Names and shapes, on the meta device: no memory is taken."
    facts = OFFICIAL[released.method]
    cfg = official_cfg(released.method, tree_of(released))
    tensors = {}
    for module, shapes in listed_modules(released).items():
        for name, shape in shapes.items():
            if module not in facts.unused and not name.endswith("num_batches_tracked"):
                full = rename(f"{module}.{name}", facts.rules)
                tensors[full] = facts.tensor(torch.empty(shape, device="meta"))
    for module, options in facts.optional.items():
        if module in listed_modules(released):
            cfg = set_options(cfg, options)
    with torch.device("meta"):
        for name, compute in facts.computed.items():
            assert tensors.pop(name).shape == compute(cfg).shape

    model = skeleton(released.method, cfg, released.name, len(tensors))

    needed = account(model.state_dict(), tensors, released.name, r"num_batches_tracked$")
    assert set(needed) == set(tensors)


UNKNOWN = [released for released in RELEASED if released.variant == "-"]


@pytest.mark.parametrize("released", UNKNOWN, ids=lambda r: f"{r.method}-{r.name}")
def test_models_whose_tensors_are_not_listed_are_built(released):
    cfg = official_cfg(released.method, tree_of(released))
    assert skeleton(released.method, cfg, released.name, 5000).cfg == cfg


def test_the_size_of_the_model_stands_before_that_of_its_data():
    released = next(r for r in RELEASED if r.method == "motion_transformer")
    tree = tree_of(released)
    tree["dataset_params"]["frame_shape"] = [384, 384, 3]
    assert official_cfg("motion_transformer", tree).size == 256
    del tree["MODEL"]["IMAGE_SIZE"]
    with pytest.raises(InputError, match="IMAGE_SIZE is missing"):
        official_cfg("motion_transformer", tree)


def leaves(tree, path=()):
    "Every option of a tree: its path."
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from leaves(value, (*path, name))
        yield (*path, name)


FIRST = {released.method: released for released in RELEASED}
WRONG = [None, "a", -1, 0, 2**40, 1e30, float("nan"), [], {}, [[[]]], True]


@pytest.mark.parametrize("method", FIRST)
def test_any_option_with_any_wrong_value_is_understood_or_refused(method):
    "No other error than an InputError, whatever stands in the place of an option."
    released = FIRST[method]
    for path in leaves(released.tree):
        for value in WRONG:
            tree = tree_of(released)
            part = tree
            for name in path[:-1]:
                part = part[name]
            part[path[-1]] = value
            try:
                official_cfg(method, tree)
            except InputError as error:
                assert "\n" not in str(error) and "config" in str(error)


def test_what_monkeynets_yaml_leaves_open_is_as_at_256_px():
    "Its paper's own frames have 64 px; the released code's have 256."
    released = next(r for r in RELEASED if (r.method, r.name) == ("monkeynet", "vox"))
    tree = tree_of(released)
    del tree["dataset_params"]["frame_shape"]
    assert official_cfg("monkeynet", tree) == official_cfg("monkeynet", released.tree)
