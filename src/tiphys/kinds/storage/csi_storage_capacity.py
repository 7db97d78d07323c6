"""CSIStorageCapacities: how much a storage driver could still give out at some place."""

from __future__ import annotations

from tiphys.kinds import cells, unserved
from tiphys.kinds.core.node_labels import key_warnings, selector_warnings
from tiphys.kinds.label_selectors import validate_label_selector
from tiphys.kinds.object_meta import immutable, subdomain_name
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.storage_v1 import CSIStorageCapacity
from tiphys.machinery.field_errors import FieldError, Path, invalid


def validate(capacity: CSIStorageCapacity) -> list[FieldError]:
    name = capacity.storageClassName
    found = [invalid(Path("storageClassName"), name, text) for text in subdomain_name(name)]
    for field in ("capacity", "maximumVolumeSize"):
        amount = getattr(capacity, field)
        if amount is not None and amount.amount < 0:
            found.append(invalid(Path(field), str(amount), "must be greater than or equal to 0"))
    return found + validate_label_selector(capacity.nodeTopology, Path("nodeTopology"))


def validate_update(new: CSIStorageCapacity, old: CSIStorageCapacity) -> list[FieldError]:
    return immutable(new.nodeTopology, old.nodeTopology, Path("nodeTopology")) + immutable(
        new.storageClassName, old.storageClassName, Path("storageClassName")
    )


def warnings(capacity: CSIStorageCapacity, old: CSIStorageCapacity | None) -> list[str]:
    topology, found = capacity.nodeTopology, [unserved.STORAGE_CAPACITY]
    if topology is None:
        return found
    path = Path("nodeTopology")
    found += selector_warnings(topology.matchLabels or (), path.child("matchLabels"))
    for position, expression in enumerate(topology.matchExpressions or ()):
        found += key_warnings(expression.key, path.child("matchExpressions").index(position).child("key"))
    return found


STRATEGY: Strategy[CSIStorageCapacity] = Strategy(
    warnings=warnings,
    validate=validate,
    validate_update=validate_update,
    columns=(
        cells.name_column(),
        cells.text("StorageClassName", lambda capacity: capacity.storageClassName),
        cells.text("Capacity", lambda capacity: str(capacity.capacity or "0")),
        cells.age_column(),
    ),
    has_generation=False,
    has_status=False,
)
