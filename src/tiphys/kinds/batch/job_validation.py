"""Whether a Job is well formed, and what an update of it may change."""

from __future__ import annotations

import msgspec

from tiphys.kinds.core.template import MISMATCH, selector_of, validate_template
from tiphys.kinds.equality import same
from tiphys.kinds.label_selectors import validate_label_selector
from tiphys.kinds.number_findings import none_negative
from tiphys.kinds.object_meta import IMMUTABLE, immutable, label_key_findings
from tiphys.kinds.types.batch_v1 import Job, JobSpec, PodFailurePolicyRule
from tiphys.kinds.types.core_v1 import Affinity, PodTemplateSpec
from tiphys.kinds.types.meta_v1 import LabelSelector
from tiphys.kinds.value_findings import in_range
from tiphys.machinery.field_errors import (
    FieldError,
    Path,
    duplicate,
    invalid,
    not_supported,
    required,
    too_long,
    too_many,
)
from tiphys.machinery.repetition import repeated

SPEC, STATUS = Path("spec"), Path("status")
UID_LABEL, NAME_LABEL = "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"
OLD_UID_LABEL, OLD_NAME_LABEL = "controller-uid", "job-name"
NON_INDEXED, INDEXED = "NonIndexed", "Indexed"
ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
INDEXED_PARALLELISM_LIMIT = 100_000
INDEXED_COMPLETIONS_WITH_LIMIT = 100_000
FAILURE_RULES_LIMIT, EXIT_CODES_LIMIT, CONDITIONS_LIMIT, SUCCESS_RULES_LIMIT = 20, 255, 20, 20
CONTROLLER_NAME_LIMIT = 63


def validate_job(job: Job) -> list[FieldError]:
    found = validate_job_spec(job.spec, SPEC)
    selector = job.spec.selector
    if selector is None:
        found.append(required(SPEC.child("selector")))
    else:
        found += validate_label_selector(selector, SPEC.child("selector"))
        labels = job.spec.template.metadata.labels or {}
        if not selector_of(selector).matches(labels):
            found.append(invalid(SPEC.child("template", "metadata", "labels"), labels, MISMATCH))
        if not job.spec.manualSelector:
            found += _generated_findings(job, selector)
    if job.spec.completionMode == INDEXED and job.spec.completions:
        last = f"{job.metadata.name}-{job.spec.completions - 1}"
        if len(last) > 63:
            detail = "will not able to create pod with invalid DNS label: "
            found.append(invalid(Path("metadata.name"), job.metadata.name, f"{detail}{last}"))
    return found


def _generated_findings(job: Job, selector: LabelSelector) -> list[FieldError]:
    """A selector that the Job did not bring itself finds the pods by what the API server put there."""
    uid, name = job.metadata.uid or "", job.metadata.name or ""
    expected = {UID_LABEL: uid, OLD_UID_LABEL: uid, NAME_LABEL: name, OLD_NAME_LABEL: name}
    labels = job.spec.template.metadata.labels or {}
    found: list[FieldError] = []
    for key, value in expected.items():
        at = SPEC.child("template", "metadata", "labels").key(key)
        if key not in labels:
            found.append(required(at, f"must be '{value}'"))
        if labels.get(key) != value:
            found.append(invalid(at, labels, f"must be '{value}'"))
    if not selector_of(selector).matches(expected):
        found.append(invalid(SPEC.child("selector"), selector, "`selector` not auto-generated"))
    return found


def validate_job_template_spec(spec: JobSpec, path: Path) -> list[FieldError]:
    """The spec of the Jobs of a CronJob: each of them gets a selector of its own."""
    found = validate_job_spec(spec, path)
    if spec.selector is not None:
        found.append(invalid(path.child("selector"), spec.selector, "`selector` will be auto-generated"))
    if spec.manualSelector:
        found.append(not_supported(path.child("manualSelector"), True, ("nil", "false")))
    return found


