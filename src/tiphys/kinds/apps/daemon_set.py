"""DaemonSets: one pod of a template on every node that fits, and how to go from one template to the next."""

from __future__ import annotations

from tiphys.kinds import cells
from tiphys.kinds.apps.workload import SPEC, STATUS, validate_selector_and_template
from tiphys.kinds.core.template import default_template, holder_warnings
from tiphys.kinds.int_or_percent import at_most_hundred_percent, is_zero, validate_int_or_percent
from tiphys.kinds.number_findings import none_negative, not_decremented
from tiphys.kinds.object_meta import immutable
from tiphys.kinds.spec_and_status import clear_status, keep_spec, keep_status
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.apps_v1 import DaemonSet, DaemonSetUpdateStrategy, RollingUpdateDaemonSet
from tiphys.machinery.digits import is_number
from tiphys.machinery.field_errors import FieldError, Path, invalid, not_supported, required

GENERATION_ANNOTATION = "deprecated.daemonset.template.generation"
ROLLING_UPDATE, ON_DELETE = "RollingUpdate", "OnDelete"


def default(daemon_set: DaemonSet) -> None:
    spec = daemon_set.spec
    if spec.updateStrategy is None:
        spec.updateStrategy = DaemonSetUpdateStrategy()
    update = spec.updateStrategy
    if not update.type:
        update.type = ROLLING_UPDATE
    if update.type == ROLLING_UPDATE:
        if update.rollingUpdate is None:
            update.rollingUpdate = RollingUpdateDaemonSet()
        if update.rollingUpdate.maxUnavailable is None:
            update.rollingUpdate.maxUnavailable = 1
        if update.rollingUpdate.maxSurge is None:
            update.rollingUpdate.maxSurge = 0
    if spec.revisionHistoryLimit is None:
        spec.revisionHistoryLimit = 10
    default_template(spec.template)


def prepare_for_create(daemon_set: DaemonSet) -> None:
    clear_status(daemon_set)
    given = (daemon_set.metadata.annotations or {}).get(GENERATION_ANNOTATION, "")
    _count_template(daemon_set, max(1, _number(given)))


def prepare_for_update(new: DaemonSet, old: DaemonSet) -> None:
    keep_status(new, old)
    before = _number((old.metadata.annotations or {}).get(GENERATION_ANNOTATION, ""))
    _count_template(new, before + (new.spec.template != old.spec.template))


def _number(text: str) -> int:
    return int(text) if is_number(text) else 0


def _count_template(daemon_set: DaemonSet, generation: int) -> None:
    """How often the template changed is the server's to say; clients of long ago read it."""
    daemon_set.metadata.annotations = {
        **(daemon_set.metadata.annotations or {}),
        GENERATION_ANNOTATION: str(generation),
    }


def validate(daemon_set: DaemonSet) -> list[FieldError]:
    spec = daemon_set.spec
    found = validate_selector_and_template(spec.selector, spec.template, "DaemonSet")
    found += none_negative(spec, SPEC, "minReadySeconds", "revisionHistoryLimit")
    return found + _update_findings(spec.updateStrategy or DaemonSetUpdateStrategy(), SPEC.child("updateStrategy"))


def _update_findings(update: DaemonSetUpdateStrategy, path: Path) -> list[FieldError]:
    if update.type == ON_DELETE:
        return []
    if update.type != ROLLING_UPDATE:
        return [not_supported(path, update, (ROLLING_UPDATE, ON_DELETE))]
    rolling, at = update.rollingUpdate, path.child("rollingUpdate")
    if rolling is None:
        return [required(at)]
    unavailable, surge = (0 if value is None else value for value in (rolling.maxUnavailable, rolling.maxSurge))
    found = validate_int_or_percent(unavailable, at.child("maxUnavailable"))
    found += validate_int_or_percent(surge, at.child("maxSurge"))
    found += at_most_hundred_percent(unavailable, at.child("maxUnavailable"))
    found += at_most_hundred_percent(surge, at.child("maxSurge"))
    if not is_zero(unavailable) and not is_zero(surge):
        found.append(invalid(at.child("maxSurge"), surge, "may not be set when maxUnavailable is non-zero"))
    if is_zero(unavailable) and is_zero(surge):
        found.append(required(at.child("maxUnavailable"), "cannot be 0 when maxSurge is 0"))
    return found


def validate_update(new: DaemonSet, old: DaemonSet) -> list[FieldError]:
    return immutable(new.spec.selector, old.spec.selector, SPEC.child("selector"))


def validate_status_update(new: DaemonSet, old: DaemonSet) -> list[FieldError]:
    counts = (
        "currentNumberScheduled numberMisscheduled desiredNumberScheduled numberReady observedGeneration"
        " updatedNumberScheduled numberAvailable numberUnavailable collisionCount"
    )
    found = none_negative(new.status, STATUS, *counts.split())
    return found + not_decremented(new.status.collisionCount, old.status.collisionCount, STATUS.child("collisionCount"))


STRATEGY: Strategy[DaemonSet] = Strategy(
    default=default,
    prepare_for_create=prepare_for_create,
    prepare_for_update=prepare_for_update,
    prepare_for_status_update=keep_spec,
    validate=validate,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
    warnings=holder_warnings(lambda daemon_set: daemon_set.spec.template, SPEC.child("template"), names_hosts=False),
    columns=(
        cells.name_column(),
        cells.number("Desired", lambda daemon_set: daemon_set.status.desiredNumberScheduled),
        cells.number("Current", lambda daemon_set: daemon_set.status.currentNumberScheduled),
        cells.number("Ready", lambda daemon_set: daemon_set.status.numberReady),
        cells.number("Up-to-date", lambda daemon_set: daemon_set.status.updatedNumberScheduled),
        cells.number("Available", lambda daemon_set: daemon_set.status.numberAvailable),
        cells.text("Node Selector", lambda daemon_set: cells.pairs_text(daemon_set.spec.template.spec.nodeSelector)),
        cells.age_column(),
        *cells.container_columns(lambda daemon_set: daemon_set.spec.template),
        cells.text("Selector", lambda daemon_set: cells.selector_text(daemon_set.spec.selector), wide=True),
    ),
)
