"""Whether the status of a Job fits its spec and what it said before: any controller may run Jobs (`managedBy`).

Most rules look at a field only when it changes, so that a status which broke them before can still be written; a
change of the spec may break them for as long as the controller needs to catch up.
"""

from __future__ import annotations

from collections.abc import Iterator

from tiphys.kinds.batch.completion_indexes import count_indexes, first_common_index
from tiphys.kinds.batch.job_conditions import (
    COMPLETE,
    FAILED,
    FAILURE_TARGET,
    SUCCESS_CRITERIA_MET,
    true_conditions,
)
from tiphys.kinds.batch.job_validation import INDEXED
from tiphys.kinds.equality import same
from tiphys.kinds.number_findings import none_negative
from tiphys.kinds.types.batch_v1 import Job, JobStatus, UncountedTerminatedPods
from tiphys.machinery import timestamps
from tiphys.machinery.field_errors import FieldError, Path, contradictory, duplicate, invalid, required

STATUS = Path("status")
CONDITIONS = STATUS.child("conditions")


def validate_job_status_update(new: Job, old: Job) -> list[FieldError]:
    found = none_negative(new.status, STATUS, "active", "succeeded", "failed", "ready", "terminating")
    found += _uncounted_findings(new.status.uncountedTerminatedPods or UncountedTerminatedPods())
    found += _end_findings(new, old)
    found += _index_findings(new, old)
    found += _success_findings(new, old)
    return found + _regress_findings(new, old)


def _uncounted_findings(uncounted: UncountedTerminatedPods) -> list[FieldError]:
    """Each pod waits to be counted once, as succeeded or as failed."""
    found: list[FieldError] = []
    seen: set[str] = set()
    for field in ("succeeded", "failed"):
        for position, uid in enumerate(getattr(uncounted, field) or ()):
            at = STATUS.child("uncountedTerminatedPods", field).index(position)
            if not uid:
                found.append(invalid(at, uid, "must not be empty"))
            elif uid in seen:
                found.append(duplicate(at, uid))
            seen.add(uid)
    return found


def _end_findings(new: Job, old: Job) -> list[FieldError]:
    """A Job ends in one way, after it has begun, with nothing left to run or count."""
    status, before = new.status, old.status
    true = true_conditions(status)
    turned = true ^ true_conditions(before)
    finished = bool(true & {COMPLETE, FAILED})
    # A Job ends once: complete instead of failed is no other end.
    ended = finished != bool(true_conditions(before) & {COMPLETE, FAILED})
    found: list[FieldError] = []
    if turned & {COMPLETE, FAILED} and {COMPLETE, FAILED} <= true:
        found.append(contradictory(CONDITIONS, "cannot set Complete=True and Failed=true conditions"))
    if turned & {COMPLETE, FAILURE_TARGET} and {COMPLETE, FAILURE_TARGET} <= true:
        found.append(contradictory(CONDITIONS, "cannot set Complete=True and FailureTarget=true conditions"))
    found += _time_findings(new, old, COMPLETE in true, COMPLETE in turned)
    indexes_failed = status.failedIndexes != before.failedIndexes
    if (FAILED in turned or indexes_failed) and FAILED in true and FAILURE_TARGET not in true:
        detail = "cannot set Failed=True condition without the FailureTarget=true condition"
        found.append(contradictory(CONDITIONS, detail))
    if turned & {COMPLETE, SUCCESS_CRITERIA_MET} and COMPLETE in true and SUCCESS_CRITERIA_MET not in true:
        detail = "cannot set Complete=True condition without the SuccessCriteriaMet=true condition"
        found.append(contradictory(CONDITIONS, detail))
    if finished:
        found += _leftover_findings(new, old, ended)
    if _differs(status, before, "ready", "active") and (status.ready or 0) > (status.active or 0):
        found.append(invalid(STATUS.child("ready"), status.ready, "cannot set more ready pods than active"))
    return found


def _differs(status: JobStatus, before: JobStatus, *fields: str) -> bool:
    return any(not same(getattr(status, field), getattr(before, field)) for field in fields)


def _leftover_findings(new: Job, old: Job, ended: bool) -> Iterator[FieldError]:
    """What a finished Job has no more."""
    status, before = new.status, old.status
    for field in ("active", "terminating"):
        value = getattr(status, field)
        if (value or 0) > 0 and (ended or _differs(status, before, field)):
            yield invalid(STATUS.child(field), value, f"{field}>0 is invalid for finished job")
    never_begins = new.spec.suspend and new.spec.completions == 0
    if status.startTime is None and not never_begins and (ended or before.startTime is not None):
        yield required(STATUS.child("startTime"), "startTime is required for finished job")
    uncounted = status.uncountedTerminatedPods or UncountedTerminatedPods()
    waiting = bool(uncounted.succeeded or uncounted.failed)
    if waiting and (ended or _differs(status, before, "uncountedTerminatedPods")):
        detail = "uncountedTerminatedPods needs to be empty for finished job"
        yield invalid(STATUS.child("uncountedTerminatedPods"), uncounted, detail)


