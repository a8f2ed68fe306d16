"""Calls that may crash, hang or take all memory, in a process that serves many of them.

`Watched(module)` starts `python watched.py module`, which imports the module and answers each job
by its function `serve`; what dies, hangs or grows is ended and started again for the next job."""

import faulthandler
import importlib
import json
import os
import select
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

import psutil
from project_files import ROOT

SECONDS = 20  # a longer call hangs
BYTES = 2 * 2**30  # of the whole process
IDLE_BYTES = 2**30  # a process that was larger is started again for the next call
START_SECONDS = 120
FAILED = ("crash", "hang", "memory")  # ends of the process; any other outcome is its own answer


@dataclass(frozen=True)
class Answer:
    "How a call ended."

    outcome: str  # done | the name of an exception | one of FAILED
    text: str = ""  # what it returned, or the traceback
    seconds: float = 0.0
    bytes: int = 0  # the largest size of the process

    @property
    def is_good(self) -> bool:
        "Whether the call returned, or refused its input in one line."
        return self.outcome in ("done", "InputError")


class Watched:
    "Context: `.call(job)` for each job; the process starts with the first one."

    def __init__(self, module: str, seconds: float = SECONDS, limit: int = BYTES):
        self.module = module
        self.seconds = seconds
        self.limit = limit
        self.process: subprocess.Popen | None = None
        self.folder = tempfile.TemporaryDirectory()
        self.log = Path(self.folder.name) / "log"

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stop()
        self.folder.cleanup()

    def start(self):
        "Start the process and wait until it has imported what it needs."
        paths = [str(ROOT), os.environ.get("PYTHONPATH")]
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, __file__, self.module, str(self.log), str(self.seconds)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, cwd=self.folder.name, env=environment
        )
        ready = self._wait(START_SECONDS, sys.maxsize)
        assert ready.outcome == "done", f"{self.module}: {ready.outcome}\n{self._end_of_log()}"

    def stop(self):
        "End the process, if one runs."
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            self.process.stdout.close()
            self.process = None

    def call(self, job) -> Answer:  # job: anything json can hold
        "What the module's `serve` makes of a job."
        if self.process is None:
            self.start()
        self.process.stdin.write(json.dumps(job).encode() + b"\n")
        self.process.stdin.flush()
        answer = self._wait(self.seconds, self.limit)
        if answer.outcome in FAILED or answer.bytes > IDLE_BYTES:
            self.stop()
        return answer

    def _bytes(self) -> int:
        "Memory of the process; 0 when it has ended."
        try:
            return psutil.Process(self.process.pid).memory_info().rss
        except psutil.NoSuchProcess:
            return 0

    def _wait(self, seconds: float, limit: int) -> Answer:
        "The next answer of the process, or how it ended without one."
        start = time.monotonic()
        peak = 0
        while not select.select([self.process.stdout], [], [], 0.02)[0]:
            peak = max(peak, self._bytes())
            passed = time.monotonic() - start
            if peak > limit:
                return Answer("memory", self._end_of_log(), passed, peak)
            if passed > seconds:
                return Answer("hang", self._end_of_log(), passed, peak)
        line = self.process.stdout.readline()
        passed = time.monotonic() - start
        if not line:
            code = self.process.wait()
            return Answer("crash", f"exit code {code}\n{self._end_of_log()}", passed, peak)
        outcome, text, largest = json.loads(line)
        if largest > limit:
            outcome = "memory"
        return Answer(outcome, text, passed, max(peak, largest))

    def strays(self) -> list[str]:
        "What jobs have left in the folder that the process works in."
        return [path.name for path in Path(self.folder.name).iterdir() if path != self.log]

    def _end_of_log(self) -> str:
        "What the process printed last: for a hang the place where it stood."
        if not self.log.exists():
            return ""
        return self.log.read_text(encoding="utf-8", errors="replace")[-3000:]


# ---- the process itself ----
def answer_to(serve, job) -> tuple[str, str]:  # outcome, text
    "Run one job; an InputError of several lines is not one."
    try:
        return "done", str(serve(job) or "")
    except Exception as error:
        name = type(error).__name__
        if name != "InputError":
            return name, traceback.format_exc()[-3000:]
        is_one_line = "\n" not in str(error) and len(str(error)) < 1000
        return name if is_one_line else "InputError of many lines", str(error)[:3000]


def largest_size() -> int:
    "The most memory that this process has had, in bytes; 0 where Linux does not tell."
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def main(module: str, log: str, seconds: str):
    "Answer each line of standard input; whatever else is printed goes to the log."
    answers = os.fdopen(os.dup(1), "w")
    Path(log).write_text("")
    file = open(log, "a", buffering=1)
    for descriptor in (1, 2):
        os.dup2(file.fileno(), descriptor)
    faulthandler.enable(file)
    serve = importlib.import_module(module).serve
    print(json.dumps(["done", "", 0]), file=answers, flush=True)
    for line in sys.stdin:
        file.truncate(0)
        faulthandler.dump_traceback_later(max(1, float(seconds) - 1), file=file)
        outcome, text = answer_to(serve, json.loads(line))
        faulthandler.cancel_dump_traceback_later()
        print(json.dumps([outcome, text, largest_size()]), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
