"""The form of the code: a formatter sets it; statements, functions, modules and cells are short.

A rule looks at a piece of code and yields the nodes that break it. Each comes with examples
that it must refuse and one that it must accept."""

import ast
import statistics
import subprocess
import sys
from collections.abc import Iterator

import pytest
from project_files import (
    ROOT,
    by_path,
    chapters,
    code,
    markdown,
    modules,
    notebooks,
    read_cells,
    relative,
    source_files,
    visible_lines,
)
from source_code import Function, Snippet, functions, length, snippets

CODE = ["animlib", "nbs", "tests", "setup.py"]
MAX_COLUMNS = 100
MAX_CELL_LINES, MEDIAN_CELL_LINES = 20, 6  # of the cells that a reader sees
MAX_FUNCTION_LINES, MEDIAN_FUNCTION_LINES = 40, 8
MAX_MODULE_LINES = 300
SOURCES = [*modules(), *notebooks(), *source_files("tests", ".py"), ROOT / "setup.py"]


# ---- the formatter and the linter ----
def ruff(*arguments) -> subprocess.CompletedProcess:
    "Run ruff with the project's settings."
    command = [sys.executable, "-m", "ruff", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def ruff_format(path) -> subprocess.CompletedProcess:
    "What the formatter would change."
    return ruff("format", "--check", "--config", ROOT / "pyproject.toml", path)


def ruff_check(path) -> subprocess.CompletedProcess:
    "What the linter complains about."
    return ruff("check", "--output-format=concise", "--config", ROOT / "pyproject.toml", path)


@pytest.mark.parametrize("path", CODE)
@pytest.mark.parametrize("tool", [ruff_format, ruff_check])
def test_ruff_is_content(tool, path):
    result = tool(path)
    if result.returncode:
        pytest.fail(result.stdout + result.stderr, pytrace=False)


@pytest.mark.parametrize("tool", [ruff_format, ruff_check])
def test_ruff_refuses_and_accepts(tool, tmp_path):
    refused, accepted = tmp_path / "refused.py", tmp_path / "accepted.py"
    refused.write_text("import os\nx=1;y = 2\n")
    accepted.write_text("x = 1\ny = 2\n")

    assert tool(refused).returncode == 1
    assert tool(accepted).returncode == 0


# ---- statements and expressions ----
def nodes(snippet: Snippet, *kinds: type) -> Iterator[ast.AST]:
    "Every node of these kinds."
    return (node for node in ast.walk(snippet.tree) if isinstance(node, kinds))


def contains(node: ast.AST, kind: type) -> bool:
    "Whether a node of this kind stands inside (or is) `node`."
    return any(isinstance(inner, kind) for inner in ast.walk(node))


def joined_statements(snippet):
    "One statement a line, `if` and its body on two."
    for node in nodes(snippet, ast.stmt):
        before = snippet.lines[node.lineno - 1].encode()[: node.col_offset]
        ellipsis = isinstance(node, ast.Expr) and ast.unparse(node) == "..."
        if before.strip() and not ellipsis:
            yield node


def walrus_in_arguments(snippet):
    "No `:=` inside an argument list."
    for call in nodes(snippet, ast.Call):
        arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
        if any(contains(argument, ast.NamedExpr) for argument in arguments):
            yield call


def nested_conditionals(snippet):
    "No conditional expression inside another."
    for node in nodes(snippet, ast.IfExp):
        if any(contains(child, ast.IfExp) for child in ast.iter_child_nodes(node)):
            yield node


def named_lambdas(snippet):
    "A function with a name is written with `def`."
    for node in nodes(snippet, ast.Assign, ast.AnnAssign, ast.NamedExpr):
        if isinstance(node.value, ast.Lambda):
            yield node


def tuple_assignments(snippet):
    "Values that are assigned together are alike (`x, y = point[0], point[1]`) or swapped."
    for node in nodes(snippet, ast.Assign):
        target = node.targets[0]
        value = node.value
        if not (isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)):
            continue
        names = {ast.unparse(element) for element in target.elts}
        values = {ast.unparse(element) for element in value.elts}
        if len(set(map(form, value.elts))) > 1 and not names & values:
            yield node


