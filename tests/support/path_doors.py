"""Every public function that takes a file, a folder, an image or a video, and odd things for it.

`paths_taken` finds them in the code; `DOORS` says how each is called, `INSIDE` which are called
with what another one has checked. This module is served by `watched.py`: a FIFO may hang."""

import ast
import importlib
import io
import os
import re
import tempfile
from collections.abc import Callable
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from unittest import mock

from project_files import module_name, modules

# ---- what the code says ----
_PATH = re.compile(r"\b(paths?|files?|folders?|videos?|checkpoint|yaml|clone|notebook|zoo)\b", re.I)
_KINDS = re.compile(r"Path|\bData\b|Checkpoint")  # annotations of parameters that take a path
_OTHER = re.compile(
    r"Tensor|ndarray|Callable|Iterable|Mapping\[|\bint\b|float|bool|bytes|list|BinaryIO"
)


def public_names(tree: ast.Module) -> set[str]:
    "The names in `__all__`; of the package itself those that it looks up."
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            if isinstance(node.value, ast.List):
                return set(ast.literal_eval(node.value))
    return set()


def public_functions(tree: ast.Module) -> list[tuple[str, ast.FunctionDef]]:
    "Public functions, and the constructors and public methods of public classes."
    names = public_names(tree)
    found = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name in names:
            found.append((node.name, node))
        if isinstance(node, ast.ClassDef) and node.name in names:
            for part in node.body:
                is_method = isinstance(part, ast.FunctionDef)
                if is_method and (part.name == "__init__" or part.name[0] != "_"):
                    found.append((f"{node.name}.{part.name}", part))
    return found


_ONLY_A_NAME = re.compile(r"for (the |an )?(error|message|note)")
_NEVER = ("self", "size", "split", "where")  # names of parameters that are never a path


def takes_a_path(parameter: ast.arg, line: str) -> bool:
    "Whether a parameter is a path, by its annotation or by the comment beside it."
    if parameter.arg in _NEVER:
        return False
    annotation = ast.unparse(parameter.annotation) if parameter.annotation else ""
    comment = line.partition("#")[2]
    if annotation == "Path" or _ONLY_A_NAME.search(comment):
        return False  # a `Path` is what a door has made of what it was given
    if _KINDS.search(annotation):
        return True
    return not _OTHER.search(annotation) and bool(_PATH.search(f"{comment} {parameter.arg}"))


@cache
def paths_taken() -> frozenset[str]:  # 'media.read.probe(path)'
    "Every parameter of a public function that takes a path."
    found = set()
    for path in modules():
        source = path.read_text(encoding="utf-8")
        lines = source.splitlines()
        for name, function in public_functions(ast.parse(source)):
            for parameter in [*function.args.args, *function.args.kwonlyargs]:
                if takes_a_path(parameter, lines[parameter.end_lineno - 1]):
                    found.add(f"{module_name(path)}.{name}({parameter.arg})")
    return frozenset(found)


# ---- odd things in place of a path; made anew for each call, in a folder of its own ----
def write(path: Path, content: bytes) -> Path:
    "The path, where these bytes are written."
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@cache
def png_bytes() -> bytes:
    "A small image."
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (32, 32), (200, 30, 60)).save(out, "png")
    return out.getvalue()


@cache
def gif_bytes() -> bytes:
    "A small animation."
    from PIL import Image

    images = [Image.new("RGB", (32, 32), (60 * i, 30, 60)) for i in range(3)]
    out = io.BytesIO()
    images[0].save(out, "gif", save_all=True, append_images=images[1:])
    return out.getvalue()


def fifo(folder: Path) -> Path:
    os.mkfifo(folder / "fifo.mp4")
    return folder / "fifo.mp4"


