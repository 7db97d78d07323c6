"""How many replicas each ReplicaSet of a Deployment should have next: rolling updates and proportional scaling.
Arithmetic only.

Invariants while rolling: the replicas asked for are never more than wanted + maxSurge, and what is given up never takes
the available replicas below wanted - maxUnavailable. A size is taken from the spec; a status that lags behind a
scale-down counts no more available replicas than the spec asks for. Specified in "Deployments", "Rolling Update
Deployment" and "Proportional scaling".
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tiphys.controllers.deployment.revisions import MAX_REPLICAS, by_age
from tiphys.kinds.types import apps_v1
from tiphys.machinery.digits import is_number

Sizes = dict[str, int]


def size(replica_set: apps_v1.ReplicaSet) -> int:
    """The replicas a ReplicaSet asks for."""
    return 1 if replica_set.spec.replicas is None else replica_set.spec.replicas


def available(replica_set: apps_v1.ReplicaSet) -> int:
    """The available replicas that will stay."""
    return min(replica_set.status.availableReplicas or 0, size(replica_set))


def wanted(deployment: apps_v1.Deployment) -> int:
    return 1 if deployment.spec.replicas is None else deployment.spec.replicas


def is_rolling(deployment: apps_v1.Deployment) -> bool:
    strategy = deployment.spec.strategy
    return strategy is None or strategy.type in (None, "", "RollingUpdate")


def resolved(value: int | str | None, total: int, *, up: bool, default: int | str) -> int:
    """A number, or a percentage of `total` rounded up or down."""
    chosen = default if value is None else value
    if isinstance(chosen, int):
        return chosen
    if not chosen.endswith("%"):
        return int(chosen) if is_number(chosen) else 0
    scaled = int(chosen[:-1]) * total
    return -(-scaled // 100) if up else scaled // 100


def surge_and_unavailable(deployment: apps_v1.Deployment) -> tuple[int, int]:
    """maxSurge and maxUnavailable as numbers of pods; never both 0 while rolling, and (0, 0) when pods are
    recreated."""
    total = wanted(deployment)
    if not is_rolling(deployment):
        return 0, 0
    rolling = deployment.spec.strategy.rollingUpdate if deployment.spec.strategy is not None else None
    surge = resolved(rolling.maxSurge if rolling else None, total, up=True, default="25%")
    unavailable = resolved(rolling.maxUnavailable if rolling else None, total, up=False, default="25%")
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return surge, min(unavailable, total)


def initial_size(deployment: apps_v1.Deployment, old: Sequence[apps_v1.ReplicaSet], current: int = 0) -> int:
    """What the new ReplicaSet (of `current` replicas) may grow to now."""
    total = wanted(deployment)
    if not is_rolling(deployment):
        return total
    surge, _ = surge_and_unavailable(deployment)
    room = total + surge - sum(map(size, old)) - current
    return current + min(max(room, 0), max(total - current, 0))


def next_new_size(deployment: apps_v1.Deployment, new: apps_v1.ReplicaSet, old: Sequence[apps_v1.ReplicaSet]) -> int:
    """The next size of the new ReplicaSet."""
    total = wanted(deployment)
    return total if size(new) >= total else initial_size(deployment, old, size(new))


def next_old_sizes(
    deployment: apps_v1.Deployment, new: apps_v1.ReplicaSet | None, old: Sequence[apps_v1.ReplicaSet]
) -> Sizes:
    """The old ReplicaSets that shrink now, by name: first what is not available in them, then the rest as far as
    allowed."""
    everything = [*old, *([new] if new is not None else [])]
    _, unavailable = surge_and_unavailable(deployment)
    minimum = wanted(deployment) - unavailable
    new_unavailable = size(new) - available(new) if new is not None else 0
    budget = sum(map(size, everything)) - minimum - new_unavailable
    sizes: Sizes = {}
    if budget <= 0:
        return sizes
    ordered = sorted((r for r in old if size(r)), key=by_age)
    for replica_set in ordered:
        broken = min(size(replica_set) - available(replica_set), budget)
        if broken > 0:
            budget -= broken
            sizes[_name(replica_set)] = size(replica_set) - broken
    spare = min(budget, sum(map(available, everything)) - minimum)
    for replica_set in ordered:
        current = sizes.get(_name(replica_set), size(replica_set))
        given_up = min(current, available(replica_set), max(spare, 0))
        if given_up > 0:
            spare -= given_up
            sizes[_name(replica_set)] = current - given_up
    return sizes


def proportional_sizes(deployment: apps_v1.Deployment, replica_sets: Sequence[apps_v1.ReplicaSet]) -> Sizes:
    """The sizes after the Deployment was scaled amid a rollout: each active ReplicaSet gets its share, the largest what
    is left."""
    total = wanted(deployment)
    surge, _ = surge_and_unavailable(deployment)
    allowed = total + surge if total > 0 else 0
    active = [r for r in replica_sets if size(r) > 0]
    to_add = allowed - sum(map(size, active))
    ordered = sorted(active, key=by_age, reverse=to_add > 0)
    ordered.sort(key=size, reverse=True)
    sizes: Sizes = {}
    added = 0
    for replica_set in ordered:
        share = _share(deployment, replica_set, to_add - added, total + surge) if to_add else 0
        sizes[_name(replica_set)] = size(replica_set) + share
        added += share
    leftover = to_add - added
    for replica_set in ordered:  # what rounding left goes to the largest; what it cannot give, the next ones do
        current = sizes[_name(replica_set)]
        sizes[_name(replica_set)] = max(current + leftover, 0)
        leftover -= sizes[_name(replica_set)] - current
    return sizes


def _share(deployment: apps_v1.Deployment, replica_set: apps_v1.ReplicaSet, allowed: int, maximum: int) -> int:
    if allowed == 0:
        return 0
    if wanted(deployment) == 0:
        fraction = -size(replica_set)
    else:
        text = (replica_set.metadata.annotations or {}).get(MAX_REPLICAS, "")
        before = int(text) if is_number(text) and int(text) else 0
        before = before or (deployment.status.replicas if deployment.status is not None else 0) or 0
        grown = size(replica_set) * maximum / before if before else float(size(replica_set))
        fraction = math.floor(grown + 0.5) - size(replica_set)
    return min(fraction, allowed) if allowed > 0 else max(fraction, allowed)


def _name(replica_set: apps_v1.ReplicaSet) -> str:
    return replica_set.metadata.name or ""
