"""ControllerRevisions: remembered states of a StatefulSet or DaemonSet. Their data never changes."""

from __future__ import annotations

from tiphys.kinds import cells
from tiphys.kinds.number_findings import not_negative
from tiphys.kinds.object_meta import immutable
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.apps_v1 import ControllerRevision
from tiphys.machinery.field_errors import FieldError, Path, invalid, required


def validate(revision: ControllerRevision) -> list[FieldError]:
    found: list[FieldError] = []
    if revision.data is None:
        found.append(required(Path("data"), "data is mandatory"))
    elif not isinstance(revision.data, dict):
        found.append(invalid(Path("data"), "", "must be an object"))
    return found + not_negative(revision.revision, Path("revision"))


def validate_update(new: ControllerRevision, old: ControllerRevision) -> list[FieldError]:
    return immutable(new.data, old.data, Path("data"))


def _controller(revision: ControllerRevision) -> str:
    for owner in revision.metadata.ownerReferences or ():
        if owner.controller:
            group = owner.apiVersion.rpartition("/")[0]
            kind = f"{owner.kind.lower()}.{group}" if group else owner.kind.lower()
            return f"{kind}/{owner.name}"
    return cells.NONE


STRATEGY: Strategy[ControllerRevision] = Strategy(
    validate=validate,
    validate_update=validate_update,
    columns=(
        cells.name_column(),
        cells.text("Controller", _controller),
        cells.count("Revision", lambda revision: revision.revision),
        cells.age_column(),
    ),
    has_generation=False,
    has_status=False,
)
