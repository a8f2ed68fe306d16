"""A JupyterLab for tests and measurements, and a notebook of one cell in it."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from browser import SECONDS, WINDOW, Page
from notebook_files import write_notebook
from project_files import ROOT


class Lab:
    "A JupyterLab that runs on this machine."

    def __init__(self, folder: Path):
        self.folder = folder / "root"  # its notebooks
        self.folder.mkdir()
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.environment = os.environ | own_settings(folder)
        paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
        self.environment["PYTHONPATH"] = os.pathsep.join(paths)

    def command(self) -> list[str]:
        "What starts it: open to this machine, without a password."
        options = [
            "--no-browser",
            "--ip=127.0.0.1",
            f"--port={self.port}",
            "--allow-root",
            "--IdentityProvider.token=",
            "--ServerApp.password=",
            f"--ServerApp.root_dir={self.folder}",
        ]
        return [sys.executable, "-m", "jupyterlab", *options]

    def wait(self, seconds=60):
        "Until it answers."
        end = time.time() + seconds
        while time.time() < end:
            try:
                urllib.request.urlopen(f"{self.address}/api", timeout=2)
                return
            except OSError:
                time.sleep(0.25)

    def open(self, browser, name: str) -> Page:
        "A notebook of its folder, with a kernel that has started."
        socket_address = self.address.replace("http", "ws")
        context = browser.new_context(viewport=WINDOW)
        opened = Page(context, own_addresses=(self.address, socket_address))
        opened.page.goto(f"{self.address}/lab/tree/{name}?reset")
        opened.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=180 * SECONDS)
        kernel_is_ready = "document.body.innerText.includes('| Idle')"
        opened.page.wait_for_function(kernel_is_ready, timeout=180 * SECONDS)
        return opened


def free_port() -> int:
    "A port that nothing listens on."
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def own_settings(folder: Path) -> dict[str, str]:
    "Environment variables of a user who has never started JupyterLab, and reads no news."
    names = [
        "JUPYTER_CONFIG_DIR",
        "JUPYTER_DATA_DIR",
        "JUPYTER_RUNTIME_DIR",
        "JUPYTERLAB_SETTINGS_DIR",
        "JUPYTERLAB_WORKSPACES_DIR",
        "IPYTHONDIR",
    ]
    settings = {name: str(folder / name.lower()) for name in names}
    extension = Path(settings["JUPYTERLAB_SETTINGS_DIR"], "@jupyterlab", "apputils-extension")
    extension.mkdir(parents=True)
    news = '{"fetchNews":"false","checkForUpdates":false}'
    (extension / "notification.jupyterlab-settings").write_text(news)
    return settings


@contextmanager
def running_lab(folder: Path) -> Iterator[Lab]:
    "A JupyterLab with a folder and settings of its own."
    running = Lab(folder)
    quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    server = subprocess.Popen(running.command(), env=running.environment, **quiet)
    try:
        running.wait()
        yield running
    finally:
        server.terminate()
        try:
            server.wait(60)
        except subprocess.TimeoutExpired:  # a busy machine
            server.kill()
            server.wait()


@pytest.fixture
def lab(tmp_path):
    "A running JupyterLab with a folder and settings of its own."
    with running_lab(tmp_path) as running:
        yield running


def run_in_lab(browser, lab: Lab, *lines: str) -> Page:
    "A notebook of one cell, opened and run."
    write_notebook(lab.folder / "one.ipynb", "\n".join(lines))
    opened = lab.open(browser, "one.ipynb")
    opened.page.locator(".jp-Notebook .jp-Cell").first.click()
    opened.page.keyboard.press("Shift+Enter")
    return opened
