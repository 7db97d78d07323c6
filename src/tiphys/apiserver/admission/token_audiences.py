"""A kubelet gets tokens only for the audiences that the pod uses, or for those that somebody lets it ask for: with the
verb `request-serviceaccounts-token-audience` on the audience as a resource, by the name of the service account.
Specified in "Service Accounts", node audience restriction; that the pod is the node's own is NodeRestriction's to see.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tiphys.apiserver.admission.interface import AdmissionRequest, Lookups, Resources
from tiphys.apiserver.authz.interface import Attributes, Authorizer
from tiphys.apiserver.authz.node import node_of
from tiphys.apiserver.authz.references import claim_of
from tiphys.kinds.types import core_v1, storage_v1
from tiphys.machinery import errors

VERB = "request-serviceaccounts-token-audience"


class NodeTokenAudiences:
    name = "NodeTokenAudiences"
    resources: Resources = (("", "serviceaccounts"),)

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    def admit(self, request: AdmissionRequest, obj: Any, old: Any, lookups: Lookups) -> None:
        resource, user = request.resource, request.user
        if (resource.group, resource.plural, request.subresource) != ("", "serviceaccounts", "token"):
            return
        if not node_of(user.name, user.groups):
            return
        audiences = obj.spec.audiences or [""]
        if len(audiences) > 1:
            raise errors.forbidden(resource.plural, "", request.name, "node may only request 0 or 1 audiences")
        audience = audiences[0]
        bound = obj.spec.boundObjectRef
        pod = lookups.get(core_v1.Pod, request.namespace, (bound.name or "") if bound is not None else "")
        if pod is not None and audience in _used_audiences(pod, lookups):
            return
        asked = Attributes(user, VERB, "", "v1", audience, "", request.namespace, request.name)
        if not self._authorizer.authorize(asked).allowed:
            detail = (
                f'audience "{audience}" not found in pod spec volume, {user.name} is not authorized to request tokens'
                " for this audience"
            )
            raise errors.forbidden(resource.plural, "", request.name, detail)


def _used_audiences(pod: core_v1.Pod, lookups: Lookups) -> Iterator[str]:
    """Those of the pod's mounted tokens and of the drivers that mount its volumes; "" is the API server itself."""
    for volume in pod.spec.volumes or ():
        for source in (volume.projected.sources if volume.projected is not None else None) or ():
            if source.serviceAccountToken is not None:
                yield source.serviceAccountToken.audience or ""
        driver = lookups.get(storage_v1.CSIDriver, "", _driver(pod, volume, lookups))
        for asked in (driver.spec.tokenRequests if driver is not None else None) or ():
            yield asked.audience


def _driver(pod: core_v1.Pod, volume: core_v1.Volume, lookups: Lookups) -> str:
    """The CSI driver of a volume, "" when it has none (yet)."""
    if volume.csi is not None:
        return volume.csi.driver
    claim = lookups.get(core_v1.PersistentVolumeClaim, pod.metadata.namespace or "", claim_of(pod, volume))
    bound = claim.spec.volumeName if claim is not None else None
    found = lookups.get(core_v1.PersistentVolume, "", bound) if bound else None
    return found.spec.csi.driver if found is not None and found.spec.csi is not None else ""
