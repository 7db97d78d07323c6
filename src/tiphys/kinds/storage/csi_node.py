"""CSINodes: which storage drivers run on a node and under which names they know it."""

from __future__ import annotations

from tiphys.kinds import cells
from tiphys.kinds.core.volume_source_validation import driver_name_findings
from tiphys.kinds.number_findings import not_negative
from tiphys.kinds.object_meta import label_key_findings
from tiphys.kinds.spec_and_status import clear_status, keep_spec, keep_status
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.storage_v1 import CSINode, CSINodeDriver
from tiphys.machinery.field_errors import FieldError, Path, duplicate, invalid, required, too_long
from tiphys.machinery.repetition import repeated

DRIVERS = Path("spec.drivers")
NODE_ID_LIMIT_BYTES = 192


def validate(node: CSINode) -> list[FieldError]:
    found: list[FieldError] = []
    names: set[str] = set()
    for position, driver in enumerate(node.spec.drivers):
        found += _driver_findings(driver, DRIVERS.index(position))
        if driver.name in names:
            found.append(duplicate(DRIVERS.index(position).child("name"), driver.name))
        names.add(driver.name)
    return found


def _driver_findings(driver: CSINodeDriver, path: Path) -> list[FieldError]:
    found = driver_name_findings(driver.name, path.child("name"))
    if not driver.nodeID:
        found.append(required(path.child("nodeID")))
    elif len(driver.nodeID) > NODE_ID_LIMIT_BYTES:
        found.append(too_long(path.child("nodeID"), NODE_ID_LIMIT_BYTES))
    keys = driver.topologyKeys or []
    again = repeated(keys)
    for position, key in enumerate(keys):  # clients know them by the driver's path
        if not key:
            found.append(required(path, key))
        if position in again:
            found.append(duplicate(path, key))
        found += [invalid(path, key, text) for text in label_key_findings(key)]
    if driver.allocatable is not None:
        found += not_negative(driver.allocatable.count, path.child("allocatable", "count"))
    return found


def validate_update(new: CSINode, old: CSINode) -> list[FieldError]:
    """A driver on a node keeps its ids; it can leave and come back with others."""
    found: list[FieldError] = []
    before = {driver.name: driver for driver in old.spec.drivers}
    for driver in new.spec.drivers:
        was = before.get(driver.name)
        if was is not None and (was.nodeID, was.topologyKeys) != (driver.nodeID, driver.topologyKeys):
            found.append(invalid(Path("CSINodeDriver"), driver, "field is immutable"))  # as clients know it
    return found


STRATEGY: Strategy[CSINode] = Strategy(
    prepare_for_create=clear_status,
    prepare_for_update=keep_status,
    prepare_for_status_update=keep_spec,
    validate=validate,
    validate_update=validate_update,
    columns=(
        cells.name_column(),
        cells.number("Drivers", lambda node: len(node.spec.drivers)),
        cells.age_column(),
    ),
    has_generation=False,
)
