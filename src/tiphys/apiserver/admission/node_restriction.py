"""A kubelet may change its own Node and the pods bound to it, and nothing of other nodes. Specified in "Admission
Control", NodeRestriction."""

from __future__ import annotations

from typing import Any

import msgspec

from tiphys.apiserver.admission.interface import AdmissionRequest, Lookups, Resources
from tiphys.apiserver.admission.mirror_references import first_reference
from tiphys.apiserver.admission.node_labels import refused_labels
from tiphys.apiserver.authz.node import node_of
from tiphys.kinds.equality import same
from tiphys.kinds.types import core_v1, resource_v1
from tiphys.machinery import errors
from tiphys.pki.requests import parse_request, requested_names

MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
NODE_SIGNERS = ("kubernetes.io/kubelet-serving", "kubernetes.io/kube-apiserver-client-kubelet")


class NodeRestriction:
    name = "NodeRestriction"
    resources: Resources = (
        ("", "pods"), ("", "nodes"), ("", "persistentvolumeclaims"), ("", "serviceaccounts"),
        ("coordination.k8s.io", "leases"), ("resource.k8s.io", "resourceslices"),
        ("certificates.k8s.io", "certificatesigningrequests"), ("storage.k8s.io", "csinodes"),
    )  # fmt: skip

    def admit(self, request: AdmissionRequest, obj: Any, old: Any, lookups: Lookups) -> None:
        node, resource = node_of(request.user.name, request.user.groups), request.resource
        if not node:
            return
        if resource.group == "" and resource.plural == "pods":
            self._admit_pod(request, obj, old, lookups, node)
        elif resource.group == "" and resource.plural == "nodes":
            self._admit_node(request, obj, old, node)
        elif resource.group == "" and resource.plural == "persistentvolumeclaims":
            self._admit_claim(request, obj, old, node)
        elif resource.group == "" and resource.plural == "serviceaccounts" and request.subresource == "token":
            self._admit_token(request, obj, lookups, node)
        elif (resource.group, resource.plural) == ("coordination.k8s.io", "leases"):
            self._admit_lease(request, obj, node)
        elif (resource.group, resource.plural) == ("resource.k8s.io", "resourceslices"):
            self._admit_slice(request, obj, lookups, node)
        elif request.operation == "CREATE" and request.on("certificates.k8s.io", "certificatesigningrequests"):
            self._admit_signing_request(request, obj)
        elif (resource.group, resource.plural) == ("storage.k8s.io", "csinodes"):
            self._admit_csi_node(request, obj, node)

    def _refuse(self, request: AdmissionRequest, detail: str) -> errors.ApiError:
        return errors.forbidden(request.resource.plural, request.resource.group, request.name, detail)

    def _admit_pod(self, request: AdmissionRequest, obj: Any, old: Any, lookups: Lookups, node: str) -> None:
        if request.operation == "CREATE" and not request.subresource:
            self._admit_mirror(request, obj, lookups, node)
            return
        pod = lookups.get(core_v1.Pod, request.namespace, request.name) if request.name else None
        if request.operation == "DELETE" or request.subresource in ("status", "eviction"):
            if pod is not None and pod.spec.nodeName != node:
                verb = {"status": "update status for", "eviction": "evict"}.get(request.subresource, "delete")
                raise self._refuse(request, f'node "{node}" can only {verb} pods with spec.nodeName set to itself')
            if request.subresource == "status" and not same(obj.metadata.labels, old.metadata.labels):
                raise self._refuse(request, f'node "{node}" cannot update labels through pod status')
        elif request.operation in ("CREATE", "UPDATE"):
            raise self._refuse(
                request,
                f'unexpected operation "{request.operation}", node "{node}" can only create and delete mirror pods',
            )

    def _admit_mirror(self, request: AdmissionRequest, pod: core_v1.Pod, lookups: Lookups, node: str) -> None:
        """The object of a pod that the node has by itself: it is the node's, and refers to nothing."""
        if MIRROR_ANNOTATION not in (pod.metadata.annotations or {}):
            detail = f'pod does not have "{MIRROR_ANNOTATION}" annotation, node "{node}" can only create mirror pods'
            raise self._refuse(request, detail)
        if pod.spec.nodeName != node:
            raise self._refuse(request, f'node "{node}" can only create pods with spec.nodeName set to itself')
        self._check_owner(request, pod, lookups, node)
        reference = first_reference(pod)
        if reference:
            raise self._refuse(request, f'node "{node}" can not create pods that reference {reference}')

    def _check_owner(self, request: AdmissionRequest, pod: core_v1.Pod, lookups: Lookups, node: str) -> None:
        owners = pod.metadata.ownerReferences or []
        if len(owners) > 1:
            detail = f'node "{node}" can only create pods with a single owner reference set to itself'
            raise self._refuse(request, detail)
        if not owners or (owners[0].apiVersion, owners[0].kind, owners[0].name) != ("v1", "Node", node):
            raise self._refuse(request, f'node "{node}" can only create pods with an owner reference set to itself')
        if not owners[0].controller:
            detail = f'node "{node}" can only create pods with a controller owner reference set to itself'
            raise self._refuse(request, detail)
        if owners[0].blockOwnerDeletion:
            raise self._refuse(request, f'node "{node}" must not set blockOwnerDeletion on an owner reference')
        found = lookups.get(core_v1.Node, "", node)
        if found is None:
            raise errors.not_found("nodes", "", node)
        if owners[0].uid != found.metadata.uid:
            detail = f"node {node} UID mismatch: expected {owners[0].uid} got {found.metadata.uid}"
            raise self._refuse(request, detail)

    def _admit_node(self, request: AdmissionRequest, obj: Any, old: Any, node: str) -> None:
        name = request.name or (obj.metadata.name if obj is not None else "")
        if name != node:
            raise self._refuse(request, f'node "{node}" is not allowed to modify node "{name}"')
        if request.operation == "CREATE":
            labels = refused_labels(obj.metadata.labels, None)
            if labels:
                detail = f'node "{node}" is not allowed to set the following labels: {", ".join(labels)}'
                raise self._refuse(request, detail)
        if request.operation == "UPDATE":
            if not same(obj.spec.taints, old.spec.taints):
                raise self._refuse(request, f'node "{node}" is not allowed to modify taints')
            if not same(obj.metadata.ownerReferences, old.metadata.ownerReferences):
                raise self._refuse(request, f'node "{node}" is not allowed to modify ownerReferences')
            labels = refused_labels(obj.metadata.labels, old.metadata.labels)
            if labels:
                raise self._refuse(request, f"is not allowed to modify labels: {', '.join(labels)}")

    def _admit_claim(self, request: AdmissionRequest, obj: Any, old: Any, node: str) -> None:
        """A node says how large the volume has become, and nothing else."""
        if request.subresource != "status" or request.operation != "UPDATE":
            raise self._refuse(request, "may only update PVC status")
        if not same(_all_but_size(obj), _all_but_size(old)):
            detail = f'node "{node}" is not allowed to update fields other than status.quantity and status.conditions'
            raise self._refuse(request, detail)

    def _admit_token(self, request: AdmissionRequest, obj: Any, lookups: Lookups, node: str) -> None:
        bound = obj.spec.boundObjectRef if obj is not None else None
        if bound is None or bound.kind != "Pod" or bound.apiVersion not in (None, "v1"):
            raise self._refuse(request, "node requested token not bound to a pod")
        if not bound.uid:
            raise self._refuse(request, "node requested token with a pod binding without a uid")
        pod = lookups.get(core_v1.Pod, request.namespace, bound.name or "")
        if pod is None:
            raise errors.not_found("pods", "", bound.name or "")
        if bound.uid != pod.metadata.uid:
            detail = (
                f"the UID in the bound object reference ({bound.uid}) does not match the UID in record"
                f" ({pod.metadata.uid}). The object might have been deleted and then recreated"
            )
            raise self._refuse(request, detail)
        if pod.spec.nodeName != node:
            raise self._refuse(request, "node requested token bound to a pod scheduled on a different node")

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

    def _admit_signing_request(self, request: AdmissionRequest, obj: Any) -> None:
        """What makes a node a node in the eyes of others is signed for itself alone."""
        if obj.spec.signerName not in NODE_SIGNERS:
            return
        try:
            name = requested_names(parse_request(obj.spec.request)).common_name
        except ValueError as problem:
            raise self._refuse(request, f"unable to parse csr: {problem}") from problem
        if name != request.user.name:
            raise self._refuse(request, f"can only create a node CSR with CN={request.user.name}")


def _all_but_size(claim: core_v1.PersistentVolumeClaim) -> core_v1.PersistentVolumeClaim:
    """The claim without what tells how its volume grows, and without the traces that every write leaves."""
    metadata = msgspec.structs.replace(claim.metadata, managedFields=None, resourceVersion=None)
    status = msgspec.structs.replace(
        claim.status, capacity=None, conditions=None, allocatedResources=None, allocatedResourceStatuses=None
    )
    return msgspec.structs.replace(claim, metadata=metadata, status=status)
