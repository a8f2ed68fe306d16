"A pipeline shows a report: the outputs of a run of today's code, without the machine it ran on."

import json

import pytest
from examples import EXECUTED, PIPELINES, code_digest, kept_outputs, places_in
from executed import outputs
from notebook_files import code_cell, write_cells

DIGESTS = json.loads(EXECUTED.read_text())
PATHS = {path.stem: path for path in sorted(PIPELINES.glob("*.ipynb"))}
HOME = "/" + "home/me"
# `python tests/support/examples.py NAME` makes them; these still wait for it
WAITING = {"ablate", "animate", "bench", "demo", "disentangle", "forecast", "gpu"}
LARGEST = 300 * 1024  # bytes of a kept notebook


def test_every_pipeline_is_shown_or_waits():
    assert set(DIGESTS) | WAITING == set(PATHS) and not set(DIGESTS) & WAITING


@pytest.mark.parametrize("name", DIGESTS)
def test_what_is_shown_was_made_by_todays_code(name):
    assert DIGESTS[name] == code_digest(PATHS[name]), f"python tests/support/examples.py {name}"
    assert outputs(PATHS[name]) and PATHS[name].stat().st_size <= LARGEST


@pytest.mark.parametrize("name", PATHS)
def test_no_place_of_a_machine_is_shown(name):
    assert not places_in(PATHS[name])


def test_a_changed_cell_is_noticed(tmp_path):
    one, other = (write_cells(tmp_path / f"{i}.ipynb", [code_cell(f"x = {i}")]) for i in (1, 2))
    assert code_digest(one) != code_digest(other)


def test_a_place_is_found_and_an_image_is_none(tmp_path):
    text = dict(output_type="stream", name="stdout", text=[f"it is in {HOME}/runs\n"])
    image = dict(output_type="display_data", data={"image/png": "x/tmp/y"}, metadata={})
    path = write_cells(tmp_path / "a.ipynb", [code_cell("1", outputs=[text, image])])
    assert places_in(path) == [f"it is in {HOME}/runs"]


def test_only_what_a_reader_needs_is_kept():
    error = dict(output_type="stream", name="stderr", text=["a warning"])
    shown = dict(output_type="execute_result", data={}, metadata={"a": 1}, execution_count=7)
    assert kept_outputs(dict(outputs=[error, shown])) == [
        dict(output_type="execute_result", data={}, metadata={}, execution_count=None)
    ]
