"""LimitRanges: what they fill in and what they refuse, word for word."""

from __future__ import annotations

from typing import Any

import pytest
from api_world import World

from tiphys.apiserver.admission.limit_ranger import ANNOTATION, apply_defaults, claim_findings, pod_findings
from tiphys.kinds.types import core_v1, meta_v1
from tiphys.machinery.errors import ApiError
from tiphys.machinery.quantity import parse


def amounts(**given: str) -> dict[str, Any]:
    return {name: parse(text) for name, text in given.items()}


def limit_range(kind: str = "Container", **sides: Any) -> core_v1.LimitRange:
    item = core_v1.LimitRangeItem(type=kind, **sides)
    meta = meta_v1.ObjectMeta(name="limits", namespace="default")
    return core_v1.LimitRange(metadata=meta, spec=core_v1.LimitRangeSpec(limits=[item]))


def container(name: str = "c", requests: Any = None, limits: Any = None) -> core_v1.Container:
    resources = core_v1.ResourceRequirements(requests=requests, limits=limits)
    return core_v1.Container(
        name=name, image="i", resources=resources if requests is not None or limits is not None else None
    )


def pod(*containers: core_v1.Container, name: str = "p") -> core_v1.Pod:
    meta = meta_v1.ObjectMeta(name=name, namespace="default")
    return core_v1.Pod(metadata=meta, spec=core_v1.PodSpec(containers=list(containers)))


def test_what_containers_leave_out_is_filled_in() -> None:
    limits = limit_range(
        default=amounts(cpu="500m", memory="500Mi"), defaultRequest=amounts(cpu="100m", memory="200Mi")
    )
    found = pod(container("a"), container("b", requests=amounts(cpu="300m")))
    apply_defaults(limits, found)
    resources = [c.resources for c in found.spec.containers]
    assert resources == [
        core_v1.ResourceRequirements(
            requests=amounts(cpu="100m", memory="200Mi"), limits=amounts(cpu="500m", memory="500Mi")
        ),
        core_v1.ResourceRequirements(
            requests=amounts(cpu="300m", memory="200Mi"), limits=amounts(cpu="500m", memory="500Mi")
        ),
    ]
    assert (found.metadata.annotations or {})[ANNOTATION] == (
        "LimitRanger plugin set: cpu, memory request for container a; cpu, memory limit for container a;"
        " memory request for container b; cpu, memory limit for container b"
    )


def test_too_little_and_too_much() -> None:
    low = limit_range(min=amounts(memory="100Mi", cpu="50m"))
    assert list(pod_findings(low, pod(container(requests=amounts(memory="50Mi"), limits=amounts(memory="80Mi"))))) == [
        "minimum cpu usage per Container is 50m.  No request is specified",
        "minimum memory usage per Container is 100Mi, but request is 50Mi",
        "minimum memory usage per Container is 100Mi, but limit is 80Mi",
    ]
    high = limit_range(max=amounts(cpu="1", memory="1Gi"))
    assert list(pod_findings(high, pod(container(requests=amounts(cpu="2"), limits=amounts(cpu="3"))))) == [
        "maximum cpu usage per Container is 1, but limit is 3",
        "maximum cpu usage per Container is 1, but request is 2",
        "maximum memory usage per Container is 1Gi.  No limit is specified",
    ]


def test_proportions() -> None:
    limits = limit_range(maxLimitRequestRatio=amounts(cpu="2"))
    fits = pod(container(requests=amounts(cpu="500m"), limits=amounts(cpu="1")))
    assert list(pod_findings(limits, fits)) == []
    assert list(pod_findings(limits, pod(container(requests=amounts(cpu="500m"), limits=amounts(cpu="1500m"))))) == [
        "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000"
    ]
    assert list(pod_findings(limits, pod(container()))) == [
        "cpu max limit to request ratio per Container is 2, but no request is specified or request is 0"
    ]


def test_pods_are_measured_as_a_whole() -> None:
    limits = limit_range("Pod", max=amounts(cpu="1"))
    found = pod(*(container(n, amounts(cpu="400m"), amounts(cpu="400m")) for n in "ab"))
    assert list(pod_findings(limits, found)) == []
    found.spec.initContainers = [container("i", amounts(cpu="2"), amounts(cpu="2"))]
    assert list(pod_findings(limits, found)) == [
        "maximum cpu usage per Pod is 1, but limit is 2",
        "maximum cpu usage per Pod is 1, but request is 2",
    ]


def test_claims() -> None:
    limits = limit_range("PersistentVolumeClaim", min=amounts(storage="1Gi"), max=amounts(storage="2Gi"))
    meta = meta_v1.ObjectMeta(name="claim", namespace="default")
    claim = core_v1.PersistentVolumeClaim(metadata=meta)
    for size, texts in (
        ("1536Mi", []),
        ("512Mi", ["minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 512Mi"]),
        ("3Gi", ["maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi"]),
    ):
        claim.spec.resources = core_v1.VolumeResourceRequirements(requests=amounts(storage=size))
        assert list(claim_findings(limits, claim)) == texts


async def test_a_limit_range_rules_its_namespace_alone(world: World) -> None:
    await world.client.create(
        limit_range(
            min=amounts(cpu="50m"),
            max=amounts(cpu="500m"),
            default=amounts(cpu="200m"),
            defaultRequest=amounts(cpu="100m"),
        )
    )
    created = await world.client.create(pod(container()))
    assert created.spec.containers[0].resources == core_v1.ResourceRequirements(
        requests=amounts(cpu="100m"), limits=amounts(cpu="200m")
    )
    assert created.status.qosClass == "Burstable"
    with pytest.raises(ApiError) as caught:
        await world.client.create(pod(container(requests=amounts(cpu="10m"), limits=amounts(cpu="600m")), name="q"))
    assert (caught.value.code, caught.value.reason) == (403, "Forbidden")
    assert caught.value.message == (
        'pods "q" is forbidden: [minimum cpu usage per Container is 50m, but request is 10m,'
        " maximum cpu usage per Container is 500m, but limit is 600m]"
    )
    elsewhere = pod(container())
    elsewhere.metadata.namespace = "other"
    assert (await world.client.create(elsewhere)).status.qosClass == "BestEffort"