def form(expression: ast.expr) -> tuple:
    "The operations and names of an expression, without its constants."
    inner = ast.walk(expression)
    return tuple((type(o), getattr(o, "id", None), getattr(o, "attr", None)) for o in inner)


def long_comprehensions(snippet):
    "A comprehension has at most two clauses (`for` and `if` together)."
    for node in nodes(snippet, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp):
        clauses = sum(1 + len(generator.ifs) for generator in node.generators)
        if clauses > 2:
            yield node


def expressions_as_statements(snippet):
    "`if` and `for` are statements: no `x and f(x)`, no `[f(x) for x in xs]` whose value is lost."
    last = snippet.tree.body[-1] if snippet.tree.body else None
    shown = last if "cell" in snippet.where else None  # a notebook shows the value of its last line
    for node in nodes(snippet, ast.Expr):
        tricks = ast.BoolOp | ast.IfExp | ast.ListComp | ast.SetComp | ast.DictComp
        if isinstance(node.value, tricks) and node is not shown:
            yield node


def conditions_as_numbers(snippet):
    'A condition chooses by `if`: no `"s" * (n > 1)`, no `{True: a, False: b}[x > 0]`.'
    for node in nodes(snippet, ast.BinOp):
        text = isinstance(node.left, ast.Constant) and isinstance(node.left.value, str)
        if isinstance(node.op, ast.Mult) and (text or isinstance(node.left, ast.JoinedStr)):
            if is_condition(node.right):
                yield node
    for node in nodes(snippet, ast.Subscript):
        table = isinstance(node.value, ast.Dict | ast.Tuple | ast.List)
        if table and is_condition(node.slice):
            yield node


def is_condition(node: ast.expr) -> bool:
    "Whether an expression is true or false by its form."
    negation = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
    return negation or isinstance(node, ast.Compare | ast.BoolOp)


RULES = [
    joined_statements,
    walrus_in_arguments,
    nested_conditionals,
    named_lambdas,
    tuple_assignments,
    long_comprehensions,
    expressions_as_statements,
    conditions_as_numbers,
]
REFUSED = [
    (joined_statements, "a = 1; b = 2"),
    (joined_statements, "if a: b = 2"),
    (joined_statements, "def f(x): return x"),
    (joined_statements, "class A: x = 1"),
    (joined_statements, "for a in b:\n    a(); b()"),
    (walrus_in_arguments, "print(y := 1)"),
    (walrus_in_arguments, "print(end=(y := 1))"),
    (walrus_in_arguments, "any((y := f(x)) for x in xs)"),
    (nested_conditionals, "a if b else c if d else e"),
    (nested_conditionals, "a if b else [c if d else e]"),
    (named_lambdas, "f = lambda x: x"),
    (named_lambdas, "self.f = lambda x: x"),
    (named_lambdas, "f: Callable = lambda x: x"),
    (tuple_assignments, "a, b = f(), g()"),
    (tuple_assignments, "self.a, self.b = a, b"),
    (tuple_assignments, "a, b = 1, []"),
    (long_comprehensions, "[x for xs in table for x in xs if x]"),
    (long_comprehensions, "{x for x in xs if x if y}"),
    (long_comprehensions, "sum(x for a in b for c in a for x in c)"),
    (long_comprehensions, "{k: v for a in b for k, v in a if v}"),
    (expressions_as_statements, "x and f(x)"),
    (expressions_as_statements, "f(x) if x else g(x)"),
    (expressions_as_statements, "[print(x) for x in xs]"),
    (conditions_as_numbers, '"s" * (n > 1)'),
    (conditions_as_numbers, 'f"{n}s" * (not n)'),
    (conditions_as_numbers, "(a, b)[x > 0]"),
    (conditions_as_numbers, "{True: a, False: b}[x > 0 and y]"),
]
ACCEPTED = [
    (joined_statements, "a = 1\nif a:\n    b = 2\nelif c:\n    b = 3\n\n\ndef f(): ..."),
    (walrus_in_arguments, "if (y := f(x)) is None:\n    print(y)"),
    (nested_conditionals, "y = a if b else c\nz = d if e else y"),
    (named_lambdas, "f = partial(g, 1)\nxs.sort(key=lambda x: -x)"),
    (tuple_assignments, "a, b = b, a\nx, y = p[0], p[1]\nh, w = image.shape\ni, j = 0, 1"),
    (long_comprehensions, "[x for x in xs if x]\n[x for xs in table for x in xs]"),
    (expressions_as_statements, "if x:\n    f(x)\ng(x and y)"),
    (conditions_as_numbers, '"-" * 80\nnames[i % 3]\n("a", "b")[i]\nweight * (x > 0)'),
]


