"Animated emoji: names, splits, what is read of a folder, and the true answer of a transfer."

from itertools import pairwise, product

import numpy as np
import pytest
import torch
from PIL import Image
from project_files import ROOT
from safetensors.torch import load_file
from videos import error_line

from animlib.core import InputError
from animlib.data import emoji_clips as module
from animlib.data.clips import compose
from animlib.data.emoji import FLUENT, HELD_OUT_TONES, TONES, EmojiName, parse_emoji
from animlib.data.emoji_clips import (
    EmojiSet,
    check_emoji,
    emoji_clips,
    emoji_files,
    emoji_transfers,
    read_address,
    read_emoji,
    transfer_pairs,
)
from animlib.data.noto import GROUPS, NOTO, emoji_group
from animlib.data.sources import open_source
from animlib.media import files as media_files
from animlib.run.jobs import train

SAMPLES = ROOT / "data_samples" / "emoji"
LOOKS = ["", *TONES, "2640", "2642", *(f"{tone}-2640" for tone in TONES)]
PERSONS = ("1f468", "1f469", "1f9d1")


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    "No cache and no set of the user's takes part; a note is written each time."
    monkeypatch.setenv("ANIMLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ANIMLIB_DATA", str(tmp_path / "data"))
    media_files.note_once.cache_clear()


def write_emoji(path, n=3, size=16):
    "A green square that moves over a clear ground, n frames; returns the path."
    frames = np.zeros((n, size, size, 4), np.uint8)
    for time in range(n):
        frames[time, 4:8, time % 8 : time % 8 + 6] = (20, 220, 60, 255)
    images = [Image.fromarray(frame) for frame in frames]
    path.parent.mkdir(parents=True, exist_ok=True)
    more = dict(save_all=True, append_images=images[1:]) if n > 1 else {}
    images[0].save(path, lossless=True, **more)
    return path


def write_set(folder, *names, **options):
    "A folder of small emoji with these names."
    for name in names:
        write_emoji(folder / f"{name}.webp", **options)
    return folder


# ---- names ----


@pytest.mark.parametrize("group", FLUENT)
def test_a_family_is_what_is_left_of_its_names(group):
    for family in FLUENT[group].families:
        assert parse_emoji(family) == EmojiName(family, ""), "a look or a joiner is in the table"
        for tone in TONES:
            points = family.split("-")
            name = "-200d-".join([f"{points[0]}-{tone}", *points[1:], "2642"]) + "-fe0f"
            found = FLUENT[group].find(name)
            assert found == EmojiName(family, f"{tone}-2642"), name


def test_no_family_is_in_two_groups():
    families = [family for group in FLUENT.values() for family in group.families]
    assert len(families) == len(set(families))


# ---- splits ----


@pytest.mark.parametrize("group", FLUENT)
def test_a_test_family_is_never_trained_on(group):
    families = FLUENT[group]
    for family in families.families:
        sides = {families.split(EmojiName(family, look)) for look in LOOKS}
        assert sides == {"test" if family in families.test else "train"}


def test_the_test_families_of_people_and_figures():
    alone = {"1f9d9", "1f9dd", "1f9db", "1f9d6", "1f471", "1f473", "1f47c"}
    assert FLUENT["people"].test == alone | {f"{person}-2695" for person in PERSONS}
    assert {"1f57a", "1f93e"} <= FLUENT["figures"].test and len(FLUENT["hands"].test) == 3


def test_occupations_and_hair_are_held_out_with_their_twins():
    people = FLUENT["people"]
    with_person = [family for family in people.families if family.startswith(PERSONS)]
    codes = {family.partition("-")[2] for family in with_person} - {"", "1f384"}
    assert {"2695", "1f3a4", "1f9b0"} < codes
    for code in codes:
        twins = [f"{person}-{code}" for person in PERSONS]
        sides = {people.split(EmojiName(twin, "")) for twin in twins if twin in people.families}
        assert len(sides) == 1, code


@pytest.mark.parametrize("group", FLUENT)
def test_the_split_by_look_holds_out_two_tones_of_every_family(group):
    for family in FLUENT[group].families:
        for look in LOOKS:
            side = FLUENT[group].split(EmojiName(family, look), by_looks=True)
            assert (side == "test") == any(tone in look for tone in HELD_OUT_TONES)