def _time_findings(new: Job, old: Job, complete: bool, turned: bool) -> list[FieldError]:
    status, before = new.status, old.status
    begin, end, at = status.startTime, status.completionTime, STATUS.child("completionTime")
    found: list[FieldError] = []
    if turned or end != before.completionTime:
        if end is not None and not complete:
            found.append(invalid(at, end, "cannot set completionTime when there is no Complete=True condition"))
        if end is None and complete:
            found.append(required(at, "completionTime is required for Complete jobs"))
    moved = begin != before.startTime or end != before.completionTime
    if moved and begin and end and timestamps.seconds(end) < timestamps.seconds(begin):
        found.append(invalid(at, end, "completionTime cannot be set before startTime"))
    return found


def _index_findings(new: Job, old: Job) -> list[FieldError]:
    status, completions = new.status, new.spec.completions
    found: list[FieldError] = []
    completed, failed = status.completedIndexes or "", status.failedIndexes
    completed_changed = completed != (old.status.completedIndexes or "")
    failed_changed = failed != old.status.failedIndexes
    limited = new.spec.backoffLimitPerIndex is not None
    if completed_changed and completions is not None:
        found += _unreadable("completedIndexes", completed, completions)
    if failed_changed and completions is not None and limited and failed is not None:
        found += _unreadable("failedIndexes", failed, completions)
    if completed_changed and completed and new.spec.completionMode != INDEXED:
        detail = "cannot set non-empty completedIndexes when non-indexed completion mode"
        found.append(invalid(STATUS.child("completedIndexes"), completed, detail))
    if failed_changed and failed is not None and not limited:
        detail = "cannot set non-null failedIndexes when backoffLimitPerIndex is null"
        found.append(invalid(STATUS.child("failedIndexes"), failed, detail))
    if (completed_changed or failed_changed) and completions is not None and failed is not None:
        common = first_common_index(completed, failed, completions)
        if common is not None:
            detail = f"failedIndexes and completedIndexes overlap at index: {common}"
            found.append(invalid(STATUS.child("failedIndexes"), failed, detail))
    return found


def _unreadable(field: str, text: str, completions: int) -> list[FieldError]:
    try:
        count_indexes(text, completions)
    except ValueError as problem:
        return [invalid(STATUS.child(field), text, f"error parsing {field}: {problem}")]
    return []


def _success_findings(new: Job, old: Job) -> list[FieldError]:
    """That a Job has done what it is for is said before it completes, and never of one that fails."""
    true, was = true_conditions(new.status), true_conditions(old.status)
    found: list[FieldError] = []
    if SUCCESS_CRITERIA_MET in true:
        found += [
            contradictory(CONDITIONS, f"cannot set SuccessCriteriaMet=True and {failure}=true conditions")
            for failure in (FAILED, FAILURE_TARGET)
            if failure in true
        ]
    elif new.spec.successPolicy is not None and COMPLETE in true:
        detail = "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True"
        found.append(contradictory(CONDITIONS, detail))
    if SUCCESS_CRITERIA_MET in was - true:
        found.append(contradictory(CONDITIONS, "cannot disable the SuccessCriteriaMet=True condition"))
    if COMPLETE in was and SUCCESS_CRITERIA_MET in true - was:
        detail = "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions"
        found.append(contradictory(CONDITIONS, detail))
    return found


def _regress_findings(new: Job, old: Job) -> list[FieldError]:
    """What is never taken back."""
    status, before = new.status, old.status
    undone = true_conditions(before) - true_conditions(status)
    found = [
        contradictory(CONDITIONS, f"cannot disable the terminal {kind}=True condition")
        for kind in (FAILED, COMPLETE, FAILURE_TARGET)
        if kind in undone
    ]
    shrinks = new.spec.completionMode == INDEXED and new.spec.completions == new.spec.parallelism
    for field in ("failed",) if shrinks else ("failed", "succeeded"):
        value = getattr(status, field) or 0
        if value < (getattr(before, field) or 0):
            found.append(invalid(STATUS.child(field), value, f"cannot decrease the {field} counter"))
    if None not in (status.completionTime, before.completionTime) and status.completionTime != before.completionTime:
        at = STATUS.child("completionTime")
        found.append(invalid(at, status.completionTime, "completionTime cannot be mutated"))
    if before.startTime is not None and status.startTime != before.startTime and not new.spec.suspend:
        found.append(required(STATUS.child("startTime"), "startTime cannot be removed for unsuspended job"))
    return found
