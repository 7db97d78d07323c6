"""The admission plugins, one by one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tiphys.apiserver.admission.certificate_subject import CertificateSubjectRestriction
from tiphys.apiserver.admission.default_ingress_class import DefaultIngressClass
from tiphys.apiserver.admission.default_toleration_seconds import DefaultTolerationSeconds
from tiphys.apiserver.admission.interface import AdmissionRequest
from tiphys.apiserver.admission.namespace_lifecycle import NamespaceLifecycle
from tiphys.apiserver.admission.node_declared_features import NodeDeclaredFeatureValidator
from tiphys.apiserver.admission.node_restriction import NodeRestriction
from tiphys.apiserver.admission.priority import Priority
from tiphys.apiserver.admission.runtime_class import RuntimeClasses
from tiphys.apiserver.admission.service_account import MOUNT_PATH, ServiceAccounts
from tiphys.apiserver.admission.storage import PersistentVolumeClaimResize
from tiphys.apiserver.admission.token_audiences import NodeTokenAudiences
from tiphys.apiserver.authn.identity import UserInfo
from tiphys.apiserver.authz.interface import Attributes, Decision
from tiphys.kinds import codec, registry
from tiphys.kinds.types import (
    authentication_v1,
    certificates_v1,
    core_v1,
    meta_v1,
    networking_v1,
    node_v1,
    resource_v1,
    scheduling_v1,
    storage_v1,
)
from tiphys.machinery import quantity, timestamps
from tiphys.machinery.errors import ApiError

T = TypeVar("T")
DEVICES = "resource.k8s.io"
NODE_USER = UserInfo("system:node:n", "", ("system:nodes", "system:authenticated"))


class Objects:
    """Lookups over a few objects."""

    def __init__(self, *objects: Any) -> None:
        self.objects = objects

    def get(self, kind: type[T], namespace: str, name: str) -> T | None:
        for obj in self.list(kind, namespace):
            if obj.metadata.name == name:  # type: ignore[attr-defined]
                return obj
        return None

    def list(self, kind: type[T], namespace: str = "") -> Iterable[T]:
        return [o for o in self.objects if isinstance(o, kind) and namespace in ("", o.metadata.namespace or "")]  # type: ignore[attr-defined]


def asked(
    operation: str,
    group: str,
    plural: str,
    *,
    name: str = "",
    namespace: str = "a",
    subresource: str = "",
    user: UserInfo | None = None,
) -> AdmissionRequest:
    resource = registry.find(group, "v1", plural)
    assert resource is not None
    return AdmissionRequest(
        operation=operation,
        resource=resource,
        subresource=subresource,
        namespace=namespace,
        name=name,
        user=user or UserInfo("me"),
        now=0.0,
        new_suffix=lambda: "abcde",
    )


def meta(name: str, namespace: str | None = "a") -> meta_v1.ObjectMeta:
    return meta_v1.ObjectMeta(name=name, namespace=namespace)


def pod(name: str = "p", **spec: Any) -> core_v1.Pod:
    spec.setdefault("containers", [core_v1.Container(name="c")])
    return core_v1.Pod(metadata=meta(name), spec=core_v1.PodSpec(**spec))


def test_tolerations_are_added_where_missing() -> None:
    found = pod(
        tolerations=[core_v1.Toleration(key="node.kubernetes.io/not-ready", operator="Exists", effect="NoExecute")]
    )
    DefaultTolerationSeconds().admit(asked("CREATE", "", "pods"), found, None, Objects())
    assert [(t.key, t.tolerationSeconds) for t in found.spec.tolerations or ()] == [
        ("node.kubernetes.io/not-ready", None),
        ("node.kubernetes.io/unreachable", 300),
    ]
    everything = pod(tolerations=[core_v1.Toleration(operator="Exists")])
    DefaultTolerationSeconds().admit(asked("CREATE", "", "pods"), everything, None, Objects())
    assert len(everything.spec.tolerations or ()) == 1


def priority_class(name: str, value: int, default: bool = False) -> scheduling_v1.PriorityClass:
    return scheduling_v1.PriorityClass(metadata=meta(name, None), value=value, globalDefault=default)


def test_priorities_come_from_their_class() -> None:
    classes = Objects(priority_class("high", 1000), priority_class("usual", 5, True))
    named, plain = pod(priorityClassName="high"), pod()
    for found in (named, plain):
        Priority().admit(asked("CREATE", "", "pods"), found, None, classes)
    assert (named.spec.priority, named.spec.preemptionPolicy) == (1000, "PreemptLowerPriority")
    assert (plain.spec.priority, plain.spec.priorityClassName) == (5, "usual")
    with pytest.raises(ApiError, match="no PriorityClass with name none was found"):
        Priority().admit(asked("CREATE", "", "pods"), pod(priorityClassName="none"), None, classes)
    with pytest.raises(ApiError, match="must not be provided in pod spec"):
        Priority().admit(asked("CREATE", "", "pods"), pod(priority=3), None, classes)
    with pytest.raises(ApiError, match="Only one default can exist"):
        second = priority_class("second", 1, True)
        Priority().admit(asked("CREATE", "scheduling.k8s.io", "priorityclasses"), second, None, classes)


def runtime_class(**more: Any) -> node_v1.RuntimeClass:
    return node_v1.RuntimeClass(metadata=meta("sandboxed", None), handler="sandbox", **more)


def test_a_runtime_class_says_what_its_pods_cost_and_where_they_go() -> None:
    extra = core_v1.Toleration(key="sandbox", operator="Exists")
    cost = {"cpu": quantity.parse("250m")}
    classes = Objects(
        runtime_class(
            overhead=node_v1.Overhead(podFixed=cost),
            scheduling=node_v1.Scheduling(nodeSelector={"kind": "big"}, tolerations=[extra]),
        )
    )
    found = pod(runtimeClassName="sandboxed", nodeSelector={"zone": "a"})
    RuntimeClasses().admit(asked("CREATE", "", "pods"), found, None, classes)
    assert (found.spec.overhead, found.spec.nodeSelector) == (cost, {"zone": "a", "kind": "big"})
    assert found.spec.tolerations == [extra]
    plain = pod()
    RuntimeClasses().admit(asked("CREATE", "", "pods"), plain, None, classes)
    assert plain == pod()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"runtimeClassName": "none"}, 'pod rejected: RuntimeClass "none" not found'),
        (
            {"overhead": {"cpu": quantity.parse("1")}},
            "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead",
        ),
        (
            {"runtimeClassName": "sandboxed", "overhead": {"cpu": quantity.parse("1")}},
            "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead",
        ),
        (
            {"runtimeClassName": "sandboxed", "nodeSelector": {"kind": "small"}},
            "conflict: runtimeClass.scheduling.nodeSelector[kind] = big; pod.spec.nodeSelector[kind] = small",
        ),
    ],
)
def test_pods_that_contradict_their_runtime_class(spec: dict[str, Any], message: str) -> None:
    cost = node_v1.Overhead(podFixed={"cpu": quantity.parse("2")})
    classes = Objects(runtime_class(overhead=cost, scheduling=node_v1.Scheduling(nodeSelector={"kind": "big"})))
    with pytest.raises(ApiError) as refused:
        RuntimeClasses().admit(asked("CREATE", "", "pods"), pod(**spec), None, classes)
    assert refused.value.message == f'pods "p" is forbidden: {message}'


def ingress_class(name: str, default: bool, since: str) -> networking_v1.IngressClass:
    found = networking_v1.IngressClass(metadata=meta(name, None))
    found.metadata.annotations = {"ingressclass.kubernetes.io/is-default-class": "true" if default else "false"}
    found.metadata.creationTimestamp = timestamps.parse_time(since)
    return found


def test_an_ingress_gets_the_youngest_default_class() -> None:
    classes = Objects(
        ingress_class("old", True, "2026-01-01T00:00:00Z"),
        ingress_class("new", True, "2026-02-01T00:00:00Z"),
        ingress_class("newest", False, "2026-03-01T00:00:00Z"),
    )
    request = asked("CREATE", "networking.k8s.io", "ingresses")
    plain, named, annotated = (networking_v1.Ingress(metadata=meta(name)) for name in ("a", "b", "c"))
    named.spec.ingressClassName = "old"
    annotated.metadata.annotations = {"kubernetes.io/ingress.class": "old"}
    for found in (plain, named, annotated):
        DefaultIngressClass().admit(request, found, None, classes)
    assert [found.spec.ingressClassName for found in (plain, named, annotated)] == ["new", "old", None]


def claim(size: str, storage_class: str | None = "fast") -> core_v1.PersistentVolumeClaim:
    resources = core_v1.VolumeResourceRequirements(requests={"storage": quantity.parse(size)})
    spec = core_v1.PersistentVolumeClaimSpec(storageClassName=storage_class, resources=resources)
    status = core_v1.PersistentVolumeClaimStatus(phase="Bound")
    return core_v1.PersistentVolumeClaim(metadata=meta("data"), spec=spec, status=status)


def test_claims_grow_where_their_class_lets_them() -> None:
    request = asked("UPDATE", "", "persistentvolumeclaims")
    fast = storage_v1.StorageClass(metadata=meta("fast", None), provisioner="p", allowVolumeExpansion=True)
    fixed = storage_v1.StorageClass(metadata=meta("fixed", None), provisioner="p")
    classes = Objects(fast, fixed)
    PersistentVolumeClaimResize().admit(request, claim("2Gi"), claim("1Gi"), classes)
    PersistentVolumeClaimResize().admit(request, claim("1Gi", "fixed"), claim("1024Mi", "fixed"), classes)
    free = claim("1Gi", "fixed")
    free.status.phase = "Pending"
    PersistentVolumeClaimResize().admit(request, claim("2Gi", "fixed"), free, classes)
    for storage_class in ("fixed", "gone", None):
        with pytest.raises(ApiError, match="only dynamically provisioned pvc can be resized"):
            PersistentVolumeClaimResize().admit(
                request, claim("2Gi", storage_class), claim("1Gi", storage_class), classes
            )


def signing_request(signer: str, organization: str) -> certificates_v1.CertificateSigningRequest:
    key = ec.derive_private_key(7, ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.oid.NameOID.ORGANIZATION_NAME, organization)])
    signed = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    found = certificates_v1.CertificateSigningRequest(metadata=meta("mine", None))
    found.spec.request = signed.public_bytes(serialization.Encoding.PEM)
    found.spec.signerName = signer
    return found


def test_nobody_asks_to_be_a_master() -> None:
    plugin, request = (
        CertificateSubjectRestriction(),
        asked("CREATE", "certificates.k8s.io", "certificatesigningrequests"),
    )
    signer = "kubernetes.io/kube-apiserver-client"
    plugin.admit(request, signing_request(signer, "others"), None, Objects())
    plugin.admit(request, signing_request("example.com/own", "system:masters"), None, Objects())
    with pytest.raises(ApiError) as refused:
        plugin.admit(request, signing_request(signer, "system:masters"), None, Objects())
    assert refused.value.message == (
        'certificatesigningrequests.certificates.k8s.io "mine" is forbidden: use of'
        " kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed"
    )


def test_pods_run_as_an_account_with_its_token() -> None:
    account = core_v1.ServiceAccount(metadata=meta("default"))
    account.imagePullSecrets = [core_v1.LocalObjectReference(name="pull")]
    mounted = core_v1.Container(name="d", volumeMounts=[core_v1.VolumeMount(name="own", mountPath=MOUNT_PATH)])
    found = pod(containers=[core_v1.Container(name="c"), mounted])
    ServiceAccounts().admit(asked("CREATE", "", "pods"), found, None, Objects(account))
    assert found.spec.serviceAccountName == "default"
    assert [volume.name for volume in found.spec.volumes or ()] == ["kube-api-access-abcde"]
    assert [[m.name for m in c.volumeMounts or ()] for c in found.spec.containers] == [
        ["kube-api-access-abcde"],
        ["own"],
    ]
    assert found.spec.imagePullSecrets == account.imagePullSecrets
    sources = (found.spec.volumes or [])[0].projected
    assert sources is not None and sources.sources is not None
    assert [bool(s.serviceAccountToken) for s in sources.sources] == [True, False, False]


def test_tokens_can_be_declined() -> None:
    account = core_v1.ServiceAccount(metadata=meta("default"), automountServiceAccountToken=False)
    declined, wanted = pod(), pod(automountServiceAccountToken=True)
    for found in (declined, wanted):
        ServiceAccounts().admit(asked("CREATE", "", "pods"), found, None, Objects(account))
    assert (declined.spec.volumes, len(wanted.spec.volumes or ())) == (None, 1)
    with pytest.raises(ApiError, match='error looking up service account a/x: serviceaccount "x" not found'):
        ServiceAccounts().admit(asked("CREATE", "", "pods"), pod(serviceAccountName="x"), None, Objects(account))


def test_namespaces_must_live() -> None:
    alive = core_v1.Namespace(metadata=meta("a", None))
    NamespaceLifecycle().admit(asked("CREATE", "", "pods"), pod(), None, Objects(alive))
    with pytest.raises(ApiError) as caught:
        NamespaceLifecycle().admit(asked("CREATE", "", "pods"), pod(), None, Objects())
    assert (caught.value.code, caught.value.message) == (404, 'namespaces "a" not found')
    for name in ("default", "kube-system", "kube-public"):
        with pytest.raises(ApiError, match="this namespace may not be deleted"):
            NamespaceLifecycle().admit(asked("DELETE", "", "namespaces", name=name), None, None, Objects())


def slice_of(name: str, node: str | None) -> resource_v1.ResourceSlice:
    return resource_v1.ResourceSlice(metadata=meta(name, None), spec=resource_v1.ResourceSliceSpec(nodeName=node))


@pytest.mark.parametrize(
    ("request_", "obj", "message"),
    [
        (asked("CREATE", "", "pods", user=NODE_USER), pod(), "can only create mirror pods"),
        (asked("DELETE", "", "pods", name="other", user=NODE_USER), None, "can only delete pods with spec.nodeName"),
        (asked("UPDATE", "", "nodes", name="m", user=NODE_USER), core_v1.Node(), 'is not allowed to modify node "m"'),
        (asked("UPDATE", "", "pods", name="mine", user=NODE_USER), pod("mine"), 'unexpected operation "UPDATE"'),
        (
            asked("CREATE", "", "serviceaccounts", name="default", subresource="token", user=NODE_USER),
            authentication_v1.TokenRequest(),
            "node requested token not bound to a pod",
        ),
        (asked("UPDATE", "coordination.k8s.io", "leases", name="n", user=NODE_USER), None, "kube-node-lease"),
        (asked("CREATE", DEVICES, "resourceslices", user=NODE_USER), slice_of("a", None), "can only create Reso"),
        (asked("DELETE", DEVICES, "resourceslices", name="other", user=NODE_USER), None, "can only delete Reso"),
        (asked("CREATE", "storage.k8s.io", "csinodes", user=NODE_USER), storage_v1.CSINode(), "can only access CSI"),
    ],
)  # fmt: skip
def test_nodes_keep_to_themselves(request_: AdmissionRequest, obj: Any, message: str) -> None:
    objects = Objects(pod("mine", nodeName="n"), pod("other", nodeName="m"), slice_of("other", "m"))
    with pytest.raises(ApiError, match=message) as caught:
        NodeRestriction().admit(request_, obj, None, objects)
    assert caught.value.code == 403


def test_nodes_may_do_their_work() -> None:
    objects = Objects(pod("mine", nodeName="n"), slice_of("mine", "n"))
    bound = authentication_v1.BoundObjectReference(kind="Pod", name="mine", uid="p-1")
    token = authentication_v1.TokenRequest(spec=authentication_v1.TokenRequestSpec(audiences=[], boundObjectRef=bound))
    node = core_v1.Node(metadata=meta("n", None))
    objects.objects[0].metadata.uid = "p-1"
    for request, obj in (
        (asked("UPDATE", "", "pods", name="mine", subresource="status", user=NODE_USER), pod("mine")),
        (asked("DELETE", "", "pods", name="mine", user=NODE_USER), None),
        (asked("UPDATE", "", "nodes", name="n", namespace="", user=NODE_USER), node),
        (asked("CREATE", "", "serviceaccounts", name="default", subresource="token", user=NODE_USER), token),
        (asked("UPDATE", "coordination.k8s.io", "leases", name="n", namespace="kube-node-lease", user=NODE_USER), None),
        (asked("CREATE", DEVICES, "resourceslices", user=NODE_USER), slice_of("new", "n")),
        (asked("DELETE", DEVICES, "resourceslices", name="mine", user=NODE_USER), None),
        (asked("UPDATE", "storage.k8s.io", "csinodes", name="n", user=NODE_USER), storage_v1.CSINode()),
    ):
        old = pod("mine") if request.resource.plural == "pods" else node
        NodeRestriction().admit(request, obj, old, objects)


def mirror(owner: dict[str, Any] | None = None, **spec: Any) -> core_v1.Pod:
    """The mirror pod of node n, perhaps with another owner or something that it refers to."""
    whole = {"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "n-1", "controller": True, **(owner or {})}
    document = {
        "metadata": {
            "name": "static-n",
            "namespace": "a",
            "annotations": {"kubernetes.io/config.mirror": "x"},
            "ownerReferences": [whole],
        },
        "spec": {"nodeName": "n", "containers": [{"name": "c"}], **spec},
    }
    return codec.convert(document, core_v1.Pod)


def mirroring(**source: Any) -> core_v1.Pod:
    return mirror(volumes=[{"name": "v", **source}])


def projecting(**source: Any) -> core_v1.Pod:
    return mirroring(projected={"sources": [source]})


def node_of(uid: str = "n-1", taints: Any = None, **labels: str) -> core_v1.Node:
    labels = {key.replace("__", "/"): value for key, value in labels.items()}
    document = {"metadata": {"name": "n", "uid": uid, "labels": labels}, "spec": {"taints": taints}}
    return codec.convert(document, core_v1.Node)


@pytest.mark.parametrize(
    ("found", "detail"),
    [
        (mirror(), ""),
        (mirror({"name": "m"}), "can only create pods with an owner reference set to itself"),
        (mirror({"controller": False}), "can only create pods with a controller owner reference set to itself"),
        (mirror({"blockOwnerDeletion": True}), "must not set blockOwnerDeletion on an owner reference"),
        (mirror({"uid": "n-2"}), "UID mismatch: expected n-2 got n-1"),
        (mirror(serviceAccountName="s"), "can not create pods that reference serviceaccounts"),
        (mirror(imagePullSecrets=[{"name": "s"}]), "can not create pods that reference secrets"),
        (mirror(resourceClaims=[{"name": "c"}]), "can not create pods that reference resourceclaims"),
        (mirror(volumes=[{"name": "v", "emptyDir": {}}]), ""),
        (mirroring(configMap={"name": "c"}), "can not create pods that reference configmaps"),
        (mirroring(csi={"driver": "d"}), r"can not create pods that reference csidrivers \(via CSI volumes\)"),
        (mirroring(glusterfs={"path": "p", "endpoints": "e"}), r"endpoints \(via glusterFS volumes\)"),
        (mirroring(persistentVolumeClaim={"claimName": "c"}), "can not create pods that reference persistentvolumecla"),
        (mirroring(ephemeral={}), r"persistentvolumeclaims \(via ephemeral volumes\)"),
        (projecting(serviceAccountToken={"path": "t"}), r"serviceaccounts \(via projected volumes\)"),
        (projecting(clusterTrustBundle={"path": "t"}), "can not create pods that reference clustertrustbundles"),
        (projecting(podCertificate={"signerName": "s"}), "can not create pods that reference podcertificates"),
    ],
)
def test_mirror_pods_are_the_nodes_and_refer_to_nothing(found: core_v1.Pod, detail: str) -> None:
    request = asked("CREATE", "", "pods", user=NODE_USER)
    if not detail:
        NodeRestriction().admit(request, found, None, Objects(node_of()))
        return
    with pytest.raises(ApiError, match=detail) as caught:
        NodeRestriction().admit(request, found, None, Objects(node_of()))
    assert caught.value.code == 403


def test_a_mirror_pod_has_one_owner() -> None:
    found = mirror()
    for owners, words in (([], "an owner reference"), ((found.metadata.ownerReferences or []) * 2, "a single owner")):
        found.metadata.ownerReferences = owners
        with pytest.raises(ApiError, match=f"can only create pods with {words}"):
            NodeRestriction().admit(asked("CREATE", "", "pods", user=NODE_USER), found, None, Objects(node_of()))


@pytest.mark.parametrize(
    ("new", "old", "refused"),
    [
        (node_of(a="b", kubernetes__hostname="n"), None, ""),
        (node_of(**{"kubelet.kubernetes.io__a": "b", "x.node.kubernetes.io__c": "d"}), None, ""),
        (node_of(**{"node-role.kubernetes.io__master": ""}), None, "node-role.kubernetes.io/master"),
        (
            node_of(**{"example.k8s.io__a": "b", "x.node-restriction.kubernetes.io__c": "d"}),
            None,
            "example.k8s.io/a, x.node-restriction.kubernetes.io/c",
        ),
        (node_of(**{"node-role.kubernetes.io__master": ""}), node_of(**{"node-role.kubernetes.io__master": ""}), ""),
        (node_of(), node_of(**{"node-role.kubernetes.io__master": ""}), "node-role.kubernetes.io/master"),
    ],
)
def test_nodes_do_not_draw_pods_by_labels(new: core_v1.Node, old: core_v1.Node | None, refused: str) -> None:
    request = asked("UPDATE" if old is not None else "CREATE", "", "nodes", name="n", namespace="", user=NODE_USER)
    if not refused:
        NodeRestriction().admit(request, new, old, Objects())
        return
    with pytest.raises(ApiError) as caught:
        NodeRestriction().admit(request, new, old, Objects())
    words = "modify labels" if old is not None else "set the following labels"
    assert caught.value.message.endswith(f"is not allowed to {words}: {refused}")


def test_nodes_change_neither_their_taints_nor_labels_of_pods() -> None:
    tainted = node_of(taints=[{"key": "k", "effect": "NoSchedule"}])
    with pytest.raises(ApiError, match="is not allowed to modify taints"):
        NodeRestriction().admit(asked("UPDATE", "", "nodes", name="n", user=NODE_USER), node_of(), tainted, Objects())
    owned = node_of()
    owned.metadata.ownerReferences = [meta_v1.OwnerReference(apiVersion="v1", kind="Pod", name="p", uid="u")]
    with pytest.raises(ApiError, match="is not allowed to modify ownerReferences"):
        NodeRestriction().admit(asked("UPDATE", "", "nodes", name="n", user=NODE_USER), owned, node_of(), Objects())
    labelled = pod("mine", nodeName="n")
    labelled.metadata.labels = {"a": "b"}
    request = asked("UPDATE", "", "pods", name="mine", subresource="status", user=NODE_USER)
    with pytest.raises(ApiError, match="cannot update labels through pod status"):
        NodeRestriction().admit(request, labelled, pod("mine"), Objects(pod("mine", nodeName="n")))


@pytest.mark.parametrize(
    ("uid", "node", "detail"),
    [
        ("", "n", "node requested token with a pod binding without a uid"),
        ("p-2", "n", r"does not match the UID in record \(p-1\)"),
        ("p-1", "m", "node requested token bound to a pod scheduled on a different node"),
    ],
)
def test_nodes_ask_for_tokens_of_their_pods(uid: str, node: str, detail: str) -> None:
    found = pod("mine", nodeName=node)
    found.metadata.uid = "p-1"
    bound = authentication_v1.BoundObjectReference(kind="Pod", name="mine", uid=uid)
    token = authentication_v1.TokenRequest(spec=authentication_v1.TokenRequestSpec(boundObjectRef=bound))
    request = asked("CREATE", "", "serviceaccounts", name="default", subresource="token", user=NODE_USER)
    with pytest.raises(ApiError, match=detail):
        NodeRestriction().admit(request, token, None, Objects(found))


def claim_of(annotation: str = "", **status: Any) -> core_v1.PersistentVolumeClaim:
    document = {"metadata": {"name": "c", "annotations": {"a": annotation}}, "status": {"phase": "Bound", **status}}
    return codec.convert(document, core_v1.PersistentVolumeClaim)


def test_nodes_tell_of_claims_only_how_large_they_are() -> None:
    request = asked("UPDATE", "", "persistentvolumeclaims", name="c", subresource="status", user=NODE_USER)
    grown = claim_of(capacity={"storage": "2Gi"}, conditions=[{"type": "Resizing", "status": "True"}],
                     allocatedResources={"storage": "2Gi"}, allocatedResourceStatuses={"storage": "x"})  # fmt: skip
    grown.metadata.resourceVersion = "7"
    NodeRestriction().admit(request, grown, claim_of(), Objects())
    for other in (claim_of("x"), claim_of(phase="Lost")):
        with pytest.raises(ApiError, match=r"update fields other than status.quantity and status.conditions"):
            NodeRestriction().admit(request, other, claim_of(), Objects())
    whole = asked("UPDATE", "", "persistentvolumeclaims", name="c", user=NODE_USER)
    with pytest.raises(ApiError, match="may only update PVC status"):
        NodeRestriction().admit(whole, grown, claim_of(), Objects())


class Allowing:
    """Lets a few things be done: (verb, resource, namespace, name)."""

    def __init__(self, *allowed: tuple[str, str, str, str]) -> None:
        self.allowed = allowed

    def authorize(self, attributes: Attributes) -> Decision:
        return Decision((attributes.verb, attributes.resource, attributes.namespace, attributes.name) in self.allowed)


def token_pod() -> list[Any]:
    """A pod with a token for a vault, and volumes of drivers that ask for tokens: inline, by a claim, by its own."""
    token = {"serviceAccountToken": {"audience": "vault", "path": "t"}}
    volumes = [
        {"name": "token", "projected": {"sources": [token]}},
        {"name": "inline", "csi": {"driver": "inline.example.com"}},
        {"name": "claim", "persistentVolumeClaim": {"claimName": "data"}},
        {"name": "own", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}},
        {"name": "unbound", "persistentVolumeClaim": {"claimName": "none"}},
    ]
    found: list[Any] = [pod("mine", nodeName="n", volumes=codec.convert(volumes, list[core_v1.Volume]))]
    for claim, volume in (("data", "v-data"), ("mine-own", "v-own")):
        spec = core_v1.PersistentVolumeClaimSpec(volumeName=volume)
        found.append(core_v1.PersistentVolumeClaim(metadata=meta(claim), spec=spec))
        source = core_v1.CSIPersistentVolumeSource(driver=f"{volume}.example.com", volumeHandle="h")
        kept = core_v1.PersistentVolumeSpec(csi=source)
        found.append(core_v1.PersistentVolume(metadata=meta(volume, None), spec=kept))
    for driver in ("inline", "v-data", "v-own"):
        requests = [storage_v1.TokenRequest(audience=f"for-{driver}")]
        asks = storage_v1.CSIDriverSpec(tokenRequests=requests)
        found.append(storage_v1.CSIDriver(metadata=meta(f"{driver}.example.com", None), spec=asks))
    return found


@pytest.mark.parametrize(
    ("audiences", "refused"),
    [
        (["vault"], ""),
        (["for-inline"], ""),
        (["for-v-data"], ""),
        (["for-v-own"], ""),
        (["registry"], ""),
        ([], 'audience "" not found in pod spec volume, system:node:n is not authorized to request tokens for this'),
        (["other"], 'audience "other" not found in pod spec volume, system:node:n is not authorized'),
        (["vault", "registry"], "node may only request 0 or 1 audiences"),
    ],
)
def test_nodes_ask_for_tokens_for_the_audiences_of_their_pods(audiences: list[str], refused: str) -> None:
    plugin = NodeTokenAudiences(Allowing(("request-serviceaccounts-token-audience", "registry", "a", "default")))
    bound = authentication_v1.BoundObjectReference(kind="Pod", name="mine", uid="p-1")
    token = authentication_v1.TokenRequest(
        spec=authentication_v1.TokenRequestSpec(audiences=audiences, boundObjectRef=bound)
    )
    request = asked("CREATE", "", "serviceaccounts", name="default", subresource="token", user=NODE_USER)
    if not refused:
        plugin.admit(request, token, None, Objects(*token_pod()))
        return
    with pytest.raises(ApiError, match=refused) as caught:
        plugin.admit(request, token, None, Objects(*token_pod()))
    assert caught.value.code == 403
    others = asked("CREATE", "", "serviceaccounts", name="default", subresource="token")
    plugin.admit(others, token, None, Objects(*token_pod()))


def test_nodes_ask_for_certificates_of_their_own() -> None:
    request = asked("CREATE", "certificates.k8s.io", "certificatesigningrequests", user=NODE_USER)
    other = signing_request("kubernetes.io/kubelet-serving", "system:nodes")
    with pytest.raises(ApiError, match="can only create a node CSR with CN=system:node:n"):
        NodeRestriction().admit(request, other, None, Objects())
    other.spec.request = b"x"
    with pytest.raises(ApiError, match="unable to parse csr"):
        NodeRestriction().admit(request, other, None, Objects())
    other.spec.signerName = "example.com/own"
    NodeRestriction().admit(request, other, None, Objects())


def sized(whole: str, init: str, sidecar: str, node_name: str = "n") -> core_v1.Pod:
    def asks(cpu: str) -> core_v1.ResourceRequirements:
        return core_v1.ResourceRequirements(requests={"cpu": quantity.parse(cpu)})

    first = core_v1.Container(name="init", resources=asks(init))
    beside = core_v1.Container(name="beside", resources=asks(sidecar), restartPolicy="Always")
    spec = core_v1.PodSpec(
        containers=[core_v1.Container(name="main")],
        initContainers=[first, beside],
        resources=asks(whole),
        nodeName=node_name,
    )
    return core_v1.Pod(metadata=meta_v1.ObjectMeta(name="p", namespace="a"), spec=spec)


@pytest.mark.parametrize(
    ("declared", "after", "missing"),
    [
        ([], ("2", "2", "2"), ""),
        ([], ("2", "2", "3"), ""),
        ([], ("3", "2", "2"), "InPlacePodLevelResourcesVerticalScaling"),
        (["InPlacePodVerticalScalingInitContainers"], ("2", "3", "2"), ""),
        (["InPlacePodVerticalScalingInitContainers"], ("3", "3", "2"), "InPlacePodLevelResourcesVerticalScaling"),
        ([], ("3", "3", "2"), "InPlacePodLevelResourcesVerticalScaling, InPlacePodVerticalScalingInitContainers"),
        ([], ("3", "3", "2", ""), ""),
    ],
)
def test_pods_change_as_their_kubelet_can_follow(declared: list[str], after: tuple[str, ...], missing: str) -> None:
    node = core_v1.Node(metadata=meta_v1.ObjectMeta(name="n"), status=core_v1.NodeStatus(declaredFeatures=declared))
    said = []
    for subresource in ("", "resize", "status"):
        request = asked("UPDATE", "", "pods", name="p", subresource=subresource)
        try:
            NodeDeclaredFeatureValidator().admit(request, sized(*after), sized("2", "2", "2"), Objects(node))
        except ApiError as error:
            said.append(error.message)
    refusal = f'pods "p" is forbidden: pod update requires features {missing} which are not available on node "n"'
    assert said == ([refusal, refusal] if missing else [])


def test_a_pod_whose_node_is_gone_is_not_resized() -> None:
    request = asked("UPDATE", "", "pods", name="p", subresource="resize")
    with pytest.raises(ApiError, match='forbidden: node "n" not found'):
        NodeDeclaredFeatureValidator().admit(request, sized("3", "2", "2"), sized("2", "2", "2"), Objects())
