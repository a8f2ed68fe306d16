"""The result never takes the place of what it was made from, however its name is written."""

import os

import pytest
import torch
from videos import disc, write_video

from animlib.animation import animate
from animlib.core import InputError
from animlib.models.registry import build


def through_a_link(path):
    link = path.with_name("link.gif")
    link.symlink_to(path)
    return link


def through_a_folder_link(path):
    link = path.parent.parent / "folder"
    link.symlink_to(path.parent)
    return link / path.name


def with_dots(path):
    return f"{path.parent}/../{path.parent.name}/./{path.name}"


def relative(path):
    return os.path.relpath(path)


NAMES = [str, relative, with_dots, through_a_link, through_a_folder_link]


@pytest.mark.parametrize("name", NAMES)
def test_the_driving_video_is_not_overwritten(name, tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path)
    driving = write_video(tmp_path / "in" / "driving.gif", disc(3, 32, 32))
    before = driving.read_bytes()

    with pytest.raises(InputError, match="driving video"):
        animate(build("fomm", "toy"), torch.rand(3, 32, 32), driving, name(driving), device="cpu")

    assert driving.read_bytes() == before
