"""The site of a small project: its pages, in a browser without a network, and what stops it."""

import functools
import http.server
import json
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from browser import SECONDS, open_file
from small_site import write_project

from animlib.cli import main
from animlib.core import InputError
from animlib.run.links import (
    LIGHT,
    Site,
    broken_links,
    heavy_pages,
    loaded_from_elsewhere,
    weights,
)
from animlib.run.site import build_site
from animlib.run.web import live_pages

pytest.importorskip("sphinx", reason='the site is not wanted here: pip install -e ".[docs]"')
CHAPTER = "01_second/010_affine.html"
PHONE = dict(viewport=dict(width=390, height=844))


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    "A small project."
    return write_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def site(project, tmp_path_factory) -> Path:
    "Its site, with a page that runs in the browser."
    live = tmp_path_factory.mktemp("live")
    (live / "anchors").mkdir()
    (live / "anchors" / "index.html").write_text("<!doctype html><title>Drag</title><p>drag")
    out = tmp_path_factory.mktemp("out") / "site"
    return build_site(out, live, "an-owner/a-name", project)


def text(site: Path, place: str) -> str:
    "The source of a page."
    return (site / place).read_text(encoding="utf-8")


# ---- what is there ----
def test_a_chapter_shows_what_readers_need(site):
    page = text(site, CHAPTER)
    assert "Chapter 010" in page and "about 1 min to read, runs in 7 s" in page
    assert 'href="../reference/animlib.motion.affine.html"' in page
    assert "nbs/01_second/010_affine.ipynb" in page and "jupyter" in page
    assert "colab.research.google.com/github/an-owner/a-name/blob/main/nbs/01_second" in page
    assert 'href="../notebooks/01_second/010_affine.ipynb"' in page
    assert (site / "notebooks" / "01_second" / "010_affine.ipynb").is_file()


def test_a_chapter_hides_what_only_tools_need(site):
    page = text(site, CHAPTER)
    assert "secret" not in page and "default_exp" not in page and "#|" not in page
    assert "tag_exported" in page and "tag_hide-input" in page


def test_chapters_follow_each_other(site):
    page = text(site, CHAPTER)
    assert 'rel="prev" title="Second"' in page and 'rel="next" title="The last"' in page
    sidebar = page[page.index("sidebar-tree") :]
    first = sidebar.index("001 Maps")
    assert first < sidebar.index("010 Affine maps") < sidebar.index("011 The last")
    assert 'class="toctree-l1 current' in sidebar and sidebar.count("current-page") == 1
    assert 'current-page"><a class="reference internal" href="../01_second/010' in sidebar


def test_a_module_and_its_chapter_link_each_other(site):
    page = text(site, "reference/animlib.motion.affine.html")
    assert 'href="../01_second/010_affine.html"' in page
    assert 'id="animlib.motion.affine.turn"' in page and "to the left; a &lt;b&gt;" in page
    assert 'href="../_modules/animlib/motion/affine.html#turn"' in page
    named = 'href="../reference/animlib.motion.affine.html#animlib.motion.affine.turn"'
    assert named in text(site, CHAPTER)


def test_outputs_need_no_kernel(site):
    page = text(site, CHAPTER)
    assert "plotly-box" in page and "it needs a kernel" in page
    assert "base64" not in page and len(list((site / "media").glob("*.mp4"))) == 1
    assert len(list((site / "media").glob("*.png"))) == 1  # the twin of the plot
    assert page.count("<img") >= 3  # twins of the plot and of a widget, and an image


def test_links_are_whole_and_pages_light(site):
    whole = Site(site)
    assert not broken_links(whole) and not loaded_from_elsewhere(whole)
    assert max(weights(whole).values()) < LIGHT


def test_an_image_with_a_width_comes_along(site):
    page = text(site, "index.html")
    [image] = re.findall(r'<img[^>]*alt="another one"[^>]*>', page)
    assert "60" in image and (site / re.search(r'src="([^"]+)"', image)[1]).is_file()


# ---- what stops it ----
WRONG = {
    "[x](nowhere.ipynb)": "nowhere.ipynb",
    "[x](#no-such-place)": "no-such-place",
    "![x](missing.png)": "missing.png",
}


def with_text(project: Path, place: str, added: str):
    "Add to the first cell of a notebook."
    path = project / "nbs" / f"{place}.ipynb"
    notebook = json.loads(path.read_text())
    notebook["cells"][0]["source"] += f"\n\n{added}"
    path.write_text(json.dumps(notebook))


def test_a_broken_link_stops_the_build(site, tmp_path):
    root = write_project(tmp_path / "root")
    with_text(root, "01_second/011_last", " ".join(WRONG))
    shutil.copytree(site, tmp_path / "out")

    with pytest.raises(InputError, match="docs: 3 broken places") as refused:
        build_site(tmp_path / "out", root=root)

    assert all(words in str(refused.value) for words in WRONG.values())
    assert "01_second/011_last.ipynb" in str(refused.value) and "\n" not in str(refused.value)
    assert sorted(o.name for o in tmp_path.iterdir()) == ["out", "root"]
    assert "The last" in text(tmp_path / "out", "01_second/011_last.html")  # the old one stays


def test_a_link_out_of_the_site_stops_the_build(tmp_path):
    root = write_project(tmp_path / "root")
    with_text(root, "01_second/011_last", "[x](../../setup.py)")
    with pytest.raises(InputError, match="which the site does not have"):
        build_site(tmp_path / "out", root=root)


def test_an_earlier_site_is_replaced(project, site, tmp_path):
    shutil.copytree(site, tmp_path / "out")
    (tmp_path / "out" / "old.html").write_text("old")
    build_site(tmp_path / "out", root=project)
    assert (tmp_path / "out" / "index.html").is_file()
    assert not (tmp_path / "out" / "old.html").exists()
    assert "colab" not in text(tmp_path / "out", CHAPTER)


