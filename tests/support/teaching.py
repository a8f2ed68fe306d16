"""What each chapter offers a reader, as a table: `python tests/support/teaching.py [NUMBER...]`.

Derivation: numbered steps in its texts, exercises left out. Words a line: words of text for each
visible line of code. Cell: lines of the median visible code cell. Mannered: nobody, somebody,
whose, whom in a thousand words."""

import json
import re
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

from project_files import Cell, chapters, read_cells
from seconds import FILE, place

MANNERED = re.compile(r"\b(nobody|somebody|whose|whom)\b", re.IGNORECASE)
STEP = re.compile(r"^\s*(?:\*\*)?(?:Step )?\d+[.:]", re.MULTILINE)
FOLDED = {"hint", "solution", "mistake"}


@dataclass
class Offer:
    "One chapter in numbers."

    number: str
    title: str
    steps: int  # of derivations
    exercises: int
    seconds: float | None
    words: int
    lines: int  # of code that a reader sees
    cell: float  # lines of the median visible code cell
    mannered: int  # words

    @property
    def row(self) -> str:
        "A line of a Markdown table."
        time = "–" if self.seconds is None else f"{self.seconds:.0f}"
        dense = self.words / max(1, self.lines)
        mannered = 1000 * self.mannered / max(1, self.words)
        counts = f"{self.steps} | {self.exercises} | {time} | {dense:.1f} | {self.cell:.0f}"
        return f"| {self.number} | {self.title} | {counts} | {mannered:.1f} |"


def is_visible(cell: Cell) -> bool:
    "Whether a reader sees the code of a cell at once."
    hidden = re.match(r"#\s*\|\s*(hide|default_exp|code-fold)", cell.source)
    return cell.kind == "code" and not hidden and bool(cell.source.strip())


def offer(path: Path, times: dict[str, float]) -> Offer:
    "What a chapter offers."
    cells = read_cells(path)
    texts = [c.source for c in cells if c.kind == "markdown" and not FOLDED & set(c.tags)]
    words = " ".join(texts)
    code = [len(c.source.splitlines()) for c in cells if is_visible(c)]
    first = next((text for text in texts if text.startswith("# ")), "# ")
    end = next((i for i, text in enumerate(texts) if text.startswith("## Exercise")), len(texts))
    return Offer(
        number=path.name.partition("_")[0],
        title=first.splitlines()[0][2:],
        steps=sum(len(STEP.findall(text)) for text in texts[:end]),
        exercises=sum("exercise" in c.tags for c in cells),
        seconds=times.get(place(path)),
        words=len(words.split()),
        lines=sum(code),
        cell=statistics.median(code) if code else 0,
        mannered=len(MANNERED.findall(words)),
    )


def main(numbers: list[str]):
    times = json.loads(FILE.read_text(encoding="utf-8"))
    offers = [offer(path, times) for path in chapters()]
    chosen = [one for one in offers if not numbers or one.number in numbers]
    heads = "chapter | concept | steps | exercises | seconds | words a line | cell | mannered"
    print(f"| {heads} |\n{'|---' * 8}|")
    for one in chosen:
        print(one.row)
    words = sum(one.words for one in chosen)
    mannered = sum(one.mannered for one in chosen)
    solved = sum(one.exercises >= 3 for one in chosen)
    print(f"\n{len(chosen)} chapters, {solved} with three exercises or more,", end=" ")
    print(f"{sum(one.exercises for one in chosen)} exercises,", end=" ")
    print(f"{sum(one.steps for one in chosen)} steps,", end=" ")
    print(f"{1000 * mannered / max(1, words):.2f} mannered words in a thousand")


if __name__ == "__main__":
    main(sys.argv[1:])
