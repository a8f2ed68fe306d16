"""Write `animlib/` from the notebooks, and format it: `python tests/support/export.py`.

nbdev joins the exported cells of each notebook into its module; ruff gives the result its form."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXPORT = "from nbdev.doclinks import nbdev_export; nbdev_export()"


def export(folder: Path = ROOT):
    "Run nbdev-export in a checkout, then `ruff format` on what it wrote."
    # nbdev-export does nothing under IN_TEST
    environment = {name: text for name, text in os.environ.items() if name != "IN_TEST"}
    for command in (["-c", EXPORT], ["-m", "ruff", "format", "-q", "animlib"]):
        subprocess.run([sys.executable, *command], cwd=folder, env=environment, check=True)


if __name__ == "__main__":
    export()