def empty_folder(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def folder_in_itself(folder: Path) -> Path:
    write(folder / "loop" / "a.png", png_bytes())
    (folder / "loop" / "again").symlink_to(folder / "loop")
    (folder / "loop" / "twice").symlink_to(folder / "loop")
    return folder / "loop"


def folder_of_texts(folder: Path) -> Path:
    return write(folder / "texts" / "a.txt", b"text").parent


def folder_with_a_fifo(folder: Path) -> Path:
    write(folder / "mixed" / "a.png", png_bytes())
    os.mkfifo(folder / "mixed" / "b.mp4")
    return folder / "mixed"


def link_to_itself(folder: Path) -> Path:
    (folder / "self.png").symlink_to(folder / "self.png")
    return folder / "self.png"


def device_file(folder: Path) -> Path:
    (folder / "zero.mp4").symlink_to("/dev/zero")
    return folder / "zero.mp4"


def playlist(folder: Path) -> Path:
    secret = write(folder / "secret.ts", b"G" + bytes(187))
    return write(folder / "list.mp4", f"#EXTM3U\n#EXTINF:1,\nfile:{secret}\n".encode())


ODD: dict[str, Callable] = {
    "None": lambda folder: None,
    "a number": lambda folder: 3,
    "not a number": lambda folder: float("nan"),
    "True": lambda folder: True,
    "no bytes": lambda folder: b"",
    "bytes": lambda folder: png_bytes(),
    "bytes in memory": lambda folder: io.BytesIO(png_bytes()),
    "an open file": lambda folder: open(write(folder / "open.png", png_bytes()), "rb"),
    "an open text": lambda folder: open(write(folder / "open.txt", b"text")),
    "a list": lambda folder: [],
    "a dict": lambda folder: {},
    "an object": lambda folder: object(),
    "a class": lambda folder: Path,
    "no text": lambda folder: "",
    "a zero": lambda folder: "a\0b.png",
    "a long name": lambda folder: "a" * 5000 + ".png",
    "half a letter": lambda folder: "\ud800.png",
    "here": lambda folder: ".",
    "nothing there": lambda folder: folder / "none.png",
    "below a file": lambda folder: write(folder / "a.png", png_bytes()) / "b.png",
    "a fifo": fifo,
    "a device": device_file,
    "an empty folder": empty_folder,
    "a folder in itself": folder_in_itself,
    "a folder of texts": folder_of_texts,
    "a folder with a fifo": folder_with_a_fifo,
    "an empty file": lambda folder: write(folder / "empty.mp4", b""),
    "a text": lambda folder: write(folder / "text.mp4", b"only words\n"),
    "an image": lambda folder: write(folder / "a.png", png_bytes()),
    "an animation": lambda folder: str(write(folder / "a.gif", gif_bytes())),
    "a link to itself": link_to_itself,
    "a playlist": playlist,
    "a protocol": lambda folder: "concat:a.mp4|b.mp4",
    "an address": lambda folder: "http://127.0.0.1:9/a.mp4",
    "a pipe": lambda folder: "pipe:0",
}
NO_NETWORK = ("None",)  # means: download


# ---- how each is called ----
def of(name: str) -> Callable:
    "A public function: 'media.read.probe'."
    module, _, function = name.rpartition(".")
    return getattr(importlib.import_module(f"animlib.{module}"), function)


def first_argument(name: str) -> Callable:
    "Call a function with the odd thing alone."
    return lambda odd, folder: of(name)(odd)


def fully(name: str) -> Callable:
    "Read all that a function yields."
    return lambda odd, folder: list(of(name)(odd))


@cache
def model():
    "A fresh small model."
    return of("models.registry.build")("fomm", "toy")


@cache
def official() -> tuple[dict, dict]:
    "Tensors and config of an official checkpoint."
    from fuzz import official_config, official_state

    return official_state(), official_config()


def written_checkpoint(folder: Path) -> Path:
    import torch

    torch.save(official()[0], folder / "good.pth.tar")
    return folder / "good.pth.tar"


def good_inputs(folder: Path) -> dict:
    "A model, a good image and a good video."
    return dict(
        model=model(),
        source=write(folder / "good.png", png_bytes()),
        driving=write(folder / "good.gif", gif_bytes()),
    )


def animate(folder: Path, **odd):
    "Animate a good image by a good video, one of them exchanged."
    of("animation.animate")(**(good_inputs(folder) | odd), device="cpu", progress=False)


def open_stage(folder: Path, **odd):
    "Open an explorer's stage on a good image and a good video, one of them exchanged."
    given = good_inputs(folder) | odd
    of("explore.stage.open_stage")(**given, scale=1, device="cpu")


def cropped(source):
    "Crop an image to its middle, which is called a face."
    import numpy as np

    def find(image):
        rows, columns = image.shape[:2]
        box = np.array([[columns / 3, rows / 3, columns / 1.5, rows / 1.5]])
        return of("faces.Faces")(box, np.ones(1))

    driving = of("inputs.open_driving")(np.zeros((2, 32, 32, 3), np.uint8))
    of("crop.Cropping")("face", find=find).apply(source, driving, 1, 32)


def write_frames(path, **options):
    "Write a few frames."
    import numpy as np

    with of("media.write.VideoWriter")(path, **options) as writer:
        writer.write(np.zeros((2, 32, 32, 3), np.uint8))


def save_video(path):
    import numpy as np

    of("media.write.Video")(np.zeros((2, 32, 32, 3), np.uint8)).save(path)


def train(folder: Path, **odd):
    "A training of one step, with one of its paths exchanged."
    good = dict(data="toy:arm", run=folder / "run", init="")
    of("run.jobs.train")(
        "fomm",
        preset="toy",
        device="cpu",
        clips=2,
        frames=2,
        progress=False,
        steps=1,
        batch=1,
        preview_every=0,
        **(good | odd),
    )


def train_from(odd, folder):
    train(folder, init=odd)


def reconstruct(folder: Path, **odd):
    good = dict(model=model(), data="toy:arm", out=folder / "out")
    of("run.jobs.reconstruct")(**(good | odd), limit=1, device="cpu", progress=False)


def convert(folder: Path, **odd):
    good = dict(
        checkpoint=written_checkpoint(folder), config=official()[1], out=folder / "a.safetensors"
    )
    of("zoo.convert.convert")(**(good | odd))


def decode_emoji(odd, folder: Path):
    "A group of one emoji, into an odd cache folder."
    set_folder = write(folder / "set" / "1f64b.webp", gif_bytes()).parent
    wanted = of("data.emoji_clips.EmojiSet")("fluent", "people", set_folder)
    of("data.emoji_clips.emoji_clips")(wanted, "train", 8, cache=odd)


def get_listed(folder: Path, **odd):
    "A list of which no clip is taken: its box is too small."
    columns = "video_id,start,end,bbox,fps,width,height,partition"
    listed = write(folder / "list.csv", f"{columns}\na,0,9,0-0-9-9,25,64,64,train\n".encode())
    good = dict(metadata=listed, out=folder / "set")
    of("data.filling.get_videos")("taichi", **(good | odd))


def get_gifs(folder: Path, **odd):
    "A small set that comes as a folder."
    for split in ("train", "test"):
        write(folder / "gifs" / split / "a.gif", gif_bytes())
    good = dict(start=folder / "gifs", out=folder / "set", size=16)
    of("data.filling.get_folder")("mgif", **(good | odd))


READERS: dict[str, Callable] = {
    "animation.animate(model)": lambda odd, folder: animate(folder, model=odd),
    "animation.animate(source)": lambda odd, folder: animate(folder, source=odd),
    "animation.source_images(source)": lambda odd, folder: of("animation.source_images")(
        model(), odd
    ),
    "animation.animate(driving)": lambda odd, folder: animate(folder, driving=odd),
    "crop.Cropping.apply(source)": lambda odd, folder: cropped(odd),
    "inputs.open_driving(x)": first_argument("inputs.open_driving"),
    "inputs.open_source_images(x)": first_argument("inputs.open_source_images"),
    "data.check.check_folder(folder)": first_argument("data.check.check_folder"),
    "data.emoji_clips.check_emoji(folder)": lambda odd, folder: of("data.emoji_clips.check_emoji")(
        "fluent", odd
    ),
    "data.emoji_clips.emoji_files(folder)": lambda odd, folder: of("data.emoji_clips.emoji_files")(
        "noto", odd
    ),
    "data.folder.open_folder(folder)": lambda odd, folder: of("data.folder.open_folder")(
        odd, cache=folder / "cache"
    ),
    "data.download.read_report(folder)": first_argument("data.download.read_report"),
    "data.filling.get_folder(start)": lambda odd, folder: get_gifs(folder, start=odd),
    "data.filling.get_videos(metadata)": lambda odd, folder: get_listed(folder, metadata=odd),
    "data.pairs.read_pairs(path)": first_argument("data.pairs.read_pairs"),
    "data.recipes.read_metadata(path)": first_argument("data.recipes.read_metadata"),
    "data.store.index_store(folder)": first_argument("data.store.index_store"),
    "data.store.is_store(folder)": first_argument("data.store.is_store"),
    "data.store.open_store(folder)": lambda odd, folder: of("data.store.open_store")(odd, "train"),
    "data.store.read_store(folder)": first_argument("data.store.read_store"),
    "data.folder.split_paths(folder)": first_argument("data.folder.split_paths"),
    "data.pack.Pack.__init__(path)": first_argument("data.pack.Pack"),
    "data.sources.open_source(spec)": first_argument("data.sources.open_source"),
    "data.sprites.layer_files(folder)": first_argument("data.sprites.layer_files"),
    "data.sprites.sprite_clips(folder)": lambda odd, folder: of("data.sprites.sprite_clips")(
        odd, "train", 1, 32
    ),
    "explore.stage.open_stage(model)": lambda odd, folder: open_stage(folder, model=odd),
    "explore.stage.open_stage(source)": lambda odd, folder: open_stage(folder, source=odd),
    "explore.stage.open_stage(driving)": lambda odd, folder: open_stage(folder, driving=odd),
    "media.sound.has_sound(path)": first_argument("media.sound.has_sound"),
    "media.files.expect_binary(path)": first_argument("media.files.expect_binary"),
    "media.files.expect_complete(path)": first_argument("media.files.expect_complete"),
    "media.files.expect_file(path)": lambda odd, folder: of("media.files.expect_file")(
        odd, "a file"
    ),
    "media.read.open_video(path)": lambda odd, folder: list(
        of("media.read.open_video")(odd).frames()
    ),
    "media.output.describe_output(path)": first_argument("media.output.describe_output"),
    "media.read.probe(path)": first_argument("media.read.probe"),
    "media.read.read_frames(path)": fully("media.read.read_frames"),
    "media.read.read_image(x)": first_argument("media.read.read_image"),
    "media.write.Video.open(path)": lambda odd, folder: of("media.write.Video").open(odd),
    "media.write.VideoWriter.__init__(sound)": lambda odd, folder: write_frames(
        folder / "out.mp4", sound=odd
    ),
    "run.jobs.evaluate_run(run)": lambda odd, folder: of("run.jobs.evaluate_run")(
        odd, 1, progress=False
    ),
    "evaluate.records.Records.__init__(folder)": lambda odd, folder: (
        of("evaluate.records.Records")(odd, {}).__enter__().__exit__()
    ),
    "run.jobs.as_source(data)": lambda odd, folder: of("run.jobs.as_source")(odd, 32),
    "run.jobs.reconstruct(data)": lambda odd, folder: reconstruct(folder, data=odd),
    "run.jobs.reconstruct(model)": lambda odd, folder: reconstruct(folder, model=odd),
    "run.jobs.train(data)": lambda odd, folder: train(folder, data=odd),
    "run.jobs.train(init)": train_from,
    "run.plan.read_plan(path)": first_argument("run.plan.read_plan"),
    "run.manifest.read_manifest(path)": first_argument("run.manifest.read_manifest"),
    "run.against.against(folder)": lambda odd, folder: of("run.against.against")(odd, "a", "b"),
    "run.against.against(config)": lambda odd, folder: of("run.against.against")(
        write(folder / "demo.py", b"").parent, odd, "b"
    ),
    "run.against.against(checkpoint)": lambda odd, folder: of("run.against.against")(
        write(folder / "demo.py", b"").parent, write(folder / "a.yaml", b""), odd
    ),
    "run.camera_input.played_frames(path)": lambda odd, folder: list(
        of("run.camera_input.played_frames")(odd, loop=False)
    ),
    "engines.exported.OnnxModel.__init__(folder)": first_argument("engines.exported.OnnxModel"),
    "run.scenes.open_scene(driving)": lambda odd, folder: of("run.scenes.open_scene")(
        {"a": write(folder / "a.png", png_bytes())}, odd, 32
    ),
    "run.scenes.open_scene(sources)": lambda odd, folder: of("run.scenes.open_scene")(
        {"a": odd}, write(folder / "a.gif", gif_bytes()), 32
    ),
    "run.notebooks.check_parameters(notebook)": lambda odd, folder: of(
        "run.notebooks.check_parameters"
    )(odd, {}),
    "run.notebooks.notebook_file(notebook)": first_argument("run.notebooks.notebook_file"),
    "run.notebooks.shipped_file(name)": lambda odd, folder: of("run.notebooks.shipped_file")(
        "manifest", odd, ".yaml"
    ),
    "run.notebooks.notebook_parameters(notebook)": first_argument(
        "run.notebooks.notebook_parameters"
    ),
    "run.notebooks.run_notebook(notebook)": lambda odd, folder: of("run.notebooks.run_notebook")(
        odd, folder / "out.ipynb", progress=False
    ),
    "training.state.read_header(path)": first_argument("training.state.read_header"),
    "zoo.convert.convert(checkpoint)": lambda odd, folder: convert(folder, checkpoint=odd),
    "zoo.convert.convert(config)": lambda odd, folder: convert(folder, config=odd),
    "zoo.convert.discriminator_from_official(checkpoint)": lambda odd, folder: of(
        "zoo.convert.discriminator_from_official"
    )("fomm", odd, official()[1]),
    "zoo.convert.discriminator_from_official(config)": lambda odd, folder: of(
        "zoo.convert.discriminator_from_official"
    )("fomm", official()[0], odd),
    "zoo.convert.from_official(checkpoint)": lambda odd, folder: of("zoo.convert.from_official")(
        "fomm", odd, official()[1]
    ),
    "zoo.convert.from_official(config)": lambda odd, folder: of("zoo.convert.from_official")(
        "fomm", official()[0], odd
    ),
    "zoo.checkpoint.read_official(path)": first_argument("zoo.checkpoint.read_official"),
    "zoo.files.checked_header(path)": first_argument("zoo.files.checked_header"),
    "zoo.files.read_model(path)": first_argument("zoo.files.read_model"),
    "zoo.hub.find_model_file(which)": first_argument("zoo.hub.find_model_file"),
    "zoo.hub.load(which)": first_argument("zoo.hub.load"),
    "zoo.hub.load(config)": lambda odd, folder: of("zoo.hub.load")(
        written_checkpoint(folder), config=odd
    ),
    "zoo.hub.load_animator(which)": first_argument("zoo.hub.load_animator"),
    "zoo.official.config.official_cfg(config)": lambda odd, folder: of(
        "zoo.official.config.official_cfg"
    )("fomm", odd),
    "zoo.official.config.read_yaml(config)": first_argument("zoo.official.config.read_yaml"),
}


def with_home(folder, name, *arguments):
    "Call a function that fetches; its cache and its sets are in this folder."
    home = str(folder / "home")
    given = dict(HOME=home, USERPROFILE=home, ANIMLIB_DATA=f"{home}/sets")
    with mock.patch.dict(os.environ, given):
        return of(name)(*arguments)


WEIGHTS = {
    "backbones.hrnet.imagenet_hrnet(path)": first_argument("backbones.hrnet.imagenet_hrnet"),
    "backbones.resnet.imagenet_resnet18(path)": first_argument(
        "backbones.resnet.imagenet_resnet18"
    ),
    "backbones.efficientnet.load_efficientnet(path)": first_argument(
        "backbones.efficientnet.load_efficientnet"
    ),
    "backbones.vgg.load_vgg19(path)": first_argument("backbones.vgg.load_vgg19"),
    "backbones.fetch.fetch_weights(start)": lambda odd, folder: with_home(
        folder, "backbones.fetch.fetch_weights", "vgg19", odd
    ),
    "data.obtain.obtain(start)": lambda odd, folder: with_home(
        folder, "data.obtain.obtain", "fluent", odd
    ),
    "run.scenes.runtime_folder(start)": lambda odd, folder: with_home(
        folder, "run.scenes.runtime_folder", odd
    ),
    "data.available.get(start)": lambda odd, folder: with_home(
        folder, "data.available.get", "noto", odd
    ),
}
WRITERS: dict[str, Callable] = {
    "animation.animate(out)": lambda odd, folder: animate(folder, out=odd),
    "data.emoji_clips.emoji_clips(cache)": decode_emoji,
    "data.folder.open_folder(cache)": lambda odd, folder: of("data.folder.open_folder")(
        write(folder / "data" / "a.png", png_bytes()).parent, cache=odd
    ),
    "data.filling.get_folder(out)": lambda odd, folder: get_gifs(folder, out=odd),
    "data.filling.get_videos(out)": lambda odd, folder: get_listed(folder, out=odd),
    "data.pairs.write_pairs(path)": lambda odd, folder: of("data.pairs.write_pairs")(odd, []),
    "data.pack.write_pack(out)": lambda odd, folder: of("data.pack.write_pack")(
        of("data.sources.open_source")("toy:arm", 32, 2, 2, False), odd
    ),
    "media.write.Video.save(path)": lambda odd, folder: save_video(odd),
    "media.write.VideoWriter.__init__(path)": lambda odd, folder: write_frames(odd),
    "media.output.output_kind(path)": first_argument("media.output.output_kind"),
    "engines.stored.origin_of(given)": first_argument("engines.stored.origin_of"),
    "engines.export.empty_folder(out)": first_argument("engines.export.empty_folder"),
    "run.jobs.reconstruct(out)": lambda odd, folder: reconstruct(folder, out=odd),
    "run.jobs.train(run)": lambda odd, folder: train(folder, run=odd),
    "run.site.build_site(live)": lambda odd, folder: of("run.site.build_site")(
        folder / "site", live=odd, root=folder
    ),
    "run.site.build_site(out)": lambda odd, folder: of("run.site.build_site")(odd, root=folder),
    "training.state.save_model(path)": lambda odd, folder: of("training.state.save_model")(
        odd, model()
    ),
    "zoo.convert.convert(out)": lambda odd, folder: convert(folder, out=odd),
}
DOORS = READERS | WEIGHTS | WRITERS
_CHECKED = "called with a path that a door has opened or checked"
_HANDS_ON = "hands it on to `run.jobs.train`, `load` or `VideoWriter`, which are doors"
_MADE = "a path that the program has made up itself"
INSIDE = {  # functions, or modules with a star, that are no doors, and why
    "backbones.published.published_weights(path)": "tried through the four networks",
    "backbones.published.find_weights(path)": "tried through the four networks",
    "backbones.published.open_weights(path)": _CHECKED,
    "core.*": _CHECKED,
    "data.cache.cache_folder(cache)": "tried through `open_folder`",
    "data.cache.*(data)": "the name of a data set's folder",
    "data.decoding.decode_clips(paths)": "tried through `open_folder`",
    "data.emoji.*": "the name of an emoji",
    "explore.choices.Choices.__init__(model)": "hands it on to `open_stage`, which is a door",
    "explore.choices.Choices.take(files)": "contents that a page has sent",
    "explore.looking.HeadsDesk.take(files)": "contents that a page has sent",
    "viz.strips.strip_rows(file)": _MADE,
    "data.emoji_clips.read_address(address)": "tried through `open_source`",
    "data.cutting.code_clip(name)": _MADE,
    "data.download.fetch_video(video)": "the name of a video",
    "data.download.take_video(video)": "the name of a video",
    "data.filling.get_folder(name)": "the name of a set",
    "data.filling.get_videos(jobs)": "a number",
    "data.folder.decode_once(*)": "tried through `open_folder`",
    "data.sources.DataSource.__init__(pairs)": "a `PairList`",
    "data.sources.open_source(pairs)": "a `PairList`",
    "data.store.StoredClips.__init__(files)": "lines of an index",
    "data.store.index_store(data)": "a text",
    "evaluate.pairs.evaluate_pairs(data)": "tried through `open_source`",
    "evaluate.pairs.evaluate_pairs(out)": "hands it on to `Video.save`, which is a door",
    "evaluate.pairs.evaluate_pairs(pairs)": "tried through `read_pairs`",
    "run.data_jobs.check_data(folder)": "hands it on to `check_folder`, which is a door",
    "run.data_jobs.index_data(folder)": "hands it on to `index_store`, which is a door",
    "data.noto.*": "the name of an emoji",
    "data.sprites.Sprites.__init__(folder)": "tried through `sprite_clips`",
    "data.sprites.sprite_transfers(folder)": "tried through `sprite_clips`",
    "explore.anchors.anchors(*)": "hands it on to `open_stage`, which is a door",
    "explore.layout.save_upload(file)": "bytes that a browser has sent",
    "explore.masks.masks(*)": "hands it on to `open_stage`, which is a door",
    "explore.page.video_bytes(video)": "a `Video`",
    "explore.retarget.*": "hands it on to `read_image` and `open_driving`, which are doors",
    "inputs.given_images(x)": "tried through `open_source_images`",
    "media.decode.*": _CHECKED,
    "media.encode.*": _CHECKED,
    "media.files.file_error(path)": "a name for a message",
    "media.files.media_path(path)": "tried through `expect_file`",
    "media.files.note(line)": "a text",
    "media.files.sniff(path)": _CHECKED,
    "media.image.*": _CHECKED,
    "media.imagefile.*": _CHECKED,
    "media.output.expect_output(path)": "tried through `VideoWriter`",
    "media.sound.SoundTrack.__init__(path)": _CHECKED,
    "media.sound.sound_track(path)": _CHECKED,
    "media.write.Video.from_tensor(sound)": "kept for `save`",
    "media.write.Video.from_tensor(video)": "an array",
    "options.*": "a dotted name",
    "process.*": _CHECKED,
    "backbones.published.published_bytes(path)": "tried through the four networks",
    "evaluate.papers.PersonIdentity.__init__(weights)": "needs torchreid: tried in its chapter",
    "evaluate.measure.measure(out)": "tried through `Records`",
    "run.measuring.evaluate_model(*)": "hands it on to `load_animator`, `as_source` or `Records`",
    "run.ablate.*": _HANDS_ON,
    "run.demo.*": _HANDS_ON,
    "run.jobs.Preview.__init__(run)": _HANDS_ON,
    "data.obtain.take_archive(start)": "tried through `obtain`",
    "engines.export.export_model(model)": "hands it on to `find_model_file`, which is a door",
    "engines.export.export_model(out)": "tried through `empty_folder`",
    "engines.graphs.*": "a dotted name",
    "engines.choice.open_engine(given)": "tried through `origin_of`",
    "engines.stored.stored_graphs(given)": "tried through `origin_of`",
    "run.web.*": "hands it on to `export_model`, `OnnxModel`, `empty_folder` or `runtime_folder`",
    "run.jobs.evaluate_run(data)": "tried through `as_source`",
    "run.jobs.save_*": _MADE,
    "run.notebooks.read_parameters(notebook)": "tried through `check_parameters`",
    "run.notebooks.run_notebook(cwd)": "a kernel for each would take minutes",
    "run.notebooks.run_notebook(out)": "a kernel for each would take minutes",
    "run.book.cell_text(cell)": "a cell, not a file",
    "run.gallery.*": _MADE,
    "run.page.*": _MADE,
    "run.pages.*": "a text or an output, not a file",
    "run.site.build_site(root)": "the project itself",
    "run.plan.plan_table(out)": "looks for files; whatever the folder is",
    "run.plan.state_of(run)": "looks for files; whatever the folder is",
    "run.sweep.*": _HANDS_ON,
    "run.processes.*": _HANDS_ON,
    "run.nights.*": "its own folders; a notebook goes to `notebook_parameters`, which is a door",
    "run.rows.*": "its own folders",
    "fast.choice.Choices.__init__(file)": "tried in the chapter; what is no such file is made anew",
    "run.against.against(frames)": "a number",
    "run.against.our_words(files)": _CHECKED,
    "run.against.their_words(files)": _CHECKED,
    "run.cluster.*": "its own folders",
    "run.manifest.rows_of(notebook)": "tried through `read_manifest`",
    "run.results.*": "its own folders; read_results is tried in tests/run/test_rows.py",
    "run.workers.*": _MADE,
    "storage.*": _CHECKED,
    "training.folder.*": "tried through `run.jobs.train`",
    "training.loop.*": "tried through `run.jobs.train`",
    "training.reports.*": "tried through `run.jobs.train`",
    "training.state.RunState.__init__(run)": "tried through `run.jobs.train`",
    "training.state.open_run(run)": "tried through `run.jobs.train`",
    "backbones.hrnet.start_from_imagenet(path)": "tried through `imagenet_hrnet`",
    "animation.animate(crop)": "a choice",
    "evaluate.measure.measure(limit)": "a number",
    "evaluate.tables.evaluate(limit)": "a number",
    "run.jobs.evaluate_run(limit)": "a number",
    "run.jobs.reconstruct(limit)": "a number",
    "training.peers.resumable(folder)": _CHECKED,
    "training.record.Record.__init__(run)": _CHECKED,
    "untrusted.*": _CHECKED,
    "zoo.start.start_from(init)": "hands it on to `load_animator`, which is a door",
    "viz.images.to_gif(path)": _MADE,
    "zoo.files.header_config(path)": "a name for a message",
    "zoo.files.read_value(found)": "a value, no path",
    "zoo.official.facts.rows(*)": "a dotted name",
    "run.study.*": "folders of videos; what is refused stands in tests/run/test_study.py",
}


def is_inside(name: str) -> bool:
    "Whether `INSIDE` says why a function is no door."
    return any(fnmatch(name, pattern) for pattern in INSIDE)


# ---- one call, in the watched process ----
def files(folder: Path) -> dict[str, bytes]:
    "Every regular file below a folder."
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and "cache" not in path.parts:
            found[str(path.relative_to(folder))] = path.read_bytes()
    return found


def serve(job: list):  # a key of DOORS, a key of ODD
    "Call a door with an odd thing; what lay in the folder before must stay as it was."
    door, odd = job
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        os.chdir(folder)
        given = ODD[odd](folder)
        before = files(folder)
        try:
            DOORS[door](given, folder)
        finally:
            os.chdir("/")
            after = files(folder)
            changed = [name for name, content in before.items() if after.get(name) != content]
            if door in READERS and changed:
                raise AssertionError(f"{door} has changed {changed}")
