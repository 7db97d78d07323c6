"""Whole-cluster rows: cold start, idle memory and processor time, one pod, thirty replicas. Needs root and
containerd."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

from bench.figures import show
from bench.processes import processor_seconds, resident_mebibytes
from tiphys.launch.cluster import CONTROL_PLANE, Layout, agent_unit
from tiphys.launch.io.admin import AdminClient
from tiphys.linux.io import processes
from tiphys.runtime.images import SAMPLE_IMAGE

RUNS = int(os.environ.get("RUNS", "3"))
IDLE_SECONDS = 30.0
PODS = "/api/v1/namespaces/default/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


class BenchCluster:
    """One cluster with one node for a run."""

    def __init__(self) -> None:
        self.state = pathlib.Path(tempfile.mkdtemp(prefix="tiphys-", dir="/tmp"))
        self.layout = Layout(self.state)

    def tiphys(self, *words: str) -> str:
        command = [sys.executable, "-m", "tiphys", "--state", str(self.state), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout

    def remove(self) -> None:
        subprocess.run(
            [sys.executable, "-m", "tiphys", "--state", str(self.state), "down", "--purge"],
            check=False,
            capture_output=True,
            timeout=300,
        )
        shutil.rmtree(self.state, ignore_errors=True)

    def pid(self, unit: str) -> int:
        pid = processes.running_pid(self.layout.unit_pid(unit))
        assert pid is not None
        return pid

    def up(self) -> tuple[float, float]:
        """Bring it up; seconds from the command to /readyz ok, and to the node Ready."""
        command = [sys.executable, "-m", "tiphys", "--state", str(self.state), "up", "--detach"]
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert process.stdout is not None
        api = node = 0.0
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith("API server ready"):
                api = time.monotonic() - began
            elif " Ready (" in line:
                node = time.monotonic() - began
        if process.wait():
            raise SystemExit("".join(said))
        return api, node


def watch_until(client: AdminClient, path: str, done: Callable[[dict[str, object]], bool]) -> float:
    """The moment at which the objects seen so far satisfy `done`."""
    seen: dict[str, object] = {}
    while True:
        for event in client.watch(path, timeout_seconds=60):
            name = event["object"]["metadata"].get("name", "")
            if event["type"] == "DELETED":
                seen.pop(name, None)
            elif event["type"] != "BOOKMARK":
                seen[name] = event["object"]
            if done(seen):
                return time.monotonic()


def is_ready_pod(pod: object) -> bool:
    conditions = pod["status"].get("conditions") or []  # type: ignore[index]
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def call(client: AdminClient, method: str, path: str, body: object = None) -> None:
    code, answer = client.call(method, path, body)
    if code >= 300:
        raise SystemExit(f"{method} {path}: {code} {json.dumps(answer)[:500]}")


def one_pod(cluster: BenchCluster, number: int) -> float:
    """Seconds from the create call to Ready of a pod without probes, its image being there."""
    name = f"one-{number}"
    container = {"name": "main", "image": SAMPLE_IMAGE, "command": ["sleep", "3600"]}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [container]}}
    client, watcher = AdminClient(cluster.layout), AdminClient(cluster.layout, timeout_seconds=90)
    began = time.monotonic()
    call(client, "POST", PODS, body)
    path = f"{PODS}?fieldSelector=metadata.name%3D{name}"
    ended = watch_until(watcher, path, lambda seen: any(map(is_ready_pod, seen.values())))
    call(client, "DELETE", f"{PODS}/{name}", {"gracePeriodSeconds": 0})
    return ended - began


def thirty_replicas(cluster: BenchCluster) -> tuple[float, float]:
    """Seconds from creating a Deployment of 30 to all Ready; seconds from deleting it to no pod (they ignore
    SIGTERM)."""
    labels = {"app": "thirty"}
    container = {"name": "main", "image": SAMPLE_IMAGE, "command": ["sleep", "3600"]}
    spec = {
        "replicas": 30,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
    }
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "thirty"}, "spec": spec}
    client, watcher = AdminClient(cluster.layout), AdminClient(cluster.layout, timeout_seconds=90)
    path = f"{PODS}?labelSelector=app%3Dthirty"
    began = time.monotonic()
    call(client, "POST", DEPLOYMENTS, body)
    ready = watch_until(watcher, path, lambda seen: sum(map(is_ready_pod, seen.values())) >= 30) - began
    began = time.monotonic()
    call(client, "DELETE", f"{DEPLOYMENTS}/thirty", {"propagationPolicy": "Background"})
    had: list[int] = []

    def gone(seen: dict[str, object]) -> bool:
        had.append(len(seen))
        return not seen and max(had) > 0

    return ready, watch_until(watcher, path, gone) - began


def idle(cluster: BenchCluster) -> tuple[float, float, float]:
    """Resident MiB of the control plane and of the agent, and percent of a core that all of it uses while nothing
    happens."""
    pids = [cluster.pid(CONTROL_PLANE), cluster.pid(agent_unit("node-1"))]
    supervisor = processes.running_pid(cluster.layout.supervisor_pid)
    assert supervisor is not None
    everything = [*pids, supervisor]
    before = sum(map(processor_seconds, everything))
    time.sleep(IDLE_SECONDS)
    used = sum(map(processor_seconds, everything)) - before
    return resident_mebibytes(pids[0]), resident_mebibytes(pids[1]), 100 * used / IDLE_SECONDS


def main() -> None:
    starts, idles, pods, deployments = [], [], [], []
    for _ in range(RUNS):
        cluster = BenchCluster()
        try:
            starts.append(cluster.up())
            idles.append(idle(cluster))
            cluster.tiphys("image", "load-sample")
            pods += [one_pod(cluster, number) for number in range(3)]
            deployments.append(thirty_replicas(cluster))
        finally:
            cluster.remove()
    show("cold start: command -> /readyz ok", [s[0] for s in starts], "s", "5.4-7.2 s")
    show("cold start: command -> first node Ready", [s[1] for s in starts], "s", "21-24 s")
    show("idle memory, control plane", [i[0] for i in idles], "MiB", "489 MiB")
    show("idle memory, node agent", [i[1] for i in idles], "MiB", "125 MiB")
    show("idle processor time, whole system without containerd", [i[2] for i in idles], "% of a core", "11.7 %")
    show("one pod: create -> Ready", pods, "s", "1.0 s")
    show("30-replica Deployment: create -> all Ready", [d[0] for d in deployments], "s", "22.4 s")
    show("those 30 gone after delete", [d[1] for d in deployments], "s", "55 s")


if __name__ == "__main__":
    main()
