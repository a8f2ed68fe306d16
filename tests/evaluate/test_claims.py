"No order is claimed inside the spread of one seed, and what a chapter says of a table is checked."

import json
import re

import pytest
from project_files import ROOT, Cell, chapters, code, markdown, read_cells

from animlib.evaluate.tables import SPREAD, SPREAD_OF, are_level, in_order, row_values

OTHERS = {"methods", "metric-floors", "seconds", "speed"}  # no tables of models
ASSETS = [p for p in sorted((ROOT / "nbs/assets").glob("*.json")) if p.stem not in OTHERS]


def table_of(number, **rows):
    "A table of one number, a list of seeds for each row."
    return {"variants": {row: {"metrics": [{number: x} for x in rows[row]]} for row in rows}}


@pytest.mark.parametrize("number", ["l1_ratio", "figure_ratio", "warp_ratio"])
def test_an_order_needs_more_than_the_spread(number):
    spread = SPREAD_OF.get(number, SPREAD)
    inside = table_of(number, a=[0.5], b=[0.5 + 0.9 * spread])
    outside = table_of(number, a=[0.5], b=[0.5 + 1.1 * spread])

    assert not in_order(inside, number, "a", "b") and are_level(inside, number)
    assert in_order(outside, number, "a", "b") and not are_level(outside, number)
    assert not in_order(outside, number, "b", "a")


def test_every_step_of_an_order_counts():
    found = table_of("l1_ratio", a=[0.3], b=[0.32], c=[0.6])

    assert in_order(found, "l1_ratio", "a", "c") and not in_order(found, "l1_ratio", "a", "b", "c")
    assert not are_level(found, "l1_ratio") and are_level(found, "l1_ratio", "b", "a")


def test_seeds_are_averaged():
    assert row_values(table_of("l1", a=[0.1, 0.3]), "l1") == {"a": pytest.approx(0.2)}


@pytest.mark.parametrize("path", ASSETS, ids=lambda path: path.stem)
def test_what_is_stored_can_be_asked(path):
    found = json.loads(path.read_text(encoding="utf-8"))

    values = row_values(found, "l1_ratio")
    assert list(values) == list(found["variants"]) and all(0 < x < 1.5 for x in values.values())


def code_of(path):
    "The code of a chapter, without what its cells printed."
    return "\n".join(cell.source for cell in read_cells(path) if cell.kind == "code")


METHODS = [f"{number:02}" for number in range(3, 11)]  # folders of the papers
WITH_TABLES = [
    path
    for path in chapters()
    if path.parent.name[:2] in METHODS and "ablation_table(" in code_of(path)
]


def test_there_are_chapters_with_tables():
    assert len(WITH_TABLES) >= 6


@pytest.mark.parametrize("path", WITH_TABLES, ids=lambda path: path.stem)
def test_a_chapter_with_a_stored_table_checks_its_sentences(path):
    code = code_of(path)

    assert "in_order(" in code or "are_level(" in code


NUMBER = re.compile(r"(?<![\w.])\d*\.\d+(?![\w.])")  # such as 0.84 and .5
FOUND = re.compile(r"(?<![\w.])\d*\.?\d+(?:e-\d+)?(?![\w.])")


def measured_cells(text: str) -> list[str]:
    "Cells of a text's tables below a heading that says they were measured."
    found = []
    column = None
    for line in text.splitlines():
        row = [o.strip() for o in line.strip("|").split("|")] if line.startswith("|") else []
        titles = [i for i, title in enumerate(row) if "measured" in title and title[:3] != "not"]
        if not row:
            column = None
        elif column is None:
            column = titles[-1] if titles else len(row)
        else:
            found += row[column : column + 1]
    return found


def is_known(number: str, known: set[float]) -> bool:
    "Whether a number that was computed, checked or printed rounds to this one."
    half = 0.51 * 10 ** -len(number.split(".")[1])
    return any(abs(value - float(number)) < half for value in known)


def unsupported(cells: tuple[Cell, ...]) -> list[str]:
    "Measured numbers in a chapter's tables that none of its cells checks or prints."
    done = "\n".join(f"{cell.source} {cell.outputs}" for cell in cells if cell.kind == "code")
    known = {float(found) for found in FOUND.findall(done.replace("\\n", "\n"))}
    text = "\n\n".join(cell.source for cell in cells if cell.kind == "markdown")
    said = set(NUMBER.findall(" ".join(measured_cells(text))))
    return sorted(x for x in said if not is_known(x, known))


TYPED = markdown(
    "| option | effect, measured |\n|---|---|\n| `stiff` of 0.3 | L1 at 0.843 of copying |"
)


def test_typed_numbers_are_found():
    assert unsupported((TYPED,)) == unsupported((TYPED, code("x = 0.9"))) == ["0.843"]
    assert unsupported((TYPED, code("assert round(l1, 3) == 0.843"))) == []
    assert unsupported((TYPED, code("l1", outputs=({"text": "L1: 0.8428\n"},)))) == []
    assert unsupported((markdown(TYPED.source.replace("effect, measured", "a guess")),)) == []


@pytest.mark.parametrize(
    "path", [o for o in chapters() if o.parent.name[:2] in METHODS], ids=lambda path: path.stem
)
def test_what_a_table_says_was_measured_is_checked_or_printed(path):
    assert not unsupported(read_cells(path))
