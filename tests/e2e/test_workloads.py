"""Pods that die come back, rollouts lose nothing: real containers, the real proxy."""

from __future__ import annotations

import http.client
import json
import socket
import threading

import pytest

from conftest import RunningCluster, deployment_manifest, pod_manifest
from tiphys.runtime.images import SAMPLE_IMAGE

pytestmark = pytest.mark.root


def wait_for(cluster: RunningCluster, namespace: str, what: str, condition: str, timeout_seconds: int = 60) -> None:
    cluster.kubectl(
        "-n", namespace, "wait", f"--for={condition}", what, f"--timeout={timeout_seconds}s", timeout_seconds=90
    )


def test_a_killed_container_is_restarted_with_back_off(cluster: RunningCluster, namespace: str) -> None:
    manifest = pod_manifest("crasher", ["sh", "-c", "exit 3"])
    cluster.kubectl("-n", namespace, "apply", "-f", "-", stdin=manifest)
    wait_for(cluster, namespace, "pod/crasher", "jsonpath={.status.containerStatuses[0].restartCount}=1")
    wait_for(
        cluster,
        namespace,
        "pod/crasher",
        "jsonpath={.status.containerStatuses[0].state.waiting.reason}=CrashLoopBackOff",
    )
    status = cluster.get("-n", namespace, "pod", "crasher")["status"]["containerStatuses"][0]
    assert status["lastState"]["terminated"]["exitCode"] == 3
    assert status["lastState"]["terminated"]["reason"] == "Error"
    assert "back-off 10s restarting failed container=main pod=crasher_" in status["state"]["waiting"]["message"]
    assert "CrashLoopBackOff" in cluster.kubectl("-n", namespace, "get", "pod", "crasher")


def test_a_deleted_pod_is_replaced(cluster: RunningCluster, namespace: str) -> None:
    cluster.kubectl("-n", namespace, "apply", "-f", "-", stdin=deployment_manifest("web", 1))
    cluster.kubectl("-n", namespace, "rollout", "status", "deployment/web", "--timeout=60s")
    (before,) = cluster.get("-n", namespace, "pods")["items"]
    cluster.kubectl("-n", namespace, "delete", "pod", before["metadata"]["name"], "--timeout=30s")
    cluster.kubectl("-n", namespace, "rollout", "status", "deployment/web", "--timeout=60s")
    after = {pod["metadata"]["name"] for pod in cluster.get("-n", namespace, "pods")["items"]}
    assert len(after) == 1
    assert before["metadata"]["name"] not in after