def test_every_file_of_the_samples_belongs_to_one_group_and_each_group_to_both_splits():
    names = list(emoji_files("fluent", SAMPLES))
    sides = set()
    for name in names:
        found_in = [group for group in FLUENT if FLUENT[group].find(name)]
        (group,) = set(found_in) - {"all"}
        sides.add((group, FLUENT[group].split(FLUENT[group].find(name))))
    assert sides == set(product(set(FLUENT) - {"all"}, ("train", "test")))


def test_all_takes_every_emoji_and_trains_on_none_that_a_group_holds_out():
    everything = FLUENT["all"]
    for name, side in (("1f98a", "train"), ("1f9db-1f3fd-200d-2640-fe0f", "test")):
        assert everything.split(everything.find(name)) == side
    for group in FLUENT.values():
        assert group.test <= everything.test and group.seen_motions <= everything.seen_motions
    assert sum(path.stat().st_size for path in SAMPLES.iterdir()) < 1e6
    assert "Microsoft" in (SAMPLES / "LICENSE").read_text()


@pytest.mark.parametrize("split", ["train", "test"])
def test_all_has_the_clips_of_the_three_groups_on_the_same_side(split):
    groups = [open_source(f"fluent:{group}={SAMPLES}", size=8) for group in FLUENT]
    *three, everything = [set(source.clips(split).names) for source in groups]
    assert everything == set().union(*three) and list(FLUENT)[-1] == "all"


def test_all_is_tested_on_no_motion_that_it_was_trained_on(tmp_path):
    write_set(tmp_path, "1f98a", "1f471", "1f471-1f3fb", "1f9d9", "1f9d9-1f3fb")
    source = open_source(f"fluent:all={tmp_path}", size=8)
    assert source.clips("train").names == ["1f98a"]
    assert len(source.clips("test")) == 4 and len(source.transfers(9)) == 2  # the mage's


def test_noto_names_are_words():
    faces, animals = NOTO["faces"], NOTO["animals"]
    assert faces.find("noto_1_Smile") == EmojiName("smile", "")
    assert animals.find("412_T-Rex") and not faces.find("412_T-Rex")
    assert not faces.find("99_Smile-Cat") and animals.find("99_Smile-Cat")
    for name in ("Smile", "12", "12_", "203_Clapping-Hands", ""):
        assert faces.find(name) is None and animals.find(name) is None
    assert not faces.words & faces.others


@pytest.mark.parametrize("kind", GROUPS)
def test_a_misspelt_group_is_answered_with_all_of_them(kind):
    line = error_line(emoji_group, kind, "peple")
    assert all(group in line for group in GROUPS[kind])


# ---- addresses ----

GOOD = {
    "people=a/b": ("people", "a/b", False),
    r"people=C:\emoji": ("people", r"C:\emoji", False),
    "hands@looks=x=y": ("hands", "x=y", True),
}


@pytest.mark.parametrize("address", GOOD)
def test_an_address_names_group_split_and_folder(address):
    wanted = read_address("fluent", address)
    assert (wanted.name, str(wanted.folder), wanted.by_looks) == GOOD[address]
    assert open_source(f"fluent:{address}").name == f"fluent:{address}"


BAD = {  # -> address, words of the message
    "no group": ("", "people, figures, hands"),
    "a misspelt group": ("peopel", "did you mean people?"),
    "another split": ("people@motion", "GROUP@looks"),
    "no folder": ("people=", "GROUP=FOLDER"),
    "a zero": ("people=a\0b", "zero byte"),
}


@pytest.mark.parametrize("case", BAD)
def test_another_address_is_refused_when_it_is_opened(case):
    address, words = BAD[case]
    assert words in error_line(open_source, f"fluent:{address}")


def test_noto_has_no_split_by_look():
    assert "leave it out" in error_line(open_source, "noto:faces@looks")


def test_a_set_is_looked_for_where_it_is_obtained(tmp_path, monkeypatch):
    write_set(tmp_path / "data" / "fluent" / "3" / "package" / "assets", "1f64b")

    assert open_source("fluent:people", size=8).clips("train").names == ["1f64b"]
    monkeypatch.delenv("ANIMLIB_DATA")
    monkeypatch.setenv("HOME", str(tmp_path))
    home = tmp_path / ".cache" / "animlib" / "data" / "fluent"
    assert read_address("fluent", "people").folder == home
    line = error_line(open_source("fluent:people").clips, "train")
    assert "animlib data get fluent" in line and str(home) in line


