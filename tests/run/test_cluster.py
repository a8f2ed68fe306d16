"""A sweep on two Ray nodes: it is spread over both, and survives the loss of one."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from importlib.util import find_spec

import psutil
import pytest
from project_files import ROOT

from animlib.core import InputError
from animlib.run.manifest import Manifest, rows_of
from animlib.run.rows import run_manifest

pytestmark = pytest.mark.skipif(
    find_spec("ray") is None or sys.platform == "win32", reason="needs ray and signals"
)
TRAINING = dict(data="toy:arm", steps=3, clips=2, frames=3, eval_clips=1, device="cpu")
OPTIONS = {"options": {"batch": 2, "preview_every": 0}}
LEADER = """
import json, sys
from pathlib import Path
from animlib.run.cluster import RayEngine
from animlib.run.manifest import read_manifest
from animlib.run.rows import run_manifest

manifest, out, address = sys.argv[1:]
report = run_manifest(read_manifest(manifest), out, RayEngine(address, n=2))
Path(out, "report.json").write_text(json.dumps(report))  # Ray itself prints, too
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Nodes:
    "Ray nodes on this machine, each with one CPU and a temporary folder of its own."

    def __init__(self, folder):
        self.folder = folder
        from ray.util import get_node_ip_address

        self.address = f"{get_node_ip_address()}:{free_port()}"  # Ray wants no other name of here
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.env = os.environ | {
            "PYTHONPATH": os.pathsep.join(paths),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_DISABLE_MEMORY_MONITOR": "1",
            "RAY_health_check_period_ms": "1000",
            "RAY_health_check_failure_threshold": "3",
            "OMP_NUM_THREADS": "1",
        }
        self.processes = []

    def start(self, *options: str):
        "A node; it stays in the foreground, so that its processes are known."
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *options]
        command += ["--num-cpus", "1", "--object-store-memory", str(100 << 20)]
        command += ["--include-log-monitor", "false", "--disable-usage-stats"]
        log = self.folder / f"node-{len(self.processes)}.log"
        with open(log, "wb") as file:
            self.processes.append(
                subprocess.Popen(
                    command, stdout=file, stderr=file, env=self.env, start_new_session=True
                )
            )
        begun = self.processes[-1]
        wait_until(lambda: b"Ray runtime started" in log.read_bytes() or begun.poll() is not None)
        return begun.poll() is None

    def kill(self, i: int):
        "All processes of one node, by their ids."
        try:
            parent = psutil.Process(self.processes[i].pid)
            family = [*parent.children(recursive=True), parent]
        except psutil.NoSuchProcess:
            return
        for one in family:
            try:
                one.kill()
            except psutil.NoSuchProcess:
                continue
        self.processes[i].wait()


@pytest.fixture
def nodes(tmp_path):
    """Two nodes; the first one is the head. A busy machine may be too slow for Ray's patience;
    a workflow that has installed Ray must not pass over it."""
    made = Nodes(tmp_path)
    port = made.address.rpartition(":")[2]
    few = ["--include-dashboard", "false", "--no-monitor"]
    few += ["--ray-client-server-port", str(free_port())]
    if not made.start("--head", "--port", port, *few) or not made.start("--address", made.address):
        for i in range(len(made.processes)):
            made.kill(i)
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no Ray node starts here in time")
    try:
        yield made
    finally:
        for i in range(len(made.processes)):
            made.kill(i)


def wait_until(happens, seconds=180):
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end
        time.sleep(0.2)


def node_of(row) -> list[str]:
    "Nodes on which a row has begun and come back from."
    return re.findall(r"^on .* node (\w+)$", (row / "log.txt").read_text(), re.M)


def done_rows(out):
    return [path.parent for path in sorted(out.glob("rows/*/done.json"))]


def used_nodes(out) -> set[str]:
    "Nodes that have finished a row."
    return {node for row in done_rows(out) for node in node_of(row)}


@pytest.mark.slow
def test_a_sweep_is_spread_over_two_nodes_and_survives_the_loss_of_one(nodes, tmp_path):
    "Six trainings. When both nodes have finished one, one is killed in the middle of another."
    manifest, out = tmp_path / "m.yaml", tmp_path / "out"
    given = json.dumps(TRAINING | OPTIONS)
    text = f"notebook: train\nparameters: {given}\ngrid: {{method: [fomm, x2face]}}\nseeds: 3\n"
    manifest.write_text(text)
    command = [sys.executable, "-c", LEADER, str(manifest), str(out), nodes.address]
    leader = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=nodes.env
    )
    spoken = []
    reader = threading.Thread(target=lambda: spoken.extend(leader.communicate()))
    reader.start()
    try:
        wait_until(lambda: len(used_nodes(out)) == 2 or leader.poll() is not None, 900)
        finished = {row.name: (row / "done.json").read_bytes() for row in done_rows(out)}
        assert len(used_nodes(out)) == 2 and len(finished) < 5, spoken
        nodes.kill(1)
        reader.join(900)
    finally:
        leader.kill()
        reader.join()

    assert leader.returncode == 0, spoken
    report = json.loads((out / "report.json").read_text())
    assert len(report) == 6 and {row["state"] for row in report.values()} == {"done"}
    assert "lost with its node" in spoken[1]
    for name, content in finished.items():  # what was finished was not run once more
        assert (out / "rows" / name / "done.json").read_bytes() == content
    for row in done_rows(out):
        assert len(node_of(row)) == 1 and (row / "train" / "model.safetensors").is_file()
        assert not [*row.glob("failed*")]


def test_no_cluster_is_said(tmp_path):
    from animlib.run.cluster import RayEngine

    with pytest.raises(InputError, match="expected a cluster at"):
        RayEngine(f"127.0.0.1:{free_port()}")
    manifest = Manifest(rows_of("bench", {}), gpus=64)
    with pytest.raises(InputError, match="expected at least 64 GPUs"):
        run_manifest(manifest, tmp_path)
    assert not [*tmp_path.iterdir()]
