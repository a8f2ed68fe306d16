"""Files that were made to do harm: refused in one line, within bounded time and memory.

Every case runs in a process of its own that may use one gigabyte more than it has after its
imports, and twenty seconds."""

import json
import subprocess
import sys
import zipfile

import pytest
import torch
from safetensors.torch import load_file, save_file

from animlib.core import InputError
from animlib.models.names import method_names
from animlib.models.registry import build, get_method
from animlib.options import option_values
from animlib.run.notebooks import notebook_parameters
from animlib.training.state import read_header, save_model
from animlib.zoo.checkpoint import read_official
from animlib.zoo.files import read_model
from animlib.zoo.hub import load
from animlib.zoo.official.config import read_yaml

LIMITED = """
import resource, sys
from animlib.core import InputError
from animlib.zoo.hub import load
from animlib.zoo.checkpoint import read_official
from animlib.zoo.files import read_model
from animlib.zoo.official.config import read_yaml
from animlib.run.notebooks import notebook_parameters

used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 30),) * 2)
for path in sys.argv[2:]:
    try:
        globals()[sys.argv[1]](path)
        print("read", path)
    except InputError as error:
        print("InputError", str(error).count("\\n"), len(str(error)), error)
"""


def refusals(reader: str, paths) -> list[str]:
    "What a reader says of each file, in a process with little memory and time."
    command = [sys.executable, "-c", LIMITED, reader, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20 + 5 * len(paths))
    assert done.returncode == 0, done.stderr[-800:]
    lines = done.stdout.splitlines()
    assert len(lines) == len(paths), done.stdout
    for line in lines:
        assert line.startswith("InputError 0 "), line
        assert int(line.split()[2]) < 600, line
    return lines


def check_words(lines, words):
    "Each line has its words."
    for line, word in zip(lines, words, strict=True):
        assert word in line, (word, line)


# ---- model files ----
@pytest.fixture
def model_file(tmp_path):
    "A file that animlib wrote."
    path = tmp_path / "ours.safetensors"
    save_model(path, build("fomm", "toy"))
    return path


def write_header(model_file, path, text: str):
    "The same tensors under another header."
    save_file(load_file(model_file), path, metadata={"animlib": text})
    return path


def with_option(header: dict, name: str, value) -> str:
    "The header with one option of its config changed; `name` is dotted."
    changed = json.loads(json.dumps(header))
    *parents, last = name.split(".")
    part = changed["cfg"]
    for parent in parents:
        part = part[parent]
    part[last] = value
    return json.dumps(changed)


def numeric_options(method: str) -> dict:
    "The options of a method that are numbers, or lists of them."
    options = option_values(get_method(method).presets["toy"][0])
    kinds = (int, float, tuple)
    return {k: v for k, v in options.items() if isinstance(v, kinds) and not isinstance(v, bool)}


@pytest.mark.slow
@pytest.mark.parametrize("method", method_names())
def test_numbers_of_a_header_that_ask_for_too_much(tmp_path, method):
    "Every option that is a number: refused, or a model of just the tensors of the file."
    source = tmp_path / "ours.safetensors"
    save_model(source, build(method, "toy"))
    header = read_header(source)
    forms = {name: tensor.shape for name, tensor in load_file(source).items()}
    for name, value in numeric_options(method).items():
        for number in (2**31, 4000, 0, float("inf")):
            wrong = [number] * 3 if isinstance(value, tuple) else number
            if isinstance(value, int) and isinstance(number, float):
                continue
            path = write_header(
                source, tmp_path / "m.safetensors", with_option(header, name, wrong)
            )
            try:
                model = read_model(path)
            except InputError as error:
                assert "\n" not in str(error) and "m.safetensors" in str(error)
            else:  # an option of training, of the frames' size, of a formula
                assert {k: v.shape for k, v in model.state_dict().items()} == forms


def test_headers_that_ask_for_gigabytes(tmp_path, model_file):
    header = read_header(model_file)
    wrong = {
        ("generator.blocks", 2**31): "generator.blocks",
        ("generator.blocks", 64): "missing",
        ("detector.depth", 60_000): "detector.depth",
        ("generator.width", 2000): "expected shape",
        ("dense.width", 30_000): "dense.width",
        ("generator.max_width", 10**30): "generator.max_width",
        ("detector.scale", 1e-9): "detector.scale",
        ("n_kp", 60_000): "n_kp",
    }
    paths = [
        write_header(model_file, tmp_path / f"m{i}.safetensors", with_option(header, name, value))
        for i, (name, value) in enumerate(wrong)
    ]
    check_words(refusals("load", paths), wrong.values())


