"""Findings whose path is not quite that of the field: clients have always seen them like this."""

from __future__ import annotations

from typing import Any

import pytest
from documents import create_findings

NAMED = {"name": "a", "namespace": "default"}
TWO_TYPES = "Forbidden: may not specify more than 1 volume type"
NAME_PART = 'Invalid value: "/x": prefix part must be non-empty'


def thing(kind: str, version: str = "v1", **content: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": NAMED, **content}


def pod(**sources: Any) -> dict[str, Any]:
    return thing("Pod", spec={"containers": [{"name": "c", "image": "i"}], "volumes": [{"name": "v", **sources}]})


def volume(**sources: Any) -> dict[str, Any]:
    return thing("PersistentVolume", spec={"capacity": {"storage": "1"}, "accessModes": ["ReadWriteOnce"], **sources})


def drivers(*keys: str) -> dict[str, Any]:
    spec = {"drivers": [{"name": "d", "nodeID": "n", "topologyKeys": list(keys)}]}
    return {**thing("CSINode", "storage.k8s.io/v1", spec=spec), "metadata": {"name": "a"}}


CASES: list[tuple[str, dict[str, Any], list[tuple[str, str, str]]]] = [
    ("downward", pod(emptyDir={}, downwardAPI={}), [("spec.volumes[0].downwarAPI", "Forbidden", TWO_TYPES)]),
    ("ceph", pod(emptyDir={}, cephfs={"monitors": ["m"]}), [("spec.volumes[0].cephFS", "Forbidden", TWO_TYPES)]),
    (
        "ceph of a volume",
        volume(hostPath={"path": "/v"}, cephfs={"monitors": ["m"]}),
        [("spec.cephFS", "Forbidden", TWO_TYPES)],
    ),
    (
        "disk of a volume",
        volume(gcePersistentDisk={"pdName": "a", "partition": 256}),
        [("spec.persistentDisk.partition", "Invalid", "Invalid value: 256: must be between 1 and 255, inclusive")],
    ),
    (
        "basic authentication",
        thing("Secret", type="kubernetes.io/basic-auth"),
        [(f"data[%s][{key}]", "Required", "Required value") for key in ("username", "password")],
    ),
    (
        "processor percentage",
        thing(
            "HorizontalPodAutoscaler",
            "autoscaling/v1",
            spec={
                "maxReplicas": 3,
                "scaleTargetRef": {"kind": "Deployment", "name": "a"},
                "targetCPUUtilizationPercentage": -1,
            },
        ),
        [
            (
                "spec.metrics[0].resource.target.averageUtilization",
                "Invalid",
                "Invalid value: -1: must be greater than 0",
            )
        ],
    ),
    (
        "roles to join",
        thing(
            "ClusterRole",
            "rbac.authorization.k8s.io/v1",
            aggregationRule={"clusterRoleSelectors": [{"matchLabels": {"/x": "y"}}]},
        ),
        [
            ("aggregationRule.clusterRoleSelectors[0].matchLabels", "Invalid", NAME_PART),
            ("aggregationRule.clusterRoleSelectors[0]", "Invalid", "Invalid value: null: invalid label selector."),
        ],
    ),
    ("topology key twice", drivers("a", "a"), [("spec.drivers[0]", "Duplicate", 'Duplicate value: "a"')]),
    ("topology key", drivers("/x"), [("spec.drivers[0]", "Invalid", NAME_PART)]),
]


@pytest.mark.parametrize(("document", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_paths(document: dict[str, Any], expected: list[tuple[str, str, str]]) -> None:
    assert create_findings(document) == expected
