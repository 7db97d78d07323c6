"""StatefulSets: pods with names and volumes that last, begun, ended and replaced in order."""

from __future__ import annotations

import msgspec

from tiphys.kinds import cells
from tiphys.kinds.apps.workload import SPEC, STATUS, selector_and_labels_findings
from tiphys.kinds.core.claim_spec_validation import validate_claim_spec
from tiphys.kinds.core.resource_defaults import default_requirements
from tiphys.kinds.core.template import always_restarting, default_template, holder_warnings, validate_template
from tiphys.kinds.core.volume_warnings import claim_warnings
from tiphys.kinds.equality import same
from tiphys.kinds.int_or_percent import at_most_hundred_percent, is_zero, validate_int_or_percent
from tiphys.kinds.number_findings import none_negative, not_above, not_decremented, not_negative
from tiphys.kinds.object_meta import label_name
from tiphys.kinds.spec_and_status import clear_status, keep_spec, keep_status
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.apps_v1 import (
    RollingUpdateStatefulSetStrategy,
    StatefulSet,
    StatefulSetPersistentVolumeClaimRetentionPolicy,
    StatefulSetSpec,
    StatefulSetUpdateStrategy,
)
from tiphys.kinds.types.core_v1 import PersistentVolumeClaimVolumeSource, Volume
from tiphys.machinery.field_errors import FieldError, Path, forbidden, invalid, not_supported, required

ROLLING_UPDATE, ON_DELETE = "RollingUpdate", "OnDelete"
ORDERED, PARALLEL = "OrderedReady", "Parallel"
RETAIN, DELETE = "Retain", "Delete"
CHANGEABLE = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy',"
    " 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
_CHANGEABLE_FIELDS = [
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
]


def default(stateful_set: StatefulSet) -> None:
    spec = stateful_set.spec
    if not spec.podManagementPolicy:
        spec.podManagementPolicy = ORDERED
    if spec.updateStrategy is None:
        spec.updateStrategy = StatefulSetUpdateStrategy()
    update = spec.updateStrategy
    if not update.type:
        update.type = ROLLING_UPDATE
        if update.rollingUpdate is None:
            update.rollingUpdate = RollingUpdateStatefulSetStrategy()
    rolling = update.rollingUpdate if update.type == ROLLING_UPDATE else None
    if rolling is not None:
        rolling.partition = rolling.partition or 0
        rolling.maxUnavailable = 1 if rolling.maxUnavailable is None else rolling.maxUnavailable
    if spec.persistentVolumeClaimRetentionPolicy is None:
        spec.persistentVolumeClaimRetentionPolicy = StatefulSetPersistentVolumeClaimRetentionPolicy()
    retention = spec.persistentVolumeClaimRetentionPolicy
    retention.whenDeleted = retention.whenDeleted or RETAIN
    retention.whenScaled = retention.whenScaled or RETAIN
    if spec.replicas is None:
        spec.replicas = 1
    if spec.revisionHistoryLimit is None:
        spec.revisionHistoryLimit = 10
    default_template(spec.template)
    for claim in spec.volumeClaimTemplates or ():
        if claim.spec.volumeMode is None:
            claim.spec.volumeMode = "Filesystem"
        default_requirements(claim.spec.resources)
        if not claim.status.phase:
            claim.status.phase = "Pending"


def validate(stateful_set: StatefulSet) -> list[FieldError]:
    spec = stateful_set.spec
    found = [invalid(SPEC.child("serviceName"), spec.serviceName, t) for t in label_name(spec.serviceName or "a")]
    return found + _spec_findings(spec) + _template_findings(spec) + _claim_findings(spec)


def validate_changed(new: StatefulSet, old: StatefulSet) -> list[FieldError]:
    """Templates and names that were not looked at once do not keep what stores them from other changes."""
    found = _spec_findings(new.spec)
    for look in (_template_findings, _claim_findings):
        if not look(old.spec):
            found += look(new.spec)
    return found


def _spec_findings(spec: StatefulSetSpec) -> list[FieldError]:
    found: list[FieldError] = []
    if spec.podManagementPolicy not in (ORDERED, PARALLEL):
        detail = f"must be '{ORDERED}' or '{PARALLEL}'"
        found.append(invalid(SPEC.child("podManagementPolicy"), spec.podManagementPolicy or "", detail))
    found += _update_findings(spec.updateStrategy or StatefulSetUpdateStrategy(), SPEC.child("updateStrategy"))
    found += _retention_findings(spec)
    found += none_negative(spec, SPEC, "replicas", "minReadySeconds")
    if spec.ordinals is not None:
        found += not_negative(spec.ordinals.start, SPEC.child("ordinals", "start"))
    found += selector_and_labels_findings(spec.selector, spec.template)
    return found + always_restarting(spec.template, SPEC.child("template"), "StatefulSet")


