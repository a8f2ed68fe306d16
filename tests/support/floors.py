"""What known faults cost, measured on clips: makes nbs/assets/metric-floors.json.

    python tests/support/floors.py face=talk.mp4:256 body=walk.mp4:256 ...

Each clip is NAME=FILE:SIDE: frames are cut to a square and resized to that side; 10 of them, evenly
spread over the clip. A face is measured by face, identity, stlpips and efficientnet, a body (a name
that does not begin with `face`) by body."""

import json
import sys

import numpy as np
import torch
from project_files import ROOT

from animlib.core import as_images
from animlib.evaluate.choice import open_detectors
from animlib.evaluate.floors import floor_numbers
from animlib.evaluate.measure import even_times
from animlib.media.read import read_frames

FILE = ROOT / "nbs" / "assets" / "metric-floors.json"
FACE = ["face", "identity", "stlpips", "efficientnet"]


def measured(name: str, path: str, side: int) -> dict:
    "The numbers of one clip, with the cards of what measured them."
    stored = np.stack(list(read_frames(path, side)))
    frames = as_images(torch.as_tensor(stored[even_times(len(stored), 10)]))
    instruments = open_detectors(FACE if name.startswith("face") else ["body"])
    made = [instrument.card.header() for instrument in instruments]
    numbers = floor_numbers(frames, instruments)
    return dict(frames=len(frames), image_size=[side, side], detectors=made, copies=numbers)


def rounded(value):
    "Five digits of every number."
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    return float(f"{value:.5g}") if isinstance(value, float) else value


def main(words: list[str]):
    "Measure the named clips; those that are in the file already and are not named stay."
    found = json.loads(FILE.read_text()) if FILE.is_file() else {}
    for word in words:
        name, _, rest = word.partition("=")
        path, _, side = rest.rpartition(":")
        found[name] = rounded(measured(name, path, int(side)))
        print(name, json.dumps(found[name]["copies"], indent=1))
        FILE.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
