"""Pod failure policies and success policies of Jobs: which rule a failed pod falls under, which indexes are enough."""

from __future__ import annotations

from collections.abc import Iterable

from tiphys.controllers.job import indexes
from tiphys.kinds.types import batch_v1, core_v1


def failure_rule(
    policy: batch_v1.PodFailurePolicy | None, pod: core_v1.Pod
) -> tuple[batch_v1.PodFailurePolicyRule, int, str] | None:
    """The first rule that a failed pod matches, its position, and what matched in words."""
    for position, rule in enumerate(policy.rules if policy is not None else ()):
        words = _exit_words(rule, pod) if rule.onExitCodes is not None else _condition_words(rule, pod)
        if words:
            return rule, position, words
    return None


def _exit_words(rule: batch_v1.PodFailurePolicyRule, pod: core_v1.Pod) -> str:
    wanted = rule.onExitCodes
    assert wanted is not None
    for status in [*(pod.status.containerStatuses or ()), *(pod.status.initContainerStatuses or ())]:
        ended = status.state.terminated if status.state is not None else None
        if ended is None or ended.exitCode == 0 or wanted.containerName not in (None, "", status.name):
            continue
        if (ended.exitCode in wanted.values) is (wanted.operator == "In"):
            where = f"{pod.metadata.namespace}/{pod.metadata.name}"
            return f"Container {status.name} for pod {where} failed with exit code {ended.exitCode}"
    return ""


def _condition_words(rule: batch_v1.PodFailurePolicyRule, pod: core_v1.Pod) -> str:
    for pattern in rule.onPodConditions or ():
        for condition in pod.status.conditions or ():
            if condition.type == pattern.type and condition.status == (pattern.status or "True"):
                return f"Pod {pod.metadata.namespace}/{pod.metadata.name} has condition {condition.type}"
    return ""


def success_rule(spec: batch_v1.JobSpec, succeeded: Iterable[int]) -> int | None:
    """The position of the first rule that the succeeded indexes fulfil."""
    done, policy = set(succeeded), spec.successPolicy
    for position, rule in enumerate(policy.rules if policy is not None else ()):
        wanted = indexes.parse(rule.succeededIndexes, spec.completions or 0) if rule.succeededIndexes else None
        counted = done & wanted if wanted is not None else done
        needed = rule.succeededCount if rule.succeededCount is not None else len(wanted or ())
        if len(counted) >= needed:
            return position
    return None
