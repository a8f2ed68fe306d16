"""README's tables say what the zoo's files and the list of `animlib data get` say."""

import re

import pytest
from project_files import ROOT

from animlib.data.available import available
from animlib.models.names import method_names
from animlib.run.papers import own_table
from animlib.training.state import read_header
from animlib.zoo.catalog import zoo

README = (ROOT / "README.md").read_text(encoding="utf-8")


def share(metrics: dict, name: str) -> str:
    "A ratio in per cent, or a dash where it was not measured."
    return f"{metrics[name]:.0%}" if name in metrics else "–"


def results(method: str) -> str:
    "The third column: each trained model of a method with its two measured ratios."
    cells = []
    for name, file in zoo().items():
        header = read_header(file)
        if header["method"] == method:
            metrics = header["metrics"]
            image, motion = (share(metrics, ratio) for ratio in ("l1_ratio", "warp_ratio"))
            cells.append(f"`{name}` {image}, {motion}")
    return "; ".join(cells)


def rows() -> dict[str, list[str]]:
    "Method -> the cells of its row."
    table = re.search(r"## Methods\n+((?:\|.*\n)+)", README)[1]
    cells = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    return {re.search(r"`(\w+)`", row[0])[1]: row for row in cells}


def test_every_method_has_a_row():
    assert list(rows()) == method_names()


@pytest.mark.parametrize("method", method_names())
def test_a_row_names_the_trained_models_and_their_results(method):
    assert rows()[method][2] == results(method), "the table is in nbs/index.ipynb"


def test_the_methods_side_by_side_are_the_stored_results():
    assert own_table() in README, "the table is in nbs/index.ipynb"


def test_the_table_of_sets_and_weights_is_the_list_of_data_get():
    table = re.search(r"\| name \| what \| size \| licence \|\n.*\n((?:\|.*\n)+)", README)[1]
    found = [line.strip("| ").split(" | ") for line in table.splitlines()]
    expected = [
        [f"`{row.name}`", row.about, f"{row.size / 1e6:.0f} MB" if row.size else "–", row.licence]
        for row in available()
    ]
    assert found == expected, "the table is in nbs/index.ipynb"
