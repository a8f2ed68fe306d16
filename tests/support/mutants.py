"""Faults are put into a copy of the library, one at a time; its tests and chapters must see them.

`python tests/support/mutants.py` runs the list in `mutations.py` and prints who saw what; the
working tree is never touched. A mutant stands in the module and in the cell that exports it, so
that a chapter, which runs its own cells, has it, too."""

import argparse
import importlib
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from mutations import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
SECONDS = 120  # for the tests of a mutant, each file or chapter; who takes longer has seen it
PRELOADED = (  # all that is slow to import, so that a forked process has it; never the library
    "torch einops av imageio.v3 PIL.Image safetensors.torch accelerate yaml pytest nbdev.test "
    "torch.utils.data torch.distributed matplotlib.pyplot fastcore.test"
).split()


# ---- a copy with a mutant ----
def copy_project(folder: Path) -> Path:
    "A copy of the library, its chapters and tests; large data are linked."
    generated = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints", "runs", "golden")
    for name in ("animlib", "nbs", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=generated)
    for name in ("pyproject.toml", "settings.ini", "setup.py", "README.md"):
        shutil.copy(ROOT / name, folder / name)
    os.symlink(ROOT / "tests" / "golden", folder / "tests" / "golden")
    os.symlink(ROOT / "data_samples", folder / "data_samples")
    return folder


def module_file(root: Path, module: str) -> Path:
    "`motion.affine` -> `animlib/motion/affine.py`."
    return root / "animlib" / f"{module.replace('.', '/')}.py"


def chapter_file(root: Path, module: str) -> Path:
    "The chapter that exports a module."
    found = [path for path in root.glob("nbs/*/*.ipynb") if path.stem.endswith(f"_{module}")]
    assert len(found) == 1, f"{module}: expected one chapter, found {found}"
    return found[0]


def is_exported(cell: dict) -> bool:
    "Whether nbdev writes a cell into the package."
    source = "".join(cell["source"])
    return cell["cell_type"] == "code" and re.match(r"#\s*\|\s*export", source) is not None


def changed_module(path: Path, mutant: Mutant) -> str:
    "The module with the mutant in it; LookupError where its text does not stand there once."
    text = path.read_text(encoding="utf-8")
    if text.count(mutant.old) != 1:
        raise LookupError(f"{path.name}: anchor found {text.count(mutant.old)} times")
    return text.replace(mutant.old, mutant.new)


def changed_chapter(path: Path, mutant: Mutant) -> str:
    "The chapter with the mutant in the cell that exports it."
    notebook = json.loads(path.read_text(encoding="utf-8"))
    cells = [
        cell
        for cell in notebook["cells"]
        if is_exported(cell) and mutant.old in "".join(cell["source"])
    ]
    if len(cells) != 1:
        raise LookupError(f"{path.name}: anchor found in {len(cells)} exported cells")
    source = "".join(cells[0]["source"]).replace(mutant.old, mutant.new)
    cells[0]["source"] = source.splitlines(keepends=True)
    return json.dumps(notebook, ensure_ascii=False)


def changed_files(root: Path, mutant: Mutant) -> dict[Path, str]:
    "Every file that holds the mutant, with its new text."
    module = module_file(root, mutant.module)
    chapter = chapter_file(root, mutant.module)
    changed = {
        module: changed_module(module, mutant),
        chapter: changed_chapter(chapter, mutant),
    }
    compile(changed[module], str(module), "exec")
    return changed


# ---- a test in a process of its own, forked from one that has imported torch ----
def preload():
    "Import what all tests need, but nothing of the library."
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["MPLBACKEND"] = "agg"
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    for name in PRELOADED:
        importlib.import_module(name)
    sys.modules["torch"].set_num_threads(1)
    assert not [name for name in sys.modules if name.partition(".")[0] == "animlib"]


def run_here(root: Path, killer: str, log: Path) -> int:
    "Run a test or a chapter in this process; 0 if it passes."
    sys.path[:0] = [str(root), str(root / "tests" / "support")]
    os.environ["PYTHONPATH"] = str(root)
    os.environ["ANIMLIB_CACHE"] = str(log.parent / "cache")
    os.chdir(root)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for descriptor in (1, 2):
        os.dup2(file, descriptor)
    found = importlib.import_module("animlib").__file__
    assert found and Path(found).is_relative_to(root), found
    if not killer.endswith(".ipynb"):
        options = ["-x", "-q", "--no-header", "-p", "no:cacheprovider", "--slow"]
        words = killer.split()
        return int(sys.modules["pytest"].main([*options, f"tests/{words[0]}", *words[1:]]))
    runner = importlib.import_module("notebook_runner")
    runner.run_here(root / "nbs" / killer, log, runner.FLAGS, SECONDS)
    return 1  # not reached: a chapter ends its process


def passes(root: Path, killer: str, log: Path, seconds: float) -> tuple[bool, str]:
    "Whether a test or a chapter passes, and how it ended."
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        code = 99
        try:
            os.setsid()
            code = run_here(root, killer, log)
        finally:
            os._exit(code)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status == 0, "failed" if os.WIFEXITED(status) else "crashed"
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False, f"stopped after {seconds:.0f} s"


