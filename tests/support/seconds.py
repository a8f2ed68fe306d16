"""Run chapters one after the other and note how long one core works on each, for the site:
`python tests/support/seconds.py [--save] [NOTEBOOK...]`; without names, every chapter.

`--save` also stores the outputs. Times of chapters that do not run are kept."""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from clean import clean
from notebook_runner import processes, run
from project_files import ROOT, chapters, notebooks

FILE = ROOT / "nbs" / "assets" / "seconds.json"
AIM = 60  # a chapter
PATIENCE = 1800  # a machine that does other work, too


def place(path: Path) -> str:
    "From nbs, without ending, as the site names its pages."
    return path.relative_to(ROOT / "nbs").with_suffix("").as_posix()


def timed() -> list[Path]:
    "The notebooks to read along, in reading order, and the explorers."
    return [*chapters(), *(path for path in notebooks() if path.parent.name == "explore")]


def note(path: Path, seconds: float):
    "A time into the file, and those of notebooks that are gone out of it."
    times = json.loads(FILE.read_text(encoding="utf-8")) if FILE.is_file() else {}
    times[place(path)] = round(seconds, 1)
    known = {place(path) for path in timed()}
    kept = {name: times[name] for name in sorted(times) if name in known}
    FILE.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def measure(path: Path, save: bool) -> bool:
    "Run one notebook; whether it passed."
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        limits = dict(cell_seconds=PATIENCE, seconds=PATIENCE)
        result = run(path, log, save=save, answers=False, **limits)
    if result.passed:
        note(path, result.work)
    if save:
        clean(path)
    late = " LATE" if result.work > AIM else ""
    told = f"{result.work:.0f} s{late}" if result.passed else f"FAILED\n{result.text}"
    print(place(path), told, flush=True)
    return result.passed


def warm_up():
    "Import what every notebook needs, so that the first one is not charged for it."
    process = processes().Process(target=int)
    process.start()
    process.join()


def main() -> int:
    "Every notebook that was named, or all."
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebooks", nargs="*", type=lambda name: Path(name).resolve())
    parser.add_argument("--save", action="store_true")
    given = parser.parse_args()
    warm_up()
    passed = [measure(path, given.save) for path in given.notebooks or timed()]
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
