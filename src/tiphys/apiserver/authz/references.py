"""Which objects the pods of a node refer to: what a node may read because it needs it to run its pods.

Kept up to date from the changes of pods, persistent volumes and claims, volume attachments, and slices of devices. A
reference is (resource, namespace, name); a node may reach it while at least one of its pods refers to it, or while it
is about the node itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from tiphys.apiserver.authn.source import ObjectSource
from tiphys.kinds.types.core_v1 import PersistentVolume, Pod, Volume
from tiphys.kinds.types.resource_v1 import ResourceSlice
from tiphys.kinds.types.storage_v1 import VolumeAttachment

Reference = tuple[str, str, str]
"""(resource, namespace, name); the namespace of cluster-scoped resources is ""."""


def pod_references(pod: Pod) -> set[Reference]:
    """What a pod lets its node read. That of mirror pods (of static ones) does not count: their node made them up."""
    return set() if "kubernetes.io/config.mirror" in (pod.metadata.annotations or {}) else named_objects(pod)


def named_objects(pod: Pod) -> set[Reference]:
    """What a pod refers to by itself."""
    namespace = pod.metadata.namespace or ""
    found: set[Reference] = set()
    if pod.spec.serviceAccountName:
        found.add(("serviceaccounts", namespace, pod.spec.serviceAccountName))
    for secret in pod.spec.imagePullSecrets or ():
        found.add(("secrets", namespace, secret.name or ""))
    for container in (
        *pod.spec.containers,
        *(pod.spec.initContainers or ()),
        *(pod.spec.ephemeralContainers or ()),
    ):
        for resource, name in _environment_references(container):
            found.add((resource, namespace, name))
    for volume in pod.spec.volumes or ():
        for resource, name in _volume_references(pod, volume):
            found.add((resource, namespace, name))
    for claim in pod.spec.resourceClaims or ():
        if claim.resourceClaimName:
            found.add(("resourceclaims", namespace, claim.resourceClaimName))
    for status in pod.status.resourceClaimStatuses or ():
        if status.resourceClaimName:
            found.add(("resourceclaims", namespace, status.resourceClaimName))
    return found


def _environment_references(container: Any) -> Iterator[tuple[str, str]]:
    for variable in container.env or ():
        source = variable.valueFrom
        if source is not None and source.secretKeyRef is not None:
            yield "secrets", source.secretKeyRef.name or ""
        if source is not None and source.configMapKeyRef is not None:
            yield "configmaps", source.configMapKeyRef.name or ""
    for origin in container.envFrom or ():
        if origin.secretRef is not None:
            yield "secrets", origin.secretRef.name or ""
        if origin.configMapRef is not None:
            yield "configmaps", origin.configMapRef.name or ""


def _volume_references(pod: Pod, volume: Volume) -> Iterator[tuple[str, str]]:
    if volume.secret is not None:
        yield "secrets", volume.secret.secretName or ""
    if volume.configMap is not None:
        yield "configmaps", volume.configMap.name or ""
    claim = claim_of(pod, volume)
    if claim:
        yield "persistentvolumeclaims", claim
    for projection in (volume.projected.sources if volume.projected else None) or ():
        if projection.secret is not None:
            yield "secrets", projection.secret.name or ""
        if projection.configMap is not None:
            yield "configmaps", projection.configMap.name or ""
    if volume.csi is not None and volume.csi.nodePublishSecretRef is not None:
        yield "secrets", volume.csi.nodePublishSecretRef.name or ""
    for source in (volume.azureFile, volume.flexVolume, volume.cephfs, volume.rbd, volume.scaleIO, volume.iscsi):
        name = _secret_of(source)
        if name:
            yield "secrets", name


def claim_of(pod: Pod, volume: Volume) -> str:
    """The name of the claim that a volume of a pod stands for, "" when for none."""
    if volume.persistentVolumeClaim is not None:
        return volume.persistentVolumeClaim.claimName
    return f"{pod.metadata.name}-{volume.name}" if volume.ephemeral is not None else ""


def _secret_of(source: Any) -> str:
    if source is None:
        return ""
    if hasattr(source, "secretName"):
        return source.secretName or ""
    return (source.secretRef.name or "") if source.secretRef is not None else ""


def volume_secrets(volume: PersistentVolume) -> set[Reference]:
    """The secrets that a node needs to mount a persistent volume."""
    claim = volume.spec.claimRef
    namespace = (claim.namespace or "") if claim is not None else ""
    found: set[Reference] = set()
    csi = volume.spec.csi
    if csi is not None:
        for ref in (csi.nodePublishSecretRef, csi.nodeStageSecretRef, csi.nodeExpandSecretRef):
            if ref is not None:
                found.add(("secrets", ref.namespace or namespace, ref.name or ""))
    spec = volume.spec
    for source in (spec.azureFile, spec.flexVolume, spec.cephfs, spec.rbd, spec.scaleIO, spec.iscsi):
        name = _secret_of(source)
        if name:
            owner = getattr(source, "secretNamespace", None) or getattr(
                getattr(source, "secretRef", None), "namespace", None
            )
            found.add(("secrets", owner or namespace, name))
    return found


class NodeReferences:
    """The references of all nodes, following a source."""

    def __init__(self, source: ObjectSource) -> None:
        self._nodes_of: dict[Reference, Counter[str]] = {}
        self._claim_of_volume: dict[str, Reference] = {}
        self._secrets_of_volume: dict[str, set[Reference]] = {}
        self._volumes_of_secret: dict[Reference, set[str]] = {}
        self._attached: dict[str, str] = {}
        self._node_of_slice: dict[str, str] = {}
        self._pods: dict[tuple[str, str], str] = {}
        source.subscribe(Pod, self._pod_changed)
        source.subscribe(PersistentVolume, self._volume_changed)
        source.subscribe(VolumeAttachment, self._attachment_changed)
        source.subscribe(ResourceSlice, self._slice_changed)

    def reaches(self, node: str, reference: Reference) -> bool:
        """Whether the node's pods need this object."""
        nodes = self._nodes_of.get(reference)
        if nodes is not None and node in nodes:
            return True
        resource, _, name = reference
        if resource == "persistentvolumes":
            claim = self._claim_of_volume.get(name)
            return claim is not None and self.reaches(node, claim)
        if resource == "volumeattachments":
            return self._attached.get(name) == node
        if resource == "resourceslices":
            return self._node_of_slice.get(name) == node
        if resource == "secrets":
            volumes = self._volumes_of_secret.get(reference, ())
            return any(self.reaches(node, ("persistentvolumes", "", volume)) for volume in volumes)
        return False

    def runs(self, node: str, namespace: str, pod: str) -> bool:
        """Whether a pod is bound to the node."""
        return self._pods.get((namespace, pod)) == node

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        before = (old.spec.nodeName or "") if old is not None else ""
        after = (new.spec.nodeName or "") if new is not None else ""
        if not before and not after:
            return
        known = new or old
        assert known is not None
        key = (known.metadata.namespace or "", known.metadata.name or "")
        if after:
            self._pods[key] = after
        else:
            self._pods.pop(key, None)
        # Almost every change of a pod is one of its status, which leaves this set as it was.
        old_references = pod_references(old) if old is not None and before else set()
        new_references = pod_references(new) if new is not None and after else set()
        if before == after and old_references == new_references:
            return
        for reference in old_references:
            self._drop(reference, before)
        for reference in new_references:
            self._nodes_of.setdefault(reference, Counter())[after] += 1

    def _drop(self, reference: Reference, node: str) -> None:
        nodes = self._nodes_of.get(reference)
        if nodes is None:
            return
        nodes[node] -= 1
        if nodes[node] <= 0:
            del nodes[node]
        if not nodes:
            del self._nodes_of[reference]

    def _volume_changed(self, old: PersistentVolume | None, new: PersistentVolume | None) -> None:
        if old is not None:
            name = old.metadata.name or ""
            self._claim_of_volume.pop(name, None)
            for secret in self._secrets_of_volume.pop(name, ()):
                self._volumes_of_secret[secret].discard(name)
                if not self._volumes_of_secret[secret]:
                    del self._volumes_of_secret[secret]
        if new is not None and new.spec.claimRef is not None:
            name, claim = new.metadata.name or "", new.spec.claimRef
            self._claim_of_volume[name] = ("persistentvolumeclaims", claim.namespace or "", claim.name or "")
            self._secrets_of_volume[name] = volume_secrets(new)
            for secret in self._secrets_of_volume[name]:
                self._volumes_of_secret.setdefault(secret, set()).add(name)

    def _attachment_changed(self, old: VolumeAttachment | None, new: VolumeAttachment | None) -> None:
        if old is not None:
            self._attached.pop(old.metadata.name or "", None)
        if new is not None:
            self._attached[new.metadata.name or ""] = new.spec.nodeName

    def _slice_changed(self, old: ResourceSlice | None, new: ResourceSlice | None) -> None:
        if old is not None:
            self._node_of_slice.pop(old.metadata.name or "", None)
        if new is not None and new.spec.nodeName:
            self._node_of_slice[new.metadata.name or ""] = new.spec.nodeName
