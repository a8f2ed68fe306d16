"Numbers and choices that a call is given: every door refuses what is out of its range, at once."

import importlib
import inspect
import math
import pkgutil
from typing import Annotated, Any, Literal, get_args, get_origin

import numpy as np
import pytest

import animlib
from animlib.core import InputError
from animlib.ranges import FrameSize, MotionScale, Range, bounded_arguments, check_value

NUMBERS = {"batch", "clips", "frames", "limit", "n_clips", "n_frames", "rounds", "scale", "seeds"}
NUMBERS |= {"size", "training_size", "fit"}
MODULES = "animation inputs data.sources evaluate.tables run.ablate run.bench run.jobs"
INNER = {"inputs.batches"}  # called behind a door


def doors() -> list:
    "The functions of the library whose arguments have ranges or choices."
    found = []
    for module in pkgutil.walk_packages(animlib.__path__, "animlib."):
        if module.name.endswith("__main__"):
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            own = inspect.isfunction(value) and value.__module__ == module.name
            if own and bounded_arguments(value):
                found.append(pytest.param(value, id=f"{module.name}.{name}"))
    return found


def outside(kind: Any) -> list:
    "Values that no kind of number allows, and those that this one does not."
    wrong = [
        math.nan,
        math.inf,
        -math.inf,
        -1,
        True,
        "64",
        "",
        object(),
        [],
        (),
        (8, 8, 8),
        10**400,
    ]
    if type(None) not in get_args(kind):
        wrong.append(None)
    bounds = [one for one in flat(kind) if isinstance(one, Range)]
    wrong += [1.5, 10**9] if bounds and float not in flat(kind) else [10**9]
    return wrong + [(10**9, 8)]


def flat(kind: Any) -> list:
    "All that a declaration is made of."
    return [kind, *(inner for one in get_args(kind) for inner in flat(one))]


# ---- every door ----
@pytest.mark.parametrize("door", doors())
def test_a_door_refuses_what_is_out_of_range(door):
    parameters = inspect.signature(door).parameters
    needed = {
        name: least(bounded_arguments(door).get(name))
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
    }
    for name, kind in bounded_arguments(door).items():
        for value in outside(kind):
            with pytest.raises(InputError, match=f"^{name}: expected") as caught:
                door(**(needed | {name: value}))
            assert "\n" not in str(caught.value)


def least(kind: Any) -> Any:
    "The smallest value of a number; None where there is no range."
    return get_args(kind)[1].low if get_origin(kind) is Annotated else None


@pytest.mark.parametrize("module", MODULES.split())
def test_numbers_of_public_functions_have_ranges(module):
    there = importlib.import_module(f"animlib.{module}")
    for name in there.__all__:
        function = vars(there)[name]
        if inspect.isfunction(function) and f"{module}.{name}" not in INNER:
            open_ends = NUMBERS & set(inspect.signature(function).parameters) - {"frames"}
            assert open_ends <= set(bounded_arguments(function)), f"{module}.{name}"


# ---- right values ----
@pytest.mark.parametrize(
    "given,kind,value",
    [
        (np.int32(64), FrameSize, 64),
        ([64, np.int64(96)], FrameSize, (64, 96)),
        (2, MotionScale, 2.0),
        (np.float32(0.5), MotionScale, 0.5),
        ("auto", MotionScale, "auto"),
        ("crop", Literal["crop", "pad"], "crop"),
    ],
)
def test_what_means_the_same_is_understood(given, kind, value):
    found = check_value(given, kind, "x")

    assert found == value and type(found) is type(value)
