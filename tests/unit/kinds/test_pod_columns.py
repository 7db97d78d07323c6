"""How pods look in `kubectl get pods`."""

from __future__ import annotations

from typing import Any

import pytest
from documents import changed, row, stored
from test_pod_validation import POD

RUNNING = {"running": {"startedAt": "2025-12-31T23:59:00Z"}}
DONE = {"terminated": {"exitCode": 0, "reason": "Completed", "finishedAt": "2025-12-31T23:59:30Z"}}


def container(name: str = "main", ready: bool = True, restarts: int = 0, **state: Any) -> dict[str, Any]:
    return {"name": name, "image": "", "imageID": "", "ready": ready, "restartCount": restarts, **state}


def condition(kind: str, status: str = "True", **more: str) -> dict[str, str]:
    return {"type": kind, "status": status, **more}


INIT = {"spec.initContainers": [{"name": "first", "image": "a"}, {"name": "second", "image": "a"}]}
SIDECAR = {"spec.initContainers": [{"name": "first", "image": "a", "restartPolicy": "Always"}]}
DELETED = {"metadata.deletionTimestamp": "2025-12-31T23:59:59Z"}
READY = [condition("Initialized"), condition("Ready")]

CASES: list[tuple[str, dict[str, Any], dict[str, Any], tuple[str, str, str]]] = [
    ("new", {}, {"phase": "Pending"}, ("0/1", "Pending", "0")),
    (
        "gated",
        {},
        {"phase": "Pending", "conditions": [condition("PodScheduled", "False", reason="SchedulingGated")]},
        ("0/1", "SchedulingGated", "0"),
    ),
    (
        "image is pulled",
        {},
        {
            "phase": "Pending",
            "containerStatuses": [container(ready=False, state={"waiting": {"reason": "ContainerCreating"}})],
        },
        ("0/1", "ContainerCreating", "0"),
    ),
    (
        "runs",
        {},
        {"phase": "Running", "conditions": READY, "containerStatuses": [container(state=RUNNING)]},
        ("1/1", "Running", "0"),
    ),
    (
        "runs, not ready",
        {},
        {"phase": "Running", "containerStatuses": [container(ready=False, state=RUNNING)]},
        ("0/1", "Running", "0"),
    ),
    (
        "crashes",
        {},
        {
            "phase": "Running",
            "containerStatuses": [
                container(
                    ready=False,
                    restarts=3,
                    state={"waiting": {"reason": "CrashLoopBackOff"}},
                    lastState={"terminated": {"exitCode": 1, "finishedAt": "2025-12-31T23:55:00Z"}},
                )
            ],
        },
        ("0/1", "CrashLoopBackOff", "3 (5m ago)"),
    ),
    (
        "failed with a signal",
        {},
        {
            "phase": "Failed",
            "containerStatuses": [container(ready=False, state={"terminated": {"exitCode": 137, "signal": 9}})],
        },
        ("0/1", "Signal:9", "0"),
    ),
    (
        "failed with a code",
        {},
        {"phase": "Failed", "containerStatuses": [container(ready=False, state={"terminated": {"exitCode": 2}})]},
        ("0/1", "ExitCode:2", "0"),
    ),
    (
        "done",
        {},
        {"phase": "Succeeded", "containerStatuses": [container(ready=False, state=DONE)]},
        ("0/1", "Completed", "0"),
    ),
    (
        "one of two is done",
        {"spec.containers.1": {"name": "b", "image": "b"}},
        {"phase": "Running", "containerStatuses": [container(ready=False, state=DONE), container("b", state=RUNNING)]},
        ("1/2", "NotReady", "0"),
    ),
    ("evicted", {}, {"phase": "Failed", "reason": "Evicted"}, ("0/1", "Evicted", "0")),
    (
        "second init container",
        INIT,
        {
            "phase": "Pending",
            "initContainerStatuses": [container("first", state=DONE), container("second", ready=False, state=RUNNING)],
        },
        ("0/1", "Init:1/2", "0"),
    ),
    (
        "init container crashes",
        INIT,
        {
            "phase": "Pending",
            "initContainerStatuses": [
                container("first", ready=False, restarts=2, state={"waiting": {"reason": "CrashLoopBackOff"}}),
                container("second", ready=False, state={"waiting": {"reason": "PodInitializing"}}),
            ],
        },
        ("0/1", "Init:CrashLoopBackOff", "2"),
    ),
    (
        "init container failed",
        INIT,
        {
            "phase": "Failed",
            "initContainerStatuses": [
                container("first", ready=False, state={"terminated": {"exitCode": 1, "reason": "Error"}})
            ],
        },
        ("0/1", "Init:Error", "0"),
    ),
    (
        "init containers are done",
        INIT,
        {
            "phase": "Pending",
            "initContainerStatuses": [container("first", state=DONE), container("second", state=DONE)],
            "containerStatuses": [container(ready=False, state={"waiting": {"reason": "PodInitializing"}})],
        },
        ("0/1", "PodInitializing", "0"),
    ),
    (
        "with a sidecar",
        SIDECAR,
        {
            "phase": "Running",
            "conditions": READY,
            "initContainerStatuses": [container("first", started=True, state=RUNNING)],
            "containerStatuses": [container(state=RUNNING)],
        },
        ("2/2", "Running", "0"),
    ),
    (
        "sidecar begins",
        SIDECAR,
        {"phase": "Pending", "initContainerStatuses": [container("first", ready=False, started=False, state=RUNNING)]},
        ("0/2", "Init:0/1", "0"),
    ),
    (
        "deleted",
        DELETED,
        {"phase": "Running", "conditions": READY, "containerStatuses": [container(state=RUNNING)]},
        ("1/1", "Terminating", "0"),
    ),
    (
        "deleted after it ended",
        DELETED,
        {"phase": "Succeeded", "containerStatuses": [container(ready=False, state=DONE)]},
        ("0/1", "Completed", "0"),
    ),
    ("node is lost", DELETED, {"phase": "Running", "reason": "NodeLost"}, ("0/1", "Unknown", "0")),
]


@pytest.mark.parametrize(("changes", "status", "expected"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])
def test_state_in_words(changes: dict[str, Any], status: dict[str, Any], expected: tuple[str, str, str]) -> None:
    shown = row(stored(changed(POD, changes), status))
    assert (shown["Ready"], shown["Status"], shown["Restarts"]) == expected


def test_wide_columns() -> None:
    changes = {
        "metadata.creationTimestamp": "2025-12-31T20:00:00Z",
        "spec.nodeName": "n",
        "spec.readinessGates": [{"conditionType": "a/b"}, {"conditionType": "a/c"}],
    }
    status = {
        "phase": "Running",
        "podIPs": [{"ip": "10.0.0.9"}],
        "nominatedNodeName": "other",
        "conditions": [condition("a/b")],
    }
    assert row(stored(changed(POD, changes), status)) == {
        "Name": "web",
        "Ready": "0/1",
        "Status": "Running",
        "Restarts": "0",
        "Age": "4h",
        "IP": "10.0.0.9",
        "Node": "n",
        "Nominated Node": "other",
        "Readiness Gates": "1/2",
    }
    assert row(stored(POD), wide=False) == {
        "Name": "web",
        "Ready": "0/1",
        "Status": "Pending",
        "Restarts": "0",
        "Age": "<unknown>",
    }