def test_a_missing_tool_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", without("furo"))
    assert main(["docs", "--out", str(tmp_path / "site")]) == 2
    said = capsys.readouterr().err
    assert "expected furo, found none" in said and '".[docs]"' in said and said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_pages_are_given_or_made_and_not_both(tmp_path, capsys):
    out, live = tmp_path / "site", tmp_path / "live"
    words = ["docs", "--out", str(out), "--explorers"]
    assert main([*words, "--live", str(live)]) == 2
    said = capsys.readouterr().err
    assert f"found both ({live})" in said and said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_pages_of_networks_want_npm(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("ANIMLIB_DATA", str(tmp_path / "data"))
    assert main(["docs", "--out", str(tmp_path / "site"), "--explorers"]) == 2
    said = capsys.readouterr().err
    assert "expected the program npm, found none; install Node.js" in said
    assert "--from" not in said and said.count("\n") == 1
    assert not (tmp_path / "site").exists() and not list((tmp_path / "data").iterdir())


def test_pages_of_networks_are_in_the_site(project, tmp_path, monkeypatch):
    def made(out) -> Path:
        out.mkdir()
        for name in ("index", "anchors"):
            (out / f"{name}.html").write_text(f"<!doctype html><title>The {name}</title>")
        return out

    monkeypatch.setattr("animlib.run.web.build_explorers", made)
    with live_pages("", explorers=True) as live:
        site = build_site(tmp_path / "site", live, root=project)
    assert not live.exists()
    page = text(site, "live.html")
    assert 'src="live/anchors.html"' in page and 'src="live/index.html"' not in page


def without(missing: str):
    "`find_spec` on a machine that lacks a package."
    from importlib.util import find_spec

    return lambda name, *more: None if name == missing else find_spec(name, *more)


# ---- in a browser ----
def test_a_chapter_in_a_browser_without_a_network(site, browser):
    opened = open_file(browser, site / CHAPTER, site.as_uri())
    page = opened.page
    page.wait_for_selector("mjx-container svg", timeout=30 * SECONDS)
    page.wait_for_selector(".plotly-box .plot svg.main-svg", timeout=30 * SECONDS)
    assert not page.locator(".plotly-box img").count()  # the plot is in its place
    page.locator("video").scroll_into_view_if_needed()  # a video plays when it is seen
    page.wait_for_function("document.querySelector('video').currentTime > 0", timeout=20 * SECONDS)
    for width in (1320, 1400, 1600):
        page.set_viewport_size(dict(width=width, height=900))
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    loaded = "[...document.images].every(o => o.complete && o.naturalWidth)"
    assert page.evaluate(loaded)
    assert not opened.requests and not opened.problems


def test_a_plot_is_an_image_where_no_script_runs(site, browser):
    opened = open_file(browser, site / CHAPTER, site.as_uri(), java_script_enabled=False)
    twin = opened.page.locator(".plotly-box img")
    twin.scroll_into_view_if_needed()
    assert twin.bounding_box()["width"] > 100 and not opened.page.locator(".plot").count()


def test_search_finds_a_word(site, browser):
    opened = open_file(browser, site / "search.html", site.as_uri())
    page = opened.page
    page.locator("article input[name=q], .sidebar-search").last.fill("Jacobian")
    page.keyboard.press("Enter")
    page.wait_for_selector("#search-results li a", timeout=30 * SECONDS)
    found = page.locator("#search-results li a").all_inner_texts()
    assert "Affine maps" in found
    page.goto(f"{(site / 'search.html').as_uri()}?q=nonsenseword")
    page.wait_for_function("document.body.innerText.includes('did not match')")
    assert not opened.requests and not opened.problems


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_phone(site, browser, scheme):
    for place in ("index.html", CHAPTER, "reference/animlib.motion.affine.html", "gallery.html"):
        opened = open_file(browser, site / place, site.as_uri(), color_scheme=scheme, **PHONE)
        opened.page.wait_for_timeout(0.3 * SECONDS)
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= 390, place
        dark = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, dark[4:-1].split(","))) < 200) == (scheme == "dark")
        assert not opened.requests and not opened.problems


def test_the_site_on_a_server_of_this_machine(site, browser):
    handler = functools.partial(QuietHandler, directory=str(site))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    asked, problems = [], []
    page = browser.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda o: problems.append(o.text) if o.type == "error" else None)
    try:
        page.goto(f"{address}/search.html?q=Jacobian")
        page.wait_for_selector("#search-results li p.context", timeout=30 * SECONDS)
        page.click("#search-results >> text=Affine maps")
        page.wait_for_selector("mjx-container svg", timeout=30 * SECONDS)
        page.goto(f"{address}/live.html")
        page.frame_locator("iframe.live").get_by_text("drag").wait_for()
    finally:
        server.shutdown()
    assert all(url.startswith((address, "data:", "blob:")) for url in asked) and not problems


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    "A server that does not tell of every request."

    def log_message(self, *words):
        "Nothing."


# ---- this project ----
@pytest.mark.slow
def test_the_site_of_this_project(tmp_path):
    command = [sys.executable, "-m", "animlib", "docs", "--out", str(tmp_path / "site")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site" / "05_fomm" / "051_detectors.jacobian.html").is_file()


def test_the_index_of_a_large_site_makes_no_page_heavy(tmp_path):
    for name, script in (("search", "searchindex.js"), ("a", "other.js")):
        (tmp_path / f"{name}.html").write_text(f'<script src="{script}"></script>')
        (tmp_path / script).write_bytes(bytes(LIGHT + 1))

    assert [line.split(":")[0] for line in heavy_pages(Site(tmp_path))] == ["a.html"]
