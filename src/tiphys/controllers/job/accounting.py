"""Counting finished pods of a Job exactly once, although anybody may delete them.

A pod of a Job carries a finalizer. When it has finished its uid is noted in status.uncountedTerminatedPods; then its
finalizer is taken away; when that is seen it is counted and its uid forgotten. Each step is idempotent, so a crash
between any two of them neither loses nor doubles a pod.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tiphys.controllers.actions import Patch
from tiphys.controllers.job import indexes
from tiphys.controllers.job.policies import failure_rule
from tiphys.kinds.types import batch_v1, core_v1
from tiphys.machinery.digits import is_number

FINALIZER = "batch.kubernetes.io/job-tracking"
MOST_UNCOUNTED = 500


@dataclass(slots=True)
class Tally:
    """A Job's counts: `succeeded` and `failed` with what is still uncounted; `counted` is how the status should change,
    and `releases` the pods whose finalizer may go now."""

    succeeded: int
    failed: int
    done_indexes: set[int]
    failures_by_index: dict[int, int]
    failed_indexes: set[int]
    status: batch_v1.JobStatus
    releases: list[Patch]
    is_settled: bool


def is_failed(job: batch_v1.Job, pod: core_v1.Pod) -> bool:
    """Failed, or being deleted before it could succeed where a terminating pod is replaced at once."""
    if pod.status.phase == "Failed":
        return True
    waits = job.spec.podReplacementPolicy == "Failed" or job.spec.podFailurePolicy is not None
    return not waits and pod.metadata.deletionTimestamp is not None and pod.status.phase != "Succeeded"


def has_finalizer(pod: core_v1.Pod) -> bool:
    return FINALIZER in (pod.metadata.finalizers or ())


def release(pod: core_v1.Pod) -> Patch:
    """Take the finalizer away."""
    meta = pod.metadata
    kept = [f for f in meta.finalizers or () if f != FINALIZER] or None
    patch = {"metadata": {"uid": meta.uid, "resourceVersion": meta.resourceVersion, "finalizers": kept}}
    return Patch(
        kind=core_v1.Pod, namespace=meta.namespace or "", name=meta.name or "", patch=patch, tolerate_missing=True
    )


def is_ignored(job: batch_v1.Job, pod: core_v1.Pod) -> bool:
    """The failure policy says that this failure does not count."""
    rule = failure_rule(job.spec.podFailurePolicy, pod)
    return rule is not None and rule[0].action == "Ignore"


def tally(job: batch_v1.Job, pods: Sequence[core_v1.Pod], status: batch_v1.JobStatus) -> Tally:
    """`status` (a copy of the Job's) is brought one step further."""
    uncounted = status.uncountedTerminatedPods or batch_v1.UncountedTerminatedPods()
    noted_succeeded, noted_failed = list(uncounted.succeeded or ()), list(uncounted.failed or ())
    holding = {pod.metadata.uid or "": pod for pod in pods if has_finalizer(pod)}
    done = indexes.parse(status.completedIndexes, job.spec.completions or 0)
    is_indexed = job.spec.completionMode == "Indexed"
    # Noted before, finalizer gone: counted.
    status.succeeded = (status.succeeded or 0) + sum(uid not in holding for uid in noted_succeeded)
    status.failed = (status.failed or 0) + sum(uid not in holding for uid in noted_failed)
    noted_succeeded = [uid for uid in noted_succeeded if uid in holding]
    noted_failed = [uid for uid in noted_failed if uid in holding]
    releases = [release(holding[uid]) for uid in (*noted_succeeded, *noted_failed)]
    for uid, pod in sorted(holding.items()):
        if uid in noted_succeeded or uid in noted_failed or len(noted_succeeded) + len(noted_failed) >= MOST_UNCOUNTED:
            continue
        index = indexes.index_of(pod)
        if pod.status.phase == "Succeeded":
            if is_indexed and (index is None or index in done or index >= (job.spec.completions or 0)):
                releases.append(release(pod))  # of no index, or of one that is done: it counts for nothing
                continue
            noted_succeeded.append(uid)
            if is_indexed and index is not None:
                done.add(index)
        elif is_failed(job, pod):
            if is_ignored(job, pod):
                releases.append(release(pod))
                continue
            noted_failed.append(uid)
    if is_indexed:
        status.completedIndexes = indexes.text_of(done) or None
    fresh = batch_v1.UncountedTerminatedPods(succeeded=noted_succeeded or None, failed=noted_failed or None)
    succeeded = len(done) if is_indexed else (status.succeeded or 0) + len(noted_succeeded)
    if is_indexed:
        status.succeeded = len(done)
    failed = (status.failed or 0) + len(noted_failed)
    status.uncountedTerminatedPods = fresh
    by_index = _failures_by_index(pods, job)
    failed_indexes = _failed_indexes(job, status, by_index, pods) - done
    if job.spec.backoffLimitPerIndex is not None:
        status.failedIndexes = indexes.text_of(failed_indexes)
    status.succeeded, status.failed = status.succeeded or None, status.failed or None
    return Tally(
        succeeded=succeeded,
        failed=failed,
        done_indexes=done,
        failures_by_index=by_index,
        failed_indexes=failed_indexes,
        status=status,
        releases=releases,
        is_settled=not releases and not noted_succeeded and not noted_failed,
    )


INDEX_FAILURES = "batch.kubernetes.io/job-index-failure-count"


def _failures_by_index(pods: Sequence[core_v1.Pod], job: batch_v1.Job) -> dict[int, int]:
    """How often each index has failed: the newest pod knows of those before it."""
    found: dict[int, int] = {}
    if job.spec.backoffLimitPerIndex is None:
        return found
    for pod in pods:
        index = indexes.index_of(pod)
        if index is None:
            continue
        before = (pod.metadata.annotations or {}).get(INDEX_FAILURES, "0")
        count = int(before) if is_number(before) else 0
        count += is_failed(job, pod) and not is_ignored(job, pod)
        found[index] = max(found.get(index, 0), count)
    return found


def _failed_indexes(
    job: batch_v1.Job, status: batch_v1.JobStatus, by_index: dict[int, int], pods: Sequence[core_v1.Pod]
) -> set[int]:
    limit = job.spec.backoffLimitPerIndex
    if limit is None:
        return set()
    completions = job.spec.completions or 0
    failed = indexes.parse(status.failedIndexes, completions)
    failed |= {index for index, count in by_index.items() if count > limit and index < completions}
    for pod in pods:
        rule = failure_rule(job.spec.podFailurePolicy, pod) if pod.status.phase == "Failed" else None
        index = indexes.index_of(pod)
        if rule is not None and rule[0].action == "FailIndex" and index is not None and index < completions:
            failed.add(index)
    return failed
