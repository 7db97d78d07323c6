"""ReplicationControllers: the older form of ReplicaSets, with a plain map as selector."""

from __future__ import annotations

from tiphys.kinds import cells
from tiphys.kinds.apps.replica_set import replica_status_findings
from tiphys.kinds.apps.workload import SPEC, validate_matching_template
from tiphys.kinds.core.template import default_template, holder_warnings
from tiphys.kinds.number_findings import none_negative
from tiphys.kinds.spec_and_status import clear_status, keep_spec, keep_status
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.core_v1 import ReplicationController
from tiphys.machinery import labels
from tiphys.machinery.field_errors import FieldError, required


def default(controller: ReplicationController) -> None:
    """Without selector or labels of its own it takes its template's labels."""
    spec = controller.spec
    template_labels = spec.template.metadata.labels if spec.template else None
    if template_labels:
        if not spec.selector:
            spec.selector = dict(template_labels)
        if not controller.metadata.labels:
            controller.metadata.labels = dict(template_labels)
    if spec.replicas is None:
        spec.replicas = 1
    if spec.template is not None:
        default_template(spec.template)


def validate(controller: ReplicationController) -> list[FieldError]:
    spec = controller.spec
    found = none_negative(spec, SPEC, "minReadySeconds")
    if not spec.selector:
        found.append(required(SPEC.child("selector")))
    found += none_negative(spec, SPEC, "replicas")
    if spec.template is None:
        return [*found, required(SPEC.child("template"))]
    return found + validate_matching_template(spec.template, labels.from_set(spec.selector), "ReplicationController")


def validate_status_update(new: ReplicationController, old: ReplicationController) -> list[FieldError]:
    return replica_status_findings(new.status)


STRATEGY: Strategy[ReplicationController] = Strategy(
    default=default,
    prepare_for_create=clear_status,
    prepare_for_update=keep_status,
    prepare_for_status_update=keep_spec,
    validate=validate,
    validate_status_update=validate_status_update,
    warnings=holder_warnings(lambda controller: controller.spec.template, SPEC.child("template")),
    columns=(
        cells.name_column(),
        cells.number("Desired", lambda controller: controller.spec.replicas),
        cells.number("Current", lambda controller: controller.status.replicas),
        cells.number("Ready", lambda controller: controller.status.readyReplicas),
        cells.age_column(),
        *cells.container_columns(lambda controller: controller.spec.template),
        cells.text("Selector", lambda controller: cells.pairs_text(controller.spec.selector), wide=True),
    ),
    fields=lambda controller: {"status.replicas": str(controller.status.replicas)},
    default_propagation="Orphan",
)
