"""RuntimeClasses: ways to run a pod's containers, with what they cost and where they are found."""

from __future__ import annotations

from tiphys.kinds import cells
from tiphys.kinds.core.node_labels import selector_warnings
from tiphys.kinds.core.resource_validation import container_resource_name
from tiphys.kinds.core.toleration_validation import validate_tolerations
from tiphys.kinds.object_meta import immutable, label_name, validate_labels
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.node_v1 import RuntimeClass
from tiphys.machinery.field_errors import FieldError, Path, invalid


def validate(runtime_class: RuntimeClass) -> list[FieldError]:
    found = [invalid(Path("handler"), runtime_class.handler, text) for text in label_name(runtime_class.handler)]
    for name, amount in ((runtime_class.overhead.podFixed if runtime_class.overhead else None) or {}).items():
        at = Path("overhead.podFixed").key(name)
        found += [invalid(at, name, text) for text in container_resource_name(name)]
        if amount.amount < 0:
            found.append(invalid(at, str(amount), "must be greater than or equal to 0"))
    if runtime_class.scheduling is not None:
        found += validate_labels(runtime_class.scheduling.nodeSelector or {}, Path("scheduling.nodeSelector"))
        found += validate_tolerations(runtime_class.scheduling.tolerations or (), Path("scheduling.tolerations"))
    return found


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
