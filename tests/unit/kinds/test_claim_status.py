"""What drivers report of the devices of a ResourceClaim."""

from __future__ import annotations

from typing import Any

from documents import stored, told

from tiphys.kinds.resource_api.resource_claim import STRATEGY

CLAIM = {
    "apiVersion": "resource.k8s.io/v1",
    "kind": "ResourceClaim",
    "metadata": {"name": "a", "namespace": "default"},
    "spec": {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpu.example.com"}}]}},
}
DEVICE = {"driver": "gpu.example.com", "pool": "one", "device": "gpu-0"}
ALLOCATION = {"devices": {"results": [{"request": "gpu", **DEVICE}]}}


def reported(*devices: dict[str, Any]) -> dict[str, Any]:
    return {"allocation": ALLOCATION, "devices": [*devices]}


def findings(status: dict[str, Any]) -> list[tuple[str, str, str]]:
    return told(STRATEGY.validate_status_update(stored(CLAIM, status), stored(CLAIM, reported())))


def test_reports_are_about_allocated_devices_once_each() -> None:
    assert findings(reported({**DEVICE, "data": {"a": 1}})) == []
    other = {**DEVICE, "device": "gpu-1"}
    assert findings(reported(DEVICE, other, DEVICE)) == [
        (
            "status.devices[1]",
            "Invalid",
            'Invalid value: "gpu.example.com/one/gpu-1": must be an allocated device in the claim',
        ),
        ("status.devices[2]", "Duplicate", 'Duplicate value: "gpu.example.com/one/gpu-0"'),
    ]


def test_data_is_an_object() -> None:
    for data in (1.5, "a", [], True):
        assert findings(reported({**DEVICE, "data": data})) == [
            ("status.devices[0].data", "Invalid", 'Invalid value: "<value omitted>": must be a valid JSON object')
        ]


def test_reports_go_with_their_devices() -> None:
    new, old = stored(CLAIM, {"devices": [DEVICE]}), stored(CLAIM, reported(DEVICE))
    STRATEGY.prepare_for_status_update(new, old)
    assert new.status.devices is None
    assert STRATEGY.validate_status_update(new, old) == []
