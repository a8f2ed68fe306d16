"""README.md is nbs/index.ipynb, told from the top: `python tests/support/readme.py --write`.

The list of chapters in the notebook is made first. Text stays as it is but for links, which are
told from the top of the project; code cells become fenced blocks with their text output below."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from posixpath import normpath

ROOT = Path(__file__).parents[2]
INDEX = ROOT / "nbs" / "index.ipynb"
CONTENTS = "## Contents"
NOTE = "<!-- Made from nbs/index.ipynb by `python tests/support/readme.py --write`. -->"


def from_top(text: str, folder: str) -> str:
    "A text of `folder` with its relative links told from the top of the project."

    def from_top_link(match: re.Match) -> str:
        opening, target = match.groups()
        if re.match(r"[a-z]+:|[#/]", target):
            return match[0]
        return opening + normpath(f"{folder}/{target}")

    return re.sub(r'(\]\(|(?:src|href)=")([^)"\s]+)', from_top_link, text)


def fenced(text: str, language: str = "") -> str:
    "A fenced block, with a fence that is longer than any run of backticks inside."
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def output_text(output: dict) -> str:
    "The text of a stored output; an image has to be a file with a link."
    data = output.get("data", {})
    if any(kind.startswith("image/") for kind in data):
        raise ValueError(
            "a stored image cannot go into README.md: "
            "save it below nbs/assets and link it in a text cell"
        )
    return "".join(output.get("text") or data.get("text/plain", ""))


def code_parts(cell: dict) -> Iterator[str]:
    "A visible code cell without its directives, then its output."
    source = "".join(cell["source"])
    if not source.strip() or re.match(r"#\s*\|\s*hide", source):
        return
    lines = [line for line in source.splitlines() if not re.match(r"#\s*\|", line)]
    yield fenced("\n".join(lines), "python")
    output = "".join(map(output_text, cell["outputs"])).strip()
    if output:
        yield fenced(output)


def parts(cells: list[dict], folder: str) -> Iterator[str]:
    "The pieces of a README, one or two for each cell."
    for cell in cells:
        if cell["cell_type"] == "markdown":
            yield from_top("".join(cell["source"]), folder).strip()
        elif cell["cell_type"] == "code":
            yield from code_parts(cell)


def readme_from(path: Path) -> str:
    "The README (Markdown) that a notebook renders to."
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join([NOTE, *parts(cells, path.parent.name)]) + "\n"


def with_contents(text: str) -> str:
    "The index notebook with its list of chapters made anew."
    sys.path.insert(0, str(ROOT))
    from animlib.run.book import contents, read_book

    index = json.loads(text)
    for cell in index["cells"]:
        if "".join(cell["source"]).startswith(CONTENTS):
            made = f"{CONTENTS}\n\n{contents(read_book(ROOT / 'nbs'))}"
            cell["source"] = made.splitlines(keepends=True)
    return json.dumps(index, sort_keys=True, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    if "--write" in sys.argv:
        INDEX.write_text(with_contents(INDEX.read_text(encoding="utf-8")), encoding="utf-8")
    readme = readme_from(INDEX)
    if "--write" in sys.argv:
        (ROOT / "README.md").write_text(readme, encoding="utf-8")
    else:
        print(readme, end="")
