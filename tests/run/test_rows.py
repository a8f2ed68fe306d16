"""A sweep that is killed and begun again repeats no finished row and loses none."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from animlib.cli import main
from animlib.core import InputError
from animlib.run import rows
from animlib.run.manifest import read_manifest
from animlib.run.results import read_results, write_results
from animlib.run.rows import run_manifest

# A row notes each of its runs outside of its folder; `slow` ones wait for a file named `go`.
CODE = """
import json, os, time
from pathlib import Path

with open(f"{notes}/{called}", "a") as file:
    file.write("begun\\n")
while slow and not Path(notes, "go").exists():
    time.sleep(0.1)
Path(out).mkdir(exist_ok=True)
Path(out, "metrics.json").write_text(json.dumps({"value": value}))
"""
PARAMETERS = """
called: str = ""
notes: str = ""
slow: bool = False
value: int = 0
out: str = "runs/o"
"""


def cell(source, *tags):
    more = {"outputs": [], "execution_count": None, "metadata": {"tags": [*tags]}}
    return {"cell_type": "code", "source": source} | more


@pytest.fixture
def manifest(tmp_path):
    "Three rows that are quick, two that wait."
    cells = [cell(PARAMETERS, "parameters"), cell(CODE)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "", "language": "python"}}
    content = {"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 4}
    (tmp_path / "job.ipynb").write_text(json.dumps(content))
    (tmp_path / "notes").mkdir()
    quick = {f"q{i}": dict(value=i, slow=False) for i in range(3)}
    slow = {f"s{i}": dict(value=i, slow=True) for i in range(2)}
    rows = [dict(row, name=name, called=name) for name, row in (quick | slow).items()]
    lines = ["notebook: job.ipynb", "tries: 1", f"parameters: {{notes: {tmp_path / 'notes'}}}"]
    lines.append(f"rows: {json.dumps(rows)}")
    file = tmp_path / "m.yaml"
    file.write_text("\n".join(lines))
    return file


def wait_until(happens, seconds=300):
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end
        time.sleep(0.05)


def times_begun(tmp_path, name) -> int:
    file = tmp_path / "notes" / name
    return file.read_text().count("begun") if file.exists() else 0


def done(out) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in out.glob("rows/*/done.json")}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_sweep_that_is_ended_goes_on(tmp_path, manifest, number):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "animlib.cli", "sweep", str(manifest), "--out", str(out)]
    log = open(tmp_path / "log", "wb")
    leader = subprocess.Popen([*command, "--jobs", "2"], stdout=log, stderr=log)
    try:
        wait_until(lambda: len(done(out)) == 3 and times_begun(tmp_path, "s1"))
        os.kill(leader.pid, number)
        leader.wait(60)
    finally:
        leader.kill()
    finished = done(out)
    assert set(finished) == {"q0", "q1", "q2"} and leader.returncode != 0

    (tmp_path / "notes" / "go").touch()
    assert main(["sweep", manifest, "--out", out, "--jobs", "2"]) == 0
    assert set(done(out)) == {"q0", "q1", "q2", "s0", "s1"}
    assert {name: done(out)[name] for name in finished} == finished
    assert [times_begun(tmp_path, f"q{i}") for i in range(3)] == [1, 1, 1]
    records = read_results(out).records()
    assert sorted(row["row"] for row in records) == ["q0", "q1", "q2", "s0", "s1"]
    assert {row["state"] for row in records} == {"done"}
    assert not [*out.rglob("*.tmp")] and not [*out.rglob("failed*")]


def test_no_failed_report_replaces_another(tmp_path, monkeypatch):
    "Also when an older one was removed in between."

    def fail(notebook, report, parameters, progress):
        report.with_name("report.failed.ipynb").write_text(tries.pop())
        raise InputError("stopped, see report.failed.ipynb")

    tries = ["third", "second", "first"]
    monkeypatch.setattr(rows, "run_notebook", fail)
    monkeypatch.setattr(rows, "placed", lambda notebook, parameters, folder: parameters)
    for _ in range(2):
        with pytest.raises(InputError, match="failed-"):
            rows.run_row(tmp_path, {})
    (tmp_path / "failed-1.ipynb").unlink()
    with pytest.raises(InputError, match="failed-3.ipynb"):
        rows.run_row(tmp_path, {})
    assert (tmp_path / "failed-2.ipynb").read_text() == "second"
    assert (tmp_path / "failed-3.ipynb").read_text() == "third"


def test_only_some_rows_and_the_time_limit(tmp_path, manifest, capsys):
    out = tmp_path / "out"
    report = run_manifest(read_manifest(manifest), out, only=["s0"], minutes=0.01)
    assert report["s0"]["state"] == "waiting" and "minutes are over" in capsys.readouterr().err
    assert sorted(path.name for path in (out / "rows").iterdir()) == ["s0"]
    assert main(["sweep", manifest, "--out", out, "--only", "q1", "--jobs", "1"]) == 0
    page = (out / "index.html").read_text()
    assert "1 of 5 rows are done" in page and "rows/q1/report.html" in page
    assert (out / "rows" / "q1" / "report.html").is_file()
    assert "q1" in capsys.readouterr().err  # a line for each change, as nobody looks


def test_pages_of_no_sweep_are_refused(tmp_path):
    for odd in ("", "a\0b", "https://example.org/x"):
        with pytest.raises(InputError):
            read_results(odd)
    with pytest.raises(InputError, match="found no manifest.json"):
        write_results(tmp_path)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    "text,complaint",
    [
        ("notebook: nothing", "neither a file nor a notebook"),
        ("notebook: train\nseeds: -1", "seeds: expected a number"),
        ("notebook: train\nseeds: [a]", "seeds: expected a number"),
        ("notebook: train\ngrid: {steps: []}", "expected a list of values"),
        ("notebook: train\ngrid: {1: [2]}", "expected a list of values"),
        ("notebook: train\nrows: [3]", "row 1: expected parameters"),
        ("notebook: train\nparameters: {steps: many}", "steps"),
        ("notebook: train\nparameters: {options: 3}\ngrid: {options.lr: [1]}", "options"),
        ("notebook: train\ntries: 0", "tries"),
        ("notebook: train\ngpus: -1", "gpus"),
        ("notebook: train\ntrys: 2", "did you mean tries"),
        ("notebook: bench\nseeds: 2", "no parameter 'seed'"),
        ("just words", "expected a mapping with a notebook"),
        ("a: [", "a manifest of runs"),
    ],
)
def test_wrong_manifests_are_refused_in_one_line(tmp_path, text, complaint):
    file = tmp_path / "m.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=complaint) as refused:
        read_manifest(file)
    assert "\n" not in str(refused.value)


def test_a_name_never_leaves_the_folder(tmp_path):
    file = tmp_path / "m.yaml"
    file.write_text("notebook: train\ngrid: {data: ['../../up', '/etc', 'a b']}")
    assert [row.name for row in read_manifest(file).rows] == ["up", "etc", "a-b"]
