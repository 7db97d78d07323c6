"""ReplicaSets: a number of pods of one template, kept at that number."""

from __future__ import annotations

from tiphys.kinds import cells
from tiphys.kinds.apps.workload import SPEC, validate_selector_and_template
from tiphys.kinds.core.template import default_template, holder_warnings
from tiphys.kinds.number_findings import none_negative, not_above
from tiphys.kinds.object_meta import immutable
from tiphys.kinds.spec_and_status import clear_status, keep_spec, keep_status
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.apps_v1 import ReplicaSet, ReplicaSetStatus
from tiphys.kinds.types.core_v1 import PodTemplateSpec, ReplicationControllerStatus
from tiphys.machinery.field_errors import FieldError, Path


def default(replica_set: ReplicaSet) -> None:
    if replica_set.spec.replicas is None:
        replica_set.spec.replicas = 1
    if replica_set.spec.template is None:
        replica_set.spec.template = PodTemplateSpec()
    default_template(replica_set.spec.template)


def validate(replica_set: ReplicaSet) -> list[FieldError]:
    spec = replica_set.spec
    found = none_negative(spec, SPEC, "replicas", "minReadySeconds")
    return found + validate_selector_and_template(spec.selector, spec.template or PodTemplateSpec(), "ReplicaSet")


def validate_update(new: ReplicaSet, old: ReplicaSet) -> list[FieldError]:
    return immutable(new.spec.selector, old.spec.selector, SPEC.child("selector"))


def replica_status_findings(status: ReplicaSetStatus | ReplicationControllerStatus) -> list[FieldError]:
    """Counts of a ReplicaSet or ReplicationController: none negative, parts not above the whole."""
    path = Path("status")
    counts = ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration")
    found = none_negative(status, path, *counts)
    for field in ("fullyLabeledReplicas", "readyReplicas", "availableReplicas"):
        found += not_above(status, path, field, "replicas", "status.replicas")
    return found + not_above(status, path, "availableReplicas", "readyReplicas", "readyReplicas")


def validate_status_update(new: ReplicaSet, old: ReplicaSet) -> list[FieldError]:
    return replica_status_findings(new.status) + none_negative(new.status, Path("status"), "terminatingReplicas")


STRATEGY: Strategy[ReplicaSet] = Strategy(
    default=default,
    prepare_for_create=clear_status,
    prepare_for_update=keep_status,
    prepare_for_status_update=keep_spec,
    validate=validate,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
    warnings=holder_warnings(lambda replica_set: replica_set.spec.template, SPEC.child("template")),
    columns=(
        cells.name_column(),
        cells.number("Desired", lambda replica_set: replica_set.spec.replicas),
        cells.number("Current", lambda replica_set: replica_set.status.replicas),
        cells.number("Ready", lambda replica_set: replica_set.status.readyReplicas),
        cells.age_column(),
        *cells.container_columns(lambda replica_set: replica_set.spec.template),
        cells.text("Selector", lambda replica_set: cells.selector_text(replica_set.spec.selector), wide=True),
    ),
    fields=lambda replica_set: {"status.replicas": str(replica_set.status.replicas)},
)
