"Files with random damage: read, or one line that names them; nothing else, and not for long."

import random
import time

import pytest
from PIL import Image
from videos import disc, error_line, write_tone, write_video

from animlib.core import InputError
from animlib.media.encode import KINDS
from animlib.media.read import open_video, read_image

FILES = [kind for kind in KINDS if kind != "folder"] + ["jpg", "tif"]


def whole(folder, kind):
    "The bytes of a good file."
    path = folder / f"good.{kind}"
    if kind in KINDS:
        write_video(path, disc(6), sound=write_tone(folder / "tone.m4a", 1))
    else:
        Image.fromarray(disc(1)[0]).save(path)
    return path.read_bytes()


def mutant(data: bytes, rng: random.Random) -> bytes:
    "The same bytes after a few changes, half of them near the beginning."
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        end = len(changed) if rng.random() < 0.5 else min(len(changed), 600)
        at = rng.randrange(max(1, end))
        some = rng.randbytes(rng.randrange(1, 64))
        extreme = rng.choice((b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff"))
        change = rng.randrange(4)
        if change == 0:
            changed[at : at + 1] = some[:1]
        elif change == 1:
            changed[at : at + 4] = extreme
        elif change == 2:
            changed[at:at] = some
        else:
            del changed[at : at + len(some)]
    return bytes(changed)


def check_mutants(folder, kind, count, seed):
    "Every door of `count` mutants."
    rng = random.Random(seed)
    data = whole(folder, kind)
    path = folder / f"mutant.{kind}"
    doors = (
        lambda: sum(1 for _ in open_video(path).frames(32)),
        lambda: open_video(path).info,
        lambda: read_image(path, 32),
        lambda: write_video(folder / "out.mp4", disc(2), sound=path),
    )
    for _ in range(count):
        path.write_bytes(mutant(data, rng))
        for door in doors:
            start = time.monotonic()
            try:
                door()
            except InputError:
                assert path.name in error_line(door)
            assert time.monotonic() - start < 20


@pytest.mark.parametrize("kind", FILES)
def test_a_few_mutants(tmp_path, kind):
    check_mutants(tmp_path, kind, 6, 0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", FILES)
def test_many_mutants(tmp_path, kind):
    check_mutants(tmp_path, kind, 300, 1)
