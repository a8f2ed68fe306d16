"Rows of a measurement as csv and as parquet: the same table; no format takes another's place."

import csv
import sys

import pytest

from animlib.core import InputError
from animlib.evaluate.records import Records

MEASURED = dict(akd="official", clips=2)
ROWS = [dict(clip="a", frames=4, l1=0.5), dict(clip="b", frames=2, l1=0, face_akd=1.25)]


def finished(folder, rows):
    "The folder of a measurement of two clips."
    with Records(folder, MEASURED, rows) as records:
        for row in ROWS:
            records.add(row)
        records.finish(dict(l1=0.25), ROWS)
    return folder


def read_csv(file):
    "The rows of a csv, without its empty cells; numbers as numbers."
    with open(file, encoding="utf-8", newline="") as opened:
        found = list(csv.DictReader(opened))
    return [{k: v if k == "clip" else float(v) for k, v in row.items() if v} for row in found]


def test_rows_are_csv_if_nothing_else_is_said(tmp_path):
    pytest.importorskip("pyarrow")
    with Records(tmp_path, MEASURED) as records:
        records.finish({}, ROWS)
    assert [path.name for path in tmp_path.glob("clips.*")] == ["clips.csv"]


def test_parquet_holds_the_rows_with_their_types(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(finished(tmp_path, "parquet") / "clips.parquet")
    assert [path.name for path in tmp_path.glob("clips.*")] == ["clips.parquet"]
    assert [{k: v for k, v in row.items() if v is not None} for row in table.to_pylist()] == ROWS
    types = {field.name: str(field.type) for field in table.schema}
    assert types == dict(clip="string", frames="int64", l1="double", face_akd="double")


def test_parquet_and_csv_say_the_same(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = parquet.read_table(finished(tmp_path / "p", "parquet") / "clips.parquet").to_pylist()
    found = [{k: v for k, v in row.items() if v is not None} for row in rows]
    assert found == read_csv(finished(tmp_path / "c", "csv") / "clips.csv")


def test_a_whole_measurement_leaves_parquet(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    from animlib.models.registry import build
    from animlib.run.measuring import evaluate_model

    model = build("fomm", "toy").eval()
    options = dict(limit=2, frames=3, device="cpu", progress=False, rows="parquet")
    summary = evaluate_model(model, "toy:arm", [], tmp_path, **options)
    rows = parquet.read_table(tmp_path / "clips.parquet").to_pylist()
    assert len(rows) == 2 and sum(row["frames"] for row in rows) == 6
    assert evaluate_model(model, "toy:arm", [], tmp_path, **options) == summary


def test_a_finished_measurement_does_not_change_its_format(tmp_path):
    pytest.importorskip("pyarrow")
    finished(tmp_path, "csv")
    with pytest.raises(InputError, match=r"expected rows in clips.parquet, found clips.csv"):
        Records(tmp_path, MEASURED, "parquet").__enter__()
    assert Records(tmp_path, MEASURED).__enter__().summary["metrics"] == dict(l1=0.25)


def test_without_pyarrow_nothing_is_begun(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r'pyarrow.*pip install "animlib\[parquet\]", or take csv'):
        Records(tmp_path / "out", MEASURED, "parquet")
    assert not (tmp_path / "out").exists()
    assert (finished(tmp_path / "csv", "csv") / "clips.csv").is_file()


def test_another_format_is_refused(tmp_path):
    with pytest.raises(InputError, match="rows: expected csv or parquet, found 'xlsx'"):
        Records(tmp_path / "out", MEASURED, "xlsx")
    assert not (tmp_path / "out").exists()
