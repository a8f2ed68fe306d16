"""Files that say the same thing agree, and the package is what they promise."""

import json
import re
import subprocess
import sys
from importlib import metadata

import pytest
import yaml
from notebook_files import code_cell, text_cell
from packaging.requirements import Requirement
from project_files import HEAVY, MAY_BE_HEAVY, ROOT, module_name, modules, settings
from readme import from_top, readme_from

import animlib

SETTINGS = settings()
README = (ROOT / "README.md").read_text(encoding="utf-8")
DEMO_COMMAND = (
    'python3 -m venv .venv && . .venv/bin/activate && pip install -e ".[notebooks]" && animlib demo'
)
TEST_COMMAND = 'pip install -e ".[dev]" && pytest'


def python(code: str) -> subprocess.CompletedProcess:
    "Run a line of code in a fresh process."
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


# ---- files ----
def test_every_file_has_a_plain_name():
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True)
    if listed.returncode:
        pytest.skip("this is no git checkout")
    names = listed.stdout.decode().rstrip("\0").split("\0")
    odd = [name for name in names if not re.fullmatch(r"[\w.+/-]+", name, re.ASCII)]
    assert not odd, "left by a trial? no file of the project has such a name"


# ---- settings ----
def test_settings_agree_with_pyproject():
    toml = pytest.importorskip("tomllib" if sys.version_info >= (3, 11) else "tomli")
    pyproject = toml.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = pyproject["project"]
    nbdev = pyproject["tool"]["nbdev"]

    assert project["name"] == SETTINGS["lib_name"]
    assert set(project) == {"name", "dynamic"}, "the rest is written in settings.ini"
    for key in ("lib_path", "nbs_path", "doc_path", "branch"):
        assert nbdev[key] == SETTINGS[key], key
    kept = nbdev["allowed_cell_metadata_keys"]
    assert set(kept) == {"tags", "jupyter"}, "papermill needs the tags; folded solutions"
    assert {"slow", "cuda", "notest"} <= set(nbdev["tst_flags"].split())


def test_nbdev_reads_the_project():
    from nbdev.config import get_config

    config = get_config(ROOT)

    assert config.config_path == ROOT
    assert config.lib_name == SETTINGS["lib_name"]
    assert config.version == SETTINGS["version"]
    assert config.lib_path == ROOT / SETTINGS["lib_path"]


def test_package_has_the_version_of_the_settings():
    result = python("import animlib; print(animlib.__version__)")
    assert result.stdout.strip() == SETTINGS["version"], result.stderr


def test_installed_package_has_the_settings():
    "What pip knows is what settings.ini declares: `pip install -e .` again after a change."
    try:
        installed = metadata.distribution(SETTINGS["lib_name"])
    except metadata.PackageNotFoundError:
        pytest.skip("animlib is not installed")
    want = {str(Requirement(text)) for text in SETTINGS["requirements"].split()}
    have = {str(Requirement(text)) for text in installed.requires if "extra ==" not in text}
    commands = {entry.name: entry.value for entry in installed.entry_points}

    assert installed.version == SETTINGS["version"]
    assert have == want
    assert commands == {"animlib": SETTINGS["console_scripts"].split("=")[1]}


def test_torch_is_capped():
    "The newest torch that was tried; without a cap pip takes whatever came out last."
    torch = [o for o in SETTINGS["requirements"].split() if re.match(r"torch\b", o)]
    assert torch == ["torch>=2.6,<2.14"]


def test_tools_of_the_tests_are_installed_with_them():
    needed = {"pytest", "ruff", "mypy"}
    assert needed <= {Requirement(o).name for o in SETTINGS["dev_requirements"].split()}


def test_hooks_before_a_commit_are_local():
    "Every hook runs a command of this project or of its requirements; nothing is downloaded."
    text = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    repositories = yaml.safe_load(text)["repos"]
    hooks = [hook for repository in repositories for hook in repository["hooks"]]
    commands = [hook["entry"] for hook in hooks]

    assert [repository["repo"] for repository in repositories] == ["local"]
    assert all(hook["language"] == "system" for hook in hooks)
    assert "://" not in text
    wanted = [
        "python tests/support/export.py",
        "python tests/support/clean.py",
        "ruff format",
        "ruff check",
    ]
    for command in wanted:
        assert any(entry.startswith(command) for entry in commands), command
    words = [word for entry in commands for word in entry.split()]
    assert all((ROOT / word).exists() for word in words if word.endswith(".py"))


