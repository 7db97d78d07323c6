"""Deployments: a number of pods of a template, and how to go from one template to the next."""

from __future__ import annotations

from tiphys.kinds import cells
from tiphys.kinds.apps.workload import SPEC, STATUS, validate_selector_and_template
from tiphys.kinds.core.template import default_template, holder_warnings
from tiphys.kinds.int_or_percent import at_most_hundred_percent, is_zero, validate_int_or_percent
from tiphys.kinds.number_findings import none_negative, not_above, not_decremented
from tiphys.kinds.object_meta import immutable
from tiphys.kinds.spec_and_status import clear_status, keep_spec_and_labels, keep_status
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.apps_v1 import Deployment, DeploymentStrategy, RollingUpdateDeployment
from tiphys.machinery.field_errors import FieldError, Path, forbidden, invalid, not_supported, required

ROLLING_UPDATE, RECREATE = "RollingUpdate", "Recreate"


def default(deployment: Deployment) -> None:
    spec = deployment.spec
    if spec.replicas is None:
        spec.replicas = 1
    if spec.strategy is None:
        spec.strategy = DeploymentStrategy()
    if not spec.strategy.type:
        spec.strategy.type = ROLLING_UPDATE
    if spec.strategy.type == ROLLING_UPDATE:
        if spec.strategy.rollingUpdate is None:
            spec.strategy.rollingUpdate = RollingUpdateDeployment()
        rolling = spec.strategy.rollingUpdate
        if rolling.maxUnavailable is None:
            rolling.maxUnavailable = "25%"
        if rolling.maxSurge is None:
            rolling.maxSurge = "25%"
    if spec.revisionHistoryLimit is None:
        spec.revisionHistoryLimit = 10
    if spec.progressDeadlineSeconds is None:
        spec.progressDeadlineSeconds = 600
    default_template(spec.template)


def validate(deployment: Deployment) -> list[FieldError]:
    spec = deployment.spec
    found = none_negative(spec, SPEC, "replicas")
    found += validate_selector_and_template(spec.selector, spec.template, "ReplicaSet")
    found += _strategy_findings(spec.strategy or DeploymentStrategy(), SPEC.child("strategy"))
    found += none_negative(spec, SPEC, "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds")
    deadline = spec.progressDeadlineSeconds
    if deadline is not None and deadline <= (spec.minReadySeconds or 0):
        found.append(invalid(SPEC.child("progressDeadlineSeconds"), deadline, "must be greater than minReadySeconds"))
    return found


def _strategy_findings(strategy: DeploymentStrategy, path: Path) -> list[FieldError]:
    rolling = strategy.rollingUpdate
    at = path.child("rollingUpdate")
    if strategy.type == RECREATE:
        detail = "may not be specified when strategy `type` is 'Recreate'"
        return [forbidden(at, detail)] if rolling is not None else []
    if strategy.type != ROLLING_UPDATE:
        return [not_supported(path, strategy, (RECREATE, ROLLING_UPDATE))]
    if rolling is None:
        return [required(at, "this should be defaulted and never be nil")]
    unavailable, surge = (0 if value is None else value for value in (rolling.maxUnavailable, rolling.maxSurge))
    found = validate_int_or_percent(unavailable, at.child("maxUnavailable"))
    found += validate_int_or_percent(surge, at.child("maxSurge"))
    if is_zero(unavailable) and is_zero(surge):
        found.append(invalid(at.child("maxUnavailable"), unavailable, "may not be 0 when `maxSurge` is 0"))
    return found + at_most_hundred_percent(unavailable, at.child("maxUnavailable"))


def validate_update(new: Deployment, old: Deployment) -> list[FieldError]:
    return immutable(new.spec.selector, old.spec.selector, SPEC.child("selector"))


def validate_status_update(new: Deployment, old: Deployment) -> list[FieldError]:
    status = new.status
    counts = ("observedGeneration", "replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    found = none_negative(status, STATUS, *counts, "unavailableReplicas", "collisionCount", "terminatingReplicas")
    for field in ("updatedReplicas", "readyReplicas", "availableReplicas"):
        found += not_above(status, STATUS, field, "replicas", "status.replicas")
    found += not_above(status, STATUS, "availableReplicas", "readyReplicas", "readyReplicas")
    return found + not_decremented(status.collisionCount, old.status.collisionCount, STATUS.child("collisionCount"))


def _ready(deployment: Deployment) -> str:
    return f"{deployment.status.readyReplicas or 0}/{deployment.spec.replicas or 0}"


STRATEGY: Strategy[Deployment] = Strategy(
    default=default,
    prepare_for_create=clear_status,
    prepare_for_update=keep_status,
    prepare_for_status_update=keep_spec_and_labels,
    validate=validate,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
    warnings=holder_warnings(lambda deployment: deployment.spec.template, SPEC.child("template")),
    columns=(
        cells.name_column(),
        cells.text("Ready", _ready),
        cells.count("Up-to-date", lambda deployment: deployment.status.updatedReplicas),
        cells.count("Available", lambda deployment: deployment.status.availableReplicas),
        cells.age_column(),
        *cells.container_columns(lambda deployment: deployment.spec.template),
        cells.text("Selector", lambda deployment: cells.selector_text(deployment.spec.selector), wide=True),
    ),
)