@pytest.mark.parametrize("kind", GROUPS)
def test_a_missing_set_is_one_line_with_what_to_do(kind, tmp_path):
    group = next(iter(GROUPS[kind]))
    for folder in (tmp_path / "none", tmp_path):
        line = error_line(open_source(f"{kind}:{group}={folder}").clips, "test")
        assert str(folder) in line and f"animlib data get {kind}" in line


# ---- reading ----

LAYOUTS = ["", "assets", "package/assets", "1/package/assets", "1/assets", "1"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_folder_may_be_flat_or_as_the_packages_unpack(layout, tmp_path):
    write_set(tmp_path / layout, "1f64b", "1f64b-1f3fb", "1f44b")

    clips = open_source(f"fluent:people={tmp_path}", size=8).clips("train")

    assert sorted(clips.names) == ["1f64b", "1f64b-1f3fb"]
    assert check_emoji("fluent", tmp_path)[0].startswith("fluent:people: 2 clips, 1 of 1")


def test_a_name_that_is_there_twice_is_one_clip(tmp_path):
    for part in ("1", "2"):
        write_set(tmp_path / part / "package" / "assets", "1f64b")

    assert len(emoji_files("fluent", tmp_path)) == 1


def test_frames_are_chosen_evenly_and_keep_their_alpha(tmp_path):
    path = write_emoji(tmp_path / "a.webp", n=8)

    frames = list(read_emoji(path, 16, keep=4))

    assert len(frames) == 4
    for time, frame in zip((0, 2, 4, 6), frames):
        covered = np.zeros((16, 16), bool)
        covered[4:8, time : time + 6] = True
        assert np.array_equal(frame[..., 3] == 255, covered)
        assert not frame[~covered].any() and (frame[covered] == (20, 220, 60, 255)).all()


@pytest.mark.parametrize("size", [4, 11, 16, 24])
@pytest.mark.parametrize("ground", [(1.0, 1, 1), (0, 0, 0), (0.9, 0, 0.3)])
def test_a_resized_edge_lies_between_the_figure_and_the_ground(size, ground, tmp_path):
    path = write_emoji(tmp_path / "a.webp")
    ground = torch.tensor(ground)
    colour = torch.tensor([20, 220, 60]) / 255

    frame = torch.from_numpy(next(read_emoji(path, size)))
    image = compose(frame[None], ground)[0]

    cover = (frame[..., 3:] / 255).movedim(-1, 0)
    line = cover * colour[:, None, None] + (1 - cover) * ground[:, None, None]
    assert (image - line).abs().max() < 1.6 / 255
    assert size == 16 or ((cover > 0.02) & (cover < 0.98)).any()


@pytest.mark.parametrize("layout", ["", "1", "google-noto-emoji-gifs"])
def test_a_clone_of_noto_is_read_as_it_is(layout, tmp_path):
    "Or as `data get` copies it."
    path = tmp_path / layout / "61_Angry.gif"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"")

    assert emoji_files("noto", tmp_path) == {"61_Angry": path}
    assert check_emoji("noto", tmp_path)[0] == "noto:faces: 1 clips, 1 families"


def test_a_gif_has_alpha_too(tmp_path):
    images = [Image.new("RGBA", (16, 16)) for _ in range(3)]
    for time, image in enumerate(images):
        image.paste((250, 200, 0, 255), (time, 4, time + 8, 12))
    images[0].save(tmp_path / "12_Smile.gif", save_all=True, append_images=images[1:], disposal=2)

    split = NOTO["faces"].split(EmojiName("smile", ""))
    clips = open_source(f"noto:faces={tmp_path}", size=16).clips(split)

    assert clips.names == ["12_Smile"] and clips.lengths.tolist() == [3]
    for time, frame in enumerate(clips.stored(0)):
        assert (frame[4:12, time : time + 8, 3] == 255).all() and (frame[..., 3] == 255).sum() == 64
    assert open_source(f"noto:faces={tmp_path}").transfers(3) == []


