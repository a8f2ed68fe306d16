"""Where a text mentions a chapter, it links it; links of notebooks and README lead somewhere."""

import json
import re
from pathlib import Path

import pytest
from chapter_links import chapter_finder, mentions, unlinked, with_links, with_titles
from notebook_files import text_cell, write_cells
from project_files import ROOT, notebooks, relative
from readme import INDEX, with_contents

NBS = ROOT / "nbs"
LINK = re.compile(r"\[([^\]]*)\]\(([^)\s#]+)[^)]*\)")


@pytest.mark.parametrize(
    "text,items",
    [
        ("see chapter 126.", ["126"]),
        ("You need chapters 025 (the loop) and 126 (tables).", ["025", "126"]),
        ("the chapters before it are `a.b`, `c` and *D e*", ["`a.b`", "`c`", "*D e*"]),
        ("chapters [001 A](a.ipynb) and 002", ["002"]),
        ("in [chapter 122](a.ipynb), and in chapter 123", ["123"]),
        ("After this chapter you can", []),
        ("in [the chapter before](a.ipynb), 120 px", []),
    ],
)
def test_mentions_are_found(text, items):
    assert [item[0] for item in mentions(text)] == items


def test_mentions_become_links():
    made = with_links("chapters 025 and *No such*", {"025": "[025](a)"}.get and by_number)
    assert made == "chapters [025](a) and *No such*"


def by_number(item):
    "A link for one chapter; nothing for others."
    return "[025](a)" if item["number"] == "025" else None


@pytest.mark.parametrize(
    "text,expected",
    [
        ("[003 Heatmaps](a.ipynb)", "[003 Heatmaps](a.ipynb)"),
        ("[003 the soft-argmax](a.ipynb)", "[003 the soft-argmax](a.ipynb)"),
        ("[003 Bumps](a.ipynb)", "[003 Heatmaps and the soft-argmax](a.ipynb)"),
        (
            "[003 `heatmaps`](a.ipynb), [999 X](a.ipynb)",
            "[003 `heatmaps`](a.ipynb), [999 X](a.ipynb)",
        ),
    ],
)
def test_links_use_words_of_titles(text, expected):
    titles = {"003": "Heatmaps and the soft-argmax: places from maps"}
    assert with_titles(text, titles) == expected


def write_book(nbs: Path, text: str):
    "A book of two chapters; the second one, Y, holds a text."
    (nbs / "00_a").mkdir()
    write_cells(nbs / "00_a" / "001_x.ipynb", [text_cell("# X")])
    write_cells(nbs / "00_a" / "002_y.ipynb", [text_cell(f"# Y\n\n{text}") | dict(id="a")])
    write_cells(nbs / "index.ipynb", [text_cell("# I\n\n**[A](00_a)**: Why?")])


def test_a_link_by_an_old_title_is_seen(tmp_path):
    write_book(tmp_path, "Read [001 Old](001_x.ipynb), [001 X](001_x.ipynb).")
    assert unlinked(tmp_path) == ["00_a/002_y.ipynb a: [001 Old]"]


def test_a_link_tells_number_and_place():
    link = chapter_finder(NBS)
    (item,) = mentions("chapter `detectors.jacobian`")
    assert link(item, "06_x/060_y.ipynb") == (
        "[051 `detectors.jacobian`](../05_fomm/051_detectors.jacobian.ipynb)"
    )


def test_an_unlinked_mention_is_seen(tmp_path):
    write_book(tmp_path, "See chapter 001.")
    (found,) = unlinked(tmp_path)
    assert found.startswith("00_a/002_y.ipynb") and found.endswith("001")


def test_every_mention_of_a_chapter_is_a_link():
    found = unlinked(NBS)
    assert not found, "run: python tests/support/chapter_links.py --write\n" + "\n".join(found)


def links_of(path: Path) -> list[tuple[str, str]]:
    "Text and target of the links of a notebook."
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    return LINK.findall(re.sub(r"```.*?```", "", "\n".join(texts), flags=re.DOTALL))


def wrong_links(path: Path) -> list[str]:
    "Links to files that are not there, or to a chapter of another number."
    found = []
    for text, target in links_of(path):
        if re.match(r"[a-z]+:", target) or "`" in target:
            continue
        file = path.parent / target
        number = re.match(r"\d{3}[a-z]?\b", text)
        if not file.exists() or (number and not file.name.startswith(f"{number[0]}_")):
            found.append(f"{path.name}: [{text}]({target})")
    return found


def test_a_wrong_link_is_seen(tmp_path):
    cells = [text_cell("[a](b.ipynb) [002 X](001_x.ipynb) [001 X](001_x.ipynb)")]
    path = write_cells(tmp_path / "001_x.ipynb", cells)
    assert len(wrong_links(path)) == 2


def test_links_of_notebooks_lead_somewhere():
    wrong = {relative(path): wrong_links(path) for path in notebooks()}
    assert not {path: found for path, found in wrong.items() if found}


def test_the_table_of_contents_is_fresh():
    text = INDEX.read_text(encoding="utf-8")
    assert with_contents(text) == text, "run: python tests/support/readme.py --write"
