"""ResourceSlices: the devices that a driver offers, on one node or to several."""

from __future__ import annotations

from tiphys.kinds import cells, unserved
from tiphys.kinds.core.affinity_validation import validate_node_selector
from tiphys.kinds.object_meta import immutable
from tiphys.kinds.resource_api.attribute_validation import has_lists
from tiphys.kinds.resource_api.binding_validation import validate_skipped_operations
from tiphys.kinds.resource_api.bounded_lists import validate_set
from tiphys.kinds.resource_api.counter_validation import validate_counter_set
from tiphys.kinds.resource_api.device_names import (
    driver_findings,
    driver_warnings,
    fully_qualified_name_findings,
    node_findings,
    pool_findings,
)
from tiphys.kinds.resource_api.device_validation import one_of, validate_device
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.resource_v1 import Device, DeviceAttribute, ResourcePool, ResourceSlice, ResourceSliceSpec
from tiphys.machinery.field_errors import FieldError, Path, invalid, required

SPEC = Path("spec")
DRIVER = SPEC.child("driver")
DEVICES_LIMIT, COUNTER_SETS_LIMIT = 128, 8
# As soon as one of the devices has taints, consumes counters or has an attribute with a list of values.
ELABORATE_DEVICES_LIMIT = 64
NODE_SELECTIONS = ("nodeName", "nodeSelector", "allNodes", "perDeviceNodeSelection")
ONE_SELECTION = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"


def validate(resource_slice: ResourceSlice) -> list[FieldError]:
    return _findings(resource_slice, None)


def validate_changed(new: ResourceSlice, old: ResourceSlice) -> list[FieldError]:
    return _findings(new, old)


def _findings(resource_slice: ResourceSlice, old: ResourceSlice | None) -> list[FieldError]:
    spec = resource_slice.spec
    found = driver_findings(spec.driver, DRIVER) + _pool_findings(spec.pool, SPEC.child("pool"))
    found += _selection_findings(spec)
    if spec.sharedCounters is not None and spec.devices is not None:
        found.append(invalid(SPEC, "", "only one of `sharedCounters` or `devices` is allowed"))
    found += _device_findings(spec, old.spec.devices if old is not None else None)
    at = SPEC.child("sharedCounters")
    found += validate_set(spec.sharedCounters, COUNTER_SETS_LIMIT, validate_counter_set, at, key=lambda one: one.name)
    if spec.partitionTypeAttribute is not None:
        found += _partition_findings(spec, spec.partitionTypeAttribute, SPEC.child("partitionTypeAttribute"))
    return found + validate_skipped_operations(spec.skipNodeOperations, SPEC.child("skipNodeOperations"))


def _pool_findings(pool: ResourcePool, path: Path) -> list[FieldError]:
    found = pool_findings(pool.name, path.child("name"))
    if pool.resourceSliceCount <= 0:
        found.append(invalid(path.child("resourceSliceCount"), pool.resourceSliceCount, "must be greater than zero"))
    if pool.generation < 0:
        detail = "must be greater than or equal to zero"
        found.append(invalid(path.child("generation"), pool.generation, detail))
    return found


def _selection_findings(spec: ResourceSliceSpec) -> list[FieldError]:
    """Where the devices are is said once."""
    found: list[FieldError] = []
    if spec.nodeName is not None:
        at, empty = SPEC.child("nodeName"), "must be either unset or set to a non-empty string"
        found += node_findings(spec.nodeName, at) if spec.nodeName else [invalid(at, "", empty)]
    if spec.nodeSelector is not None:
        at, terms = SPEC.child("nodeSelector"), spec.nodeSelector.nodeSelectorTerms
        found += validate_node_selector(spec.nodeSelector, at)
        if len(terms) != 1:
            detail = "must have exactly one node selector term"
            found.append(invalid(at.child("nodeSelectorTerms"), terms, detail))
    for field in ("allNodes", "perDeviceNodeSelection"):
        if getattr(spec, field) is False:
            found.append(invalid(SPEC.child(field), False, "must be either unset or set to true"))
    several = f"{ONE_SELECTION}, but multiple fields are set"
    return found + one_of(spec, NODE_SELECTIONS, SPEC, ONE_SELECTION, several)


def _device_findings(spec: ResourceSliceSpec, before: list[Device] | None) -> list[FieldError]:
    devices = spec.devices or []
    elaborate = any(device.taints or device.consumesCounters or has_lists(device) for device in devices)
    known = {device.name: device for device in before or ()}

    def check(device: Device, path: Path) -> list[FieldError]:
        return validate_device(device, known.get(device.name), bool(spec.perDeviceNodeSelection), path)

    limit = ELABORATE_DEVICES_LIMIT if elaborate else DEVICES_LIMIT
    return validate_set(devices, limit, check, SPEC.child("devices"), key=lambda device: device.name)


def _partition_findings(spec: ResourceSliceSpec, name: str, path: Path) -> list[FieldError]:
    """Devices that consume counters say by this attribute what kind of part they are."""
    wrong = fully_qualified_name_findings(name, path)
    consumers = [(place, device) for place, device in enumerate(spec.devices or ()) if device.consumesCounters]
    if not consumers:
        detail = "may only be set on a slice which declares devices that consume counters"
        return [*wrong, invalid(path, name, detail)]
    if wrong:
        return wrong
    found: list[FieldError] = []
    for place, device in consumers:
        at = SPEC.child("devices").index(place).child("attributes").key(name)
        attribute = _attribute(device, name, spec.driver)
        if attribute is None:
            detail = "device consumes counters and `partitionTypeAttribute` names this attribute, so it must be set"
            found.append(required(at, detail))
        elif attribute.string is None:
            detail = "must be a string value because `partitionTypeAttribute` names this attribute"
            found.append(invalid(at, attribute, detail))
    return found


def _attribute(device: Device, name: str, driver: str) -> DeviceAttribute | None:
    """The attribute by its full name, or without the domain when that is the driver's."""
    attributes = device.attributes or {}
    return attributes.get(name) or attributes.get(name.removeprefix(f"{driver}/"))


def validate_update(new: ResourceSlice, old: ResourceSlice) -> list[FieldError]:
    """A slice belongs to one driver, pool and node for good."""
    found = immutable(new.spec.pool.name, old.spec.pool.name, SPEC.child("pool", "name"))
    found += immutable(new.spec.driver, old.spec.driver, DRIVER)
    return found + immutable(new.spec.nodeName, old.spec.nodeName, SPEC.child("nodeName"))


def warnings(new: ResourceSlice, _: ResourceSlice | None) -> list[str]:
    return [unserved.DEVICES, *driver_warnings(new.spec.driver, DRIVER)]


STRATEGY: Strategy[ResourceSlice] = Strategy(
    validate=validate,
    validate_changed=validate_changed,
    validate_update=validate_update,
    warnings=warnings,
    columns=(
        cells.name_column(),
        cells.text("Node", lambda resource_slice: resource_slice.spec.nodeName or cells.UNSET),
        cells.text("Driver", lambda resource_slice: resource_slice.spec.driver),
        cells.text("Pool", lambda resource_slice: resource_slice.spec.pool.name),
        cells.age_column(),
    ),
    fields=lambda resource_slice: {
        "spec.nodeName": resource_slice.spec.nodeName or "",
        "spec.driver": resource_slice.spec.driver,
        "spec.pool.name": resource_slice.spec.pool.name,
    },
    has_status=False,
)
