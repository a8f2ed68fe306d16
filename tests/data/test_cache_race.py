"""Two that decode the same folder: the one that comes second uses what the first has made."""

import shutil

import torch
from videos import write_splits

from animlib.data import folder as module
from animlib.data.folder import open_folder


def test_a_cache_that_another_process_has_made_meanwhile_is_used(tmp_path, monkeypatch):
    data = write_splits(tmp_path / "data", train=2)
    first = open_folder(data, cache=tmp_path / "first")
    (slot,) = [path for path in (tmp_path / "first").iterdir() if path.name.startswith("data-")]

    original = module.publish
    published = []

    def slower(part, target):
        "Just before this process has finished, the other one has."
        shutil.copytree(slot, target, dirs_exist_ok=True)
        published.append(target)
        original(part, target)

    monkeypatch.setattr(module, "publish", slower)
    second = open_folder(data, cache=tmp_path / "second")

    assert published
    assert torch.equal(first.array, second.array) and first.names == second.names
    left = [path.name for path in (tmp_path / "second").iterdir()]
    assert not [name for name in left if name.endswith((".part", ".tmp"))]
