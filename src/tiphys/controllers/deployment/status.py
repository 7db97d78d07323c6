"""The status of a Deployment: counts, and the conditions Progressing, Available and ReplicaFailure that `kubectl
rollout status` reads.

A rollout progresses when its counts get better; without progress for spec.progressDeadlineSeconds it has failed (the
work goes on).
"""

from __future__ import annotations

from collections.abc import Sequence

from tiphys.controllers.conditions import with_condition
from tiphys.controllers.deployment.rolling import size, surge_and_unavailable, wanted
from tiphys.kinds import codec
from tiphys.kinds.types import apps_v1
from tiphys.machinery import timestamps

NO_DEADLINE = 2**31 - 1


def has_deadline(deployment: apps_v1.Deployment) -> bool:
    deadline = deployment.spec.progressDeadlineSeconds
    return deadline is not None and deadline != NO_DEADLINE


def find_condition(status: apps_v1.DeploymentStatus, condition_type: str) -> apps_v1.DeploymentCondition | None:
    return next((c for c in status.conditions or () if c.type == condition_type), None)


def remove_condition(status: apps_v1.DeploymentStatus, condition_type: str) -> None:
    status.conditions = [c for c in status.conditions or () if c.type != condition_type] or None


def set_condition(
    status: apps_v1.DeploymentStatus, kind: str, value: str, reason: str, message: str, now: float
) -> None:
    """Set a condition; the same status and reason leave it as it is, the same status keeps its transition time."""
    known = find_condition(status, kind)
    if known is not None and (known.status, known.reason) == (value, reason):
        return
    moment = timestamps.time_of(now)
    fresh = apps_v1.DeploymentCondition(
        type=kind, status=value, reason=reason, message=message, lastUpdateTime=moment, lastTransitionTime=moment
    )
    status.conditions = with_condition(status.conditions, fresh)


def calculated(
    deployment: apps_v1.Deployment,
    new: apps_v1.ReplicaSet | None,
    everything: Sequence[apps_v1.ReplicaSet],
    now: float,
) -> apps_v1.DeploymentStatus:
    """The counts of the ReplicaSets and the Available condition; other conditions as they are."""
    old = deployment.status
    available = sum(r.status.availableReplicas or 0 for r in everything)
    terminating = [r.status.terminatingReplicas for r in everything]
    status = apps_v1.DeploymentStatus(
        observedGeneration=deployment.metadata.generation,
        replicas=sum(r.status.replicas for r in everything) or None,
        updatedReplicas=(new.status.replicas or None) if new is not None else None,
        readyReplicas=sum(r.status.readyReplicas or 0 for r in everything) or None,
        availableReplicas=available or None,
        unavailableReplicas=max(sum(map(size, everything)) - available, 0) or None,
        terminatingReplicas=None if None in terminating else sum(t or 0 for t in terminating),
        collisionCount=old.collisionCount if old is not None else None,
        conditions=codec.copy(old).conditions if old is not None else None,
    )
    _, unavailable = surge_and_unavailable(deployment)
    if available >= wanted(deployment) - unavailable:
        message = "Deployment has minimum availability."
        set_condition(status, "Available", "True", "MinimumReplicasAvailable", message, now)
    else:
        message = "Deployment does not have minimum availability."
        set_condition(status, "Available", "False", "MinimumReplicasUnavailable", message, now)
    return status


def is_complete(deployment: apps_v1.Deployment, status: apps_v1.DeploymentStatus) -> bool:
    """All wanted replicas are of the new template and available, and no others are left."""
    total = wanted(deployment)
    return (
        (status.updatedReplicas or 0) == total
        and (status.replicas or 0) == total
        and (status.availableReplicas or 0) == total
        and (status.observedGeneration or 0) >= (deployment.metadata.generation or 0)
    )


