"""The command line as shells and schedulers meet it. Trainings are in test_train_command.py."""

import importlib
import inspect
import json
import os
import re
import subprocess
import sys
import time

import pytest
import torch
from notebook_files import code_cell, write_cells
from PIL import Image
from project_files import ROOT, settings

import animlib
from animlib.cli import main
from animlib.data import toy
from animlib.data.noto import GROUPS
from animlib.data.sources import SOURCES
from animlib.media.write import Video
from animlib.models.names import method_names
from animlib.run import commands
from animlib.training.record import TrainingDiverged
from animlib.viz.images import to_uint8
from animlib.zoo.catalog import zoo

COMMANDS = "demo animate live train reconstruct evaluate convert export".split()
COMMANDS += "data run sweep explore study models bench docs".split()
SLOW_TO_IMPORT = {"torch", "numpy", "PIL", "av", "einops", "yaml", "tqdm", "safetensors"}


def python(*argv):
    "A fresh process that finds this animlib."
    paths = [str(ROOT), os.environ.get("PYTHONPATH")]
    env = os.environ | dict(PYTHONPATH=os.pathsep.join(filter(None, paths)))
    command = [sys.executable, *map(str, argv)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=env)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    "An image and a driving video of another figure: the options of `animate`."
    folder = tmp_path_factory.mktemp("inputs")
    clips = toy.clips("body", 2, 10, 32, toy.split_seed("test")).video
    Image.fromarray(to_uint8(clips[0, 0])).save(folder / "me.png")
    Video.from_tensor(clips[1], 10).save(folder / "dance.mp4")
    return ["--source", folder / "me.png", "--driving", folder / "dance.mp4"]


@pytest.fixture
def animate(inputs, tiny_model_file):
    "The command and its options; `--out FILE` has to follow."
    return ["animate", "--model", tiny_model_file, *inputs, "--device", "cpu"]


# ---- help ----
@pytest.mark.parametrize("module", ["animlib", "animlib.cli"])
def test_help_is_there_at_once(module):
    start = time.perf_counter()
    result = python("-X", "importtime", "-m", module, "--help")
    took = time.perf_counter() - start
    lines = result.stderr.splitlines()
    loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in lines}

    assert result.returncode == 0 and took < 3
    assert not loaded & SLOW_TO_IMPORT
    for command in COMMANDS:
        assert re.search(rf"^    {command} ", result.stdout, re.MULTILINE), result.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command, capsys):
    assert main([command, "--help"]) == 0

    out, err = capsys.readouterr()
    assert out.startswith(f"usage: animlib {command}") and not err
    assert all(len(line) <= 112 for line in out.splitlines())


def test_every_command_is_there_and_no_other(capsys):
    assert main(["fly"]) == 2

    choices = re.search(r"choose from ([^)]*)\)", capsys.readouterr().err)[1]
    assert re.findall(r"\w+", choices) == COMMANDS


def test_help_names_no_other_command(capsys):
    "No text promises a command that does not exist."
    for command in COMMANDS:
        assert main([command, "--help"]) == 0
        named = re.findall(r"\banimlib ([a-z]+)", capsys.readouterr().out)
        assert set(named) <= set(COMMANDS)


def test_train_names_every_kind_of_data(capsys):
    assert main(["train", "--help"]) == 0

    text = " ".join(capsys.readouterr().out.split())
    groups = [f"{kind}:{group}" for kind, groups in GROUPS.items() for group in groups]
    families = [f"toy:{family}" for family in toy.FAMILIES]
    for word in (*groups, *families, *(f"{prefix}:" for prefix in SOURCES)):
        assert word in text, word


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"animlib {settings()['version']}\n"


# ---- endings ----
def test_done(animate, tmp_path):
    result = python("-m", "animlib", *animate, "--out", tmp_path / "o.mp4")

    assert result.returncode == 0, result.stderr
    assert result.stdout == (f"{tmp_path}{os.sep}o.mp4: 10 frames of 32x32, 10 frames a second\n")
    notes = result.stderr.splitlines()
    assert all(line.startswith("animlib: note: ") for line in notes)


def test_refused(animate, tmp_path):
    result = python("-m", "animlib", *animate, "--out", tmp_path / "o.doc")

    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("animlib: error: ") and result.stderr.count("\n") == 1


@pytest.mark.parametrize("option", ["--model", "--source", "--driving", "--out"])
def test_an_address_is_no_file(animate, tmp_path, capsys, monkeypatch, option):
    monkeypatch.chdir(tmp_path)
    options = [*animate, "--out", "o.mp4"]
    options[options.index(option) + 1] = "https://example.org/a.mp4"

    assert main(options) == 2
    assert "found an address, 'https:/" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_fault_of_ours_keeps_its_traceback():
    code = (
        "import sys; from animlib import cli; from animlib.run import commands; "
        "commands.models_command = lambda args: 1 / 0; sys.exit(cli.main(['models']))"
    )
    result = python("-c", code)

    assert result.returncode == 1
    assert "Traceback" in result.stderr and "ZeroDivisionError" in result.stderr


