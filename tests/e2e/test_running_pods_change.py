"""What clients change in pods that run: resources, debugging containers, many things at once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from conftest import RunningCluster, pod_manifest
from tiphys.runtime.images import SAMPLE_IMAGE

pytestmark = pytest.mark.root


def running(cluster: RunningCluster, namespace: str, name: str, **container: Any) -> Any:
    """A pod that sleeps, once it is ready."""
    manifest = pod_manifest(name, ["sleep", "1000"], container=container)
    cluster.kubectl("-n", namespace, "create", "-f", "-", stdin=manifest)
    cluster.kubectl("-n", namespace, "wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
    return cluster.get("-n", namespace, "pod", name)


def observed(cluster: RunningCluster, namespace: str, name: str, generation: int) -> Any:
    """The pod when its kubelet has seen this generation of it."""
    seen = f"--for=jsonpath={{.status.observedGeneration}}={generation}"
    cluster.kubectl("-n", namespace, "wait", seen, f"pod/{name}", "--timeout=60s")
    return cluster.get("-n", namespace, "pod", name)


def test_a_resize_is_seen_in_the_status_and_restarts_nothing(cluster: RunningCluster, namespace: str) -> None:
    small = {"requests": {"cpu": "10m", "memory": "20Mi"}, "limits": {"cpu": "20m", "memory": "40Mi"}}
    large = {"requests": {"cpu": "20m", "memory": "30Mi"}, "limits": {"cpu": "40m", "memory": "60Mi"}}
    first = running(cluster, namespace, "resized", resources=small)
    assert first["status"]["containerStatuses"][0]["resources"] == small
    assert first["status"]["containerStatuses"][0]["allocatedResources"] == small["requests"]
    patch = json.dumps({"spec": {"containers": [{"name": "main", "resources": large}]}})
    cluster.kubectl("-n", namespace, "patch", "pod", "resized", "--subresource=resize", "-p", patch)
    applied = "--for=jsonpath={.status.containerStatuses[0].resources.limits.memory}=60Mi"
    cluster.kubectl("-n", namespace, "wait", applied, "pod/resized", "--timeout=60s")
    pod = observed(cluster, namespace, "resized", 2)
    status = pod["status"]["containerStatuses"][0]
    assert (status["resources"], status["allocatedResources"]) == (large, large["requests"])
    assert status["restartCount"] == 0
    assert [c for c in pod["status"]["conditions"] if c["type"].startswith("PodResize")] == []
    pod["spec"]["containers"][0]["resources"] = small
    replace = ["-n", namespace, "replace", "--subresource=resize", "-f", "-"]
    cluster.kubectl(*replace, stdin=json.dumps(pod))
    back = observed(cluster, namespace, "resized", 3)
    assert back["spec"]["containers"][0]["resources"] == small


def test_resizes_of_many_kinds_at_once(cluster: RunningCluster, namespace: str) -> None:
    changes: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "main": ({}, {"requests": {"cpu": "10m", "memory": "20Mi"}}),
        "more-cpu": ({"requests": {"cpu": "10m"}}, {"requests": {"cpu": "20m"}, "limits": {"cpu": "40m"}}),
        "more-memory": (
            {"requests": {"memory": "20Mi"}},
            {"requests": {"memory": "30Mi"}, "limits": {"memory": "60Mi"}},
        ),
        "less": (
            {"requests": {"cpu": "20m", "memory": "40Mi"}, "limits": {"cpu": "40m", "memory": "80Mi"}},
            {"requests": {"cpu": "10m", "memory": "30Mi"}, "limits": {"cpu": "30m", "memory": "80Mi"}},
        ),
        "equivalent": (
            {"requests": {"cpu": "2m"}, "limits": {"cpu": "2m"}},
            {"requests": {"cpu": "1m"}, "limits": {"cpu": "1m"}},
        ),
        "unchanged": ({"requests": {"cpu": "10m"}}, {"requests": {"cpu": "10m"}}),
    }
    base = {"image": SAMPLE_IMAGE, "imagePullPolicy": "IfNotPresent", "command": ["sleep", "1000"]}
    others = [{**base, "name": name, "resources": before} for name, (before, _) in changes.items() if name != "main"]
    manifest = pod_manifest("many", ["sleep", "1000"], containers=others)
    cluster.kubectl("-n", namespace, "create", "-f", "-", stdin=manifest)
    cluster.kubectl("-n", namespace, "wait", "--for=condition=Ready", "pod/many", "--timeout=60s")
    wanted = [{"name": name, "resources": after} for name, (_, after) in changes.items()]
    patch = json.dumps({"spec": {"containers": wanted}})
    cluster.kubectl("-n", namespace, "patch", "pod", "many", "--subresource=resize", "-p", patch)
    applied = '--for=jsonpath={.status.containerStatuses[?(@.name=="equivalent")].resources.limits.cpu}=1m'
    cluster.kubectl("-n", namespace, "wait", applied, "pod/many", "--timeout=60s")
    pod = observed(cluster, namespace, "many", 2)
    shown = {each["name"]: each for each in pod["status"]["containerStatuses"]}
    assert {name: each.get("resources") for name, each in shown.items()} == {
        name: after for name, (_, after) in changes.items()
    }
    assert {each["restartCount"] for each in shown.values()} == {0}
    assert pod["status"]["qosClass"] == "Burstable"


def test_ephemeral_containers_join_a_running_pod(cluster: RunningCluster, namespace: str) -> None:
    pod = running(cluster, namespace, "watched")
    for number in (1, 2):
        name = f"debug-{number}"
        command = ["-n", namespace, "debug", "watched", f"--image={SAMPLE_IMAGE}", f"--container={name}"]
        cluster.kubectl(
            *command, "--image-pull-policy=IfNotPresent", "--", "sh", "-c", f"echo polo {number}; sleep 1000"
        )
        started = f"--for=jsonpath={{.status.ephemeralContainerStatuses[{number - 1}].state.running.startedAt}}"
        cluster.kubectl("-n", namespace, "wait", started, "pod/watched", "--timeout=60s")
        assert cluster.kubectl("-n", namespace, "logs", "watched", "-c", name) == f"polo {number}\n"
        shown = cluster.get("-n", namespace, "pod", "watched")
        assert [c["name"] for c in shown["spec"]["ephemeralContainers"]] == ["debug-1", "debug-2"][:number]
        assert shown["metadata"]["generation"] == 1 + number
        assert (
            shown["status"]["containerStatuses"][0]["containerID"]
            == (pod["status"]["containerStatuses"][0]["containerID"])
        )


def test_a_kubelet_catches_up_with_many_changes(cluster: RunningCluster, namespace: str) -> None:
    running(cluster, namespace, "busy")
    for seconds in range(5100, 5000, -1):
        patch = json.dumps({"spec": {"activeDeadlineSeconds": seconds}})
        cluster.kubectl("-n", namespace, "patch", "pod", "busy", "-p", patch)
    assert observed(cluster, namespace, "busy", 101)["metadata"]["generation"] == 101


def test_nodes_take_pods_of_everybody(cluster: RunningCluster) -> None:
    nodes = cluster.get("nodes")["items"]
    assert len([n for n in nodes if not n["spec"].get("taints") and not n["spec"].get("unschedulable")]) >= 2
