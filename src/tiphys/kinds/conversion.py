"""Turning objects from one version into another where several versions of a resource share storage.

`convert_object(object, to type)` looks in one table of pure functions (from type, to type). The result is a new object
that may share parts with the old one. What one version has no field for is kept in annotations, so that a round trip
loses nothing.
Which version is stored: `registry.storage_resource`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from tiphys.kinds import codec
from tiphys.kinds.policy import empty_selectors
from tiphys.kinds.types import (
    autoscaling_v1,
    autoscaling_v2,
    core_v1,
    discovery_v1,
    discovery_v1beta1,
    events_v1,
    policy_v1,
    policy_v1beta1,
)
from tiphys.kinds.types.meta_v1 import ObjectMeta

T = TypeVar("T")
Found = TypeVar("Found")

METRICS = "autoscaling.alpha.kubernetes.io/metrics"
CURRENT_METRICS = "autoscaling.alpha.kubernetes.io/current-metrics"
CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"
BEHAVIOR = "autoscaling.alpha.kubernetes.io/behavior"
DEFAULT_CPU_PERCENT = 80
HOSTNAME, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
_KEPT = (METRICS, CURRENT_METRICS, CONDITIONS, BEHAVIOR)


def convert_object(thing: Any, wanted: type[T]) -> T:
    """The object in another version. LookupError when the two are not versions of one resource."""
    if type(thing) is wanted:
        return thing
    function = CONVERSIONS.get((type(thing), wanted))
    if function is None:
        raise LookupError(f"no conversion from {type(thing).__module__} to {wanted.__module__}")
    found: T = function(thing)
    return found


def in_version(wanted: type[T], function: Callable[..., Found]) -> Callable[..., Found]:
    """A hook of another version's strategy, for objects of this one; it must only read them."""
    return lambda *things: function(*(convert_object(thing, wanted) for thing in things))


def _likewise(thing: Any, wanted: type[T]) -> T:
    """The other version with all fields that have the same name and form in both."""
    plain = codec.plain(msgspec.structs.replace(thing, metadata=ObjectMeta()))
    del plain["apiVersion"]
    found = codec.convert(plain, wanted)
    found.metadata = thing.metadata  # type: ignore[attr-defined]
    return found


def event_to_core(event: events_v1.Event) -> core_v1.Event:
    series = event.series
    return core_v1.Event(
        metadata=event.metadata,
        involvedObject=event.regarding or core_v1.ObjectReference(),
        related=event.related,
        reason=event.reason,
        message=event.note,
        type=event.type,
        action=event.action,
        eventTime=event.eventTime,
        series=core_v1.EventSeries(count=series.count, lastObservedTime=series.lastObservedTime) if series else None,
        reportingComponent=event.reportingController or "",
        reportingInstance=event.reportingInstance or "",
        source=event.deprecatedSource,
        firstTimestamp=event.deprecatedFirstTimestamp,
        lastTimestamp=event.deprecatedLastTimestamp,
        count=event.deprecatedCount,
    )


def event_from_core(event: core_v1.Event) -> events_v1.Event:
    series = event.series
    return events_v1.Event(
        metadata=event.metadata,
        regarding=event.involvedObject,
        related=event.related,
        reason=event.reason,
        note=event.message,
        type=event.type,
        action=event.action,
        eventTime=event.eventTime,
        series=events_v1.EventSeries(count=series.count or 0, lastObservedTime=series.lastObservedTime)
        if series
        else None,
        reportingController=event.reportingComponent or None,
        reportingInstance=event.reportingInstance or None,
        deprecatedSource=event.source,
        deprecatedFirstTimestamp=event.firstTimestamp,
        deprecatedLastTimestamp=event.lastTimestamp,
        deprecatedCount=event.count,
    )


def _is_cpu_share(metric: autoscaling_v2.MetricSpec) -> bool:
    resource = metric.resource
    return resource is not None and resource.name == "cpu" and resource.target.averageUtilization is not None


