"A page of results on a phone: as wide as the screen; what is wider is moved by itself."

import pytest
from browser import open_file
from notebook_files import text_cell, write_cells

from animlib.run.page import write_page

TABLE = "| a long title of a column " * 12 + "|\n" + "|---" * 12 + "|\n" + "| 0.125 " * 12 + "|"


@pytest.mark.parametrize("width", [390, 1200])
def test_a_wide_table_does_not_widen_the_page(browser, tmp_path, width):
    words = "plain words " * 30
    notebook = write_cells(tmp_path / "a.ipynb", [text_cell(f"# Title\n\n{words}\n\n{TABLE}")])
    page = write_page(notebook, tmp_path / "a.html")
    window = dict(width=width, height=800)

    shown = open_file(browser, page, viewport=window, is_mobile=width < 400)

    of_page = "(at => [at.scrollWidth, innerWidth])(document.documentElement)"
    assert shown.page.evaluate(of_page) == [width, width]
    whole, seen = shown.page.evaluate(
        "(at => [at.scrollWidth, at.clientWidth])(document.querySelector('table'))"
    )
    assert whole > seen and seen <= width
    assert not shown.problems and not shown.requests
