"""ResourceSlices: the devices that a driver offers, on one node or to several."""

from __future__ import annotations

from tiphys.kinds import cells
from tiphys.kinds.core.affinity_validation import validate_node_selector
from tiphys.kinds.object_meta import IMMUTABLE, label_name, subdomain_name
from tiphys.kinds.resource_api.attribute_validation import validate_described, validate_pool_name
from tiphys.kinds.resource_api.taint_validation import validate_device_taints
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.resource_v1 import ResourceSlice
from tiphys.machinery.field_errors import FieldError, Path, duplicate, invalid, required, too_many

SPEC = Path("spec")
DEVICES_LIMIT = 128


def validate(resource_slice: ResourceSlice) -> list[FieldError]:
    spec = resource_slice.spec
    found: list[FieldError] = []
    if not spec.driver:
        found.append(required(SPEC.child("driver")))
    else:
        found += [invalid(SPEC.child("driver"), spec.driver, text) for text in subdomain_name(spec.driver.lower())]
    if spec.nodeName:
        found += [invalid(SPEC.child("nodeName"), spec.nodeName, text) for text in subdomain_name(spec.nodeName)]
    found += validate_pool_name(spec.pool.name, SPEC.child("pool", "name"))
    if spec.pool.generation < 0:
        detail = "must be greater than or equal to zero"
        found.append(invalid(SPEC.child("pool", "generation"), spec.pool.generation, detail))
    if spec.pool.resourceSliceCount <= 0:
        detail = "must be greater than zero"
        found.append(invalid(SPEC.child("pool", "resourceSliceCount"), spec.pool.resourceSliceCount, detail))
    given = [n for n in ("nodeName", "nodeSelector", "allNodes", "perDeviceNodeSelection") if getattr(spec, n)]
    words = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
    if not given:
        found.append(required(SPEC, words))
    elif len(given) > 1:
        shown = "{" + ", ".join(given) + "}"
        found.append(invalid(SPEC, shown, f"{words}, but multiple fields are set"))
    if spec.nodeSelector is not None:
        found += validate_node_selector(spec.nodeSelector, SPEC.child("nodeSelector"))
    return found + _device_findings(resource_slice)


def _device_findings(resource_slice: ResourceSlice) -> list[FieldError]:
    devices, path = resource_slice.spec.devices or [], SPEC.child("devices")
    if len(devices) > DEVICES_LIMIT:
        return [too_many(path, len(devices), DEVICES_LIMIT)]
    found: list[FieldError] = []
    names: set[str] = set()
    for position, device in enumerate(devices):
        here, at = path.index(position), path.index(position).child("name")
        if not device.name:
            found.append(required(at))
        else:
            found += [invalid(at, device.name, text) for text in label_name(device.name)]
        if device.name in names:
            found.append(duplicate(at, device.name))
        names.add(device.name)
        found += validate_described(device, here)
        found += validate_device_taints(device.taints or [], here.child("taints"))
    return found


def validate_update(new: ResourceSlice, old: ResourceSlice) -> list[FieldError]:
    """A slice belongs to one driver, pool and node for good."""
    found: list[FieldError] = []
    for field in ("driver", "nodeName"):
        if getattr(new.spec, field) != getattr(old.spec, field):
            found.append(invalid(SPEC.child(field), getattr(new.spec, field), IMMUTABLE))
    if new.spec.pool.name != old.spec.pool.name:
        found.append(invalid(SPEC.child("pool", "name"), new.spec.pool.name, IMMUTABLE))
    return found


STRATEGY: Strategy[ResourceSlice] = Strategy(
    validate=validate,
    validate_update=validate_update,
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
    },
    has_status=False,
)