def autoscaler_to_v1(autoscaler: autoscaling_v2.HorizontalPodAutoscaler) -> autoscaling_v1.HorizontalPodAutoscaler:
    spec, status = autoscaler.spec, autoscaler.status
    metrics = spec.metrics or []
    cpu = next((metric for metric in metrics if _is_cpu_share(metric)), None)
    percent = cpu.resource.target.averageUtilization if cpu is not None and cpu.resource is not None else None
    current = next(
        (m.resource for m in status.currentMetrics or () if m.resource is not None and m.resource.name == "cpu"), None
    )
    kept = {
        METRICS: [metric for metric in metrics if metric is not cpu],
        CURRENT_METRICS: [m for m in status.currentMetrics or () if m.resource is None or m.resource is not current],
        CONDITIONS: status.conditions or [],
        BEHAVIOR: spec.behavior,
    }
    annotations = dict(autoscaler.metadata.annotations or {})
    annotations |= {key: codec.encode(value).decode() for key, value in kept.items() if value}
    return autoscaling_v1.HorizontalPodAutoscaler(
        metadata=_with_annotations(autoscaler.metadata, annotations),
        spec=autoscaling_v1.HorizontalPodAutoscalerSpec(
            minReplicas=spec.minReplicas,
            maxReplicas=spec.maxReplicas,
            scaleTargetRef=_reference_to_v1(spec.scaleTargetRef),
            targetCPUUtilizationPercentage=percent,
        ),
        status=autoscaling_v1.HorizontalPodAutoscalerStatus(
            observedGeneration=status.observedGeneration,
            lastScaleTime=status.lastScaleTime,
            currentReplicas=status.currentReplicas or 0,
            desiredReplicas=status.desiredReplicas,
            currentCPUUtilizationPercentage=current.current.averageUtilization if current is not None else None,
        ),
    )


def autoscaler_from_v1(autoscaler: autoscaling_v1.HorizontalPodAutoscaler) -> autoscaling_v2.HorizontalPodAutoscaler:
    spec, status = autoscaler.spec, autoscaler.status
    annotations = dict(autoscaler.metadata.annotations or {})
    kept = {key: annotations.pop(key) for key in _KEPT if key in annotations}
    metrics = _read(kept.get(METRICS), list[autoscaling_v2.MetricSpec]) or []
    percent = spec.targetCPUUtilizationPercentage
    if percent is None and METRICS not in kept:
        percent = DEFAULT_CPU_PERCENT  # the old form cannot say that nothing is measured
    if percent is not None:
        target = autoscaling_v2.MetricTarget(type="Utilization", averageUtilization=percent)
        source = autoscaling_v2.ResourceMetricSource(name="cpu", target=target)
        metrics = [autoscaling_v2.MetricSpec(type="Resource", resource=source), *metrics]
    current = _read(kept.get(CURRENT_METRICS), list[autoscaling_v2.MetricStatus]) or []
    share = status.currentCPUUtilizationPercentage
    if share is not None:
        value = autoscaling_v2.MetricValueStatus(averageUtilization=share)
        measured = autoscaling_v2.ResourceMetricStatus(name="cpu", current=value)
        current = [autoscaling_v2.MetricStatus(type="Resource", resource=measured), *current]
    return autoscaling_v2.HorizontalPodAutoscaler(
        metadata=_with_annotations(autoscaler.metadata, annotations),
        spec=autoscaling_v2.HorizontalPodAutoscalerSpec(
            minReplicas=spec.minReplicas,
            maxReplicas=spec.maxReplicas,
            scaleTargetRef=_reference_to_v2(spec.scaleTargetRef),
            metrics=metrics or None,
            behavior=_read(kept.get(BEHAVIOR), autoscaling_v2.HorizontalPodAutoscalerBehavior),
        ),
        status=autoscaling_v2.HorizontalPodAutoscalerStatus(
            observedGeneration=status.observedGeneration,
            lastScaleTime=status.lastScaleTime,
            currentReplicas=status.currentReplicas,
            desiredReplicas=status.desiredReplicas,
            currentMetrics=current or None,
            conditions=_read(kept.get(CONDITIONS), list[autoscaling_v2.HorizontalPodAutoscalerCondition]),
        ),
    )


