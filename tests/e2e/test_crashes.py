"""Nothing acknowledged is lost and pods run on, whatever is killed."""

from __future__ import annotations

import os
import pathlib
import signal
import threading
from collections.abc import Iterator

import pytest

from conftest import RunningCluster, pod_manifest, running_cluster
from tiphys.launch.cluster import CONTROL_PLANE, Layout, agent_unit
from tiphys.launch.io.admin import AdminClient, ApiUnreachable
from tiphys.linux.io import processes

pytestmark = pytest.mark.root

CREATES = 200


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[RunningCluster]:
    """A cluster of this module's own: what is killed here must not disturb other tests."""
    with running_cluster(nodes=1) as made:
        yield made


def kill(cluster: RunningCluster, unit: str) -> int:
    """kill -9 of a unit's process; the pid it had."""
    pid = processes.running_pid(Layout(cluster.state).unit_pid(unit))
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert processes.wait_gone(pid, 10)
    return pid


def start_sleeper(cluster: RunningCluster, name: str) -> dict[str, str]:
    """A running pod: its uid, container id and start."""
    cluster.kubectl("apply", "-f", "-", stdin=pod_manifest(name, ["sleep", "3600"]))
    cluster.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
    return identity(cluster, name)


def identity(cluster: RunningCluster, name: str) -> dict[str, str]:
    pod = cluster.get("pod", name)
    (container,) = pod["status"]["containerStatuses"]
    return {
        "uid": pod["metadata"]["uid"],
        "container": container["containerID"],
        "started": container["state"]["running"]["startedAt"],
        "restarts": container["restartCount"],
    }


class Creator(threading.Thread):
    """Creates ConfigMaps one after the other until the server is gone; keeps the names that were acknowledged."""

    def __init__(self, cluster: RunningCluster, offset: int, halfway: threading.Event) -> None:
        super().__init__(daemon=True)
        self.client = AdminClient(Layout(cluster.state))
        self.names = [f"crash-{n}" for n in range(offset, CREATES, 4)]
        self.halfway = halfway
        self.acknowledged: set[str] = set()

    def run(self) -> None:
        for name in self.names:
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"n": name}}
            try:
                code, _ = self.client.call("POST", "/api/v1/namespaces/default/configmaps", body)
            except ApiUnreachable:
                return
            assert code == 201
            self.acknowledged.add(name)
            if len(self.acknowledged) * 2 >= len(self.names):
                self.halfway.set()


def test_a_killed_control_plane_keeps_what_it_acknowledged(own_cluster: RunningCluster) -> None:
    before = start_sleeper(own_cluster, "bystander")
    halfway = threading.Event()
    creators = [Creator(own_cluster, offset, halfway) for offset in range(4)]
    for creator in creators:
        creator.start()
    assert halfway.wait(30)
    kill(own_cluster, CONTROL_PLANE)
    for creator in creators:
        creator.join(30)
    acknowledged = set().union(*(creator.acknowledged for creator in creators))
    assert 0 < len(acknowledged) < CREATES
    own_cluster.tiphys("up", "--detach")
    found = {item["metadata"]["name"] for item in own_cluster.get("configmaps")["items"]}
    created = {name for name in found if name.startswith("crash-")}
    assert acknowledged <= created
    # A create whose answer was cut off may have happened; there is at most one such a connection.
    assert len(created - acknowledged) <= len(creators)
    assert identity(own_cluster, "bystander") == before


def test_a_killed_agent_adopts_the_pods_that_ran_on(own_cluster: RunningCluster) -> None:
    before = start_sleeper(own_cluster, "adopted")
    pid = container_process(own_cluster, "adopted")
    kill(own_cluster, agent_unit("node-1"))
    assert pathlib.Path(f"/proc/{pid}").exists()
    own_cluster.tiphys("up", "--detach")
    own_cluster.kubectl("annotate", "pod", "adopted", "touched=yes")
    own_cluster.kubectl("exec", "adopted", "--", "true")
    assert identity(own_cluster, "adopted") == before
    assert pathlib.Path(f"/proc/{pid}").exists()


def container_process(cluster: RunningCluster, name: str) -> int:
    """The host's pid of the pod's `sleep 3600`, found by the pod's uid in its cgroup."""
    uid = cluster.get("pod", name)["metadata"]["uid"]
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if (entry / "cmdline").read_bytes() == b"sleep\0003600\0" and uid in (entry / "cgroup").read_text():
                return int(entry.name)
        except OSError:
            continue
    raise AssertionError(f"no process of pod {name}")


def test_the_cluster_comes_back_after_down(own_cluster: RunningCluster) -> None:
    own_cluster.kubectl("create", "configmap", "kept", "--from-literal=a=1")
    own_cluster.tiphys("down")
    own_cluster.tiphys("up", "--detach")
    assert own_cluster.get("configmap", "kept")["data"] == {"a": "1"}
