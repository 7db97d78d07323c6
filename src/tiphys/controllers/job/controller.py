"""Jobs: how many pods should run now, when a Job has succeeded or failed, and what its status says.

A Job that will end first says so (SuccessCriteriaMet, FailureTarget), stops its pods, and has ended (Complete, Failed)
when the last of them is gone and counted. Counting is `accounting.py`'s business. Specified in "Jobs".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tiphys.client.interface import ObjectKey
from tiphys.controllers import pods as pod_facts
from tiphys.controllers.actions import Action, Create, RequeueAfter, UpdateStatus, delete_of, record
from tiphys.controllers.claims import adopt_if_alive, claim, claimant_keys
from tiphys.controllers.controller import Controller, Index, View, Watch, controller_index, controller_of, own_key
from tiphys.controllers.job import accounting, indexes, policies
from tiphys.kinds import codec
from tiphys.kinds.types import batch_v1, core_v1
from tiphys.machinery import timestamps

BURST = 500
FIRST_BACKOFF_SECONDS = 10.0
LONGEST_BACKOFF_SECONDS = 600.0
OWN_NAME = "kubernetes.io/job-controller"
BY_JOB_NAME = "job name"


def job_of_pod(pod: core_v1.Pod) -> tuple[ObjectKey, ...]:
    """Index function: the name of the Job that controls a pod (for pods whose Job is gone)."""
    reference = controller_of(pod)
    if reference is None or reference.kind != "Job" or not accounting.has_finalizer(pod):
        return ()
    return (ObjectKey(pod.metadata.namespace or "", reference.name),)


@dataclass(frozen=True, slots=True)
class _End:
    """How a Job ends: `kind` is Complete or Failed."""

    kind: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class _State:
    job: batch_v1.Job
    pods: Sequence[core_v1.Pod]
    active: Sequence[core_v1.Pod]
    tally: accounting.Tally
    now: float


def find_condition(status: batch_v1.JobStatus, kind: str) -> batch_v1.JobCondition | None:
    return next((c for c in status.conditions or () if c.type == kind and c.status == "True"), None)


def is_finished(job: batch_v1.Job) -> bool:
    return find_condition(job.status, "Complete") is not None or find_condition(job.status, "Failed") is not None


def reconcile(view: View, key: ObjectKey, now: float) -> list[Action]:
    job = view.get(batch_v1.Job, key.namespace, key.name)
    if job is None:
        return [accounting.release(pod) for pod in view.by_index(core_v1.Pod, BY_JOB_NAME, key)]
    if job.spec.managedBy not in (None, "", OWN_NAME):
        return []
    found = claim(view, job, core_v1.Pod)
    if found.actions:
        return list(found.actions)
    pods = found.owned or view.controlled_by(core_v1.Pod, job.metadata.uid or "")
    if job.metadata.deletionTimestamp is not None or is_finished(job):
        return [accounting.release(pod) for pod in pods if accounting.has_finalizer(pod)]
    status = codec.copy(job.status)
    state = _State(job, pods, [p for p in pods if pod_facts.is_active(p)], accounting.tally(job, pods, status), now)
    return _decide(state)


def _decide(state: _State) -> list[Action]:
    job, status = state.job, state.tally.status
    if not job.spec.suspend:
        status.startTime = status.startTime or timestamps.time_of(state.now)
    end = _end(state)
    events = _suspend_or_resume(state, end)
    work: list[Action] = []
    if end is not None or job.spec.suspend:
        work += [_delete(job, pod) for pod in state.active]
    else:
        work += _scale(state)
    status.active = len(state.active) or None
    status.ready = sum(map(pod_facts.is_ready, state.active))
    status.terminating = sum(map(pod_facts.is_terminating, state.pods))
    if end is not None:
        events += _conclude(state, end)
    actions = [*work, *_save(job, status), *state.tally.releases, *events]
    wait_seconds = _deadline_seconds(state)
    return [*actions, RequeueAfter(seconds=wait_seconds)] if wait_seconds is not None and end is None else actions


def _suspend_or_resume(state: _State, end: _End | None) -> list[Action]:
    """Suspended Jobs have not begun: their deadline counts from the resumption. What ends has begun once."""
    job, status = state.job, state.tally.status
    if job.spec.suspend and end is None:
        status.startTime = None
        changed = _set_condition(status, "Suspended", "True", "JobSuspended", "Job suspended", state.now)
        return [record(job, "Normal", "Suspended", "Job suspended")] if changed else []
    status.startTime = status.startTime or timestamps.time_of(state.now)
    if not job.spec.suspend and find_condition(status, "Suspended") is not None:
        _set_condition(status, "Suspended", "False", "JobResumed", "Job resumed", state.now)
        return [record(job, "Normal", "Resumed", "Job resumed")]
    return []


def _end(state: _State) -> _End | None:
    """How the Job ends, once that is decided (it stays decided)."""
    status, job, tally = state.tally.status, state.job, state.tally
    for interim, kind in (("FailureTarget", "Failed"), ("SuccessCriteriaMet", "Complete")):
        noted = find_condition(status, interim)
        if noted is not None:
            return _End(kind, noted.reason or "", noted.message or "")
    failed_by_policy = _failed_by_policy(state)
    if failed_by_policy is not None:
        return failed_by_policy
    if tally.failed > _backoff_limit(job) or _restarts_exceed(state):
        return _End("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    if _is_past_deadline(state):
        return _End("Failed", "DeadlineExceeded", "Job was active longer than specified deadline")
    if job.spec.backoffLimitPerIndex is not None:
        limit = job.spec.maxFailedIndexes
        if limit is not None and len(tally.failed_indexes) > limit:
            return _End(
                "Failed", "MaxFailedIndexesExceeded", "Job has exceeded the specified maximal number of failed indexes"
            )
        if tally.failed_indexes and len(tally.failed_indexes | tally.done_indexes) >= (job.spec.completions or 0):
            return _End("Failed", "FailedIndexes", "Job has failed indexes")
    if job.spec.completionMode == "Indexed":
        rule = policies.success_rule(job.spec, tally.done_indexes)
        if rule is not None:
            return _End("Complete", "SuccessPolicy", f"Matched rules at index {rule}")
    return _succeeded(state)


def _succeeded(state: _State) -> _End | None:
    job = state.job
    message = "Reached expected number of succeeded pods"
    if job.spec.completions is None:
        done = state.tally.succeeded > 0 and not state.active
    else:
        done = state.tally.succeeded >= job.spec.completions
    return _End("Complete", "CompletionsReached", message) if done else None


def _failed_by_policy(state: _State) -> _End | None:
    for pod in state.pods:
        if pod.status.phase == "Failed":
            rule = policies.failure_rule(state.job.spec.podFailurePolicy, pod)
            if rule is not None and rule[0].action == "FailJob":
                return _End("Failed", "PodFailurePolicy", f"{rule[2]} matching FailJob rule at index {rule[1]}")
    return None


def _backoff_limit(job: batch_v1.Job) -> int:
    default = 6 if job.spec.backoffLimitPerIndex is None else 2**31 - 1
    return default if job.spec.backoffLimit is None else job.spec.backoffLimit


def _restarts_exceed(state: _State) -> bool:
    """Containers that are restarted in place count as failures too."""
    template = state.job.spec.template.spec
    if template is None or template.restartPolicy != "OnFailure":
        return False
    restarts: int = sum(
        s.restartCount
        for pod in state.active
        if pod.status.phase in ("Running", "Pending")
        for s in [*(pod.status.initContainerStatuses or ()), *(pod.status.containerStatuses or ())]
    )
    limit = _backoff_limit(state.job)
    return restarts > 0 if limit == 0 else restarts >= limit


def _deadline_seconds(state: _State) -> float | None:
    """Seconds until the Job's deadline."""
    limit, start = state.job.spec.activeDeadlineSeconds, state.tally.status.startTime
    if limit is None or start is None or state.job.spec.suspend:
        return None
    return max(timestamps.seconds(start) + limit - state.now, 0.0)