def test_stills_are_left_out_with_a_note(tmp_path, capsys):
    write_set(tmp_path, "1f64b", "1f64d")
    write_set(tmp_path, "1f645", n=1)

    clips = open_source(f"fluent:people={tmp_path}", size=8).clips("train")

    assert sorted(clips.names) == ["1f64b", "1f64d"]
    assert "1 of 3 emoji are stills" in capsys.readouterr().err


def test_a_split_of_stills_alone_is_an_error(tmp_path):
    write_set(tmp_path / "set", "1f64b", n=1)

    line = error_line(open_source(f"fluent:people={tmp_path / 'set'}").clips, "train")

    assert "a clip that moves" in line
    assert not list((tmp_path / "cache").iterdir())


def test_a_part_of_the_set_works_with_a_note(tmp_path, capsys):
    write_set(tmp_path, "1f64b", "1f64b-1f3fb", "1f9d9")
    source = open_source(f"fluent:people={tmp_path}", size=8)

    source.clips("train")
    source.clips("test")

    n_test = len(FLUENT["people"].test)
    said = capsys.readouterr().err
    assert f"2 clips of 1 of {len(FLUENT['people'].families) - n_test} families" in said
    assert f"1 clips of 1 of {n_test} families" in said and "data get fluent" in said


@pytest.mark.parametrize("kind, group", [("fluent", "all"), ("noto", "faces")])
def test_a_part_of_a_set_without_a_list_of_families_is_noted(kind, group, tmp_path, capsys):
    folder = write_set(tmp_path / "set", "1f98a") if kind == "fluent" else tmp_path
    write_emoji(folder / "1_Smile.gif")
    split = NOTO["faces"].split(EmojiName("smile", "")) if kind == "noto" else "train"

    open_source(f"{kind}:{group}={folder}", size=8).clips(split)

    said = capsys.readouterr().err
    assert f"{kind}:{group}: 1 of the " in said and f"animlib data get {kind}" in said


@pytest.mark.parametrize("group", NOTO)
def test_a_clone_of_noto_without_the_emoji_of_a_group_is_one_line(group, tmp_path):
    write_emoji(tmp_path / "google-noto-emoji-gifs" / "412_Rocket.gif")

    for split in ("train", "test"):
        line = error_line(open_source(f"noto:{group}={tmp_path}", size=8).clips, split)
        assert f"noto:{group} {split}" in line and str(tmp_path) in line
        assert "animlib data get noto" in line


def test_an_empty_split_is_an_error(tmp_path):
    write_set(tmp_path, "1f64b")

    line = error_line(open_source(f"fluent:people={tmp_path}").clips, "test")

    assert "found none" in line and "fluent:people test" in line
    assert "'train' or 'test'" in error_line(open_source(f"fluent:people={tmp_path}").clips, "val")


