"""What a notebook must contain: title, sections, checks that can fail, small outputs.

A rule looks at the cells of one notebook and lists what is wrong. Each comes with notebooks that
it must refuse; one small chapter satisfies them all."""

import ast
import json
import re

import pytest
from project_files import (
    Cell,
    by_path,
    chapters,
    code,
    exported_module,
    markdown,
    notebooks,
    pipelines,
    read_cells,
    relative,
    title,
)
from source_code import called_name, imports, parse, run_when_imported

MAX_CELLS = 90
MAX_OUTPUT_KB = 300
SECTIONS = ["Symbols", "Exercise", "In short"]
Cells = tuple[Cell, ...]


# ---- every notebook ----
def opens_with_a_title(cells: Cells) -> list[str]:
    'The first text cell is "# Title", an empty line, "> One sentence."'
    first = next((cell.source for cell in cells if cell.kind == "markdown"), "")
    return [] if re.match(r"# \S.*\n\n> \S", first) else [f"it is {first[:80]!r}"]


def has_few_cells(cells: Cells) -> list[str]:
    "A notebook has at most 90 cells."
    return [f"it has {len(cells)}"] if len(cells) > MAX_CELLS else []


def has_small_outputs(cells: Cells) -> list[str]:
    "Stored outputs are at most 300 KB: small images, and few."
    size = sum(len(json.dumps(cell.outputs)) for cell in cells) / 1024
    return [f"they are {size:.0f} KB"] if size > MAX_OUTPUT_KB else []


def stores_no_error(cells: Cells) -> list[str]:
    "No stored output is an error."
    return [
        f"below {cell.source[:60]!r}"
        for cell in cells
        if any(output.get("output_type") == "error" for output in cell.outputs)
    ]


def imports_by_name(cells: Cells) -> list[str]:
    "A reader sees where names come from: no `from module import *`."
    found = imports(parse(code_of(cells)))
    return [ast.unparse(o) for o in found if any(alias.name == "*" for alias in o.names)]


def code_of(cells: Cells) -> str:
    "The code of several cells."
    return "\n".join(cell.source for cell in cells if cell.kind == "code")


# ---- chapters ----
def checks_every_public_name(cells: Cells) -> list[str]:
    "What a cell exports is checked before the next cell exports, and a check names it."
    complaints, waiting, unnamed = [], [], []
    for cell in cells:
        if cell.exported and public_names(cell.source):
            if waiting:
                complaints.append(f"{waiting} is not checked before the next exported cell")
            waiting = public_names(cell.source)
            unnamed += [name for name in waiting if mentions(cell.source, name) == 1]
        elif not cell.exported and runs_a_check(cell):
            waiting = []
            unnamed = [name for name in unnamed if not mentions(cell.source, name)]
    if waiting:
        return [*complaints, f"{waiting} is not checked"]
    return complaints + [f"no cell with a check names {name}" for name in unnamed]


def public_names(source: str) -> list[str]:
    "Functions and classes that a cell defines; a dataclass may be checked with what uses it."
    return [
        node.name
        for node in parse(source).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)
    ]


def mentions(source: str, name: str) -> int:
    "How often a cell names something; what its own cell uses is checked with its user."
    return len(re.findall(rf"\b{name}\b", source))


def runs_a_check(cell: Cell) -> bool:
    "Whether a cell checks something when it runs: to define a check is not to run it."
    if cell.kind != "code":
        return False
    found = list(run_when_imported(parse(cell.source)))
    calls = [called_name(node) for node in found if isinstance(node, ast.Call)]
    check = re.compile(r"(assert|check|expect_fail|test)(_|$|.*fail)")
    return any(isinstance(node, ast.Assert) for node in found) or any(map(check.match, calls))


def shows_a_check_that_fails(cells: Cells) -> list[str]:
    "A wrong version stands under `expect_fail`: a check that nothing can fail is no check."
    return [] if "expect_fail(" in code_of(cells) else ["there is none"]


