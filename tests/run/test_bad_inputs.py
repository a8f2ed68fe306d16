"""Every way an input can be wrong, given to the command line.

One line that names the input, what was expected, what was found and what to do; exit code 2; no
file left behind, no old one changed, and nothing that came with the input was run."""

import json
import os
from pathlib import Path

import pytest
import torch
from golden import FOLDER as GOLDEN
from golden import official_checkpoint
from PIL import Image
from safetensors.torch import load_file, save_file

from animlib.cli import main
from animlib.data import toy
from animlib.media.write import Video
from animlib.training.state import read_header
from animlib.viz.images import to_uint8

HTML = b"<!DOCTYPE html><html><title>Google Drive - Quota exceeded</title></html>"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 238\n"


# ---- good and bad files of every kind ----
class MakesFolder:
    "A pickle that makes a folder when it is loaded."

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def without(tensors: dict, name: str) -> dict:
    "All tensors but one."
    return {other: tensor for other, tensor in tensors.items() if other != name}


def write_media(folder: Path):
    "Videos and images: good, empty, cut off, and something else."
    video = toy.clips("body", 1, 24, 64, toy.split_seed("test")).video[0]
    Video.from_tensor(video).save(folder / "good.mp4")
    Video.from_tensor(video[:1]).save(folder / "one.mp4")
    Image.fromarray(to_uint8(video[0])).save(folder / "good.png")
    whole = (folder / "good.mp4").read_bytes()
    contents = {
        "empty.mp4": b"",
        "cut.mp4": whole[: len(whole) * 2 // 3],
        "text.mp4": b"this was a video once\n",
        "noise.mp4": bytes(range(256)) * 9,
        "empty.png": b"",
        "cut.png": (folder / "good.png").read_bytes()[:900],
        "page.png": b"<!DOCTYPE html><html>404</html>",
        "no-videos/readme.txt": b"none yet",
        "broken/a.mp4": whole,
        "broken/b.mp4": whole[: len(whole) * 2 // 3],
    }
    for name, content in contents.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "nothing").mkdir()


def write_checkpoints(folder: Path):
    "Official checkpoints and configs."
    for name, content in (("html", HTML), ("lfs", POINTER)):
        (folder / name).mkdir()
        (folder / name / "vox-cpk.pth.tar").write_bytes(content)
    state = official_checkpoint()
    incomplete = state | dict(generator=without(state["generator"], "first.conv.weight"))
    torch.save(state, folder / "good.pth.tar")
    torch.save(incomplete, folder / "missing.pth.tar")
    torch.save(dict(generator=MakesFolder(folder / "it-ran")), folder / "code.pth.tar")
    fomm = json.loads((GOLDEN / "fomm.json").read_text())["config"]
    dam = dict(model_params=dict(common_params=dict(num_kp=11, num_root_kp=1, num_channels=3)))
    (folder / "fomm.yaml").write_text(json.dumps(fomm))
    (folder / "dam.yaml").write_text(json.dumps(dam))
    (folder / "code.yaml").write_text(f"!!python/object/apply:os.mkdir [{folder}/it-ran]")


def write_models(folder: Path, good: Path):
    "Files of our own format."
    tensors = load_file(good)
    header = {"animlib": json.dumps(read_header(good))}
    incomplete = without(tensors, "dense.mask.bias")
    save_file(incomplete, folder / "missing.safetensors", metadata=header)
    save_file(tensors, folder / "foreign.safetensors")
    (folder / "cut.safetensors").write_bytes(good.read_bytes()[:-1000])


@pytest.fixture(scope="module")
def inputs(tmp_path_factory, tiny_model_file):
    "The folder with all of them."
    folder = tmp_path_factory.mktemp("inputs")
    write_media(folder)
    write_checkpoints(folder)
    write_models(folder, tiny_model_file)
    return folder


# ---- a command that must be refused ----
def contents(*folders: Path) -> dict:
    "Every file and folder with its bytes."
    paths = [path for folder in folders for path in sorted(folder.rglob("*"))]
    return {path: path.read_bytes() if path.is_file() else None for path in paths}


@pytest.fixture
def refuses(inputs, tiny_model_file, tmp_path, monkeypatch, capsys):
    "Runs a command in an empty folder; `IN/` is the folder of inputs, `MODEL` the tiny model."
    cache = tmp_path / "cache"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANIMLIB_CACHE", str(cache))
    (tmp_path / "old.mp4").write_bytes(b"an old result")

    def run(command: str, *words: str):
        before = contents(inputs, tmp_path)
        argv = command.replace("IN/", f"{inputs}/").replace("MODEL", str(tiny_model_file)).split()
        code = main(argv)
        out, err = capsys.readouterr()
        assert (code, out) == (2, ""), (code, out, err)
        assert err.startswith("animlib: error: ") and err.count("\n") == 1 and len(err) < 600, err
        for word in words:
            assert word in err, (word, err)
        assert not any(cache.glob("*")), "something is left in the cache"
        if cache.exists():
            cache.rmdir()
        assert contents(inputs, tmp_path) == before, "files were left, or changed"
        assert not (inputs / "it-ran").exists()

    return run


# ---- animate ----
ANIMATE = (
    "animate --model MODEL --source IN/good.png --driving IN/good.mp4 --out new.mp4 --device cpu"
)
CHANGES = [
    ("--driving IN/none.mp4", ["none.mp4", "found nothing", "check the path"]),
    ("--driving IN/empty.mp4", ["empty.mp4", "empty file"]),
    ("--driving IN/cut.mp4", ["cut.mp4", "cut off or damaged"]),
    ("--driving IN/text.mp4", ["text.mp4", "text file"]),
    ("--driving IN/noise.mp4", ["noise.mp4", "no decoder knows"]),
    ("--driving IN/one.mp4", ["one.mp4", "at least 2 frames"]),
    ("--driving IN/good.png", ["at least 2 frames"]),
    ("--driving IN/nothing", ["folder without images"]),
    ("--driving IN/page.png", ["HTML page"]),
    ("--source IN/none.png", ["none.png", "found nothing"]),
    ("--source IN/empty.png", ["empty file"]),
    ("--source IN/cut.png", ["cut.png", "cut off or damaged"]),
    ("--source IN/page.png", ["HTML page"]),
    ("--source IN/nothing", ["found a folder"]),
    ("--size 7", ["frame size 7x7", "nearest: 8"]),
    ("--size 32x30", ["frame size 32x30", "multiples of 8"]),
    ("--size 0", ["--size", "found"]),
    ("--mode realtive", ["did you mean 'relative'"]),
    ("--device tpu", ["device", "cpu"]),
    ("--scale 0", ["--scale"]),
    ("--fit squeeze", ["--fit", "crop"]),
    ("--precision int8", ["--precision"]),
    ("--batch none", ["--batch", "whole number"]),
    ("--sise 64", ["did you mean --size"]),
]
OUTPUTS = [
    ("--out new.doc", ["new.doc", "mp4"]),
    ("--out new", ["no ending"]),
    ("--out IN/good.mp4", ["the driving video"]),
    ("--out IN/good.mp4/new.mp4", ["good.mp4"]),
]


@pytest.mark.parametrize("change,words", CHANGES + OUTPUTS)
def test_animate(refuses, change, words):
    refuses(f"{ANIMATE} {change}", *words)


@pytest.mark.parametrize("change,words", CHANGES)
def test_animate_over_an_old_result(refuses, change, words):
    refuses(f"{ANIMATE.replace('new.mp4', 'old.mp4')} {change}", *words)


# ---- models and checkpoints ----
@pytest.mark.parametrize(
    "model,words",
    [
        ("fomm-bodyy", ["'fomm-bodyy'", "no trained model", "fomm"]),
        ("fomm", ["no trained model", "animlib.build"]),
        ("IN/none.safetensors", ["none.safetensors", "found nothing"]),
        ("IN/nothing", ["nothing", "a folder"]),
        ("IN/missing.safetensors", ["dense.mask.bias", "missing"]),
        ("IN/foreign.safetensors", ["foreign.safetensors", "header"]),
        ("IN/cut.safetensors", ["cut.safetensors", "breaks off"]),
        ("IN/good.png", ["good.png", "model file"]),
        ("IN/good.pth.tar", ["good.pth.tar", "--config"]),
        ("IN/html/vox-cpk.pth.tar", ["vox-cpk.pth.tar", "HTML page"]),
        ("IN/html/vox-cpk.pth.tar --config IN/fomm.yaml", ["vox-cpk.pth.tar", "HTML page"]),
        ("IN/lfs/vox-cpk.pth.tar --config IN/fomm.yaml", ["git-lfs pointer", "git lfs pull"]),
        ("IN/code.pth.tar --config IN/fomm.yaml", ["code.pth.tar", "contains code"]),
        ("IN/missing.pth.tar --config IN/fomm.yaml", ["generator.first.conv.weight", "missing"]),
        ("IN/good.pth.tar --config IN/dam.yaml", ["dam"]),
        ("IN/good.pth.tar --config IN/none.yaml", ["none.yaml", "found nothing"]),
        ("IN/good.pth.tar --config IN/code.yaml", ["code.yaml"]),
        ("IN/good.pth.tar --config IN/good.png", ["good.png"]),
    ],
)
def test_models(refuses, model, words):
    refuses(ANIMATE.replace("MODEL", model), *words)


@pytest.mark.parametrize(
    "command,words",
    [
        ("IN/html/vox-cpk.pth.tar --config IN/fomm.yaml", ["HTML page"]),
        ("IN/lfs/vox-cpk.pth.tar --config IN/fomm.yaml", ["git lfs pull"]),
        ("IN/code.pth.tar --config IN/fomm.yaml", ["contains code"]),
        ("IN/missing.pth.tar --config IN/fomm.yaml", ["missing"]),
        ("IN/good.pth.tar --config IN/dam.yaml", ["dam"]),
        ("IN/good.pth.tar --config IN/fomm.yaml --method fomn", ["did you mean fomm"]),
        ("IN/none.pth.tar --config IN/fomm.yaml", ["found nothing"]),
        ("IN/good.pth.tar", ["required: --config"]),
    ],
)
def test_convert(refuses, command, words):
    refuses(f"convert {command} --out new.safetensors", *words)


def test_convert_to_another_format(refuses):
    refuses("convert IN/good.pth.tar --config IN/fomm.yaml --out new.pth", ".safetensors")


# ---- train ----
TRAIN = (
    "train fomm --data toy:arm --preset toy --steps 2 --clips 2 --frames 2 --run new --device cpu"
)


@pytest.mark.parametrize(
    "old,new,words",
    [
        ("fomm", "fomn", ["did you mean fomm"]),
        ("toy:arm", "toy:leg", ["toy:leg", "unknown family"]),
        ("--preset toy", "--preset tiny", ["preset", "tiny", "toy"]),
        ("toy:arm", "IN/none", ["none", "a folder of videos"]),
        ("toy:arm", "IN/no-videos", ["no-videos", "found none"]),
        ("toy:arm", "IN/nothing", ["found none"]),
        ("toy:arm", "IN/good.mp4", ["a folder of videos", "found a file"]),
        ("toy:arm", "IN/broken", ["b.mp4", "cut off or damaged"]),
    ],
)
def test_train_with_a_wrong_word(refuses, old, new, words):
    refuses(TRAIN.replace(old, new, 1), *words)


@pytest.mark.parametrize(
    "option,words",
    [
        ("-o stepss=3", ["did you mean steps"]),
        ("-o n_kp=many", ["n_kp", "expected a whole number"]),
        ("-o dense.widht=16", ["did you mean dense.width"]),
        ("-o dense.width=wide", ["dense.width", "expected a whole number"]),
        ("-o lr", ["key=value"]),
        ("-o size=20", ["multiples of 8"]),
        ("--stpes 3", ["did you mean --steps"]),
        ("--steps 0", ["--steps", "expected a whole number from 1"]),
        ("--device cudda", ["device"]),
    ],
)
def test_train_with_a_wrong_option(refuses, option, words):
    refuses(f"{TRAIN} {option}", *words)


# ---- the other commands ----
@pytest.mark.parametrize(
    "command,words",
    [
        ("data check IN/none", ["none", "a folder of videos"]),
        ("data check IN/no-videos", ["found none"]),
        ("data check IN/good.mp4", ["found a file"]),
        ("data chekc IN/broken", ["invalid choice"]),
        ("reconstruct --model fomm-bodyy --data toy:body", ["no trained model"]),
        ("reconstruct --model MODEL --data toy:leg --device cpu", ["unknown family"]),
        ("reconstruct --model MODEL --data IN/no-videos --device cpu", ["found none"]),
        ("run nowhere", ["nowhere"]),
        ("run IN/good.png", ["good.png"]),
        ("run train -p stepss 3", ["stepss", "did you mean"]),
        ("fly", ["invalid choice", "animate"]),
        ("models now", ["not expected here"]),
    ],
)
def test_other_commands(refuses, command, words):
    refuses(command, *words)


# ---- the good ones are good: what all of the above was derived from ----
def test_a_good_checkpoint_is_converted(inputs, tmp_path):
    out = tmp_path / "m.safetensors"
    official = f"{inputs}/good.pth.tar --config {inputs}/fomm.yaml"

    assert main(f"convert {official} --out {out}".split()) == 0
    animate = ANIMATE.replace("IN/", f"{inputs}/").replace("new.mp4", f"{tmp_path}/o.mp4")
    absolute = f"{animate} --mode absolute --size 64".replace("MODEL", str(out))
    assert main(absolute.split()) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.safetensors", "o.mp4"]


@pytest.mark.parametrize(
    "model", ["MODEL", "IN/good.pth.tar --config IN/fomm.yaml --size 64"], ids=["ours", "official"]
)
def test_good_inputs_are_animated(inputs, tiny_model_file, tmp_path, model):
    command = ANIMATE.replace("MODEL", model).replace("MODEL", str(tiny_model_file))
    command = command.replace("IN/", f"{inputs}/").replace("new.mp4", f"{tmp_path}/o.mp4")

    assert main(f"{command} --mode absolute".split()) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["o.mp4"]
