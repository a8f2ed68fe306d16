"""Faults put into the library are seen by its tests.

`python tests/support/mutants.py` is the same as a script: it names each fault and who saw it."""

import subprocess
import sys
from collections import Counter

import pytest
from mutants import ROOT, changed_chapter, changed_module, lost_anchors
from mutations import MUTANTS, Mutant
from notebook_files import code_cell, write_cells

AREAS = {"geometry", "motion", "dense", "losses", "training", "media", "zoo"}
GOAL = 0.95  # share of the faults that are seen


# ---- the list ----
def test_the_list_is_long_and_covers_the_library():
    areas = Counter(mutant.module.partition(".")[0] for mutant in MUTANTS)
    labels = Counter(mutant.label for mutant in MUTANTS)

    assert len(MUTANTS) >= 100
    assert all(areas[area] >= 10 for area in AREAS), areas
    assert labels.most_common(1)[0][1] == 1, labels.most_common(3)
    assert sum(mutant.must for mutant in MUTANTS) >= 8


def test_most_faults_have_their_place():
    "A chapter that changes may lose a few; `mutants.py --list` names them."
    lost = lost_anchors(MUTANTS)
    assert len(lost) <= 0.05 * len(MUTANTS), "\n".join(lost)


def test_the_worst_faults_have_their_place():
    lost = lost_anchors([mutant for mutant in MUTANTS if mutant.must])
    assert not lost, "\n".join(lost)


def test_every_test_that_is_named_exists():
    named = {test for mutant in MUTANTS for test in mutant.tests}
    missing = [test for test in named if not (ROOT / "tests" / test.split()[0]).exists()]
    assert not missing


# ---- a fault in a module and in its chapter ----
FAULT = Mutant("m", "a sign", "a - b", "a + b")


@pytest.mark.parametrize("text", ["return a * b\n", "x = a - b\ny = a - b\n"])
def test_a_text_that_is_not_there_once_is_named(text, tmp_path):
    (tmp_path / "m.py").write_text(text)
    with pytest.raises(LookupError, match="m.py: anchor found"):
        changed_module(tmp_path / "m.py", FAULT)


def test_a_fault_goes_into_the_exported_cell_alone(tmp_path):
    sources = ["#| export\ndef f(a, b):\n    return a - b", "assert f(a - b, 0) == 1"]
    path = write_cells(tmp_path / "m.ipynb", [code_cell(source) for source in sources])

    changed = changed_chapter(path, FAULT)

    assert "return a + b" in changed and "assert f(a - b, 0)" in changed
    with pytest.raises(LookupError, match="0 exported cells"):
        changed_chapter(path, Mutant("m", "", "== 1", "== 2"))


# ---- the run ----
def mutants(*words: str) -> subprocess.CompletedProcess:
    "The script with these words."
    command = [sys.executable, ROOT / "tests" / "support" / "mutants.py", *words]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=ROOT)


@pytest.mark.slow
def test_the_worst_faults_are_seen():
    result = mutants("--must")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.slow
def test_nearly_all_faults_are_seen():
    result = mutants()
    killed = result.stdout.count("   killed  ")
    assert killed >= GOAL * len(MUTANTS), result.stdout + result.stderr
