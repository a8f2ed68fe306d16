"""Spoiled files of every kind: read or refused, in little time and memory.

`python tests/support/fuzz.py` is the same as a script, with a table and findings to replay."""

import os
from random import Random

import pytest
from fuzz import DOORS, KINDS, SEED, findings, mutant, run, table, whole_files
from spoil import NO_STRUCTURE, SPOILERS, spoil
from watched import Watched

QUICK, THOROUGH = 10, 300  # mutants of each kind


# ---- the readers ----
@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    "A few mutants of each kind."
    return run(KINDS, QUICK, SEED, tmp_path_factory.mktemp("quick"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_few_spoiled_files_are_read_or_refused(kind, quick):
    results = [result for result in quick if result.kind == kind]
    found = findings(results)

    assert len(results) == QUICK
    if found:
        pytest.fail("\n".join(found), pytrace=False)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_spoiled_files_are_read_or_refused(kind, tmp_path):
    found = findings(run([kind], THOROUGH, SEED, tmp_path))
    if found:
        pytest.fail("\n".join(found), pytrace=False)


# ---- the mutants ----
def test_every_kind_has_whole_files_spoilers_and_doors():
    assert set(SPOILERS) == set(whole_files()) == set(DOORS)


@pytest.mark.parametrize("kind", KINDS)
def test_mutants_differ_and_can_be_made_again(kind):
    made = [mutant(kind, number) for number in range(20)]

    assert made == [mutant(kind, number) for number in range(20)]
    assert len(set(made)) > 10
    assert made != [mutant(kind, number, seed=1) for number in range(20)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_spoiler_changes_a_whole_file(kind):
    for spoiler in SPOILERS[kind]:
        changed = False
        for number in range(20):
            random = Random(number)
            whole = random.choice(whole_files()[kind])
            try:
                changed = changed or spoiler(whole, random) != whole
            except NO_STRUCTURE:
                continue  # of a form that this spoiler does not fit
        assert changed, spoiler.__name__


def test_a_file_without_any_structure_can_be_spoiled():
    for kind in KINDS:
        for number in range(20):
            assert isinstance(spoil(kind, b"\x00\x01" * 9, Random(number)), bytes)


# ---- the watch ----
SERVE = """
import ctypes, os, time

from animlib.core import InputError  # slow to import, so before the watch begins

def serve(job):
    if job == "crash":
        ctypes.string_at(0)
    if job == "hang":
        time.sleep(60)
    if job == "memory":
        kept = b"x" * 10**9
        time.sleep(60)
    if job == "short memory":
        kept = b"x" * 10**9
    if job == "exit":
        os._exit(3)
    if job == "lines":
        raise InputError("one\\ntwo")
    if job == "refuse":
        raise InputError("one line")
    if job == "raise":
        raise KeyError("key")
    return job
"""


@pytest.fixture
def served(tmp_path, monkeypatch):
    "A watched process with a short time and little memory."
    (tmp_path / "served.py").write_text(SERVE)
    paths = [str(tmp_path), os.environ.get("PYTHONPATH")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    with Watched("served", seconds=2, limit=10**9) as watched:
        yield watched


def test_the_watch_sees_how_a_call_ends(served):
    jobs = ["fine", "refuse", "raise", "lines", "exit", "crash", "memory", "short memory", "hang"]

    found = [served.call(job) for job in jobs]

    outcomes = ["done", "InputError", "KeyError", "InputError of many lines"]
    outcomes += ["crash", "crash", "memory", "memory", "hang"]
    assert [answer.outcome for answer in found] == outcomes
    assert [answer.is_good for answer in found] == [True, True] + [False] * 7
    assert found[0].text == "fine" and "KeyError: 'key'" in found[2].text
    assert "exit code 3" in found[4].text
    assert "in serve" in found[8].text, "the place where it hangs"
    assert served.call("fine again").outcome == "done"


def test_a_table_counts_outcomes_by_kind(tmp_path):
    results = run(["yaml"], 3, SEED, tmp_path)
    first, line = table(results).splitlines()

    assert first.split()[:3] == ["kind", "done", "InputError"] and line.startswith("yaml")
