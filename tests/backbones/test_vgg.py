"""VGG-19 weights: found, fetched on request, verified or refused; never replaced without a word."""

import hashlib
import http.server
import socket
import threading
from dataclasses import replace

import pytest
import torch

import animlib.backbones.vgg as vgg
from animlib.backbones.fetch import fetch_weights
from animlib.backbones.published import PUBLISHED
from animlib.core import InputError
from animlib.losses.reconstruction import reconstruction_term

PUBLISHED_NAME = "vgg19-dcbb9e9d.pth"


class FileHandler(http.server.BaseHTTPRequestHandler):
    "Serves a few files from memory and remembers what was asked for."

    def do_GET(self):
        self.server.requests.append(self.path)
        body = self.server.files.get(self.path)
        self.send_response(404 if body is None else 200)
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *args):
        "Say nothing."


class FileServer(http.server.ThreadingHTTPServer):
    "A server on this machine that stands in for the publisher of the weights."

    def __init__(self):
        super().__init__(("127.0.0.1", 0), FileHandler)
        self.files = {}
        self.requests = []

    def address(self, name):
        "Where a file is served."
        return f"http://127.0.0.1:{self.server_port}/{name}"

    def downloads(self, name):
        "How often a file was asked for."
        return self.requests.count("/" + name)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    "The cache of a user with an empty home; it does not exist yet."
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.delenv("ANIMLIB_WEIGHTS", raising=False)
    return tmp_path / "home/.cache/animlib/weights"


@pytest.fixture
def server():
    "A running file server."
    with FileServer() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def publish(server, monkeypatch):
    "A function that publishes a file: there the library looks for its weights from now on."

    def publish_file(name, body):
        if body is not None:
            server.files["/" + name] = body
        monkeypatch.setitem(PUBLISHED, "vgg19", published_at(server.address(name)))

    return publish_file


def published_at(address):
    "The row of VGG-19, with the file at this address."
    return replace(PUBLISHED["vgg19"], url=address)


def named_by_hash(body):
    "The name under which a file of these bytes would be published."
    return f"vgg19-{hashlib.sha256(body).hexdigest()[:8]}.pth"


def weights_file(folder, legacy=False, prefix=""):
    "Name and bytes of a small file in the published layout: one number stands for each tensor."
    shapes = {name: tensor.shape for name, tensor in vgg.Vgg19().state_dict().items()}
    state = {prefix + name: torch.full((1,), 0.01).expand(s) for name, s in shapes.items()}
    for unused in ("features.30.weight", "classifier.0.bias"):
        state[prefix + unused] = torch.zeros(2)
    torch.save(state, folder / "made", _use_new_zipfile_serialization=not legacy)
    body = (folder / "made").read_bytes()
    return named_by_hash(body), body


def files_in(folder):
    "Names of the files in a folder but its lock; none if it does not exist."
    names = [path.name for path in folder.iterdir()] if folder.exists() else []
    return [name for name in names if name != ".lock"]


def assert_tells_what_to_do(error, path):
    "One line that names the file, where it belongs, and the loss that needs none."
    text = str(error.value)
    assert "\n" not in text
    for part in (
        str(path),
        PUBLISHED["vgg19"].url,
        "reconstruction=pyramid",
        "animlib data get vgg19",
    ):
        assert part in text


@pytest.mark.parametrize("legacy", [True, False])  # the published file is of the older kind
def test_downloads_once_then_reads_the_cache(cache, server, publish, tmp_path, legacy):
    name, body = weights_file(tmp_path, legacy)
    publish(name, body)

    for _ in range(2):
        fetch_weights("vgg19")
        network = vgg.load_vgg19()
        assert all((p == 0.01).all() for p in network.parameters())
        assert not any(p.requires_grad for p in network.parameters())
        assert not network.training

    assert server.downloads(name) == 1
    assert files_in(cache) == [name]


