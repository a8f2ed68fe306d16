"""What the package annotates is right, as far as mypy sees (settings: pyproject.toml)."""

import subprocess
import sys

import pytest
from project_files import ROOT


def mypy(*files) -> subprocess.CompletedProcess:
    "Check these files, or the package if there are none."
    settings = ["--config-file", str(ROOT / "pyproject.toml"), "--no-error-summary"]
    command = [sys.executable, "-m", "mypy", *settings, *map(str, files)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_types_of_the_package():
    result = mypy()
    if result.returncode:
        pytest.fail(result.stdout + result.stderr, pytrace=False)


REFUSED = [
    "def size(image: str) -> int:\n    return image\n",
    "def size(image=None):\n    return len(3)\n",  # without annotations, too
    "from animlib.geometry import identity_grid\n\nidentity_grid('64', 64)\n",
    "import torch\n\ntorch.zeros(2).unknown()\n",
    "def first(names: list[str] | None) -> str:\n    return names[0]\n",
]
ACCEPTED = """
import papermill
import torch
from einops import rearrange
from torch import Tensor

names = []


def flat(image: Tensor) -> Tensor:
    names.append("flat")
    image = torch.as_tensor(image)
    return rearrange(image, "b c h w -> b (c h w)")


class Half(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.layer = torch.nn.Linear(width, width // 2)

    def forward(self, features):
        return self.layer(features) * self.layer.weight.mean()
"""


@pytest.mark.parametrize("source", REFUSED)
def test_wrong_types_are_found(source, tmp_path):
    path = tmp_path / "example.py"
    path.write_text(source)
    assert mypy(path).returncode == 1


def test_right_types_are_accepted(tmp_path):
    path = tmp_path / "example.py"
    path.write_text(ACCEPTED)
    result = mypy(path)
    assert result.returncode == 0, result.stdout + result.stderr