def slice_to_v1beta1(endpoint_slice: discovery_v1.EndpointSlice) -> discovery_v1beta1.EndpointSlice:
    found = _likewise(endpoint_slice, discovery_v1beta1.EndpointSlice)
    for endpoint, newer in zip(found.endpoints, endpoint_slice.endpoints or (), strict=True):
        topology = dict(newer.deprecatedTopology or {})
        if newer.zone is not None:
            topology[ZONE] = newer.zone
        if newer.nodeName is not None and not topology.get(HOSTNAME):
            topology[HOSTNAME] = newer.nodeName
        endpoint.topology = topology or None
    return found


def slice_from_v1beta1(endpoint_slice: discovery_v1beta1.EndpointSlice) -> discovery_v1.EndpointSlice:
    """The labels of an endpoint's zone and node become fields. A node's label that differs from the node's name stays
    a label."""
    found = _likewise(endpoint_slice, discovery_v1.EndpointSlice)
    for endpoint, older in zip(found.endpoints or (), endpoint_slice.endpoints, strict=True):
        topology = dict(older.topology or {})
        endpoint.zone = topology.pop(ZONE, None)
        if endpoint.nodeName is not None and topology.get(HOSTNAME) == endpoint.nodeName:
            del topology[HOSTNAME]
        endpoint.deprecatedTopology = topology or None
    return found


def budget_to_v1beta1(budget: policy_v1.PodDisruptionBudget) -> policy_v1beta1.PodDisruptionBudget:
    found = _likewise(budget, policy_v1beta1.PodDisruptionBudget)
    found.spec.selector = empty_selectors.to_v1beta1(budget.spec.selector)
    return found


def budget_from_v1beta1(budget: policy_v1beta1.PodDisruptionBudget) -> policy_v1.PodDisruptionBudget:
    found = _likewise(budget, policy_v1.PodDisruptionBudget)
    found.spec.selector = empty_selectors.to_v1(budget.spec.selector)
    return found


def _with_annotations(metadata: ObjectMeta, annotations: dict[str, str]) -> ObjectMeta:
    return msgspec.structs.replace(metadata, annotations=annotations or None)


def _reference_to_v1(
    reference: autoscaling_v2.CrossVersionObjectReference,
) -> autoscaling_v1.CrossVersionObjectReference:
    return autoscaling_v1.CrossVersionObjectReference(
        apiVersion=reference.apiVersion, kind=reference.kind, name=reference.name
    )


def _reference_to_v2(
    reference: autoscaling_v1.CrossVersionObjectReference,
) -> autoscaling_v2.CrossVersionObjectReference:
    return autoscaling_v2.CrossVersionObjectReference(
        apiVersion=reference.apiVersion, kind=reference.kind, name=reference.name
    )


def _read(text: str | None, wanted: type[T]) -> T | None:
    """What was kept in an annotation; None when nothing was, or somebody broke it."""
    if text is None:
        return None
    try:
        return codec.decode(text.encode(), wanted)
    except msgspec.MsgspecError:
        return None


CONVERSIONS: dict[tuple[type[Any], type[Any]], Callable[[Any], Any]] = {
    (events_v1.Event, core_v1.Event): event_to_core,
    (core_v1.Event, events_v1.Event): event_from_core,
    (autoscaling_v2.HorizontalPodAutoscaler, autoscaling_v1.HorizontalPodAutoscaler): autoscaler_to_v1,
    (autoscaling_v1.HorizontalPodAutoscaler, autoscaling_v2.HorizontalPodAutoscaler): autoscaler_from_v1,
    (discovery_v1.EndpointSlice, discovery_v1beta1.EndpointSlice): slice_to_v1beta1,
    (discovery_v1beta1.EndpointSlice, discovery_v1.EndpointSlice): slice_from_v1beta1,
    (policy_v1.PodDisruptionBudget, policy_v1beta1.PodDisruptionBudget): budget_to_v1beta1,
    (policy_v1beta1.PodDisruptionBudget, policy_v1.PodDisruptionBudget): budget_from_v1beta1,
}
