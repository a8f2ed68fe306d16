"""Exercises: a stub, a check, folded hints and solutions, and checks that tell right from wrong.

That solutions are right and stubs and mistakes are refused is found while the chapters run
(test_notebooks): the runner tries them below each check."""

import subprocess
import sys
from itertools import product

import pytest
from exercise_cells import FOLDED, Exercise, exercises, names_given, try_answers
from notebook_runner import run
from project_files import ROOT, Cell, by_path, chapters, code, read_cells

FEWEST, LARGEST = 3, 6  # exercises of a chapter


# ---- what an exercise consists of ----
def has_a_check(exercise: Exercise) -> list[str]:
    "Below the stub stands a check that ends with `attempt(check, answer)`."
    if exercise.check is None:
        return ["there is no cell tagged `check`"]
    ends = exercise.check.source.rstrip().splitlines()[-1].startswith("attempt(")
    return [] if ends else ["its last line is no call of attempt"]


def tells_the_time(exercise: Exercise) -> list[str]:
    "The task says how many minutes it takes."
    return [] if "minute" in exercise.task else [exercise.task[-60:]]


def has_hint_and_solution(exercise: Exercise) -> list[str]:
    "There are a hint and one solution."
    number = len(exercise.answers("solution"))
    found = [] if number == 1 else [f"there are {number} solutions in ```python"]
    return found if exercise.folded["hint"] else [*found, "there is no hint"]


def is_folded(exercise: Exercise) -> list[str]:
    "Hints, solutions and mistakes are folded text cells; their first line says what they are."
    cells = [(FOLDED[kind], cell) for kind in FOLDED for cell in exercise.folded[kind]]
    return [cell.source[:40] for title, cell in cells if not has_folded_title(cell, title)]


def has_folded_title(cell: Cell, title: str) -> bool:
    "Whether a cell is folded text below this title."
    folded = cell.kind == "markdown" and cell.source_hidden
    return folded and cell.source.startswith(f"{title}\n")


def solves_the_stub(exercise: Exercise) -> list[str]:
    "A solution gives what the stub gives, so it can be pasted over it."
    wanted = names_given(exercise.stub.source)
    missing = [wanted - names_given(answer) for answer in exercise.answers("solution")]
    return [f"{sorted(names)} is not in the solution" for names in missing if names]


def is_formatted(exercise: Exercise) -> list[str]:
    "Folded code has the form of all code."
    found = [answer for kind in ("solution", "mistake") for answer in exercise.answers(kind)]
    return [answer for answer in found if formatted(answer) != answer]


def formatted(source: str) -> str:
    "What ruff makes of a piece of code."
    command = [sys.executable, "-m", "ruff", "format", "--config", ROOT / "pyproject.toml", "-"]
    return subprocess.run(command, input=source, capture_output=True, text=True).stdout


RULES = [
    has_a_check,
    tells_the_time,
    has_hint_and_solution,
    is_folded,
    solves_the_stub,
    is_formatted,
]


def text(source: str, *tags: str, folded: bool = True) -> Cell:
    "A text cell."
    return Cell("markdown", source, tags=tags, source_hidden=folded)


TASK = text("**1.** *(1 minute)* Write `f`.", folded=False)
STUB = code("def f(x):\n    raise NotImplementedError", tags=("exercise",))
CHECK = code("def check_f(f):\n    assert f(1) == 1\n\n\nattempt(check_f, f)", tags=("check",))
HINT = text("**Hint**\n\nThink.", "hint")
SOLUTION = text("**Solution**\n\n```python\ndef f(x):\n    return x\n```", "solution")
MISTAKE = text("**A common mistake**\n\n```python\ndef f(x):\n    return 2\n```", "mistake")
GOOD = (TASK, STUB, CHECK, HINT, SOLUTION, MISTAKE)
REFUSED = [
    (has_a_check, (TASK, STUB, HINT, SOLUTION)),
    (has_a_check, (TASK, STUB, code("def check_f(f): ...", tags=("check",)))),
    (tells_the_time, (text("Write `f`.", folded=False), STUB, CHECK)),
    (has_hint_and_solution, (TASK, STUB, CHECK, SOLUTION)),
    (has_hint_and_solution, (TASK, STUB, CHECK, HINT)),
    (has_hint_and_solution, (TASK, STUB, CHECK, HINT, SOLUTION, SOLUTION)),
    (is_folded, (TASK, STUB, CHECK, text(HINT.source, "hint", folded=False))),
    (is_folded, (TASK, STUB, CHECK, text("Think.", "hint"))),
    (is_folded, (TASK, STUB, CHECK, code("def f(x): ...", tags=("solution",)))),
    (solves_the_stub, (TASK, STUB, CHECK, text("```python\ng = 1\n```", "solution"))),
    (is_formatted, (TASK, STUB, CHECK, text("```python\ng=1\n```", "mistake"))),
]


