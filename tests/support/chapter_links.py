"""Mentions of chapters in texts become numbers with links, and links name chapters by titles
that they have: run it with --write.

    python tests/support/chapter_links.py --write

Understood: chapter 126, chapters 025 (the loop) and 126, chapter *Regions*, chapter `media.read`,
the chapters before it are `media.hdr` and `media.timing`."""

import json
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from posixpath import relpath

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
START = re.compile(r"\b[Cc]hapters?(?: before it)?(?: (?:is|are))? ")
ITEM = re.compile(r"(?P<number>\d{3}[a-z]?)\b|\*(?P<title>[^*\n]+)\*|`(?P<module>[a-z_0-9.]+)`")
LINKED = re.compile(r"\[[^\]]*\]\([^)]*\)")
TITLED = re.compile(r"\[(?P<number>\d{3}[a-z]?) (?P<words>[^\]`]+)\](?=\([^)\s]*\.ipynb\))")
BETWEEN = re.compile(r"(?: \([^()]*\))?(?:, and |, | and | or )")


def mentions(text: str) -> list[re.Match]:
    "The items that follow the word chapter and are no links, in the order of the text."
    found = []
    linked = [link.span() for link in LINKED.finditer(text)]
    for start in START.finditer(text):
        place = start.end()
        if any(first < place < last for first, last in linked):
            continue
        while item := ITEM.match(text, place) or LINKED.match(text, place):
            if item.re is ITEM:
                found.append(item)
            between = BETWEEN.match(text, item.end())
            if between is None:
                break
            place = between.end()
    return found


def with_links(text: str, link: Callable[[re.Match], str | None]) -> str:
    "A text with each mention as a link; `link` says which, None: it is no chapter."
    for item in reversed(mentions(text)):
        made = link(item)
        if made:
            text = text[: item.start()] + made + text[item.end() :]
    return text


def named(link: re.Match, titles: Mapping[str, str]) -> str:  # number -> title
    "The words in brackets; those that are not in the title become the title up to its colon."
    title = titles.get(link["number"], link["words"])
    if link["words"].lower() in title.lower():
        return link[0]
    return f"[{link['number']} {title.partition(':')[0]}]"


def with_titles(text: str, titles: Mapping[str, str]) -> str:  # number -> title
    "A text whose links use words of the titles."
    return TITLED.sub(lambda link: named(link, titles), text)


def book_chapters(nbs: Path) -> list:
    "Every chapter of the book."
    from animlib.run.book import read_book

    return [chapter for part in read_book(nbs) for chapter in part.chapters]


def current_titles(nbs: Path) -> dict[str, str]:
    "Number -> title of every chapter."
    return {chapter.number: chapter.title for chapter in book_chapters(nbs) if chapter.number}


def chapter_finder(nbs: Path) -> Callable[[re.Match, str], str | None]:
    "A function from a mention and the place of its notebook to a link."
    chapters = book_chapters(nbs)
    by_number = {chapter.number: chapter for chapter in chapters if chapter.number}
    by_title = {chapter.title: chapter for chapter in chapters}
    by_module = {chapter.module: chapter for chapter in chapters if chapter.module}

    def link(item: re.Match, here: str) -> str | None:
        number, title, module = item["number"], item["title"], item["module"]
        chapter = by_number.get(number) or by_title.get(title) or by_module.get(module)
        if chapter is None:
            return None
        words = {"number": number, "title": f"{chapter.number} {title}"}
        words["module"] = f"{chapter.number} `{module}`"
        target = relpath(f"{chapter.place}.ipynb", str(Path(here).parent))
        return f"[{words[item.lastgroup].strip()}]({target})"

    return link


def unlinked(nbs: Path) -> list[str]:
    "Mentions that could be links, and links by an old title, as 'place cell: mention'."
    link = chapter_finder(nbs)
    titles = current_titles(nbs)
    found = []
    for path in sorted(nbs.rglob("*.ipynb")):
        place = path.relative_to(nbs).as_posix()
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            text = "".join(cell["source"]) if cell["cell_type"] == "markdown" else ""
            found += [f"{place} {cell['id']}: {o[0]}" for o in mentions(text) if link(o, place)]
            old = [o[0] for o in TITLED.finditer(text) if named(o, titles) != o[0]]
            found += [f"{place} {cell['id']}: {one}" for one in old]
    return found


def write_links(path: Path, nbs: Path, link: Callable, titles: Mapping[str, str]):
    "A notebook with its mentions as links, by current titles; a good one is left alone."
    notebook = json.loads(path.read_text(encoding="utf-8"))
    place = path.relative_to(nbs).as_posix()
    changed = False
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            old = "".join(cell["source"])
            new = with_titles(with_links(old, lambda item: link(item, place)), titles)
            changed = changed or new != old
            cell["source"] = new.splitlines(keepends=True)
    if changed:
        text = json.dumps(notebook, sort_keys=True, indent=1, ensure_ascii=False)
        path.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    nbs = ROOT / "nbs"
    if "--write" in sys.argv:
        finder = chapter_finder(nbs)
        titles = current_titles(nbs)
        for notebook in sorted(nbs.rglob("*.ipynb")):
            write_links(notebook, nbs, finder, titles)
    print("\n".join(unlinked(nbs)))
