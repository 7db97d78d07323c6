"""Versions of the same objects: what goes over and comes back."""

from __future__ import annotations

import random

import pytest
from random_objects import random_object

from tiphys.kinds import codec, registry
from tiphys.kinds.conversion import CONVERSIONS, convert_object
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
from tiphys.kinds.types.meta_v1 import LabelSelector, LabelSelectorRequirement, ObjectMeta
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


HOSTNAME, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"


@pytest.mark.parametrize(
    ("older", "newer", "back"),
    [
        ({}, {}, {}),
        ({"topology": {ZONE: "z"}}, {"zone": "z"}, {"topology": {ZONE: "z"}}),
        ({"nodeName": "n"}, {"nodeName": "n"}, {"nodeName": "n", "topology": {HOSTNAME: "n"}}),
        (
            {"nodeName": "n", "topology": {HOSTNAME: "n", ZONE: "z", "region": "r"}},
            {"nodeName": "n", "zone": "z", "deprecatedTopology": {"region": "r"}},
            {"nodeName": "n", "topology": {HOSTNAME: "n", ZONE: "z", "region": "r"}},
        ),
        (
            {"nodeName": "n", "topology": {HOSTNAME: "other"}},
            {"nodeName": "n", "deprecatedTopology": {HOSTNAME: "other"}},
            {"nodeName": "n", "topology": {HOSTNAME: "other"}},
        ),
        (
            {"topology": {HOSTNAME: "n"}},
            {"deprecatedTopology": {HOSTNAME: "n"}},
            {"topology": {HOSTNAME: "n"}},
        ),
    ],
)
def test_where_an_endpoint_is(older: dict[str, object], newer: dict[str, object], back: dict[str, object]) -> None:
    addresses = {"addresses": ["192.0.2.1"]}
    plain = {"addressType": "IPv4", "endpoints": [{**addresses, **older}]}
    stored = convert_object(codec.convert(plain, discovery_v1beta1.EndpointSlice), discovery_v1.EndpointSlice)
    assert codec.plain(stored)["endpoints"] == [{**addresses, **newer}]
    shown = convert_object(stored, discovery_v1beta1.EndpointSlice)
    assert codec.plain(shown)["endpoints"] == [{**addresses, **back}]
    assert codec.plain(convert_object(shown, discovery_v1.EndpointSlice)) == codec.plain(stored)


def test_slices_and_budgets_lose_nothing_on_the_way() -> None:
    for seed in range(60):
        dice = random.Random(seed)
        stored = random_object(discovery_v1.EndpointSlice, dice)
        stored.endpoints = stored.endpoints or []
        for endpoint in stored.endpoints:
            endpoint.deprecatedTopology = endpoint.deprecatedTopology or None
        again = convert_object(convert_object(stored, discovery_v1beta1.EndpointSlice), discovery_v1.EndpointSlice)
        assert codec.plain(again) == codec.plain(stored)
        budget = random_object(policy_v1.PodDisruptionBudget, dice)
        shown = convert_object(budget, policy_v1beta1.PodDisruptionBudget)
        back = convert_object(shown, policy_v1.PodDisruptionBudget)
        for each in (budget, back):
            if each.spec.selector is not None:  # empty lists and maps are as good as none
                each.spec.selector.matchLabels = each.spec.selector.matchLabels or None
                each.spec.selector.matchExpressions = each.spec.selector.matchExpressions or None
        assert codec.plain(back) == codec.plain(budget)


EXISTS, ABSENT = (
    LabelSelector(
        matchExpressions=[
            LabelSelectorRequirement(key="pdb.kubernetes.io/deprecated-v1beta1-empty-selector-match", operator=operator)
        ]
    )
    for operator in ("Exists", "DoesNotExist")
)
SOME = LabelSelector(matchLabels={"a": "b"})
SOME_AND_MARK = LabelSelector(matchLabels={"a": "b"}, matchExpressions=EXISTS.matchExpressions)


@pytest.mark.parametrize(
    ("older", "newer"),
    [(None, None), (LabelSelector(), EXISTS), (ABSENT, LabelSelector()), (SOME, SOME), (SOME_AND_MARK, SOME)],
)
def test_an_empty_selector_keeps_its_meaning(older: LabelSelector | None, newer: LabelSelector | None) -> None:
    spec = policy_v1beta1.PodDisruptionBudgetSpec(selector=older)
    stored = convert_object(policy_v1beta1.PodDisruptionBudget(spec=spec), policy_v1.PodDisruptionBudget)
    assert stored.spec.selector == newer
    if older is not SOME_AND_MARK:
        assert convert_object(stored, policy_v1beta1.PodDisruptionBudget).spec.selector == older


@pytest.mark.parametrize(("asked", "stored"), [(EXISTS, EXISTS), (ABSENT, LabelSelector()), (SOME_AND_MARK, SOME)])
def test_the_mark_of_the_older_form_goes_with_nothing_else(asked: LabelSelector, stored: LabelSelector) -> None:
    budget = policy_v1.PodDisruptionBudget(spec=policy_v1.PodDisruptionBudgetSpec(selector=asked))
    registry.resource_of(policy_v1.PodDisruptionBudget).strategy.default(budget)
    assert budget.spec.selector == stored
