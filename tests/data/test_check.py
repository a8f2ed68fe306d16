"A report names everything that is wrong with a folder."

import shutil

import pytest
from videos import disc, error_line, write_splits, write_strip, write_video

from animlib.cli import main
from animlib.data.check import check_folder


@pytest.fixture
def mess(tmp_path):
    "A folder in which everything is wrong that can be."
    data = write_splits(tmp_path / "data", train=2, test=1)
    train = data / "train"
    shutil.copy(train / "train0.png", data / "test" / "leak.png")
    shutil.copy(train / "train1.png", train / "test0.png")
    write_strip(train / "still.png", disc(4, step=0))
    write_strip(train / "one.png", disc(1))
    write_strip(train / "tiny.png", disc(4, 16, 16))
    (train / "bad.mp4").write_bytes(b"<html>")
    write_video(train / "wide.mp4", disc(6, columns=64), fps=90)
    write_video(train / "fast.mp4", disc(6), fps=200)
    (data / "x.flv").write_bytes(b"1")
    return data


FINDINGS = [
    "problem test/leak.png: the same bytes as train/train0",
    "problem test0: a name in both",
    "problem train/still.png: nothing moves",
    "problem train/one.png: only one frame",
    "problem train/tiny.png: 16x16 pixels",
    "problem train/bad.mp4: expected",
    "note train/wide.mp4: 64x48 is not square; its centre is cut out: crop it yourself",
    "note train/fast.mp4: 200 frames a second",
    "sizes; a training brings all of them to its own size",
    "frames a second; slow clips",
    ".flv",
]


@pytest.mark.parametrize("finding", FINDINGS)
def test_every_problem_is_named(mess, finding):
    report = check_folder(mess)

    assert not report.ok
    assert finding in "\n".join(report.lines())


def test_every_finding_says_what_to_do(mess):
    lines = check_folder(mess).lines()

    assert "11 clips" in lines[0]
    assert all("; " in line for line in lines[1:])


def test_notes_of_one_kind_share_a_line_unless_all_are_wanted(tmp_path, capsys):
    for i in range(6):
        write_video(tmp_path / "train" / f"{i}.mp4", disc(6, rows=48 + 2 * i, columns=96))
    command = ["data", "check", str(tmp_path)]

    found = {}
    for more in ([], ["--verbose"]):
        assert main([*command, *more]) == 0
        lines = capsys.readouterr().out.splitlines()
        found[len(more)] = [line for line in lines if "is not square" in line]

    assert len(found[1]) == 6 and len(found[0]) == 1
    assert "train/0.mp4 and 5 more: 96x48" in found[0][0] and "--verbose" in found[0][0]


def test_a_good_folder_is_left_in_peace(tmp_path):
    data = write_splits(tmp_path / "data", train=2, test=1)

    assert check_folder(data).lines()[1:] == []
    assert any("no train/ and test/" in line for line in check_folder(data / "test").lines())


def test_a_folder_without_clips_is_an_error(tmp_path):
    assert "found none" in error_line(check_folder, tmp_path)


def test_strips_and_folders_have_no_speed_to_compare(tmp_path):
    data = write_splits(tmp_path / "data", train=2, test=1)  # strips
    write_video(data / "train" / "slow.mp4", disc(6), fps=10)
    write_video(f"{data}/train/frames/", disc(6))
    assert "slow clips" not in "\n".join(check_folder(data).lines())

    write_video(data / "train" / "quick.mp4", disc(6), fps=30)
    assert "10 to 30 frames a second; slow clips" in "\n".join(check_folder(data).lines())
