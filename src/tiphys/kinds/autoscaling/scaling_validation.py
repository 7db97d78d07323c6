"""Whether targets, metrics and behavior of a HorizontalPodAutoscaler are well formed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tiphys.kinds.core.resource_validation import container_resource_name
from tiphys.kinds.label_selectors import validate_label_selector
from tiphys.kinds.object_meta import label_name, path_segment_name, subdomain_name
from tiphys.kinds.types.autoscaling_v1 import CrossVersionObjectReference as OldReference
from tiphys.kinds.types.autoscaling_v2 import (
    CrossVersionObjectReference,
    HorizontalPodAutoscalerBehavior,
    HPAScalingRules,
    MetricIdentifier,
    MetricSpec,
    MetricTarget,
)
from tiphys.machinery.field_errors import FieldError, Path, forbidden, invalid, not_supported, required

METRIC_TYPES = ("ContainerResource", "External", "Object", "Pods", "Resource")
TARGET_TYPES = ("AverageValue", "Utilization", "Value")
SELECTIONS = ("Disabled", "Max", "Min")
POLICY_TYPES = ("Percent", "Pods")
NOTHING_OUTSIDE = "must specify at least one Object or External metric to support scaling to zero replicas"
WINDOW_LIMIT_SECONDS = 3600
PERIOD_LIMIT_SECONDS = 1800
_FIELDS = {
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
    "ContainerResource": "containerResource",
    "External": "external",
}


def validate_target(reference: CrossVersionObjectReference | OldReference, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    for field in ("kind", "name"):
        value = getattr(reference, field)
        if not value:
            found.append(required(path.child(field)))
        found += [invalid(path.child(field), value, text) for text in path_segment_name(value)]
    group = (reference.apiVersion or "").rpartition("/")[0]
    if (reference.apiVersion or "").count("/") > 1:
        found.append(
            invalid(
                path.child("apiVersion"),
                reference.apiVersion,
                f"unexpected GroupVersion string: {reference.apiVersion}",
            )
        )
    elif group:
        found += [invalid(path.child("apiVersion"), reference.apiVersion, text) for text in subdomain_name(group)]
    return found


def validate_metrics(metrics: Sequence[MetricSpec], path: Path, minimum: int) -> list[FieldError]:
    found: list[FieldError] = []
    outside = False
    for position, metric in enumerate(metrics):
        found += _metric_findings(metric, path.index(position))
        outside = outside or metric.type in ("Object", "External")
    if minimum == 0 and not outside:
        found.append(forbidden(path, NOTHING_OUTSIDE))
    return found


def _metric_findings(metric: MetricSpec, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if not metric.type:
        found.append(required(path.child("type"), "must specify a metric source type"))
    if metric.type not in METRIC_TYPES:
        found.append(not_supported(path.child("type"), metric.type, METRIC_TYPES))
    wanted = _FIELDS.get(metric.type, "")
    for kind, field in _FIELDS.items():
        source = getattr(metric, field)
        if source is not None:
            found += _source_findings(kind, source, path.child(field))
            if wanted and field != wanted:
                found.append(forbidden(path.child(field), "must populate the given metric source only"))
        elif field == wanted:
            found.append(required(path.child(field), "must populate information for the given metric source"))
    return found


def _source_findings(kind: str, source: Any, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if kind in ("Resource", "ContainerResource"):
        if not source.name:
            found.append(required(path.child("name"), "must specify a resource name"))
        elif kind == "ContainerResource":
            found += [invalid(path.child("name"), source.name, text) for text in container_resource_name(source.name)]
        if kind == "ContainerResource" and not source.container:
            found.append(required(path.child("container"), "must specify a container"))
        elif kind == "ContainerResource":
            found += [invalid(path.child("container"), source.container, t) for t in label_name(source.container)]
    else:
        found += _identifier_findings(source.metric, path.child("metric"))
    if kind == "Object":
        found += validate_target(source.describedObject, path.child("describedObject"))
    return found + _target_findings(kind, source.target, path.child("target"))


def _identifier_findings(metric: MetricIdentifier, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if not metric.name:
        found.append(required(path.child("name"), "must specify a metric name"))
    else:
        found += [invalid(path.child("name"), metric.name, text) for text in path_segment_name(metric.name)]
    return found + validate_label_selector(metric.selector, path.child("selector"))


def _target_findings(kind: str, target: MetricTarget, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if not target.type:
        found.append(required(path.child("type"), "must specify a metric target type"))
    if target.type not in TARGET_TYPES:
        detail = "must be either Utilization, Value, or AverageValue"
        found.append(invalid(path.child("type"), target.type, detail))
    if target.averageUtilization is not None and target.averageUtilization < 1:
        found.append(invalid(path.child("averageUtilization"), target.averageUtilization, "must be greater than 0"))
    for field in ("value", "averageValue"):
        amount = getattr(target, field)
        if amount is not None and amount.amount <= 0:
            found.append(invalid(path.child(field), str(amount), "must be positive"))
    if kind == "Pods" and (target.averageValue is None or target.averageValue.amount <= 0):
        found.append(required(path.child("averageValue"), "must specify a positive target averageValue"))
    if kind in ("Object", "External"):
        if target.value is not None and target.averageValue is not None and kind == "External":
            detail = "may not set both a target value for metric and a per-pod target"
            found.append(forbidden(path.child("value"), detail))
        if target.value is None and target.averageValue is None:
            per_pod = "averageValue" if kind == "Object" else "for metric or a per-pod target"
            detail = f"must set either a target value {'or ' if kind == 'Object' else ''}{per_pod}"
            found.append(required(path.child("averageValue"), detail))
    if kind in ("Resource", "ContainerResource"):
        if target.averageUtilization is None and target.averageValue is None:
            detail = "must set either a target raw value or a target utilization"
            found.append(required(path.child("averageUtilization"), detail))
        if target.averageUtilization is not None and target.averageValue is not None:
            detail = "may not set both a target raw value and a target utilization"
            found.append(forbidden(path.child("averageValue"), detail))
    return found


def validate_behavior(behavior: HorizontalPodAutoscalerBehavior, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    for field in ("scaleUp", "scaleDown"):
        rules = getattr(behavior, field)
        if rules is not None:
            found += _rules_findings(rules, path.child(field))
    return found


def _rules_findings(rules: HPAScalingRules, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    window, at = rules.stabilizationWindowSeconds, path.child("stabilizationWindowSeconds")
    if window is not None and window < 0:
        found.append(invalid(at, window, "must be greater than or equal to zero"))
    elif window is not None and window > WINDOW_LIMIT_SECONDS:
        found.append(invalid(at, window, f"must be less than or equal to {WINDOW_LIMIT_SECONDS}"))
    if rules.selectPolicy is not None and rules.selectPolicy not in SELECTIONS:
        found.append(not_supported(path.child("selectPolicy"), rules.selectPolicy, SELECTIONS))
    if not rules.policies:
        found.append(required(path.child("policies"), "must specify at least one Policy"))
    for position, policy in enumerate(rules.policies or ()):
        here = path.child("policies").index(position)
        if policy.type not in POLICY_TYPES:
            found.append(not_supported(here.child("type"), policy.type, POLICY_TYPES))
        if policy.value <= 0:
            found.append(invalid(here.child("value"), policy.value, "must be greater than zero"))
        if policy.periodSeconds <= 0:
            found.append(invalid(here.child("periodSeconds"), policy.periodSeconds, "must be greater than zero"))
        elif policy.periodSeconds > PERIOD_LIMIT_SECONDS:
            detail = f"must be less than or equal to {PERIOD_LIMIT_SECONDS}"
            found.append(invalid(here.child("periodSeconds"), policy.periodSeconds, detail))
    if rules.tolerance is not None and rules.tolerance.amount < 0:
        found.append(invalid(path.child("tolerance"), str(rules.tolerance), "must be greater or equal to zero"))
    return found
