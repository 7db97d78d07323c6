"""Finished Jobs with a time to live go when it is over. Specified in "Automatic Cleanup for Finished Jobs"."""

from __future__ import annotations

from tiphys.client.interface import ObjectKey
from tiphys.controllers.actions import Action, RequeueAfter, delete_of
from tiphys.controllers.controller import Controller, View, Watch, own_key
from tiphys.controllers.job.controller import find_condition
from tiphys.kinds.types import batch_v1
from tiphys.machinery import timestamps


def reconcile(view: View, key: ObjectKey, now: float) -> list[Action]:
    job = view.get(batch_v1.Job, key.namespace, key.name)
    if job is None or job.spec.ttlSecondsAfterFinished is None or job.metadata.deletionTimestamp is not None:
        return []
    end = find_condition(job.status, "Complete") or find_condition(job.status, "Failed")
    if end is None or not end.lastTransitionTime:
        return []
    wait_seconds = timestamps.seconds(end.lastTransitionTime) + job.spec.ttlSecondsAfterFinished - now
    if wait_seconds > 0:
        return [RequeueAfter(seconds=wait_seconds)]
    return [delete_of(job, propagation="Foreground")]


CONTROLLER = Controller(
    name="ttl-after-finished",
    reconcile=reconcile,
    watches=(Watch(kind=batch_v1.Job, keys=own_key),),
)
