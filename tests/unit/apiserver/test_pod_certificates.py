"""What certificates for pods a node may ask for, and who writes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from tiphys.apiserver.admission.interface import AdmissionRequest
from tiphys.apiserver.admission.pod_certificates import NodePodCertificates, PodCertificateTimes
from tiphys.apiserver.authn.identity import UserInfo
from tiphys.apiserver.authz.interface import Attributes, Decision
from tiphys.kinds import codec, registry
from tiphys.kinds.types.certificates_v1 import PodCertificateRequest
from tiphys.kinds.types.core_v1 import Node, Pod, ServiceAccount
from tiphys.machinery.errors import ApiError

NODE = UserInfo("system:node:n", "", ("system:nodes",))
VERB = "request-serviceaccounts-podcertificate-signer"
SPEC = {
    "signerName": "example.com/pods",
    "nodeName": "n",
    "nodeUID": "n-1",
    "podName": "p",
    "podUID": "p-1",
    "serviceAccountName": "s",
    "serviceAccountUID": "s-1",
}


class Allowing:
    """Lets one thing be done."""

    def __init__(self, *allowed: str) -> None:
        self.allowed = allowed

    def authorize(self, asked: Attributes) -> Decision:
        return Decision((asked.verb, asked.group, asked.resource, asked.namespace, asked.name) == self.allowed)


class World:
    """A node, a pod with certificates of one signer, and its account; `pod` changes the pod."""

    def __init__(self, **pod: Any) -> None:
        source = {"podCertificate": {"signerName": "example.com/pods", "keyType": "ED25519"}}
        volumes = [{"name": "none", "emptyDir": {}}, {"name": "certificates", "projected": {"sources": [source]}}]
        metadata = {"name": "p", "uid": "p-1", **pod.pop("metadata", {})}
        spec = {"nodeName": "n", "serviceAccountName": "s", "containers": [], "volumes": volumes, **pod}
        self.objects: dict[type[Any], Any] = {
            Node: codec.convert({"metadata": {"name": "n", "uid": "n-1"}}, Node),
            Pod: codec.convert({"metadata": metadata, "spec": spec}, Pod),
            ServiceAccount: codec.convert({"metadata": {"name": "s", "uid": "s-1"}}, ServiceAccount),
        }

    def get(self, kind: type[Any], namespace: str, name: str) -> Any:
        found = self.objects.get(kind)
        return found if found is not None and found.metadata.name == name else None

    def list(self, kind: type[Any], namespace: str = "") -> Iterable[Any]:
        return ()


def certificate_request(status: dict[str, Any] | None = None, **spec: str) -> PodCertificateRequest:
    document = {"metadata": {"name": "r"}, "spec": {**SPEC, **spec, "stubPKCS10Request": ""}, "status": status or {}}
    return codec.convert(document, PodCertificateRequest)


def asked(operation: str = "CREATE", subresource: str = "", user: UserInfo = NODE) -> AdmissionRequest:
    return AdmissionRequest(
        operation=operation,
        resource=registry.resource_of(PodCertificateRequest),
        subresource=subresource,
        namespace="a",
        name="r",
        user=user,
        now=1767312000.0,
        new_suffix=lambda: "abcde",
    )


def outcome(found: PodCertificateRequest, world: World, *allowed: str) -> tuple[int, str]:
    try:
        NodePodCertificates(Allowing(*allowed)).admit(asked(), found, None, world)
    except ApiError as error:
        prefix = 'podcertificaterequests.certificates.k8s.io "r" is forbidden: '
        assert error.message.startswith(prefix) == (error.code == 403)
        return error.code, error.message.removeprefix(prefix)
    return 201, ""


@pytest.mark.parametrize(
    ("spec", "pod", "code", "detail"),
    [
        ({}, {}, 201, ""),
        ({"nodeName": "m"}, {}, 403, 'PodCertificateRequest.Spec.NodeName="m", which is not the requesting node "n"'),
        (
            {"nodeUID": "n-2"},
            {},
            500,
            'PodCertificateRequest for pod "a/p" names node UID "n-2", inconsistent with the running node ("n-1")',
        ),
        (
            {"podName": "q"},
            {},
            500,
            'while retrieving pod "a/q" named in the PodCertificateRequest: pod "q" not found',
        ),
        (
            {"podUID": "p-2"},
            {},
            500,
            'PodCertificateRequest for pod "a/p" contains pod UID ("p-2") which differs from running pod "p-1"',
        ),
        ({}, {"nodeName": "m"}, 403, 'pod "a/p" is not running on node "n" named in the PodCertificateRequest'),
        ({}, {"metadata": {"annotations": {"kubernetes.io/config.mirror": "x"}}}, 403, 'pod "a/p" is a mirror pod'),
        (
            {"serviceAccountName": "t"},
            {},
            403,
            'PodCertificateRequest for pod "a/p" contains serviceAccountName ("t") that differs from running pod ("s")',
        ),
        (
            {"serviceAccountName": "t"},
            {"serviceAccountName": "t"},
            500,
            'while retrieving service account "a/t" named in the PodCertificateRequest: serviceaccount "t" not found',
        ),
        (
            {"serviceAccountUID": "s-2"},
            {},
            500,
            'PodCertificateRequest for pod "a/p" names service account UID "s-2", which differs from the running'
            ' service account ("s-1")',
        ),
        (
            {"signerName": "example.com/others"},
            {},
            403,
            'signer "example.com/others" not found in pod spec volume, system:node:n is not authorized to request'
            " certificates of this signer",
        ),
    ],
)
def test_nodes_ask_in_the_name_of_their_pods(spec: dict[str, str], pod: dict[str, Any], code: int, detail: str) -> None:
    assert outcome(certificate_request(**spec), World(**pod)) == (code, detail)


def test_nodes_that_are_gone_ask_for_nothing() -> None:
    world = World()
    del world.objects[Node]
    detail = 'while retrieving node "n" named in the PodCertificateRequest: node "n" not found'
    assert outcome(certificate_request(), world) == (500, detail)


def test_nodes_ask_other_signers_where_a_role_says_so() -> None:
    other = certificate_request(signerName="example.com/others")
    assert outcome(other, World(), VERB, "certificates.k8s.io", "example.com:others", "a", "s") == (201, "")
    assert outcome(other, World(), VERB, "certificates.k8s.io", "example.com:others", "a", "t")[0] == 403


def test_nodes_do_not_answer_their_own_requests_and_others_are_not_looked_at() -> None:
    plugin, found = NodePodCertificates(Allowing()), certificate_request(nodeName="m")
    with pytest.raises(ApiError, match="unexpected operation UPDATE"):
        plugin.admit(asked("UPDATE", "status"), found, found, World())
    plugin.admit(asked(user=UserInfo("system:node:n")), found, None, World())


def test_conditions_say_since_when_they_hold() -> None:
    earlier = {"type": "A", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    conditions = [
        {"type": "A", "status": "True"},
        {"type": "B", "status": "True"},
        {"type": "C", "status": "True", "lastTransitionTime": "2025-01-01T00:00:00Z"},
    ]
    new = certificate_request({"conditions": conditions})
    request = asked("UPDATE", "status", UserInfo("signer"))
    PodCertificateTimes().admit(request, new, certificate_request({"conditions": [earlier]}), World())
    assert [str(each.lastTransitionTime) for each in new.status.conditions or ()] == [
        "2026-01-01T00:00:00Z",
        "2026-01-02T00:00:00Z",
        "2025-01-01T00:00:00Z",
    ]