class Caller(threading.Thread):
    """Keeps calling a Service, a new connection each time, and keeps every failure."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self.address = address
        self.stop = threading.Event()
        self.answers = 0
        self.failures: list[str] = []

    def run(self) -> None:
        while not self.stop.is_set():
            connection = http.client.HTTPConnection(self.address, 80, timeout=5)
            try:
                connection.request("GET", "/")
                response = connection.getresponse()
                response.read()
                if response.status == 200:
                    self.answers += 1
                else:
                    self.failures.append(f"status {response.status}")
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
            finally:
                connection.close()


def test_a_rolling_update_loses_no_request(cluster: RunningCluster, namespace: str) -> None:
    # The server must go on answering while the endpoints' removal is on its way, as any zero-downtime application does.
    lifecycle = {"preStop": {"sleep": {"seconds": 2}}}
    manifest = deployment_manifest("web", 3, lifecycle=lifecycle)
    cluster.kubectl("-n", namespace, "apply", "-f", "-", stdin=manifest)
    cluster.kubectl("-n", namespace, "expose", "deployment", "web", "--port=80", "--target-port=8080")
    cluster.kubectl("-n", namespace, "rollout", "status", "deployment/web", "--timeout=60s")
    address = cluster.get("-n", namespace, "service", "web")["spec"]["clusterIP"]
    caller = Caller(address)
    caller.start()
    cluster.kubectl("-n", namespace, "set", "env", "deployment/web", "VERSION=2")
    cluster.kubectl("-n", namespace, "rollout", "status", "deployment/web", "--timeout=90s")
    caller.stop.set()
    caller.join(timeout=10)
    assert caller.failures == []
    assert caller.answers > 100


def test_services_reach_pods_on_every_node_by_name(cluster: RunningCluster, namespace: str) -> None:
    spread = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "web"}}}
    manifest = json.loads(deployment_manifest("web", 2))
    manifest["spec"]["template"]["spec"]["affinity"] = {
        "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [spread]}
    }
    cluster.kubectl("-n", namespace, "apply", "-f", "-", stdin=json.dumps(manifest))
    cluster.kubectl(
        "-n", namespace, "expose", "deployment", "web", "--port=80", "--target-port=8080", "--type=NodePort"
    )
    cluster.kubectl("-n", namespace, "rollout", "status", "deployment/web", "--timeout=60s")
    nodes = {pod["spec"]["nodeName"] for pod in cluster.get("-n", namespace, "pods")["items"]}
    assert nodes == {"node-1", "node-2"}
    fetch = f"for i in 1 2 3 4 5 6; do wget -q -O - http://web.{namespace}.svc.cluster.local/ || exit 1; done"
    cluster.kubectl(
        "-n", namespace, "apply", "-f", "-", stdin=pod_manifest("client", ["sh", "-c", fetch], restartPolicy="Never")
    )
    wait_for(cluster, namespace, "pod/client", "jsonpath={.status.phase}=Succeeded")
    assert cluster.kubectl("-n", namespace, "logs", "client").count("sample application") == 6
    port = cluster.get("-n", namespace, "service", "web")["spec"]["ports"][0]["nodePort"]
    for node in cluster.get("nodes")["items"]:
        address = next(a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP")
        with socket.create_connection((address, port), timeout=5) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert connection.recv(15).startswith(b"HTTP/1.")


def test_configuration_reaches_the_pod_and_follows_changes(cluster: RunningCluster, namespace: str) -> None:
    cluster.kubectl("-n", namespace, "create", "configmap", "settings", "--from-literal=color=blue")
    cluster.kubectl("-n", namespace, "create", "secret", "generic", "keys", "--from-literal=key=hidden")
    script = (
        "until grep -q green /settings/color; do usleep 100000; done; cat /settings/color /keys/key; echo $COLOR $NODE"
    )
    container = {
        "volumeMounts": [{"name": "settings", "mountPath": "/settings"}, {"name": "keys", "mountPath": "/keys"}],
        "env": [
            {"name": "COLOR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "color"}}},
            {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        ],
    }
    volumes = [
        {"name": "settings", "configMap": {"name": "settings"}},
        {"name": "keys", "secret": {"secretName": "keys"}},
    ]
    manifest = pod_manifest("reader", ["sh", "-c", script], container=container, volumes=volumes, restartPolicy="Never")
    cluster.kubectl("-n", namespace, "apply", "-f", "-", stdin=manifest)
    wait_for(cluster, namespace, "pod/reader", "condition=Ready")
    cluster.kubectl("-n", namespace, "patch", "configmap", "settings", "-p", '{"data":{"color":"green"}}')
    wait_for(cluster, namespace, "pod/reader", "jsonpath={.status.phase}=Succeeded")
    said = cluster.kubectl("-n", namespace, "logs", "reader")
    node = cluster.get("-n", namespace, "pod", "reader")["spec"]["nodeName"]
    assert said == f"greenhiddenblue {node}\n"


def test_a_pod_talks_to_the_api_with_its_own_token(cluster: RunningCluster, namespace: str) -> None:
    token = "/var/run/secrets/kubernetes.io/serviceaccount"
    script = (
        f"test -s {token}/ca.crt && cat {token}/namespace && nc -w 3 kubernetes.default 443 </dev/null && echo reached"
    )
    manifest = pod_manifest("caller", ["sh", "-c", script], restartPolicy="Never")
    cluster.kubectl("-n", namespace, "apply", "-f", "-", stdin=manifest)
    wait_for(cluster, namespace, "pod/caller", "jsonpath={.status.phase}=Succeeded")
    assert cluster.kubectl("-n", namespace, "logs", "caller") == f"{namespace}reached\n"


def test_an_unschedulable_pod_says_why(cluster: RunningCluster, namespace: str) -> None:
    container = {"resources": {"requests": {"cpu": "4000"}}}
    cluster.kubectl("-n", namespace, "apply", "-f", "-", stdin=pod_manifest("huge", ["true"], container=container))
    wait_for(cluster, namespace, "pod/huge", "condition=PodScheduled=False")
    (condition,) = cluster.get("-n", namespace, "pod", "huge")["status"]["conditions"]
    assert condition["reason"] == "Unschedulable"
    assert condition["message"].startswith("0/2 nodes are available: 2 Insufficient cpu.")


def test_a_container_sees_what_its_pod_asked_for(cluster: RunningCluster, namespace: str) -> None:
    cluster.kubectl("-n", namespace, "create", "configmap", "map", "--from-literal=key=from-map")
    cluster.kubectl("-n", namespace, "create", "secret", "generic", "hidden", "--from-literal=key=from-secret")
    container = {
        "env": [{"name": "HOST_IPS", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIPs"}}}],
        "envFrom": [
            {"prefix": "p-1.", "configMapRef": {"name": "map"}},
            {"prefix": "#!", "secretRef": {"name": "hidden"}},
        ],
    }
    context = {
        "runAsUser": 1001,
        "runAsGroup": 2002,
        "sysctls": [{"name": "kernel.shm_rmid_forced", "value": "1"}],
    }
    script = "id -u; id -g; cat /proc/sys/kernel/shm_rmid_forced"
    other = {"name": "other", "image": SAMPLE_IMAGE, "command": ["sh", "-c", script]}
    manifest = pod_manifest(
        "seer", ["env"], container=container, containers=[other], securityContext=context, restartPolicy="Never"
    )
    cluster.kubectl("-n", namespace, "apply", "-f", "-", stdin=manifest)
    wait_for(cluster, namespace, "pod/seer", "jsonpath={.status.phase}=Succeeded")
    hosts = ",".join(each["ip"] for each in cluster.get("-n", namespace, "pod", "seer")["status"]["hostIPs"])
    seen = cluster.kubectl("-n", namespace, "logs", "seer", "-c", "main").splitlines()
    assert {"#!key=from-secret", f"HOST_IPS={hosts}", "p-1.key=from-map"} <= set(seen)
    assert cluster.kubectl("-n", namespace, "logs", "seer", "-c", "other") == "1001\n2002\n1\n"


def said_at(address: str, port: int) -> str:
    """What a server says to whoever connects; "" when nobody is there just now."""
    try:
        with socket.create_connection((address, port), timeout=5) as connection:
            return connection.recv(100).decode().strip()
    except OSError:
        return ""


def test_slices_made_by_hand_are_one_service(cluster: RunningCluster, namespace: str) -> None:
    ports = [{"name": name, "port": port} for name, port in (("both", 80), ("first", 81), ("second", 82))]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "made"}, "spec": {"ports": ports}}
    cluster.kubectl("-n", namespace, "create", "-f", "-", stdin=json.dumps(service))
    for name, port in (("first", 8090), ("second", 8091)):
        serve = f"while :; do echo {name} | nc -l -p {port}; done"
        cluster.kubectl("-n", namespace, "create", "-f", "-", stdin=pod_manifest(name, ["sh", "-c", serve]))
        wait_for(cluster, namespace, f"pod/{name}", "condition=Ready")
        part = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": f"made-{name}", "labels": {"kubernetes.io/service-name": "made"}},
            "addressType": "IPv4",
            "ports": [{"name": each, "port": port} for each in ("both", name)],
            "endpoints": [{"addresses": [cluster.get("-n", namespace, "pod", name)["status"]["podIP"]]}],
        }
        cluster.kubectl("-n", namespace, "create", "-f", "-", stdin=json.dumps(part))
    address = cluster.get("-n", namespace, "service", "made")["spec"]["clusterIP"]
    for port, wanted in ((80, {"first", "second"}), (81, {"first"}), (82, {"second"})):
        heard: set[str] = set()
        for _ in range(200):
            heard |= {said_at(address, port)} - {""}
            if heard == wanted:
                break
        assert heard == wanted
