"""Which ReplicaSet is the new one, which revision it is, what it is called and which annotations it carries.

The new ReplicaSet is the oldest one whose template equals the Deployment's, apart from the hash label. Revisions are
whole numbers in an annotation; `kubectl rollout undo` copies an old template back, which makes that old ReplicaSet the
new one again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tiphys.controllers.controller import controller_reference
from tiphys.controllers.hashing import fnv32a, safe_encoded
from tiphys.kinds import codec
from tiphys.kinds.types import apps_v1, core_v1, meta_v1
from tiphys.machinery.digits import is_number

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"
# Annotations of a Deployment that mean nothing on its ReplicaSets.
OWN_ANNOTATIONS = frozenset({
    "kubectl.kubernetes.io/last-applied-configuration", REVISION, REVISION_HISTORY, DESIRED_REPLICAS, MAX_REPLICAS,
    "deprecated.daemonset.template.generation",
})  # fmt: skip
LONGEST_HISTORY = 2000


def revision_of(obj: apps_v1.ReplicaSet | apps_v1.Deployment) -> int:
    """The revision annotation; 0 when there is none or it is no number."""
    text = (obj.metadata.annotations or {}).get(REVISION, "")
    return int(text) if is_number(text) else 0


def by_age(replica_set: apps_v1.ReplicaSet) -> tuple[str, str]:
    """Sort key: oldest first, by name where that is the same."""
    return (replica_set.metadata.creationTimestamp or "", replica_set.metadata.name or "")


def _bare(template: core_v1.PodTemplateSpec) -> core_v1.PodTemplateSpec:
    copied = codec.copy(template)
    if copied.metadata is not None and copied.metadata.labels is not None:
        copied.metadata.labels.pop(HASH_LABEL, None)
        copied.metadata.labels = copied.metadata.labels or None
    return copied


def find_new(deployment: apps_v1.Deployment, replica_sets: Iterable[apps_v1.ReplicaSet]) -> apps_v1.ReplicaSet | None:
    """The ReplicaSet of the current template, if there is one."""
    wanted = _bare(deployment.spec.template)
    for replica_set in sorted(replica_sets, key=by_age):
        if replica_set.spec.template is not None and _bare(replica_set.spec.template) == wanted:
            return replica_set
    return None


def template_hash(deployment: apps_v1.Deployment) -> str:
    """Names the template: the same template gives another hash only after a collision was counted."""
    data = codec.encode(deployment.spec.template)
    collisions = deployment.status.collisionCount if deployment.status is not None else None
    if collisions is not None:
        data += collisions.to_bytes(8, "little")
    return safe_encoded(str(fnv32a(data)))


def new_replica_set(
    deployment: apps_v1.Deployment, old: Sequence[apps_v1.ReplicaSet], replicas: int, surge: int
) -> apps_v1.ReplicaSet:
    """The ReplicaSet to create for the current template."""
    hashed = template_hash(deployment)
    template = codec.copy(deployment.spec.template)
    template.metadata = template.metadata or meta_v1.ObjectMeta()
    labels = {**(template.metadata.labels or {}), HASH_LABEL: hashed}
    template.metadata.labels = labels
    selector = codec.copy(deployment.spec.selector)
    selector.matchLabels = {**(selector.matchLabels or {}), HASH_LABEL: hashed}
    meta = meta_v1.ObjectMeta(
        name=f"{deployment.metadata.name}-{hashed}",
        namespace=deployment.metadata.namespace,
        labels=dict(labels),
        ownerReferences=[controller_reference(deployment)],
    )
    replica_set = apps_v1.ReplicaSet(
        metadata=meta,
        spec=apps_v1.ReplicaSetSpec(
            replicas=replicas,
            minReadySeconds=deployment.spec.minReadySeconds,
            selector=selector,
            template=template,
        ),
    )
    meta.annotations = new_annotations(deployment, replica_set, next_revision(old))
    wanted = deployment.spec.replicas or 0
    meta.annotations |= {DESIRED_REPLICAS: str(wanted), MAX_REPLICAS: str(wanted + surge)}
    return replica_set


def next_revision(old: Iterable[apps_v1.ReplicaSet]) -> int:
    """One more than any other ReplicaSet's."""
    return max(map(revision_of, old), default=0) + 1


def new_annotations(deployment: apps_v1.Deployment, replica_set: apps_v1.ReplicaSet, revision: int) -> dict[str, str]:
    """The annotations that the new ReplicaSet should have: the Deployment's, and its revision with its history."""
    present = dict(replica_set.metadata.annotations or {})
    passed_on = {k: v for k, v in (deployment.metadata.annotations or {}).items() if k not in OWN_ANNOTATIONS}
    wanted = {**present, **passed_on}
    known = revision_of(replica_set)
    if known < revision:
        wanted[REVISION] = str(revision)
        if REVISION in present:
            wanted[REVISION_HISTORY] = _history(present.get(REVISION_HISTORY, ""), present[REVISION])
    return wanted


def _history(history: str, revision: str) -> str:
    revisions = [*filter(None, history.split(",")), revision]
    while len(revisions) > 1 and len(",".join(revisions)) > LONGEST_HISTORY:
        revisions.pop(0)
    return ",".join(revisions)
