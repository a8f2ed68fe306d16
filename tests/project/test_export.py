"""Notebooks are the source of animlib: exporting them changes nothing, cleaning loses nothing."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from clean import METADATA, cleaned
from export import export
from notebook_files import code_cell, write_cells
from project_files import GENERATED_MODULE, by_path, notebooks, relative

BY_HAND = ["__init__.py", "__main__.py"]  # of the package; nbdev-export makes the empty ones


def contents(folder: Path) -> dict[str, str]:
    "The text of every module below a folder."
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*.py"))
        if path.name != GENERATED_MODULE
    }


def test_export_leaves_no_difference(root, copy):
    for path in (copy / "animlib").rglob("*.py"):
        if path.name not in BY_HAND:
            path.unlink()  # so that a module without a notebook shows, too

    export(copy)

    have = contents(root / "animlib")
    want = contents(copy / "animlib")
    stale = [name for name in have | want if have.get(name) != want.get(name)]
    assert want and not stale, f"{stale}: run python tests/support/export.py, or remove the module"


def test_export_notices_a_difference(root, copy, tmp_path):
    shutil.copytree(copy, tmp_path / "copy")
    (notebook,) = (tmp_path / "copy" / "nbs").rglob("000b_geometry.ipynb")
    source = notebook.read_text(encoding="utf-8")
    changed = source.replace("#| export\\n", "#| export\\nnew_name = 1\\n", 1)
    notebook.write_text(changed, encoding="utf-8")

    export(tmp_path / "copy")

    have = contents(root / "animlib")
    want = contents(tmp_path / "copy" / "animlib")
    assert have["geometry.py"] != want["geometry.py"]


def test_export_formats_what_it_writes(copy, tmp_path):
    shutil.copytree(copy, tmp_path / "copy")
    folder = tmp_path / "copy" / "nbs" / "00_foundations"
    source = "#| export\n\ndef f( x ):\n  'The same.'\n  return x"
    cells = [code_cell("#| default_exp zzz", 0), code_cell(source, 1)]
    write_cells(folder / "009_zzz.ipynb", cells)

    export(tmp_path / "copy")

    written = (tmp_path / "copy" / "animlib" / "zzz.py").read_text(encoding="utf-8")
    assert 'def f(x):\n    "The same."\n    return x\n' in written


def test_clean_keeps_the_parameters_tag(copy):
    cell = code_cell("steps = 10", tags=("parameters",))
    cell["execution_count"] = 3
    cell["metadata"]["collapsed"] = True
    path = write_cells(copy / "nbs" / "trial.ipynb", [cell])

    clean = 'from nbdev.clean import nbdev_clean; nbdev_clean("nbs/trial.ipynb")'
    environment = {name: text for name, text in os.environ.items() if name != "IN_TEST"}
    subprocess.run(
        [sys.executable, "-c", clean], cwd=copy, env=environment, check=True, timeout=300
    )

    (cleaned,) = json.loads(path.read_text(encoding="utf-8"))["cells"]
    path.unlink()
    assert cleaned["metadata"] == {"tags": ["parameters"]}
    assert cleaned["execution_count"] is None


@pytest.mark.parametrize("path", by_path(notebooks()))
def test_notebook_is_clean(path):
    "No counters, no editor metadata but what JupyterLab writes, one line of source a line."
    text = path.read_text(encoding="utf-8")
    if cleaned(text) != text:
        pytest.fail(f"run: python tests/support/clean.py {relative(path)}", pytrace=False)


def test_what_an_editor_leaves_is_cleaned(tmp_path):
    cell = code_cell("x = 1") | dict(execution_count=3)
    path = write_cells(tmp_path / "a.ipynb", [cell])
    notebook = json.loads(cleaned(path.read_text()))
    assert notebook["cells"][0]["execution_count"] is None
    assert notebook["metadata"] == METADATA
    changed = json.dumps(notebook | dict(metadata=METADATA | dict(toc="x")))
    assert json.loads(cleaned(changed)) == notebook


def test_the_temporary_folder_of_a_run_is_not_stored(tmp_path):
    "It is called otherwise each time; what is printed of other paths stays."
    folder = "/" + "tmp"
    said = f"note: {folder}/tmpzh_idgh8/cut/a: stays, ./tmp/b and {folder}/mine/c, too\n"
    shown = dict(output_type="stream", name="stderr", text=[said])
    path = write_cells(tmp_path / "a.ipynb", [code_cell("1", outputs=[shown])])
    [cell] = json.loads(cleaned(path.read_text()))["cells"]
    assert cell["outputs"][0]["text"] == [f"note: cut/a: stays, ./tmp/b and {folder}/mine/c, too\n"]
