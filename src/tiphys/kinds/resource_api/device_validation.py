"""Whether what a ResourceSlice says of one device is well formed.

What has not changed is not looked at again where rules have grown stricter since it was written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.kinds.core.affinity_validation import validate_node_selector
from tiphys.kinds.core.resource_validation import is_node_allocatable
from tiphys.kinds.equality import same
from tiphys.kinds.resource_api.attribute_validation import validate_attribute, values_count
from tiphys.kinds.resource_api.binding_validation import validate_binding_conditions
from tiphys.kinds.resource_api.bounded_lists import validate_map, validate_set
from tiphys.kinds.resource_api.capacity_validation import validate_exclusive_capacity, validate_shared_capacity
from tiphys.kinds.resource_api.counter_validation import validate_consumption
from tiphys.kinds.resource_api.device_names import (
    QUALIFIED_NAME_LIMIT_CHARACTERS,
    node_findings,
    qualified_name_findings,
    short_name_findings,
)
from tiphys.kinds.resource_api.taint_validation import validate_device_taints
from tiphys.kinds.types.resource_v1 import (
    Device,
    DeviceCapacity,
    NodeAllocatableMapping,
    NodeAllocatableOverhead,
    NodeAllocatableResource,
)
from tiphys.machinery.field_errors import FieldError, Path, invalid, not_found, required

PROPERTIES_LIMIT, VALUES_LIMIT, CONSUMPTIONS_LIMIT = 32, 48, 2
ONE_SELECTION = (
    "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true"
    " in the ResourceSlice spec"
)
NO_SELECTION = (
    "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the"
    " ResourceSlice spec"
)


def validate_device(device: Device, old: Device | None, selects_nodes: bool, path: Path) -> list[FieldError]:
    """`old`: the device of this name before the update. `selects_nodes`: every device says by itself where it is."""
    found = short_name_findings(device.name, path.child("name"))
    found += _count_findings(device, path)
    names, shown = qualified_name_findings, QUALIFIED_NAME_LIMIT_CHARACTERS
    found += validate_map(device.attributes, None, names, validate_attribute, path.child("attributes"), shown)
    if old is None or not same(old.capacity, device.capacity):
        check = validate_shared_capacity if device.allowMultipleAllocations else validate_exclusive_capacity
        found += validate_map(device.capacity, None, names, check, path.child("capacity"), shown)
    if old is None or not same(old.taints, device.taints):
        found += validate_device_taints(device.taints, path.child("taints"))
    found += validate_set(
        device.consumesCounters,
        CONSUMPTIONS_LIMIT,
        validate_consumption,
        path.child("consumesCounters"),
        key=lambda consumption: consumption.counterSet,
    )
    found += _selection_findings(device, selects_nodes, path)
    found += validate_binding_conditions(device.bindingConditions, device.bindingFailureConditions, path)
    at = path.child("nodeAllocatableResources")
    for name, entry in (device.nodeAllocatableResources or {}).items():
        found += _node_resource_findings(name, entry, device.capacity or {}, at.key(name))
    return found


def _count_findings(device: Device, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    properties, values = len(device.attributes or ()) + len(device.capacity or ()), values_count(device)
    if properties > PROPERTIES_LIMIT:
        detail = f"the total number of attributes and capacities must not exceed {PROPERTIES_LIMIT}"
        found.append(invalid(path, properties, detail))
    if values > VALUES_LIMIT:
        found.append(invalid(path, values, f"the total number of attribute values must not exceed {VALUES_LIMIT}"))
    return found


def _selection_findings(device: Device, selects_nodes: bool, path: Path) -> list[FieldError]:
    fields = ("nodeName", "nodeSelector", "allNodes")
    if not selects_nodes:
        given = any(getattr(device, field) is not None for field in fields)
        return [invalid(path, None, NO_SELECTION)] if given else []
    found: list[FieldError] = []
    if device.nodeName is not None:
        at = path.child("nodeName")
        found += node_findings(device.nodeName, at) if device.nodeName else [invalid(at, "", "must not be empty")]
    if device.nodeSelector is not None:
        found += validate_node_selector(device.nodeSelector, path.child("nodeSelector"))
    if device.allNodes is False:
        found.append(invalid(path.child("allNodes"), False, "must be either unset or set to true"))
    return found + one_of(device, fields, path, ONE_SELECTION, ONE_SELECTION)


def one_of(thing: Any, fields: tuple[str, ...], path: Path, words: str, words_for_several: str) -> list[FieldError]:
    """Exactly one of the fields says something."""
    given = [f"`{field}`" for field in fields if getattr(thing, field) not in (None, "", False)]
    if not given:
        return [required(path, words)]
    return [invalid(path, f"{{{', '.join(given)}}}", words_for_several)] if len(given) > 1 else []


def _node_resource_findings(
    name: str, entry: NodeAllocatableResource, capacity: Mapping[str, DeviceCapacity], path: Path
) -> list[FieldError]:
    found: list[FieldError] = []
    if not is_node_allocatable(name):
        found.append(invalid(path, name, "must be a node allocatable resource name"))
    if entry.mapping is None and entry.overhead is None:
        found.append(required(path, "at least one of mapping or overhead must be set"))
    if entry.mapping is not None:
        found += _mapping_findings(entry.mapping, capacity, path.child("mapping"))
    if entry.overhead is not None:
        found += _overhead_findings(entry.overhead, path.child("overhead"))
    return found


def _mapping_findings(
    mapping: NodeAllocatableMapping, capacity: Mapping[str, DeviceCapacity], path: Path
) -> list[FieldError]:
    """Counted by a capacity or by devices: one of the two."""
    key, factor, at = mapping.capacityKey, mapping.capacityMultiplier, path.child("capacityKey")
    found: list[FieldError] = []
    if key == "":
        found.append(invalid(at, "", "capacityKey must not be an empty string"))
    elif key is not None and key not in capacity:
        found.append(not_found(at, key))
    if key is not None and factor is None:
        detail = "capacityMultiplier is required when capacityKey is set"
        found.append(required(path.child("capacityMultiplier"), detail))
    if key is None and factor is not None:
        found.append(required(at, "capacityKey is required when capacityMultiplier is set"))
    for field, value in (("capacityMultiplier", factor if key is not None else None),
                         ("deviceMultiplier", mapping.deviceMultiplier)):  # fmt: skip
        if value is not None and value.amount <= 0:
            found.append(invalid(path.child(field), value, "must be positive"))
    if key is None and mapping.deviceMultiplier is None:
        found.append(invalid(path, "", "must specify one of: `capacityKey`, `deviceMultiplier`"))
    if key is not None and mapping.deviceMultiplier is not None:
        detail = "must specify exactly one of: `capacityKey`, `deviceMultiplier`"
        found.append(invalid(path, "{capacityKey, deviceMultiplier}", detail))
    return found


def _overhead_findings(overhead: NodeAllocatableOverhead, path: Path) -> list[FieldError]:
    if overhead.perPod is None and overhead.perContainer is None:
        return [invalid(path, "", "at least one of perPod or perContainer must be set")]
    return [
        invalid(path.child(field), value, "must be non-negative")
        for field, value in (("perPod", overhead.perPod), ("perContainer", overhead.perContainer))
        if value is not None and value.amount < 0
    ]