def test_headers_that_no_parser_likes(tmp_path, model_file):
    texts = {
        "deep": "[" * 100_000,
        "deep object": '{"a":' * 100_000,
        "half": '{"format": "animlib 2"',
        "a list": "[1]",
        "a number": "17",
        "a word": "nan",
        "digits": '{"format": "animlib 2", "method": "fomm", "cfg": ' + "9" * 10_000 + "}",
        "deep option": json.dumps(dict(format="animlib 2", method="fomm"))[:-1]
        + ', "cfg": {"n_kp": '
        + "[" * 900
        + "]" * 900
        + "}}",
        "lists for names": json.dumps(dict(format=["animlib 2"], method=["fomm"], cfg={})),
        "a list as config": json.dumps(dict(format="animlib 2", method="fomm", cfg=[1])),
        "old, odd": json.dumps(dict(format="animlib 1", method="fomm", cfg={"n_kp.a.b": {}})),
    }
    paths = [
        write_header(model_file, tmp_path / f"{i}.safetensors", text)
        for i, text in enumerate(texts.values())
    ]
    refusals("load", paths)


def test_safetensors_that_lie_about_themselves(tmp_path, model_file):
    data = model_file.read_bytes()
    length = int.from_bytes(data[:8], "little")
    cases = {
        "long header": (2**62).to_bytes(8, "little") + data[8:],
        "header of the whole file": len(data).to_bytes(8, "little") + data[8:],
        "no json": data[:8] + b"{" + b"\xff" * (length - 1) + data[8 + length :],
        "a hole": data[: 8 + length] + data[9 + length :],
        "more than it says": data + bytes(100),
        "bits": data[:8] + data[8:].replace(b'"F32"', b'"U32"'),
        "other kinds": data[:8] + data[8:].replace(b'"F32"', b'"I32"'),
    }
    paths = []
    for name, content in cases.items():
        paths.append(tmp_path / f"{name}.safetensors")
        paths[-1].write_bytes(content)
    refusals("read_model", paths)


@pytest.mark.parametrize("dtype", [torch.cfloat, torch.bool, torch.int32, torch.float8_e5m2])
def test_tensors_of_kinds_that_no_model_has(tmp_path, model_file, dtype):
    tensors = load_file(model_file)
    tensors["dense.mask.bias"] = tensors["dense.mask.bias"].to(dtype)
    path = tmp_path / "m.safetensors"
    save_file(tensors, path, metadata={"animlib": json.dumps(read_header(model_file))})

    with pytest.raises(InputError, match="dense.mask.bias"):
        load(path)


# ---- checkpoints ----
class AnyFunction:
    "A pickle that calls a function when it is loaded."

    def __init__(self, function, *arguments):
        self.function = function
        self.arguments = arguments

    def __reduce__(self):
        return self.function, self.arguments


def test_checkpoints_that_unfold(tmp_path):
    bomb = tmp_path / "bomb.pth.tar"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}q\x00.")
        with archive.open("archive/data/0", "w", force_zip64=True) as member:
            for _ in range(1024):
                member.write(bytes(1 << 20))
    shared = tmp_path / "shared.pth.tar"  # a thousand members that are the same bytes
    torch.save({"net": {"a": torch.zeros(1 << 20)}}, shared)
    with zipfile.ZipFile(shared, "a") as archive:
        largest = max(archive.infolist(), key=lambda member: member.file_size)
        for i in range(300):
            twin = zipfile.ZipInfo(f"shared/data/{i + 10}")
            for field in ("header_offset", "file_size", "compress_size", "CRC"):
                setattr(twin, field, getattr(largest, field))
            archive.filelist.append(twin)
        archive._didModify = True

    lines = refusals("read_official", [bomb, shared])

    check_words(lines, ["unfold into", "unfold into"])


def test_pickles_that_lie_about_themselves(tmp_path):
    whole = tmp_path / "whole.pth.tar"
    torch.save({"net": {"a": torch.zeros(4)}}, whole, _use_new_zipfile_serialization=False)
    data = whole.read_bytes()
    contents = {
        "nested": b"\x80\x02" + b"(" * 200_000 + b"t" * 200_000 + b".",
        "nested lists": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
        "long text": b"\x80\x02X\xff\xff\xff\x7fabc.",
        "long number": b"\x80\x02\x8b\xff\xff\xff\x7fabc.",
        "huge storage": data.replace(b"K\x04", b"J\xff\xff\xff\x7f"),
        "cut": data[:-5],
    }
    paths = []
    for name, content in contents.items():
        paths.append(tmp_path / f"{name}.pth")
        paths[-1].write_bytes(content)
    refusals("read_official", paths)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("name", ["system", "eval", "getattr", "import_module"])