def has_the_sections(cells: Cells) -> list[str]:
    "A chapter has the sections Symbols, Exercise and In short."
    text = "\n".join(cell.source for cell in cells if cell.kind == "markdown")
    headings = "\n".join(re.findall(r"^##+ .*", text, flags=re.MULTILINE))
    missing = [o for o in SECTIONS if not re.search(rf"\b{o}", headings, flags=re.IGNORECASE)]
    return [f"no section {section!r}" for section in missing]


def ends_with_the_hidden_export(cells: Cells) -> list[str]:
    "The last cell is hidden and exports."
    hidden_export = r"#\s*\|\s*hide\n.*nbdev_export\(\)\s*$"
    last = cells[-1].source
    return [] if re.match(hidden_export, last, flags=re.DOTALL) else [f"it is {last[:60]!r}"]


def exports_absolute_imports(cells: Cells) -> list[str]:
    "Exported imports are absolute and of packages that users have."
    found = imports(parse(code_of(tuple(cell for cell in cells if cell.exported))))
    own = [ast.unparse(o) for o in found if isinstance(o, ast.ImportFrom) and o.level]
    development = re.compile(r"\b(fastcore|nbdev|execnb|pytest)\b")
    return own + [o for o in map(ast.unparse, found) if development.search(o)]


# ---- notebooks that papermill runs ----
def has_one_parameters_cell(cells: Cells) -> list[str]:
    "Papermill needs exactly one cell tagged `parameters`."
    number = sum("parameters" in cell.tags for cell in cells)
    return [] if number == 1 else [f"there are {number}"]


def exports_nothing(cells: Cells) -> list[str]:
    "A scheduled run does not export."
    return ["it calls nbdev_export"] if "nbdev_export" in code_of(cells) else []


# ---- examples ----
TITLE = markdown("# Title\n\n> One sentence.")
EXPORT = code("#| hide\nimport nbdev\n\nnbdev.nbdev_export()")
MODULE = code("#| default_exp dense.blend")
FUNCTION = code('#| export\ndef f(x):\n    "The same."\n    return x')
CHECK = code("assert f(1) == 1")
PARAMETERS = code("steps = 1", tags=("parameters",))
GOOD_CHAPTER = (
    MODULE,
    TITLE,
    code("#| export\nimport torch\n\nfrom animlib.core import Flow"),
    markdown("## Symbols"),
    FUNCTION,
    code("def check_f(f):\n    assert f(1) == 1"),
    code("check_f(f)\nwith expect_fail(AssertionError):\n    check_f(lambda x: 2)"),
    markdown("## Exercise"),
    markdown("## In short"),
    EXPORT,
)
GOOD_RUN = (TITLE, PARAMETERS, code("print(steps)"))
IMAGE = {"data": {"image/png": "A" * 310_000}}
ERROR = {"output_type": "error"}