# ---- all mutants ----
@dataclass(frozen=True)
class Verdict:
    "What became of one mutant."

    mutant: Mutant
    outcome: str  # killed | survived | anchor not found | tests fail without it
    by: str = ""  # the test that saw it, or why there is no answer
    seconds: float = 0.0


class Lab:
    "A copy of the project; mutants are tried in it one after the other."

    def __init__(self, folder: Path, baseline: bool = True, seconds: float = SECONDS):
        self.root = copy_project(folder / "copy")
        self.log = folder / "log"
        self.baseline = baseline
        self.seconds = seconds
        self.sound: dict[str, bool] = {}  # test -> whether it passes without a mutant

    def killers(self, mutant: Mutant) -> list[str]:
        "Tests that should see a mutant: those that it names, then its chapter."
        chapter = chapter_file(self.root, mutant.module).relative_to(self.root / "nbs")
        return [*mutant.tests, chapter.as_posix()]

    def is_sound(self, killer: str) -> bool:
        "Whether a test passes without a mutant; it runs once."
        if killer not in self.sound:
            self.sound[killer] = (
                not self.baseline or passes(self.root, killer, self.log, 2 * self.seconds)[0]
            )
            if not self.sound[killer]:
                print(f"{killer}: fails without a mutant\n{self.end_of_log()}", flush=True)
        return self.sound[killer]

    def end_of_log(self) -> str:
        "What the last test printed at its end."
        return self.log.read_text(encoding="utf-8", errors="replace")[-1500:]

    def try_out(self, mutant: Mutant) -> Verdict:
        "Run the tests of a mutant until one sees it."
        start = time.monotonic()
        try:
            changed = changed_files(self.root, mutant)
        except (LookupError, AssertionError, SyntaxError) as error:
            return Verdict(mutant, "anchor not found", str(error))
        kept = {path: path.read_text(encoding="utf-8") for path in changed}
        broken = []
        for killer in self.killers(mutant):
            if not self.is_sound(killer):
                broken.append(killer)
                continue
            for path, text in changed.items():
                path.write_text(text, encoding="utf-8")
            passed, end = passes(self.root, killer, self.log, self.seconds)
            for path, text in kept.items():
                path.write_text(text, encoding="utf-8")
            if not passed:
                passed_time = time.monotonic() - start
                return Verdict(mutant, "killed", f"{killer} ({end})", passed_time)
        outcome = "tests fail without it" if broken else "survived"
        return Verdict(mutant, outcome, ", ".join(broken), time.monotonic() - start)


def report(verdicts: list[Verdict]) -> str:
    "Who was not killed, and the share of those that were."
    lines = []
    for verdict in verdicts:
        if verdict.outcome != "killed":
            must = " (must not survive)" if verdict.mutant.must else ""
            lines.append(f"{verdict.outcome}: {verdict.mutant.label}{must} {verdict.by}".rstrip())
    killed = sum(verdict.outcome == "killed" for verdict in verdicts)
    lines.append(f"{killed} of {len(verdicts)} killed: {killed / max(1, len(verdicts)):.1%}")
    return "\n".join(lines)


def run(mutants: list[Mutant], folder: Path, baseline: bool = True) -> list[Verdict]:
    "Try every mutant; a line for each as it comes."
    preload()
    lab = Lab(folder, baseline)
    verdicts = []
    for mutant in mutants:
        verdict = lab.try_out(mutant)
        verdicts.append(verdict)
        print(
            f"{verdict.outcome:>9}  {mutant.label}  {verdict.by}  {verdict.seconds:.1f} s",
            flush=True,
        )
    return verdicts


def selected(words: list[str]) -> list[Mutant]:
    "The mutants whose label has one of the words; all without words."
    return [m for m in MUTANTS if not words or any(word in m.label for word in words)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="only mutants whose label has one of them")
    parser.add_argument("--must", action="store_true", help="only those that must not survive")
    parser.add_argument("--list", action="store_true", help="look for the anchors, run nothing")
    parser.add_argument("--no-baseline", action="store_true", help="take the tests for sound")
    given = parser.parse_args()
    mutants = [mutant for mutant in selected(given.words) if mutant.must or not given.must]
    if given.list:
        lost = lost_anchors(mutants)
        print("\n".join(lost) or "every anchor is found")
        return 1 if lost else 0
    start = time.time()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        verdicts = run(mutants, Path(folder), not given.no_baseline)
    print(report(verdicts))
    print(f"{time.time() - start:.0f} s")
    return 0 if all(verdict.outcome == "killed" for verdict in verdicts) else 1


def lost_anchors(mutants: list[Mutant]) -> list[str]:
    "Mutants that cannot be put into the project as it is."
    lost = []
    for mutant in mutants:
        try:
            changed_files(ROOT, mutant)
        except (LookupError, AssertionError, SyntaxError, OSError) as error:
            lost.append(f"anchor not found: {mutant.label}: {error}")
    return lost


if __name__ == "__main__":
    sys.exit(main())
