"""Python source as the rules about its form read it: files, cells, and their syntax trees."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from project_files import read_cells, relative

MAGIC = re.compile(r"^\s*[%!].*", flags=re.MULTILINE)  # `%matplotlib inline`, `!ls`
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Snippet:
    "A file or one code cell of a notebook."

    where: str
    source: str

    @property
    def tree(self) -> ast.Module:
        "Its syntax tree."
        return parse(self.source)

    @property
    def lines(self) -> list[str]:
        "Its lines."
        return self.source.splitlines()

    def complaint(self, node: ast.AST) -> str:
        "Where a node stands, and its first line."
        return f"{self.where}, line {node.lineno}: {self.lines[node.lineno - 1].strip()[:90]}"


@lru_cache(None)
def parse(source: str) -> ast.Module:
    "The syntax tree of a file or a cell; the magic commands of IPython are left out."
    return ast.parse(MAGIC.sub("", source))


@lru_cache(None)
def snippets(path: Path) -> tuple[Snippet, ...]:
    "The code of a file: one piece for a module, one a cell for a notebook."
    if path.suffix == ".py":
        return (Snippet(relative(path), path.read_text(encoding="utf-8")),)
    return tuple(
        Snippet(f"{relative(path)}, cell {number}", MAGIC.sub("", cell.source))
        for number, cell in enumerate(read_cells(path))
        if cell.kind == "code"
    )


def functions(tree: ast.AST) -> list[Function]:
    "Every function, those inside classes and other functions included."
    return [node for node in ast.walk(tree) if isinstance(node, Function)]


def length(snippet: Snippet, function: Function) -> int:
    "Lines of a function from `def` to its end, blank ones left out."
    lines = snippet.lines[function.lineno - 1 : function.end_lineno]
    return sum(1 for line in lines if line.strip())


def called_name(call: ast.Call) -> str:
    "`f` for `f(x)` and for `module.f(x)`."
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def run_when_imported(tree: ast.AST) -> Iterator[ast.AST]:
    "Every node that runs with the module or cell itself: all but the bodies of functions."
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, Function | ast.Lambda):
            yield node
            yield from run_when_imported(node)


def imports(tree: ast.AST) -> list[ast.Import | ast.ImportFrom]:
    "Every import statement, wherever it stands."
    return [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