def test_debug_shows_where(animate):
    with pytest.raises(animlib.InputError):
        main([*animate, "--out", "o.doc", "--debug"])


@pytest.mark.parametrize(
    "error,code,word",
    [
        (TrainingDiverged("step 3: the loss is not finite"), 1, "step 3"),
        (torch.OutOfMemoryError("2\n lines"), 1, "--batch"),
        (KeyboardInterrupt(), 130, "stopped"),
        (animlib.InputError("two\nlines"), 2, "two lines"),
        (PermissionError(13, "Permission denied", "/x"), 2, "/x: Permission denied"),
        (OSError(28, "No space left on device"), 2, "No space"),
    ],
)
def test_failures_are_one_line(error, code, word, capsys, monkeypatch):
    def fails(args):
        raise error

    monkeypatch.setattr(commands, "models_command", fails)

    assert main(["models"]) == code
    err = capsys.readouterr().err
    assert word in err and err.count("\n") == 1 and err.startswith("animlib: ")


# ---- animate ----
OPTIONS = [["--mode", "absolute"], ["--best-frame"], ["--scale", ".5"]]


def test_animate_takes_every_option_of_transfer(animate, tmp_path):
    strips = []
    for number, options in enumerate([[], *OPTIONS]):
        out = tmp_path / f"{number}.png"
        assert main([*animate, "--out", out, *options]) == 0
        strips.append(Video.open(out, 32).frames.float())

    for strip in strips[1:]:
        assert (strips[0] - strip).abs().mean() > 0.1


@pytest.mark.parametrize(
    "out, size, said",
    [
        ("o.mp4", "32", "10 frames of 32x32, 10 frames a second"),
        ("o.webp", "40x64", "10 frames of 64x40 (width x height), 10 frames a second"),
        ("o.png", "32", "one image of 320x32, the frames side by side"),
        ("o.png", "40x64", "one image of 640x40, the frames side by side"),
        ("o/", "40x64", "10 frames of 64x40 (width x height)"),
    ],
)
def test_animate_says_what_it_wrote_and_no_speed_where_none_is_kept(
    animate, tmp_path, capsys, out, size, said
):
    assert main([*animate, "--out", f"{tmp_path}/{out}", "--size", size]) == 0
    assert capsys.readouterr().out.strip().partition(": ")[2] == said


def test_animate_takes_every_other_option(animate, tmp_path):
    out = tmp_path / "strip.png"
    options = "--size 40x64 --fit pad --batch 3 --precision bf16".split()

    assert main([*animate, "--out", out, *options]) == 0
    assert Image.open(out).size == (640, 40)


# ---- the other commands ----
def test_data_check_names_every_problem(tmp_path, capsys):
    Video.from_tensor(toy.clips("animal", 1, 4, 48, 1).video[0], 10).save(tmp_path / "good.gif")
    (tmp_path / "bad.mp4").write_bytes(b"text")

    assert main(["data", "check", tmp_path]) == 1
    out, err = capsys.readouterr()
    assert "problem bad.mp4" in out and "text file" in out and not err


def test_models_lists_what_there_is(capsys):
    assert main(["models"]) == 0

    out = capsys.readouterr().out
    assert all(name in out for name in (*method_names(), *zoo()))


def test_reconstruct_leaves_numbers(tiny_model_file, tmp_path, capsys):
    folder = tmp_path / "r"
    options = ["--model", tiny_model_file, "--data", "toy:body", "--out", folder]

    assert main(["reconstruct", *options, "--limit", "2", "--device", "cpu"]) == 0
    out = capsys.readouterr().out
    metrics = json.loads((folder / "metrics.json").read_text())
    assert all(f"{name}: " in out for name in metrics) and "metrics.json" in out


def test_run_executes_a_notebook(tmp_path, capsys):
    pytest.importorskip("papermill")
    parameters = "steps = 1  # how many\nlr = 0.1  # how fast"
    cells = [code_cell(parameters, 0, ("parameters",)), code_cell("print(steps+1, lr)", 1)]
    notebook = write_cells(tmp_path / "n.ipynb", cells)
    out = tmp_path / "out.ipynb"

    assert main(["run", notebook, "-p", "steps", "41", "-p", "lr", "2e-4", "--out", out]) == 0
    assert "42 0.0002" in out.read_text()
    assert "out.ipynb" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command,module,given",
    [
        ("demo --out x", "run.demo", dict(out="x")),
        (
            "convert a.pth.tar --config c.yaml --out m.safetensors --no-align-corners",
            "zoo.convert",
            dict(checkpoint="a.pth.tar", config="c.yaml", out="m.safetensors", align_corners=False),
        ),
    ],
)
def test_long_commands_call_what_they_name(command, module, given, monkeypatch):
    "The functions have tests of their own; here their arguments must fit."
    name = command.split()[0]
    home = importlib.import_module(f"animlib.{module}")
    signature = inspect.signature(getattr(home, name))
    found = {}

    def note(*args, **options):
        found.update(signature.bind(*args, **options).arguments)

    monkeypatch.setattr(home, name, note)

    assert main(command.split()) == 0
    assert given.items() <= found.items()
