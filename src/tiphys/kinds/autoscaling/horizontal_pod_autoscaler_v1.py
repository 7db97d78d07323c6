"""HorizontalPodAutoscalers (autoscaling/v1): the older form, which knows cpu utilization alone.

Objects are stored in the newer form; `conversion.py` keeps what this one has no field for in annotations.
"""

from __future__ import annotations

from tiphys.kinds import cells, unserved
from tiphys.kinds.autoscaling.scaling_validation import NOTHING_OUTSIDE, validate_target
from tiphys.kinds.conversion import METRICS
from tiphys.kinds.number_findings import none_negative, not_negative
from tiphys.kinds.spec_and_status import clear_status, keep_spec, keep_status
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.autoscaling_v1 import HorizontalPodAutoscaler
from tiphys.machinery.field_errors import FieldError, Path, forbidden, invalid

SPEC = Path("spec")


def default(autoscaler: HorizontalPodAutoscaler) -> None:
    if autoscaler.spec.minReplicas is None:
        autoscaler.spec.minReplicas = 1


def validate(autoscaler: HorizontalPodAutoscaler) -> list[FieldError]:
    spec = autoscaler.spec
    minimum = 1 if spec.minReplicas is None else spec.minReplicas
    found = not_negative(minimum, SPEC.child("minReplicas"))
    if spec.maxReplicas < 1:
        found.append(invalid(SPEC.child("maxReplicas"), spec.maxReplicas, "must be greater than 0"))
    if spec.maxReplicas < minimum:
        detail = "must be greater than or equal to `minReplicas`"
        found.append(invalid(SPEC.child("maxReplicas"), spec.maxReplicas, detail))
    percent = spec.targetCPUUtilizationPercentage
    if percent is not None and percent < 1:
        # Clients know it by the metric that it stands for.
        at = SPEC.child("metrics").index(0).child("resource", "target", "averageUtilization")
        found.append(invalid(at, percent, "must be greater than 0"))
    if minimum == 0 and METRICS not in (autoscaler.metadata.annotations or {}):
        # The other metrics that this version has no field for; without them cpu is the only one.
        found.append(forbidden(SPEC.child("metrics"), NOTHING_OUTSIDE))
    return found + validate_target(spec.scaleTargetRef, SPEC.child("scaleTargetRef"))


def validate_status_update(new: HorizontalPodAutoscaler, old: HorizontalPodAutoscaler) -> list[FieldError]:
    return none_negative(new.status, Path("status"), "currentReplicas", "desiredReplicas")


def _targets(autoscaler: HorizontalPodAutoscaler) -> str:
    wanted = autoscaler.spec.targetCPUUtilizationPercentage
    if wanted is None:
        return cells.NONE
    current = autoscaler.status.currentCPUUtilizationPercentage
    return f"cpu: {cells.UNKNOWN if current is None else f'{current}%'}/{wanted}%"


STRATEGY: Strategy[HorizontalPodAutoscaler] = Strategy(
    warnings=unserved.warned(unserved.AUTOSCALING),
    default=default,
    prepare_for_create=clear_status,
    prepare_for_update=keep_status,
    prepare_for_status_update=keep_spec,
    validate=validate,
    validate_status_update=validate_status_update,
    columns=(
        cells.name_column(),
        cells.text("Reference", lambda a: f"{a.spec.scaleTargetRef.kind}/{a.spec.scaleTargetRef.name}"),
        cells.text("Targets", _targets),
        cells.text("MinPods", lambda a: cells.UNSET if a.spec.minReplicas is None else str(a.spec.minReplicas)),
        cells.count("MaxPods", lambda autoscaler: autoscaler.spec.maxReplicas),
        cells.count("Replicas", lambda autoscaler: autoscaler.status.currentReplicas),
        cells.age_column(),
    ),
    has_generation=False,
)
