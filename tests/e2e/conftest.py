"""A real cluster for the end-to-end tests: two nodes, real containers, the real kubectl; one for the whole session."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tiphys.cli.doctor import lacking
from tiphys.cli.kubectl import kubectl_path
from tiphys.runtime.images import SAMPLE_IMAGE

TIPHYS = [sys.executable, "-m", "tiphys"]
COUNTER = itertools.count(1)


def why_not() -> str:
    """Why real clusters cannot run here; empty when they can."""
    missing = [f"{finding.name}: {finding.found}" for finding in lacking()]
    if kubectl_path() is None:
        missing.append("kubectl: not found")
    return "; ".join(missing)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = why_not()
    for item in items:
        if item.get_closest_marker("root") is None or not reason:
            continue
        if os.environ.get("CI"):
            raise pytest.UsageError(f"in CI the tests marked root must run, but: {reason}")
        item.add_marker(pytest.mark.skip(reason=f"needs root and a container runtime: {reason}"))


@dataclass(frozen=True)
class RunningCluster:
    """A cluster that runs, and the ways to it."""

    state: pathlib.Path

    @property
    def kubeconfig(self) -> pathlib.Path:
        return self.state / "kubeconfig"

    def environment(self) -> dict[str, str]:
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig)}

    def tiphys(self, *words: str, timeout_seconds: float = 180) -> str:
        return run([*TIPHYS, "--state", str(self.state), *words], timeout_seconds=timeout_seconds)

    def kubectl(self, *words: str, stdin: str | None = None, check: bool = True, timeout_seconds: float = 90) -> str:
        command = [str(kubectl_path()), *words]
        return run(command, stdin=stdin, environment=self.environment(), check=check, timeout_seconds=timeout_seconds)

    def start_kubectl(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(kubectl_path()), *words],
            env=self.environment(),
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            **options,
        )

    def get(self, *words: str) -> Any:
        return json.loads(self.kubectl("get", *words, "-o", "json"))


def run(
    command: list[str],
    stdin: str | None = None,
    environment: dict[str, str] | None = None,
    check: bool = True,
    timeout_seconds: float = 90,
) -> str:
    """Standard output of a command; the failure shows everything it said."""
    result = subprocess.run(
        command, input=stdin, capture_output=True, text=True, env=environment, check=False, timeout=timeout_seconds
    )
    if check and result.returncode:
        pytest.fail(f"{' '.join(command)}: exit code {result.returncode}\n{result.stdout}\n{result.stderr}")
    return result.stdout if check else result.stdout + result.stderr


@contextlib.contextmanager
def running_cluster(nodes: int) -> Iterator[RunningCluster]:
    """Bring a new cluster up, load the sample image, and leave nothing of it behind."""
    state = pathlib.Path(tempfile.mkdtemp(prefix="tiphys-", dir="/tmp"))
    cluster = RunningCluster(state)
    try:
        cluster.tiphys("up", "--detach", "--nodes", str(nodes))
        cluster.tiphys("image", "load-sample")
        yield cluster
    finally:
        keep = os.environ.get("TIPHYS_KEEP_LOGS")
        if keep:
            shutil.copytree(state, keep, ignore=keep_only_logs, dirs_exist_ok=True)
        subprocess.run([*TIPHYS, "--state", str(state), "down", "--purge"], check=False, timeout=180)
        shutil.rmtree(state, ignore_errors=True)


def keep_only_logs(directory: str, names: list[str]) -> set[str]:
    paths = {name: pathlib.Path(directory) / name for name in names}
    return {n for n, p in paths.items() if n == "containerd" or (p.is_file() and p.suffix != ".log") or p.is_socket()}


@pytest.fixture(scope="session")
def cluster() -> Iterator[RunningCluster]:
    with running_cluster(nodes=2) as made:
        yield made


@pytest.fixture
def namespace(cluster: RunningCluster) -> Iterator[str]:
    """A namespace of this test's own, gone afterwards."""
    name = f"e2e-{os.getpid()}-{next(COUNTER)}"
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


def pod_manifest(name: str, command: list[str] | None = None, **spec: Any) -> str:
    """A pod of the sample image with one container `main`, as JSON."""
    container: dict[str, Any] = {"name": "main", "image": SAMPLE_IMAGE, "imagePullPolicy": "IfNotPresent"}
    container |= spec.pop("container", {})
    if command is not None:
        container["command"] = command
    meta = {"name": name, "labels": {"app": name}}
    full = {"terminationGracePeriodSeconds": 2, **spec, "containers": [container, *spec.pop("containers", [])]}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": full})


def deployment_manifest(name: str, replicas: int, labels: dict[str, str] | None = None, **container: Any) -> str:
    """A Deployment of the sample image's web server on port 8080, ready when it answers."""
    labels = labels or {"app": name}
    web: dict[str, Any] = {
        "name": "web",
        "image": SAMPLE_IMAGE,
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
        **container,
    }
    template = {"metadata": {"labels": labels}, "spec": {"terminationGracePeriodSeconds": 5, "containers": [web]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    document = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": spec,
    }
    return json.dumps(document)