EVERY = [
    opens_with_a_title,
    has_few_cells,
    has_small_outputs,
    stores_no_error,
    imports_by_name,
]
OF_CHAPTERS = [checks_every_public_name, exports_absolute_imports]
OF_EXPORTING_CHAPTERS = [
    shows_a_check_that_fails,
    has_the_sections,
    ends_with_the_hidden_export,
]
OF_RUNS = [has_one_parameters_cell, exports_nothing]
RULES = EVERY + OF_CHAPTERS + OF_EXPORTING_CHAPTERS + OF_RUNS
REFUSED = [
    (opens_with_a_title, (markdown("# Title"),)),
    (opens_with_a_title, (markdown("some text"), TITLE)),
    (has_few_cells, (TITLE,) * 91),
    (has_small_outputs, (code("show(x)", outputs=(IMAGE,)),)),
    (stores_no_error, (code("1 / 0", outputs=(ERROR,)),)),
    (imports_by_name, (code("from torch import *"),)),
    (checks_every_public_name, (FUNCTION,)),
    (checks_every_public_name, (FUNCTION, code("def check_f(f):\n    assert f()"))),
    (checks_every_public_name, (FUNCTION, code("assert 1"))),
    (checks_every_public_name, (FUNCTION, code("#| export\ndef g(): ..."), code("assert f, g"))),
    (checks_every_public_name, (FUNCTION, markdown("assert f(1) == 1"))),
    (shows_a_check_that_fails, (MODULE, FUNCTION, CHECK)),
    (has_the_sections, (MODULE, markdown("## Symbols"), markdown("## Exercise"), EXPORT)),
    (has_the_sections, (MODULE, markdown("Symbols, Exercise, In short"), EXPORT)),
    (ends_with_the_hidden_export, (MODULE, TITLE)),
    (ends_with_the_hidden_export, (MODULE, EXPORT, TITLE)),
    (ends_with_the_hidden_export, (MODULE, code("import nbdev\n\nnbdev.nbdev_export()"))),
    (exports_absolute_imports, (code("#| export\nfrom fastcore.test import test_eq"),)),
    (exports_absolute_imports, (code("#| export\nimport nbdev"),)),
    (exports_absolute_imports, (code("#| export\nfrom .core import Flow"),)),
    (has_one_parameters_cell, (TITLE,)),
    (has_one_parameters_cell, (PARAMETERS, PARAMETERS)),
    (exports_nothing, (PARAMETERS, EXPORT)),
]


@pytest.mark.parametrize("rule,cells", REFUSED)
def test_rule_refuses(rule, cells):
    assert rule(cells)


@pytest.mark.parametrize("rule", EVERY + OF_CHAPTERS + OF_EXPORTING_CHAPTERS)
def test_rule_accepts_a_good_chapter(rule):
    assert not rule(GOOD_CHAPTER)


@pytest.mark.parametrize("rule", EVERY + OF_RUNS)
def test_rule_accepts_a_good_run(rule):
    assert not rule(GOOD_RUN)


def test_every_rule_has_an_example_that_it_refuses():
    assert {rule for rule, _ in REFUSED} == set(RULES)


# ---- the notebooks of the project ----
def keep(rule, path):
    "Fail with what the rule finds wrong."
    complaints = rule(read_cells(path))
    if complaints:
        pytest.fail("\n".join([rule.__doc__, *complaints]), pytrace=False)


@pytest.mark.parametrize("path", by_path(notebooks()))
@pytest.mark.parametrize("rule", EVERY)
def test_notebook(rule, path):
    keep(rule, path)


@pytest.mark.parametrize("path", by_path(chapters()))
@pytest.mark.parametrize("rule", OF_CHAPTERS)
def test_chapter(rule, path):
    keep(rule, path)


EXPORTING = [path for path in chapters() if exported_module(read_cells(path))]


@pytest.mark.parametrize("path", by_path(EXPORTING))
@pytest.mark.parametrize("rule", OF_EXPORTING_CHAPTERS)
def test_chapter_that_exports(rule, path):
    keep(rule, path)


@pytest.mark.parametrize("path", by_path(pipelines()))
@pytest.mark.parametrize("rule", OF_RUNS)
def test_run(rule, path):
    keep(rule, path)


# ---- references ----
def named_chapters(cells: Cells) -> list[str]:
    "Titles that a notebook refers to: chapter *Regions*."
    return re.findall(r"\b[Cc]hapters? \*([^*]+)\*", "\n".join(cell.source for cell in cells))


def test_references_are_found():
    cells = (markdown("# A title"), markdown("See chapter *Regions* and *Blocks*."))
    assert title(cells) == "A title"
    assert named_chapters(cells) == ["Regions"]


def test_chapters_that_texts_name_exist():
    titles = {title(read_cells(path)) for path in notebooks()}
    named = {
        (relative(path), name) for path in notebooks() for name in named_chapters(read_cells(path))
    }
    wrong = [f"{path}: {name}" for path, name in sorted(named) if name not in titles]
    assert not wrong, wrong  # test_links: where such a name is a chapter's, it is a link
