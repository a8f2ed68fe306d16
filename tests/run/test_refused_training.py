"""A training that is refused removes nothing that was there before it."""

import pytest

from animlib.cli import main

REFUSED = {  # why -> words of the command line
    "data": "--data nowhere",
    "init": "--data toy:arm --init nowhere",
    "option": "--data toy:arm -o batch=-1",
}


@pytest.mark.parametrize("words", REFUSED.values(), ids=REFUSED)
def test_a_refused_training_leaves_the_folder_as_it_was(words, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "notes.txt").write_text("mine")
    general = f"train fomm --preset toy --run-dir {run} --steps 1 --clips 2 --frames 2 --device cpu"

    assert main([*general.split(), *words.split()]) == 2

    assert (run / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("words", REFUSED.values(), ids=REFUSED)
def test_a_refused_training_leaves_no_folder_of_its_own(words, tmp_path):
    run = tmp_path / "run"
    general = f"train fomm --preset toy --run-dir {run} --steps 1 --clips 2 --frames 2 --device cpu"

    assert main([*general.split(), *words.split()]) == 2

    assert not run.exists()
