"""An editable install is found from everywhere, also from the folder that holds the clone."""

import shutil
import subprocess
import sys
import zipfile

import pytest
from project_files import ROOT

FILES = ["setup.py", "pyproject.toml", "settings.ini", "README.md", "LICENSE"]
SHOW = "import importlib.util; print(importlib.util.find_spec('animlib').origin)"


@pytest.fixture
def clone(tmp_path):
    "A clone in a folder named as the package, with nothing but what an install reads."
    clone = tmp_path / "parent" / "animlib"
    clone.mkdir(parents=True)
    for name in FILES:
        shutil.copy(ROOT / name, clone / name)
    (clone / "animlib").mkdir()
    shutil.copy(ROOT / "animlib" / "__init__.py", clone / "animlib")
    return clone


def installed_paths(clone, folder):
    "What `pip install -e` would write into site-packages."
    code = f"from setuptools import build_meta; print(build_meta.build_editable({str(folder)!r}))"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=clone, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-500:]
    site = folder / "site-packages"
    for wheel in folder.glob("*.whl"):
        zipfile.ZipFile(wheel).extractall(site)
    return site


def test_no_folder_hides_an_editable_install(clone, tmp_path):
    site = installed_paths(clone, tmp_path / "wheel")

    code = f"import site; site.addsitedir({str(site)!r}); {SHOW}"
    for folder in (clone.parent, clone, tmp_path):
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, ''); {code}"],
            cwd=folder,
            capture_output=True,
            text=True,
        )
        assert done.stdout.strip() == str(clone / "animlib" / "__init__.py"), (folder, done)
