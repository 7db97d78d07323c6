"""Whether what claims, their templates and device classes say about devices is well formed.

CEL expressions are compiled by the API server.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tiphys.kinds.object_meta import label_name, subdomain_name
from tiphys.kinds.resource_api.taint_validation import validate_device_tolerations
from tiphys.kinds.types.resource_v1 import (
    AllocatedDeviceStatus,
    DeviceClaim,
    DeviceConstraint,
    DeviceRequest,
    DeviceRequestAllocationResult,
    DeviceSelector,
    DeviceSubRequest,
    ExactDeviceRequest,
    ResourceClaimStatus,
)
from tiphys.machinery.field_errors import (
    FieldError,
    Path,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
    too_many,
)
from tiphys.machinery.repetition import repeated

REQUESTS_LIMIT, CONSTRAINTS_LIMIT, CONFIGURATIONS_LIMIT, SELECTORS_LIMIT, ALTERNATIVES_LIMIT = 32, 32, 32, 32, 8
DeviceKey = tuple[str, str, str, str | None]  # driver, pool, device, share
MODES = ("All", "ExactCount")
# No claim is ever given more devices than this.
ALLOCATED_LIMIT = 32


def default_request(request: ExactDeviceRequest | DeviceSubRequest) -> None:
    """One device unless more are asked for."""
    if not request.allocationMode:
        request.allocationMode = "ExactCount"
    if request.allocationMode == "ExactCount" and not request.count:
        request.count = 1
    for toleration in request.tolerations or ():
        toleration.operator = toleration.operator or "Equal"


def default_claim(claim: DeviceClaim | None) -> None:
    for request in (claim.requests if claim else None) or ():
        if request.exactly is not None:
            default_request(request.exactly)
        for alternative in request.firstAvailable or ():
            default_request(alternative)


def validate_claim(claim: DeviceClaim, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    requests = claim.requests or []
    if len(requests) > REQUESTS_LIMIT:
        found.append(too_many(path.child("requests"), len(requests), REQUESTS_LIMIT))
    names: set[str] = set()
    for position, request in enumerate(requests):
        at = path.child("requests").index(position)
        found += _name_findings(request.name, names, at.child("name"))
        found += _request_findings(request, at)
    known = names | {f"{r.name}/{a.name}" for r in requests for a in r.firstAvailable or ()}
    for position, constraint in enumerate(claim.constraints or ()):
        found += _constraint_findings(constraint, known, path.child("constraints").index(position))
    found += validate_configurations(claim.config or [], path.child("config"))
    for position, configuration in enumerate(claim.config or ()):
        at = path.child("config").index(position).child("requests")
        found += _reference_findings(configuration.requests or [], known, at)
    return found


def _name_findings(name: str, names: set[str], path: Path) -> list[FieldError]:
    if not name:
        return [required(path)]
    found = [invalid(path, name, text) for text in label_name(name)]
    if name in names:
        found.append(duplicate(path, name))
    names.add(name)
    return found


def _request_findings(request: DeviceRequest, path: Path) -> list[FieldError]:
    alternatives = request.firstAvailable or []
    if request.exactly is not None and alternatives:
        return [
            invalid(
                path,
                request.name,
                "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set",
            )
        ]
    if request.exactly is not None:
        return _device_findings(request.exactly, path.child("exactly"))
    if not alternatives:
        return [required(path, "exactly one of `exactly` or `firstAvailable` is required")]
    found: list[FieldError] = []
    if len(alternatives) > ALTERNATIVES_LIMIT:
        found.append(too_many(path.child("firstAvailable"), len(alternatives), ALTERNATIVES_LIMIT))
    names: set[str] = set()
    for position, alternative in enumerate(alternatives):
        at = path.child("firstAvailable").index(position)
        found += _name_findings(alternative.name, names, at.child("name"))
        found += _device_findings(alternative, at)
    return found


def _device_findings(request: ExactDeviceRequest | DeviceSubRequest, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if not request.deviceClassName:
        found.append(required(path.child("deviceClassName")))
    else:
        texts = subdomain_name(request.deviceClassName)
        found += [invalid(path.child("deviceClassName"), request.deviceClassName, text) for text in texts]
    if request.allocationMode == "All":
        if request.count:
            detail = "must not be specified when allocationMode is 'All'"
            found.append(invalid(path.child("count"), request.count, detail))
    elif request.allocationMode == "ExactCount":
        if (request.count or 0) <= 0:
            found.append(invalid(path.child("count"), request.count or 0, "must be greater than zero"))
    else:
        found.append(not_supported(path.child("allocationMode"), request.allocationMode or "", MODES))
    found += validate_device_tolerations(request.tolerations or [], path.child("tolerations"))
    return found + validate_selectors(request.selectors or [], path.child("selectors"))


def validate_selectors(selectors: Sequence[DeviceSelector], path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if len(selectors) > SELECTORS_LIMIT:
        found.append(too_many(path, len(selectors), SELECTORS_LIMIT))
    for position, selector in enumerate(selectors):
        if selector.cel is None:
            found.append(required(path.index(position).child("cel")))
        elif not selector.cel.expression.strip():
            found.append(required(path.index(position).child("cel", "expression")))
    return found


def validate_configurations(configurations: Sequence[Any], path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if len(configurations) > CONFIGURATIONS_LIMIT:
        found.append(too_many(path, len(configurations), CONFIGURATIONS_LIMIT))
    for position, configuration in enumerate(configurations):
        at, opaque = path.index(position).child("opaque"), configuration.opaque
        if opaque is None:
            found.append(required(at))
            continue
        if not opaque.driver:
            found.append(required(at.child("driver")))
        else:
            found += [
                invalid(at.child("driver"), opaque.driver, text) for text in subdomain_name(opaque.driver.lower())
            ]
        if opaque.parameters is None:
            found.append(required(at.child("parameters")))
        else:
            found += _json_object_findings(opaque.parameters, at.child("parameters"))
    return found


def _json_object_findings(value: Any, path: Path) -> list[FieldError]:
    return [] if isinstance(value, dict) else [invalid(path, "<value omitted>", "must be a valid JSON object")]


def device_key(device: AllocatedDeviceStatus | DeviceRequestAllocationResult) -> DeviceKey:
    return device.driver, device.pool, device.device, device.shareID


def allocated_devices(status: ResourceClaimStatus) -> set[DeviceKey]:
    devices = status.allocation.devices if status.allocation is not None else None
    return {device_key(result) for result in (devices.results if devices is not None else None) or ()}


def validate_device_statuses(status: ResourceClaimStatus, path: Path) -> list[FieldError]:
    """What drivers report is about devices that the claim got, once each."""
    allocated, seen = allocated_devices(status), set[DeviceKey]()
    found: list[FieldError] = []
    for position, device in enumerate(status.devices or ()):
        at, key = path.index(position), device_key(device)
        name = "/".join(part for part in key if part)
        if key in seen:
            found.append(duplicate(at, name))
        seen.add(key)
        if key not in allocated:
            found.append(invalid(at, name, "must be an allocated device in the claim"))
        if device.data is not None:
            found += _json_object_findings(device.data, at.child("data"))
    return found


def _constraint_findings(constraint: DeviceConstraint, known: set[str], path: Path) -> list[FieldError]:
    found = _reference_findings(constraint.requests or [], known, path.child("requests"))
    if constraint.matchAttribute is not None and constraint.distinctAttribute is not None:
        found.append(forbidden(path.child("distinctAttribute"), "cannot be used together with matchAttribute"))
    elif constraint.matchAttribute is None and constraint.distinctAttribute is None:
        found.append(required(path, "exactly one of `matchAttribute` or `distinctAttribute` is required"))
    for field in ("matchAttribute", "distinctAttribute"):
        value = getattr(constraint, field)
        if value is not None and "/" not in value:
            found.append(invalid(path.child(field), value, "must include a domain"))
    return found


def _reference_findings(names: Sequence[str], known: set[str], path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    again = repeated(names)
    for position, name in enumerate(names):
        if name not in known:
            detail = (
                "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
            )
            found.append(invalid(path.index(position), name, detail))
        if position in again:
            found.append(duplicate(path.index(position), name))
    return found
