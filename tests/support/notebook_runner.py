"""Runs a notebook as nbdev's own runner does, in a process of its own.

The process is started by the name of a function, so it stands where a new process finds it."""

import multiprocessing
import os
import sys
import time
from dataclasses import dataclass
from functools import partialmethod
from pathlib import Path

from project_files import ROOT

FLAGS = ["slow", "cuda", "notest"]  # cells with one of these lines are left out
CELL_SECONDS, NOTEBOOK_SECONDS = 120, 300  # at most, on a busy machine; the aim is 60 a notebook


@dataclass
class Result:
    "How a notebook ended."

    passed: bool
    seconds: float
    work: float  # seconds of one core, whatever else the machine did; 0: it did not end by itself
    text: str  # what it printed, the traceback of a failing cell, and its end


def run_here(path: Path, log: Path, skip: list[str], cell_seconds: int, save: bool, answers: bool):
    "Run one notebook in this process and end it; everything that is printed goes to `log`."
    print_to(log)
    import torch
    from nbdev.test import test_nb

    if save:
        store_plain_images()
    elif answers:
        try_answers_too()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))
    passed, _ = test_nb(path, skip_flags=skip, basepath=ROOT, cell_timeout=cell_seconds, save=save)
    sys.stdout.flush()
    sys.stderr.flush()
    work_file(log).write_text(str(sum(os.times()[:4])))
    os._exit(0 if passed else 1)  # whatever threads a notebook left running


def work_file(log: Path) -> Path:
    "Where a process says how long it worked, those that it started included."
    return log.with_name(f"{log.name}.work")


def store_plain_images():
    "Figures of the size that they have; nbdev's own way is twice as large (retina)."
    from execnb.shell import CaptureShell

    plain = partialmethod(CaptureShell.__init__, mpl_format="png")
    CaptureShell.__init__ = plain


def try_answers_too():
    "Below the check of every exercise its answers are tried, below other checks wrong versions."
    import nbdev.test
    from exercise_cells import with_trials
    from fastcore.nbio import read_nb
    from wrong_versions import FOLDER, with_wrong_versions

    class WithTrials(nbdev.test.NBProcessor):
        def __init__(self, path, **options):
            notebook = with_wrong_versions(read_nb(path), FOLDER / f"{Path(path).stem}.py")
            super().__init__(path, nb=with_trials(notebook), **options)

    nbdev.test.NBProcessor = WithTrials


def print_to(log: Path):
    "Send the output of this process, also that of its C libraries, to a file."
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for descriptor in (1, 2):
        os.dup2(file, descriptor)
    sys.stdout = sys.__stdout__ = open(1, "w", buffering=1, closefd=False)
    sys.stderr = sys.__stderr__ = open(2, "w", buffering=1, closefd=False)


def processes():
    "The way to start processes: forked from one that has imported torch, where that is safe."
    if sys.platform in ("darwin", "win32"):
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "nbdev.test"])
    return context


def run(
    path: Path,
    log: Path,
    skip: list[str] = FLAGS,
    cell_seconds: int = CELL_SECONDS,
    seconds: int = NOTEBOOK_SECONDS,
    save: bool = False,  # store the outputs in the notebook
    answers: bool = True,  # try the answers of its exercises, unless outputs are stored
) -> Result:
    "Run a notebook in a process of its own, for `seconds` at most."
    start = time.time()
    process = processes().Process(
        target=run_here, args=(path, log, skip, cell_seconds, save, answers)
    )
    process.start()
    process.join(seconds)
    end = f"exit code {process.exitcode}"
    if process.exitcode is None:
        end = f"stopped after {seconds} s"
        process.kill()
        process.join()
    printed = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    told = work_file(log)
    work = float(told.read_text()) if told.exists() else 0.0
    passed = process.exitcode == 0
    return Result(passed, time.time() - start, work, f"{printed}\n{path}: {end}")
