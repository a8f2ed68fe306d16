"""Methods compared on real art with true answers: several seeds, stopped and gone on with."""

import json

import pytest

from animlib.evaluate.tables import CROSS_COLUMNS, ablation_table
from animlib.run.ablate import compare
from animlib.shipped import share

QUICK = dict(steps=1, batch=2, preview_every=0, device="cpu", limit=2, evaluator="", progress=False)
DATA = f"fluent:people={share('data_samples', 'emoji')}"


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    "One method, one seed; then two methods, two seeds, in the same folder."
    out = tmp_path_factory.mktemp("compared")
    first = compare(["fomm"], DATA, "toy", out, seeds=1, **QUICK)
    files = {path: path.stat().st_mtime_ns for path in out.rglob("metrics.json")}
    found = compare(["fomm", "x2face"], DATA, "toy", out, seeds=2, **QUICK)
    return out, first, files, found


def test_what_was_measured_is_not_measured_twice(compared):
    _, first, files, found = compared
    assert found["variants"]["fomm"]["metrics"][0] == first["variants"]["fomm"]["metrics"][0]
    assert all(path.stat().st_mtime_ns == then for path, then in files.items())


def test_transfers_are_measured_against_the_truth_in_every_mode(compared):
    out, _, _, found = compared
    table = ablation_table(found, CROSS_COLUMNS)
    head, _, fomm, x2face = table.splitlines()[:4]

    assert json.loads((out / "comparison.json").read_text()) == found
    assert "L1, absolute | L1, relative | L1, best frame |" in head
    assert fomm.count("±") == 3 and x2face.count("±") == 2 and "–" in x2face
    assert "2 seeds" in table and "*fluent:people, preset toy" in table


def test_sharpness_and_moving_pixels_are_measured(compared):
    *_, found = compared
    for metrics in found["variants"]["fomm"]["metrics"]:
        assert 0 < metrics["sharpness_moving"] < 2 and 0 < metrics["l1_moving_ratio"] < 2
    assert found["variants"]["fomm"]["metrics"][0] != found["variants"]["fomm"]["metrics"][1]
