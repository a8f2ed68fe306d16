"""What executed notebooks show."""

import json
from pathlib import Path


def outputs(path: Path) -> list[dict]:
    "Every output of a notebook, in order."
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [output for cell in cells for output in cell.get("outputs", ())]


def count_images(path: Path) -> int:
    "How many outputs are images."
    kinds = {"image/png", "image/jpeg", "image/webp"}
    return sum(bool(kinds & output.get("data", {}).keys()) for output in outputs(path))


def count_plots(path: Path) -> int:
    "How many outputs are plots that answer the mouse; each has its image, too."
    forms = [output.get("data", {}) for output in outputs(path)]
    plots = [o for o in forms if "application/vnd.plotly.v1+json" in o]
    assert all("image/png" in o for o in plots)
    return len(plots)


def shown(path: Path, kind: str) -> str:
    "All outputs of one kind, such as text/html, as one text."
    return "".join("".join(output.get("data", {}).get(kind, "")) for output in outputs(path))


def text(path: Path) -> str:
    "What a notebook prints and what it displays as Markdown, in order."
    parts = []
    for output in outputs(path):
        parts.append("".join(output.get("text", "")))
        parts.append("".join(output.get("data", {}).get("text/markdown", "")))
    return "".join(parts)