def validate_job_spec(spec: JobSpec, path: Path) -> list[FieldError]:
    """The spec of a Job or of a CronJob's template; selectors are the Job's alone."""
    fields = "parallelism completions activeDeadlineSeconds backoffLimit ttlSecondsAfterFinished backoffLimitPerIndex"
    found = none_negative(spec, path, *fields.split(), "maxFailedIndexes")
    found += _mode_findings(spec, path)
    found += _per_index_findings(spec, path)
    if spec.managedBy is not None:
        found += [invalid(path.child("managedBy"), spec.managedBy, text) for text in label_key_findings(spec.managedBy)]
        if "/" not in spec.managedBy:
            detail = 'must be a domain-prefixed path (such as "acme.io/foo")'
            found.append(invalid(path.child("managedBy"), spec.managedBy, detail))
        if len(spec.managedBy) > CONTROLLER_NAME_LIMIT:
            found.append(too_long(path.child("managedBy"), CONTROLLER_NAME_LIMIT))
    if spec.podFailurePolicy is not None:
        found += _failure_policy_findings(spec, path.child("podFailurePolicy"))
    if spec.successPolicy is not None:
        found += _success_policy_findings(spec, path.child("successPolicy"))
    if spec.podReplacementPolicy not in (None, "TerminatingOrFailed", "Failed"):
        choices = ("Failed", "TerminatingOrFailed")
        found.append(not_supported(path.child("podReplacementPolicy"), spec.podReplacementPolicy, choices))
    if spec.podFailurePolicy is not None and spec.podReplacementPolicy not in (None, "Failed"):
        at = path.child("podReplacementPolicy")
        found.append(not_supported(at, spec.podReplacementPolicy, ("Failed",)))
    found += validate_template(spec.template, path.child("template"))
    policy = spec.template.spec.restartPolicy
    at = path.child("template", "spec", "restartPolicy")
    if policy in ("", None, "Always"):
        found.append(required(at, 'valid values: "OnFailure", "Never"'))
    elif policy not in ("OnFailure", "Never"):
        found.append(not_supported(at, policy, ("OnFailure", "Never")))
    elif spec.podFailurePolicy is not None and policy != "Never":
        found.append(invalid(at, policy, 'only "Never" is supported when podFailurePolicy is specified'))
    return found


