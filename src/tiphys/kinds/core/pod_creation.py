"""What the API server writes into a new pod once admission has had its say, so that nobody has to work it out later.

The labels that `matchLabelKeys` names become part of the selectors; a pod with gates says from the first moment that
it is not scheduled because of them; AppArmor profiles in the old annotations move to their fields.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tiphys.kinds.core.app_armor import ANNOTATION_PREFIX, profile_of
from tiphys.kinds.types.core_v1 import (
    Container,
    EphemeralContainer,
    Pod,
    PodAffinityTerm,
    PodCondition,
    PodSpec,
    SecurityContext,
)
from tiphys.kinds.types.meta_v1 import LabelSelector, LabelSelectorRequirement

GATED = "Scheduling is blocked due to non-empty scheduling gates"


def finish_new_pod(pod: Pod) -> None:
    if pod.spec.schedulingGates:
        _say_gated(pod)
    if pod.spec.topologySpreadConstraints or pod.spec.affinity is not None:
        _merge_label_keys(pod)
    if pod.metadata.annotations:
        _read_app_armor_annotations(pod, pod.metadata.annotations)


def _say_gated(pod: Pod) -> None:
    pod.status.conditions = [
        *(pod.status.conditions or ()),
        PodCondition(
            type="PodScheduled",
            status="False",
            reason="SchedulingGated",
            message=GATED,
            lastTransitionTime=pod.metadata.creationTimestamp,
        ),
    ]


def _merge_label_keys(pod: Pod) -> None:
    labels = pod.metadata.labels or {}
    for constraint in pod.spec.topologySpreadConstraints or ():
        _require(constraint.labelSelector, constraint.matchLabelKeys, "In", labels)
    for term in _pod_terms(pod.spec):
        _require(term.labelSelector, term.matchLabelKeys, "In", labels)
        _require(term.labelSelector, term.mismatchLabelKeys, "NotIn", labels)


def _pod_terms(spec: PodSpec) -> Iterator[PodAffinityTerm]:
    affinity = spec.affinity
    for pods in (affinity.podAffinity, affinity.podAntiAffinity) if affinity is not None else ():
        if pods is not None:
            for weighted in pods.preferredDuringSchedulingIgnoredDuringExecution or ():
                yield weighted.podAffinityTerm
            yield from pods.requiredDuringSchedulingIgnoredDuringExecution or ()


def _require(selector: LabelSelector | None, keys: Sequence[str] | None, operator: str, labels: dict[str, str]) -> None:
    """Add to the selector, in place. No selector selects nothing, and stays that way."""
    found = [
        LabelSelectorRequirement(key=key, operator=operator, values=[labels[key]])
        for key in keys or ()
        if key in labels
    ]
    if selector is not None and found:
        selector.matchExpressions = [*(selector.matchExpressions or ()), *found]


def _read_app_armor_annotations(pod: Pod, annotations: dict[str, str]) -> None:
    """A container that has a profile of its own keeps it; one that would get the pod's needs none."""
    if pod.spec.os is not None and pod.spec.os.name == "windows":
        return
    of_pod = pod.spec.securityContext.appArmorProfile if pod.spec.securityContext is not None else None
    containers: list[Container | EphemeralContainer] = [*(pod.spec.initContainers or ()), *pod.spec.containers]
    for container in containers:
        context = container.securityContext
        text = annotations.get(ANNOTATION_PREFIX + container.name)
        if text is None or (context is not None and context.appArmorProfile is not None):
            continue
        profile = profile_of(text)
        if profile is not None and profile != of_pod:
            container.securityContext = context or SecurityContext()
            container.securityContext.appArmorProfile = profile
