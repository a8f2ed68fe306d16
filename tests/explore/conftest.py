"Fixtures of the tests in a browser."

import os
import shutil
from importlib.util import find_spec

import pytest
from browsing import BROWSERS, FLAGS, REQUIRED


@pytest.fixture
def browser():
    "A browser without a window."
    leave_out = pytest.fail if os.environ.get(REQUIRED) else pytest.skip
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