@pytest.mark.parametrize("rule,cells", REFUSED)
def test_rule_refuses(rule, cells):
    (exercise,) = exercises(cells)
    assert rule(exercise)


def test_rules_accept_a_good_exercise():
    first, second = exercises(GOOD + GOOD)
    assert not [complaint for rule in RULES for complaint in rule(first) + rule(second)]
    assert {rule for rule, _ in REFUSED} == set(RULES)


# ---- what the checks say ----
ATTEMPT = """
def attempt(check, answer):
    try:
        check(answer)
        print("f: right")
    except (AssertionError, NotImplementedError):
        print("f: not yet: no")
"""
ANYTHING = CHECK.source.replace("assert f(1) == 1", "assert f")
SILENT = CHECK.source.replace("attempt(check_f, f)", "")


def tried(stub=STUB.source, check=CHECK.source, solution="f = abs", mistake="f = str"):
    "The answers of an exercise, tried."
    names = {}
    exec(ATTEMPT, names)
    try_answers(names, stub, check, [solution], [mistake])
    assert "f" not in names and "check_f" not in names


def test_answers_are_tried():
    tried()


@pytest.mark.parametrize(
    "wrong,message",
    [
        (dict(stub="def f(x):\n    return x"), "an empty stub passes"),
        (dict(check=ANYTHING), "an empty stub passes"),
        (dict(check=SILENT), "prints nothing"),
        (dict(solution="f = str"), "a solution is refused"),
        (dict(mistake="f = abs"), "a mistake is accepted"),
    ],
)
def test_wrong_exercises_are_found(wrong, message):
    with pytest.raises(AssertionError, match=message):
        tried(**wrong)


@pytest.mark.parametrize("right", [True, False])
def test_the_runner_tries_answers(right, tmp_path):
    from notebook_files import code_cell, text_cell, write_cells

    value = "x" if right else "x + 1"
    answer = text_cell(f"**Solution**\n\n```python\ndef f(x):\n    return {value}\n```")
    cells = [
        code_cell(f"{ATTEMPT}", 0),
        code_cell(STUB.source, 1, tags=STUB.tags),
        code_cell(CHECK.source, 2, tags=CHECK.tags),
        answer | dict(id="c3", metadata=dict(tags=["solution"])),
    ]
    result = run(write_cells(tmp_path / "a.ipynb", cells), tmp_path / "log")
    assert result.passed == right, result.text
    assert right or "a solution is refused" in result.text


# ---- the exercises of the book ----
WITH_EXERCISES = [path for path in chapters() if exercises(read_cells(path))]


@pytest.mark.parametrize("path", by_path(WITH_EXERCISES))
def test_exercises_of_a_chapter(path):
    found = exercises(read_cells(path))
    pairs = list(product(enumerate(found, 1), RULES))
    broken = [
        f"exercise {number}: {rule.__doc__} {rule(exercise)}"
        for (number, exercise), rule in pairs
        if rule(exercise)
    ]
    if not FEWEST <= len(found) <= LARGEST:
        broken.append(f"expected {FEWEST} to {LARGEST} exercises, found {len(found)}")
    if broken:
        pytest.fail("\n".join(broken), pytrace=False)


def test_every_tag_belongs_to_an_exercise():
    for path in chapters():
        cells = read_cells(path)
        tagged = [cell for cell in cells if {"exercise", "check", *FOLDED} & set(cell.tags)]
        known = [
            cell
            for exercise in exercises(cells)
            for cell in (exercise.stub, exercise.check, *sum(exercise.folded.values(), []))
        ]
        assert len(tagged) == len(known), f"{path.name}: a tagged cell outside of an exercise"
