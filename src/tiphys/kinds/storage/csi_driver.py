"""CSIDrivers: what a storage driver needs of Kubernetes."""

from __future__ import annotations

from tiphys.kinds import cells, unserved
from tiphys.kinds.core.volume_source_validation import driver_name_findings
from tiphys.kinds.object_meta import IMMUTABLE
from tiphys.kinds.strategy import Column, Strategy
from tiphys.kinds.types.storage_v1 import CSIDriver
from tiphys.machinery.field_errors import FieldError, Path, duplicate, invalid, not_supported, required

SPEC = Path("spec")
GROUP_POLICIES = ("File", "None", "ReadWriteOnceWithFSType")
LIFECYCLE_MODES = ("Persistent", "Ephemeral")


def default(driver: CSIDriver) -> None:
    spec = driver.spec
    if spec.attachRequired is None:
        spec.attachRequired = True
    if spec.podInfoOnMount is None:
        spec.podInfoOnMount = False
    if spec.storageCapacity is None:
        spec.storageCapacity = False
    if spec.fsGroupPolicy is None:
        spec.fsGroupPolicy = "ReadWriteOnceWithFSType"
    if not spec.volumeLifecycleModes:
        spec.volumeLifecycleModes = ["Persistent"]
    if spec.requiresRepublish is None:
        spec.requiresRepublish = False
    if spec.seLinuxMount is None:
        spec.seLinuxMount = False


def validate(driver: CSIDriver) -> list[FieldError]:
    spec = driver.spec
    found = driver_name_findings(driver.metadata.name or "", Path("metadata.name"))
    if spec.fsGroupPolicy not in GROUP_POLICIES:
        found.append(not_supported(SPEC.child("fsGroupPolicy"), spec.fsGroupPolicy or "", GROUP_POLICIES))
    for mode in spec.volumeLifecycleModes or ():
        if mode not in LIFECYCLE_MODES:
            found.append(not_supported(SPEC.child("volumeLifecycleModes"), mode, LIFECYCLE_MODES))
    audiences: set[str] = set()
    for position, request in enumerate(spec.tokenRequests or ()):
        at = SPEC.child("tokenRequests").index(position)
        if request.audience in audiences:
            found.append(duplicate(at.child("audience"), request.audience))
        audiences.add(request.audience)
        seconds = request.expirationSeconds
        if seconds is not None and seconds < 600:
            detail = "may not specify a duration less than 10 minutes"
            found.append(invalid(at.child("expirationSeconds"), seconds, detail))
        if seconds is not None and seconds > 1 << 32:
            detail = "may not specify a duration larger than 2^32 seconds"
            found.append(invalid(at.child("expirationSeconds"), seconds, detail))
    period = spec.nodeAllocatableUpdatePeriodSeconds
    if period is not None and period < 10:
        detail = "must be greater than or equal to 10 seconds"
        found.append(invalid(SPEC.child("nodeAllocatableUpdatePeriodSeconds"), period, detail))
    in_secrets = spec.serviceAccountTokenInSecrets
    if in_secrets is not None and not spec.tokenRequests:
        detail = "serviceAccountTokenInSecrets is set but no tokenRequests are specified"
        found.append(invalid(SPEC.child("serviceAccountTokenInSecrets"), in_secrets, detail))
    if spec.attachRequired is None:
        found.append(required(SPEC.child("attachedRequired")))
    return found


def validate_update(new: CSIDriver, old: CSIDriver) -> list[FieldError]:
    found: list[FieldError] = []
    for field in ("attachRequired", "volumeLifecycleModes"):
        if getattr(new.spec, field) != getattr(old.spec, field):
            name = "attachedRequired" if field == "attachRequired" else field
            found.append(invalid(SPEC.child(name), getattr(new.spec, field), IMMUTABLE))
    return found


def _tokens(driver: CSIDriver) -> str:
    return cells.list_text([request.audience for request in driver.spec.tokenRequests or ()], empty=cells.UNSET)


def _flag(name: str, field: str) -> Column[CSIDriver]:
    return Column(name=name, type="boolean", cell=lambda driver, _: bool(getattr(driver.spec, field)))


STRATEGY: Strategy[CSIDriver] = Strategy(
    default=default,
    validate=validate,
    validate_update=validate_update,
    warnings=unserved.warned(unserved.STORAGE_DRIVERS),
    columns=(
        cells.name_column(),
        _flag("AttachRequired", "attachRequired"),
        _flag("PodInfoOnMount", "podInfoOnMount"),
        _flag("StorageCapacity", "storageCapacity"),
        cells.text("TokenRequests", _tokens),
        _flag("RequiresRepublish", "requiresRepublish"),
        cells.text("Modes", lambda driver: cells.list_text(driver.spec.volumeLifecycleModes, empty=cells.UNSET)),
        cells.age_column(),
    ),
    has_status=False,
)
