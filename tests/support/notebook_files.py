"""Small notebooks that tests write, and what executed ones show."""

import json
from pathlib import Path

from clean import METADATA

KERNEL = METADATA["kernelspec"]


def code_cell(source: str, number: int = 0, tags: tuple[str, ...] = (), outputs=()) -> dict:
    "One code cell, as a notebook file stores it."
    return dict(
        cell_type="code",
        execution_count=None,
        id=f"c{number}",
        metadata={"tags": list(tags)} if tags else {},
        outputs=list(outputs),
        source=source,
    )


def text_cell(source: str) -> dict:
    "One text cell, as a notebook file stores it."
    return dict(cell_type="markdown", metadata={}, source=source)


def write_cells(path: Path, cells: list[dict]) -> Path:
    "A notebook of these cells."
    metadata = dict(kernelspec=KERNEL)
    notebook = dict(cells=cells, metadata=metadata, nbformat=4, nbformat_minor=5)
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return path


def write_notebook(path: Path, *sources: str) -> Path:
    "A notebook with a code cell for each source."
    return write_cells(path, [code_cell(source, i) for i, source in enumerate(sources)])
