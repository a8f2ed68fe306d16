"""The demonstration, the samples it shows, and the tables of the zoo."""

import re

import numpy as np
import pytest
import torch
from executed import text
from PIL import Image

from animlib.core import InputError
from animlib.data.clips import compose
from animlib.data.emoji_clips import read_emoji
from animlib.data.noto import GROUPS
from animlib.media.read import probe, read_image
from animlib.media.write import Video
from animlib.run.demo import (
    EMOJI_MOTIONS,
    EMOJI_PEOPLE,
    demo,
    sample_emoji,
    sample_figure,
    side_by_side,
    zoo_table,
)
from animlib.shipped import share
from animlib.zoo.catalog import zoo


# ---- the demonstration ----
def cell_of(video, row, column):
    "One cell of a video of cells 128 px wide, 2 px apart, below a title of 16 px."
    top = 16 + 130 * row
    return video[..., top : top + 128, 130 * column : 130 * column + 128]


def largest_change(video):
    "Of the frames, against the first one."
    return (video - video[:1]).abs().mean((1, 2, 3)).max()


def test_demo_leaves_five_files(demo_folder):
    names = {path.name for path in demo_folder.iterdir()}

    assert names == {"animation.mp4", "toy.mp4", "comparison.png", "demo.ipynb", "demo.html"}


def test_demo_keeps_speed_length_and_sound(demo_folder):
    made = probe(demo_folder / "toy.mp4")
    driving = probe(share("data_samples", "driving.mp4"))

    assert (made.frames, made.fps, made.has_sound) == (driving.frames, driving.fps, True)


def test_demo_of_emoji_repeats_the_loop_in_its_speed(demo_folder):
    made = probe(demo_folder / "animation.mp4")
    driving = sample_emoji(EMOJI_MOTIONS["mage"])

    assert made.frames == 3 * len(driving)
    assert made.fps == pytest.approx(driving.fps, rel=0.01)


def test_demo_moves_every_person_in_every_motion(demo_folder):
    video = Video.open(demo_folder / "animation.mp4").tensor()[:24]
    n_people = len(EMOJI_PEOPLE)

    sources = torch.stack([cell_of(video[0], 0, column) for column in range(1, 1 + n_people)])
    for row in range(1, 1 + len(EMOJI_MOTIONS)):
        for column in range(1, 1 + 2 * n_people):
            result = cell_of(video, row, column)
            assert largest_change(result) > 0.004, f"the result {row}, {column} stands still"
        for person in range(n_people):  # relative: everyone keeps their own shape
            distance = (cell_of(video[0], row, 1 + person) - sources).abs().mean((1, 2, 3))
            assert distance.argmin() == person, "a result under the wrong title"
    assert Image.open(demo_folder / "comparison.png").size == (6 * 130 - 2, 16 + 4 * 130 - 2)


def test_demo_moves_the_drawn_person(demo_folder):
    video = Video.open(demo_folder / "toy.mp4").tensor()[..., 16:, :]
    driving = video[..., 194:386]
    result = video[..., 388:580]

    assert (driving[0] - driving[12]).abs().mean() > 0.01
    assert (result[0] - result[12]).abs().mean() > 0.01, "the result stands still"


def test_demo_measures_against_the_true_looks(demo_folder):
    line = r"The (\w+): (\d+)% of the error is left; sharpness (\d+)%"
    found = re.findall(line, text(demo_folder / "demo.ipynb"))

    assert {name for name, _, _ in found} == EMOJI_PEOPLE.keys() & EMOJI_MOTIONS.keys()
    assert all(int(share) < 100 and 50 < int(sharp) < 150 for _, share, sharp in found)


def test_demo_shows_people_that_no_training_has_seen():
    group = GROUPS["fluent"]["people"]

    for name in EMOJI_PEOPLE.values():
        assert group.split(group.find(name), False) == "test", name


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
@pytest.mark.parametrize("name", [*EMOJI_MOTIONS.values(), *EMOJI_PEOPLE.values()])
def test_a_sample_emoji_is_what_training_sees_over_white(name):
    frames = np.stack(list(read_emoji(share("data_samples", "emoji", f"{name}.webp"), 128)))
    over_white = Video.from_tensor(compose(torch.from_numpy(frames), torch.ones(3)))
    shown = sample_emoji(name)

    assert torch.equal(shown.frames, over_white.frames) and 7 < shown.fps < 13


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


# ---- columns ----
def test_columns_are_as_long_as_the_longest_and_keep_the_speed():
    still = torch.rand(3, 16, 16)
    video = torch.rand(5, 3, 16, 16)
    rows = (dict(a=video, b=still), dict(a=still, b=video[:2]))

    made = side_by_side(*rows, fps=12.0, width=16)

    assert len(made) == 5 and made.fps == 12.0
    assert (made.frames[1, -16:, -16:] == made.frames[4, -16:, -16:]).all(), "it stands still"


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
