"""Whether the status of a ResourceClaim is well formed: what it got, who uses it, and what drivers report of it."""

from __future__ import annotations

import ipaddress
from functools import partial

from tiphys.kinds.condition_findings import validate_conditions
from tiphys.kinds.core.affinity_validation import validate_node_selector
from tiphys.kinds.resource_api.binding_validation import validate_binding_conditions, validate_skipped_operations
from tiphys.kinds.resource_api.bounded_lists import validate_list, validate_set
from tiphys.kinds.resource_api.claim_validation import (
    CONFIGURATIONS_LIMIT,
    RequestNames,
    configuration_findings,
    json_object_findings,
)
from tiphys.kinds.resource_api.device_names import (
    driver_findings,
    pool_findings,
    share_id_findings,
    short_name_findings,
)
from tiphys.kinds.resource_api.taint_validation import validate_device_tolerations
from tiphys.kinds.types.resource_v1 import (
    AllocatedDeviceStatus,
    AllocationResult,
    DeviceAllocationConfiguration,
    DeviceRequestAllocationResult,
    NetworkDeviceData,
    ResourceClaimConsumerReference,
    ResourceClaimStatus,
)
from tiphys.machinery.digits import is_number
from tiphys.machinery.field_errors import FieldError, Path, invalid, not_supported, required, too_long, too_many

DeviceKey = tuple[str, str, str, str | None]  # driver, pool, device, share

# No claim is ever given more devices than this.
ALLOCATED_LIMIT = 32
# Those of the claim and those of its classes.
ALLOCATED_CONFIGURATIONS_LIMIT = 2 * CONFIGURATIONS_LIMIT
SOURCES = ("FromClaim", "FromClass")
CONDITIONS_LIMIT, DATA_LIMIT_BYTES = 8, 10 * 1024
INTERFACE_LIMIT_BYTES, HARDWARE_ADDRESS_LIMIT_BYTES, ADDRESSES_LIMIT = 256, 128, 16
ADDRESS_FORM = "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)"


def device_key(device: AllocatedDeviceStatus | DeviceRequestAllocationResult) -> DeviceKey:
    return device.driver, device.pool, device.device, device.shareID


def _shown(device: AllocatedDeviceStatus) -> str:
    return "/".join(part for part in device_key(device) if part)


def allocated_devices(status: ResourceClaimStatus) -> set[DeviceKey]:
    devices = status.allocation.devices if status.allocation is not None else None
    return {device_key(result) for result in (devices.results if devices is not None else None) or ()}


def consumer_findings(consumer: ResourceClaimConsumerReference, path: Path) -> list[FieldError]:
    return [required(path.child(field)) for field in ("resource", "name", "uid") if not getattr(consumer, field)]


def validate_allocation(allocation: AllocationResult, names: RequestNames, path: Path) -> list[FieldError]:
    """A new one. Results are about requests of the claim."""
    devices, at = allocation.devices, path.child("devices")
    found: list[FieldError] = []
    if devices is not None:
        check_result, check_configuration = partial(_result_findings, names), partial(_source_findings, names)
        found += validate_list(devices.results, ALLOCATED_LIMIT, check_result, at.child("results"))
        limit = ALLOCATED_CONFIGURATIONS_LIMIT
        found += validate_list(devices.config, limit, check_configuration, at.child("config"))
    if allocation.nodeSelector is not None:
        found += validate_node_selector(allocation.nodeSelector, path.child("nodeSelector"))
    return found


def _result_findings(names: RequestNames, result: DeviceRequestAllocationResult, path: Path) -> list[FieldError]:
    found = names.findings(result.request, path.child("request"))
    found += _identity_findings(result, path)
    found += validate_binding_conditions(result.bindingConditions, result.bindingFailureConditions, path)
    found += validate_device_tolerations(result.tolerations, path.child("tolerations"))
    return found + validate_skipped_operations(result.skipNodeOperations, path.child("skipNodeOperations"))


def _identity_findings(device: AllocatedDeviceStatus | DeviceRequestAllocationResult, path: Path) -> list[FieldError]:
    found = driver_findings(device.driver, path.child("driver"))
    found += pool_findings(device.pool, path.child("pool"))
    found += short_name_findings(device.device, path.child("device"))
    return found + share_id_findings(device.shareID, path.child("shareID"))


def _source_findings(names: RequestNames, configuration: DeviceAllocationConfiguration, path: Path) -> list[FieldError]:
    at = path.child("source")
    found: list[FieldError] = []
    if not configuration.source:
        found.append(required(at))
    elif configuration.source not in SOURCES:
        found.append(not_supported(at, configuration.source, SOURCES))
    found += names.validate(configuration.requests, path.child("requests"))
    return found + configuration_findings(configuration, path)


def validate_device_statuses(status: ResourceClaimStatus, path: Path) -> list[FieldError]:
    """What drivers report is about devices that the claim got, once each."""
    check = partial(_device_status_findings, allocated_devices(status))
    return validate_set(status.devices, None, check, path, key=device_key, shown_key=_shown)


def _device_status_findings(allocated: set[DeviceKey], device: AllocatedDeviceStatus, path: Path) -> list[FieldError]:
    found = _identity_findings(device, path)
    if device_key(device) not in allocated:
        found.append(invalid(path, _shown(device), "must be an allocated device in the claim"))
    conditions, at = device.conditions or [], path.child("conditions")
    if len(conditions) > CONDITIONS_LIMIT:
        found.append(too_many(at, len(conditions), CONDITIONS_LIMIT))
    found += validate_conditions(conditions, at)
    if device.data is not None:
        found += json_object_findings(device.data, DATA_LIMIT_BYTES, path.child("data"))
    if device.networkData is not None:
        found += _network_findings(device.networkData, path.child("networkData"))
    return found


def _network_findings(data: NetworkDeviceData, path: Path) -> list[FieldError]:
    limits = (("interfaceName", INTERFACE_LIMIT_BYTES), ("hardwareAddress", HARDWARE_ADDRESS_LIMIT_BYTES))
    found = [
        too_long(path.child(field), limit)
        for field, limit in limits
        if len((getattr(data, field) or "").encode()) > limit
    ]
    return found + validate_set(data.ips, ADDRESSES_LIMIT, _address_findings, path.child("ips"), key=str)


def _address_findings(text: str, path: Path) -> list[FieldError]:
    """An address and the length of its network, as they are commonly written."""
    try:
        interface = ipaddress.ip_interface(text if is_number(text.partition("/")[2]) else "")
    except ValueError:
        return [invalid(path, text, ADDRESS_FORM)]
    usual = f"{interface.ip}/{interface.network.prefixlen}"
    return [] if text == usual else [invalid(path, text, f'must be in canonical form ("{usual}")')]