def _mode_findings(spec: JobSpec, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if spec.completionMode not in (None, NON_INDEXED, INDEXED):
        found.append(not_supported(path.child("completionMode"), spec.completionMode, (INDEXED, NON_INDEXED)))
    if spec.completionMode == INDEXED:
        if spec.completions is None:
            found.append(required(path.child("completions"), f"when completion mode is {INDEXED}"))
        if (spec.parallelism or 0) > INDEXED_PARALLELISM_LIMIT:
            detail = f"must be less than or equal to {INDEXED_PARALLELISM_LIMIT} when completion mode is {INDEXED}"
            found.append(invalid(path.child("parallelism"), spec.parallelism, detail))
    return found


def _per_index_findings(spec: JobSpec, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if spec.completionMode != INDEXED and spec.backoffLimitPerIndex is not None:
        found.append(
            invalid(path.child("backoffLimitPerIndex"), spec.backoffLimitPerIndex, "requires indexed completion mode")
        )
    if spec.maxFailedIndexes is None:
        return found
    at = path.child("maxFailedIndexes")
    if spec.backoffLimitPerIndex is None:
        found.append(required(path.child("backoffLimitPerIndex"), "when maxFailedIndexes is specified"))
    if spec.completions is not None and spec.maxFailedIndexes > spec.completions:
        found.append(invalid(at, spec.maxFailedIndexes, "must be less than or equal to completions"))
    if spec.maxFailedIndexes > INDEXED_COMPLETIONS_WITH_LIMIT:
        found.append(
            invalid(at, spec.maxFailedIndexes, f"must be less than or equal to {INDEXED_COMPLETIONS_WITH_LIMIT}")
        )
    return found


def _failure_policy_findings(spec: JobSpec, path: Path) -> list[FieldError]:
    assert spec.podFailurePolicy is not None
    rules, at = spec.podFailurePolicy.rules, path.child("rules")
    if len(rules) > FAILURE_RULES_LIMIT:
        return [too_many(at, len(rules), FAILURE_RULES_LIMIT)]
    containers = {c.name for c in [*spec.template.spec.containers, *(spec.template.spec.initContainers or ())]}
    found: list[FieldError] = []
    for position, rule in enumerate(rules):
        found += _failure_rule_findings(rule, at.index(position), spec, containers)
    return found


def _failure_rule_findings(
    rule: PodFailurePolicyRule, path: Path, spec: JobSpec, containers: set[str]
) -> list[FieldError]:
    found: list[FieldError] = []
    if rule.action == "FailIndex" and spec.backoffLimitPerIndex is None:
        detail = "requires the backoffLimitPerIndex to be set"
        found.append(invalid(path.child("action"), rule.action, detail))
    elif not rule.action:
        words = ", ".join(f'"{action}"' for action in ACTIONS)
        found.append(required(path.child("action"), f"valid values: [{words}]"))
    elif rule.action not in ACTIONS:
        found.append(not_supported(path.child("action"), rule.action, ACTIONS))
    if rule.onExitCodes is not None:
        found += _exit_code_findings(rule, path.child("onExitCodes"), containers)
    if rule.onPodConditions:
        found += _condition_findings(rule, path.child("onPodConditions"))
    if rule.onExitCodes is not None and rule.onPodConditions:
        detail = "specifying both OnExitCodes and OnPodConditions is not supported"
        found.append(invalid(path, "", detail))
    if rule.onExitCodes is None and not rule.onPodConditions:
        found.append(invalid(path, "", "specifying one of OnExitCodes and OnPodConditions is required"))
    return found


def _exit_code_findings(rule: PodFailurePolicyRule, path: Path, containers: set[str]) -> list[FieldError]:
    assert rule.onExitCodes is not None
    found: list[FieldError] = []
    requirement = rule.onExitCodes
    if requirement.operator not in ("In", "NotIn"):
        at = path.child("operator")
        choices = ("In", "NotIn")
        found.append(not_supported(at, requirement.operator, choices) if requirement.operator else required(at))
    if requirement.containerName is not None and requirement.containerName not in containers:
        detail = "must be one of the container or initContainer names in the pod template"
        found.append(invalid(path.child("containerName"), requirement.containerName, detail))
    at, values = path.child("values"), requirement.values
    if not values:
        found.append(invalid(at, values, "at least one value is required"))
    elif len(values) > EXIT_CODES_LIMIT:
        found.append(too_many(at, len(values), EXIT_CODES_LIMIT))
    again = repeated(values)
    for position, value in enumerate(values):
        if requirement.operator == "In" and value == 0:
            found.append(invalid(at.index(position), value, "must not be 0 for the In operator"))
        if position in again:
            found.append(duplicate(at.index(position), value))
    if values != sorted(values):
        found.append(invalid(at, values, "must be ordered"))
    return found


def _condition_findings(rule: PodFailurePolicyRule, path: Path) -> list[FieldError]:
    patterns = rule.onPodConditions or []
    if len(patterns) > CONDITIONS_LIMIT:
        return [too_many(path, len(patterns), CONDITIONS_LIMIT)]
    found: list[FieldError] = []
    for position, pattern in enumerate(patterns):
        at = path.index(position)
        found += [invalid(at.child("type"), pattern.type, text) for text in label_key_findings(pattern.type)]
        if not pattern.status:
            found.append(required(at.child("status"), 'valid values: ["False", "True", "Unknown"]'))
        elif pattern.status not in ("True", "False", "Unknown"):
            found.append(not_supported(at.child("status"), pattern.status, ("False", "True", "Unknown")))
    return found


def _success_policy_findings(spec: JobSpec, path: Path) -> list[FieldError]:
    assert spec.successPolicy is not None
    if spec.completionMode != INDEXED:
        return [invalid(path, spec.successPolicy, "requires indexed completion mode")]
    rules, at = spec.successPolicy.rules, path.child("rules")
    if not rules:
        return [required(at, "must be specified when spec.successPolicy is specified")]
    if len(rules) > SUCCESS_RULES_LIMIT:
        return [too_many(at, len(rules), SUCCESS_RULES_LIMIT)]
    found: list[FieldError] = []
    for position, rule in enumerate(rules):
        here = at.index(position)
        count = rule.succeededCount
        if count is None and rule.succeededIndexes is None:
            found.append(required(here, "must specify at least one of succeededCount and succeededIndexes"))
        total = spec.completions or 0
        if rule.succeededIndexes is not None:
            total, problem = count_indexes(rule.succeededIndexes, total)
            if problem:
                found.append(invalid(here.child("succeededIndexes"), rule.succeededIndexes, problem))
                continue
        if count is not None and count < 0:
            found.append(invalid(here.child("succeededCount"), count, "must be greater than or equal to 0"))
        elif count is not None and count > total:
            word = (
                "the number of indexes in the specified succeededIndexes field"
                if rule.succeededIndexes
                else "spec.completions"
            )
            detail = f"must be less than or equal to {total}({word})" if rule.succeededIndexes else in_range(0, total)
            found.append(invalid(here.child("succeededCount"), count, detail))
    return found


def count_indexes(text: str, completions: int) -> tuple[int, str]:
    """How many indexes a text like `0,2-4` names, and what is wrong with it ("" when nothing is)."""
    count, last = 0, -1
    for part in text.split(",") if text else []:
        first, dash, end = part.partition("-")
        if not first.isdigit() or (dash and not end.isdigit()):
            return count, f'cannot convert string to integer for index: "{part}"'
        low, high = int(first), int(end) if dash else int(first)
        if low <= last or (dash and high <= low):
            return count, f"non-increasing order, previous: {last}, current: {low}"
        if high >= completions:
            return count, f'too large index: "{high}"'
        count, last = count + high - low + 1, high
    return count, ""


def validate_job_update(new: Job, old: Job) -> list[FieldError]:
    """What a Job is about stays; its pace, patience and, while suspended, its pods' placement can change."""
    found: list[FieldError] = []
    if new.spec.completions != old.spec.completions and not _is_elastic(new, old):
        found.append(invalid(SPEC.child("completions"), new.spec.completions, IMMUTABLE))
    for field in (
        "selector",
        "completionMode",
        "podFailurePolicy",
        "backoffLimitPerIndex",
        "managedBy",
        "successPolicy",
    ):
        found += immutable(getattr(new.spec, field), getattr(old.spec, field), SPEC.child(field))
    before, after = old.spec.template, new.spec.template
    if not same(before, after) and not same(_allowed_template(after, before, _may_place(old)), after):
        found.append(invalid(SPEC.child("template"), after, IMMUTABLE))
    return found


def _is_elastic(new: Job, old: Job) -> bool:
    """An indexed Job may grow and shrink when completions and parallelism go together."""
    return (
        new.spec.completionMode == INDEXED
        and old.spec.completions == old.spec.parallelism
        and new.spec.completions == new.spec.parallelism
    )


def _may_place(job: Job) -> bool:
    return bool(job.spec.suspend) and job.status.startTime is None


def _allowed_template(new: PodTemplateSpec, old: PodTemplateSpec, may_place: bool) -> PodTemplateSpec:
    """The old template with what may change taken from the new one: placement, before anything has started."""
    if not may_place:
        return old
    replace = msgspec.structs.replace
    affinity = old.spec.affinity
    wanted = new.spec.affinity.nodeAffinity if new.spec.affinity else None
    if affinity is not None or wanted is not None:
        affinity = replace(affinity or Affinity(), nodeAffinity=wanted)
        affinity = None if affinity == Affinity() and new.spec.affinity is None else affinity
    resources = {container.name: container.resources for container in new.spec.containers}
    spec = replace(
        old.spec,
        affinity=affinity,
        nodeSelector=new.spec.nodeSelector,
        tolerations=new.spec.tolerations,
        schedulingGates=new.spec.schedulingGates,
        containers=[replace(c, resources=resources.get(c.name, c.resources)) for c in old.spec.containers],
    )
    metadata = replace(old.metadata, labels=new.metadata.labels, annotations=new.metadata.annotations)
    return replace(old, metadata=metadata, spec=spec)


def validate_job_status_update(new: Job, old: Job) -> list[FieldError]:
    found = none_negative(new.status, STATUS, "active", "succeeded", "failed", "ready", "terminating")
    true = {c.type for c in new.status.conditions or () if c.status == "True"}
    path = STATUS.child("conditions")
    if "Complete" in true and "Failed" in true:
        found.append(invalid(path, "", "cannot set Complete=True and Failed=True conditions"))
    was = {c.type for c in old.status.conditions or () if c.status == "True"}
    for condition in ("Complete", "Failed"):
        if condition in was and condition not in true:
            found.append(invalid(path, "", f"cannot disable the terminal {condition}=True condition"))
    return found
