"What a short command does not wait for."

import json
import subprocess
import sys

import pytest
from method_table import FILE, described

from animlib.zoo.catalog import zoo

SLOW_TO_LOAD = ("torch", "torch._dynamo", "sympy", "scipy", "matplotlib", "sklearn")


def loaded_by(statements: str) -> list[str]:
    "Which slow packages a fresh process has loaded after some statements."
    code = f"import sys\n{statements}\nprint([n for n in {SLOW_TO_LOAD} if n in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(found.stdout.splitlines()[-1].replace("'", '"'))


def test_the_kept_list_of_methods_is_todays():
    assert FILE.read_text(encoding="utf-8") == described(), "python tests/support/method_table.py"


@pytest.mark.parametrize("words", [["models"], ["--version"], ["--help"], ["animate", "--help"]])
def test_what_needs_no_network_does_not_load_pytorch(words):
    assert loaded_by(f"from animlib.cli import main\nassert main({words}) == 0") == []


def test_a_trained_model_is_opened_without_the_compiler():
    names = "\n".join(f"load({name!r})" for name in zoo())

    assert loaded_by(f"from animlib.zoo.hub import load\n{names}") == ["torch"]
