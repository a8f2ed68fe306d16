"""Every chapter runs, as nbdev's own runner runs it: the text to read along is a test.

Each notebook has a process of its own; two run at a time. Where processes can fork, torch is
imported once for all."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hardware import has_cuda
from notebook_files import write_notebook
from notebook_runner import FLAGS, run
from project_files import ROOT, by_path, notebooks


# ---- the notebooks of the project ----
def is_read_along(path: Path) -> bool:
    "Whether a notebook runs here; papermill runs those of nbs/pipelines in another test."
    folder = path.relative_to(ROOT / "nbs").parts[0]
    return folder[0].isdigit() or folder in ("index.ipynb", "explore")


@pytest.fixture(scope="session")
def results(request, scratch):
    "Every notebook that was asked for, two at a time; a test waits for its own."
    wanted = [
        item.callspec.params["path"]
        for item in request.session.items
        if item.name.startswith("test_notebook_runs[")
    ]
    skip = flags_to_skip(request.config.getoption("--slow"))
    with ThreadPoolExecutor(2) as pool:
        yield {path: pool.submit(run, path, scratch / f"{path.stem}.log", skip) for path in wanted}
        pool.shutdown(cancel_futures=True)


def flags_to_skip(slow: bool) -> list[str]:
    "Cells that do not run: the slow ones unless asked for, those for a GPU where there is none."
    wanted = {"slow": slow, "cuda": has_cuda()}
    return [flag for flag in FLAGS if not wanted.get(flag)]


@pytest.mark.parametrize("path", by_path([path for path in notebooks() if is_read_along(path)]))
def test_notebook_runs(path, results, record_property):
    result = results[path].result()
    record_property("seconds", round(result.seconds, 1))
    if not result.passed:
        pytest.fail(result.text, pytrace=False)


# ---- the runner sees what goes wrong ----
@pytest.fixture
def run_cells(tmp_path):
    "A function that runs a notebook of these cells."

    def run_sources(*sources, **options):
        return run(write_notebook(tmp_path / "a.ipynb", *sources), tmp_path / "log", **options)

    return run_sources


def test_runner_passes_a_good_notebook(run_cells):
    left_out = ["#| slow\n1/0", "#| cuda\n1/0", "#| eval: false\n1/0"]
    result = run_cells("import os; x = 1", 'assert x==1 and os.environ["IN_TEST"]', *left_out)
    assert result.passed, result.text


def test_runner_shows_the_cell_that_fails(run_cells):
    result = run_cells("x = 1", "y = x/0")
    assert not result.passed
    assert "ZeroDivisionError" in result.text and "y = x/0" in result.text


def test_runner_runs_slow_cells_when_asked(run_cells):
    assert not run_cells("#| slow\n1/0", skip=["cuda"]).passed


def test_runner_stops_what_hangs(run_cells):
    result = run_cells("import time; time.sleep(60)", seconds=8)
    assert not result.passed and result.seconds < 20
    assert "stopped after 8 s" in result.text


def test_runner_survives_a_process_that_dies(run_cells):
    result = run_cells("import os; os._exit(7)")
    assert not result.passed
    assert "exit code 7" in result.text


def test_flags_are_skipped_unless_asked_for():
    assert "slow" in flags_to_skip(slow=False) and "slow" not in flags_to_skip(slow=True)
    assert "notest" in flags_to_skip(slow=True)
