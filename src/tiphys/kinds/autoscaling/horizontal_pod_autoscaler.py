"""HorizontalPodAutoscalers (autoscaling/v2): how many replicas a workload should have, from what it measures."""

from __future__ import annotations

from typing import Any

from tiphys.kinds import cells, unserved
from tiphys.kinds.autoscaling.scaling_validation import validate_behavior, validate_metrics, validate_target
from tiphys.kinds.number_findings import none_negative, not_negative
from tiphys.kinds.spec_and_status import clear_status, keep_spec, keep_status
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.autoscaling_v2 import (
    HorizontalPodAutoscaler,
    HorizontalPodAutoscalerBehavior,
    HPAScalingPolicy,
    HPAScalingRules,
    MetricSpec,
    MetricStatus,
    MetricTarget,
    MetricValueStatus,
    ResourceMetricSource,
)
from tiphys.machinery.field_errors import FieldError, Path, invalid

SPEC = Path("spec")
CPU_PERCENT = 80
SHOWN_LIMIT = 2


def default(autoscaler: HorizontalPodAutoscaler) -> None:
    spec = autoscaler.spec
    if spec.minReplicas is None:
        spec.minReplicas = 1
    if not spec.metrics:
        target = MetricTarget(type="Utilization", averageUtilization=CPU_PERCENT)
        spec.metrics = [MetricSpec(type="Resource", resource=ResourceMetricSource(name="cpu", target=target))]
    if spec.behavior is not None:
        _default_behavior(spec.behavior)


def _default_behavior(behavior: HorizontalPodAutoscalerBehavior) -> None:
    """Up at once by the larger of four pods and doubling, down to the least after five minutes."""
    up, down = behavior.scaleUp or HPAScalingRules(), behavior.scaleDown or HPAScalingRules()
    if up.stabilizationWindowSeconds is None:
        up.stabilizationWindowSeconds = 0
    if up.policies is None:
        up.policies = [
            HPAScalingPolicy(type="Pods", value=4, periodSeconds=15),
            HPAScalingPolicy(type="Percent", value=100, periodSeconds=15),
        ]
    if down.policies is None:
        down.policies = [HPAScalingPolicy(type="Percent", value=100, periodSeconds=15)]
    for rules in (up, down):
        rules.selectPolicy = rules.selectPolicy or "Max"
    behavior.scaleUp, behavior.scaleDown = up, down


def validate(autoscaler: HorizontalPodAutoscaler) -> list[FieldError]:
    spec = autoscaler.spec
    minimum = 1 if spec.minReplicas is None else spec.minReplicas
    found = not_negative(minimum, SPEC.child("minReplicas"))
    if spec.maxReplicas < 1:
        found.append(invalid(SPEC.child("maxReplicas"), spec.maxReplicas, "must be greater than 0"))
    if spec.maxReplicas < minimum:
        detail = "must be greater than or equal to `minReplicas`"
        found.append(invalid(SPEC.child("maxReplicas"), spec.maxReplicas, detail))
    found += validate_target(spec.scaleTargetRef, SPEC.child("scaleTargetRef"))
    found += validate_metrics(spec.metrics or [], SPEC.child("metrics"), minimum)
    if spec.behavior is not None:
        found += validate_behavior(spec.behavior, SPEC.child("behavior"))
    return found


def validate_status_update(new: HorizontalPodAutoscaler, old: HorizontalPodAutoscaler) -> list[FieldError]:
    return none_negative(new.status, Path("status"), "currentReplicas", "desiredReplicas")


def targets_text(autoscaler: HorizontalPodAutoscaler) -> str:
    """`cpu: 40%/80%, 12/20 (avg)`: current and wanted values of each metric."""
    current = autoscaler.status.currentMetrics or []
    words = []
    for position, metric in enumerate(autoscaler.spec.metrics or ()):
        status = current[position] if position < len(current) else None
        words.append(_metric_text(metric, status))
    if not words:
        return cells.NONE
    more = f" + {len(words) - SHOWN_LIMIT} more..." if len(words) > SHOWN_LIMIT else ""
    return ", ".join(words[:SHOWN_LIMIT]) + more


def _metric_text(metric: MetricSpec, status: MetricStatus | None) -> str:
    parts: dict[str, tuple[Any, Any]] = {
        "External": (metric.external, status.external if status else None),
        "Pods": (metric.pods, status.pods if status else None),
        "Object": (metric.object, status.object if status else None),
        "Resource": (metric.resource, status.resource if status else None),
        "ContainerResource": (metric.containerResource, status.containerResource if status else None),
    }
    wanted, found = parts.get(metric.type, (None, None))
    if wanted is None:
        return "<unknown type>"
    value = found.current if found is not None else None
    prefix = f"{wanted.name}: " if metric.type in ("Resource", "ContainerResource") else ""
    return prefix + _values_text(wanted.target, value, metric.type)


def _values_text(target: MetricTarget, value: MetricValueStatus | None, kind: str) -> str:
    if target.averageUtilization is not None:
        now = f"{value.averageUtilization}%" if value is not None and value.averageUtilization is not None else None
        return f"{now or cells.UNKNOWN}/{target.averageUtilization}%"
    if target.averageValue is not None:
        word = " (avg)" if kind in ("External", "Object") else ""
        return f"{(value.averageValue if value else None) or cells.UNKNOWN}/{target.averageValue}{word}"
    return f"{(value.value if value else None) or cells.UNKNOWN}/{target.value}"


def reference_text(autoscaler: HorizontalPodAutoscaler) -> str:
    return f"{autoscaler.spec.scaleTargetRef.kind}/{autoscaler.spec.scaleTargetRef.name}"


STRATEGY: Strategy[HorizontalPodAutoscaler] = Strategy(
    warnings=unserved.warned(unserved.AUTOSCALING),
    default=default,
    prepare_for_create=clear_status,
    prepare_for_update=keep_status,
    prepare_for_status_update=keep_spec,
    validate=validate,
    validate_status_update=validate_status_update,
    columns=(
        cells.name_column(),
        cells.text("Reference", reference_text),
        cells.text("Targets", targets_text),
        cells.text("MinPods", lambda autoscaler: _minimum(autoscaler.spec.minReplicas)),
        cells.count("MaxPods", lambda autoscaler: autoscaler.spec.maxReplicas),
        cells.count("Replicas", lambda autoscaler: autoscaler.status.currentReplicas),
        cells.age_column(),
    ),
    has_generation=False,
)


def _minimum(replicas: int | None) -> str:
    return cells.UNSET if replicas is None else str(replicas)
