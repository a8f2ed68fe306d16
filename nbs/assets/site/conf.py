"How Sphinx makes the site of what `animlib docs` has put beside this file."

import json
from functools import cache
from pathlib import Path

from sphinx.pycode import ModuleAnalyzer

HERE = Path(__file__).parent
told = json.loads((HERE / "told.json").read_text(encoding="utf-8"))

project = "animlib"
author = told["author"]
project_copyright = told["copyright"]
version = release = told["version"]
extensions = ["myst_nb", "sphinx_copybutton", "sphinx.ext.viewcode"]
exclude_patterns = ["extra", "conf.py"]

nb_execution_mode = "off"  # stored outputs are shown
nb_ipywidgets_js = {}  # a widget has no kernel here: its static twin is shown
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 4
mathjax_path = "mathjax/tex-svg.js"
# no menu and no speech: they would be fetched when they are asked for
mathjax3_config = {"options": {"enableMenu": False}}
python_maximum_signature_line_length = 76
viewcode_follow_imported_members = False  # it would import the module
copybutton_exclude = ".linenos, .gp, .go"

html_theme = "furo"
html_title = "animlib"
html_static_path = ["_static"]
html_extra_path = ["extra"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_favicon = "_static/icon.svg"
html_logo = "_static/icon.svg"
html_copy_source = False
html_show_sphinx = False
html_last_updated_fmt = None
html_theme_options = {
    "navigation_with_keys": True,
    "light_css_variables": {
        "color-brand-primary": "#6d28a8",
        "color-brand-content": "#6d28a8",
        "color-brand-visited": "#6d28a8",
        "font-stack": "system-ui, -apple-system, Segoe UI, Roboto, Noto Sans, sans-serif",
        "font-stack--monospace": "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace",
    },
    "dark_css_variables": {
        "color-brand-primary": "#cf9bff",
        "color-brand-content": "#cf9bff",
        "color-brand-visited": "#cf9bff",
    },
}


@cache
def source_of(module: str):
    "The text of a module and where its names stand, without importing it."
    path = Path(told["package"]).parent.joinpath(*module.split(".")).with_suffix(".py")
    analyzer = ModuleAnalyzer.for_string(path.read_text(encoding="utf-8"), module)
    analyzer.find_tags()
    return analyzer.code, analyzer.tags


def setup(app):
    "Sources are read where they lie."
    app.connect("viewcode-find-source", lambda app, module: source_of(module))
