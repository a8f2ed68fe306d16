"""A data set as one file: what comes back, what is left out, and what is refused."""

import json
import zipfile

import pytest
import torch

from animlib.cli import main
from animlib.core import InputError
from animlib.data.clips import Clips
from animlib.data.pack import Pack, write_pack
from animlib.data.sources import DataSource, open_source
from animlib.media.write import Video
from animlib.run.jobs import train
from animlib.training.folder import read_config
from animlib.training.state import read_header


class Discs(DataSource):
    "Half-transparent discs that move, in clips of different lengths, some of them long."

    lengths = (70, 3, 1)

    def open_clips(self, split, limit, n_frames):
        wide = torch.linspace(-1, 1, 32)
        shift = torch.linspace(-0.5, 0.5, sum(self.lengths))[:, None, None]
        alpha = ((0.5 - torch.hypot(wide[None] - shift, wide[:, None])) * 8).clamp(0, 0.8)
        frames = alpha[..., None] * torch.tensor([0.9, 0.5, 0.2, 1.0])
        names = [f"{split}{i}#look" for i in range(len(self.lengths))]
        return Clips((frames * 255).round().byte(), self.lengths, names)

    def transfers(self, n):
        clips = self.clips("test")
        return [(clips.video(0, slice(4)), clips.video(1))][:n]


@pytest.fixture
def discs():
    return Discs("discs", "discs", 32)


def test_alpha_names_and_sheets_of_long_clips_come_back(discs, tmp_path):
    pack = Pack(write_pack(discs, tmp_path / "d.pack"), progress=False)
    for split in ("train", "test"):
        clips = discs.clips(split)
        found = pack.clips(split)
        assert found.names == clips.names and found.lengths.tolist() == [70, 3, 1]
        assert torch.equal(found.array[..., 3], clips.array[..., 3])
        assert (found.array[..., :3] <= found.array[..., 3:]).all()
        assert (found.array.int() - clips.array.int()).abs().float().mean() < 2
    driving, true = pack.transfers(9)[0]
    assert (len(driving), len(true)) == (4, 3)


class Noise(DataSource):
    "Frames that no format makes small."

    lengths = [70, 3, 1]

    def open_clips(self, split, limit, n_frames):
        shape = (sum(self.lengths), self.size, self.size, 3)
        frames = torch.randint(256, shape, dtype=torch.uint8)
        return Clips(frames, self.lengths)


def test_fewer_frames_where_the_limit_is_small(tmp_path, capsys):
    file = write_pack(Noise("noise", "noise", 96), tmp_path / "n.pack", megabytes=1)
    pack = Pack(file, progress=False)

    assert file.stat().st_size < 1e6 and pack.index.every > 1
    assert f"one frame in {pack.index.every} is kept" in capsys.readouterr().err
    assert len(pack.clips("train").frames(0)) == -(-70 // pack.index.every)


def test_a_limit_that_is_too_small_leaves_no_file(tmp_path):
    huge = Noise("noise", "noise", 320)
    huge.lengths = [3, 3, 3]
    with pytest.raises(InputError, match="more megabytes"):
        write_pack(huge, tmp_path / "m.pack", megabytes=1, quality=100)
    assert not (tmp_path / "m.pack").exists()


def test_a_training_on_a_pack_goes_on(discs, tmp_path):
    "Alpha becomes grounds, a smaller size is averaged, and resuming opens the same file."
    spec = f"pack:{write_pack(discs, tmp_path / 'd.pack')}"
    quick = dict(batch=2, preview_every=0, size=16, save_every=1)
    for steps in (1, 2):
        options = quick | dict(steps=steps)
        run = tmp_path / "run"
        train("fomm", spec, "toy", run, "cpu", resume=steps > 1, progress=False, **options)

    assert read_config(tmp_path / "run" / "config.json")["data"] == spec
    header = read_header(tmp_path / "run" / "model.safetensors")
    assert header["data"] == "discs (packed)"  # where the file was says nothing


# ---- files from elsewhere ----
def rewritten(file, path, change):
    "A pack with another index."
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "pack.json":
                index = json.loads(content)
                change(index)
                content = json.dumps(index)
            new.writestr(name, content)
    return path


CHANGES = {
    "another format": lambda index: index.update(format="animlib pack 9"),
    "more frames than a sheet has": lambda index: index["lengths"]["train"].__setitem__(1, 9),
    "frames beyond all memory": lambda index: index["lengths"]["train"].__setitem__(0, 10**15),
    "no frames": lambda index: index["lengths"]["train"].__setitem__(0, 0),
    "no name": lambda index: index["names"]["train"].pop(),
    "another size": lambda index: index.update(size=[16, 16]),
    "two channels": lambda index: index.update(channels=2),
    "a size that is a word": lambda index: index.update(size="large"),
    "no groups": lambda index: index.pop("lengths"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_wrong_index_is_one_line(discs, tmp_path, change):
    file = write_pack(discs, tmp_path / "d.pack")
    wrong = rewritten(file, tmp_path / "wrong.pack", CHANGES[change])
    with pytest.raises(InputError, match="expected a pack of clips") as caught:
        Pack(wrong, progress=False).clips("train")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.99])
def test_a_file_that_breaks_off_is_refused(discs, tmp_path, cut):
    file = write_pack(discs, tmp_path / "d.pack")
    content = file.read_bytes()
    file.write_bytes(content[: int(cut * len(content))])
    with pytest.raises(InputError, match="expected a pack of clips"):
        Pack(file)


def test_larger_frames_than_packed_are_refused(discs, tmp_path):
    write_pack(discs, tmp_path / "d.pack")
    with pytest.raises(InputError, match="at most 32 px"):
        open_source(f"pack:{tmp_path / 'd.pack'}", 64)


# ---- the command ----
def test_a_folder_is_packed_by_the_command(tmp_path, capsys):
    for i in range(5):
        frames = torch.randint(256, (4, 16, 16, 3), dtype=torch.uint8).numpy()
        Video(frames, 10.0).save(tmp_path / "clips" / f"clip{i}.gif")
    out = tmp_path / "clips.pack"
    command = ["data", "pack", str(tmp_path / "clips"), "--size", "16", "--out", str(out)]
    assert main(command) == 0
    assert f"--data pack:{out} trains on it" in capsys.readouterr().out

    source = open_source(f"pack:{out}", progress=False)
    assert (len(source.clips("train")), len(source.clips("test"))) == (4, 1)
    assert source.title == f"{tmp_path.name}/clips (packed)" and source.transfers(3) == []
    assert main(["data", "pack", str(tmp_path / "nothing"), "--out", str(out)]) == 2
    assert "animlib: error: " in capsys.readouterr().err
