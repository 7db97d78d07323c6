"""Versions of the same objects: what goes over and comes back."""

from __future__ import annotations

import random

import pytest
from random_objects import random_object

from tiphys.kinds import codec, registry
from tiphys.kinds.conversion import CONVERSIONS, convert_object
from tiphys.kinds.types import autoscaling_v1, autoscaling_v2, core_v1, events_v1
from tiphys.kinds.types.meta_v1 import ObjectMeta
from tiphys.machinery.quantity import parse


def test_every_shared_storage_can_be_converted() -> None:
    for resource in registry.all_resources():
        home = registry.storage_resource(resource)
        assert home.storage == resource.storage
        if home != resource:
            assert {(resource.type, home.type), (home.type, resource.type)} <= set(CONVERSIONS)


def test_same_type_and_strangers() -> None:
    event = core_v1.Event()
    assert convert_object(event, core_v1.Event) is event
    with pytest.raises(LookupError):
        convert_object(event, autoscaling_v1.HorizontalPodAutoscaler)


def test_events_lose_nothing_on_the_way() -> None:
    for seed in range(60):
        old = random_object(core_v1.Event, random.Random(seed))
        there = convert_object(old, events_v1.Event)
        again = convert_object(there, core_v1.Event)
        for event in (old, again):
            event.reportingComponent = event.reportingComponent or ""
            event.reportingInstance = event.reportingInstance or ""
            if event.series is not None:
                event.series.count = event.series.count or 0
        assert codec.plain(again) == codec.plain(old)


def test_an_event_in_both_forms() -> None:
    event = events_v1.Event(
        metadata=ObjectMeta(name="a", namespace="default"),
        regarding=core_v1.ObjectReference(kind="Pod", name="p"),
        reason="Pulled",
        note="it is here",
        type="Normal",
        reportingController="kubelet",
        deprecatedCount=2,
    )
    assert codec.plain(convert_object(event, core_v1.Event)) == {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "a", "namespace": "default"},
        "involvedObject": {"kind": "Pod", "name": "p"},
        "reason": "Pulled",
        "message": "it is here",
        "type": "Normal",
        "reportingComponent": "kubelet",
        "reportingInstance": "",
        "count": 2,
    }


def autoscaler() -> autoscaling_v2.HorizontalPodAutoscaler:
    cpu = autoscaling_v2.ResourceMetricSource(
        name="cpu", target=autoscaling_v2.MetricTarget(type="Utilization", averageUtilization=70)
    )
    memory = autoscaling_v2.ResourceMetricSource(
        name="memory", target=autoscaling_v2.MetricTarget(type="AverageValue", averageValue=parse("1Gi"))
    )
    return autoscaling_v2.HorizontalPodAutoscaler(
        metadata=ObjectMeta(name="a", annotations={"mine": "x"}),
        spec=autoscaling_v2.HorizontalPodAutoscalerSpec(
            minReplicas=1,
            maxReplicas=3,
            scaleTargetRef=autoscaling_v2.CrossVersionObjectReference(
                apiVersion="apps/v1", kind="Deployment", name="d"
            ),
            metrics=[
                autoscaling_v2.MetricSpec(type="Resource", resource=cpu),
                autoscaling_v2.MetricSpec(type="Resource", resource=memory),
            ],
            behavior=autoscaling_v2.HorizontalPodAutoscalerBehavior(
                scaleUp=autoscaling_v2.HPAScalingRules(stabilizationWindowSeconds=5)
            ),
        ),
        status=autoscaling_v2.HorizontalPodAutoscalerStatus(
            currentReplicas=1,
            desiredReplicas=2,
            conditions=[autoscaling_v2.HorizontalPodAutoscalerCondition(type="AbleToScale", status="True")],
            currentMetrics=[
                autoscaling_v2.MetricStatus(
                    type="Resource",
                    resource=autoscaling_v2.ResourceMetricStatus(
                        name="cpu", current=autoscaling_v2.MetricValueStatus(averageUtilization=40)
                    ),
                )
            ],
        ),
    )


def test_autoscalers_keep_in_annotations_what_the_old_form_lacks() -> None:
    new = autoscaler()
    old = convert_object(new, autoscaling_v1.HorizontalPodAutoscaler)
    assert (old.spec.targetCPUUtilizationPercentage, old.status.currentCPUUtilizationPercentage) == (70, 40)
    assert set(old.metadata.annotations or {}) == {
        "mine",
        "autoscaling.alpha.kubernetes.io/metrics",
        "autoscaling.alpha.kubernetes.io/behavior",
        "autoscaling.alpha.kubernetes.io/conditions",
    }
    assert codec.plain(convert_object(old, autoscaling_v2.HorizontalPodAutoscaler)) == codec.plain(autoscaler())


def test_the_old_form_measures_cpu_unless_it_says_otherwise() -> None:
    new = convert_object(autoscaling_v1.HorizontalPodAutoscaler(), autoscaling_v2.HorizontalPodAutoscaler)
    assert codec.plain(new.spec)["metrics"] == [
        {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}
    ]


def test_a_broken_annotation_is_as_good_as_none() -> None:
    old = autoscaling_v1.HorizontalPodAutoscaler(
        metadata=ObjectMeta(name="a", annotations={"autoscaling.alpha.kubernetes.io/metrics": "{"})
    )
    assert convert_object(old, autoscaling_v2.HorizontalPodAutoscaler).spec.metrics is None
