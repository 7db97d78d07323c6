"""Jobs: pods that run to their end, so many of them, so many at a time, with rules for failure and success."""

from __future__ import annotations

from tiphys.kinds import cells, unserved
from tiphys.kinds.batch.job_conditions import true_conditions
from tiphys.kinds.batch.job_status_validation import validate_job_status_update
from tiphys.kinds.batch.job_validation import (
    NAME_LABEL,
    OLD_NAME_LABEL,
    OLD_UID_LABEL,
    UID_LABEL,
    validate_job,
    validate_job_update,
)
from tiphys.kinds.core.pod_warnings import template_warnings
from tiphys.kinds.core.template import default_template, hostname_warnings
from tiphys.kinds.spec_and_status import keep_spec, keep_status
from tiphys.kinds.strategy import Column, Strategy
from tiphys.kinds.types.batch_v1 import Job, JobSpec, JobStatus
from tiphys.kinds.types.meta_v1 import LabelSelector
from tiphys.machinery import timestamps
from tiphys.machinery.duration import human_duration
from tiphys.machinery.field_errors import Path

BACKOFF_LIMIT, UNLIMITED = 6, 2**31 - 1


def default_templates(spec: JobSpec) -> None:
    """The defaults that the template of a CronJob has, too; the others wait for the Job."""
    for rule in (spec.podFailurePolicy.rules if spec.podFailurePolicy else None) or ():
        for pattern in rule.onPodConditions or ():
            if not pattern.status:
                pattern.status = "True"
    default_template(spec.template)


def default_spec(spec: JobSpec) -> None:
    if spec.completions is None and spec.parallelism is None:
        spec.completions = spec.parallelism = 1
    if spec.parallelism is None:
        spec.parallelism = 1
    if spec.backoffLimit is None:
        spec.backoffLimit = UNLIMITED if spec.backoffLimitPerIndex is not None else BACKOFF_LIMIT
    if spec.completionMode is None:
        spec.completionMode = "NonIndexed"
    if spec.suspend is None:
        spec.suspend = False
    if spec.podReplacementPolicy is None:
        spec.podReplacementPolicy = "Failed" if spec.podFailurePolicy is not None else "TerminatingOrFailed"
    default_templates(spec)


def default(job: Job) -> None:
    """A Job without labels has those of its pods, the generated ones among them."""
    default_spec(job.spec)
    if not job.spec.manualSelector and job.metadata.uid and not job.metadata.resourceVersion:
        generate_selector(job)
    if not job.metadata.labels:
        job.metadata.labels = dict(job.spec.template.metadata.labels or {}) or None


def generate_selector(job: Job) -> None:
    """A new Job finds its pods by its own uid, unless it brings a selector of its own (manualSelector)."""
    uid, name = job.metadata.uid or "", job.metadata.name or ""
    labels = job.spec.template.metadata.labels or {}
    for key, value in ((OLD_NAME_LABEL, name), (NAME_LABEL, name), (OLD_UID_LABEL, uid), (UID_LABEL, uid)):
        labels.setdefault(key, value)
    job.spec.template.metadata.labels = labels
    if job.spec.selector is None:
        job.spec.selector = LabelSelector()
    job.spec.selector.matchLabels = {**(job.spec.selector.matchLabels or {})}
    job.spec.selector.matchLabels.setdefault(UID_LABEL, uid)


def prepare_for_create(job: Job) -> None:
    job.status = JobStatus()
    if not job.spec.manualSelector and job.metadata.uid:
        generate_selector(job)


def status_word(job: Job) -> str:
    true = true_conditions(job.status)
    for condition in ("Complete", "Failed"):
        if condition in true:
            return condition
    if job.metadata.deletionTimestamp:
        return "Terminating"
    for condition in ("Suspended", "FailureTarget", "SuccessCriteriaMet"):
        if condition in true:
            return condition
    return "Running"


def completions_text(job: Job) -> str:
    done = job.status.succeeded or 0
    if job.spec.completions is not None:
        return f"{done}/{job.spec.completions}"
    parallelism = job.spec.parallelism or 0
    return f"{done}/1 of {parallelism}" if parallelism > 1 else f"{done}/1"


def _duration(job: Job, now: float) -> str:
    if not job.status.startTime:
        return ""
    end = timestamps.seconds(job.status.completionTime) if job.status.completionTime else now
    return human_duration(end - timestamps.seconds(job.status.startTime))


COMPLETIONS_TO_TRACK, PARALLELISM_TO_TRACK = 10**5, 10**4
UNTRACKABLE = (
    "In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might"
    " not be able to track completedIndexes when a big number of indexes fail"
)


def spec_warnings(spec: JobSpec, path: Path) -> list[str]:
    many = (spec.completions or 0) > COMPLETIONS_TO_TRACK and (spec.parallelism or 0) > PARALLELISM_TO_TRACK
    found = [f"{path}: {UNTRACKABLE}"] if spec.completionMode == "Indexed" and many else []
    if spec.scheduling is not None:
        found.append(f"{path.child('scheduling')}: {unserved.POD_GROUPS}")
    return found + template_warnings(spec.template, path.child("template"))


def warnings(job: Job, old: Job | None) -> list[str]:
    if old is None:
        return hostname_warnings(job.metadata) + spec_warnings(job.spec, Path("spec"))
    return spec_warnings(job.spec, Path("spec")) if job.spec != old.spec else []


STRATEGY: Strategy[Job] = Strategy(
    warnings=warnings,
    default=default,
    prepare_for_create=prepare_for_create,
    prepare_for_update=keep_status,
    prepare_for_status_update=keep_spec,
    validate=validate_job,
    validate_update=validate_job_update,
    validate_status_update=validate_job_status_update,
    columns=(
        cells.name_column(),
        cells.text("Status", status_word),
        cells.text("Completions", completions_text),
        Column(name="Duration", cell=_duration),
        cells.age_column(),
        *cells.container_columns(lambda job: job.spec.template),
        cells.text("Selector", lambda job: cells.selector_text(job.spec.selector), wide=True),
    ),
    fields=lambda job: {"status.successful": str(job.status.succeeded or 0)},
    default_propagation="Orphan",
)
