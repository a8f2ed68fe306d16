"""Spoiled files are given to everything that reads them: `python tests/support/fuzz.py`.

A mutant is a function of the seed, its kind and its number, so each finding can be made again:
`fuzz.py --replay gif:17`. No crash, no hang, no exception but a one-line `InputError`, and less
than 2 GB of memory are allowed."""

import argparse
import json
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

import torch
from notebook_files import code_cell, write_cells
from PIL import Image
from project_files import ROOT
from safetensors.torch import load_file
from spoil import SPOILERS, spoil
from watched import Answer, Watched

GOLDEN = ROOT / "tests" / "golden"
SEED = 20240501
SUFFIXES = {
    "model": ".safetensors",
    "header": ".safetensors",
    "checkpoint": ".pth.tar",
    "notebook": ".ipynb",
}  # of the kinds whose name is not their ending
KINDS = list(SPOILERS)


# ---- whole files, which are spoiled ----
def official_state() -> dict[str, dict]:
    "Modules of named tensors, as an official checkpoint has them."
    state: dict[str, dict] = {}
    for path, value in load_file(GOLDEN / "fomm.safetensors").items():
        prefix, _, rest = path.partition(".")
        if prefix == "sd":
            module, _, name = rest.partition(".")
            state.setdefault(module, {})[name] = value
    return state


def official_config() -> dict:
    "The config of that checkpoint."
    return json.loads((GOLDEN / "fomm.json").read_text())["config"]


def write_media(folder: Path):
    "Videos, animations and images of several forms."
    from videos import disc, write_strip, write_tone, write_video

    sound = write_tone(folder / "tone.m4a", 0.5)
    write_video(folder / "a.mp4", disc(12))
    write_video(folder / "sound.mp4", disc(12), sound=sound)
    write_video(folder / "a.gif", disc(5))
    write_video(folder / "a.webp", disc(5))
    write_strip(folder / "strip.png", disc(3))
    image = Image.fromarray(disc(1)[0])
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(folder / "exif.webp", exif=exif)
    image.save(folder / "exif.png", exif=exif)
    image.quantize(16).save(folder / "palette.png", transparency=3)
    image.convert("I;16").save(folder / "deep.png")
    image.convert("L").save(folder / "grey.gif")


def write_models(folder: Path):
    "A model of ours, an official checkpoint in both formats of torch, its yaml."
    import yaml

    from animlib.models.registry import build
    from animlib.training.state import save_model

    torch.manual_seed(0)
    save_model(folder / "fomm.safetensors", build("fomm", "toy"), data="toy:body")
    save_model(folder / "tpsmm.safetensors", build("tpsmm", "toy"), metrics={"l1_ratio": 0.5})
    torch.save(official_state(), folder / "new.pth.tar")
    old = dict(_use_new_zipfile_serialization=False)
    torch.save(official_state(), folder / "old.pth.tar", **old)
    (folder / "vox.yaml").write_text(yaml.safe_dump(official_config()))


def write_notebook(folder: Path):
    "A notebook with parameters."
    source = (
        'model: str = "fomm-body"  # a zoo name\n'
        "size: int | None = None  # px\n"
        "scale = 1.5\n"
        'options: dict = {"lr": 1e-4}  # of the training\n'
    )
    cells = [code_cell("import os", 0), code_cell(source, 1, ("parameters",))]
    write_cells(folder / "run.ipynb", [*cells, code_cell("print(size)", 2)])


@cache
def whole_files() -> dict[str, tuple[bytes, ...]]:
    "The bytes of all whole files, by kind."
    with tempfile.TemporaryDirectory() as folder:
        for write in (write_media, write_models, write_notebook):
            write(Path(folder))

        def read(pattern: str) -> tuple[bytes, ...]:
            return tuple(path.read_bytes() for path in sorted(Path(folder).glob(pattern)))

        found = {kind: read(f"*{SUFFIXES.get(kind, '.' + kind)}") for kind in KINDS}
    assert all(found.values()), found
    return found


def mutant(kind: str, number: int, seed: int = SEED) -> bytes:
    "One spoiled file."
    random = Random(f"{seed} {kind} {number}")
    return spoil(kind, random.choice(whole_files()[kind]), random)


# ---- everything that reads them; this part runs in the watched process ----
def read_video(path: Path):
    "Open, ask, and decode all frames small."
    from animlib.media.read import open_video

    video = open_video(path)
    assert video.info.size
    for frame in video.frames(32):
        assert frame.shape == (32, 32, 3)


def read_still(path: Path):
    "Read as one image, in its own size and smaller."
    from animlib.media.read import probe, read_image

    assert read_image(path, 32).shape == (3, 32, 32)
    assert read_image(path).isfinite().all()
    assert probe(path).fps > 0


def ask_for_sound(path: Path):
    from animlib.media.sound import has_sound

    has_sound(path)


