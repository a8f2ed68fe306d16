"""Notebooks as scheduled runs: what `run_notebook` refuses, and what it leaves when one fails."""

import json
import sys
from pathlib import Path

import pytest
from executed import text
from notebook_files import code_cell, write_cells

import animlib
from animlib.core import InputError
from animlib.run.notebooks import (
    NotebookFailed,
    check_parameters,
    notebook_parameters,
    run_notebook,
    shipped_file,
)
from animlib.shipped import share

SHIPPED = sorted(share("pipelines").glob("*.ipynb"))


def write_job(path: Path, parameters: str, *sources: str) -> Path:
    "A notebook with a cell of parameters and more cells."
    first = code_cell(parameters, tags=("parameters",))
    more = [code_cell(source, number) for number, source in enumerate(sources, 1)]
    return write_cells(path, [first, *more])


# ---- the notebooks that come along ----
@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in SHIPPED])
def test_parameters_are_documented(path):
    for name, parameter in notebook_parameters(path).items():
        given = {name: parameter.default}
        assert parameter.kind and parameter.help, f"{path.name}: {name} needs a type and a comment"
        assert check_parameters(path, given) == given


# ---- what is refused ----
@pytest.mark.parametrize(
    "given,message",
    [
        (dict(step=3), "steps"),
        (dict(Method="fomm"), "method"),
        (dict(steps="many"), "expected a whole number"),
        (dict(steps=2.5), "expected a whole number"),
        (dict(resume=1), "expected true or false"),
        (dict(method=None), "expected a text"),
        (dict(options=[1]), "expected dict"),
        (dict(steps=True), "expected a whole number"),
    ],
)
def test_a_wrong_parameter_is_refused_before_anything_runs(given, message, tmp_path):
    with pytest.raises(InputError, match=message) as caught:
        run_notebook("train", tmp_path / "out.ipynb", given, tmp_path, False)

    assert "\n" not in str(caught.value)
    assert not any(tmp_path.iterdir())


def untagged(folder):
    return write_cells(folder / "n.ipynb", [code_cell("steps = 1")])


def missing(folder):
    return folder / "n.ipynb"


def misspelt(folder):
    return "trian"


def not_json(folder):
    (folder / "n.ipynb").write_text("not json")
    return folder / "n.ipynb"


def not_a_notebook(folder):
    (folder / "n.ipynb").write_text("[]")
    return folder / "n.ipynb"


def not_python(folder):
    return write_job(folder / "n.ipynb", "steps = = 1")


@pytest.mark.parametrize(
    "make,message",
    [
        (untagged, "found 0"),
        (missing, "neither a file"),
        (misspelt, "did you mean train"),
        (not_json, "expected a notebook"),
        (not_a_notebook, "expected a notebook"),
        (not_python, "expected a notebook"),
    ],
)
def test_what_is_no_job_is_refused(make, message, tmp_path):
    with pytest.raises(InputError, match=message):
        run_notebook(make(tmp_path), tmp_path / "out" / "o.ipynb", {}, tmp_path, False)

    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "what,ending,name", [("notebook", ".ipynb", "train"), ("manifest", ".yaml", "weekly")]
)
def test_what_comes_along_is_found_by_its_name_alone(what, ending, name, tmp_path, monkeypatch):
    "A folder that is not there stands before the name of none that comes along."
    monkeypatch.chdir(tmp_path)
    assert shipped_file(what, name, ending) == shipped_file(what, f"{name}{ending}", ending)
    for wrong in (f"wrong/{name}{ending}", f"wrong/{name}", f"/{name}", f"{name}.txt", "."):
        with pytest.raises(InputError, match=f"^{what} .*neither a file nor a {what}"):
            shipped_file(what, wrong, ending)

    own = tmp_path / f"{name}{ending}"
    own.write_text("")
    assert shipped_file(what, own.name, ending).samefile(own), "what is here goes first"


