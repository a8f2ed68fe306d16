"Every option of every config has a range or choices, and nothing is made of a value outside."

import importlib
import math
import pkgutil
import random
from dataclasses import is_dataclass, replace
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import numpy as np
import pytest
import torch

import animlib
from animlib.cli import main
from animlib.core import InputError
from animlib.geometry import Sampling
from animlib.losses.reconstruction import total_loss
from animlib.models.names import method_names
from animlib.models.registry import (
    COMPONENTS,
    build,
    configure,
    get_component,
    get_method,
    variant_options,
)
from animlib.options import Config, flatten_options, option_kinds, option_values, set_options
from animlib.ranges import Length, Range, check_value, declared_kinds, describe
from animlib.retarget import disentangle, forecast
from animlib.run.commands import method_options
from animlib.training.config import TrainCfg


def all_configs() -> list[type]:
    "Every config class of the library."
    for module in pkgutil.walk_packages(animlib.__path__, "animlib."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found = [Config]
    for kind in found:
        found += [one for one in kind.__subclasses__() if one not in found]
    return [kind for kind in found[1:] if kind.__module__.startswith("animlib.")] + [Sampling]


FIELDS = [(kind, name) for kind in all_configs() for name in declared_kinds(kind)]


def id_of(value) -> str | None:
    return value.__name__ if isinstance(value, type) else str(value)


# ---- values that no declaration allows ----
class Odd:
    "No number, no text, no config."

    def __repr__(self):
        return "Odd()"


def outside(kind: Any) -> list:
    "Values that a declaration forbids, made from it."
    common = [None, Odd(), b"1", {1}, {}, 1j, math.nan, np.array([1.0, 2.0])]
    bare, *bounds = get_args(kind) if get_origin(kind) is Annotated else (kind,)
    if bare is bool:
        return [*common, 0, 1, "true", "", -1, math.inf]
    if get_origin(bare) is Literal:
        return [*common, "", "fp8", 0, 1, True, 2**31, -math.inf]
    if get_origin(bare) is tuple:
        return [*common, "0.5", 1, *outside_tuple(get_args(bare), bounds)]
    if bare in (int, float):
        return [*common, True, "", "64", "many", [1], (), *outside_range(bare, *bounds)]
    return [*common, 1, "text", True, [1]]  # a part


def outside_range(kind: type, bounds: Range) -> list:
    "Numbers below, above, and between the steps."
    step = 1 if kind is int else 1e-3
    found = [bounds.low - step, -math.inf, -(10**400), 10**400, bounds.low - 10**30]
    if not math.isinf(bounds.high):
        found += [bounds.high * 2 + step, math.inf, 2 * bounds.high + 10**31]
    if kind is int:
        found += [bounds.low + 0.5, float(bounds.low), np.float32(bounds.low)]
    if bounds.step:
        found += [bounds.low + 1]
    return found


def outside_tuple(kinds: tuple, bounds: list) -> list:
    "Tuples of the wrong length, and with one wrong element."
    fitting = inside(kinds[0])[0]
    several = kinds[1:] == (...,)
    wrong = outside(kinds[0])
    found = [(one,) if several else (fitting, one) for one in wrong]
    found += [[fitting] * (bound.high + 1) for bound in bounds]
    return found if several else [*found, (), (fitting,), (fitting,) * 3]


def inside(kind: Any) -> list:
    "Values that a declaration allows: its ends, and what means the same."
    bare, *bounds = get_args(kind) if get_origin(kind) is Annotated else (kind,)
    if bare is bool:
        return [True, False, np.True_]
    if get_origin(bare) is Literal:
        return list(get_args(bare))
    if get_origin(bare) is tuple:
        each = get_args(bare)
        n = len([one for one in each if one is not ...])
        if bounds:
            n = bounds[0].high
        return [(inside(each[0])[0],) * n, [inside(each[0])[1]] * n]
    if bare is int:
        return [bounds[0].low, bounds[0].high, np.int64(bounds[0].low)]
    return [
        bounds[0].low,
        bounds[0].high,
        int(math.ceil(bounds[0].low)),
        np.float64(1e-3 + bounds[0].low),
    ]


# ---- the declarations ----
@pytest.mark.parametrize("config,name", FIELDS, ids=id_of)
def test_every_number_has_a_range_and_every_text_has_choices(config, name):
    kind = declared_kinds(config)[name]

    assert not bare_kinds(kind), f"{config.__name__}.{name}: {kind} has no range and no choices"


def bare_kinds(kind: Any) -> list:
    "Numbers and texts inside a declaration that nothing bounds."
    origin = get_origin(kind)
    inner = get_args(kind)
    if origin is Literal or kind in (bool, NoneType, ...):
        return []
    if origin is Annotated and isinstance(inner[1], Range) and not isinstance(inner[1], Length):
        return []
    if origin in (Annotated, tuple, Union, UnionType):
        kinds = [one for one in inner if not isinstance(one, Range)]
        return [bare for one in kinds for bare in bare_kinds(one)]
    return (
        [] if isinstance(kind, type) and (issubclass(kind, Config) or kind is Sampling) else [kind]
    )


@pytest.mark.parametrize("config,name", FIELDS, ids=id_of)
def test_values_outside_are_refused(config, name):
    kind = declared_kinds(config)[name]
    for value in outside(kind):
        with pytest.raises(InputError) as caught:
            check_value(replace_unchecked(config(), name, value), config, "cfg")
        line = str(caught.value)
        assert name in line and describe_part(kind) in line and "\n" not in line, (value, line)
        assert len(line) < 300, line


def replace_unchecked(config, name: str, value):
    "A config with a field that its own check has not seen, as after unpickling."
    object.__setattr__(config, name, value)
    return config


def describe_part(kind: Any) -> str:
    return kind.__name__ if is_dataclass(kind) else describe(kind)


@pytest.mark.parametrize("config,name", [x for x in FIELDS if x[0] is not Sampling], ids=id_of)
def test_no_config_can_be_made_with_them(config, name):
    for value in outside(declared_kinds(config)[name]):
        with pytest.raises(InputError, match=name):
            config(**{name: value})
        with pytest.raises(InputError, match=name):
            replace(config(), **{name: value})


@pytest.mark.parametrize("config,name", FIELDS, ids=id_of)
def test_values_inside_are_taken(config, name):
    kind = declared_kinds(config)[name]
    for value in [kind()] if is_dataclass(kind) else inside(kind):
        taken = getattr(set_options(config(), {name: value}), name)
        assert taken == value or list(taken) == list(value)
        assert isinstance(taken, type(getattr(config(), name)))


# ---- the doors ----
@pytest.mark.parametrize("method", method_names())
def test_options_of_a_method_are_refused_by_name(method):
    cfg, training = configure(method, "toy")
    kinds = option_kinds(cfg) | option_kinds(training)
    for name, kind in kinds.items():
        for value in outside(kind):
            if isinstance(value, dict):
                continue  # no option at all
            with pytest.raises(InputError, match=f"option {name}: expected"):
                configure(method, "toy", **{name: value})
            with pytest.raises(InputError, match=f"-o {name}: expected"):
                method_options(method, "toy", {name: f"{value}!"})


@pytest.mark.parametrize(
    "option",
    [
        "precision=fp8",
        "betas=[1,1]",
        "milestones=[a]",
        "weight_decay=-1",
        "seed=-1",
        "sources=-1",
        "batch=100000",
        "lr=1e38",
        "lr=nan",
        "clip=inf",
        "steps=0",
        "generator.blocks=2147483648",
        "dense.width=4000",
        "dense.kernel=4",
        "size=1000000000",
    ],
)
def test_a_training_is_refused_before_anything_is_made(option, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)

    code = main(["train", "fomm", "--data", "toy:arm", "--preset", "toy", "-o", option])

    err = capsys.readouterr().err
    assert code == 2 and err.count("\n") == 1 and "expected" in err
    assert option.partition("=")[0] in err
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("method", method_names())
def test_presets_and_variants_are_inside(method):
    for preset in get_method(method).presets:
        for variant in get_method(method).variants:
            options = variant_options(method, variant, configure(method, preset)[0])
            for config in configure(method, preset, **options):
                assert check_value(config, type(config), "cfg") == config
                assert set_options(config, option_values(config)) == config


def test_networks_beside_the_methods_are_inside():
    assert {get_component(name).config for name in COMPONENTS} <= set(all_configs())
    for presets in (forecast.presets, disentangle.presets):
        assert all(TrainCfg(**options) for _, options in presets.values())


def test_names_of_options_are_flat():
    assert flatten_options({"a": {"b": {"c": 1}}, "d.e": 2}) == {"a.b.c": 1, "d.e": 2}


# ---- options that must fit each other ----
def draw(kind: Any, rng: random.Random) -> Any:
    "A value inside a declaration, mostly near its lower end: small networks."
    bare, *bounds = get_args(kind) if get_origin(kind) is Annotated else (kind,)
    if bare is bool or get_origin(bare) is Literal:
        return rng.choice(get_args(bare) or (True, False))
    if get_origin(bare) is tuple:
        each = get_args(bare)
        n = max(1, rng.randint(bounds[0].low, 3)) if bounds else len(each)
        return tuple(draw(each[0], rng) for _ in range(n))
    low = bounds[0].low
    high = bounds[0].high
    if bare is float:
        return rng.choice([low, min(high, 1e3), low + (min(high, 2) - low) * rng.random()])
    found = rng.randint(low, min(high, low + rng.choice([0, 1, 3, 9, 40])))
    return found - (found - low) % (bounds[0].step or 1)


def try_out(method: str, options: dict):
    "Build a model, and take its losses once."
    cfg, _ = configure(method, "toy", **{"size": 32, **options})
    if cfg.size > 128:
        return
    paper = get_method(method)
    model = build(method, "toy", **options)
    discriminator = paper.discriminator(cfg) if paper.discriminator else None
    frames = torch.rand(2, 2, 3, cfg.size, cfg.size)
    losses = paper.losses(cfg, discriminator=discriminator)
    total_loss(losses, model(*frames))


def check_combinations(method: str, count: int):
    "Options inside their ranges make a model, or a message of one line."
    rng = random.Random(0)
    cfg, _ = configure(method, "toy")
    kinds = option_kinds(cfg)
    kinds.pop("loss.reconstruction", None)  # VGG-19 is no part of the model
    for _ in range(count):
        chosen = rng.sample(sorted(kinds), rng.randint(1, 3))
        options = {name: draw(kinds[name], rng) for name in chosen}
        try:
            try_out(method, options)
        except InputError as error:
            assert "\n" not in str(error), options
        except Exception as error:
            pytest.fail(f"{method} {options}: {type(error).__name__}: {error}")


@pytest.mark.parametrize("method", method_names())
def test_options_that_do_not_fit_each_other_are_refused(method):
    check_combinations(method, 6)


@pytest.mark.slow
@pytest.mark.parametrize("method", method_names())
def test_many_options_that_do_not_fit_each_other_are_refused(method):
    check_combinations(method, 80)


@pytest.mark.parametrize(
    "method,options,words",
    [
        ("motion_transformer", {"transformer.heads": 3}, "multiple of transformer.heads"),
        ("fomm", {"dense.scale": 0.3}, "scale: expected 1, 1/2"),
        ("dam", {"background.depth": 6}, "lower background.depth"),
        ("monkeynet", {"discriminator.depth": 5}, "lower discriminator.depth"),
    ],
)
def test_the_message_names_the_option(method, options, words):
    with pytest.raises(InputError, match=words):
        try_out(method, options)


@pytest.mark.parametrize(
    "method,options",
    [
        ("fomm", {"generator.max_width": 4}),
        ("tpsmm", {"generator.max_width": 4}),
        ("pose_attentive", {"encoder.max_width": 4}),
    ],
)
def test_no_level_is_wider_than_the_widest(method, options):
    try_out(method, options)
