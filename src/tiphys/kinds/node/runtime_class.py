"""RuntimeClasses: ways to run a pod's containers, with what they cost and where they are found."""

from __future__ import annotations

from collections.abc import Sequence

from tiphys.kinds import cells
from tiphys.kinds.core.node_labels import selector_warnings
from tiphys.kinds.core.resource_validation import validate_overhead
from tiphys.kinds.core.toleration_validation import validate_tolerations
from tiphys.kinds.object_meta import immutable, label_name, validate_labels
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.core_v1 import Toleration
from tiphys.kinds.types.node_v1 import RuntimeClass
from tiphys.machinery.field_errors import FieldError, Path, duplicate, invalid
from tiphys.machinery.repetition import repeated

SCHEDULING = Path("scheduling")


def validate(runtime_class: RuntimeClass) -> list[FieldError]:
    found = [invalid(Path("handler"), runtime_class.handler, text) for text in label_name(runtime_class.handler)]
    if runtime_class.overhead is not None:
        found += validate_overhead(runtime_class.overhead.podFixed or {}, Path("overhead"))
    if runtime_class.scheduling is not None:
        found += validate_labels(runtime_class.scheduling.nodeSelector or {}, SCHEDULING.child("nodeSelector"))
        found += _toleration_findings(runtime_class.scheduling.tolerations or ())
    return found


def _toleration_findings(tolerations: Sequence[Toleration]) -> list[FieldError]:
    path = SCHEDULING.child("tolerations")
    found = validate_tolerations(tolerations, path)
    again = repeated((each.key or "", each.operator or "", each.value or "", each.effect or "") for each in tolerations)
    return found + [duplicate(path.index(position), tolerations[position]) for position in sorted(again)]


def warnings(runtime_class: RuntimeClass, old: RuntimeClass | None) -> list[str]:
    scheduling = runtime_class.scheduling
    labels = scheduling.nodeSelector if scheduling is not None else None
    return selector_warnings(labels or (), Path("scheduling.nodeSelector"))


STRATEGY: Strategy[RuntimeClass] = Strategy(
    warnings=warnings,
    validate=validate,
    validate_update=lambda new, old: immutable(new.handler, old.handler, Path("handler")),
    columns=(
        cells.name_column(),
        cells.text("Handler", lambda runtime_class: runtime_class.handler),
        cells.age_column(),
    ),
    has_generation=False,
    has_status=False,
)
