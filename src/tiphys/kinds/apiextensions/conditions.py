"""What the server says of a definition in its status: whether its names are free, whether it is established, how far
its deletion is.

Names belong to a group: the definition that has accepted a name keeps it, whoever comes later waits until it is free
again. Reasons and messages are those of Kubernetes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from tiphys.kinds.types.apiextensions_v1 import (
    CustomResourceDefinition,
    CustomResourceDefinitionCondition,
    CustomResourceDefinitionNames,
    CustomResourceDefinitionStatus,
)
from tiphys.machinery.timestamps import Time

CLEANUP_FINALIZER = "customresourcecleanup.apiextensions.k8s.io"
NAMES_ACCEPTED, ESTABLISHED, TERMINATING = "NamesAccepted", "Established", "Terminating"
NON_STRUCTURAL = "NonStructuralSchema"


def is_true(definition: CustomResourceDefinition, kind: str) -> bool:
    return any(c.type == kind and c.status == "True" for c in definition.status.conditions or ())


def with_condition(
    conditions: Sequence[CustomResourceDefinitionCondition], kind: str, status: str, reason: str, message: str, at: Time
) -> list[CustomResourceDefinitionCondition]:
    """The conditions with one set; its time is that of its last change of status."""
    old = next((c for c in conditions if c.type == kind), None)
    moment = old.lastTransitionTime if old is not None and old.status == status else at
    new = CustomResourceDefinitionCondition(
        type=kind, status=status, reason=reason, message=message, lastTransitionTime=moment
    )
    if old is None:
        return [*conditions, new]
    return [new if c.type == kind else c for c in conditions]


def marked_for_deletion(status: CustomResourceDefinitionStatus, at: Time) -> CustomResourceDefinitionStatus:
    """The status of a definition whose deletion begins."""
    message = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"
    found = with_condition(status.conditions or (), TERMINATING, "True", "InstanceDeletionPending", message, at)
    return msgspec.structs.replace(status, conditions=found)


def deletion_progress(
    status: CustomResourceDefinitionStatus, left: int, failure: str, at: Time
) -> CustomResourceDefinitionStatus:
    """The status while instances are being deleted, and when that is done."""
    if failure:
        words = ("True", "InstanceDeletionFailed", f"could not list instances: {failure}")
    elif left:
        words = ("True", "InstanceDeletionInProgress", "CustomResource deletion is in progress")
    else:
        words = ("False", "InstanceDeletionCompleted", "removed all instances")
    found = with_condition(status.conditions or (), TERMINATING, *words, at)
    return msgspec.structs.replace(status, conditions=found)


def _taken(
    definition: CustomResourceDefinition, others: Iterable[CustomResourceDefinition]
) -> tuple[set[str], set[str], set[str]]:
    """(resource names, kinds, list kinds) that others of the group have accepted."""
    resources: set[str] = set()
    kinds: set[str] = set()
    lists: set[str] = set()
    for other in others:
        names = other.status.acceptedNames
        same = other.metadata.name == definition.metadata.name
        if same or other.spec.group != definition.spec.group or names is None:
            continue
        resources.update(name for name in (names.plural, names.singular, *(names.shortNames or ())) if name)
        kinds.add(names.kind)
        lists.add(names.listKind or "")
    return resources, kinds, lists


def accepted_names(
    definition: CustomResourceDefinition, others: Iterable[CustomResourceDefinition]
) -> tuple[CustomResourceDefinitionNames, str, str]:
    """(names that are the definition's own now, reason of a conflict, its message); both "" when all are accepted."""
    wanted = definition.spec.names
    resources, kinds, lists = _taken(definition, others)
    kept = definition.status.acceptedNames or CustomResourceDefinitionNames()
    found = msgspec.structs.replace(kept, categories=wanted.categories)
    conflicts: list[tuple[str, str]] = []

    def settle(field: str, value: str, taken: set[str], reason: str) -> None:
        if value in taken and value != getattr(kept, field):
            conflicts.append((reason, f'"{value}" is already in use'))
        else:
            setattr(found, field, value)

    settle("plural", wanted.plural, resources, "PluralConflict")
    settle("singular", wanted.singular or "", resources, "SingularConflict")
    short = [name for name in wanted.shortNames or () if name in resources and name not in (kept.shortNames or ())]
    if short:
        words = ", ".join(f'"{name}" is already in use' for name in short)
        conflicts.append(("ShortNamesConflict", f"[{words}]" if len(short) > 1 else words))
    else:
        found.shortNames = wanted.shortNames
    settle("kind", wanted.kind, kinds, "KindConflict")
    settle("listKind", wanted.listKind or "", lists, "ListKindConflict")
    if not conflicts:
        return found, "", ""
    return found, conflicts[-1][0], conflicts[-1][1]


def established_status(
    definition: CustomResourceDefinition, others: Iterable[CustomResourceDefinition], at: Time
) -> CustomResourceDefinitionStatus:
    """The status that a definition should have beside those of all others; equal to its own when nothing changes."""
    status = definition.status
    names, reason, message = accepted_names(definition, others)
    found = list(status.conditions or ())
    if reason:
        found = with_condition(found, NAMES_ACCEPTED, "False", reason, message, at)
        if not is_true(definition, ESTABLISHED):
            found = with_condition(found, ESTABLISHED, "False", "NotAccepted", "not all names are accepted", at)
    else:
        found = with_condition(found, NAMES_ACCEPTED, "True", "NoConflicts", "no conflicts found", at)
        if not is_true(definition, ESTABLISHED):
            found = with_condition(
                found, ESTABLISHED, "True", "InitialNamesAccepted", "the initial names have been accepted", at
            )
    stored = list(status.storedVersions or ())
    stored += [v.name for v in definition.spec.versions if v.storage and v.name not in stored]
    return msgspec.structs.replace(status, acceptedNames=names, conditions=found, storedVersions=stored)
