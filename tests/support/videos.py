"Small videos, sounds and folders for the tests, and the one line of an error."

from fractions import Fraction
from pathlib import Path

import av
import imageio.v3 as iio
import numpy as np
import pytest

from animlib.core import InputError
from animlib.media.image import moving_disc
from animlib.media.read import read_frames
from animlib.media.write import VideoWriter


def disc(n, rows=48, columns=48, step=1.0):
    "A red disc that moves to the right: uint8 `[n,rows,columns,3]`."
    return moving_disc(n, (rows, columns), step)


def write_video(path, frames=None, fps=25, sound=None):
    "Any kind of video, by its name; returns the path."
    with VideoWriter(path, fps, sound) as writer:
        writer.write(disc(24) if frames is None else frames)
    return Path(path)


def write_strip(path, frames):
    "Frames side by side in one png; returns the path."
    path.parent.mkdir(parents=True, exist_ok=True)
    iio.imwrite(path, np.concatenate(list(frames), 1))
    return path


def write_splits(root, **splits):
    "A folder of strips, all of them different: `train=3` makes train/train0.png to train2.png."
    for split, n in splits.items():
        for i in range(n):
            step = 2 + i + (split == "test") / 2
            write_strip(root / split / f"{split}{i}.png", disc(3 + i, step=step))
    return root


def write_tone(path, seconds, codec="aac", rate=48000):
    "A file that holds nothing but a tone; returns the path."
    wave = 0.3 * np.sin(np.arange(int(seconds * rate)) / 17)
    frame = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None], "fltp", "mono")
    frame.sample_rate = rate
    frame.time_base = Fraction(1, rate)
    frame.pts = 0
    with av.open(str(path), "w") as container:
        track = container.add_stream(codec, rate=rate)
        container.mux(track.encode(frame))
        container.mux(track.encode(None))
    return path


def seconds_of_sound(path):
    "How long the sound of a file is."
    with av.open(str(path)) as container:
        return sum(a.samples / a.sample_rate for a in container.decode(audio=0))


def read_all(path):
    "Every frame of a video."
    return list(read_frames(path))


def error_line(f, *args, **options):
    "The message of the `InputError` that `f` raises: one line that ends with what to do."
    with pytest.raises(InputError) as raised:
        f(*args, **options)
    line = str(raised.value)
    assert "\n" not in line and "; " in line, line
    return line
