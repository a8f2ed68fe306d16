"""Odd things in place of a path, an image or a video: success, or an InputError of one line.

The doors are found in the code: a public function that takes a path must be in `DOORS` of
`path_doors.py`, or say there, in `INSIDE`, why it is none."""

import ast

import pytest
from path_doors import (
    DOORS,
    ODD,
    WEIGHTS,
    is_inside,
    paths_taken,
    public_functions,
    takes_a_path,
)
from watched import Answer, Watched

SECONDS = 10  # for one call
PLAIN = [  # odd things that the quick test gives to every door
    *("None", "a number", "bytes", "bytes in memory", "an open file", "a zero", "a long name"),
    *("a fifo", "an empty folder", "an empty file", "a text", "an image"),
]


# ---- the list ----
def test_every_function_that_takes_a_path_is_a_door_or_says_why_not():
    new = sorted(name for name in paths_taken() - DOORS.keys() if not is_inside(name))
    assert not new, "add them to DOORS in tests/support/path_doors.py, or to INSIDE with a reason"


def test_every_door_is_there():
    assert not sorted(DOORS.keys() - paths_taken())
    assert not [door for door in DOORS if is_inside(door)]


SOURCE = """
__all__ = ["f", "A"]
def f(
    path,  # of a video
    size: int,  # of the file
    frames: "Tensor",  # of the video
    out: str | os.PathLike,
    label: str,  # any text
    checked: Path,
    where,  # a path, for messages
    name,  # of the video, for errors
): ...
def hidden(path): ...
class A:
    def __init__(self, x: str | Path): ...
    def _inner(self, path): ...
"""


def test_paths_are_told_from_other_parameters():
    found = []
    lines = SOURCE.splitlines()
    for name, function in public_functions(ast.parse(SOURCE)):
        for parameter in function.args.args:
            if takes_a_path(parameter, lines[parameter.lineno - 1]):
                found.append((name, parameter.arg))
    assert found == [("f", "path"), ("f", "out"), ("A.__init__", "x")]


# ---- the doors ----
@pytest.fixture(scope="module")
def process():
    "One process for all doors."
    with Watched("path_doors", seconds=SECONDS) as watched:
        yield watched


def complaint(door: str, odd: str, answer: Answer) -> str:
    "What went wrong, in one line."
    last = (answer.text.strip().splitlines() or [""])[-1]
    return f"{door}, given {odd}: {answer.outcome}: {last[:200]}"


def check_door(door: str, odds: list[str], process: Watched):
    "Give these odd things to a door."
    if door in WEIGHTS:
        odds = [odd for odd in odds if odd != "None"]  # which would be downloaded
    answers = {odd: process.call([door, odd]) for odd in odds}
    found = [complaint(door, odd, answer) for odd, answer in answers.items() if not answer.is_good]
    if found:
        pytest.fail("\n".join(found), pytrace=False)


@pytest.mark.parametrize("door", DOORS)
def test_a_door_takes_or_refuses_plain_things(door, process):
    check_door(door, PLAIN, process)


@pytest.mark.slow
@pytest.mark.parametrize("door", DOORS)
def test_a_door_takes_or_refuses_everything(door, process):
    check_door(door, list(ODD), process)
