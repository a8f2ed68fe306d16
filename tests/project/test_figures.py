"""Figures look alike: one module decides on resolution and size of text, no other names any."""

import ast
import base64
import json
import struct

import pytest
import torch
from matplotlib.text import Text
from project_files import ROOT, by_path, modules, notebooks, read_cells
from source_code import parse, snippets

from animlib.geometry import identity_grid
from animlib.viz.hover import hover_surface
from animlib.viz.images import arrows, curves, panels, show
from animlib.viz.style import DPI, POINTS, plt

STYLE = ["animlib/viz/style.py", "nbs/00_foundations/007a_viz.style.ipynb"]
ALL = [*modules(), *notebooks()]
OTHERS = [path for path in ALL if path.relative_to(ROOT).as_posix() not in STYLE]
SIZES = {"fontsize", "labelsize", "titlesize", "title_fontsize", "dpi"}


# ---- what code says ----
def own_style(tree: ast.AST) -> list[str]:
    "Sizes of text, resolutions and settings that a piece of code decides for itself."
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            found += [word.arg for word in node.keywords if word.arg in SIZES]
        if isinstance(node, ast.Attribute) and node.attr in (
            "rcParams",
            "set_fontsize",
            "set_dpi",
            "set_size",
        ):
            found.append(node.attr)
        if isinstance(node, ast.Import):
            found += [o.name for o in node.names if o.name == "matplotlib.pyplot"]
        if isinstance(node, ast.ImportFrom) and node.module == "matplotlib":
            found += [o.name for o in node.names if o.name == "pyplot"]
    return found


@pytest.mark.parametrize("path", by_path(OTHERS))
def test_no_figure_has_a_style_of_its_own(path):
    found = [f"{o.where}: {name}" for o in snippets(path) for name in own_style(o.tree)]
    assert not found, "draw with plt of animlib.viz.style, which decides"


@pytest.mark.parametrize(
    "source",
    [
        "ax.set_title('a', fontsize=8)",
        "ax.tick_params(labelsize=6)",
        "figure.savefig(file, dpi=90)",
        "plt.rcParams['figure.dpi'] = 80",
        "import matplotlib.pyplot as plt",
        "from matplotlib import pyplot",
    ],
)
def test_a_style_of_its_own_is_found(source):
    assert own_style(parse(source))
    assert not own_style(parse("from animlib.viz.style import plt\nplt.figure(figsize=(2, 1))"))


# ---- what is stored ----
# Chapters whose figures are drawn in the style when they run, but stored as they were before:
# `python tests/support/seconds.py --save NOTEBOOK` stores them again; then take them out here.
WAITING: list[str] = []


def waits(path) -> bool:
    "Whether a notebook is told to be stored again."
    place = path.relative_to(ROOT / "nbs").with_suffix("").as_posix()
    return place in WAITING or path.stem.partition("_")[0] in WAITING


def resolution(image: bytes) -> float | None:
    "Dots an inch that matplotlib wrote into an image; None for images that are no figures."
    if image[:2] == b"\xff\xd8":  # JPEG: figures have a unit, images without a size have none
        unit, dots = struct.unpack(">BH", image[13:16])
        return dots if unit == 1 else None
    if b"Software\0Matplotlib" not in image[:300]:
        return None
    place = image.index(b"pHYs") + 4
    return struct.unpack(">I", image[place : place + 4])[0] * 0.0254


def stored_images(path) -> list[bytes]:
    "Images in the outputs of a notebook, in the form that matplotlib and PIL give them."
    found = []
    for cell in read_cells(path):
        for output in cell.outputs:
            data = output.get("data", {})
            kinds = [kind for kind in ("image/png", "image/jpeg") if kind in data]
            found += [base64.b64decode("".join(data[kind])) for kind in kinds]
    return found


@pytest.mark.parametrize("path", by_path(notebooks()))
def test_stored_figures_have_the_resolution(path):
    found = [resolution(image) for image in stored_images(path)]
    known = {DPI, 100} if waits(path) else {DPI}
    wrong = {round(dots) for dots in found if dots is not None} - known
    assert not wrong, "run: python tests/support/seconds.py --save NOTEBOOK"


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_the_resolution_is_read(kind, tmp_path):
    figure = plt.figure(figsize=(1, 1))
    figure.savefig(tmp_path / "a", format=kind)
    figure.savefig(tmp_path / "b", format=kind, dpi=100)
    plt.close(figure)
    read = [round(resolution((tmp_path / name).read_bytes())) for name in "ab"]
    assert read == [DPI, 100]


# ---- what is drawn ----
def text_sizes(axis) -> set[float]:
    "Sizes of the text of a figure that is drawn; it is closed."
    axis.figure.canvas.draw()
    sizes = {text.get_fontsize() for text in axis.figure.findobj(Text) if text.get_text()}
    plt.close(axis.figure)
    return sizes


DRAWN = {
    "show": lambda: show(torch.rand(2, 3, 8, 8), titles=["a", "b"])[0],
    "curves": lambda: curves({"a": [1, 2]}, "title", "x", "y", log=True),
    "arrows": lambda: arrows(identity_grid(8, 8), title="flow"),
    "panels": lambda: curves({"a": [1, 2]}, axis=panels(2)[1]),
}


@pytest.mark.parametrize("name", DRAWN)
def test_all_text_has_one_size(name):
    assert text_sizes(DRAWN[name]()) == {POINTS}


def test_a_plot_has_text_of_the_same_size():
    layout = hover_surface(identity_grid(8, 8)).figure.layout
    assert layout.font.size == POINTS * 96 / 72


# ---- how long chapters run ----
def test_measured_times_are_those_of_chapters():
    times = json.loads((ROOT / "nbs" / "assets" / "seconds.json").read_text(encoding="utf-8"))
    places = {o.relative_to(ROOT / "nbs").with_suffix("").as_posix() for o in notebooks()}
    assert times and set(times) <= places
    assert all(0 < seconds <= 60 for seconds in times.values())
