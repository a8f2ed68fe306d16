"""Options, markers and fixtures that every test shares."""

import os
import shutil
from pathlib import Path

import pytest
from browser import browser as browser  # a fixture
from hardware import has_cuda
from lab import lab as lab  # a fixture
from project_files import ROOT

# Before torch is imported anywhere, and inherited by every process that a test starts: two
# notebooks run side by side.
THREADS = max(1, min(4, (os.cpu_count() or 2) // 2))
os.environ.setdefault("OMP_NUM_THREADS", str(THREADS))
os.environ.pop("IN_TEST", None)  # nbdev sets it while it tests; its commands do nothing under it


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="also run what takes minutes")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--slow"):
        skip(items, "slow", "takes minutes: run with --slow")
    if any("cuda" in item.keywords for item in items) and not has_cuda():
        skip(items, "cuda", "needs a CUDA device")


def skip(items, marker: str, reason: str):
    "Skip the tests with this marker."
    for item in items:
        if marker in item.keywords:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def root() -> Path:
    "The top of the project."
    return ROOT


@pytest.fixture(scope="session")
def scratch(tmp_path_factory):
    "A folder for the whole session, removed at its end."
    path = tmp_path_factory.mktemp("session")
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def copy(scratch) -> Path:
    "A copy of what nbdev works on (notebooks, package, settings), free to be written to."
    generated = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints", "runs", "_modidx.py")
    for folder in ("nbs", "animlib"):
        shutil.copytree(ROOT / folder, scratch / "copy" / folder, ignore=generated)
    for file in ("pyproject.toml", "settings.ini", "setup.py", "README.md"):
        shutil.copy(ROOT / file, scratch / "copy")
    return scratch / "copy"


@pytest.fixture(scope="session")
def tiny_model_file(scratch) -> Path:
    "A model of 32 px, trained for seconds: its keypoints have spread, nothing more is promised."
    from animlib.cli import main

    run = scratch / "tiny"
    command = (
        f"train fomm --data toy:body --preset toy --run {run} --device cpu "
        "--steps 30 --clips 10 --frames 6 -o batch=4 -o preview_every=0"
    )
    assert main(command.split()) == 0
    return run / "model.safetensors"


@pytest.fixture(scope="session")
def demo_folder(scratch) -> Path:
    "What the demonstration leaves behind; it runs once for all tests that look at it."
    from animlib.run.demo import demo

    return demo(scratch / "demo", progress=False)
