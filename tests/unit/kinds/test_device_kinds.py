"""Devices: taints and what tolerates them, attributes, pools, and references to other objects."""

from __future__ import annotations

from typing import Any

import pytest
from documents import changed, create_findings

API = "resource.k8s.io/v1"
KEY = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric"
    " character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is"
    " '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with"
    " an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is"
    " '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and"
    " end with an alphanumeric character (e.g. 'example.com', regex used for validation is"
    " '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
IDENTIFIER = (
    "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters"
    " or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is '[A-Za-z_][A-Za-z0-9_]*')"
)
CHOICE = "`int`, `bool`, `string`, `version`, `ints`, `bools`, `strings`, `versions`"


def thing(kind: str, spec: dict[str, Any], api: str = API, name: str = "a") -> dict[str, Any]:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name}, "spec": spec}


RULE = thing("DeviceTaintRule", {"taint": {"key": "k", "effect": "NoSchedule"}})
SLICE = thing(
    "ResourceSlice",
    {
        "driver": "example.com",
        "nodeName": "node",
        "pool": {"name": "pool", "generation": 1, "resourceSliceCount": 1},
        "devices": [{"name": "d", "attributes": {"a": {"version": "1.2.3-rc.1+b"}, "example.com/b": {"int": 0}}}],
    },
)
CLAIM = thing("ResourceClaim", {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "c"}}]}})
ADDRESS = thing(
    "IPAddress",
    {"parentRef": {"resource": "services", "namespace": "a", "name": "b"}},
    "networking.k8s.io/v1",
    "192.0.2.1",
)
MIGRATION = thing(
    "StorageVersionMigration", {"resource": {"group": "apps", "resource": "deployments"}}, "storagemigration.k8s.io/v1"
)
DEVICE = "spec.devices[0]"
TOLERATION = "spec.devices.requests[0].exactly.tolerations[0]"

CASES: list[tuple[dict[str, Any], dict[str, Any], list[tuple[str, str, str]]]] = [
    (RULE, {}, []),
    (
        RULE,
        {"spec.deviceSelector": {"driver": "a_b", "pool": "p//q", "device": "A"}, "spec.taint.key": ""},
        [
            ("spec.deviceSelector.driver", "Invalid", f'Invalid value: "a_b": {SUBDOMAIN}'),
            ("spec.deviceSelector.pool", "Invalid", f'Invalid value: "": {SUBDOMAIN}'),
            ("spec.deviceSelector.device", "Invalid", f'Invalid value: "A": {LABEL}'),
            ("spec.taint.key", "Invalid", 'Invalid value: "": name part must be non-empty'),
            ("spec.taint.key", "Invalid", f'Invalid value: "": {KEY}'),
        ],
    ),
    (SLICE, {}, []),
    (
        SLICE,
        {"spec.pool.name": "", "spec.nodeName": "Node"},
        [
            ("spec.pool.name", "Required", "Required value"),
            ("spec.nodeName", "Invalid", f'Invalid value: "Node": {SUBDOMAIN}'),
        ],
    ),
    (
        SLICE,
        {
            "spec.devices.0.attributes": {
                "a": {},
                "b": {"int": 1, "bool": True},
                "c": {"version": "1.2"},
                "d-e": {"int": 1},
            }
        },
        [
            (f"{DEVICE}.attributes[a]", "Invalid", f'Invalid value: "": must specify one of: {CHOICE}'),
            (
                f"{DEVICE}.attributes[b]",
                "Invalid",
                f'Invalid value: "{{int, bool}}": must specify exactly one of: {CHOICE}',
            ),
            (
                f"{DEVICE}.attributes[c].version",
                "Invalid",
                'Invalid value: "1.2": must be a string compatible with semver.org spec 2.0.0',
            ),
            (f"{DEVICE}.attributes", "Invalid", f'Invalid value: "d-e": {IDENTIFIER}'),
        ],
    ),
    (
        SLICE,
        {"spec.devices.0.attributes": {"a": {"string": "x" * 65}}, "spec.devices.0.capacity": {"/b": {"value": "1"}}},
        [
            (f"{DEVICE}.attributes[a].string", "TooLong", "Too long: may not be more than 64 bytes"),
            (f"{DEVICE}.capacity", "Invalid", 'Invalid value: "": the domain must not be empty'),
        ],
    ),
    (
        SLICE,
        {"spec.devices.0.taints": [{"key": "k k", "effect": "Run"}]},
        [
            (f"{DEVICE}.taints[0].key", "Invalid", f'Invalid value: "k k": {KEY}'),
            (
                f"{DEVICE}.taints[0].effect",
                "NotSupported",
                'Unsupported value: "Run": supported values: "NoExecute", "NoSchedule", "None"',
            ),
        ],
    ),
    (CLAIM, {"spec.devices.requests.0.exactly.tolerations": [{"key": "k", "value": "v"}]}, []),
    (
        CLAIM,
        {"spec.devices.requests.0.exactly.tolerations": [{"operator": "Exists", "value": "v", "effect": "Run"}]},
        [
            (f"{TOLERATION}.value", "Invalid", 'Invalid value: "v": must be empty for operator `Exists`'),
            (
                f"{TOLERATION}.effect",
                "NotSupported",
                'Unsupported value: "Run": supported values: "NoExecute", "NoSchedule", "None"',
            ),
        ],
    ),
    (
        CLAIM,
        {"spec.devices.requests.0.exactly.tolerations": [{"key": "k", "operator": "Is"}]},
        [
            (
                f"{TOLERATION}.operator",
                "NotSupported",
                'Unsupported value: "Is": supported values: "Equal", "Exists"',
            )
        ],
    ),
    (
        ADDRESS,
        {"spec.parentRef": {"group": "A", "resource": "a/b", "namespace": "B", "name": ""}},
        [
            ("spec.parentRef.group", "Invalid", f'Invalid value: "A": {SUBDOMAIN}'),
            ("spec.parentRef.namespace", "Invalid", f'Invalid value: "B": {LABEL}'),
            ("spec.parentRef.resource", "Invalid", "Invalid value: \"a/b\": may not contain '/'"),
            ("spec.parentRef.name", "Required", "Required value"),
        ],
    ),
    (MIGRATION, {}, []),
    (
        MIGRATION,
        {"spec.resource": {"group": "A", "resource": ""}},
        [
            ("spec.resource.group", "Invalid", f'Invalid value: "A": {SUBDOMAIN}'),
            ("spec.resource.resource", "Required", "Required value: resource is required"),
        ],
    ),
]


@pytest.mark.parametrize(("document", "changes", "expected"), CASES)
def test_creates(document: dict[str, Any], changes: dict[str, Any], expected: list[tuple[str, str, str]]) -> None:
    assert create_findings(changed(document, changes)) == expected
