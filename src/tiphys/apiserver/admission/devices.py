"""Claims get administrative access to devices only where the namespace allows it, and taints of devices know since when
they are there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tiphys.apiserver.admission.interface import AdmissionRequest, Lookups, Resources
from tiphys.kinds.types import core_v1
from tiphys.kinds.types.resource_v1 import DeviceTaint, ResourceClaimStatus
from tiphys.machinery import errors
from tiphys.machinery.field_errors import Path, forbidden
from tiphys.machinery.timestamps import Time, time_of

GROUP = "resource.k8s.io"
ADMIN_ACCESS_LABEL = "resource.kubernetes.io/admin-access"
REFUSAL = f"admin access to devices requires the `{ADMIN_ACCESS_LABEL}: true` label on the containing namespace"


class DeviceAdminAccess:
    """Access that ignores who else uses a device, for those who look after devices."""

    name = "DeviceAdminAccess"
    resources: Resources = ((GROUP, "resourceclaims"), (GROUP, "resourceclaimtemplates"))

    def admit(self, request: AdmissionRequest, obj: Any, old: Any, lookups: Lookups) -> None:
        path = _wanted_access(request, obj, old)
        if path is None:
            return
        namespace = lookups.get(core_v1.Namespace, "", request.namespace)
        labels = (namespace.metadata.labels if namespace is not None else None) or {}
        if labels.get(ADMIN_ACCESS_LABEL) != "true":
            resource = request.resource
            raise errors.invalid(resource.kind, resource.group, obj.metadata.name or "", [forbidden(path, REFUSAL)])


def _wanted_access(request: AdmissionRequest, obj: Any, old: Any) -> Path | None:
    """Where the object asks for it, or says that it has got it; None when it did so before."""
    if request.operation == "CREATE" and request.on(GROUP, "resourceclaims"):
        return _requested(obj.spec)
    if request.operation == "CREATE" and request.on(GROUP, "resourceclaimtemplates"):
        return _requested(obj.spec.spec)
    of_claims = (request.resource.group, request.resource.plural) == (GROUP, "resourceclaims")
    if of_claims and request.subresource == "status" and _granted(old.status) is None:
        return _granted(obj.status)
    return None


def _requested(spec: Any) -> Path | None:
    """The path is a claim's, also in a template."""
    for position, request in enumerate((spec.devices.requests if spec.devices is not None else None) or ()):
        if request.exactly is not None and request.exactly.adminAccess:
            return Path("spec.devices.requests").index(position).child("adminAccess")
    return None


def _granted(status: ResourceClaimStatus) -> Path | None:
    devices = status.allocation.devices if status.allocation is not None else None
    for position, result in enumerate((devices.results if devices is not None else None) or ()):
        if result.adminAccess:
            return Path("status.allocation.devices.results").index(position).child("adminAccess")
    return None


class DeviceTaintTimes:
    """Whoever tolerates a taint for a while counts from the time when it was added, or when its effect changed."""

    name = "DeviceTaintTimes"
    resources: Resources = ((GROUP, "devicetaintrules"), (GROUP, "resourceslices"))

    def admit(self, request: AdmissionRequest, obj: Any, old: Any, lookups: Lookups) -> None:
        if request.operation not in ("CREATE", "UPDATE"):
            return
        if request.on(GROUP, "devicetaintrules"):
            taint, before = obj.spec.taint, old.spec.taint if old is not None else None
            if before is not None and before.effect != taint.effect and before.timeAdded == taint.timeAdded:
                taint.timeAdded = None
            _begin(taint, time_of(request.now))
        elif request.on(GROUP, "resourceslices"):
            for taint in _taints(obj):
                _begin(taint, time_of(request.now))


def _taints(resource_slice: Any) -> Iterator[DeviceTaint]:
    for device in resource_slice.spec.devices or ():
        yield from device.taints or ()


def _begin(taint: DeviceTaint, now: Time) -> None:
    if taint.timeAdded is None:
        taint.timeAdded = now
