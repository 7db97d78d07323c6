"""Namespaces: active until deleted, then terminating until the finalizers in spec are done with what is inside."""

from __future__ import annotations

from tiphys.kinds import cells
from tiphys.kinds.object_meta import label_key_findings, label_name, unqualified_finalizer_findings
from tiphys.kinds.spec_and_status import keep_spec
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.core_v1 import Namespace, NamespaceStatus
from tiphys.machinery.field_errors import FieldError, Path, invalid

KUBERNETES_FINALIZER = "kubernetes"
NAME_LABEL = "kubernetes.io/metadata.name"
FINALIZERS = Path("spec.finalizers")


def default(namespace: Namespace) -> None:
    """Every namespace carries its name as a label, so that selectors can name it; nobody can change that."""
    if namespace.metadata.name:
        labels = namespace.metadata.labels or {}
        if labels.get(NAME_LABEL) != namespace.metadata.name:
            namespace.metadata.labels = {**labels, NAME_LABEL: namespace.metadata.name}
    if not namespace.status.phase:
        namespace.status.phase = "Active"


def prepare_for_create(namespace: Namespace) -> None:
    namespace.status = NamespaceStatus(phase="Active")
    finalizers = namespace.spec.finalizers or []
    if KUBERNETES_FINALIZER not in finalizers:
        namespace.spec.finalizers = [*finalizers, KUBERNETES_FINALIZER]


def prepare_for_update(new: Namespace, old: Namespace) -> None:
    """The finalizers in spec go through the finalize subresource alone."""
    new.spec.finalizers = old.spec.finalizers
    new.status = old.status


def validate(namespace: Namespace) -> list[FieldError]:
    found: list[FieldError] = []
    for finalizer in namespace.spec.finalizers or ():
        found += [invalid(FINALIZERS, finalizer, text) for text in label_key_findings(finalizer)]
        found += unqualified_finalizer_findings(finalizer, FINALIZERS)
    return found


def validate_status_update(new: Namespace, old: Namespace) -> list[FieldError]:
    path = Path("status.Phase")
    deleted = bool(new.metadata.deletionTimestamp)
    if not deleted and new.status.phase != "Active":
        return [invalid(path, new.status.phase or "", "may only be 'Active' if `deletionTimestamp` is empty")]
    if deleted and new.status.phase != "Terminating":
        detail = "may only be 'Terminating' if `deletionTimestamp` is not empty"
        return [invalid(path, new.status.phase or "", detail)]
    return []


STRATEGY: Strategy[Namespace] = Strategy(
    default=default,
    prepare_for_create=prepare_for_create,
    prepare_for_update=prepare_for_update,
    prepare_for_status_update=keep_spec,
    validate=validate,
    validate_status_update=validate_status_update,
    subresource_validators={"finalize": lambda new, old: validate(new)},
    name_findings=label_name,
    columns=(
        cells.name_column(),
        cells.text("Status", lambda namespace: namespace.status.phase or ""),
        cells.age_column(),
    ),
    fields=lambda namespace: {"status.phase": namespace.status.phase or ""},
    has_generation=False,
)
