"Every data set is opened by its name and asked the same questions."

import pytest
import torch
from videos import error_line, write_splits

from animlib.data import sources
from animlib.data.clips import Clips
from animlib.data.sources import (
    DataSource,
    FolderSource,
    SpriteSource,
    ToySource,
    open_source,
    register_source,
)
from animlib.data.toy import clips as draw_clips
from animlib.data.toy import split_seed


@pytest.fixture
def folder(tmp_path, monkeypatch):
    "A folder of strips: three to train, two to test."
    monkeypatch.setenv("ANIMLIB_CACHE", str(tmp_path / "cache"))
    return write_splits(tmp_path / "videos", train=3, test=2)


def open_toy(**options):
    return open_source("toy:body", **{"size": 32, "progress": False, **options})


# ---- kinds ----


def test_the_name_decides_the_kind(folder):
    assert type(open_source("toy:arm")) is ToySource
    assert type(open_source(f"lpc:{folder}")) is SpriteSource
    assert type(open_source(folder)) is type(open_source(str(folder))) is FolderSource
    assert open_source(folder).name == str(folder)


def test_a_folder_may_have_a_colon_in_its_name(folder):
    odd = folder.rename(folder.parent / "take:2")

    assert len(open_source(odd).clips("train")) == 3


BAD_SPECS = {  # -> spec, and words of the message
    "a misspelt kind": ("tyo:body", "did you mean toy?"),
    "a misspelt family": ("toy:bodi", "did you mean body?"),
    "a kind that nothing resembles": ("https://a.org/v", "toy, lpc"),
}


@pytest.mark.parametrize("kind", BAD_SPECS)
def test_a_misspelt_name_is_answered_with_the_nearest(kind):
    spec, words = BAD_SPECS[kind]

    assert words in error_line(open_source, spec)


def test_a_folder_that_is_not_there_is_named(folder):
    assert "found nothing" in error_line(open_source(folder / "none").clips, "train")
    assert "val/" in error_line(open_source(folder).clips, "val")


# ---- clips ----


def test_toy_clips_are_rendered_25_at_a_time_each_chunk_from_its_seed():
    clips = open_toy(n_clips=30, n_frames=3).clips("test")

    expected = [
        draw_clips("body", n, 3, 32, split_seed("test", chunk)).video
        for chunk, n in enumerate((25, 5))
    ]
    assert torch.equal(clips.array, Clips.from_tensor(torch.cat(expected)).array)
    assert clips.names[::29] == ["body-test-00000", "body-test-00029"]


def test_limit_and_frames_belong_to_the_question():
    source = open_toy(n_clips=6, n_frames=4)

    assert source.clips("train", limit=2).lengths.tolist() == [4, 4]
    assert source.clips("train", n_frames=3).lengths.tolist() == [3] * 6


def test_a_data_set_is_opened_once(folder, monkeypatch):
    opened = []
    original = sources.open_folder

    def counted(*request, **options):
        opened.append(request)
        return original(*request, **options)

    monkeypatch.setattr(sources, "open_folder", counted)
    source = open_source(folder)

    for _ in range(3):
        assert source.clips("train") is source.clips("train")
        source.clips("test")

    assert opened == [(str(folder), "train", None), (str(folder), "test", None)]


def test_a_folder_gives_its_first_clips_in_its_own_size(folder):
    source = open_source(folder)

    assert source.clips("train").size == (48, 48)
    assert open_source(folder, size=32).clips("train").size == (32, 32)
    assert source.clips("train", limit=2).names == ["train0.png", "train1.png"]
    assert len(source.clips("test", limit=9)) == 2


@pytest.mark.parametrize("limit,n_characters", [(None, 3), (1, 1), (21, 1), (22, 2)])
def test_sprites_come_by_the_character(monkeypatch, limit, n_characters):
    "21 moves each; enough characters that the limit is reached."
    monkeypatch.setattr(sources, "sprite_clips", lambda *request: request)
    monkeypatch.setattr(sources, "sprite_transfers", lambda *request: request)

    source = open_source("lpc:art", n_clips=50)

    assert source.clips("train", limit=limit) == ("art", "train", n_characters, 64)
    assert source.transfers(7) == ("art", 7, 64)


# ---- transfers and truth ----


def test_toy_transfers_are_two_identities_in_one_motion():
    cast = draw_clips("body", 4, 1, 16, split_seed("test"))

    for i, pair in enumerate(open_toy().transfers(2)):
        for video, who in zip(pair, (i, 2 + i)):
            identity = [int(cast.identity[who])]
            pose = [int(cast.pose[i])]
            expected = draw_clips("body", 1, 16, 32, 0, identity, pose).video[0]
            torch.testing.assert_close(video, expected)


def test_toy_truth_comes_8_clips_at_a_time():
    source = open_toy()

    chunks = list(source.truth("test", 10, 2))

    assert source.has_truth and [len(chunk.video) for chunk in chunks] == [8, 2]
    for i, chunk in enumerate(chunks):
        expected = draw_clips("body", len(chunk.video), 2, 32, split_seed("test", i))
        assert torch.equal(chunk.video, expected.video)


def test_a_folder_knows_neither(folder):
    source = open_source(folder)

    assert source.transfers(4) == [] and not source.has_truth
    assert "true motion" in error_line(source.truth, "test", 4, 8)


# ---- a kind of one's own ----


class RampSource(DataSource):
    "`ramp:STEP`: clips that become brighter by STEP in each frame."

    default_size = 8

    def check_address(self):
        int(self.address)

    def open_clips(self, split, limit, n_frames):
        n = limit or self.n_clips
        t = n_frames or self.n_frames
        level = (torch.arange(t) * int(self.address)).byte()
        clip = level[:, None, None, None].expand(t, self.size, self.size, 3)
        return Clips(torch.cat([clip] * n), [t] * n)

    def transfers(self, n):
        video = self.clips("test").video(0)
        return [(video, video)] * n


@pytest.fixture
def ramp(monkeypatch):
    "The kind `ramp:` is registered for one test."
    monkeypatch.setattr(sources, "SOURCES", dict(sources.SOURCES))
    register_source("ramp", RampSource)


def test_a_kind_of_ones_own_is_asked_like_the_others(ramp):
    source = open_source("ramp:20", n_clips=3, n_frames=4)

    clips = source.clips("train")
    assert clips.lengths.tolist() == [4, 4, 4] and clips.size == (8, 8)
    assert clips.frames(1)[:, 0, 0, 0].tolist() == [0, 20, 40, 60]
    assert len(source.transfers(2)) == 2 and not source.has_truth
    assert source.clips("train") is clips
    assert "did you mean ramp?" in error_line(open_source, "rmap:20")


def test_training_pairs_are_drawn_from_a_kind_of_ones_own(ramp):
    source = open_source("ramp:20", n_clips=3)

    sampled = source.clips("train").pairs(4, torch.Generator().manual_seed(0))

    assert sampled[0].shape == (4, 3, 8, 8)
