"""Whether a Job is well formed, and what an update of it may change."""

from __future__ import annotations

import msgspec

from tiphys.kinds.batch.completion_indexes import count_indexes
from tiphys.kinds.batch.job_conditions import true_conditions
from tiphys.kinds.core.template import MISMATCH, selector_of, validate_template
from tiphys.kinds.domain_prefixed import domain_prefixed_findings
from tiphys.kinds.label_selectors import validate_label_selector
from tiphys.kinds.number_findings import none_negative, not_negative
from tiphys.kinds.object_meta import immutable, label_key_findings
from tiphys.kinds.types.batch_v1 import Job, JobSpec, PodFailurePolicyRule, SuccessPolicyRule
from tiphys.kinds.types.core_v1 import Affinity, Container, PodSpec, PodTemplateSpec
from tiphys.kinds.types.meta_v1 import LabelSelector
from tiphys.machinery import names
from tiphys.machinery.field_errors import (
    FieldError,
    Path,
    contradictory,
    duplicate,
    invalid,
    not_supported,
    required,
    too_long,
    too_many,
)
from tiphys.machinery.repetition import repeated

SPEC = Path("spec")
UID_LABEL, NAME_LABEL = "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"
OLD_UID_LABEL, OLD_NAME_LABEL = "controller-uid", "job-name"
NON_INDEXED, INDEXED = "NonIndexed", "Indexed"
ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
OPERATORS, STATUSES = ("In", "NotIn"), ("False", "True", "Unknown")
REPLACEMENT_POLICIES = ("Failed", "TerminatingOrFailed")
INDEXED_PARALLELISM_LIMIT = FAILED_INDEXES_LIMIT = MANY_COMPLETIONS = 100_000
LIMIT_FOR_MANY_COMPLETIONS = 10_000
FAILURE_RULES_LIMIT, EXIT_CODES_LIMIT, CONDITIONS_LIMIT, SUCCESS_RULES_LIMIT = 20, 255, 20, 20
CONTROLLER_NAME_LIMIT_BYTES = 63
SUCCEEDED_INDEXES_LIMIT_BYTES = 64 * 1024


def validate_job(job: Job) -> list[FieldError]:
    found: list[FieldError] = []
    selector = job.spec.selector
    if selector is not None and not job.spec.manualSelector:
        found += _generated_findings(job, selector)
    found += validate_job_spec(job.spec, SPEC)
    if selector is None:
        found.append(required(SPEC.child("selector")))
    else:
        found += validate_label_selector(selector, SPEC.child("selector"))
        labels = job.spec.template.metadata.labels or {}
        if not selector_of(selector).matches(labels):
            found.append(invalid(SPEC.child("template", "metadata", "labels"), labels, MISMATCH))
    if job.spec.completionMode == INDEXED and job.spec.completions:
        hostname = f"{job.metadata.name}-{job.spec.completions - 1}"
        if job.spec.completions > 0 and names.dns1123_label(hostname):
            detail = f"will not able to create pod with invalid DNS label: {hostname}"
            found.append(invalid(Path("metadata.name"), job.metadata.name, detail))
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
    if spec.maxFailedIndexes is not None and spec.backoffLimitPerIndex is None:
        found.append(required(path.child("backoffLimitPerIndex"), "when maxFailedIndexes is specified"))
    if spec.managedBy is not None:
        at = path.child("managedBy")
        found += domain_prefixed_findings(spec.managedBy, at)
        if len(spec.managedBy.encode()) > CONTROLLER_NAME_LIMIT_BYTES:
            found.append(too_long(at, CONTROLLER_NAME_LIMIT_BYTES))
    found += _indexed_findings(spec, path) if spec.completionMode == INDEXED else _mode_findings(spec, path)
    if spec.podFailurePolicy is not None:
        found += _failure_policy_findings(spec, path.child("podFailurePolicy"))
    if spec.successPolicy is not None:
        found += _success_policy_findings(spec, path.child("successPolicy"))
    replacement = spec.podReplacementPolicy
    choices = REPLACEMENT_POLICIES if spec.podFailurePolicy is None else ("Failed",)
    if replacement is not None and replacement not in choices:
        found.append(not_supported(path.child("podReplacementPolicy"), replacement, choices))
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
    """Where completions have no indexes, none of them can be counted."""
    if spec.completionMode not in (None, NON_INDEXED):
        return [not_supported(path.child("completionMode"), spec.completionMode, (NON_INDEXED, INDEXED))]
    return [
        invalid(path.child(field), getattr(spec, field), "requires indexed completion mode")
        for field in ("backoffLimitPerIndex", "maxFailedIndexes")
        if getattr(spec, field) is not None
    ]


