"""What a write of the status lets through besides the status, and what makes the status itself wrong."""

from __future__ import annotations

from typing import Any

import pytest
from documents import decoded, stored, told

from tiphys.kinds import registry

SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "a", "namespace": "default"},
    "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
}
METADATA = ("labels", "annotations", "finalizers", "ownerReferences")


def with_metadata(group: str, plural: str, word: str) -> Any:
    resource = registry.find(group, "v1", plural)
    assert resource is not None
    thing = resource.type()
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": word, "uid": word}
    metadata = {"labels": {"a": word}, "annotations": {"a": word}, "finalizers": [word], "ownerReferences": [owner]}
    thing.metadata = type(thing.metadata)(name="a", **metadata)
    return thing


@pytest.mark.parametrize(
    ("group", "plural", "kept"),
    [
        ("", "persistentvolumes", ()),
        ("", "pods", ("ownerReferences",)),
        ("", "services", ()),
        ("apps", "deployments", ("labels",)),
        ("apps", "replicasets", ()),
        ("storage.k8s.io", "volumeattachments", METADATA),
        ("apiregistration.k8s.io", "apiservices", METADATA),
        ("apiextensions.k8s.io", "customresourcedefinitions", ("labels", "annotations", "ownerReferences")),
        ("flowcontrol.apiserver.k8s.io", "flowschemas", METADATA),
        ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations", METADATA),
        ("resource.k8s.io", "resourceclaims", METADATA),
    ],
)
def test_metadata_that_stays(group: str, plural: str, kept: tuple[str, ...]) -> None:
    old, new = with_metadata(group, plural, "old"), with_metadata(group, plural, "new")
    sent = {field: getattr(new.metadata, field) for field in METADATA}
    resource = registry.find(group, "v1", plural)
    assert resource is not None
    resource.strategy.prepare_for_status_update(new, old)
    assert {field: getattr(new.metadata, field) for field in METADATA} == {
        field: getattr(old.metadata, field) if field in kept else sent[field] for field in METADATA
    }


@pytest.mark.parametrize(
    ("kind", "entry", "expected"),
    [
        ("LoadBalancer", {"ip": "192.0.2.1", "ipMode": "VIP"}, []),
        (
            "LoadBalancer",
            {"ip": "192.0.2.256", "ipMode": "VIP"},
            [
                (
                    "status.loadBalancer.ingress[0].ip",
                    "Invalid",
                    'Invalid value: "192.0.2.256": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
                )
            ],
        ),
        (
            "LoadBalancer",
            {"ip": "192.0.2.1"},
            [
                (
                    "status.loadBalancer.ingress[0].ipMode",
                    "Required",
                    "Required value: must be specified when `ip` is set",
                )
            ],
        ),
        (
            "LoadBalancer",
            {"hostname": "a.example.com", "ipMode": "VIP"},
            [
                (
                    "status.loadBalancer.ingress[0].ipMode",
                    "Forbidden",
                    "Forbidden: may not be specified when `ip` is not set",
                )
            ],
        ),
        (
            "LoadBalancer",
            {"ip": "192.0.2.1", "ipMode": "Direct"},
            [
                (
                    "status.loadBalancer.ingress[0].ipMode",
                    "NotSupported",
                    'Unsupported value: "Direct": supported values: "Proxy", "VIP"',
                )
            ],
        ),
        (
            "LoadBalancer",
            {"hostname": "192.0.2.1"},
            [
                (
                    "status.loadBalancer.ingress[0].hostname",
                    "Invalid",
                    'Invalid value: "192.0.2.1": must be a DNS name, not an IP address',
                )
            ],
        ),
        (
            "ClusterIP",
            {"hostname": "a.example.com"},
            [
                (
                    "status.loadBalancer.ingress",
                    "Forbidden",
                    "Forbidden: may only be used when `spec.type` is 'LoadBalancer'",
                )
            ],
        ),
    ],
)
def test_where_a_load_balancer_is_reached(
    kind: str, entry: dict[str, str], expected: list[tuple[str, str, str]]
) -> None:
    document = {**SERVICE, "spec": {**SERVICE["spec"], "type": kind}}
    new = decoded({**document, "status": {"loadBalancer": {"ingress": [entry]}}})
    resource = registry.find("", "v1", "services")
    assert resource is not None
    assert told(resource.strategy.validate_status_update(new, stored(document))) == expected


MIGRATION = {
    "apiVersion": "storagemigration.k8s.io/v1",
    "kind": "StorageVersionMigration",
    "metadata": {"name": "a"},
    "spec": {"resource": {"resource": "pods"}},
}


def migrated(*types: str, version: str = "5") -> Any:
    """A migration of which these conditions are true."""
    common = {"reason": "A", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    return stored(MIGRATION, {"conditions": [{**common, "type": name} for name in types], "resourceVersion": version})


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        (migrated("Running"), migrated(version=""), []),
        (migrated("Succeeded"), migrated("Running"), []),
        (migrated(version="x"), migrated(version=""), [
            ("status.resourceVersion", 'Invalid value: "x": failed to parse resource version "x":'
             ' strconv.ParseInt: parsing "x": invalid syntax'),
        ]),
        (migrated(version="-1"), migrated(version="5"), [
            ("status.resourceVersion", "Invalid value: -1: must be greater than or equal to 0"),
            ("status.resourceVersion", 'Invalid value: "-1": cannot be updated'),
        ]),
        (migrated("Succeeded", "Failed", "Running"), migrated(), [
            ("status.conditions", "Both success and failed conditions cannot be true at the same time"),
            ("status.conditions", "Running condition cannot be true when success condition is true"),
            ("status.conditions", "Running condition cannot be true when failed condition is true"),
        ]),
        (migrated(), migrated("Succeeded"), [
            ("status.conditions", "Success condition cannot be set to false once it is true"),
        ]),
        (migrated(), migrated("Failed"), [
            ("status.conditions", "Failed condition cannot be set to false once it is true"),
        ]),
    ],
)  # fmt: skip
def test_a_migration_ends_once(new: Any, old: Any, expected: list[tuple[str, str]]) -> None:
    strategy = registry.resource_of(type(new)).strategy
    found = [(finding.field, finding.message) for finding in strategy.validate_status_update(new, old)]
    assert len(found) == len(expected)
    for (field, message), (wanted_field, words) in zip(found, expected, strict=True):
        assert field == wanted_field
        assert message.endswith(words)


def test_conditions_of_api_services() -> None:
    document = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1.a"},
        "spec": {"group": "a", "version": "v1"},
    }
    new = stored(document, {"conditions": [{"type": "Available", "status": "Maybe"}]})
    strategy = registry.resource_of(type(new)).strategy
    assert told(strategy.validate_status_update(new, stored(document))) == [
        (
            "status.conditions[0].status",
            "NotSupported",
            'Unsupported value: "Maybe": supported values: "True", "False", "Unknown"',
        )
    ]
