"""ResourceQuotas: their status says what they allow and what is used.

Only tells: what may be written is decided by the API server at each write. Kinds that most quotas count are watched;
others, custom ones among them, are asked for when a quota counts them, again after RECOUNT_SECONDS and when a
definition changes. Specified in "Resource Quotas".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from tiphys.client.interface import ObjectKey
from tiphys.controllers.actions import Action, Answer, Ask, RequeueAfter, UpdateStatus
from tiphys.controllers.controller import Controller, View, Watch, own_key
from tiphys.controllers.namespaced_resources import collections
from tiphys.kinds import codec
from tiphys.kinds.core import quota_usage
from tiphys.kinds.core.pod_amounts import Amounts, gather
from tiphys.kinds.core.quota_usage import CLAIMS, DEVICE_CLAIMS, PODS, SERVICES, UNCOUNTED, Source
from tiphys.kinds.types import apiextensions_v1, apps_v1, batch_v1, core_v1, resource_v1

RECOUNT_SECONDS = 5.0
WATCHED: dict[Source, type[Any]] = {
    PODS: core_v1.Pod,
    SERVICES: core_v1.Service,
    CLAIMS: core_v1.PersistentVolumeClaim,
    DEVICE_CLAIMS: resource_v1.ResourceClaim,
    ("", "configmaps"): core_v1.ConfigMap,
    ("", "secrets"): core_v1.Secret,
    ("", "replicationcontrollers"): core_v1.ReplicationController,
    ("", "resourcequotas"): core_v1.ResourceQuota,
    ("apps", "deployments"): apps_v1.Deployment,
    ("apps", "replicasets"): apps_v1.ReplicaSet,
    ("apps", "statefulsets"): apps_v1.StatefulSet,
    ("apps", "daemonsets"): apps_v1.DaemonSet,
    ("batch", "jobs"): batch_v1.Job,
    ("batch", "cronjobs"): batch_v1.CronJob,
}


def reconcile(view: View, key: ObjectKey, now: float) -> list[Action]:
    quota = view.get(core_v1.ResourceQuota, key.namespace, key.name)
    if quota is None or quota.metadata.deletionTimestamp is not None:
        return []
    known: Amounts = {}
    unwatched: set[Source] = set()
    for source in sorted(quota_usage.sources(quota)):
        if source in WATCHED:
            known.update(_used(view, quota, source, now))
        elif source not in UNCOUNTED:
            unwatched.add(source)
    served = [c for c in collections(view) if (c.group, c.resource) in unwatched] if unwatched else []
    if not served:
        return [*_settled(quota, known), *_later(view, quota, now)]
    # One object is enough: the answer says how many more there are.
    requests = tuple(collection.request("list", key.namespace, limit="1") for collection in served)
    return [RequeueAfter(seconds=RECOUNT_SECONDS), Ask(requests=requests, memo=known)]


def answered(view: View, key: ObjectKey, now: float, answers: Sequence[Answer], memo: Any) -> list[Action]:
    """The counts of the kinds that are not watched."""
    quota = view.get(core_v1.ResourceQuota, key.namespace, key.name)
    if quota is None:
        return []
    used: Amounts = dict(memo)
    scoped = bool(quota_usage.scopes_of(quota.spec))
    for answer in answers:
        name = quota_usage.count_name((answer.request.group, answer.request.resource))
        if answer.error is None:
            used[name] = Decimal(0 if scoped else len(answer.result.items) + answer.result.remaining)
        elif answer.error.code != 404 and name in (quota.status.used or {}):
            used[name] = (quota.status.used or {})[name].amount
    return _settled(quota, used)


def _used(view: View, quota: core_v1.ResourceQuota, source: Source, now: float) -> Amounts:
    """What the objects of a watched kind use that the quota is about, by the quota's names."""
    total: Amounts = {}
    scopes = quota_usage.scopes_of(quota.spec)
    for obj in view.list(WATCHED[source], quota.metadata.namespace or ""):
        if quota_usage.in_scopes(scopes, source, obj):
            gather(total, quota_usage.usage(source, obj, now))
    return {
        name: total.get(name, Decimal(0)) for name in quota.spec.hard or () if quota_usage.source_of(name) == source
    }


def _settled(quota: core_v1.ResourceQuota, used: Amounts) -> list[Action]:
    """Write the status where it is not as it should be. What nobody knows (yet), such as the resource of a definition
    that is not there, is not said to be used."""
    hard = dict(quota.spec.hard or {})
    texts = {name: quota_usage.text_of(name, used[name]) for name in hard if name in used}
    status = core_v1.ResourceQuotaStatus(hard=hard or None, used=texts or None)
    if (quota.status.hard or {}) == hard and (quota.status.used or {}) == texts:
        return []
    changed = codec.copy(quota)
    changed.status = status
    return [UpdateStatus(object=changed)]


def _later(view: View, quota: core_v1.ResourceQuota, now: float) -> list[Action]:
    """A pod that outstays its deletion stops counting without any change of its own."""
    if PODS not in quota_usage.sources(quota):
        return []
    ends = [
        end
        for pod in view.list(core_v1.Pod, quota.metadata.namespace or "")
        if (end := quota_usage.end_of_counting(pod)) is not None and end >= now
    ]
    return [RequeueAfter(seconds=min(ends) - now + 1.0)] if ends else []


def _counting(source: Source) -> Any:
    """Key function: the quotas of the object's namespace that count its resource, when the change matters to them."""

    def keys(view: View, old: Any, new: Any) -> Iterable[ObjectKey]:
        if old is not None and new is not None and not _matters(source, old, new):
            return
        obj = new if new is not None else old
        for quota in view.list(core_v1.ResourceQuota, obj.metadata.namespace or ""):
            if source in quota_usage.sources(quota):
                yield ObjectKey(quota.metadata.namespace or "", quota.metadata.name or "")

    return keys


def _matters(source: Source, old: Any, new: Any) -> bool:
    """Whether a change of an object may change what it uses."""
    if source == PODS:
        return bool(
            old.spec != new.spec
            or old.status.phase != new.status.phase
            or old.metadata.deletionTimestamp != new.metadata.deletionTimestamp
        )
    return source in (SERVICES, CLAIMS)


def _counting_custom(view: View, old: Any, new: Any) -> Iterable[ObjectKey]:
    """Key function: the quotas that count a resource whose definition comes, goes or changes."""
    definition = new if new is not None else old
    source = (definition.spec.group, definition.spec.names.plural)
    for quota in view.list(core_v1.ResourceQuota):
        if source in quota_usage.sources(quota):
            yield ObjectKey(quota.metadata.namespace or "", quota.metadata.name or "")


CONTROLLER = Controller(
    name="resourcequota",
    identity="system:serviceaccount:kube-system:resourcequota-controller",
    source="resourcequota-controller",
    reconcile=reconcile,
    answered=answered,
    watches=(
        Watch(kind=core_v1.ResourceQuota, keys=own_key),
        Watch(kind=apiextensions_v1.CustomResourceDefinition, keys=_counting_custom),
        *(Watch(kind=kind, keys=_counting(source)) for source, kind in WATCHED.items()),
    ),
)