def _is_past_deadline(state: _State) -> bool:
    seconds = _deadline_seconds(state)
    return seconds is not None and seconds <= 0


def _conclude(state: _State, end: _End) -> list[Action]:
    """Note the decision; once no pod is left to stop or count, the Job has ended."""
    status, now = state.tally.status, state.now
    interim = "FailureTarget" if end.kind == "Failed" else "SuccessCriteriaMet"
    is_noted = find_condition(state.job.status, interim) is not None
    _set_condition(status, interim, "True", end.reason, end.message, now)
    is_over = not state.active and not status.terminating and state.tally.is_settled
    if not is_over or not is_noted:
        return []
    _set_condition(status, end.kind, "True", end.reason, end.message, now)
    if end.kind == "Complete":
        status.completionTime = timestamps.time_of(now)
        return [record(state.job, "Normal", "Completed", "Job completed")]
    return [record(state.job, "Warning", end.reason, end.message)]


def _scale(state: _State) -> list[Action]:
    job, tally = state.job, state.tally
    parallelism = 1 if job.spec.parallelism is None else job.spec.parallelism
    active = len(state.active)
    if job.spec.completions is None:
        wanted = active if tally.succeeded > 0 else parallelism
    else:
        wanted = min(parallelism, max(job.spec.completions - tally.succeeded - len(tally.failed_indexes), 0))
    if job.spec.completionMode == "Indexed":
        surplus = _surplus_indexes(state)
        if surplus:
            return [_delete(job, pod) for pod in surplus]
    if active > wanted:
        order = pod_facts.deletion_order(state.now, {})
        return [_delete(job, pod) for pod in sorted(state.active, key=order)[: active - wanted]]
    if job.spec.podReplacementPolicy == "Failed" or job.spec.podFailurePolicy is not None:
        active += sum(map(pod_facts.is_terminating, state.pods))
    missing = min(wanted - active, BURST)
    if missing <= 0:
        return []
    wait_seconds = _backoff_seconds(state)
    if wait_seconds > 0:
        return [RequeueAfter(seconds=wait_seconds)]
    return _creates(state, missing)


