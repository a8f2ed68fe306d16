"""Scheduled runs of the command line: two nights leave two reports, a failed one takes nothing."""

import json

import pytest

from animlib.cli import main
from animlib.run.nights import night, nights


def cell(source, *tags):
    more = {"outputs": [], "execution_count": None, "metadata": {"tags": [*tags]}}
    return {"cell_type": "code", "source": source} | more


@pytest.fixture
def job(tmp_path, monkeypatch):
    "A notebook that writes a file into `out`, or fails; the current folder is a new one."
    monkeypatch.chdir(tmp_path)
    code = "from pathlib import Path\nPath(out).mkdir(parents=True)\nPath(out, 'a').touch()\n1 / x"
    cells = [cell("x: int = 1\nout: str = 'runs/job'", "parameters"), cell(code)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "", "language": "python"}}
    content = {"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 4}
    file = tmp_path / "job.ipynb"
    file.write_text(json.dumps(content))
    return file


def test_every_night_has_a_folder_and_old_ones_go(job, tmp_path, capsys):
    assert main(["run", job]) == 0
    assert main(["run", job, "-p", "x", "0"]) == 1
    assert main(["run", job, "--keep", "2"]) == 0

    (first, a), (second, b), (third, c) = nights("job", tmp_path / "runs")
    assert [a, b, c] == ["done", "failed", "done"]
    for good in (first, third):
        assert (good / "job.ipynb").is_file() and (good / "job" / "a").is_file()
    assert (second / "job.failed.ipynb").is_file() and not (second / "job.ipynb").exists()
    assert str(third.relative_to(tmp_path)) in capsys.readouterr().out

    assert main(["run", job, "--keep", "1"]) == 0  # the failed one goes with the older ones
    [(left, state)] = nights("job", tmp_path / "runs")
    assert state == "done" and left.name.startswith("job-") and left.name.endswith("-4")
    assert "removed" in capsys.readouterr().err
    with night("job") as next_one:  # a name that was given away once comes after all others
        (next_one / "a").touch()
    assert nights("job", tmp_path / "runs")[-1] == (next_one.absolute(), "done")


def test_keep_is_for_dated_folders(job, tmp_path, capsys):
    assert main(["run", job, "--out", tmp_path / "o.ipynb", "--keep", "1"]) == 2
    assert "leave --out out" in capsys.readouterr().err
    assert main(["run", job, "-p", "y", "1"]) == 2  # refused before anything is made
    assert not (tmp_path / "runs").exists()
