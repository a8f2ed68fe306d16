"""Who may import whom: the package is ordered by data flow, the chapters by reading."""

import ast
import re
from collections import Counter

import pytest
from project_files import (
    HEAVY,
    MAY_BE_HEAVY,
    by_path,
    chapters,
    code,
    exported_module,
    markdown,
    module_name,
    modules,
    read_cells,
)
from source_code import imports, parse, run_when_imported

# One layer a line: a folder and its files, or modules of the top level. A module imports from the
# lines above and from what stands before it in its own line. `*`: any other file of the folder;
# these may import each other, but not in a circle. The files of one folder may take several lines.
LAYERS = """
shipped geometry core ranges options animator storage process programs manual exercises splines
heatmaps blocks
fast: memory
media: files
untrusted
media: alpha image imagefile hdr timing decode sound delays read encode output write
backbones: published fetch vgg efficientnet resnet hrnet
viz: style images hover strips draw architecture
data: cache decoding clips folder check augment pairs identities coded store
data: toy_draws toy_paint toy_backdrop figures toy_layers toy_shapes toy_render
data: figures_body figures_face figures_animal figures_arm toy_truth toy sprites
data: obtain recipes cutting download filling available emoji noto emoji_clips sheets pack sources
detectors: keypoint jacobian region groups anchors transformer tokens pose
motion: translation affine pca tps latent attention background
dense: blend contributions
generators: unet occlusion inpainting embedded reassembly
retarget: transfer sequences forecast disentangle
losses: reconstruction adversarial equivariance consistency anchors hierarchy masks crossid
training: config compiled optimise state folder record peers feed loop
models: names registry *
zoo: catalog old_names tensors files checkpoint official.facts official.* convert hub start
fast: winograd shared choice
inference
engines: graphs exported files export stored runners replayed choice
stepwise inputs domain faces framing crop animation
evaluate: metrics truth detectors instruments agreement tflite people identity features papers
evaluate: choice records cross pairs tables measure floors paper_tables preference
explore: board twin stage page panels codes scene anchors masks
explore: layout recorder choices splines groups desk attention heads looking lookups retarget
run: jobs reports measuring processes notebooks nights ablate papers page demo bench costs speed
run: against data_jobs
explore: app
run: book reference pages links gallery sources site
run: study asking camera camera_input camera_page camera_server
run: scenes web commands endings plan workers arguments
run: data_arguments page_commands evaluating benching queue manifest live rows cluster results sweep
run: sweeping
cli __main__
"""
PACKAGE = ""  # the name of `animlib/__init__.py` below
MAY_IMPORT_BY_NAME = ["models.registry", PACKAGE]  # a method's module; public names (PEP 562)
CALLS_THAT_IMPORT = {"import_module", "__import__", "exec_module", "resolve_name", "run_module"}


def read_layers(text: str) -> list[str]:
    "Names of modules in their order; a pattern such as `models.*` stands for any other file."
    names = []
    for line in text.strip().splitlines():
        folder, colon, files = line.rpartition(":")
        prefix = folder + "." if colon else ""
        names += [prefix + file for file in files.split()]
    return names


ORDER = read_layers(LAYERS)


def place(module: str, order: list[str] = ORDER) -> int | None:
    "Where a module stands in the order; None: nowhere."
    folder = module.rpartition(".")[0]
    for name in (module, f"{folder}.*"):
        if name in order:
            return order.index(name)
    return None


