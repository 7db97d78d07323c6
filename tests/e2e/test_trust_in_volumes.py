"""Trust bundles in volumes: by name, by signer and labels, many, and those that are not there."""

from __future__ import annotations

import datetime
import functools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from conftest import RunningCluster, pod_manifest
from tiphys.pki.certificates import build_authority

pytestmark = pytest.mark.root

KEY = ec.generate_private_key(ec.SECP256R1())
NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
WAITS = "--for=jsonpath={.status.phase}=Succeeded"


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


@functools.cache  # signatures differ each time
def root(number: int) -> str:
    return pem(build_authority(f"root {number}", KEY, number, NOW.timestamp()).certificate)


def signer(namespace: str, name: str) -> str:
    return f"{namespace}.example.com/{name}"


Bundle = tuple[str, str, dict[str, str], int]  # signer's name, name, labels, number of its root


@pytest.fixture
def bundles(cluster: RunningCluster, namespace: str) -> Iterator[None]:
    """Of two signers, and one of none."""
    wanted: list[Bundle] = [
        ("", "free", {}, 1),
        ("one", "live-a", {"alive": "yes"}, 2),
        ("one", "live-b", {"alive": "yes"}, 3),
        ("one", "dead", {"alive": "no"}, 4),
        ("two", "other", {"alive": "yes"}, 5),
    ]
    items = []
    for owner, name, labels, number in wanted:
        full = f"{signer(namespace, owner).replace('/', ':')}:{name}" if owner else f"{namespace}-{name}"
        spec: dict[str, Any] = {"trustBundle": root(number)}
        if owner:
            spec["signerName"] = signer(namespace, owner)
        head = {"apiVersion": "certificates.k8s.io/v1", "kind": "ClusterTrustBundle"}
        items.append({**head, "metadata": {"name": full, "labels": {**labels, "test": namespace}}, "spec": spec})
    cluster.kubectl("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    yield
    cluster.kubectl("delete", "clustertrustbundles", "-l", f"test={namespace}")


def read(cluster: RunningCluster, namespace: str, name: str, *sources: dict[str, Any]) -> set[str]:
    """The certificates that a pod finds in a volume of these trust bundles."""
    volume = {"name": "trust", "projected": {"sources": [{"clusterTrustBundle": source} for source in sources]}}
    container = {"volumeMounts": [{"name": "trust", "mountPath": "/trust"}]}
    manifest = pod_manifest(
        name, ["sh", "-c", "cat /trust/*"], container=container, volumes=[volume], restartPolicy="Never"
    )
    cluster.kubectl("-n", namespace, "create", "-f", "-", stdin=manifest)
    cluster.kubectl("-n", namespace, "wait", WAITS, f"pod/{name}", "--timeout=60s")
    said = cluster.kubectl("-n", namespace, "logs", name)
    end = "-----END CERTIFICATE-----\n"
    return {part + end for part in said.split(end) if part}


def test_bundles_by_name_and_by_signer(cluster: RunningCluster, namespace: str, bundles: None) -> None:
    one, alive = signer(namespace, "one"), {"matchLabels": {"alive": "yes"}}
    assert read(cluster, namespace, "named", {"name": f"{namespace}-free", "path": "ca.pem"}) == {root(1)}
    chosen = {"signerName": one, "labelSelector": alive, "path": "ca.pem"}
    assert read(cluster, namespace, "labelled", chosen) == {root(2), root(3)}
    every = {"signerName": one, "labelSelector": {}, "path": "ca.pem"}
    assert read(cluster, namespace, "all", every) == {root(2), root(3), root(4)}
    both = read(cluster, namespace, "both", {**chosen, "path": "a.pem"}, {"name": f"{namespace}-free", "path": "b.pem"})
    assert both == {root(1), root(2), root(3)}
    none = {"signerName": one, "path": "ca.pem", "optional": True}
    assert read(cluster, namespace, "nothing", none) == set()
    nobody = {"matchLabels": {"alive": "perhaps"}}
    assert read(cluster, namespace, "nobody", {**none, "labelSelector": nobody}) == set()


@pytest.mark.parametrize("missing", ["name", "signer"])
def test_a_pod_waits_for_a_bundle_that_it_needs(
    cluster: RunningCluster, namespace: str, bundles: None, missing: str
) -> None:
    which = {"name": f"{namespace}-late"}
    if missing == "signer":
        which = {"signerName": signer(namespace, "three"), "labelSelector": {}}
    source = {"clusterTrustBundle": {**which, "path": "ca.pem", "optional": False}}
    volume = {"name": "trust", "projected": {"sources": [source]}}
    container = {"volumeMounts": [{"name": "trust", "mountPath": "/trust"}]}
    manifest = pod_manifest("waits", ["sleep", "1000"], container=container, volumes=[volume])
    cluster.kubectl("-n", namespace, "create", "-f", "-", stdin=manifest)
    told = "--for=jsonpath={.status.containerStatuses[0].state.waiting.reason}=ContainerCreating"
    cluster.kubectl("-n", namespace, "wait", told, "pod/waits", "--timeout=60s")
    events = ["-n", namespace, "get", "events", "--field-selector=reason=FailedMount", "--watch", "-o", "name"]
    watcher = cluster.start_kubectl(*events)
    try:
        assert watcher.stdout is not None and watcher.stdout.readline().startswith("event/waits.")
    finally:
        watcher.kill()
        watcher.wait()
    assert cluster.get("-n", namespace, "pod", "waits")["status"]["phase"] == "Pending"


def test_more_than_a_hundred_bundles(cluster: RunningCluster, namespace: str) -> None:
    count, crowd = 105, signer(namespace, "crowd")
    head = {"apiVersion": "certificates.k8s.io/v1", "kind": "ClusterTrustBundle"}
    items = [
        {
            **head,
            "metadata": {"name": f"{crowd.replace('/', ':')}:{number}", "labels": {"test": namespace}},
            "spec": {"signerName": crowd, "trustBundle": root(number)},
        }
        for number in range(1, count + 1)
    ]
    cluster.kubectl("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    try:
        every = {"signerName": crowd, "labelSelector": {}, "path": "ca.pem"}
        assert read(cluster, namespace, "crowd", every) == {root(number) for number in range(1, count + 1)}
    finally:
        cluster.kubectl("delete", "clustertrustbundles", "-l", f"test={namespace}")
