"""The files of the project as its tests read them: notebooks and their cells, modules, settings."""

import json
import re
import subprocess
from collections.abc import Mapping
from configparser import ConfigParser, SectionProxy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GENERATED_FOLDERS = {"__pycache__", "build", "dist", "runs", "_docs", "_proc"}
HEAVY = (  # packages that only a person with a notebook, or a scheduled run, needs
    "IPython anywidget ipykernel ipywidgets jupyterlab matplotlib nbclient nbconvert nbformat "
    "papermill plotly scipy tensorboard"
).split()
MAY_BE_HEAVY = ["viz", "explore", "run"]  # modules and folders that load them when imported
GENERATED_MODULE = "_modidx.py"  # nbdev-export writes it for documentation links; git ignores it


@dataclass(frozen=True)
class Cell:
    "One cell of a notebook."

    kind: str  # code, markdown or raw
    source: str
    tags: tuple[str, ...] = ()
    outputs: tuple[dict, ...] = ()
    source_hidden: bool = False  # folded in JupyterLab: a hint or a solution

    def has_directive(self, names: str) -> bool:
        "Whether a line such as `#| export` opens the cell; `names` is a regular expression."
        directive = rf"#\s*\|\s*({names})\b"
        return self.kind == "code" and re.match(directive, self.source) is not None

    @property
    def exported(self) -> bool:
        "Whether nbdev writes this cell into the package."
        return self.has_directive("exports?|exporti")

    @property
    def lines(self) -> list[str]:
        "Lines of the source without blank ones and directives."
        return [o for o in self.source.splitlines() if o.strip() and not o.startswith("#|")]


def visible_lines(cells: tuple[Cell, ...]) -> list[int]:
    "Lines of each code cell that is neither exported nor hidden nor folded."
    return [
        len(cell.lines)
        for cell in cells
        if cell.kind == "code"
        and not cell.exported
        and not cell.has_directive("hide|default_exp")
        and not cell.source_hidden
    ]


def title(cells: tuple[Cell, ...]) -> str:
    "The first heading of a notebook."
    headings = [re.match(r"# (.+)", cell.source) for cell in cells if cell.kind == "markdown"]
    return next((heading[1].strip() for heading in headings if heading), "")


def code(source: str, **fields) -> Cell:
    "A code cell, for the examples of the rules."
    return Cell("code", source, **fields)


def markdown(source: str) -> Cell:
    "A text cell, for the examples of the rules."
    return Cell("markdown", source)


@lru_cache(None)
def read_cells(path: Path) -> tuple[Cell, ...]:
    "The cells of a notebook."
    return tuple(map(as_cell, json.loads(path.read_text(encoding="utf-8"))["cells"]))


def as_cell(cell: Mapping) -> Cell:
    "A cell, from how a notebook file stores it."
    return Cell(
        kind=cell["cell_type"],
        source="".join(cell["source"]),
        tags=tuple(cell["metadata"].get("tags", ())),
        outputs=tuple(cell.get("outputs", ())),
        source_hidden=cell["metadata"].get("jupyter", {}).get("source_hidden", False),
    )


def relative(path: Path) -> str:
    "Where a file lies, told from the top of the project."
    return path.relative_to(ROOT).as_posix()


def source_files(folder: str, suffix: str) -> list[Path]:
    "Every file of that kind below a folder that a person or nbdev wrote, `_private` ones included."
    return sorted(
        path
        for path in (ROOT / folder).rglob(f"*{suffix}")
        if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
        and not GENERATED_FOLDERS & set(path.parts)
    )


def notebooks() -> list[Path]:
    "Every notebook."
    return source_files("nbs", ".ipynb")


def chapters() -> list[Path]:
    "The notebooks to read along: those in numbered folders."
    return [path for path in notebooks() if path.relative_to(ROOT / "nbs").parts[0][0].isdigit()]


def pipelines() -> list[Path]:
    "The notebooks that papermill runs."
    return [path for path in notebooks() if path.parent == ROOT / "nbs" / "pipelines"]


def modules() -> list[Path]:
    "Every module of the package."
    return [path for path in source_files("animlib", ".py") if path.name != GENERATED_MODULE]


def module_name(path: Path) -> str:
    "`motion.affine` for `animlib/motion/affine.py`."
    return ".".join(path.relative_to(ROOT / "animlib").with_suffix("").parts)


def exported_module(cells: tuple[Cell, ...]) -> str | None:
    "The module that a notebook exports, as its `#| default_exp` line names it."
    for cell in cells:
        found = re.match(r"#\s*\|\s*default_exp\s+(\S+)", cell.source)
        if cell.kind == "code" and found:
            return found[1]
    return None


def settings() -> SectionProxy:
    "What settings.ini declares."
    parser = ConfigParser(delimiters=["="], interpolation=None)
    parser.read_string((ROOT / "settings.ini").read_text(encoding="utf-8"))
    return parser["DEFAULT"]


def by_path(paths: list[Path]) -> list:
    "Parameters for a test of each file, named by where the file lies."
    return [pytest.param(path, id=relative(path)) for path in paths]


def written_files() -> list[Path]:
    "Every file that git tracks or would track; without git, what does not look generated."
    listing = ["git", "-C", str(ROOT), "ls-files", "-coz", "--exclude-standard"]
    found = subprocess.run(listing, capture_output=True, text=True)
    if (ROOT / ".git").exists() and found.returncode == 0:
        paths = [ROOT / name for name in found.stdout.split("\0") if name]
    else:
        generated = re.compile(r"/(__pycache__|build|dist|runs|\.[^/]*|[^/]*\.egg-info)/")
        paths = [path for path in ROOT.rglob("*") if not generated.search(path.as_posix())]
    return [path for path in paths if path.is_file()]
