"""Clean notebooks before a commit: `python tests/support/clean.py [NOTEBOOK...]`.

What `nbdev-clean` does: no counters, no metadata of an editor. Then every notebook is given the
metadata that JupyterLab writes into it as soon as it is opened, so that none is marked unsaved
when it is merely read; nbdev alone would call the kernel `python3` again. Temporary folders, which
are called otherwise in every run, are cut off paths that were printed."""

import json
import re
import sys
from pathlib import Path

from fastcore.nbio import nb2str
from nbdev.clean import clean_nb
from nbdev.config import get_config

ROOT = Path(__file__).parents[2]
METADATA = dict(
    kernelspec=dict(name="python3", display_name="Python 3 (ipykernel)", language="python"),
    language_info=dict(
        name="python",
        version="3.11.7",  # of the kernel that ran last: under another one JupyterLab changes it
        mimetype="text/x-python",
        file_extension=".py",
        pygments_lexer="ipython3",
        nbconvert_exporter="python",
        codemirror_mode=dict(name="ipython", version=3),
    ),
)
TEMPORARY = re.compile(r"/(?:tmp|var/folders/[\w/]+)/tmp\w{8}/")


def shorten_paths(notebook: dict):
    "Printed paths start below the temporary folder of a run."
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            if "text" in output:
                output["text"] = [TEMPORARY.sub("", line) for line in output["text"]]


def cleaned(text: str) -> str:
    "A notebook as it is stored."
    notebook = json.loads(text)
    kept = get_config(path=ROOT).get("allowed_cell_metadata_keys")
    clean_nb(notebook, allowed_cell_metadata_keys=kept)
    notebook["metadata"] = METADATA
    shorten_paths(notebook)
    return nb2str(notebook)


def clean(path: Path):
    "Clean one notebook; a clean one is left alone."
    text = path.read_text(encoding="utf-8")
    new = cleaned(text)
    if new != text:
        path.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]) if sys.argv[1:] else (ROOT / "nbs").rglob("*.ipynb"):
        clean(path)
