"""Notebooks in JupyterLab: who merely opens one has nothing to save."""

import json
import platform

import pytest
from browser import SECONDS
from clean import METADATA
from project_files import ROOT, by_path, notebooks

OPENED = {
    "a chapter": "05_fomm/050_motion.affine.ipynb",
    "a chapter with plots": "00_foundations/008a_viz.hover.ipynb",
    "an explorer": "explore/anchors.ipynb",
    "a pipeline": "pipelines/train.ipynb",
}
UNSAVED = "li.lm-TabBar-tab.jp-mod-dirty"


@pytest.mark.parametrize("path", by_path(notebooks()))
def test_a_notebook_has_the_metadata_that_jupyterlab_writes(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert notebook["metadata"] == METADATA, "run: python tests/support/clean.py"
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert all(cell["id"] for cell in notebook["cells"])


def put(lab, place: str, **metadata) -> str:
    "A notebook of the project in the folder of JupyterLab; its name there."
    notebook = json.loads((ROOT / "nbs" / place).read_text(encoding="utf-8"))
    notebook["metadata"] |= metadata
    path = lab.folder / place.rpartition("/")[2]
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path.name


def unsaved_tabs(lab, browser, name: str) -> int:
    "Open a notebook, let its kernel tell what it is, and count the tabs that are marked."
    page = lab.open(browser, name).page
    page.wait_for_timeout(2 * SECONDS)
    count = page.locator(UNSAVED).count()
    page.context.close()
    return count


def test_a_notebook_that_is_opened_is_not_unsaved(browser, lab):
    # the one thing that JupyterLab takes from the machine: the version of Python
    here = METADATA["language_info"] | dict(version=platform.python_version())
    for what, place in OPENED.items():
        name = put(lab, place, language_info=here)
        before = (lab.folder / name).read_bytes()
        assert unsaved_tabs(lab, browser, name) == 0, what
        assert (lab.folder / name).read_bytes() == before


def test_a_notebook_as_nbdev_names_its_kernel_is_unsaved(browser, lab):
    kernel = METADATA["kernelspec"] | dict(display_name="python3")
    name = put(lab, OPENED["a chapter"], kernelspec=kernel)
    assert unsaved_tabs(lab, browser, name) == 1