def imported_modules(source: str, me: str, known: set[str]) -> set[str]:
    "Modules of the package that `me` imports, wherever the statement stands; '' is the package."
    found = set()
    for node in imports(parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            base = absolute(node, me)
            names = [f"{base}.{alias.name}" for alias in node.names]
        own = [name for name in names if name.split(".")[0] == "animlib"]
        found |= {nearest(name, known) for name in own if name != "animlib.__version__"}
    return found


def absolute(node: ast.ImportFrom, me: str) -> str:
    "The module after `from`, told from the top also where the import is relative."
    if not node.level:
        return node.module
    above = ["animlib", *me.split(".")][: -node.level]
    return ".".join([*above, *filter(None, [node.module])])


def nearest(name: str, known: set[str]) -> str:
    "The module that `animlib.motion.affine.affine_grids` leads to: `motion.affine`."
    parts = name.split(".")[1:]
    for end in range(len(parts), 0, -1):
        if ".".join(parts[:end]) in known:
            return ".".join(parts[:end])
    return ".".join(parts[:-1])


# ---- layers ----
def wrong_imports(source: str, me: str, known: set[str]) -> list[str]:
    "What a module imports from beside or above itself."
    complaints = []
    if place(me) is None:
        complaints.append(f"{me} stands in no layer")
    for other in sorted(imported_modules(source, me, known)):
        if other == PACKAGE:
            complaints.append(f"{me} imports the whole package")
        elif place(other) is None:
            complaints.append(f"{me} imports {other}, which stands in no layer")
        elif place(me) is not None and not stands_before(other, me):
            complaints.append(f"{me} imports {other}, which does not stand before it")
    return complaints


def stands_before(other: str, me: str) -> bool:
    "Whether `me` may import `other`; files under one `*` may import each other."
    under_one_star = place(me) == place(other) and me != other
    return place(other) < place(me) or under_one_star


def written_modules() -> list:
    "Every module with code in it: an empty `__init__.py` only makes a folder a package."
    return [path for path in modules() if path.read_text(encoding="utf-8").strip()]


def name_of(path) -> str:
    "The name of a module; a package has that of its folder, animlib itself none."
    return re.sub(r"(^|\.)__init__$", "", module_name(path))


NAMES = {name_of(path) for path in modules()}
MODULES = [path for path in written_modules() if name_of(path) != PACKAGE]


@pytest.mark.parametrize("path", by_path(MODULES))
def test_imports_point_to_earlier_layers(path):
    complaints = wrong_imports(path.read_text(encoding="utf-8"), name_of(path), NAMES)
    assert not complaints, "\n".join(complaints)


KNOWN = set(
    "geometry core motion motion.affine motion.tps cli models models.registry models.fomm "
    "models.mraa zoo zoo.files zoo.official.fomm".split()
)


@pytest.mark.parametrize(
    "source,me",
    [
        ("from animlib.models.fomm import FommConfig", "motion.affine"),
        ("from animlib.models import fomm", "motion.affine"),
        ("from ..models import fomm", "motion.affine"),
        ("from .tps import fit", "motion.affine"),
        ("def f():\n    import animlib.cli", "core"),
        ("if TYPE_CHECKING:\n    from animlib.cli import main", "core"),
        ("from animlib.core import Flow", "geometry"),
        ("from animlib.geometry import warp", "geometry"),
        ("from animlib import load", "motion.affine"),
        ("import animlib", "motion.affine"),
        ("from animlib.models.fomm import FommConfig", "models.registry"),
        ("from animlib.unknown import f", "cli"),
        ("x = 1", "unknown"),
        ("x = 1", "motion.unknown"),
        ("x = 1", "motion"),
        ("x = 1", "_private"),
        ("x = 1", "motion._private"),
    ],
)
def test_wrong_imports_are_found(source, me):
    assert wrong_imports(source, me, KNOWN)


@pytest.mark.parametrize(
    "source,me",
    [
        ("import torch\nfrom ..core import Flow\nfrom animlib import __version__", "motion.affine"),
        ("from animlib.motion import affine\nimport animlib.core", "motion.tps"),
        ("from animlib.models.fomm import fomm_losses", "models.mraa"),
        ("from animlib.models.registry import METHODS", "models.fomm"),
        ("from animlib.zoo.files import save", "zoo.official.fomm"),
        ("from animlib.cli import main", "__main__"),
    ],
)
def test_right_imports_are_accepted(source, me):
    assert not wrong_imports(source, me, KNOWN)


# ---- no circle ----
def circle(graph: dict[str, set[str]]) -> list[str]:
    "Modules that import each other in a circle; empty where there is none."
    rest = dict(graph)
    while free := [name for name, others in rest.items() if not others & rest.keys()]:
        for name in free:
            del rest[name]
    return sorted(rest)


def test_no_import_goes_round_in_a_circle():
    graph = {
        name_of(path): imported_modules(path.read_text(encoding="utf-8"), name_of(path), NAMES)
        for path in written_modules()
    }
    assert not circle(graph)


def test_circles_are_found():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["a", "b", "c"]
    assert circle({"a": {"a"}}) == ["a"]
    assert circle({"a": {"b", "torch"}, "b": {"c"}, "c": set()}) == []


# ---- nothing hidden ----
def imports_by_string(source: str) -> list[str]:
    "Places where a module is imported by a name in a string, where no tool sees it."
    found = []
    for node in ast.walk(parse(source)):
        name = getattr(node, "attr", getattr(node, "id", getattr(node, "name", "")))
        if name in CALLS_THAT_IMPORT or (name == "modules" and ast.unparse(node) == "sys.modules"):
            found.append(f"line {node.lineno}: {name}")
    return found


@pytest.mark.parametrize("path", by_path(written_modules()))
def test_nothing_is_imported_by_string(path):
    found = imports_by_string(path.read_text(encoding="utf-8"))
    assert not found or name_of(path) in MAY_IMPORT_BY_NAME, found


@pytest.mark.parametrize(
    "source",
    [
        "importlib.import_module(name)",
        "from importlib import import_module as load",
        "__import__('animlib.cli')",
        "cli = sys.modules['animlib.cli']",
        "pkgutil.resolve_name('animlib.cli:main')",
    ],
)
def test_imports_by_string_are_found(source):
    assert imports_by_string(source)


def test_a_question_about_a_package_is_no_import():
    assert not imports_by_string("importlib.util.find_spec('matplotlib')")


# ---- light to import ----
def heavy_imports(source: str) -> set[str]:
    "Heavy packages that are loaded with the module itself."
    found = set()
    for node in run_when_imported(parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module.split(".")[0])
    return found & set(HEAVY)


@pytest.mark.parametrize("path", by_path(modules()))
def test_modules_are_light_to_import(path):
    if module_name(path).split(".")[0] not in MAY_BE_HEAVY:
        found = heavy_imports(path.read_text(encoding="utf-8"))
        assert not found, f"{found}: import them in the function that needs them"


def test_heavy_imports_are_found():
    assert heavy_imports("import matplotlib.pyplot as plt") == {"matplotlib"}
    assert heavy_imports("if x:\n    from IPython.display import HTML") == {"IPython"}
    assert heavy_imports("import torch\n\n\ndef f():\n    import matplotlib") == set()


# ---- reading order ----
CHAPTERS = {path: exported_module(read_cells(path)) for path in chapters()}
NUMBERS = {module: path.name.split("_")[0] for path, module in CHAPTERS.items() if module}


def name_complaints(folder: str, file: str, module: str | None) -> list[str]:
    "What is wrong with the name of a chapter: it is a number and the module that it exports."
    complaints = []
    if not re.fullmatch(rf"{folder[:2]}\d[a-z]?_[\w.]+", file):
        complaints.append(f"expected three digits, the first two those of {folder}: {file}")
    if module and file.partition("_")[2] != module:
        complaints.append(f"{file} exports {module}")
    return complaints


@pytest.mark.parametrize("path", by_path(chapters()))
def test_a_chapter_is_named_by_number_and_module(path):
    complaints = name_complaints(path.parent.name, path.stem, CHAPTERS[path])
    if CHAPTERS[path] and not read_cells(path)[0].has_directive("default_exp"):
        complaints.append("default_exp is not in the first cell")
    assert not complaints, complaints


@pytest.mark.parametrize(
    "folder,file,module",
    [
        ("05_fomm", "30_motion.affine", "motion.affine"),
        ("05_fomm", "061_motion.affine", "motion.affine"),
        ("05_fomm", "050_affine", "motion.affine"),
        ("05_fomm", "motion.affine", "motion.affine"),
        ("05_fomm", "050_", None),
    ],
)
def test_wrong_names_of_chapters_are_found(folder, file, module):
    assert name_complaints(folder, file, module)


def test_right_names_of_chapters_are_accepted():
    assert not name_complaints("05_fomm", "050_motion.affine", "motion.affine")
    assert not name_complaints("05_fomm", "050a_motion.affine", "motion.affine")
    assert not name_complaints("12_practice", "120_what_next", None)


def repeated(values) -> list:
    "What occurs more than once."
    return [value for value, count in Counter(values).items() if count > 1]


def test_numbers_of_chapters_are_unique():
    assert not repeated(path.name.split("_")[0] for path in CHAPTERS)


def test_a_module_has_one_chapter():
    assert not repeated(module for module in CHAPTERS.values() if module)


def test_repetitions_are_found():
    assert repeated(["050", "051", "050"]) == ["050"]


def later_chapters(cells, me: str, numbers: dict[str, str]) -> list[str]:
    "Modules that the exported cells import although their chapters come later."
    source = "\n".join(cell.source for cell in cells if cell.exported)
    others = imported_modules(source, me, set(numbers))
    return sorted(o for o in others if numbers.get(o, "") > numbers[me])


@pytest.mark.parametrize("path", by_path([path for path, module in CHAPTERS.items() if module]))
def test_reading_order_is_import_order(path):
    later = later_chapters(read_cells(path), CHAPTERS[path], NUMBERS)
    assert not later, f"{[f'{NUMBERS[module]} {module}' for module in later]} come later"


def test_later_chapters_are_found():
    numbers = {"core": "001", "motion.affine": "050", "models.fomm": "054"}
    late = code("#| export\ndef f():\n    from animlib.models.fomm import FommConfig")
    early = code("#| export\nfrom animlib.core import Flow\nimport torch")
    shown = code("from animlib.models.fomm import FommConfig")

    assert later_chapters((late, early), "motion.affine", numbers) == ["models.fomm"]
    assert later_chapters((markdown("# T"), early, shown), "motion.affine", numbers) == []