@pytest.mark.parametrize("path", by_path(SOURCES))
@pytest.mark.parametrize("rule", RULES)
def test_code_is_plain(rule, path):
    broken = [piece.complaint(node) for piece in snippets(path) for node in rule(piece)]
    if broken:
        pytest.fail("\n".join([rule.__doc__, *broken]), pytrace=False)


@pytest.mark.parametrize("rule,source", REFUSED)
def test_rule_refuses(rule, source):
    assert list(rule(Snippet("example", source)))


@pytest.mark.parametrize("rule,source", ACCEPTED)
def test_rule_accepts(rule, source):
    assert not list(rule(Snippet("example", source)))


def test_every_rule_has_examples():
    assert {rule for rule, _ in REFUSED} == {rule for rule, _ in ACCEPTED} == set(RULES)


# ---- columns ----
def may_be_long(line: str) -> bool:
    "A row of a table or an address: of the network, or of the notebook a module comes from."
    return "://" in line or line.lstrip().startswith("|") or "File to edit: " in line


def long_lines(source: str) -> list[str]:
    "Lines of more than 100 columns; a row of a table and an address cannot be broken."
    return [
        line for line in source.splitlines() if len(line) > MAX_COLUMNS and not may_be_long(line)
    ]


@pytest.mark.parametrize("path", by_path(SOURCES))
def test_lines_fit(path):
    found = [f"{o.where}: {line}" for o in snippets(path) for line in long_lines(o.source)]
    if found:
        pytest.fail("\n".join(found), pytrace=False)


def test_long_lines_are_found():
    address = "# see https://example.org/" + "a" * 90
    table = "| " + "a" * 100 + " |"

    assert long_lines("x = 1" + " " * 100 + "# why") != []
    assert long_lines(f"{address}\n{table}\n" + "a" * 100) == []


# ---- cells that a reader sees ----
@pytest.mark.parametrize("path", by_path(chapters()))
def test_visible_cells_are_short(path):
    long = [size for size in visible_lines(read_cells(path)) if size > MAX_CELL_LINES]
    assert not long, f"visible cells of {long} lines, more than {MAX_CELL_LINES}"


def test_visible_cells_are_short_on_the_whole():
    sizes = [size for path in chapters() for size in visible_lines(read_cells(path))]
    assert statistics.median(sizes) <= MEDIAN_CELL_LINES


def test_visible_cells_are_counted():
    cells = (
        markdown("# Title"),
        code("#| export\nx = 1"),
        code("#| hide\nx = 1"),
        code("#| default_exp core"),
        code("x = 1", source_hidden=True),
        code("#| eval: false\nx = 1\n\ny = 2"),
    )
    assert visible_lines(cells) == [2]


# ---- functions and modules ----
def lengths(snippet: Snippet) -> dict[str, int]:
    "Lines of each function, by name and line."
    found: list[Function] = functions(snippet.tree)
    return {f"{o.name} (line {o.lineno})": length(snippet, o) for o in found}


@pytest.mark.parametrize("path", by_path(modules()))
def test_functions_fit_on_a_screen(path):
    (snippet,) = snippets(path)
    long = {name: n for name, n in lengths(snippet).items() if n > MAX_FUNCTION_LINES}
    assert not long, f"more than {MAX_FUNCTION_LINES} lines: {long}"


def test_functions_are_short_on_the_whole():
    pieces = [piece for path in modules() for piece in snippets(path)]
    sizes = [size for piece in pieces for size in lengths(piece).values()]
    assert statistics.median(sizes) <= MEDIAN_FUNCTION_LINES


def test_lines_of_functions_are_counted():
    method = "class A:\n    @cache\n    def f(self):\n        x = 1\n\n        return x\n"
    assert lengths(Snippet("example", method)) == {"f (line 3)": 3}


@pytest.mark.parametrize("path", by_path(modules()))
def test_modules_are_short(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_MODULE_LINES, f"{relative(path)} has {lines} lines"
