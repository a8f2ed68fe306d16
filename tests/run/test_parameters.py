"""Parameters of papermill arrive: each is read by the notebook, a changed one changes the result,
an unknown one is an error. The list of pipelines is what comes along."""

import ast

import pytest
from executed import shown, text
from project_files import read_cells

from animlib.core import InputError
from animlib.run.notebooks import notebook_parameters, run_notebook
from animlib.shipped import share

PIPELINES = {path.stem: path for path in sorted(share("pipelines").glob("*.ipynb"))}
QUICK = dict(data="toy:arm", steps=3, clips=3, frames=4, eval_clips=1, device="cpu")
FORECAST = dict(steps=3, clips=3, frames=12, length=8, hidden=8, eval_clips=1, device="cpu")
CHANGED = {  # pipeline -> what it is given, and one parameter that is changed
    "ablate": (QUICK | dict(method="x2face", options=dict(batch=2)), dict(frames=5)),
    "animate": (dict(device="cpu", out="a.gif"), dict(mode="absolute", out="b.gif")),
    "compare": (QUICK | dict(methods=["fomm"], evaluator=""), dict(methods=["mraa"])),
    "disentangle": (
        dict(model="tpsmm-body", steps=3, clips=3, frames=6, pairs=1, device="cpu"),
        dict(steps=4),
    ),
    "evaluate": (dict(models=["fomm-body"], eval_clips=1), dict(models=["monkeynet-body"])),
    "forecast": (FORECAST, dict(hidden=16)),
    "gpu": (dict(device="cpu", options={"batch": 2}), dict(options={"batch": 1})),
    "paper_tables": (dict(table="tpsmm-1"), dict(table="dam-2")),
    "reconstruct": (dict(model="fomm-body", limit=1, device="cpu"), dict(limit=2)),
    "train": (QUICK, dict(steps=4)),
}
FAST = {"paper_tables"}  # the others take minutes, all together
OTHERS = {"bench", "demo"}  # times differ from run to run; the demonstration has its own test


def test_every_pipeline_is_looked_at():
    assert set(CHANGED) | OTHERS == set(PIPELINES)


def names_read(source: str) -> set[str]:
    "Names that some code reads."
    nodes = ast.walk(ast.parse(source))
    return {o.id for o in nodes if isinstance(o, ast.Name) and isinstance(o.ctx, ast.Load)}


@pytest.mark.parametrize("path", PIPELINES.values(), ids=PIPELINES)
def test_every_parameter_is_read(path):
    code = [cell for cell in read_cells(path) if cell.kind == "code"]
    later = "\n".join(cell.source for cell in code if "parameters" not in cell.tags)
    assert set(notebook_parameters(path)) <= names_read(later)


@pytest.mark.parametrize("path", PIPELINES.values(), ids=PIPELINES)
def test_an_unknown_parameter_is_an_error(path, tmp_path):
    known = next(iter(notebook_parameters(path)))
    with pytest.raises(InputError, match=known):
        run_notebook(path, tmp_path / "o.ipynb", {f"{known}_": 1}, tmp_path, False)
    assert not any(tmp_path.iterdir())


def result(name: str, folder, **given) -> str:
    "What a pipeline says and draws, run in a folder of its own."
    folder.mkdir()
    made = run_notebook(name, folder / "o.ipynb", given, cwd=folder, progress=False)
    return text(made) + "".join(shown(made, kind) for kind in ("text/html", "image/png"))


def check_changed(name: str, folder):
    "A changed parameter changes what the pipeline says."
    given, changed = CHANGED[name]
    first = result(name, folder / "first", **given)
    assert first and first != result(name, folder / "other", **given | changed)


@pytest.mark.parametrize("name", sorted(FAST))
def test_a_changed_parameter_changes_the_result(name, tmp_path):
    check_changed(name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(CHANGED) - FAST))
def test_a_changed_parameter_changes_the_result_of_long_ones(name, tmp_path):
    check_changed(name, tmp_path)
