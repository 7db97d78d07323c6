"""What makes a pod the n-th of its StatefulSet: name, labels, hostname, claims; and the claims' owners.

Specified in "StatefulSets", "Pod Identity", "Stable Storage" and "PersistentVolumeClaim retention".
"""

from __future__ import annotations

import re
from typing import Any

from tiphys.controllers import pods as pod_facts
from tiphys.controllers.revision_history import HASH_LABEL
from tiphys.kinds import codec
from tiphys.kinds.types import apps_v1, core_v1, meta_v1

POD_NAME_LABEL = "statefulset.kubernetes.io/pod-name"
POD_INDEX_LABEL = "apps.kubernetes.io/pod-index"
_NAME = re.compile(r"^(.*)-(\d+)$")


def ordinal_of(owner: apps_v1.StatefulSet, pod: core_v1.Pod) -> int:
    """The pod's place; -1 when its name is not of this set."""
    match = _NAME.match(pod.metadata.name or "")
    return int(match.group(2)) if match and match.group(1) == owner.metadata.name else -1


def pod_for(
    owner: apps_v1.StatefulSet, template: core_v1.PodTemplateSpec, ordinal: int, revision_name: str
) -> core_v1.Pod:
    """The pod to create at a place, of the revision of this name."""
    name = f"{owner.metadata.name}-{ordinal}"
    pod = pod_facts.pod_of_template(template, owner, name=name)
    pod.metadata.labels = {
        **(pod.metadata.labels or {}),
        POD_NAME_LABEL: name,
        POD_INDEX_LABEL: str(ordinal),
        HASH_LABEL: revision_name,
    }
    pod.spec.hostname = name
    pod.spec.subdomain = owner.spec.serviceName or None
    claimed = {t.metadata.name: claim_name(owner, t, ordinal) for t in owner.spec.volumeClaimTemplates or ()}
    volumes = [v for v in pod.spec.volumes or () if v.name not in claimed]
    for volume_name, claim in claimed.items():
        source = core_v1.PersistentVolumeClaimVolumeSource(claimName=claim)
        volumes.append(core_v1.Volume(name=volume_name or "", persistentVolumeClaim=source))
    pod.spec.volumes = volumes or None
    return pod


def claim_name(owner: apps_v1.StatefulSet, template: core_v1.PersistentVolumeClaim, ordinal: int) -> str:
    return f"{template.metadata.name}-{owner.metadata.name}-{ordinal}"


def claims_for(owner: apps_v1.StatefulSet, ordinal: int) -> list[core_v1.PersistentVolumeClaim]:
    """The claims of the pod at a place."""
    found = []
    for template in owner.spec.volumeClaimTemplates or ():
        claim = codec.copy(template)
        claim.metadata.name = claim_name(owner, template, ordinal)
        claim.metadata.namespace = owner.metadata.namespace
        claim.metadata.labels = {**(claim.metadata.labels or {}), **(owner.spec.selector.matchLabels or {})}
        claim.status = None if claim.status is None else type(claim)().status
        found.append(claim)
    return found


def claim_owners(
    owner: apps_v1.StatefulSet, claim: core_v1.PersistentVolumeClaim, pod: core_v1.Pod | None, *, condemned: bool
) -> list[meta_v1.OwnerReference] | None:
    """The owner references that a claim should have by the retention policy; None when they are as they should be."""
    policy = owner.spec.persistentVolumeClaimRetentionPolicy
    on_delete = policy is not None and policy.whenDeleted == "Delete"
    on_scale = policy is not None and policy.whenScaled == "Delete"
    old = claim.metadata.ownerReferences or []
    mine = {owner.metadata.uid, pod.metadata.uid if pod is not None else None}
    wanted = [r for r in old if r.uid not in mine and not _is_stale(owner, r)]
    if on_scale and condemned and pod is not None:
        wanted.append(_reference(pod))
    elif on_delete:
        wanted.append(_reference(owner))
    return None if wanted == old else wanted


def _is_stale(owner: apps_v1.StatefulSet, reference: meta_v1.OwnerReference) -> bool:
    """A pod of this set that was the owner before."""
    match = _NAME.match(reference.name)
    return reference.kind == "Pod" and match is not None and match.group(1) == owner.metadata.name


def _reference(obj: Any) -> meta_v1.OwnerReference:
    meta = obj.metadata
    return meta_v1.OwnerReference(apiVersion=obj.apiVersion, kind=obj.kind, name=meta.name, uid=meta.uid)
