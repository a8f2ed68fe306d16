"Every path of the command line and of the pipelines in every form in which a person writes it."

import argparse
import base64
import hashlib
import json
import os
import re
import shutil
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from golden import FOLDER as GOLDEN
from golden import official_checkpoint
from notebook_files import code_cell, write_cells
from PIL import Image

from animlib import load
from animlib.cli import main, parser
from animlib.core import InputError
from animlib.data import toy
from animlib.data.coded import write_clip
from animlib.data.obtain import SETS, Archive
from animlib.data.pairs import Pair, write_pairs
from animlib.data.recipes import COLUMNS
from animlib.data.store import index_store
from animlib.engines import export
from animlib.media.read import probe
from animlib.media.write import Video
from animlib.run import against, camera_server, commands, demo, jobs, notebooks, site
from animlib.run.ablate import run_folder
from animlib.shipped import share
from animlib.storage import remove
from animlib.training.state import read_header, save_model
from animlib.viz.images import to_uint8

# Commands, and what each of their paths is: a file of `home`, or a new one.
ANIMATE = "--model {model} --source {source.png} --driving {dance.gif} --out {new.gif}"
OFFICIAL = ANIMATE.replace("{model}", "{good.pth.tar} --config {fomm.yaml}")
TRAIN = "--preset toy --clips 2 --steps 1 -o preview_every=0 -o batch=2 --device cpu"
COMMANDS = [
    f"animate {ANIMATE} --device cpu",
    f"animate {OFFICIAL} --size 64 --device cpu",
    f"train fomm --data {{clips}} --run {{new}} --init {{model}} {TRAIN}",
    "reconstruct --model {model} --data {clips} --out {new} --limit 1 --device cpu",
    "evaluate --model {model} --data {clips} --out {new} --limit 1 --device cpu",
    "convert {good.pth.tar} --config {fomm.yaml} --out {new.safetensors}",
    "data check {clips}",
    "data pack {clips} --size 16 --out {new.pack}",
    "data get fluent --from {archives}",
    "data get mgif --from {clips} --out {new} --size 16",
    "data get taichi --metadata {list.csv} --out {new} --size 16",
    "data index {coded}",
    "evaluate --model {model} --data {coded} --pairs {pairs.csv} --out {new} --device cpu",
    "run {job.ipynb} --out {new.ipynb}",
    "demo --out {new} --actions {clips}",
    "export {model} --out {new}",
    "live --model {model} --source {source.png} --video {dance.gif} --device cpu",
    "docs --out {new} --live {clips}",
    "bench --method fomm --preset toy --size 32 --engine torch --training none --out {new.json}",
    "bench --against {clips} --config {fomm.yaml} --checkpoint {good.pth.tar} --out {new.json}",
]
STAYS = ["study {clips} {others} --out {new} --reference {clips}"]  # a page: in test_study.py
STAYS += ["sweep {manifest.yaml} --out {new}"]  # kernels of their own: in test_rows.py
NO_PATHS = {"-o", "-p", "--device", "--method", "--mode", "--preset", "method", "name"}
NO_PATHS |= {"--repository", "--retry", "--skip-missing"}  # options of text
NO_PATHS |= {"--address", "--only", "--engine", "--training"}
NO_PATHS |= {"--detector", "--akd", "--aed", "--person", "--question"}
FORMS = {  # a path of the home folder, as a person in the folder `home/here` writes it
    "absolute": lambda home, name: str(home / name),
    "relative": lambda home, name: f"../{name}",
    "dots": lambda home, name: str(home / "here" / ".." / "here" / ".." / name),
    "link": lambda home, name: str(home / "link" / name),
    "tilde": lambda home, name: f"~/{name}",
}


@pytest.fixture(scope="module")
def files(tmp_path_factory, tiny_model_file):
    "A home folder with an input of every kind."
    home = tmp_path_factory.mktemp("home")
    video = toy.clips("body", 1, 4, 32, 0, identity=[50_001], pose=[90_001]).video[0]
    Image.fromarray(to_uint8(video[0])).save(home / "source.png")
    Video.from_tensor(video, 10.0).save(home / "dance.gif")
    for split in ("train", "test"):
        (home / "clips" / split).mkdir(parents=True)
        shutil.copy(home / "dance.gif", home / "clips" / split / f"{split}.gif")
    shutil.copy(tiny_model_file, home / "model")
    torch.save(official_checkpoint(), home / "good.pth.tar")
    config = json.loads((GOLDEN / "fomm.json").read_text())["config"]
    (home / "fomm.yaml").write_text(json.dumps(config))
    write_cells(home / "job.ipynb", [code_cell("run: str = 'x'  # name", tags=("parameters",))])
    (home / "archives").mkdir()
    with tarfile.open(home / "archives/a-b-1.0.0.tgz", "w:gz") as archive:
        archive.add(home / "dance.gif", "package/README.md")
    row = "vanished,0,9,0-0-32-32,25,64,64,train"
    (home / "list.csv").write_text(",".join(COLUMNS) + f"\n{row}\n")
    for name in ("a#1", "b#1"):
        frames = (video * 255).byte().movedim(1, -1).numpy()
        write_clip(home / "coded" / "test" / f"{name}.mp4", frames, 10.0)
    index_store(home / "coded")
    write_pairs(home / "pairs.csv", [Pair("a#1", "b#1")])
    (home / "bin").mkdir()
    gone = "import sys; sys.exit('ERROR: Video unavailable')"
    (home / "bin" / "yt-dlp").write_text(f"#!{sys.executable}\n{gone}\n")
    (home / "bin" / "yt-dlp").chmod(0o755)
    (home / "here").mkdir()
    (home / "link").symlink_to(home, target_is_directory=True)
    return home


