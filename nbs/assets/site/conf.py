"How Sphinx makes the site of what `animlib docs` has put beside this file."

import json
import re
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
myst_enable_extensions = ["dollarmath", "amsmath", "html_image"]
myst_heading_anchors = 4
mathjax_path = "mathjax/tex-svg.js"
# no menu and no speech: they would be fetched when they are asked for
mathjax3_config = {"options": {"enableMenu": False}}
add_module_names = False  # the page is the module's
python_maximum_signature_line_length = 76
viewcode_follow_imported_members = False  # it would import the module
copybutton_exclude = ".linenos, .gp, .go"

pygments_dark_style = "github-dark"
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


@cache
def sidebar_of(app) -> str:
    "The whole sidebar, with links from the top: made once, not for each of 500 pages."
    whole = dict(collapse=False, titles_only=True, maxdepth=-1, includehidden=True)
    return app.builder._get_local_toctree(app.config.root_doc, **whole) or ""


def with_one_sidebar(app, pagename, templatename, context, doctree):
    "The sidebar of a page: links told from its folder, itself and its part marked."
    top = "../" * pagename.count("/")
    parent = f"{pagename.rpartition('/')[0]}/index.html"
    here = {f"{pagename}.html", parent}

    def entry(found: re.Match) -> str:
        opening, kind, link = found.groups()
        mark = " current" if link in here else ""
        return f'{opening}"{kind}{mark}"><a class="reference internal" href="{top}{link}"'

    def toctree(**options) -> str:
        pattern = r'(<li class=)"(toctree-l\d)[^"]*"><a class="[^"]*" href="([^"#]*)"'
        return re.sub(pattern, entry, sidebar_of(app))

    if "toctree" in context:
        context["toctree"] = toctree


def setup(app):
    "Sources are read where they lie; the sidebar is made once."
    app.connect("viewcode-find-source", lambda app, module: source_of(module))
    app.connect("html-page-context", with_one_sidebar, priority=400)
