"""Claims and volumes: sources, what may change and when, what their status may say."""

from __future__ import annotations

from typing import Any

import pytest
from documents import changed, create_findings, created, stored, told, update_findings

from tiphys.kinds import codec
from tiphys.kinds.core import persistent_volume_claim as claims
from tiphys.kinds.core.volume_warnings import OTHER_NAMESPACES

CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "a", "namespace": "default"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}
VOLUME = {
    "apiVersion": "v1",
    "kind": "PersistentVolume",
    "metadata": {"name": "v"},
    "spec": {
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "1Gi"},
        "csi": {"driver": "csi.example.com", "volumeHandle": "h"},
    },
}
CLONE = {"kind": "PersistentVolumeClaim", "name": "b"}
OTHER = {"apiGroup": "example.com", "kind": "Backup", "name": "b"}
BOUND = {"phase": "Bound", "capacity": {"storage": "1Gi"}}
ATTRIBUTES = "spec.volumeAttributesClassName"


@pytest.mark.parametrize("source", [CLONE, OTHER])
def test_a_source_is_named_in_both_ways(source: dict[str, Any]) -> None:
    spec = codec.plain(created(changed(CLAIM, {"spec.dataSourceRef": source})))["spec"]
    assert spec["dataSource"] == spec["dataSourceRef"] == source


def test_the_way_of_old_keeps_what_it_knows() -> None:
    spec = codec.plain(created(changed(CLAIM, {"spec.dataSource": OTHER})))["spec"]
    assert "dataSource" not in spec
    assert "dataSourceRef" not in spec
    assert codec.plain(created(changed(CLAIM, {"spec.dataSource": CLONE})))["spec"]["dataSourceRef"] == CLONE


@pytest.mark.parametrize(
    ("reference", "detail"),
    [
        ({**CLONE, "name": "c"}, "must match dataSourceRef"),
        ({**CLONE, "namespace": "n"}, "may not be specified when dataSourceRef.namespace is specified"),
    ],
)
def test_both_ways_name_the_same_source(reference: dict[str, Any], detail: str) -> None:
    assert create_findings(changed(CLAIM, {"spec.dataSource": CLONE, "spec.dataSourceRef": reference})) == [
        ("spec", "Invalid", f'Invalid value: "spec.dataSource": {detail}')
    ]


def test_sources_in_other_namespaces_are_warned_of() -> None:
    thing = created(changed(CLAIM, {"spec.dataSourceRef": {**CLONE, "namespace": "n"}}))
    assert claims.STRATEGY.warnings(thing, None) == [f"spec.dataSourceRef.namespace: {OTHER_NAMESPACES}"]


@pytest.mark.parametrize(
    ("status", "changes", "expected"),
    [
        (BOUND, {ATTRIBUTES: "fast"}, []),
        ({}, {ATTRIBUTES: "fast"}, ["spec"]),
        ({}, {"spec.resources.requests.storage": "2Gi"}, ["spec"]),
        (BOUND, {"spec.resources.limits": {"storage": "2Gi"}}, ["spec"]),
        (BOUND, {"spec.storageClassName": "fast"}, []),
        (
            BOUND,
            {"metadata.annotations": {claims.CLASS_ANNOTATION: "fast"}},
            [f"metadata.annotations.{claims.CLASS_ANNOTATION}"],
        ),
    ],
)
def test_what_a_claim_may_change(status: dict[str, Any], changes: dict[str, Any], expected: list[str]) -> None:
    found = update_findings(stored(CLAIM, status), changed(CLAIM, changes))
    assert [field for field, _, _ in found] == expected


def test_the_class_moves_from_its_annotation_to_its_field() -> None:
    annotated = changed(CLAIM, {"metadata.annotations": {claims.CLASS_ANNOTATION: "slow"}})
    old = stored(annotated)
    assert update_findings(old, changed(CLAIM, {"spec.storageClassName": "slow"})) == []
    assert update_findings(old, changed(annotated, {"spec.storageClassName": "slow"})) == []
    assert [f for f, _, _ in update_findings(old, changed(annotated, {"spec.storageClassName": "fast"}))] == ["spec"]


@pytest.mark.parametrize(("value", "word"), [("", "empty string"), (None, "nil")])
def test_attributes_stay_once_there_are_some(value: str | None, word: str) -> None:
    held = changed(CLAIM, {ATTRIBUTES: "fast"})
    for current, expected in (
        (None, []),
        (
            "fast",
            [
                (
                    ATTRIBUTES,
                    "Forbidden",
                    f"Forbidden: update to {word} is forbidden when status.currentVolumeAttributesClassName is not nil",
                )
            ],
        ),
    ):
        old = stored(held, {**BOUND, "currentVolumeAttributesClassName": current})
        assert update_findings(old, changed(held, {ATTRIBUTES: value})) == expected


def test_what_the_status_of_a_claim_may_say() -> None:
    status = {
        "capacity": {"storage": "-1"},
        "allocatedResources": {"cpu": "1", "storage": "-1", "example.com/iops": "5"},
        "allocatedResourceStatuses": {"storage": "Growing", "memory": "NodeResizePending"},
    }
    new = stored(CLAIM, status)
    at, words = "status.allocatedResourceStatuses", ", ".join(f'"{word}"' for word in claims.RESIZE_STATUSES)
    assert told(claims.STRATEGY.validate_status_update(new, new)) == [
        ("status.capacity[storage]", "Invalid", 'Invalid value: "-1": must be greater than or equal to 0'),
        (at, "NotSupported", f'Unsupported value: "storage": supported values: {words}'),
        (at, "NotSupported", 'Unsupported value: "memory": supported values: "storage"'),
        ("status.allocatedResources", "NotSupported", 'Unsupported value: "cpu": supported values: "storage"'),
        ("status.allocatedResources[storage]", "Invalid", 'Invalid value: "-1": must be greater than or equal to 0'),
    ]


ZONE, BETA_ZONE = "topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"
SECRET = {"name": "s", "namespace": "default"}


def in_zone(label: str, zone: str = "a") -> dict[str, Any]:
    term = {"matchExpressions": [{"key": label, "operator": "In", "values": [zone]}]}
    return {"spec.nodeAffinity": {"required": {"nodeSelectorTerms": [term]}}}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, in_zone(ZONE), []),
        (in_zone(BETA_ZONE), in_zone(ZONE), []),
        (in_zone(ZONE), in_zone(BETA_ZONE), ["nodeAffinity"]),
        (in_zone(BETA_ZONE), in_zone(ZONE, "b"), ["nodeAffinity"]),
        (in_zone(ZONE), {}, ["nodeAffinity"]),
        ({}, {"spec.csi.controllerExpandSecretRef": SECRET}, []),
        ({}, {"spec.csi.nodeExpandSecretRef": SECRET}, ["spec.persistentvolumesource"]),
        ({"spec.csi.controllerExpandSecretRef": SECRET}, {}, ["spec.persistentvolumesource"]),
        ({ATTRIBUTES: "slow"}, {ATTRIBUTES: "fast"}, []),
        ({ATTRIBUTES: "slow"}, {}, [ATTRIBUTES]),
    ],
)
def test_what_a_volume_may_change(before: dict[str, Any], after: dict[str, Any], expected: list[str]) -> None:
    found = update_findings(stored(changed(VOLUME, before)), changed(VOLUME, after))
    assert [field for field, _, _ in found] == expected