@pytest.fixture
def home(files, monkeypatch, tmp_path):
    "The home folder of this process, which stands in a folder of it."
    monkeypatch.setenv("HOME", str(files))
    monkeypatch.setenv("USERPROFILE", str(files))
    monkeypatch.setenv("ANIMLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ANIMLIB_DATA", str(tmp_path / "sets"))
    digest = hashlib.sha512((files / "archives/a-b-1.0.0.tgz").read_bytes()).digest()
    archive = Archive("@a/b@1.0.0", 100, base64.b64encode(digest).decode())
    monkeypatch.setitem(SETS, "fluent", replace(SETS["fluent"], archives=(archive,)))
    monkeypatch.setenv("PATH", f"{files / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(files / "here")
    return files


def execute_nothing(notebook: str, out: str, *args, **options):
    "In the place of papermill, which takes seconds to start."
    shutil.copy(notebook, out)


def show_nothing(out: str, live: str, repository: str) -> Path:
    "In the place of Sphinx, which takes minutes."
    assert Path(live).is_dir() and not repository
    Path(out).mkdir()
    return Path(out)


def export_nothing(model: str, out: str, weights: str) -> argparse.Namespace:
    "In the place of the recorder, which takes half a minute."
    assert Path(model).is_file() and weights == "float32"
    Path(out).mkdir()
    return argparse.Namespace(summary=lambda: "")


def compare_nothing(folder: str, config: str, checkpoint: str, size: int, **options) -> dict:
    "In the place of two programs, which take minutes."
    assert Path(folder).is_dir() and Path(config).is_file() and Path(checkpoint).is_file()
    return dict(theirs=2.0, ours=1.0)


@pytest.fixture
def no_kernel(monkeypatch):
    monkeypatch.setattr(against, "against", compare_nothing)
    monkeypatch.setattr(site, "build_site", show_nothing)
    monkeypatch.setattr(export, "export_model", export_nothing)
    monkeypatch.setattr(camera_server, "show_live", lambda page, port, browser: None)
    monkeypatch.setattr(notebooks, "_papermill", lambda: (execute_nothing, RuntimeError))
    monkeypatch.setattr(demo, "write_page", lambda notebook, out: None)


# ---- the command line ----
def options() -> list[tuple[str, argparse.Action]]:
    "(command, option) of the whole command line."
    subparsers = parser()._subparsers._group_actions[0].choices
    return [(name, action) for name, one in subparsers.items() for action in one._actions]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[:12])
def test_a_command_takes_paths_in_every_form(command, form, home, no_kernel, capsys):
    words = re.sub(r"\{([^}]+)\}", lambda found: FORMS[form](home, found[1]), command)
    made = set(re.findall(r"\{(new[^}]*)\}", command))
    try:
        code = main(words.split())
        out, err = capsys.readouterr()
        assert code == (1 if command.startswith("data check") else 0), (words, err)
        assert all((home / name).exists() for name in made), "it is written somewhere else"
        assert not any((home / "here").iterdir()), "a folder `~` was made"
    finally:
        for name in made:
            remove(home / name)


@pytest.mark.parametrize("name,action", options(), ids=lambda x: getattr(x, "dest", x))
def test_every_option_is_a_path_that_is_tested_or_is_none(name, action):
    if action.type is not commands.path:
        known = action.type or action.choices or action.nargs == 0
        assert known or NO_PATHS & {*action.option_strings, action.dest}, "declare its kind"
        return
    lines = [line for line in COMMANDS + STAYS if line.startswith(f"{name} ")]
    marks = action.option_strings or [""]
    assert any(f"{mark} {{" in line or not mark for mark in marks for line in lines)


def test_a_folder_at_the_end_stays_a_folder(home):
    assert commands.path("~/frames/") == f"{home}/frames/"
    assert commands.path("fomm-body") == "fomm-body"


def test_the_home_of_nobody_is_refused(home, capsys):
    assert main(["data", "check", "~nobody-of-this-name/clips"]) == 2
    assert "~nobody-of-this-name/clips" in capsys.readouterr().err


# ---- pipelines and calls ----
@pytest.mark.parametrize("path", sorted(share("pipelines").glob("*.ipynb")), ids=lambda p: p.stem)
def test_a_pipeline_reads_its_paths_as_a_person_writes_them(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
    for name in notebooks.notebook_parameters(path):
        assert not re.search(rf"\bPath\({name}\)(?!\.name)|\bopen\({name}\)", code), name


def test_calls_take_a_tilde(home, tiny_model_file):
    model = load("~/model")
    save_model("~/copy.safetensors", model)
    assert read_header(home / "copy.safetensors")["method"] == "fomm"
    (home / "copy.safetensors").unlink()
    jobs.save_json("~/numbers.json", {})
    assert (home / "numbers.json").is_file()
    assert run_folder("~/ablate", "full", 0) == home / "ablate" / "full-0"
    assert probe("~/dance.gif").frames == 4
    assert not any((home / "here").iterdir())


@pytest.mark.parametrize("wrong", [None, 3, b"x", ""])
def test_what_is_no_path_is_refused(wrong, home):
    for call in (jobs.evaluate_run, load, notebooks.notebook_file, probe):
        with pytest.raises(InputError):
            call(wrong)
