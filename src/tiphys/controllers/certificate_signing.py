"""Certificate signing requests: those of kubelets are approved by rule, and approved ones of the built-in signers are
signed with the cluster's authority.

A kubelet's client certificate is approved when the API says that its requester may have it (the `selfnodeclient` and
`nodeclient` subresources); its serving certificate when the node itself asks, for names and addresses that its Node
has. What is approved and not what the signer signs fails for good. Specified in "Certificates and Certificate Signing
Requests".
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from cryptography import x509

from tiphys.client.interface import ApiRequest, ObjectKey
from tiphys.controllers.actions import Action, Answer, Ask, Update
from tiphys.controllers.controller import Controller, View, Watch, own_key
from tiphys.kinds import codec
from tiphys.kinds.types import authorization_v1, core_v1
from tiphys.kinds.types.certificates_v1 import CertificateSigningRequest, CertificateSigningRequestCondition
from tiphys.machinery import timestamps
from tiphys.pki.certificates import Authority
from tiphys.pki.requests import RequestedNames, parse_request, requested_names, sign_request

CLIENT = "kubernetes.io/kube-apiserver-client"
KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING = "kubernetes.io/kubelet-serving"
SIGNERS = (CLIENT, KUBELET_CLIENT, KUBELET_SERVING)
NODE_PREFIX, NODES = "system:node:", "system:nodes"
LIFETIME_SECONDS = 365 * 86_400
_BASE_USAGES = {"digital signature", "key encipherment"}
IDENTITY = "system:serviceaccount:kube-system:certificate-controller"


def has_condition(request: CertificateSigningRequest, *types: str) -> bool:
    return any(condition.type in types for condition in request.status.conditions or ())


def refusal(signer: str, usages: Sequence[str], names: RequestedNames) -> str:
    """Why a signer does not sign such a request; "" when it does."""
    purpose = "server auth" if signer == KUBELET_SERVING else "client auth"
    if not set(usages) <= {*_BASE_USAGES, purpose} or purpose not in usages or "digital signature" not in usages:
        return f'usages did not match ["key encipherment", "digital signature", "{purpose}"]'
    if signer == CLIENT:
        return "organizations may not hold system:masters" if "system:masters" in names.organizations else ""
    if names.organizations != (NODES,):
        return f"subject organization is not {NODES}"
    if not names.common_name.startswith(NODE_PREFIX):
        return f"subject common name does not begin with {NODE_PREFIX}"
    given = bool(names.dns_names or names.addresses)
    if names.others:
        return "only DNS and IP subjectAltNames are allowed"
    if signer == KUBELET_SERVING and not given:
        return "at least one DNS or IP subjectAltName is required"
    if signer == KUBELET_CLIENT and given:
        return "subjectAltNames are not allowed"
    return ""


def _with_condition(
    request: CertificateSigningRequest, kind: str, reason: str, message: str, now: float
) -> CertificateSigningRequest:
    changed = codec.copy(request)
    moment = timestamps.time_of(now)
    changed.status.conditions = [
        *(request.status.conditions or ()),
        CertificateSigningRequestCondition(
            type=kind, status="True", reason=reason, message=message, lastUpdateTime=moment, lastTransitionTime=moment
        ),
    ]
    return changed


# -- approval


def approve(view: View, key: ObjectKey, now: float) -> list[Action]:
    request = view.get(CertificateSigningRequest, "", key.name)
    if request is None or request.status.certificate or has_condition(request, "Approved", "Denied", "Failed"):
        return []
    signer, spec = request.spec.signerName, request.spec
    if signer not in (KUBELET_CLIENT, KUBELET_SERVING):
        return []
    try:
        names = requested_names(parse_request(spec.request))
    except ValueError:
        return []
    if refusal(signer, spec.usages or (), names):
        return []
    if signer == KUBELET_SERVING:
        is_own = spec.username == names.common_name and NODES in (spec.groups or ())
        if not is_own or not _belong_to_node(view, names):
            return []
        text = "Auto approving kubelet serving certificate for names and addresses of its Node."
        return [Update(object=_with_condition(request, "Approved", "AutoApproved", text, now), subresource="approval")]
    is_self = spec.username == names.common_name and NODES in (spec.groups or ())
    return [Ask(requests=(_review(request, "selfnodeclient" if is_self else "nodeclient"),))]


def _belong_to_node(view: View, names: RequestedNames) -> bool:
    node = view.get(core_v1.Node, "", names.common_name[len(NODE_PREFIX) :])
    if node is None:
        return False
    known = {address.address for address in node.status.addresses or ()}
    return set(names.dns_names) | set(names.addresses) <= known


def _review(request: CertificateSigningRequest, subresource: str) -> ApiRequest:
    attributes = authorization_v1.ResourceAttributes(
        group="certificates.k8s.io", resource="certificatesigningrequests", verb="create", subresource=subresource,
        version="*",
    )  # fmt: skip
    spec = authorization_v1.SubjectAccessReviewSpec(
        user=request.spec.username,
        uid=request.spec.uid,
        groups=request.spec.groups,
        extra=request.spec.extra,
        resourceAttributes=attributes,
    )
    return ApiRequest(
        verb="create",
        group="authorization.k8s.io",
        version="v1",
        resource="subjectaccessreviews",
        body=authorization_v1.SubjectAccessReview(spec=spec),
    )


def approved(view: View, key: ObjectKey, now: float, answers: Sequence[Answer], memo: Any) -> list[Action]:
    """The API's word on a kubelet's client certificate."""
    request, answer = view.get(CertificateSigningRequest, "", key.name), answers[0]
    if answer.error is not None:
        raise answer.error
    if request is None or not answer.result.status.allowed or has_condition(request, "Approved", "Denied", "Failed"):
        return []
    text = "Auto approving kubelet client certificate after SubjectAccessReview."
    return [Update(object=_with_condition(request, "Approved", "AutoApproved", text, now), subresource="approval")]


APPROVER = Controller(
    name="csrapproving",
    identity=IDENTITY,
    source="certificate-controller",
    reconcile=approve,
    answered=approved,
    watches=(Watch(kind=CertificateSigningRequest, keys=own_key),),
    reads=(core_v1.Node,),
)


# -- signing


def signer(authority: Authority) -> Controller:
    """Signs what was approved."""

    def reconcile(view: View, key: ObjectKey, now: float) -> list[Action]:
        request = view.get(CertificateSigningRequest, "", key.name)
        if request is None or request.status.certificate or request.spec.signerName not in SIGNERS:
            return []
        if not has_condition(request, "Approved") or has_condition(request, "Denied", "Failed"):
            return []
        return [Update(object=signed(request, authority, now), subresource="status")]

    return Controller(
        name="csrsigning",
        identity=IDENTITY,
        source="certificate-controller",
        reconcile=reconcile,
        watches=(Watch(kind=CertificateSigningRequest, keys=own_key),),
    )


def signed(request: CertificateSigningRequest, authority: Authority, now: float) -> CertificateSigningRequest:
    """The request with its certificate, or with the reason why it never gets one."""
    spec = request.spec
    try:
        parsed: x509.CertificateSigningRequest = parse_request(spec.request)
        problem = refusal(spec.signerName, spec.usages or (), requested_names(parsed))
        if problem:
            raise ValueError(problem)
        # The uid is random and never used twice, and so is the serial number.
        serial = int.from_bytes(hashlib.sha256((request.metadata.uid or "").encode()).digest()[:16], "big") >> 1
        lifetime_seconds = min(spec.expirationSeconds or LIFETIME_SECONDS, LIFETIME_SECONDS)
        certificate = sign_request(parsed, spec.usages or (), authority, serial, now, lifetime_seconds)
    except ValueError as error:
        return _with_condition(request, "Failed", "SignerValidationFailure", str(error), now)
    changed = codec.copy(request)
    changed.status.certificate = certificate
    return changed
