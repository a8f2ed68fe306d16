"""Wrong versions that the checks of a chapter refuse, and that would interrupt a reader.

One that teaches stands in the chapter; the others stand in `tests/wrong_versions`, a file for each
chapter, and are run below the cells that they name whenever the chapter runs as a test."""

import re
from pathlib import Path

from project_files import ROOT

FOLDER = ROOT / "tests" / "wrong_versions"
PLACE = re.compile(r"^# %% after (\S+)$", re.MULTILINE)


def wrong_versions(file: Path) -> dict[str, str]:
    "Id of a cell -> the code that runs below it, with the imports at the top of the file."
    if not file.exists():
        return {}
    imports, *parts = PLACE.split(file.read_text(encoding="utf-8"))
    return {place: imports + code for place, code in zip(parts[::2], parts[1::2])}


def with_wrong_versions(notebook, file: Path):
    "A notebook, as nbdev reads it, with a cell below each cell that the file names."
    from fastcore.nbio import mk_cell

    below = wrong_versions(file)
    cells = []
    for cell in notebook.cells:
        cells.append(cell)
        if cell.get("id") in below:
            cells.append(mk_cell(below[cell["id"]], "code"))
    notebook.cells = cells
    return notebook
