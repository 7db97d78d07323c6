"""What a node may read and write: its own objects, and what the pods bound to it refer to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from tiphys.apiserver.authn.identity import UserInfo
from tiphys.apiserver.authz.interface import Attributes
from tiphys.apiserver.authz.node import NodeAuthorizer, node_of
from tiphys.apiserver.authz.references import NodeReferences, pod_references
from tiphys.apiserver.bootstrap.access import node_rules
from tiphys.kinds import codec
from tiphys.kinds.types.core_v1 import PersistentVolume, Pod
from tiphys.kinds.types.resource_v1 import ResourceSlice
from tiphys.kinds.types.storage_v1 import VolumeAttachment

NODE = UserInfo("system:node:n1", "", ("system:nodes", "system:authenticated"))
POD: dict[str, Any] = {
    "metadata": {"name": "p", "namespace": "a"},
    "spec": {
        "nodeName": "n1",
        "serviceAccountName": "builder",
        "imagePullSecrets": [{"name": "pull"}],
        "containers": [
            {
                "name": "c",
                "env": [
                    {"name": "A", "valueFrom": {"secretKeyRef": {"name": "env-secret", "key": "k"}}},
                    {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "env-map", "key": "k"}}},
                ],
            }
        ],
        "initContainers": [
            {"name": "i", "envFrom": [{"secretRef": {"name": "all-secret"}}, {"configMapRef": {"name": "all-map"}}]}
        ],
        "volumes": [
            {"name": "v1", "secret": {"secretName": "vol-secret"}},
            {"name": "v2", "configMap": {"name": "vol-map"}},
            {"name": "v3", "persistentVolumeClaim": {"claimName": "claim"}},
            {"name": "v4", "ephemeral": {}},
            {
                "name": "v5",
                "projected": {"sources": [{"secret": {"name": "pro-secret"}}, {"configMap": {"name": "pro-map"}}]},
            },
            {"name": "v6", "csi": {"driver": "d", "nodePublishSecretRef": {"name": "csi-secret"}}},
            {"name": "v7", "cephfs": {"monitors": ["m"], "secretRef": {"name": "ceph-secret"}}},
            {"name": "v8", "azureFile": {"secretName": "azure-secret", "shareName": "s"}},
            {"name": "v9", "emptyDir": {}},
        ],
        "resourceClaims": [{"name": "r", "resourceClaimName": "gpu"}],
    },
    "status": {"resourceClaimStatuses": [{"name": "t", "resourceClaimName": "p-t-1"}]},
}


class Changes:
    """An ObjectSource that a test feeds by hand."""

    def __init__(self) -> None:
        self.handlers: dict[type[Any], Callable[[Any, Any], None]] = {}
        self.state: dict[tuple[type[Any], str, str], Any] = {}

    def get(self, kind: type[Any], namespace: str, name: str) -> Any:
        return None

    def list(self, kind: type[Any]) -> Iterable[Any]:
        return ()

    def subscribe(self, kind: type[Any], handler: Callable[[Any, Any], None]) -> None:
        self.handlers[kind] = handler

    def put(self, kind: type[Any], plain: dict[str, Any]) -> None:
        new = codec.convert(plain, kind)
        key = (kind, new.metadata.namespace or "", new.metadata.name)
        self.handlers[kind](self.state.get(key), new)
        self.state[key] = new

    def remove(self, kind: type[Any], namespace: str, name: str) -> None:
        self.handlers[kind](self.state.pop((kind, namespace, name)), None)


def pod(**spec: Any) -> dict[str, Any]:
    return {**POD, "spec": {**POD["spec"], **spec}}


def made() -> tuple[Changes, NodeAuthorizer]:
    changes = Changes()
    references = NodeReferences(changes)
    return changes, NodeAuthorizer(references, node_rules())


def ask(
    authorizer: NodeAuthorizer, verb: str, resource: str, *, user: UserInfo = NODE, group: str = "", **rest: str
) -> bool:
    return authorizer.authorize(Attributes(user, verb, group, "v1", resource, **rest)).allowed


def test_everything_that_a_pod_refers_to() -> None:
    assert pod_references(codec.convert(POD, Pod)) == {
        ("serviceaccounts", "a", "builder"),
        *(
            ("secrets", "a", name)
            for name in (
                "pull",
                "env-secret",
                "all-secret",
                "vol-secret",
                "pro-secret",
                "csi-secret",
                "ceph-secret",
                "azure-secret",
            )
        ),
        *(("configmaps", "a", name) for name in ("env-map", "all-map", "vol-map", "pro-map")),
        ("persistentvolumeclaims", "a", "claim"),
        ("persistentvolumeclaims", "a", "p-v4"),
        ("resourceclaims", "a", "gpu"),
        ("resourceclaims", "a", "p-t-1"),
    }


def test_a_mirror_pod_opens_nothing() -> None:
    mirror = {**POD, "metadata": {**POD["metadata"], "annotations": {"kubernetes.io/config.mirror": "x"}}}
    assert pod_references(codec.convert(mirror, Pod)) == set()


def test_who_is_a_node() -> None:
    assert node_of("system:node:n1", ("system:nodes",)) == "n1"
    assert node_of("system:node:n1", ()) == ""
    assert node_of("jane", ("system:nodes",)) == ""


def test_secrets_are_readable_while_a_pod_needs_them() -> None:
    changes, authorizer = made()
    secret = {"namespace": "a", "name": "vol-secret"}
    assert not ask(authorizer, "get", "secrets", **secret)
    changes.put(Pod, pod(nodeName=None))
    assert not ask(authorizer, "get", "secrets", **secret)
    changes.put(Pod, POD)
    assert ask(authorizer, "get", "secrets", **secret)
    assert ask(authorizer, "watch", "secrets", **secret)
    assert not ask(authorizer, "update", "secrets", **secret)
    assert not ask(authorizer, "list", "secrets", namespace="a")
    other = UserInfo("system:node:n2", "", NODE.groups)
    assert not ask(authorizer, "get", "secrets", user=other, **secret)
    changes.put(Pod, {**POD, "metadata": {"name": "q", "namespace": "a"}})
    changes.remove(Pod, "a", "p")
    assert ask(authorizer, "get", "secrets", **secret)
    changes.remove(Pod, "a", "q")
    assert not ask(authorizer, "get", "secrets", **secret)


def test_volumes_follow_their_claims() -> None:
    changes, authorizer = made()
    changes.put(Pod, POD)
    volume = {
        "metadata": {"name": "pv"},
        "spec": {
            "claimRef": {"namespace": "a", "name": "claim"},
            "csi": {"driver": "d", "volumeHandle": "h", "nodeStageSecretRef": {"namespace": "b", "name": "stage"}},
        },
    }
    assert not ask(authorizer, "get", "persistentvolumes", name="pv")
    changes.put(PersistentVolume, volume)
    assert ask(authorizer, "get", "persistentvolumes", name="pv")
    assert ask(authorizer, "get", "secrets", namespace="b", name="stage")
    assert ask(authorizer, "get", "persistentvolumeclaims", namespace="a", name="claim")
    assert ask(authorizer, "patch", "persistentvolumeclaims", subresource="status", namespace="a", name="claim")
    assert not ask(authorizer, "patch", "persistentvolumeclaims", namespace="a", name="claim")
    changes.remove(PersistentVolume, "", "pv")
    assert not ask(authorizer, "get", "persistentvolumes", name="pv")
    assert not ask(authorizer, "get", "secrets", namespace="b", name="stage")


def test_attachments_are_the_nodes_own() -> None:
    changes, authorizer = made()
    changes.put(VolumeAttachment, {"metadata": {"name": "va"}, "spec": {"nodeName": "n1"}})
    changes.put(VolumeAttachment, {"metadata": {"name": "vb"}, "spec": {"nodeName": "n2"}})
    assert ask(authorizer, "get", "volumeattachments", group="storage.k8s.io", name="va")
    assert not ask(authorizer, "get", "volumeattachments", group="storage.k8s.io", name="vb")


def test_tokens_are_made_for_the_accounts_of_its_pods() -> None:
    changes, authorizer = made()
    changes.put(Pod, POD)
    token = {"subresource": "token", "namespace": "a"}
    assert ask(authorizer, "create", "serviceaccounts", name="builder", **token)
    assert not ask(authorizer, "create", "serviceaccounts", name="other", **token)
    assert not ask(authorizer, "delete", "serviceaccounts", namespace="a", name="builder")


@pytest.mark.parametrize(
    ("verb", "resource", "rest", "allowed"),
    [
        ("get", "nodes", {"name": "n1"}, True),
        ("get", "nodes", {"name": "n2"}, False),
        ("watch", "nodes", {"name": "n1", "field_selector": "metadata.name=n1"}, True),
        ("list", "nodes", {}, False),
        ("patch", "nodes", {"name": "n1", "subresource": "status"}, True),
        ("create", "nodes", {}, True),
        ("delete", "nodes", {"name": "n1"}, False),
        ("list", "pods", {"field_selector": "spec.nodeName=n1"}, True),
        ("watch", "pods", {"field_selector": "status.phase!=Failed,spec.nodeName==n1"}, True),
        ("list", "pods", {"field_selector": "spec.nodeName!=n1"}, False),
        ("list", "pods", {"field_selector": "spec.nodeName=n2"}, False),
        ("list", "pods", {}, False),
        ("get", "pods", {"namespace": "a", "name": "p"}, True),
        ("get", "pods", {"namespace": "a", "name": "q"}, False),
        ("patch", "pods", {"namespace": "a", "name": "p", "subresource": "status"}, True),
        ("create", "pods", {"namespace": "a", "name": "p", "subresource": "eviction"}, True),
        ("list", "services", {}, True),
        ("create", "events", {"namespace": "a"}, True),
        ("create", "leases", {"group": "coordination.k8s.io", "namespace": "kube-node-lease"}, True),
        ("update", "leases", {"group": "coordination.k8s.io", "namespace": "kube-node-lease", "name": "n1"}, True),
        ("update", "leases", {"group": "coordination.k8s.io", "namespace": "kube-node-lease", "name": "n2"}, False),
        ("get", "leases", {"group": "coordination.k8s.io", "namespace": "kube-system", "name": "n1"}, False),
        ("list", "leases", {"group": "coordination.k8s.io", "namespace": "kube-node-lease"}, False),
        ("create", "certificatesigningrequests", {"group": "certificates.k8s.io"}, True),
        ("list", "runtimeclasses", {"group": "node.k8s.io"}, True),
        ("get", "csinodes", {"group": "storage.k8s.io", "name": "n2"}, False),
        ("list", "deployments", {"group": "apps"}, False),
    ],
)
def test_what_else_a_node_may_do(verb: str, resource: str, rest: dict[str, str], allowed: bool) -> None:
    changes, authorizer = made()
    changes.put(Pod, POD)
    assert ask(authorizer, verb, resource, **rest) is allowed


def test_nobody_else_is_judged() -> None:
    _, authorizer = made()
    answer = authorizer.authorize(Attributes(UserInfo("jane"), "get", "", "v1", "nodes", name="n1"))
    assert answer == (False, "", False)
    listing = authorizer.authorize(Attributes(NODE, "list", "", "v1", "pods"))
    assert listing.reason == "can only list/watch pods with spec.nodeName field selector"


def test_slices_of_devices_are_their_nodes() -> None:
    changes, authorizer = made()
    for name, node in (("mine", "n1"), ("other", "n2"), ("for-all", None)):
        changes.put(ResourceSlice, {"metadata": {"name": name}, "spec": {"nodeName": node}})
    slices = {"resource": "resourceslices", "group": "resource.k8s.io"}
    for verb in ("get", "update", "patch", "delete"):
        assert [ask(authorizer, verb, name=name, **slices) for name in ("mine", "other", "for-all", "none", "")] == [
            True, False, False, False, False,
        ]  # fmt: skip
    assert ask(authorizer, "create", **slices)
    assert ask(authorizer, "list", field_selector="spec.nodeName=n1", **slices)
    assert not ask(authorizer, "list", field_selector="spec.nodeName=n2", **slices)
    changes.remove(ResourceSlice, "", "mine")
    assert not ask(authorizer, "get", name="mine", **slices)