def test_a_damaged_file_is_named_and_leaves_nothing(tmp_path):
    folder = write_set(tmp_path / "set", "1f64b", "1f64d")
    whole = (folder / "1f64d.webp").read_bytes()
    (folder / "1f64d.webp").write_bytes(whole[: len(whole) // 2])

    line = error_line(open_source(f"fluent:people={folder}", size=8).clips, "train")

    assert "1f64d.webp" in line and not list((tmp_path / "cache").iterdir())
    (folder / "1f64d.webp").write_bytes(whole)
    assert len(open_source(f"fluent:people={folder}", size=8).clips("train")) == 2


def test_a_group_is_decoded_once_and_anew_after_a_change(tmp_path, monkeypatch):
    folder = write_set(tmp_path / "set", "1f64b", "1f64d")
    decoded = []
    original = module.read_emoji
    monkeypatch.setattr(
        module, "read_emoji", lambda path, *more: decoded.append(path.name) or original(path, *more)
    )
    wanted = EmojiSet("fluent", "people", folder)

    for _ in range(2):
        emoji_clips(wanted, "train", 8)
    assert len(decoded) == 2
    emoji_clips(wanted, "train", 8, keep=2)
    emoji_clips(wanted, "train", 16)
    assert len(decoded) == 6
    write_emoji(folder / "1f64b.webp", n=5)
    assert sorted(emoji_clips(wanted, "train", 8).lengths.tolist()) == [3, 5]


@pytest.mark.parametrize("option", [{"size": 0}, {"keep": 0}, {"size": 5000}, {"keep": -3}])
def test_sizes_and_counts_have_limits(option):
    with pytest.raises(InputError, match="expected a whole number"):
        emoji_clips(EmojiSet("fluent", "people", SAMPLES), "train", **option)


def test_the_first_clips_are_of_different_families():
    test = open_source(f"fluent:people={SAMPLES}", size=16).clips("test", limit=3)

    families = [parse_emoji(name).family for name in test.names]
    assert families == ["1f9d9", "1f9db", "1f9dd"]


# ---- looks and transfers ----


def outlines(clips, i):
    "Covered pixels of every frame: `[t,h,w]`."
    return clips.stored(i)[..., 3] > 127


def test_looks_of_a_shipped_family_do_the_same_motion():
    "Their outlines change at the same places and times; those of another family do not."

    def changes(clips, i):
        covered = outlines(clips, i)
        return (covered[1:] != covered[:-1]).float().mean((1, 2))

    for group in FLUENT:
        clips = open_source(f"fluent:{group}={SAMPLES}", size=64).clips("test")
        families = [parse_emoji(name).family for name in clips.names]
        for i, j in pairwise(sorted(range(len(clips)), key=families.__getitem__)):
            if families[i] == families[j]:
                same = torch.corrcoef(torch.stack([changes(clips, i), changes(clips, j)]))[0, 1]
                assert same > 0.8, (clips.names[i], clips.names[j])


def test_tones_have_the_same_outline():
    clips = open_source(f"fluent:figures={SAMPLES}", size=128).clips("test")
    first, second = outlines(clips, 0), outlines(clips, 1)

    assert (first & second).sum() / (first | second).sum() > 0.98
    assert (clips.frames(0) != clips.frames(1)).any()


def test_transfers_are_two_looks_of_one_unseen_family():
    wanted = EmojiSet("fluent", "people", SAMPLES)
    clips = emoji_clips(wanted, "test", 32)

    pairs = transfer_pairs(clips, wanted, 99)

    names = [[parse_emoji(clips.names[i]) for i in pair] for pair in pairs]
    assert len(pairs) == len(set(pairs)) == 6
    assert all(a.family == b.family and a.look != b.look for a, b in names)
    assert {a.family for a, _ in names[:3]} == {"1f9d9", "1f9db", "1f9dd"}
    assert pairs[:2] == transfer_pairs(clips, wanted, 2), "not the same for fewer"


def test_a_transfer_is_over_white_and_of_one_length():
    for driving, true in open_source(f"fluent:hands={SAMPLES}", size=32).transfers(5):
        assert driving.shape == true.shape == (24, 3, 32, 32)
        assert (driving[:, :, 0, 0] == 1).all() and not torch.equal(driving, true)


def test_seen_motions_and_looks_of_another_length_are_no_transfers(tmp_path):
    write_set(tmp_path, "1f471", "1f471-1f3fb", "1f9db", "1f9db-1f3fb")
    write_set(tmp_path, "1f9db-1f3fc", n=5)
    wanted = EmojiSet("fluent", "people", tmp_path)
    clips = emoji_clips(wanted, "test", 8)

    pairs = transfer_pairs(clips, wanted, 99)

    found = {frozenset(clips.names[i] for i in pair) for pair in pairs}
    assert found == {frozenset(["1f9db", "1f9db-1f3fb"])}


def test_held_out_looks_are_transfers_in_seen_motions(tmp_path):
    write_set(tmp_path, *(f"1f64b-{tone}" for tone in TONES))
    wanted = EmojiSet("fluent", "people", tmp_path, by_looks=True)

    assert len(emoji_clips(wanted, "train", 8)) == 3 and len(emoji_transfers(wanted, 9, 8)) == 2


# ---- training ----


def test_a_training_with_alpha_resumes_to_the_bit(tmp_path):
    "Grounds are drawn from the generator of the step."
    run = tmp_path / "run"
    model = run / "model.safetensors"

    def weights(**more):
        options = dict(steps=4, batch=2, save_every=2, preview_every=0)
        data = f"fluent:people={SAMPLES}"
        train("fomm", data, "toy", run, device="cpu", progress=False, **options, **more)
        return load_file(model)

    whole = weights()
    model.unlink()
    (run / "state" / "step-00000004.pt").unlink()
    resumed = weights(resume=True)

    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
