"""Administrative access to devices, and since when they are tainted."""

from __future__ import annotations

from typing import Any

import pytest

from tiphys.apiserver.admission.devices import DeviceAdminAccess, DeviceTaintTimes
from tiphys.apiserver.admission.interface import AdmissionRequest
from tiphys.apiserver.authn.identity import UserInfo
from tiphys.kinds import codec, registry
from tiphys.kinds.types import core_v1, meta_v1
from tiphys.kinds.types.resource_v1 import DeviceTaintRule, ResourceClaim, ResourceClaimTemplate, ResourceSlice
from tiphys.machinery.errors import ApiError
from tiphys.machinery.timestamps import parse_time

EARLIER, NOW = parse_time("2026-01-01T00:00:00Z"), "2026-01-02T00:00:00Z"
WORDS = (
    "admin access to devices requires the `resource.kubernetes.io/admin-access: true` label on the containing namespace"
)
REQUESTS = {"devices": {"requests": [{"name": "a", "exactly": {}}, {"name": "b", "exactly": {"adminAccess": True}}]}}


class Namespaces:
    """Lookups that find one namespace with these labels."""

    def __init__(self, **labels: str) -> None:
        self.labels = {name.replace("_", "-"): value for name, value in labels.items()}

    def get(self, kind: type[Any], namespace: str, name: str) -> Any:
        labels = {f"resource.kubernetes.io/{key}": value for key, value in self.labels.items()}
        return core_v1.Namespace(metadata=meta_v1.ObjectMeta(name=name, labels=labels))

    def list(self, kind: type[Any], namespace: str = "") -> list[Any]:
        return []


def asked(operation: str, thing: Any, subresource: str = "") -> AdmissionRequest:
    return AdmissionRequest(
        operation=operation,
        resource=registry.resource_of(type(thing)),
        subresource=subresource,
        namespace="default",
        user=UserInfo("me"),
        now=1767312000.0,
        new_suffix=lambda: "abcde",
    )


def refusal(request: AdmissionRequest, obj: Any, old: Any = None, **labels: str) -> list[tuple[str, str]]:
    try:
        DeviceAdminAccess().admit(request, obj, old, Namespaces(**labels))
    except ApiError as error:
        assert error.reason == "Invalid"
        return [(cause["field"], cause["message"]) for cause in error.status()["details"]["causes"]]
    return []


def claim(spec: dict[str, Any] | None = None, *results: dict[str, Any]) -> ResourceClaim:
    status = {"allocation": {"devices": {"results": results}}} if results else {}
    return codec.convert({"metadata": {"name": "a"}, "spec": spec or {}, "status": status}, ResourceClaim)


@pytest.mark.parametrize(("labels", "allowed"), [({"admin_access": "true"}, True), ({"admin_access": "True"}, False)])
def test_a_claim_asks_for_administrative_access(labels: dict[str, str], allowed: bool) -> None:
    path = "spec.devices.requests[1].adminAccess"
    expected = [] if allowed else [(path, f"Forbidden: {WORDS}")]
    asking = claim(REQUESTS)
    template = codec.convert({"spec": {"spec": REQUESTS}}, ResourceClaimTemplate)
    assert refusal(asked("CREATE", asking), asking, **labels) == expected
    assert refusal(asked("CREATE", template), template, **labels) == expected
    assert refusal(asked("UPDATE", asking), asking, asking) == []
    assert refusal(asked("CREATE", claim()), claim()) == []


def test_a_claim_gets_administrative_access() -> None:
    granted, ordinary = claim(None, {}, {"adminAccess": True}), claim(None, {"adminAccess": False})
    request = asked("UPDATE", granted, "status")
    path = "status.allocation.devices.results[1].adminAccess"
    assert refusal(request, granted, claim()) == [(path, f"Forbidden: {WORDS}")]
    assert refusal(request, granted, claim(), admin_access="true") == []
    assert refusal(request, granted, granted) == []
    assert refusal(request, ordinary, claim()) == []


def taint_time(effect: str, time: str | None, before: tuple[str, str | None] | None) -> str | None:
    """The time of a rule's taint after a write."""

    def rule(effect: str, time: str | None) -> DeviceTaintRule:
        taint = {"key": "k", "effect": effect, "timeAdded": time}
        return codec.convert({"spec": {"taint": taint}}, DeviceTaintRule)

    new, old = rule(effect, time), rule(*before) if before is not None else None
    DeviceTaintTimes().admit(asked("UPDATE" if old else "CREATE", new), new, old, Namespaces())
    return new.spec.taint.timeAdded


def test_a_taint_counts_from_its_effect() -> None:
    assert taint_time("None", None, None) == NOW
    assert taint_time("None", EARLIER, None) == EARLIER
    assert taint_time("None", EARLIER, ("None", EARLIER)) == EARLIER
    assert taint_time("NoExecute", EARLIER, ("None", EARLIER)) == NOW
    assert taint_time("NoExecute", "2026-01-01T06:00:00Z", ("None", EARLIER)) == "2026-01-01T06:00:00Z"


def test_taints_of_slices_have_a_time() -> None:
    devices = [{"taints": [{"key": "a"}, {"key": "b", "timeAdded": EARLIER}]}, {}]
    found = codec.convert({"spec": {"devices": devices}}, ResourceSlice)
    DeviceTaintTimes().admit(asked("CREATE", found), found, None, Namespaces())
    assert found.spec.devices is not None
    assert [taint.timeAdded for taint in found.spec.devices[0].taints or ()] == [NOW, EARLIER]