def test_functions_are_not_called(tmp_path, name, zipped):
    import builtins
    import importlib
    import os

    calls = {
        "system": (os.system, f"touch {tmp_path}/it-ran"),
        "eval": (builtins.eval, f"open('{tmp_path}/it-ran', 'w')"),
        "getattr": (builtins.getattr, os, "getcwd"),
        "import_module": (importlib.import_module, "antigravity"),
    }
    path = tmp_path / "a.pth.tar"
    content = {"generator": {"a": torch.zeros(1)}, "x": AnyFunction(*calls[name])}
    if name == "getattr":
        content["x"] = AnyFunction(*calls[name][:1], 3, "real")
    torch.save(content, path, _use_new_zipfile_serialization=zipped)

    with pytest.raises(InputError, match="contains code .*not loaded"):
        read_official(path)
    assert not (tmp_path / "it-ran").exists()


# ---- yaml ----
def test_yamls_that_unfold(tmp_path):
    laughs = "a0: &a0 [x]\n" + "".join(f"a{i + 1}: &a{i + 1} [*a{i}, *a{i}]\n" for i in range(60))
    merged = "a0: &a0 {x: 1}\n" + "".join(f"a{i + 1}: &a{i + 1} {{<<: *a{i}}}\n" for i in range(60))
    contents = {
        "laughs": (laughs.encode(), "alias"),
        "merged": (merged.encode(), "alias"),
        "itself": (b"a: &a [*a]", "alias"),
        "deep lists": (b"a: " + b"[" * 5000, "levels"),
        "deep maps": (b"".join(b" " * i + b"a:\n" for i in range(300)), "levels"),
        "long": (b"a: [" + b"1," * 1_000_000 + b"]", "bytes"),
        "digits": (b"model_params: " + b"9" * 100_000, "text that is not"),
        "code": (b"!!python/object/apply:os.system [ls]", "text that is not"),
        "latin": ("name: é".encode("latin-1"), "UTF-8"),
        "cut utf-16": ("name: é".encode("utf-16")[:-1], "UTF-8"),
    }
    paths = []
    for name, (content, _) in contents.items():
        paths.append(tmp_path / f"{name}.yaml")
        paths[-1].write_bytes(content)
    check_words(refusals("read_yaml", paths), [words for _, words in contents.values()])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_encodings_of_a_yaml(tmp_path, encoding):
    path = tmp_path / "a.yaml"
    mark = "\ufeff" if encoding == "utf-16-le" else ""
    path.write_bytes((mark + "name: é\ntemperature: 1e-1\nwidth: 64\n").encode(encoding))

    assert read_yaml(path) == dict(name="é", temperature=0.1, width=64)


# ---- notebooks ----
def notebook(source="a = 1", **cell) -> dict:
    "A notebook of one cell of parameters."
    code = dict(cell_type="code", metadata=dict(tags=["parameters"]), source=source) | cell
    return dict(cells=[code], metadata={}, nbformat=4, nbformat_minor=5)


NOTEBOOKS = {
    "deep": "[" * 100_000,
    "no object": "[]",
    "a number": "17",
    "no cells": "{}",
    "cells of text": json.dumps(dict(cells=["a"])),
    "cells of nothing": json.dumps(dict(cells=None)),
    "metadata of text": json.dumps(notebook(metadata="parameters")),
    "tags of numbers": json.dumps(notebook(metadata=dict(tags=3))),
    "source of numbers": json.dumps(notebook(source=[1, 2])),
    "no source": json.dumps(notebook(source=None)),
    "no code": json.dumps(notebook("a = = 1")),
    "deep code": json.dumps(notebook("a = " + "(" * 10_000 + ")" * 10_000)),
    "deep sum": json.dumps(notebook("a = " + "-" * 100_000 + "1")),
    "a zero": json.dumps(notebook("a = '\0'")),
    "a surrogate": json.dumps(notebook("a = '\ud800'  # \ud800")),
    "digits": json.dumps(notebook("a = " + "9" * 10_000)),
    "no text": "\ud800",
}


def test_notebooks_that_are_none(tmp_path):
    paths = []
    for name, text in NOTEBOOKS.items():
        paths.append(tmp_path / f"{name}.ipynb")
        paths[-1].write_bytes(text.encode("utf-8", "surrogatepass"))
    refusals("notebook_parameters", paths)


def test_a_good_notebook_is_read(tmp_path):
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps(notebook("a = 1  # the first")))

    assert notebook_parameters(path)["a"].help == "the first"