def _template_findings(spec: StatefulSetSpec) -> list[FieldError]:
    """Containers mount the claims of their pod by the names of the claims' templates, as if they were its volumes."""
    claims = {claim.metadata.name or "": claim for claim in spec.volumeClaimTemplates or ()}
    volumes = [volume for volume in spec.template.spec.volumes or () if volume.name not in claims]
    for name in claims:
        volumes.append(Volume(name=name, persistentVolumeClaim=PersistentVolumeClaimVolumeSource(claimName=name)))
    replace = msgspec.structs.replace
    template = replace(spec.template, spec=replace(spec.template.spec, volumes=volumes or None))
    return validate_template(template, SPEC.child("template"))


def _claim_findings(spec: StatefulSetSpec) -> list[FieldError]:
    found: list[FieldError] = []
    for position, claim in enumerate(spec.volumeClaimTemplates or ()):
        found += validate_claim_spec(claim.spec, SPEC.child("volumeClaimTemplates").index(position).child("spec"))
    return found


def _update_findings(update: StatefulSetUpdateStrategy, path: Path) -> list[FieldError]:
    rolling, at = update.rollingUpdate, path.child("rollingUpdate")
    if not update.type:
        return [required(path)]
    if update.type == ON_DELETE:
        detail = f"only allowed for updateStrategy '{ROLLING_UPDATE}'"
        return [invalid(at, rolling, detail)] if rolling is not None else []
    if update.type != ROLLING_UPDATE:
        return [invalid(path, update, f"must be '{ROLLING_UPDATE}' or '{ON_DELETE}'")]
    if rolling is None:
        return []
    found = not_negative(rolling.partition, at.child("partition"))
    if rolling.maxUnavailable is not None:
        found += validate_int_or_percent(rolling.maxUnavailable, at.child("maxUnavailable"))
        if is_zero(rolling.maxUnavailable):
            found.append(invalid(at.child("maxUnavailable"), rolling.maxUnavailable, "cannot be 0"))
        found += at_most_hundred_percent(rolling.maxUnavailable, at.child("maxUnavailable"))
    return found


def _retention_findings(spec: StatefulSetSpec) -> list[FieldError]:
    found: list[FieldError] = []
    policy = spec.persistentVolumeClaimRetentionPolicy
    for field in ("whenDeleted", "whenScaled"):
        value = getattr(policy, field) if policy else None
        if value is not None and value not in (RETAIN, DELETE):
            at = SPEC.child("persistentVolumeClaimRetentionPolicy", field)
            found.append(not_supported(at, value, (RETAIN, DELETE)))
    return found


def validate_update(new: StatefulSet, old: StatefulSet) -> list[FieldError]:
    kept = {field: getattr(new.spec, field) for field in _CHANGEABLE_FIELDS}
    if not same(msgspec.structs.replace(old.spec, **kept), new.spec):
        return [forbidden(SPEC, CHANGEABLE)]
    return []


def validate_status_update(new: StatefulSet, old: StatefulSet) -> list[FieldError]:
    status = new.status
    counts = ("replicas", "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas")
    found = none_negative(status, STATUS, *counts, "observedGeneration", "collisionCount")
    for field in counts[1:]:
        found += not_above(status, STATUS, field, "replicas", "status.replicas")
    found += not_above(status, STATUS, "availableReplicas", "readyReplicas", "status.readyReplicas")
    return found + not_decremented(status.collisionCount, old.status.collisionCount, STATUS.child("collisionCount"))


_template_warnings = holder_warnings(lambda stateful_set: stateful_set.spec.template, SPEC.child("template"), False)


def warnings(new: StatefulSet, old: StatefulSet | None) -> list[str]:
    found = _template_warnings(new, old)
    if old is not None and new.spec == old.spec:
        return found
    for position, claim in enumerate(new.spec.volumeClaimTemplates or ()):
        found += claim_warnings(claim.spec, SPEC.child("volumeClaimTemplates").index(position).child("spec"))
    if (new.spec.revisionHistoryLimit or 0) < 0:
        at = SPEC.child("revisionHistoryLimit")
        found.append(f"{at}: a negative value retains all historical revisions; a value >= 0 is recommended")
    return found


STRATEGY: Strategy[StatefulSet] = Strategy(
    default=default,
    prepare_for_create=clear_status,
    prepare_for_update=keep_status,
    prepare_for_status_update=keep_spec,
    validate=validate,
    validate_changed=validate_changed,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
    warnings=warnings,
    columns=(
        cells.name_column(),
        cells.text("Ready", lambda s: f"{s.status.readyReplicas or 0}/{s.spec.replicas or 0}"),
        cells.age_column(),
        *cells.container_columns(lambda stateful_set: stateful_set.spec.template),
    ),
)
