"""What each chapter offers a reader, as a table: `python tests/support/teaching.py [NUMBER...]`.

Steps: numbered ones in its texts, exercises left out. Words a line: words of text for each line of
code that is neither exported nor hidden. Cell: lines of the median such cell. Mannered: nobody,
somebody, whose, whom in a thousand words."""

import json
import re
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

from project_files import chapters, read_cells, title, visible_lines
from seconds import FILE, place

MANNERED = re.compile(r"\b(nobody|somebody|whose|whom)\b", re.IGNORECASE)
STEP = re.compile(r"^\s*(?:\*\*)?(?:Step )?\d+[.:]", re.MULTILINE)


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


def offer(path: Path, times: dict[str, float]) -> Offer:
    "What a chapter offers."
    cells = read_cells(path)
    texts = [cell.source for cell in cells if cell.kind == "markdown" and not cell.source_hidden]
    words = " ".join(texts)
    code = visible_lines(cells)
    end = next((i for i, text in enumerate(texts) if text.startswith("## Exercise")), len(texts))
    return Offer(
        number=path.name.partition("_")[0],
        title=title(cells),
        steps=sum(len(STEP.findall(text)) for text in texts[:end]),
        exercises=sum("exercise" in cell.tags for cell in cells),
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
