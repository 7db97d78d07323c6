"""CronJobs: which Job to start now, which to stop, which old ones to forget, and when to look again.

A Job's name is made from its scheduled minute, so that no moment starts two Jobs. Missed moments start one Job (the
last), if that is not too late. Specified in "CronJob".
"""

from __future__ import annotations

from collections.abc import Sequence

from tiphys.client.interface import ObjectKey
from tiphys.controllers.actions import Action, Create, RequeueAfter, UpdateStatus, delete_of, record
from tiphys.controllers.controller import (
    Controller,
    View,
    Watch,
    controller_index,
    controller_reference,
    own_key,
    owner_key,
)
from tiphys.controllers.cronjob import schedule as cron
from tiphys.controllers.job.controller import find_condition, is_finished
from tiphys.kinds import codec
from tiphys.kinds.types import batch_v1, core_v1, meta_v1
from tiphys.machinery import timestamps

TOO_MANY_MISSED = 100
SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp"
# Looking a moment after the minute has begun, never before.
SLACK_SECONDS = 0.1


def reconcile(view: View, key: ObjectKey, now: float) -> list[Action]:
    cron_job = view.get(batch_v1.CronJob, key.namespace, key.name)
    if cron_job is None:
        return []
    jobs = sorted(
        view.controlled_by(batch_v1.Job, cron_job.metadata.uid or ""),
        key=lambda j: (j.metadata.creationTimestamp or "", j.metadata.name or ""),
    )
    status = codec.copy(cron_job.status)
    events = _settle_active(cron_job, status, jobs)
    actions: list[Action] = [*_forget_old(cron_job, jobs), *events]
    if cron_job.metadata.deletionTimestamp is not None or cron_job.spec.suspend:
        return [*actions, *_save(cron_job, status)]
    try:
        times = cron.parse(cron_job.spec.schedule, cron_job.spec.timeZone)
    except ValueError as error:
        text = f"unparseable schedule: {cron_job.spec.schedule} : {error}"
        event = record(cron_job, "Warning", "UnparseableSchedule", text)
        return [*actions, *_save(cron_job, status), event]
    due, missed = _due(cron_job, times, now)
    following = times.after(now)
    wait: list[Action] = [RequeueAfter(seconds=following - now + SLACK_SECONDS)] if following is not None else []
    if missed > TOO_MANY_MISSED:
        hint = "Set or decrease .spec.startingDeadlineSeconds or check clock skew"
        text = f"too many missed start times: {missed}. {hint}"
        actions.append(record(cron_job, "Warning", "TooManyMissedTimes", text))
    if due is not None:
        actions += _start(cron_job, status, jobs, due, now)
    return [*actions, *_save(cron_job, status), *wait]


def _due(cron_job: batch_v1.CronJob, times: cron.Schedule, now: float) -> tuple[float | None, int]:
    """The last scheduled moment that has no Job yet, and how many there were."""
    last = cron_job.status.lastScheduleTime
    earliest = timestamps.seconds(last or cron_job.metadata.creationTimestamp or timestamps.time_of(now))
    deadline = cron_job.spec.startingDeadlineSeconds
    if deadline is not None:
        earliest = max(earliest, now - deadline)
    first = times.after(earliest)
    if first is None or first > now:
        return None, 0
    second = times.after(first)
    if second is None or second > now:
        return first, 1
    # Step over a long gap by its rhythm, then walk to the last moment.
    rhythm = second - first
    found, count = first, 1
    skipped = int((now - first) / rhythm) - 2
    if skipped > 2 * TOO_MANY_MISSED:
        jumped = times.after(first + (skipped - TOO_MANY_MISSED) * rhythm)
        if jumped is not None and jumped <= now:
            found, count = jumped, skipped - TOO_MANY_MISSED
    while (following := times.after(found)) is not None and following <= now:
        found, count = following, count + 1
    return found, count


