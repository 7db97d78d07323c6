"""A kubelet may change its own Node and the pods bound to it, and nothing of other nodes. Specified in "Admission
Control", NodeRestriction."""

from __future__ import annotations

from typing import Any

from tiphys.apiserver.admission.interface import AdmissionRequest, Lookups
from tiphys.kinds.types import core_v1, resource_v1
from tiphys.machinery import errors

USER_PREFIX = "system:node:"
GROUP = "system:nodes"
MIRROR_ANNOTATION = "kubernetes.io/config.mirror"


class NodeRestriction:
    name = "NodeRestriction"

    def admit(self, request: AdmissionRequest, obj: Any, old: Any, lookups: Lookups) -> None:
        user = request.user
        if GROUP not in user.groups or not user.name.startswith(USER_PREFIX):
            return
        node, resource = user.name[len(USER_PREFIX) :], request.resource
        if resource.group == "" and resource.plural == "pods":
            self._admit_pod(request, obj, lookups, node)
        elif resource.group == "" and resource.plural == "nodes":
            self._admit_node(request, obj, old, node)
        elif resource.group == "" and resource.plural == "serviceaccounts" and request.subresource == "token":
            self._admit_token(request, obj, lookups, node)
        elif (resource.group, resource.plural) == ("coordination.k8s.io", "leases"):
            self._admit_lease(request, obj, node)
        elif (resource.group, resource.plural) == ("resource.k8s.io", "resourceslices"):
            self._admit_slice(request, obj, lookups, node)
        elif (resource.group, resource.plural) == ("storage.k8s.io", "csinodes"):
            self._admit_csi_node(request, obj, node)

    def _refuse(self, request: AdmissionRequest, detail: str) -> errors.ApiError:
        return errors.forbidden(request.resource.plural, request.resource.group, request.name, detail)

    def _admit_pod(self, request: AdmissionRequest, obj: Any, lookups: Lookups, node: str) -> None:
        if request.operation == "CREATE" and not request.subresource:
            if MIRROR_ANNOTATION not in (obj.metadata.annotations or {}):
                raise self._refuse(
                    request,
                    f'pod does not have "{MIRROR_ANNOTATION}" annotation, node "{node}" can only create mirror pods',
                )
            if obj.spec.nodeName != node:
                raise self._refuse(request, f'node "{node}" can only create pods with spec.nodeName set to itself')
            return
        pod = lookups.get(core_v1.Pod, request.namespace, request.name) if request.name else None
        if request.operation == "DELETE" or request.subresource in ("status", "eviction"):
            if pod is not None and pod.spec.nodeName != node:
                verb = (
                    "delete"
                    if request.operation == "DELETE"
                    else "update status for"
                    if request.subresource == "status"
                    else "evict"
                )
                raise self._refuse(request, f'node "{node}" can only {verb} pods with spec.nodeName set to itself')
        elif request.operation in ("CREATE", "UPDATE"):
            raise self._refuse(
                request,
                f'unexpected operation "{request.operation}", node "{node}" can only create and delete mirror pods',
            )

    def _admit_node(self, request: AdmissionRequest, obj: Any, old: Any, node: str) -> None:
        name = request.name or (obj.metadata.name if obj is not None else "")
        if request.operation == "DELETE" or name != node:
            if name != node:
                raise self._refuse(request, f'node "{node}" is not allowed to modify node "{name}"')
            return
        if (
            request.operation == "UPDATE"
            and old is not None
            and not request.subresource
            and obj.spec.taints != old.spec.taints
        ):
            raise self._refuse(request, f'node "{node}" is not allowed to modify taints')

    def _admit_token(self, request: AdmissionRequest, obj: Any, lookups: Lookups, node: str) -> None:
        bound = obj.spec.boundObjectRef if obj is not None else None
        if bound is None or bound.kind != "Pod" or not bound.name:
            raise self._refuse(request, f'node "{node}" must use a pod-bound token')
        pod = lookups.get(core_v1.Pod, request.namespace, bound.name)
        if pod is None:
            raise errors.not_found("pods", "", bound.name)
        if bound.uid and bound.uid != pod.metadata.uid:
            detail = (
                f"the UID in the bound object reference ({bound.uid}) does not match the UID in record."
                " The object might have been deleted and then recreated"
            )
            raise errors.conflict("pods", "", bound.name, detail)
        if pod.spec.nodeName != node:
            raise self._refuse(request, f'node "{node}" can only request token bound to a pod running on it')

    def _admit_lease(self, request: AdmissionRequest, obj: Any, node: str) -> None:
        name = request.name or (obj.metadata.name if obj is not None else "")
        if request.namespace != "kube-node-lease":
            raise self._refuse(request, 'can only access leases in the "kube-node-lease" system namespace')
        if name != node:
            raise self._refuse(request, "can only access node lease with the same name as the requesting node")

    def _admit_slice(self, request: AdmissionRequest, obj: Any, lookups: Lookups, node: str) -> None:
        """A slice stays with its node, so an update needs no look."""
        if request.operation not in ("CREATE", "DELETE"):
            return
        found = obj if request.operation == "CREATE" else lookups.get(resource_v1.ResourceSlice, "", request.name)
        if found is not None and found.spec.nodeName != node:
            verb = request.operation.lower()
            raise self._refuse(request, f"can only {verb} ResourceSlice with the same NodeName as the requesting node")

    def _admit_csi_node(self, request: AdmissionRequest, obj: Any, node: str) -> None:
        if (request.name or (obj.metadata.name if obj is not None else "")) != node:
            raise self._refuse(request, "can only access CSINode with the same name as the requesting node")
