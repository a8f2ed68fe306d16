"""A browser for tests: pages that are watched for requests that leave them, and for complaints."""

import os
import shutil
from contextlib import contextmanager
from importlib.util import find_spec

import pytest

BROWSERS = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",  # a camera that shows a moving picture
    "--use-fake-ui-for-media-stream",  # and may be used
]
WINDOW = dict(width=1100, height=900)
SECONDS = 1000  # playwright counts in milliseconds
REQUIRED = "ANIMLIB_BROWSER_REQUIRED"  # in the environment: tests in a browser may not be skipped


@contextmanager
def chromium(leave_out):
    "A browser without a window; `leave_out` is called with the reason where there is none."
    if find_spec("playwright") is None:
        leave_out("playwright is not installed: pip install playwright")
    found = [path for path in map(shutil.which, BROWSERS) if path]
    if not found:
        leave_out("no chromium on this machine: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as session:
        running = session.chromium.launch(executable_path=found[0], args=FLAGS)
        yield running
        running.close()


@pytest.fixture
def browser():
    "A browser without a window."
    with chromium(pytest.fail if os.environ.get(REQUIRED) else pytest.skip) as running:
        yield running


class Page:
    "A page in the browser, what it asks for outside of itself, and what goes wrong on it."

    def __init__(self, context, own_addresses: tuple[str, ...]):
        self.own_addresses = (*own_addresses, "data:", "blob:")
        self.requests = []
        self.problems = []
        self.page = context.new_page()
        self.page.set_default_navigation_timeout(120 * SECONDS)  # a busy machine
        self.page.on("request", self.note_request)
        self.page.on("requestfailed", lambda o: self.problems.append(f"failed: {o.url[:100]}"))
        self.page.on("console", self.note_message)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))

    def note_request(self, request):
        "Remember a request that leaves the page."
        if not request.url.startswith(self.own_addresses):
            self.requests.append(request.url[:100])

    def note_message(self, message):
        "Remember a complaint."
        if message.type in ("error", "warning"):
            self.problems.append(message.text)


def open_file(browser, path, own: str = "", **options) -> Page:
    "A file in a browser without a network; `own`: the start of addresses that belong to it."
    context = browser.new_context(offline=True, **(dict(viewport=WINDOW) | options))
    opened = Page(context, own_addresses=(own or path.as_uri(),))
    opened.page.goto(path.as_uri())
    return opened


def in_time(locator):
    "Assertions of what a locator finds, which hold within a minute."
    from playwright.sync_api import expect

    expect.set_options(timeout=60 * SECONDS)
    return expect(locator)


def share_changed(before: list[int], after: list[int]) -> float:
    "The share of bytes that differ visibly."
    return sum(abs(a - b) > 8 for a, b in zip(before, after, strict=True)) / len(before)
