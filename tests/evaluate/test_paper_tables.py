"The papers' numbers are as printed; ours stand beside them in their own columns."

import pytest

from animlib.core import InputError
from animlib.evaluate.paper_tables import (
    FILLED,
    as_number,
    data_sets,
    fill_commands,
    own_numbers,
    paper_table,
    paper_tables,
    table_text,
)
from animlib.models.registry import configure
from animlib.run.papers import row_options, row_preset

TABLES = paper_tables()
# The sum of every number of a table, added up from the paper a second time.
SUMS = {
    "monkeynet-1": 9.344,
    "monkeynet-2": 19.603,
    "monkeynet-3": 492.205,
    "monkeynet-4": 2.55,
    "pose_attentive-1": 1173.62,
    "pose_attentive-2": 1037.25,
    "pose_attentive-3": 55.91,
    "pose_attentive-4": 30.0,
    "pose_attentive-5": 265.3,
    "dam-1": 95.7318,
    "dam-2": 4.135,
    "dam-3": 15.8421,
    "dam-4": 25.2683,
    "tpsmm-1": 76.3091,
    "tpsmm-2": 4.223,
    "tpsmm-3": 55.724,
    "tpsmm-4": 30.28,
    "motion_transformer-2": 33.8418,
    "motion_transformer-3": 4.191,
    "motion_transformer-4": 10.599,
    "motion_transformer-5": 16.222,
    "motion_transformer-6": 15.883,
}
SAME = [  # cells of two tables of a paper that report one training
    ("monkeynet-1", "Ours", "monkeynet-2", "Full"),
    ("dam-1", "Ours HDAM", "dam-3", "10"),
    ("dam-1", "Ours HDAM", "dam-4", "3"),
    ("tpsmm-1", "Ours", "tpsmm-4", "+ L_warp"),
    ("tpsmm-1", "MRAA", "tpsmm-4", "MRAA"),
    ("tpsmm-1", "MRAA", "tpsmm-3", "MRAA, K=10"),
    ("motion_transformer-2", "Ours", "motion_transformer-4", "w PE"),
    ("motion_transformer-2", "Ours", "motion_transformer-5", "HR-W32, 12.23M"),
    ("motion_transformer-2", "Ours", "motion_transformer-6", "12"),
    ("pose_attentive-1", "Ours", "pose_attentive-5", "Ours"),
]


@pytest.mark.parametrize("name", SUMS)
def test_the_numbers_are_those_of_the_paper(name):
    cells = [as_number(cell) for row in TABLES[name].rows for cell in row.values]
    total = sum(value for value in cells if value is not None)
    assert total == pytest.approx(SUMS[name], abs=1e-6)


@pytest.mark.parametrize("one,row,other,same", SAME)
def test_tables_of_one_training_agree(one, row, other, same):
    first = TABLES[one]
    second = TABLES[other]
    both = [column for column in first.columns if column in second.columns]
    assert both
    for column in both:
        pair = [
            table.cell(title, column.data, column.number)
            for table, title in ((first, row), (second, same))
        ]
        assert pair[0] == pair[1], column


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_row_of_ours_is_a_training_that_exists(table):
    if table.kind == "sizes":
        return
    for row in table.rows:
        for data in table.data if row.method else ():
            preset = row_preset(row.method, data)
            configure(row.method, preset, **row_options(row, preset))


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_a_table_is_shown_whole(table):
    head, line, *rows = table_text(table).split("\n\n")[0].splitlines()
    assert len(rows) == len(table.rows)
    assert {row.count(" | ") for row in (head, *rows)} == {line.count("---") - 1}
    for row, shown in zip(table.rows, rows):
        assert shown.startswith(f"| {row.title} ") and " / " not in shown
        assert ("(paper only)" in shown) == (not row.method)


def test_other_methods_are_the_papers_numbers_only():
    rows = [row for table in TABLES.values() for row in table.rows]
    assert {row.title for row in rows if not row.method} == {
        "MoCoGAN",
        "CMM-Net",
        "SV2P",
        "NeuralHead",
    }


def test_ours_are_there_wherever_a_table_is_kept():
    for table in TABLES.values():
        found = [own_numbers(row, table.kept) for row in table.rows]
        assert any(found) == bool(table.kept), table.name


def test_commands_name_data_sets_that_the_pipeline_takes():
    for table in TABLES.values():
        for command in fill_commands(table):
            words = command.split()
            assert words[0] == "animlib"
            if "paper_tables" in words and table.kind == "measured":
                assert words[-2] in data_sets() and words[-2] in table.data
                assert any(o.data == words[-2] and o.metric in FILLED for o in table.columns)


def test_an_unknown_table_is_refused():
    with pytest.raises(InputError, match="did you mean tpsmm-1"):
        paper_table("tpsm-1")