def test_two_cells_of_parameters_are_refused(tmp_path):
    cell = code_cell("a = 1", tags=("parameters",))
    path = write_cells(tmp_path / "n.ipynb", [cell, cell])

    with pytest.raises(InputError, match="found 2"):
        notebook_parameters(path)


def test_papermill_missing(monkeypatch, tmp_path):
    for name in [name for name in sys.modules if name.partition(".")[0] == "papermill"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "papermill", None)

    with pytest.raises(InputError, match=r'pip install "animlib\[notebooks\]"'):
        run_notebook("train", tmp_path / "o.ipynb", {}, tmp_path, False)

    assert not any(tmp_path.iterdir())


def test_the_notebook_is_not_its_own_output(tmp_path):
    path = write_job(tmp_path / "n.ipynb", "n = 1")
    before = path.read_bytes()

    with pytest.raises(InputError, match="itself"):
        run_notebook(path, path, {}, tmp_path, False)

    assert path.read_bytes() == before


# ---- what happens when it fails ----
def test_a_failing_cell_is_one_line_and_the_notebook_is_kept(tmp_path):
    loop = "for i in range(9):\n    1/(i-n)"
    path = write_job(tmp_path / "n.ipynb", "n = 1", 'print("begun")', loop)
    message = r"ZeroDivisionError: .*cell \[4\].*for i in range.*out\.failed\.ipynb"

    with pytest.raises(NotebookFailed, match=message) as caught:
        run_notebook(path, tmp_path / "out.ipynb", dict(n=4), tmp_path, False)

    assert "\n" not in str(caught.value)
    assert "begun" in text(tmp_path / "out.failed.ipynb")
    assert "n = 4" in (tmp_path / "out.failed.ipynb").read_text()


def test_a_failed_run_leaves_the_report_that_is_there(tmp_path):
    path = write_job(tmp_path / "n.ipynb", "n = 1", "print(8 // n)")
    run_notebook(path, tmp_path / "out.ipynb", dict(n=2), tmp_path, False)
    before = (tmp_path / "out.ipynb").read_bytes()

    with pytest.raises(NotebookFailed, match="out.failed.ipynb"):
        run_notebook(path, tmp_path / "out.ipynb", dict(n=0), tmp_path, False)

    assert (tmp_path / "out.ipynb").read_bytes() == before and text(tmp_path / "out.ipynb") == "4\n"
    names = {file.name for file in tmp_path.iterdir()}
    assert names == {"n.ipynb", "out.ipynb", "out.failed.ipynb"}


def test_a_wrong_input_stays_a_wrong_input(tmp_path):
    with pytest.raises(InputError, match="no trained model"):
        run_notebook("animate", tmp_path / "o.ipynb", dict(model="fomm-bodi"), tmp_path, False)

    assert (tmp_path / "o.failed.ipynb").exists() and not (tmp_path / "runs").exists()


def test_a_kernel_that_dies_is_reported(tmp_path):
    path = write_job(
        tmp_path / "n.ipynb", "n = 1", 'print("begun", flush=True)', "import os; os._exit(3)"
    )

    with pytest.raises(NotebookFailed, match="(?i)kernel"):
        run_notebook(path, tmp_path / "out.ipynb", {}, tmp_path, False)

    assert "begun" in text(tmp_path / "out.failed.ipynb")


# ---- the interpreter ----
def test_it_runs_in_this_python_whatever_jupyter_knows(tmp_path, monkeypatch):
    kernel = tmp_path / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    spec = dict(argv=["no-such-python"], display_name="other", language="python")
    (kernel / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    report = "import animlib, sys; print(sys.executable, animlib.__file__)"
    path = write_job(tmp_path / "n.ipynb", "n = 1", report)

    run_notebook(path, tmp_path / "o.ipynb", {}, tmp_path, False)

    assert text(tmp_path / "o.ipynb").split() == [sys.executable, animlib.__file__]
