"""Explorers as reports: executed by papermill, exported as a page, nothing on it is blank."""

import ast
import json
import re

import pytest
from nbconvert import HTMLExporter

from animlib.explore.app import explorers
from animlib.run.notebooks import notebook_parameters, run_notebook

LITTLE = {"frames": 6}  # for those that have such a parameter


def shows_something(source: str) -> bool:
    "Whether a cell ends with an expression whose result is displayed."
    body = ast.parse(source).body
    return bool(body) and isinstance(body[-1], ast.Expr)


@pytest.mark.parametrize("name", explorers())
def test_a_report_has_no_blank_cell(name, tmp_path):
    path = explorers()[name]
    known = notebook_parameters(path)
    given = {key: value for key, value in LITTLE.items() if key in known}
    out = run_notebook(path, tmp_path / "report.ipynb", given, progress=False)

    cells = json.loads(out.read_text())["cells"]
    showing = [
        o for o in cells if o["cell_type"] == "code" and shows_something("".join(o["source"]))
    ]
    assert showing
    for cell in showing:
        seen = json.dumps(cell["outputs"])
        assert "data:image/webp;base64," in seen or '"image/png"' in seen, cell["source"]
    page, _ = HTMLExporter(embed_images=True).from_filename(str(out))
    images = re.findall(r'<img[^>]*src="data:image/(?:png|gif|webp);base64,[^"]{500,}"', page)
    assert len(images) >= len(showing)
