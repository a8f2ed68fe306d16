"""The exercises of a chapter: which cells they consist of, and what their checks say of answers.

A stub is tagged `exercise`, the next code cell `check`; folded text cells tagged `hint`, `solution`
and `mistake` follow, up to the next stub. While a chapter runs as a test, its own answers are
tried below each check: the solution must be *right*, the stub and every mistake refused."""

import ast
import re
from collections.abc import Iterable
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from io import StringIO

from project_files import Cell, as_cell

FOLDED = {"hint": "**Hint**", "solution": "**Solution**", "mistake": "**A common mistake**"}
CODE = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Exercise:
    "One exercise of a chapter."

    stub: Cell
    check: Cell | None = None
    place: int = 0  # of the check among the cells
    task: str = ""  # the text above the stub
    folded: dict[str, list[Cell]] = field(default_factory=lambda: {name: [] for name in FOLDED})

    def answers(self, kind: str) -> list[str]:
        "The code of its solution, or of its mistakes."
        return [code for cell in self.folded[kind] for code in CODE.findall(cell.source)]


def exercises(cells: Iterable[Cell]) -> list[Exercise]:
    "The exercises among some cells, in their order."
    found: list[Exercise] = []
    task = ""
    for place, cell in enumerate(cells):
        if "exercise" in cell.tags:
            found.append(Exercise(cell, task=task))
        elif "check" in cell.tags and found and found[-1].check is None:
            last = found.pop()
            found.append(Exercise(last.stub, cell, place, last.task))
        elif kinds := [kind for kind in FOLDED if kind in cell.tags]:
            if found:
                found[-1].folded[kinds[0]].append(cell)
        elif cell.kind == "markdown":
            task = cell.source
    return found


def names_given(source: str) -> set[str]:
    "Functions, classes and values that a piece of code gives a name to."
    found = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {ast.unparse(target) for target in node.targets}
    return found


# ---- while a chapter runs ----
def verdicts(names: dict, answer: str, check: str) -> list[str]:
    "The lines that a check prints of an answer, among these names; nothing of it stays."
    space = dict(names)
    printed = StringIO()
    with redirect_stdout(printed):
        exec(answer, space)
        exec(check, space)
    return re.findall(r"^\w+: (?:right$|not yet: .*)", printed.getvalue(), re.MULTILINE)


def is_right(lines: list[str]) -> bool:
    "Whether a check was content with all that it was given."
    return bool(lines) and all(line.endswith(": right") for line in lines)


def try_answers(names: dict, stub: str, check: str, solutions: list[str], mistakes: list[str]):
    "The stub and the mistakes are refused, the solutions are right."
    empty = verdicts(names, stub, check)
    assert empty, "the check of an exercise prints nothing: end it with attempt(check, answer)"
    assert not any(map(is_right, ([line] for line in empty))), f"an empty stub passes: {empty}"
    for answer in solutions:
        found = verdicts(names, answer, check)
        assert is_right(found), f"a solution is refused: {found}\n{answer}"
    for answer in mistakes:
        found = verdicts(names, answer, check)
        assert found and not is_right(found), f"a mistake is accepted: {found}\n{answer}"


def trial(exercise: Exercise) -> str:
    "A cell that tries the answers of an exercise."
    sources = [exercise.stub.source, exercise.check.source]
    answers = [exercise.answers("solution"), exercise.answers("mistake")]
    given = ", ".join(map(repr, sources + answers))
    return f"from exercise_cells import try_answers\n\ntry_answers(globals(), {given})"


def with_trials(notebook):
    "A notebook, as nbdev reads it, with such a cell below each check."
    from fastcore.nbio import mk_cell

    cells = list(notebook.cells)
    for exercise in reversed(exercises([as_cell(cell) for cell in cells])):
        if exercise.check is not None:
            cells.insert(exercise.place + 1, mk_cell(trial(exercise), "code"))
    notebook.cells = cells
    return notebook
