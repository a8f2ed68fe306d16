"""What a module of the package may contain, beyond its form."""

import ast
import re

import pytest
from project_files import by_path, module_name, modules
from source_code import called_name, imports, parse

# What Pillow has for some formats, and PyAV from some version on.
FOREIGN_ATTRIBUTES = ["n_frames", "duration", "rotation"]


def conventions(source: str, module: str) -> list[str]:
    "Only `geometry` knows how coordinates are counted; in the zoo `align_corners` is an option."
    if module == "geometry":
        return []
    found = re.findall(r"grid_sample|meshgrid|align_corners", source)
    asks = module.split(".")[0] == "zoo"  # of a released file: how were its weights trained?
    return [word for word in found if not (asks and word == "align_corners")]


def nameless_axes(source: str, module: str) -> list[str]:
    "Axes have names: einops patterns or indexing, no `view`, `permute`, `unsqueeze`."
    methods = "view|permute|unsqueeze|squeeze|repeat|transpose|expand"
    return re.findall(rf"\.(?:{methods})\(", source)


def undocumented(source: str, module: str) -> list[str]:
    "A public function or class says what it is."
    return [
        node.name
        for node in parse(source).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]


def guesses_about_objects(source: str, module: str) -> list[str]:
    "What an object can be asked is written in its class: no `hasattr`, no default for `getattr`."
    calls = [node for node in ast.walk(parse(source)) if isinstance(node, ast.Call)]
    return [ast.unparse(call) for call in calls if guesses(call)]


def guesses(call: ast.Call) -> bool:
    "Whether a call asks an object of this project what it may have."
    arguments = [ast.unparse(argument).strip("'") for argument in call.args]
    if called_name(call) == "hasattr" or (called_name(call) == "getattr" and len(arguments) > 2):
        return arguments[1] not in FOREIGN_ATTRIBUTES
    return False


def development_imports(source: str, module: str) -> list[str]:
    "The package runs without the tools that make and test it."
    statements = [ast.unparse(node) for node in imports(parse(source))]
    return [o for o in statements if re.search(r"\b(fastcore|nbdev|execnb|pytest)\b", o)]


RULES = [conventions, nameless_axes, undocumented, guesses_about_objects, development_imports]
REFUSED = [
    (conventions, "y = F.grid_sample(x, grid)", "dense.blend"),
    (conventions, "options = dict(align_corners=False)", "dense.blend"),
    (conventions, "y, x = torch.meshgrid(rows, columns)", "zoo.files"),
    (nameless_axes, "y = x.view(1, 2)", "dense.blend"),
    (nameless_axes, "y = x.permute(0, 1)", "geometry"),
    (nameless_axes, "y = x[0].unsqueeze(0)", "dense.blend"),
    (undocumented, "def f(x):\n    return x", "dense.blend"),
    (undocumented, "class A:\n    x = 1", "dense.blend"),
    (guesses_about_objects, "hasattr(model, 'rehearse')", "dense.blend"),
    (guesses_about_objects, "getattr(model, 'rehearse', None)", "dense.blend"),
    (development_imports, "from fastcore.test import test_eq", "dense.blend"),
    (development_imports, "def f():\n    import nbdev", "dense.blend"),
]
ACCEPTED = [
    (conventions, "y = F.grid_sample(x, grid, align_corners=True)", "geometry"),
    (conventions, "def convert(file, align_corners=None): ...", "zoo.official.fomm"),
    (nameless_axes, "y = rearrange(x, 'b c h w -> b (c h w)')\nviewed = views(x)", "dense.blend"),
    (undocumented, 'def f(x):\n    "The same."\n\n\ndef _g(x): ...', "dense.blend"),
    (guesses_about_objects, "getattr(torch, name)(size)", "dense.blend"),
    (guesses_about_objects, "getattr(image, 'n_frames', 1)", "media.image"),
    (development_imports, "import torch  # pytest and nbdev are for development", "dense.blend"),
]


@pytest.mark.parametrize("path", by_path(modules()))
@pytest.mark.parametrize("rule", RULES)
def test_modules_keep_the_rules(rule, path):
    complaints = rule(path.read_text(encoding="utf-8"), module_name(path))
    if complaints:
        pytest.fail("\n".join([rule.__doc__, *complaints]), pytrace=False)


@pytest.mark.parametrize("rule,source,module", REFUSED)
def test_rule_refuses(rule, source, module):
    assert rule(source, module)


@pytest.mark.parametrize("rule,source,module", ACCEPTED)
def test_rule_accepts(rule, source, module):
    assert not rule(source, module)


def test_every_rule_has_examples():
    assert {rule for rule, *_ in REFUSED} == {rule for rule, *_ in ACCEPTED} == set(RULES)
