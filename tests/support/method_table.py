"The kept list of methods: `python tests/support/method_table.py` writes it."

import json

from project_files import ROOT

from animlib.models.names import MODULES
from animlib.models.registry import describe_method

FILE = ROOT / "nbs" / "assets" / "methods.json"


def described() -> str:
    "The rows of today's code, as they are kept."
    return json.dumps([describe_method(name) for name in MODULES], indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(described(), encoding="utf-8")
