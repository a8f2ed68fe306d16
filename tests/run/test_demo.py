"""The demonstration, the samples it shows, and the tables of the zoo."""

import re

import pytest
from executed import text
from PIL import Image

from animlib.core import InputError
from animlib.media.read import probe, read_image
from animlib.media.write import Video
from animlib.run.demo import demo, sample_figure, zoo_table
from animlib.zoo.hub import share, zoo


# ---- the demonstration ----
def test_demo_leaves_four_files(demo_folder):
    names = {path.name for path in demo_folder.iterdir()}

    assert names == {"animation.mp4", "comparison.png", "demo.ipynb", "demo.html"}


def test_demo_keeps_speed_length_and_sound(demo_folder):
    made = probe(demo_folder / "animation.mp4")
    driving = probe(share("data_samples", "driving.mp4"))

    assert (made.frames, made.fps, made.has_sound) == (driving.frames, driving.fps, True)


def test_demo_moves(demo_folder):
    video = Video.open(demo_folder / "animation.mp4").tensor()[..., 16:, :]
    change = (video[0] - video[12]).abs()

    assert change.mean() > 0.01
    assert change[..., -256:].mean() > 0.01, "the result stands still"
    assert Image.open(demo_folder / "comparison.png").size == (6 * 130 - 2, 16 + 4 * 130 - 2)


def test_demo_is_nearer_to_the_true_answer_than_the_unmoved_image(demo_folder):
    rows = re.findall(r"\| ([^|]+) \| [\d.]+ \| (\d+)% \|", text(demo_folder / "demo.ipynb"))
    shares = dict(rows)

    assert shares["the image, unmoved"] == "100"
    assert int(shares["animated, relative"]) < 80


def test_demo_page_asks_no_network(demo_folder):
    html = (demo_folder / "demo.html").read_text(encoding="utf-8")

    assert html.count("<video") >= 4 and html.count("<img") >= 1 and len(html) < 4e6
    assert not re.search(r"<(script|link|iframe|object|embed)\b", html)
    assert not re.search(r'src\s*=\s*["\']?(?!["\']?data:)', html)
    assert not re.search(r"@import|url\(", html)


def test_demo_refuses_real_videos_that_are_not_there(tmp_path):
    with pytest.raises(InputError, match="actions"):
        demo(tmp_path / "d", tmp_path / "nothing", False)

    assert not (tmp_path / "d").exists()


# ---- the samples ----
def test_source_is_what_the_code_draws():
    drawn = sample_figure(12, 7, 128, 1)[0]
    kept = read_image(share("data_samples", "source.png"))

    assert (kept - drawn).abs().mean() < 0.004, (
        'the toy world has changed: animlib.run.demo.make_samples("data_samples")'
    )


def test_driving_is_what_the_code_draws():
    drawn = sample_figure(7, None, 128)[::12]
    kept = Video.open(share("data_samples", "driving.mp4")).tensor()[::12]

    assert (kept - drawn).abs().mean() < 0.03


def test_samples_are_small():
    files = [path for path in share("data_samples").iterdir() if path.is_file()]

    assert sum(path.stat().st_size for path in files) < 1e6


# ---- the tables of the zoo ----
def test_zoo_table_lists_the_zoo():
    lines = zoo_table().splitlines()

    assert len(lines) == 2 + len(zoo())
    for name in zoo():
        assert any(line.startswith(f"| {name} |") for line in lines), name
    assert len({line.count("|") for line in lines}) == 1


def test_readme_of_the_zoo_agrees_with_the_headers():
    readme = share("data_samples", "zoo") / "README.md"

    assert zoo_table() in readme.read_text(encoding="utf-8"), (
        "put what animlib.run.demo.zoo_table() gives between the two marks of "
        "data_samples/zoo/README.md"
    )
