"""A kubelet asks for certificates in the name of pods that run on it alone, as they are, and only of signers whose
certificates they mount, or that somebody lets it ask: with the verb `request-serviceaccounts-podcertificate-signer` on
the signer as a resource ("example.com:name"), by the name of the service account. Specified in "Certificate Signing
Requests" and KEP-4317.
"""

from __future__ import annotations

from typing import Any

from tiphys.apiserver.admission.interface import AdmissionRequest, Lookups, Resources
from tiphys.apiserver.admission.node_restriction import MIRROR_ANNOTATION
from tiphys.apiserver.authz.interface import Attributes, Authorizer
from tiphys.apiserver.authz.node import node_of
from tiphys.apiserver.condition_times import date_transitions
from tiphys.kinds.types.certificates_v1 import PodCertificateRequestSpec
from tiphys.kinds.types.core_v1 import Node, Pod, ServiceAccount
from tiphys.machinery import errors

GROUP = "certificates.k8s.io"
VERB = "request-serviceaccounts-podcertificate-signer"


class NodePodCertificates:
    name = "NodePodCertificates"
    resources: Resources = ((GROUP, "podcertificaterequests"),)

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    def admit(self, request: AdmissionRequest, obj: Any, old: Any, lookups: Lookups) -> None:
        resource = request.resource
        node = node_of(request.user.name, request.user.groups)
        if not node or (resource.group, resource.plural) != (GROUP, "podcertificaterequests"):
            return
        if request.operation != "CREATE":
            raise _refused(request, obj, f"unexpected operation {request.operation}")
        spec: PodCertificateRequestSpec = obj.spec
        if spec.nodeName != node:
            detail = f'PodCertificateRequest.Spec.NodeName="{spec.nodeName}", which is not the requesting node "{node}"'
            raise _refused(request, obj, detail)
        _check_node(request, spec, lookups)
        pod = _checked_pod(request, obj, lookups)
        _check_account(request, obj, pod, lookups)
        if not _mounts(pod, spec.signerName) and not self._may_ask(request, spec):
            detail = (
                f'signer "{spec.signerName}" not found in pod spec volume, {request.user.name} is not authorized to'
                " request certificates of this signer"
            )
            raise _refused(request, obj, detail)

    def _may_ask(self, request: AdmissionRequest, spec: PodCertificateRequestSpec) -> bool:
        signer = spec.signerName.replace("/", ":")
        asked = Attributes(request.user, VERB, GROUP, "", signer, "", request.namespace, spec.serviceAccountName)
        return self._authorizer.authorize(asked).allowed


class PodCertificateTimes:
    """Conditions say since when they hold, also when the signer does not."""

    name = "PodCertificateTimes"
    resources: Resources = ((GROUP, "podcertificaterequests"),)

    def admit(self, request: AdmissionRequest, obj: Any, old: Any, lookups: Lookups) -> None:
        resource = request.resource
        if (resource.group, resource.plural, request.subresource) != (GROUP, "podcertificaterequests", "status"):
            return
        date_transitions(obj, old, request.now)


def _refused(request: AdmissionRequest, obj: Any, detail: str) -> errors.ApiError:
    name = request.name or (obj.metadata.name if obj is not None else None) or ""
    return errors.forbidden(request.resource.plural, GROUP, name, detail)


def _outdated(detail: str) -> errors.ApiError:
    """What may be otherwise soon, so that it is worth asking again."""
    return errors.ApiError(500, "", detail)


def _pod_name(request: AdmissionRequest, spec: PodCertificateRequestSpec) -> str:
    return f'"{request.namespace}/{spec.podName}"'


def _check_node(request: AdmissionRequest, spec: PodCertificateRequestSpec, lookups: Lookups) -> None:
    node = lookups.get(Node, "", spec.nodeName)
    if node is None:
        what = f'while retrieving node "{spec.nodeName}" named in the PodCertificateRequest'
        raise _outdated(f'{what}: node "{spec.nodeName}" not found')
    if node.metadata.uid != spec.nodeUID:
        raise _outdated(
            f'PodCertificateRequest for pod {_pod_name(request, spec)} names node UID "{spec.nodeUID}", inconsistent'
            f' with the running node ("{node.metadata.uid}")'
        )


def _checked_pod(request: AdmissionRequest, obj: Any, lookups: Lookups) -> Pod:
    spec: PodCertificateRequestSpec = obj.spec
    name = _pod_name(request, spec)
    pod = lookups.get(Pod, request.namespace, spec.podName)
    if pod is None:
        what = f"while retrieving pod {name} named in the PodCertificateRequest"
        raise _outdated(f'{what}: pod "{spec.podName}" not found')
    if pod.metadata.uid != spec.podUID:
        what = f'PodCertificateRequest for pod {name} contains pod UID ("{spec.podUID}") which differs from running pod'
        raise _outdated(f'{what} "{pod.metadata.uid}"')
    if pod.spec.nodeName != spec.nodeName:
        detail = f'pod {name} is not running on node "{spec.nodeName}" named in the PodCertificateRequest'
        raise _refused(request, obj, detail)
    if MIRROR_ANNOTATION in (pod.metadata.annotations or {}):
        raise _refused(request, obj, f"pod {name} is a mirror pod")
    return pod


def _check_account(request: AdmissionRequest, obj: Any, pod: Pod, lookups: Lookups) -> None:
    spec: PodCertificateRequestSpec = obj.spec
    what, asked, used = _pod_name(request, spec), spec.serviceAccountName, pod.spec.serviceAccountName or ""
    if asked != used:
        detail = f'contains serviceAccountName ("{asked}") that differs from running pod ("{used}")'
        raise _refused(request, obj, f"PodCertificateRequest for pod {what} {detail}")
    account = lookups.get(ServiceAccount, request.namespace, asked)
    if account is None:
        found = f'"{request.namespace}/{asked}" named in the PodCertificateRequest: serviceaccount "{asked}" not found'
        raise _outdated(f"while retrieving service account {found}")
    if account.metadata.uid != spec.serviceAccountUID:
        raise _outdated(
            f'PodCertificateRequest for pod {what} names service account UID "{spec.serviceAccountUID}", which differs'
            f' from the running service account ("{account.metadata.uid}")'
        )


def _mounts(pod: Pod, signer: str) -> bool:
    """Whether a volume of the pod has certificates of the signer."""
    return any(
        source.podCertificate is not None and source.podCertificate.signerName == signer
        for volume in pod.spec.volumes or ()
        if volume.projected is not None
        for source in volume.projected.sources or ()
    )
