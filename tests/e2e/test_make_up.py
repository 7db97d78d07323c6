"""`make up` shows the sample application answer; `make down` leaves nothing behind."""

from __future__ import annotations

import pathlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator

import pytest

pytestmark = pytest.mark.root

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def lines(*command: str) -> set[str]:
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines())


def machine(state: pathlib.Path) -> dict[str, set[str]]:
    """What this cluster could leave on the machine. Processes and mounts are told from another cluster's by the state
    directory; the rest should be as it was."""
    processes = {
        line
        for line in lines("ps", "-ww", "-eo", "args")
        if str(state) in line and not line.startswith(("ps ", "make ")) and "pytest" not in line
    }
    mounts = {line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()}
    return {
        "processes": processes,
        "namespaces": {line.split()[0] for line in lines("ip", "netns", "list")},
        "links": {line.split(":")[1].split("@")[0].strip() for line in lines("ip", "-o", "link")},
        "routes": lines("ip", "route"),
        "mounts": {point for point in mounts if str(state) in point or point.startswith("/run/netns/")},
        "tables": lines("nft", "list", "tables"),
        "cgroups": {str(p) for p in pathlib.Path("/sys/fs/cgroup").glob("*/tiphys*")}
        | {str(p) for p in pathlib.Path("/sys/fs/cgroup").glob("tiphys*")},
    }


@pytest.fixture
def state() -> Iterator[pathlib.Path]:
    path = pathlib.Path(tempfile.mkdtemp(prefix="tiphys-", dir="/tmp"))
    yield path
    subprocess.run(["make", "down", f"STATE={path}"], cwd=ROOT, check=False, capture_output=True, timeout=120)
    shutil.rmtree(path, ignore_errors=True)


def make(*words: str) -> str:
    result = subprocess.run(["make", *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_up_answers_and_down_leaves_nothing(state: pathlib.Path) -> None:
    before = machine(state)
    said = make("up", f"STATE={state}")
    assert re.search(r"hello answers through its Service .*: Hello from Kubernetes, in Python\.", said)
    assert f"export KUBECONFIG={state}/kubeconfig" in said
    assert machine(state)["processes"]
    make("down", f"STATE={state}")
    assert machine(state) == before