# ---- README ----
def test_readme_is_the_index_notebook():
    want = readme_from(ROOT / "nbs" / "index.ipynb")
    assert README == want, "run: python tests/support/readme.py --write"


def test_readme_has_the_two_commands():
    assert DEMO_COMMAND in README.splitlines()
    assert TEST_COMMAND in README.splitlines()


def test_readme_links_lead_somewhere():
    pairs = re.findall(r'\]\(([^)\s]+)\)|(?:src|href)="([^"]+)"', README)
    links = [markdown or html for markdown, html in pairs]
    local = [link for link in links if not re.match(r"[a-z]+:|#", link)]
    lost = [link for link in local if not (ROOT / link.partition("#")[0]).exists()]
    assert not lost


def test_links_are_told_from_the_top():
    below = (
        '[a](0_f/00.ipynb) ![b](../data_samples/x.gif) <img src="assets/y.png"> [c](https://d.e/f)'
    )
    from_the_top = (
        "[a](nbs/0_f/00.ipynb) ![b](data_samples/x.gif) "
        '<img src="nbs/assets/y.png"> [c](https://d.e/f)'
    )
    assert from_top(below, "nbs") == from_the_top


def write_index(folder, *cells):
    "A notebook with these cells, in a folder nbs."
    path = folder / "nbs" / "a.ipynb"
    path.parent.mkdir()
    path.write_text(json.dumps(dict(cells=cells)))
    return path


def test_readme_shows_code_and_its_output(tmp_path):
    path = write_index(
        tmp_path,
        text_cell("# T"),
        code_cell("#| hide\nsecret"),
        code_cell("#| echo: true\n1+1", outputs=[dict(data={"text/plain": ["2"]})]),
        code_cell('print("`" * 3)', outputs=[dict(text="```\n")]),
    )
    note, _, text = readme_from(path).partition("\n\n")
    assert text == (
        "# T\n\n```python\n1+1\n```\n\n```\n2\n```\n\n"
        '```python\nprint("`" * 3)\n```\n\n````\n```\n````\n'
    )


def test_readme_takes_no_stored_image(tmp_path):
    figure = dict(data={"image/png": "x", "text/plain": "Figure"})
    path = write_index(tmp_path, code_cell("plot()", outputs=[figure]))
    with pytest.raises(ValueError, match="nbs/assets"):
        readme_from(path)


# ---- the package ----
def test_every_folder_of_modules_is_a_package():
    lost = {path.parent for path in modules() if not (path.parent / "__init__.py").exists()}
    assert not lost, f"{lost}: nbdev-export makes the missing __init__.py"


def test_public_names_answer():
    missing = "[name for name in animlib.__all__ if not callable(getattr(animlib, name))]"
    result = python(f"import animlib; print({missing})")
    assert result.stdout.strip() == "[]", result.stderr


def test_submodules_do_not_hide_public_names():
    result = python(
        "import animlib, animlib.animation, animlib.models.fomm as fomm; "
        "print(callable(animlib.animate), fomm.__name__)"
    )
    names = {module_name(path) for path in modules()}

    assert result.stdout.split() == ["True", "animlib.models.fomm"], result.stderr
    assert not names & set(animlib.__all__), "no module has the name of a function"


def test_library_is_light_to_import():
    "Everything but what shows things works where there is no Jupyter, plotly or papermill."
    names = [module_name(path) for path in modules() if not path.name.startswith("__")]
    light = [name for name in names if name.split(".")[0] not in MAY_BE_HEAVY]
    code = [f"import animlib.{name}" for name in light]
    code += ["import sys", f"print(sorted(set({HEAVY}) & set(sys.modules)))"]
    result = python("; ".join(code))
    assert result.stdout.strip() == "[]", result.stdout + result.stderr
