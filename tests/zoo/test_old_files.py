"""Files of the first format, whose configs were flat, are the same models."""

import pytest
import torch
from old_files import OLD_CONFIGS, write_old

from animlib.training.state import FORMAT, read_header
from animlib.zoo.catalog import zoo
from animlib.zoo.files import read_model


def test_every_model_of_the_first_format_is_still_in_the_zoo():
    assert set(OLD_CONFIGS) <= set(zoo())


@pytest.mark.parametrize("name", OLD_CONFIGS)
def test_the_zoo_is_in_the_present_format(name):
    assert read_header(zoo()[name])["format"] == FORMAT


@pytest.mark.parametrize("name", OLD_CONFIGS)
def test_an_old_file_is_the_same_model(name, tmp_path):
    old = read_model(write_old(tmp_path / "old.safetensors", name))
    new = read_model(zoo()[name])

    assert old.method == new.method
    assert old.cfg == new.cfg
    for (key, value), other in zip(old.state_dict().items(), new.state_dict().values()):
        assert torch.equal(value, other), key
