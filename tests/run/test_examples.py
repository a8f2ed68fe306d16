"A pipeline shows a report: the outputs of a run of today's code, without the machine it ran on."

import json
from base64 import b64decode

import pytest
import torch
from examples import EXECUTED, PIPELINES, code_digest, kept_outputs, places_in
from executed import outputs
from notebook_files import code_cell, write_cells
from project_files import by_path, notebooks

from animlib.geometry import resize_maps
from animlib.media.sound import has_sound
from animlib.media.write import Video
from animlib.shipped import share

DIGESTS = json.loads(EXECUTED.read_text())
PATHS = {path.stem: path for path in sorted(PIPELINES.glob("*.ipynb"))}
HOME = "/" + "home/me"
# `python tests/support/examples.py NAME` makes them; these still wait for it
WAITING: set[str] = set()
LARGEST = 300 * 1024  # bytes of a kept notebook


def test_every_pipeline_is_shown_or_waits():
    assert set(DIGESTS) | WAITING == set(PATHS) and not set(DIGESTS) & WAITING


@pytest.mark.parametrize("name", DIGESTS)
def test_what_is_shown_was_made_by_todays_code(name):
    assert DIGESTS[name] == code_digest(PATHS[name]), f"python tests/support/examples.py {name}"
    assert outputs(PATHS[name]) and PATHS[name].stat().st_size <= LARGEST


@pytest.mark.parametrize("path", by_path(notebooks()))
def test_no_place_of_a_machine_is_shown(path):
    assert not places_in(path)


def test_a_changed_cell_is_noticed(tmp_path):
    one, other = (write_cells(tmp_path / f"{i}.ipynb", [code_cell(f"x = {i}")]) for i in (1, 2))
    assert code_digest(one) != code_digest(other)


def test_a_place_is_found_and_an_image_is_none(tmp_path):
    text = dict(output_type="stream", name="stdout", text=[f"it is in {HOME}/runs\n"])
    image = dict(output_type="display_data", data={"image/png": "x/tmp/y"}, metadata={})
    path = write_cells(tmp_path / "a.ipynb", [code_cell("1", outputs=[text, image])])
    assert places_in(path) == [f"it is in {HOME}/runs"]


def test_videos_are_kept_light_and_whole(tmp_path):
    "The same frames, speed and sound, as a smaller file."
    noise = torch.rand(12, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    video = Video.from_tensor(resize_maps(noise[:, :, :12, :12], (192, 192)), 8.0)
    video.sound = share("data_samples", "driving.mp4")
    heavy = video._repr_html_()
    shown = dict(output_type="execute_result", data={"text/html": [heavy]})

    [kept] = kept_outputs(dict(outputs=[shown]))

    light = "".join(kept["data"]["text/html"])
    assert len(light) < 0.7 * len(heavy)
    files = [tmp_path / "heavy.mp4", tmp_path / "light.mp4"]
    for file, html in zip(files, (heavy, light)):
        file.write_bytes(b64decode(html.partition("base64,")[2].partition('"')[0]))
    before, after = (Video.open(file) for file in files)
    assert (len(after), after.fps, has_sound(files[1])) == (12, 8.0, has_sound(files[0]))
    assert (after.tensor() - before.tensor()).abs().mean() < 0.03
    assert light.partition("base64,")[0] == heavy.partition("base64,")[0]


def test_an_image_is_kept_once():
    data = {"image/png": "a", "image/jpeg": "b", "text/plain": "c"}
    kept = kept_outputs(dict(outputs=[dict(output_type="display_data", data=data)]))
    assert kept[0]["data"] == {"image/jpeg": "b", "text/plain": "c"}


def test_only_what_a_reader_needs_is_kept():
    error = dict(output_type="stream", name="stderr", text=["a warning"])
    shown = dict(output_type="execute_result", data={}, metadata={"a": 1}, execution_count=7)
    assert kept_outputs(dict(outputs=[error, shown])) == [
        dict(output_type="execute_result", data={}, metadata={}, execution_count=None)
    ]
