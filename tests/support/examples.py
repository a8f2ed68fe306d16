"""Pipelines keep what a run with their defaults shows: `python tests/support/examples.py NAME`.

A visitor sees a report and not code alone; `nbs/pipelines/executed.json` says of which code.
Videos are kept with fewer bytes than the run gave them."""

import hashlib
import json
import os
import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
PIPELINES = ROOT / "nbs" / "pipelines"
EXECUTED = PIPELINES / "executed.json"
PLACES = re.compile(r"(/(home|root|tmp|Users|work|var|mnt|opt)/|[A-Z]:\\)")  # of one machine
KEPT = {"name", "text", "data", "output_type"}


def code_digest(path: Path) -> str:
    "What the code cells of a notebook are, in one word."
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return hashlib.sha256(json.dumps(code).encode()).hexdigest()[:16]


def kept_outputs(cell: dict) -> list[dict]:
    "The outputs of an executed cell without what belongs to one run or one machine."
    from light import light_data

    found = []
    for output in cell["outputs"]:
        if output.get("name") == "stderr":
            continue
        kept = {name: output[name] for name in output if name in KEPT} | {"metadata": {}}
        if "data" in output:
            kept["data"] = light_data(output["data"])
        if output["output_type"] == "stream":
            kept.pop("metadata")
        if output["output_type"] == "execute_result":
            kept["execution_count"] = None
        found.append(kept)
    return found


def places_in(path: Path) -> list[str]:
    "Paths of a machine in the texts that a notebook shows."
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    found = []
    for output in (output for cell in cells for output in cell.get("outputs", ())):
        data = output.get("data", {})
        texts = [output.get("text", ""), *(data[kind] for kind in data if "image" not in kind)]
        lines = "".join("".join(text) for text in texts if not isinstance(text, dict)).splitlines()
        found += [line[:200] for line in lines if PLACES.search(line) and ";base64," not in line]
    return found


def keep(name: str):
    "Run a pipeline with its defaults, and keep what it shows."
    from animlib.run.notebooks import run_notebook

    path = PIPELINES / f"{name}.ipynb"
    with tempfile.TemporaryDirectory() as folder:
        made = run_notebook(path, Path(folder, "out.ipynb"), {}, folder, False)
        cells = json.loads(made.read_text(encoding="utf-8"))["cells"]
    executed = {cell["id"]: cell for cell in cells if cell["cell_type"] == "code"}
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = kept_outputs(executed[cell["id"]])
    text = json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True)
    path.write_text(f"{text}\n", encoding="utf-8")
    digests = json.loads(EXECUTED.read_text()) if EXECUTED.exists() else {}
    digests[name] = code_digest(path)
    EXECUTED.write_text(json.dumps(digests, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    for name in sys.argv[1:] or sorted(path.stem for path in PIPELINES.glob("*.ipynb")):
        keep(name)
        print(f"{name}: kept")