def load_model(path: Path):
    import animlib

    animlib.load(path)


def read_model_header(path: Path):
    from animlib.training.state import read_header

    read_header(path)


def read_checkpoint(path: Path):
    from animlib.zoo.checkpoint import read_official
    from animlib.zoo.convert import from_official

    read_official(path)
    from_official("fomm", path, official_config())


def load_checkpoint(path: Path):
    import animlib

    animlib.load(path, config=official_config())


@cache
def good_checkpoint() -> dict:
    return official_state()


def read_config(path: Path):
    from animlib.zoo.official.config import official_cfg, read_yaml

    read_yaml(path)
    official_cfg("fomm", path)


def convert_config(path: Path):
    from animlib.zoo.convert import from_official

    from_official(None, good_checkpoint(), path)


def read_parameters(path: Path):
    from animlib.run.notebooks import check_parameters, notebook_parameters

    for parameter in notebook_parameters(path).values():
        assert isinstance(parameter.kind, str) and isinstance(parameter.help, str)
    check_parameters(path, {})


DOORS = {
    **dict.fromkeys(("mp4", "gif", "png", "webp"), (read_video, read_still, ask_for_sound)),
    **dict.fromkeys(("model", "header"), (load_model, read_model_header)),
    "checkpoint": (read_checkpoint, load_checkpoint),
    "yaml": (read_config, convert_config),
    "notebook": (read_parameters,),
}


def serve(job: list):  # kind, path
    "Give a file to each of its doors; the first exception that is no InputError ends it."
    from animlib.core import InputError

    kind, path = job
    refused = None
    for door in DOORS[kind]:
        try:
            door(Path(path))
        except InputError as error:
            refused = error
            if "\n" in str(error):
                break
    if refused is not None:
        raise refused


# ---- many of them ----
@dataclass(frozen=True)
class Result:
    "What became of one mutant."

    kind: str
    number: int
    answer: Answer


def run(kinds: list[str], n: int, seed: int, folder: Path) -> list[Result]:
    "Try `n` mutants of each kind; those that found something stay in the folder."
    folder.mkdir(parents=True, exist_ok=True)
    results = []
    with Watched("fuzz") as watched:
        for kind in kinds:
            for number in range(n):
                path = folder / f"{kind}-{seed}-{number}{SUFFIXES.get(kind, '.' + kind)}"
                path.write_bytes(mutant(kind, number, seed))
                result = Result(kind, number, watched.call([kind, str(path)]))
                results.append(result)
                if result.answer.is_good:
                    path.unlink()
                else:
                    path.with_name(path.name + ".txt").write_text(complaint(result))
        assert not watched.strays(), f"a mutant has made {watched.strays()}"
    return results


def complaint(result: Result) -> str:
    "What was found, and how to make it again."
    answer = result.answer
    command = f"fuzz.py --replay {result.kind}:{result.number}"
    size = f"{answer.seconds:.1f} s, {answer.bytes / 1e6:.0f} MB"
    return f"{result.kind} {result.number}: {answer.outcome} ({size}); {command}\n{answer.text}"


def findings(results: list[Result]) -> list[str]:
    "A complaint about each mutant that was neither read nor refused."
    return [complaint(result) for result in results if not result.answer.is_good]


def table(results: list[Result]) -> str:
    "How often each kind had each outcome."
    counts = Counter((result.kind, result.answer.outcome) for result in results)
    others = {outcome for _, outcome in counts} - {"done", "InputError"}
    outcomes = ["done", "InputError", *sorted(others)]
    lines = [["kind", *outcomes]]
    for kind in dict.fromkeys(result.kind for result in results):
        numbers = [str(counts[kind, outcome] or "") for outcome in outcomes]
        lines.append([kind, *numbers])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines
    )


def replay(name: str, seed: int, folder: Path) -> bool:
    "Make one mutant again and give it to its doors in this process."
    kind, _, number = name.partition(":")
    path = folder / f"{kind}-{seed}-{number}{SUFFIXES.get(kind, '.' + kind)}"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(mutant(kind, int(number), seed))
    print(path)
    try:
        serve([kind, str(path)])
    except Exception:
        traceback.print_exc()
        return False
    return True


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    parser.add_argument("-n", type=int, default=300, help="mutants of each kind")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--folder", type=Path, help="for findings; a new one by default")
    parser.add_argument("--replay", metavar="KIND:NUMBER", help="one mutant, in this process")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="fuzz-"))
    if given.replay:
        return 0 if replay(given.replay, given.seed, folder) else 1
    start = time.time()
    results = run(given.kinds, given.n, given.seed, folder)
    found = findings(results)
    print("\n".join(found))
    print(table(results))
    print(f"{len(results)} mutants, {len(found)} findings in {folder}, {time.time() - start:.0f} s")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
