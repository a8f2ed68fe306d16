"""Wrong versions outside the chapters name cells that exist, and run when chapters are tests."""

import json

import pytest
from notebook_files import write_notebook
from project_files import by_path, chapters
from wrong_versions import FOLDER, with_wrong_versions, wrong_versions

FILES = sorted(FOLDER.glob("*.py"))


def cell_ids(stem: str) -> set[str]:
    "Of the chapter with that name."
    (path,) = [path for path in chapters() if path.stem == stem]
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return {cell["id"] for cell in cells if cell["cell_type"] == "code"}


@pytest.mark.parametrize("file", by_path(FILES))
def test_each_stands_below_a_cell_of_its_chapter(file):
    found = wrong_versions(file)
    assert found and set(found) <= cell_ids(file.stem)


@pytest.mark.parametrize("file", by_path(FILES))
def test_each_part_expects_a_refusal(file):
    assert all("with expect_fail(AssertionError" in code for code in wrong_versions(file).values())


def test_they_run_below_their_cell(tmp_path):
    from fastcore.nbio import read_nb

    notebook = read_nb(write_notebook(tmp_path / "a.ipynb", "x = 1", "y = 2"))
    first, second = (cell["id"] for cell in notebook.cells)
    file = tmp_path / "a.py"
    file.write_text(f"import math\n\n# %% after {second}\nz = math.pi\n", encoding="utf-8")
    sources = [cell.source for cell in with_wrong_versions(notebook, file).cells]
    assert sources == ["x = 1", "y = 2", "import math\n\n\nz = math.pi\n"]
    assert first != second
