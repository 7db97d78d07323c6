"""Amounts of resources, wherever an object has them: rounded up to thousandths, and judged alike."""

from __future__ import annotations

import operator
from functools import reduce
from typing import Any

import pytest
from documents import changed, create_findings, created, decoded, resource_for

from tiphys.kinds import codec
from tiphys.machinery.quantity import Quantity, round_up_to_milli

NAMED = {"name": "a", "namespace": "default"}
LABELS = {"app": "x"}
POD_SPEC: dict[str, Any] = {"containers": [{"name": "c", "image": "i"}]}
TEMPLATE = {"metadata": {"labels": LABELS}, "spec": POD_SPEC}
CLAIM_SPEC = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}


def thing(kind: str, version: str = "v1", **content: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": NAMED, **content}


POD = thing("Pod", spec=POD_SPEC)
DEPLOYMENT = thing("Deployment", "apps/v1", spec={"selector": {"matchLabels": LABELS}, "template": TEMPLATE})
STATEFUL_SET = thing(
    "StatefulSet",
    "apps/v1",
    spec={
        "selector": {"matchLabels": LABELS},
        "template": TEMPLATE,
        "volumeClaimTemplates": [{"metadata": {"name": "d"}, "spec": CLAIM_SPEC}],
    },
)
VOLUME = thing("PersistentVolume", spec={"capacity": {}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/v"}})
RUNTIME = thing("RuntimeClass", "node.k8s.io/v1", handler="runc")
LIMITS = thing("LimitRange", spec={"limits": [{"type": "Container"}]})
QUOTA = thing("ResourceQuota", spec={"hard": {"pods": "1"}})
EPHEMERAL = {"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": CLAIM_SPEC}}}
MOUNTING = changed(POD, {"spec.volumes": [EPHEMERAL]})


@pytest.mark.parametrize(
    ("written", "rounded"),
    [
        ("500u", "1m"),
        ("1m", "1m"),
        ("1500000n", "2m"),
        ("-500u", "-1m"),
        ("1001u", "2m"),
        ("500e-6", "1e-3"),
        ("1Gi", "1Gi"),
        ("0", "0"),
    ],
)
def test_thousandths(written: str, rounded: str) -> None:
    assert round_up_to_milli(Quantity(written)) == rounded


@pytest.mark.parametrize(
    ("document", "path"),
    [
        (POD, "spec.containers.0.resources.requests.cpu"),
        (POD, "spec.containers.0.resources.limits.cpu"),
        (POD, "spec.overhead.cpu"),
        (POD, "spec.resources.requests.cpu"),
        (MOUNTING, "spec.volumes.0.ephemeral.volumeClaimTemplate.spec.resources.requests.storage"),
        (DEPLOYMENT, "spec.template.spec.containers.0.resources.requests.cpu"),
        (STATEFUL_SET, "spec.volumeClaimTemplates.0.spec.resources.requests.storage"),
        (thing("PersistentVolumeClaim", spec=CLAIM_SPEC), "spec.resources.requests.storage"),
        (thing("PersistentVolumeClaim", spec=CLAIM_SPEC), "status.capacity.storage"),
        (VOLUME, "spec.capacity.storage"),
        (LIMITS, "spec.limits.0.max.cpu"),
        (LIMITS, "spec.limits.0.maxLimitRequestRatio.cpu"),
        (QUOTA, "spec.hard.cpu"),
        (thing("Node"), "status.capacity.cpu"),
    ],
    ids=lambda value: value if isinstance(value, str) else value["kind"],
)
def test_amounts_by_resource_are_rounded_up(document: dict[str, Any], path: str) -> None:
    written = decoded(changed(document, {path: "100001u"}))
    resource_for(document).strategy.default(written)
    steps = [int(step) if step.isdigit() else step for step in path.split(".")]
    assert reduce(operator.getitem, steps, codec.plain(written)) == "101m"


def test_sizes_and_divisors_stay_as_written() -> None:
    reference = {"resource": "limits.cpu", "divisor": "500u"}
    pod = created(
        changed(POD, {"spec.containers.0.env": [{"name": "A", "valueFrom": {"resourceFieldRef": reference}}]})
    )
    assert pod.spec.containers[0].env[0].valueFrom.resourceFieldRef.divisor == "500u"


OVERHEADS = [
    ({"cpu": "-1"}, [("[cpu]", "Invalid", 'Invalid value: "-1": must be greater than or equal to 0')]),
    ({"example.com/x": "1500m"}, [("[example.com/x]", "Invalid", 'Invalid value: "1500m": must be an integer')]),
    ({"hugepages-2Mi": "2Mi"}, [("", "Forbidden", "Forbidden: HugePages require cpu or memory")]),
]


@pytest.mark.parametrize(("overhead", "expected"), OVERHEADS)
def test_overhead_is_judged_like_limits(overhead: dict[str, str], expected: list[tuple[str, str, str]]) -> None:
    for document, path, place in ((POD, "spec.overhead", "spec.overhead"), (RUNTIME, "overhead.podFixed", "overhead")):
        fields = [(f"{place}.limits{field}" if field else place, *rest) for field, *rest in expected]
        assert create_findings(changed(document, {path: overhead})) == fields


@pytest.mark.parametrize("name", ["example.com/x", "count/jobs.batch", "pods"])
def test_a_quota_counts_in_whole_pieces(name: str) -> None:
    found = create_findings(thing("ResourceQuota", spec={"hard": {name: "1500m"}}))
    assert found == [(f"spec.hard[{name}]", "Invalid", 'Invalid value: "1500m": must be an integer')]


def test_what_is_wrong_with_each_limit() -> None:
    limits = [{"type": "X"}, {"type": "Y"}, {"type": "PersistentVolumeClaim"}]
    standard = "must be a standard limit type or fully qualified"
    assert create_findings(thing("LimitRange", spec={"limits": limits})) == [
        ("spec.limits[0].type", "Invalid", f'Invalid value: "X": {standard}'),
        ("spec.limits[1].type", "Invalid", f'Invalid value: "Y": {standard}'),
        (
            "spec.limits[2].limits",
            "Required",
            "Required value: either minimum or maximum storage value is required, but neither was provided",
        ),
    ]


def test_what_cannot_be_overcommitted_needs_equal_defaults_only_where_both_are_given() -> None:
    item = {"type": "Container", "min": {"hugepages-2Mi": "2Mi"}}
    assert create_findings(changed(LIMITS, {"spec.limits.0": item})) == []
    item = {"type": "Container", "default": {"hugepages-2Mi": "4Mi"}, "defaultRequest": {"hugepages-2Mi": "2Mi"}}
    assert create_findings(changed(LIMITS, {"spec.limits.0": item})) == [
        (
            "spec.limits[0].defaultRequest[hugepages-2Mi]",
            "Invalid",
            'Invalid value: "2Mi": default value 4Mi must equal to defaultRequest value 2Mi in hugepages-2Mi',
        )
    ]
