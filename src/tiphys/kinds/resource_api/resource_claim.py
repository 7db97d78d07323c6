"""ResourceClaims: a wish for devices, and which ones it got."""

from __future__ import annotations

from tiphys.kinds import cells
from tiphys.kinds.object_meta import immutable
from tiphys.kinds.resource_api.device_validation import (
    allocated_devices,
    default_claim,
    device_key,
    validate_claim,
    validate_device_statuses,
)
from tiphys.kinds.spec_and_status import clear_status, keep_spec_and_metadata, keep_status
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.resource_v1 import ResourceClaim
from tiphys.machinery.field_errors import FieldError, Path, duplicate, forbidden, invalid, too_many
from tiphys.machinery.repetition import repeated

SPEC, STATUS = Path("spec"), Path("status")
USERS_LIMIT = 256


def default(claim: ResourceClaim) -> None:
    default_claim(claim.spec.devices)


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
    """An allocation stays while anybody uses it, and only an allocated claim can be used."""
    found: list[FieldError] = []
    users, path = new.status.reservedFor or [], STATUS.child("reservedFor")
    if len(users) > USERS_LIMIT:
        found.append(too_many(path, len(users), USERS_LIMIT))
    for position in sorted(repeated(user.uid for user in users)):
        found.append(duplicate(path.index(position).child("uid"), users[position].uid))
    if users and new.status.allocation is None:
        found.append(forbidden(path, "may not be specified when `allocated` is not set"))
    if users and new.metadata.deletionTimestamp and len(users) > len(old.status.reservedFor or ()):
        found.append(
            forbidden(path, "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set")
        )
    if old.status.allocation is not None and new.status.allocation is not None:
        found += immutable(new.status.allocation, old.status.allocation, STATUS.child("allocation"))
    if old.status.allocation is not None and new.status.allocation is None and old.status.reservedFor and users:
        found.append(invalid(STATUS.child("allocation"), None, "field is immutable while the claim is in use"))
    return found + validate_device_statuses(new.status, STATUS.child("devices"))


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
    validate_update=validate_update,
    validate_status_update=validate_status_update,
    columns=(cells.name_column(), cells.text("State", state_text), cells.age_column()),
    has_generation=False,
)