def _has_progressed(old: apps_v1.DeploymentStatus | None, new: apps_v1.DeploymentStatus) -> bool:
    before = old or apps_v1.DeploymentStatus()
    outdated_before = (before.replicas or 0) - (before.updatedReplicas or 0)
    outdated = (new.replicas or 0) - (new.updatedReplicas or 0)
    return (
        (new.updatedReplicas or 0) > (before.updatedReplicas or 0)
        or outdated < outdated_before
        or (new.readyReplicas or 0) > (before.readyReplicas or 0)
        or (new.availableReplicas or 0) > (before.availableReplicas or 0)
    )


def _has_timed_out(deployment: apps_v1.Deployment, status: apps_v1.DeploymentStatus, now: float) -> bool:
    condition = find_condition(status, "Progressing")
    if condition is None or condition.reason == "NewReplicaSetAvailable":
        return False
    if condition.reason == "ProgressDeadlineExceeded":
        return True
    since = timestamps.seconds(condition.lastUpdateTime) if condition.lastUpdateTime else now
    return since + (deployment.spec.progressDeadlineSeconds or 0) < now


def rollout_status(
    deployment: apps_v1.Deployment,
    new: apps_v1.ReplicaSet | None,
    everything: Sequence[apps_v1.ReplicaSet],
    now: float,
) -> apps_v1.DeploymentStatus:
    """The status amid or after a rollout, with Progressing and ReplicaFailure."""
    status = calculated(deployment, new, everything, now)
    current = find_condition(status, "Progressing")
    settled = (
        (status.replicas or 0) == (status.updatedReplicas or 0)
        and current is not None
        and current.reason == "NewReplicaSetAvailable"
    )
    if not has_deadline(deployment):
        remove_condition(status, "Progressing")
    elif not settled:
        _set_progress(deployment, status, new, now)
    _set_replica_failure(status, new, everything, now)
    return status


def _set_progress(
    deployment: apps_v1.Deployment, status: apps_v1.DeploymentStatus, new: apps_v1.ReplicaSet | None, now: float
) -> None:
    subject = f'ReplicaSet "{new.metadata.name}"' if new is not None else f'Deployment "{deployment.metadata.name}"'
    if is_complete(deployment, status):
        message = f"{subject} has successfully progressed."
        set_condition(status, "Progressing", "True", "NewReplicaSetAvailable", message, now)
    elif _has_progressed(deployment.status, status):
        known = find_condition(status, "Progressing")
        remove_condition(status, "Progressing")  # so that its update time, from which the deadline counts, moves on
        set_condition(status, "Progressing", "True", "ReplicaSetUpdated", f"{subject} is progressing.", now)
        fresh = find_condition(status, "Progressing")
        if known is not None and known.status == "True" and fresh is not None:
            fresh.lastTransitionTime = known.lastTransitionTime
    elif _has_timed_out(deployment, status, now):
        message = f"{subject} has timed out progressing."
        set_condition(status, "Progressing", "False", "ProgressDeadlineExceeded", message, now)


def _set_replica_failure(
    status: apps_v1.DeploymentStatus,
    new: apps_v1.ReplicaSet | None,
    everything: Sequence[apps_v1.ReplicaSet],
    now: float,
) -> None:
    ordered = [*([new] if new is not None else []), *everything]
    failures = [
        c for r in ordered for c in r.status.conditions or () if c.type == "ReplicaFailure" and c.status == "True"
    ]
    if failures:
        first = failures[0]
        set_condition(status, "ReplicaFailure", "True", first.reason or "", first.message or "", now)
    else:
        remove_condition(status, "ReplicaFailure")


def seconds_to_deadline(deployment: apps_v1.Deployment, status: apps_v1.DeploymentStatus, now: float) -> float | None:
    """When to look again whether the rollout is stuck; None when nothing is awaited."""
    current = find_condition(status, "Progressing")
    if not has_deadline(deployment) or current is None or is_complete(deployment, status):
        return None
    if current.reason in ("ProgressDeadlineExceeded", "NewReplicaSetAvailable", "DeploymentPaused"):
        return None
    since = timestamps.seconds(current.lastUpdateTime) if current.lastUpdateTime else now
    return max(since + (deployment.spec.progressDeadlineSeconds or 0) - now, 0.0) + 1.0
