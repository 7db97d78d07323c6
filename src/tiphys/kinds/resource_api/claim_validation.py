"""Whether what claims, their templates and device classes ask of devices is well formed.

CEL expressions are bounded in length here; nothing compiles them yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from tiphys.kinds import codec
from tiphys.kinds.object_meta import subdomain_name
from tiphys.kinds.resource_api.bounded_lists import validate_list, validate_set
from tiphys.kinds.resource_api.device_names import (
    driver_findings,
    driver_warnings,
    fully_qualified_name_findings,
    short_name_findings,
)
from tiphys.kinds.resource_api.taint_validation import default_tolerations, validate_device_tolerations
from tiphys.kinds.types.resource_v1 import (
    DeviceClaim,
    DeviceClaimConfiguration,
    DeviceConstraint,
    DeviceDerivedAttribute,
    DeviceRequest,
    DeviceSelector,
    DeviceSubRequest,
    ExactDeviceRequest,
)
from tiphys.machinery.field_errors import FieldError, Path, invalid, not_supported, required, too_long

REQUESTS_LIMIT, CONSTRAINTS_LIMIT, CONFIGURATIONS_LIMIT, SELECTORS_LIMIT, ALTERNATIVES_LIMIT = 32, 32, 32, 32, 8
DERIVED_ATTRIBUTES_LIMIT = 32
EXPRESSION_LIMIT_BYTES, PARAMETERS_LIMIT_BYTES = 10 * 1024, 10 * 1024
MODES = ("All", "ExactCount")
ONE_FORM = "exactly one of `exactly` or `firstAvailable` is required"
UNKNOWN_REQUEST = (
    "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
)
UNUSED_ATTRIBUTE = (
    "must be referenced by at least one matchAttribute or distinctAttribute constraint targeting this request"
)
# Go's words, whose second half is about the opposite case.
NO_ATTRIBUTE = 'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set'


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestNames:
    """What configurations, constraints and results can refer to: `request` and `request/alternative`."""

    known: frozenset[str]

    def findings(self, name: str, path: Path) -> list[FieldError]:
        parts = name.split("/")
        if len(parts) > 2:
            return [invalid(path, name, UNKNOWN_REQUEST)]
        found = [finding for part in parts for finding in short_name_findings(part, path)]
        return found if name in self.known else [*found, invalid(path, name, UNKNOWN_REQUEST)]

    def validate(self, names: Sequence[str] | None, path: Path) -> list[FieldError]:
        return validate_set(names, REQUESTS_LIMIT, self.findings, path, key=str)


def request_names(claim: DeviceClaim | None) -> RequestNames:
    requests = (claim.requests if claim is not None else None) or []
    alternatives = {f"{request.name}/{alternative.name}" for request in requests
                    for alternative in request.firstAvailable or ()}  # fmt: skip
    return RequestNames(known=frozenset({request.name for request in requests} | alternatives))


def default_request(request: ExactDeviceRequest | DeviceSubRequest) -> None:
    """One device unless more are asked for."""
    if not request.allocationMode:
        request.allocationMode = "ExactCount"
    if request.allocationMode == "ExactCount" and not request.count:
        request.count = 1
    default_tolerations(request.tolerations)


def default_claim(claim: DeviceClaim | None) -> None:
    for request in (claim.requests if claim else None) or ():
        if request.exactly is not None:
            default_request(request.exactly)
        for alternative in request.firstAvailable or ():
            default_request(alternative)


def validate_claim(claim: DeviceClaim, path: Path) -> list[FieldError]:
    names, constraints = request_names(claim), claim.constraints or []
    found = validate_set(
        claim.requests,
        REQUESTS_LIMIT,
        partial(_request_findings, constraints),
        path.child("requests"),
        key=lambda request: request.name,
    )
    check = partial(_constraint_findings, names)
    found += validate_list(constraints, CONSTRAINTS_LIMIT, check, path.child("constraints"))

    def check_configuration(configuration: DeviceClaimConfiguration, at: Path) -> list[FieldError]:
        return names.validate(configuration.requests, at.child("requests")) + configuration_findings(configuration, at)

    return found + validate_list(claim.config, CONFIGURATIONS_LIMIT, check_configuration, path.child("config"))


def claim_warnings(claim: DeviceClaim | None, path: Path) -> list[str]:
    return configuration_warnings((claim.config if claim is not None else None) or (), path.child("config"))


def _request_findings(constraints: Sequence[DeviceConstraint], request: DeviceRequest, path: Path) -> list[FieldError]:
    found = short_name_findings(request.name, path.child("name"))
    if request.exactly is not None and request.firstAvailable:
        return [*found, invalid(path, None, f"{ONE_FORM}, but multiple fields are set")]
    if request.exactly is not None:
        return found + _device_findings(request.exactly, constraints, request.name, path.child("exactly"))
    if not request.firstAvailable:
        return [*found, required(path, ONE_FORM)]

    def check(alternative: DeviceSubRequest, at: Path) -> list[FieldError]:
        name = f"{request.name}/{alternative.name}"
        wrong = short_name_findings(alternative.name, at.child("name"))
        return wrong + _device_findings(alternative, constraints, name, at)

    at = path.child("firstAvailable")
    return found + validate_set(request.firstAvailable, ALTERNATIVES_LIMIT, check, at, key=lambda one: one.name)


def _device_findings(
    request: ExactDeviceRequest | DeviceSubRequest, constraints: Sequence[DeviceConstraint], name: str, path: Path
) -> list[FieldError]:
    """`name` is what constraints call the request by."""
    at = path.child("deviceClassName")
    found = [invalid(at, request.deviceClassName, text) for text in subdomain_name(request.deviceClassName)]
    if not request.deviceClassName:
        found = [required(at)]
    found += validate_selectors(request.selectors, path.child("selectors"))
    found += validate_set(
        request.derivedAttributes,
        DERIVED_ATTRIBUTES_LIMIT,
        partial(_derived_findings, _constrained(constraints, name)),
        path.child("derivedAttributes"),
        key=lambda attribute: attribute.name,
    )
    found += _amount_findings(request, path)
    return found + validate_device_tolerations(request.tolerations, path.child("tolerations"))


def _amount_findings(request: ExactDeviceRequest | DeviceSubRequest, path: Path) -> list[FieldError]:
    count = request.count or 0
    if request.allocationMode == "All":
        detail = "must not be specified when allocationMode is 'All'"
        return [invalid(path.child("count"), count, detail)] if count else []
    if request.allocationMode == "ExactCount":
        return [invalid(path.child("count"), count, "must be greater than zero")] if count <= 0 else []
    return [not_supported(path.child("allocationMode"), request.allocationMode or "", MODES)]


def _constrained(constraints: Sequence[DeviceConstraint], name: str) -> set[str]:
    """The attributes that constraints on this request, on the one it is an alternative of, or on all compare."""
    targets = {name, name.partition("/")[0]}
    return {
        constraint.matchAttribute or constraint.distinctAttribute or ""
        for constraint in constraints
        if not constraint.requests or targets & set(constraint.requests)
    }


def _derived_findings(constrained: set[str], attribute: DeviceDerivedAttribute, path: Path) -> list[FieldError]:
    at = path.child("name")
    found = fully_qualified_name_findings(attribute.name, at) if attribute.name else [required(at)]
    if attribute.name and attribute.name not in constrained:
        found.append(invalid(at, attribute.name, UNUSED_ATTRIBUTE))
    return found + _expression_findings(attribute.expression, path.child("expression"))


def validate_selectors(selectors: Sequence[DeviceSelector] | None, path: Path) -> list[FieldError]:
    def check(selector: DeviceSelector, at: Path) -> list[FieldError]:
        if selector.cel is None:
            return [required(at.child("cel"))]
        return _expression_findings(selector.cel.expression, at.child("cel", "expression"))

    return validate_list(selectors, SELECTORS_LIMIT, check, path)


def _expression_findings(expression: str, path: Path) -> list[FieldError]:
    if not expression.strip():
        return [required(path)]
    return [too_long(path, EXPRESSION_LIMIT_BYTES)] if len(expression.encode()) > EXPRESSION_LIMIT_BYTES else []


def configuration_findings(configuration: Any, path: Path, bounded: bool = True) -> list[FieldError]:
    """`bounded`: whether parameters have to keep to the size that new ones are held to."""
    opaque, at = configuration.opaque, path.child("opaque")
    if opaque is None:
        return [required(at)]
    limit = PARAMETERS_LIMIT_BYTES if bounded else None
    found = driver_findings(opaque.driver, at.child("driver"))
    if opaque.parameters is None:
        return [*found, required(at.child("parameters"))]
    return found + json_object_findings(opaque.parameters, limit, at.child("parameters"))


def configuration_warnings(configurations: Sequence[Any], path: Path) -> list[str]:
    found: list[str] = []
    for position, configuration in enumerate(configurations):
        if configuration.opaque is not None:
            found += driver_warnings(configuration.opaque.driver, path.index(position).child("opaque", "driver"))
    return found


def json_object_findings(value: Any, limit_bytes: int | None, path: Path) -> list[FieldError]:
    if limit_bytes is not None and len(codec.encode(value)) > limit_bytes:
        return [too_long(path, limit_bytes)]
    return [] if isinstance(value, dict) else [invalid(path, "<value omitted>", "must be a valid JSON object")]


def _constraint_findings(names: RequestNames, constraint: DeviceConstraint, path: Path) -> list[FieldError]:
    found = names.validate(constraint.requests, path.child("requests"))
    if constraint.matchAttribute is not None:
        return found + fully_qualified_name_findings(constraint.matchAttribute, path.child("matchAttribute"))
    if constraint.distinctAttribute is not None:
        return found + fully_qualified_name_findings(constraint.distinctAttribute, path.child("distinctAttribute"))
    return [*found, required(path, NO_ATTRIBUTE)]