def _indexed_findings(spec: JobSpec, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    failed_limit, at = spec.maxFailedIndexes, path.child("maxFailedIndexes")
    if spec.completions is None:
        found.append(required(path.child("completions"), f"when completion mode is {INDEXED}"))
    if (spec.parallelism or 0) > INDEXED_PARALLELISM_LIMIT:
        detail = f"{_at_most(INDEXED_PARALLELISM_LIMIT)} when completion mode is {INDEXED}"
        found.append(invalid(path.child("parallelism"), spec.parallelism, detail))
    if failed_limit is not None:
        if spec.completions is not None and failed_limit > spec.completions:
            found.append(invalid(at, failed_limit, "must be less than or equal to completions"))
        if failed_limit > FAILED_INDEXES_LIMIT:
            found.append(invalid(at, failed_limit, _at_most(FAILED_INDEXES_LIMIT)))
    if (spec.completions or 0) > MANY_COMPLETIONS and spec.backoffLimitPerIndex is not None:
        if failed_limit is None:
            found.append(required(at, f"must be specified when completions is above {MANY_COMPLETIONS}"))
        circumstance = f"when completions are above {MANY_COMPLETIONS} and used with backoff limit per index"
        for field in ("parallelism", "maxFailedIndexes"):
            value = getattr(spec, field)
            if value is not None and value > LIMIT_FOR_MANY_COMPLETIONS:
                detail = f"{_at_most(LIMIT_FOR_MANY_COMPLETIONS)} {circumstance}"
                found.append(invalid(path.child(field), value, detail))
    return found


def _at_most(limit: int) -> str:
    return f"must be less than or equal to {limit}"


def _listed(words: tuple[str, ...]) -> str:
    return "valid values: [{}]".format(" ".join(f'"{word}"' for word in words))


def _failure_policy_findings(spec: JobSpec, path: Path) -> list[FieldError]:
    assert spec.podFailurePolicy is not None
    rules, at = spec.podFailurePolicy.rules, path.child("rules")
    found = [too_many(at, len(rules), FAILURE_RULES_LIMIT)] if len(rules) > FAILURE_RULES_LIMIT else []
    containers = {c.name for c in [*spec.template.spec.containers, *(spec.template.spec.initContainers or ())]}
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
        found.append(required(path.child("action"), _listed(ACTIONS)))
    elif rule.action not in ACTIONS:
        found.append(not_supported(path.child("action"), rule.action, ACTIONS))
    if rule.onExitCodes is not None:
        found += _exit_code_findings(rule, path.child("onExitCodes"), containers)
    if rule.onPodConditions:
        found += _condition_findings(rule, path.child("onPodConditions"))
    if rule.onExitCodes is not None and rule.onPodConditions:
        found.append(contradictory(path, "specifying both OnExitCodes and OnPodConditions is not supported"))
    if rule.onExitCodes is None and not rule.onPodConditions:
        found.append(contradictory(path, "specifying one of OnExitCodes and OnPodConditions is required"))
    return found


def _exit_code_findings(rule: PodFailurePolicyRule, path: Path, containers: set[str]) -> list[FieldError]:
    assert rule.onExitCodes is not None
    found: list[FieldError] = []
    requirement = rule.onExitCodes
    at = path.child("operator")
    if not requirement.operator:
        found.append(required(at, _listed(OPERATORS)))
    elif requirement.operator not in OPERATORS:
        found.append(not_supported(at, requirement.operator, OPERATORS))
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
    found = [too_many(path, len(patterns), CONDITIONS_LIMIT)] if len(patterns) > CONDITIONS_LIMIT else []
    for position, pattern in enumerate(patterns):
        at = path.index(position)
        found += [invalid(at.child("type"), pattern.type, text) for text in label_key_findings(pattern.type)]
        if not pattern.status:
            found.append(required(at.child("status"), _listed(STATUSES)))
        elif pattern.status not in STATUSES:
            found.append(not_supported(at.child("status"), pattern.status, STATUSES))
    return found


def _success_policy_findings(spec: JobSpec, path: Path) -> list[FieldError]:
    assert spec.successPolicy is not None
    if spec.completionMode != INDEXED:
        return [invalid(path, spec.successPolicy, "requires indexed completion mode")]
    rules, at = spec.successPolicy.rules, path.child("rules")
    found: list[FieldError] = []
    if not rules:
        found.append(required(at, "at least one rules must be specified when the successPolicy is specified"))
    if len(rules) > SUCCESS_RULES_LIMIT:
        found.append(too_many(at, len(rules), SUCCESS_RULES_LIMIT))
    for position, rule in enumerate(rules):
        found += _success_rule_findings(rule, at.index(position), spec.completions or 0)
    return found


def _success_rule_findings(rule: SuccessPolicyRule, path: Path, completions: int) -> list[FieldError]:
    found: list[FieldError] = []
    count, indexes = rule.succeededCount, rule.succeededIndexes
    if count is None and indexes is None:
        found.append(required(path, "at least one of succeededCount or succeededIndexes must be specified"))
    named = 0
    if indexes is not None:
        at = path.child("succeededIndexes")
        if len(indexes.encode()) > SUCCEEDED_INDEXES_LIMIT_BYTES:
            found.append(too_long(at, SUCCEEDED_INDEXES_LIMIT_BYTES))
        try:
            named = count_indexes(indexes, completions)
        except ValueError as problem:
            found.append(invalid(at, indexes, f"error parsing succeededIndexes: {problem}"))
    if count is None:
        return found
    at = path.child("succeededCount")
    found += not_negative(count, at)
    if count > completions:
        found.append(invalid(at, count, f"{_at_most(completions)} (the number of specified completions)"))
    if indexes is not None and count > named:
        what = "the number of indexes in the specified succeededIndexes field"
        found.append(invalid(at, count, f"{_at_most(named)} ({what})"))
    return found


def validate_job_update(new: Job, old: Job) -> list[FieldError]:
    """What a Job is about stays; its pace, patience and, while suspended, its pods' placement can change."""
    found = _completions_findings(new.spec, old.spec, SPEC.child("completions"))
    found += immutable(new.spec.selector, old.spec.selector, SPEC.child("selector"))
    found += _template_findings(new.spec.template, old, SPEC.child("template"))
    fields = "completionMode podFailurePolicy backoffLimitPerIndex managedBy successPolicy"
    for field in fields.split():
        found += immutable(getattr(new.spec, field), getattr(old.spec, field), SPEC.child(field))
    return found


def _completions_findings(new: JobSpec, old: JobSpec, path: Path) -> list[FieldError]:
    """An indexed Job may grow and shrink when completions and parallelism go together."""
    if new.completionMode != INDEXED:
        return immutable(new.completions, old.completions, path)
    if new.completions in (None, old.completions, new.parallelism):
        return []
    return [invalid(path, new.completions, "can only be modified in tandem with spec.parallelism")]


def _template_findings(new: PodTemplateSpec, job: Job, path: Path) -> list[FieldError]:
    """Before the first pod, and again when a suspension has stopped the last, what pods need can still change."""
    old = job.spec.template
    if not _has_no_pods(job):
        return immutable(new, old, path)
    return immutable(new.spec, _with_needs(old.spec, new.spec), path.child("spec"))


def _has_no_pods(job: Job) -> bool:
    if not job.spec.suspend or job.status.active:
        return False
    return job.status.startTime is None or "Suspended" in true_conditions(job.status)


def _with_needs(old: PodSpec, new: PodSpec) -> PodSpec:
    """The old spec with where its pods may run, and with how much of the node, taken from the new one."""
    replace = msgspec.structs.replace
    affinity = old.affinity
    wanted = new.affinity.nodeAffinity if new.affinity else None
    if affinity is not None or wanted is not None:
        affinity = replace(affinity or Affinity(), nodeAffinity=wanted)
        affinity = None if affinity == Affinity() and new.affinity is None else affinity

    def with_resources(before: list[Container] | None, after: list[Container] | None) -> list[Container] | None:
        resources = {container.name: container.resources for container in after or ()}
        return before and [replace(c, resources=resources.get(c.name, c.resources)) for c in before]

    return replace(
        old,
        affinity=affinity,
        nodeSelector=new.nodeSelector,
        tolerations=new.tolerations,
        schedulingGates=new.schedulingGates,
        containers=with_resources(old.containers, new.containers) or [],
        initContainers=with_resources(old.initContainers, new.initContainers),
    )
