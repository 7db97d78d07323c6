"""ResourceClaims: a wish for devices, and which ones it got."""

from __future__ import annotations

from tiphys.kinds import cells, unserved
from tiphys.kinds.equality import same
from tiphys.kinds.object_meta import immutable
from tiphys.kinds.resource_api.allocation_validation import (
    allocated_devices,
    consumer_findings,
    device_key,
    validate_allocation,
    validate_device_statuses,
)
from tiphys.kinds.resource_api.bounded_lists import validate_set
from tiphys.kinds.resource_api.claim_validation import claim_warnings, default_claim, request_names, validate_claim
from tiphys.kinds.resource_api.taint_validation import default_tolerations
from tiphys.kinds.spec_and_status import clear_status, keep_spec_and_metadata, keep_status
from tiphys.kinds.strategy import Strategy, no_findings
from tiphys.kinds.types.resource_v1 import ResourceClaim, ResourceClaimStatus
from tiphys.machinery.field_errors import FieldError, Path, forbidden, invalid

SPEC, STATUS = Path("spec"), Path("status")
USERS_LIMIT = 256


def default(claim: ResourceClaim) -> None:
    default_claim(claim.spec.devices)
    devices = claim.status.allocation.devices if claim.status.allocation is not None else None
    for result in (devices.results if devices is not None else None) or ():
        default_tolerations(result.tolerations)


def validate(claim: ResourceClaim) -> list[FieldError]:
    return validate_claim(claim.spec.devices, SPEC.child("devices")) if claim.spec.devices is not None else []


def validate_update(new: ResourceClaim, old: ResourceClaim) -> list[FieldError]:
    return immutable(new.spec, old.spec, SPEC)


def prepare_for_status_update(new: ResourceClaim, old: ResourceClaim) -> None:
    """What was reported of a device goes with it."""
    keep_spec_and_metadata(new, old)
    given_back = allocated_devices(old.status) - allocated_devices(new.status)
    if given_back and new.status.devices:
        new.status.devices = [found for found in new.status.devices if device_key(found) not in given_back] or None


def validate_status_update(new: ResourceClaim, old: ResourceClaim) -> list[FieldError]:
    """Only an allocated claim can be used, and an allocation is replaced by none, not by another one."""
    users, path = STATUS.child("reservedFor"), STATUS.child("allocation")
    allocation, before = new.status.allocation, old.status.allocation
    found = validate_set(new.status.reservedFor, USERS_LIMIT, consumer_findings, users, key=lambda user: user.uid)
    found += validate_device_statuses(new.status, STATUS.child("devices"))
    if new.status.reservedFor and allocation is None:
        found.append(forbidden(users, "may not be specified when `allocated` is not set"))
    if new.metadata.deletionTimestamp and allocation is not None and _has_new_users(new.status, old.status):
        detail = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"
        found.append(forbidden(users, detail))
    if allocation is not None and before is None:
        found += validate_allocation(allocation, request_names(new.spec.devices), path)
    elif allocation is not None and not same(allocation, before):
        found.append(invalid(path, None, "field cannot be modified once set"))
    return found


def _has_new_users(new: ResourceClaimStatus, old: ResourceClaimStatus) -> bool:
    known = old.reservedFor or []
    return any(user not in known for user in new.reservedFor or ())


def warnings(new: ResourceClaim, _: ResourceClaim | None) -> list[str]:
    return [unserved.DEVICES, *claim_warnings(new.spec.devices, SPEC.child("devices"))]


def state_text(claim: ResourceClaim) -> str:
    states = []
    if claim.metadata.deletionTimestamp:
        states.append("deleted")
    if claim.status.allocation is None:
        states.append("pending")
    else:
        states.append("allocated")
        if claim.status.reservedFor:
            states.append("reserved")
    return ",".join(states)


STRATEGY: Strategy[ResourceClaim] = Strategy(
    default=default,
    prepare_for_create=clear_status,
    prepare_for_update=keep_status,
    prepare_for_status_update=prepare_for_status_update,
    validate=validate,
    validate_changed=no_findings,  # what cannot change was found good before
    validate_update=validate_update,
    validate_status_update=validate_status_update,
    warnings=warnings,
    columns=(cells.name_column(), cells.text("State", state_text), cells.age_column()),
    has_generation=False,
)