def _surplus_indexes(state: _State) -> list[core_v1.Pod]:
    """Active pods whose index is done, failed, out of range, or taken by another."""
    taken: set[int] = state.tally.done_indexes | state.tally.failed_indexes
    seen: set[int] = set()
    surplus = []
    for pod in sorted(state.active, key=lambda p: (p.metadata.creationTimestamp or "", p.metadata.name or "")):
        index = indexes.index_of(pod)
        if index is None or index in taken or index in seen or index >= (state.job.spec.completions or 0):
            surplus.append(pod)
        else:
            seen.add(index)
    return surplus


def _creates(state: _State, missing: int) -> list[Action]:
    job, tally = state.job, state.tally
    numbers: list[int | None] = [None] * missing
    if job.spec.completionMode == "Indexed":
        waits = job.spec.podReplacementPolicy == "Failed" or job.spec.podFailurePolicy is not None
        running = [p for p in state.pods if pod_facts.is_active(p) or (waits and pod_facts.is_terminating(p))]
        taken = tally.done_indexes | tally.failed_indexes | {indexes.index_of(p) for p in running}
        numbers = [*[i for i in range(job.spec.completions or 0) if i not in taken][:missing]]
    actions: list[Action] = []
    for number in numbers:
        pod = pod_facts.pod_of_template(job.spec.template, job)
        pod.metadata.finalizers = [*(pod.metadata.finalizers or ()), accounting.FINALIZER]
        if number is not None:
            indexes.indexed(pod, job.metadata.name or "", number)
            if job.spec.backoffLimitPerIndex is not None:
                failures = str(tally.failures_by_index.get(number, 0))
                pod.metadata.annotations = {**(pod.metadata.annotations or {}), accounting.INDEX_FAILURES: failures}
        actions.append(
            Create(
                object=pod,
                succeeded=record(job, "Normal", "SuccessfulCreate", "Created pod: {name}"),
                failed=record(job, "Warning", "FailedCreate", "Error creating: {error}"),
            )
        )
    return actions


def _finished_at(pod: core_v1.Pod) -> float:
    ends = [
        timestamps.seconds(s.state.terminated.finishedAt)
        for s in pod.status.containerStatuses or ()
        if s.state is not None and s.state.terminated is not None and s.state.terminated.finishedAt
    ]
    if ends:
        return max(ends)
    moment = pod.metadata.deletionTimestamp or pod.metadata.creationTimestamp
    return timestamps.seconds(moment) if moment else 0.0


def _backoff_seconds(state: _State) -> float:
    """How long to wait before the next pod: longer after each failure since the last success."""
    failures = [_finished_at(p) for p in state.pods if accounting.is_failed(state.job, p)]
    successes = [_finished_at(p) for p in state.pods if p.status.phase == "Succeeded"]
    last_success = max(successes, default=float("-inf"))
    recent = [moment for moment in failures if moment > last_success]
    if not recent:
        return 0.0
    wait_seconds = min(FIRST_BACKOFF_SECONDS * 2.0 ** min(len(recent) - 1, 10), LONGEST_BACKOFF_SECONDS)
    return max(recent) + wait_seconds - state.now


def _delete(job: batch_v1.Job, pod: core_v1.Pod) -> Action:
    return delete_of(
        pod,
        succeeded=record(job, "Normal", "SuccessfulDelete", "Deleted pod: {name}"),
        failed=record(job, "Warning", "FailedDelete", "Error deleting: {error}"),
    )


def _set_condition(status: batch_v1.JobStatus, kind: str, value: str, reason: str, message: str, now: float) -> bool:
    """True when the condition was not like this before."""
    known = next((c for c in status.conditions or () if c.type == kind), None)
    if known is not None and known.status == value:
        return False
    moment = timestamps.time_of(now)
    fresh = batch_v1.JobCondition(
        type=kind, status=value, reason=reason, message=message, lastProbeTime=moment, lastTransitionTime=moment
    )
    status.conditions = [*(c for c in status.conditions or () if c.type != kind), fresh]
    return True


def _save(job: batch_v1.Job, status: batch_v1.JobStatus) -> list[Action]:
    if status == job.status:
        return []
    changed = codec.copy(job)
    changed.status = status
    return [UpdateStatus(object=changed)]


CONTROLLER = Controller(
    name="job",
    reconcile=reconcile,
    answered=adopt_if_alive(batch_v1.Job),
    watches=(Watch(kind=batch_v1.Job, keys=own_key), Watch(kind=core_v1.Pod, keys=claimant_keys(batch_v1.Job))),
    indexes=(
        controller_index(core_v1.Pod),
        Index(kind=core_v1.Pod, name=BY_JOB_NAME, function=job_of_pod),
    ),
)