def _start(
    cron_job: batch_v1.CronJob,
    status: batch_v1.CronJobStatus,
    jobs: Sequence[batch_v1.Job],
    due: float,
    now: float,
) -> list[Action]:
    name = f"{cron_job.metadata.name}-{int(due // 60)}"
    if any(job.metadata.name == name for job in jobs) or cron_job.status.lastScheduleTime == timestamps.time_of(due):
        return []
    running = [job for job in jobs if not is_finished(job)]
    policy = cron_job.spec.concurrencyPolicy or "Allow"
    if policy == "Forbid" and running:
        text = "Not starting job because prior execution is running and concurrency policy is Forbid"
        return [record(cron_job, "Normal", "JobAlreadyActive", text)]
    actions: list[Action] = []
    if policy == "Replace":
        for job in running:
            gone = record(cron_job, "Normal", "SuccessfulDelete", f"Deleted job {job.metadata.name}")
            actions.append(delete_of(job, propagation="Background", succeeded=gone))
        status.active = None
    job = _job(cron_job, name, due)
    actions.append(
        Create(
            object=job,
            tolerate_existing=True,
            succeeded=record(cron_job, "Normal", "SuccessfulCreate", f"Created job {name}"),
            failed=record(cron_job, "Warning", "FailedCreate", "Error creating job: {error}"),
        )
    )
    status.lastScheduleTime = timestamps.time_of(due)
    return actions


def _job(cron_job: batch_v1.CronJob, name: str, due: float) -> batch_v1.Job:
    template = codec.copy(cron_job.spec.jobTemplate)
    meta = template.metadata or meta_v1.ObjectMeta()
    return batch_v1.Job(
        metadata=meta_v1.ObjectMeta(
            name=name,
            namespace=cron_job.metadata.namespace,
            labels=meta.labels,
            annotations={**(meta.annotations or {}), SCHEDULED_AT: str(timestamps.time_of(due))},
            ownerReferences=[controller_reference(cron_job)],
        ),
        spec=template.spec or batch_v1.JobSpec(),
    )


def _settle_active(
    cron_job: batch_v1.CronJob, status: batch_v1.CronJobStatus, jobs: Sequence[batch_v1.Job]
) -> list[Action]:
    """status.active names the Jobs that run; the time of the last success is that of the latest that completed."""
    known = {reference.uid for reference in status.active or ()}
    actions: list[Action] = []
    active = []
    for job in jobs:
        if not is_finished(job):
            active.append(
                core_v1.ObjectReference(
                    apiVersion=job.apiVersion, kind=job.kind, namespace=job.metadata.namespace,
                    name=job.metadata.name, uid=job.metadata.uid, resourceVersion=job.metadata.resourceVersion,
                )
            )  # fmt: skip
            continue
        is_complete = find_condition(job.status, "Complete") is not None
        if job.metadata.uid in known:
            ending = "Complete" if is_complete else "Failed"
            text = f"Saw completed job: {job.metadata.name}, condition: {ending}"
            actions.append(record(cron_job, "Normal", "SawCompletedJob", text))
        moment = job.status.completionTime
        if is_complete and moment and moment > (status.lastSuccessfulTime or ""):
            status.lastSuccessfulTime = moment
    if [r.uid for r in active] != [r.uid for r in status.active or ()]:
        status.active = active or None
    return actions


def _forget_old(cron_job: batch_v1.CronJob, jobs: Sequence[batch_v1.Job]) -> list[Action]:
    """Finished Jobs beyond the history limits, oldest first."""
    actions: list[Action] = []
    for kind, limit, default in (
        ("Complete", cron_job.spec.successfulJobsHistoryLimit, 3),
        ("Failed", cron_job.spec.failedJobsHistoryLimit, 1),
    ):
        finished = [j for j in jobs if find_condition(j.status, kind) and j.metadata.deletionTimestamp is None]
        excess = len(finished) - (default if limit is None else limit)
        for job in finished[: max(excess, 0)]:
            gone = record(cron_job, "Normal", "SuccessfulDelete", f"Deleted job {job.metadata.name}")
            actions.append(delete_of(job, propagation="Background", succeeded=gone))
    return actions


def _save(cron_job: batch_v1.CronJob, status: batch_v1.CronJobStatus) -> list[Action]:
    if status == cron_job.status:
        return []
    changed = codec.copy(cron_job)
    changed.status = status
    return [UpdateStatus(object=changed)]


CONTROLLER = Controller(
    name="cronjob",
    reconcile=reconcile,
    watches=(
        Watch(kind=batch_v1.CronJob, keys=own_key),
        Watch(kind=batch_v1.Job, keys=owner_key("CronJob", "batch")),
    ),
    indexes=(controller_index(batch_v1.Job),),
)
