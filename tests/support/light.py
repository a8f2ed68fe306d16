"""Outputs of a notebook that is kept, with fewer bytes: the same frames, coded for a small file."""

import base64
import re
import tempfile
from pathlib import Path

from animlib.media.encode import Coding, ContainerEncoder
from animlib.media.write import Video

MP4 = re.compile(r"(?<=data:video/mp4;base64,)[A-Za-z0-9+/=]+")
SMALL = (("crf", "35"), ("preset", "veryslow"), ("tune", "animation"))
LIGHT = Coding("libx264", options=SMALL)


def light_video(source: bytes) -> bytes:
    "An mp4 with the same frames and sound; what came is given back where it is the smaller one."
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder, "given.mp4"), Path(folder, "made.mp4")
        given.write_bytes(source)
        video = Video.open(given)
        encoder = ContainerEncoder(made, "mp4", video.fps, video.sound, LIGHT)
        for frame in video.frames.numpy():
            encoder.add(frame)
        encoder.close(complete=True)
        return min(made.read_bytes(), source, key=len)


def light_html(html: str) -> str:
    "A text with the videos in it made light."
    return MP4.sub(
        lambda found: base64.b64encode(light_video(base64.b64decode(found[0]))).decode(), html
    )


def light_data(data: dict) -> dict:
    "The forms of one output; an image that is there as JPEG is not kept as PNG, too."
    doubled = {"image/png", "image/jpeg"} <= data.keys()
    kept = {kind: data[kind] for kind in data if not (doubled and kind == "image/png")}
    if "text/html" in kept:
        kept["text/html"] = light_html("".join(kept["text/html"])).splitlines(keepends=True)
    return kept