def test_order_is_path_then_environment_then_cache(cache, server, publish, tmp_path, monkeypatch):
    name, body = weights_file(tmp_path)
    publish(name, body)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / name).write_bytes(body)

    for place in (mine, mine / name):
        monkeypatch.setenv("ANIMLIB_WEIGHTS", str(place))
        vgg.load_vgg19()
    monkeypatch.delenv("ANIMLIB_WEIGHTS")
    for place in (mine, mine / name):
        vgg.load_vgg19(place)

    assert server.downloads(name) == 0
    assert not cache.exists()


def test_a_path_that_was_asked_for_must_exist(cache, server, publish, tmp_path):
    name, body = weights_file(tmp_path)
    publish(name, body)

    with pytest.raises(InputError, match="no such file"):
        vgg.load_vgg19(tmp_path / "not mine")

    assert server.downloads(name) == 0


@pytest.mark.parametrize(
    "body", [b"<html>please log in</html>", b"", None], ids=["web page", "empty", "missing"]
)
def test_a_bad_download_is_refused_and_leaves_nothing(cache, publish, body):
    publish(PUBLISHED_NAME, body)

    with pytest.raises(InputError) as error:
        fetch_weights("vgg19")

    assert_tells_what_to_do(error, cache / PUBLISHED_NAME)
    assert files_in(cache) == []


def test_one_wrong_byte_is_refused(cache, server, publish, tmp_path):
    name, body = weights_file(tmp_path)
    publish(name, body[:-1] + bytes([body[-1] ^ 1]))

    with pytest.raises(InputError, match="hash"):
        fetch_weights("vgg19")

    assert files_in(cache) == []
    assert server.downloads(name) == 1


@pytest.mark.parametrize("features", ["vgg19", "efficientnet"])
def test_nothing_is_fetched_unasked(cache, server, publish, tmp_path, features):
    name, body = weights_file(tmp_path)
    publish(name, body)

    with pytest.raises(InputError, match=f"not found; animlib data get {features}") as error:
        reconstruction_term("perceptual", features=features)

    assert "\n" not in str(error.value) and "reconstruction=pyramid" in str(error.value)
    assert server.requests == [] and not cache.exists()


def test_half_a_file_is_refused(cache, server, publish, tmp_path):
    name, body = weights_file(tmp_path)
    publish(name, body)
    cache.mkdir(parents=True)
    (cache / name).write_bytes(body[:1000])  # put there by hand

    with pytest.raises(InputError, match="damaged or another file") as error:
        vgg.load_vgg19()

    assert_tells_what_to_do(error, cache / name)
    assert server.downloads(name) == 0


def test_without_a_network(cache, monkeypatch):
    with socket.socket() as closed_at_once:
        closed_at_once.bind(("127.0.0.1", 0))
        port = closed_at_once.getsockname()[1]
    address = f"http://127.0.0.1:{port}/{PUBLISHED_NAME}"
    monkeypatch.setitem(PUBLISHED, "vgg19", published_at(address))

    with pytest.raises(InputError, match="not downloaded") as error:
        fetch_weights("vgg19")

    assert_tells_what_to_do(error, cache / PUBLISHED_NAME)
    assert files_in(cache) == []


def test_another_network_is_refused(cache, publish, tmp_path):
    publish(*weights_file(tmp_path, prefix="module."))
    fetch_weights("vgg19")
    with pytest.raises(InputError, match="not a VGG-19 state dict"):
        vgg.load_vgg19()


def test_code_in_a_weights_file_does_not_run(cache, publish, tmp_path):
    class Evil:
        def __reduce__(self):
            return open, (str(tmp_path / "ran"), "w")

    torch.save(Evil(), tmp_path / "evil")
    body = (tmp_path / "evil").read_bytes()
    publish(named_by_hash(body), body)
    fetch_weights("vgg19")

    with pytest.raises(InputError, match="not a VGG-19 state dict"):
        vgg.load_vgg19()

    assert not (tmp_path / "ran").exists()
