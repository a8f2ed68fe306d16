"""Names in the field's own words, and texts that hold on every machine."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from project_files import by_path, module_name, modules, relative, written_files
from source_code import parse

# Neither alone nor as a part of a name: an image is not a picture, a video not a film.
WORDS_TO_AVOID = set(
    "bs critic critics everybody film films judge judges judged kwargs most movement nobody "
    "picture pictures player players said somebody stranger strangers whom whose".split()
)
NAMES_TO_AVOID = set("again at by deformation how it type".split())  # alone


# ---- names ----
def names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    "Every name that a module gives to something, with its line; an attribute with its dot."
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, f".{node.attr}"
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node.lineno, node.name


def words(name: str) -> list[str]:
    "`max`, `width` for `max_width` and for `MaxWidth`."
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().strip("._").split("_")


def has_a_word_to_avoid(name: str) -> bool:
    "Whether a name needs a better word."
    return bool(WORDS_TO_AVOID & set(words(name))) or name.strip("._") in NAMES_TO_AVOID


@pytest.mark.parametrize("path", by_path(modules()))
def test_names_are_words_of_the_field(path):
    own = (1, module_name(path).rpartition(".")[2])
    found = [own, *names(parse(path.read_text(encoding="utf-8")))]
    broken = [f"line {line}: {name}" for line, name in found if has_a_word_to_avoid(name)]
    if broken:
        pytest.fail("\n".join([relative(path), *broken]), pytrace=False)


@pytest.mark.parametrize(
    "source",
    [
        "def film(): ...",
        "class CriticLoss: ...",
        "def f(most): ...",
        "def f(*, whose_shape): ...",
        "def f(**kwargs): ...",
        "driving_film = 1",
        "self.picture = 1",
        "for player in players: ...",
        "at = 3",
        "type: int = 3",
        "lambda how: 1",
    ],
)
def test_words_to_avoid_are_found(source):
    assert any(has_a_word_to_avoid(name) for _, name in names(parse(source)))


def test_good_names_are_accepted():
    source = "def look_at(image, *, n): ...\nfor k, _ in x: ...\nfilmed = type_of(x)"
    good = [name for _, name in names(parse(source))]

    assert not any(has_a_word_to_avoid(name) for name in good)


# ---- texts ----
def machine_paths(text: str) -> list[str]:
    "Absolute paths hold on one machine only."
    folders = "work|root|home|Users|opt|tmp|mnt|srv"
    return re.findall(rf"(?<![\w.~/+-])/(?:{folders})/[\w.-]+", text)


def registry_hosts(text: str) -> list[str]:
    "Packages come from wherever pip is told to look."
    hosts = r"[p]ypi\.org|[p]ythonhosted\.org|[n]pmjs\.\w+|\b[d]eb\.debian\.\w+|[a]naconda\.org"
    return re.findall(rf"{hosts}|[d]ownload\.pytorch\.org/whl", text)


def texts() -> dict[str, str]:
    "Every text file of the project; of a notebook all but its images."
    found = {}
    for path in written_files():
        try:
            text = path.read_bytes().decode("utf-8")
        except UnicodeDecodeError:
            continue
        if path.suffix == ".ipynb":
            text = "\n".join(strings(json.loads(text)))
        if "\0" not in text:
            found[relative(path)] = text
    return found


def strings(node) -> Iterator[str]:
    "Every text in a notebook, images and videos left out."
    if isinstance(node, str):
        yield node
    elif isinstance(node, list):
        for item in node:
            yield from strings(item)
    elif isinstance(node, dict):
        for kind, item in node.items():
            if not kind.startswith(("image/", "video/")):
                yield from strings(item)


@pytest.mark.parametrize("rule", [machine_paths, registry_hosts])
def test_texts_hold_everywhere(rule):
    found = {name: rule(text)[:5] for name, text in texts().items() if rule(text)}
    assert not found, f"{rule.__doc__} {found}"


@pytest.mark.parametrize(
    "rule,text",
    [
        (machine_paths, "see /" + "work/main"),
        (machine_paths, 'File "/' + 'root/a.py"'),
        (machine_paths, 'open("/' + 'home/me/x")'),
        (machine_paths, "/" + "tmp/w"),
        (registry_hosts, "https://py" + "pi.org/simple"),
        (registry_hosts, "files.python" + "hosted.org"),
        (registry_hosts, "registry.npm" + "js.org"),
    ],
)
def test_addresses_are_found(rule, text):
    assert rule(text)


def test_good_texts_are_accepted():
    text = "/".join(["nbs", "work", "x"]) + " and https://a.org/home/x and ../data_samples"
    assert not machine_paths(text) and not registry_hosts(text)


def test_notebooks_are_read_without_their_images():
    output = {"data": {"image/png": "A" * 99, "text/plain": ["a", "b"]}}
    assert list(strings({"cells": [{"source": "text", "outputs": [output]}]})) == ["text", "a", "b"]


def test_texts_are_those_of_the_project():
    found = texts()
    assert {"README.md", "nbs/index.ipynb", relative(Path(__file__))} <= set(found)
    assert not any("__pycache__" in name for name in found)
