"No order is claimed inside the spread of one seed, and what a chapter says of a table is checked."

import json

import pytest
from project_files import ROOT, chapters, read_cells

from animlib.evaluate.tables import SPREAD, SPREAD_OF, are_level, in_order, row_values

ASSETS = sorted((ROOT / "nbs/assets").glob("*.json"))


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
