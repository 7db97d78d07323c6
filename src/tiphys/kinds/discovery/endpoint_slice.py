"""EndpointSlices: up to a thousand addresses of one family behind a Service, each with its state and place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tiphys.kinds import cells
from tiphys.kinds.address_leniency import tolerant_of_addresses
from tiphys.kinds.address_warnings import ip_warnings
from tiphys.kinds.object_meta import immutable, label_name, label_value_findings, subdomain_name, validate_labels
from tiphys.kinds.special_addresses import endpoint_address_findings
from tiphys.kinds.strategy import Column, Strategy
from tiphys.kinds.types.discovery_v1 import Endpoint, EndpointHints, EndpointPort, EndpointSlice
from tiphys.kinds.value_findings import address_family, ip_address, port_number
from tiphys.machinery.field_errors import (
    FieldError,
    Path,
    duplicate,
    invalid,
    not_supported,
    required,
    too_many,
)
from tiphys.machinery.names import qualified_name

ENDPOINTS_LIMIT, ADDRESSES_LIMIT, PORTS_LIMIT, HINTS_LIMIT = 1000, 100, 20000, 8
ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
PROTOCOLS = ("SCTP", "TCP", "UDP")
SHOWN_LIMIT = 3
HOSTNAME = "kubernetes.io/hostname"
TOPOLOGY_LIMIT = 16
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
OWN_CONTROLLERS = ("endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io")


def default(endpoint_slice: Any) -> None:
    """Of a slice in any version."""
    for port in endpoint_slice.ports or ():
        if port.name is None:
            port.name = ""
        if port.protocol is None:
            port.protocol = "TCP"


def next_generation(new: Any, old: Any) -> None:
    """Of a slice in any version: a change of its labels counts as one of the slice."""
    if (new.metadata.labels or {}) != (old.metadata.labels or {}):
        new.metadata.generation = (old.metadata.generation or 0) + 1


def prepare_for_create(endpoint_slice: EndpointSlice) -> None:
    _drop_topology(endpoint_slice.endpoints or [], [])


def prepare_for_update(new: EndpointSlice, old: EndpointSlice) -> None:
    if new.endpoints != old.endpoints:
        _drop_topology(new.endpoints or [], old.endpoints or [])
    next_generation(new, old)


def _drop_topology(endpoints: Sequence[Endpoint], before: Sequence[Endpoint]) -> None:
    """`deprecatedTopology` cannot be written in this version. A node that was named only there, by a writer of the
    older version, becomes the endpoint's nodeName."""
    known = {(endpoint.deprecatedTopology or {}).get(HOSTNAME) for endpoint in before}
    for endpoint in endpoints:
        node = (endpoint.deprecatedTopology or {}).get(HOSTNAME)
        if endpoint.nodeName is None and node and node in known and not subdomain_name(node):
            endpoint.nodeName = node
        endpoint.deprecatedTopology = None


def validate(endpoint_slice: EndpointSlice) -> list[FieldError]:
    found: list[FieldError] = []
    if not endpoint_slice.addressType:
        found.append(required(Path("addressType")))
    elif endpoint_slice.addressType not in ADDRESS_TYPES:
        found.append(not_supported(Path("addressType"), endpoint_slice.addressType, ADDRESS_TYPES))
    endpoints = endpoint_slice.endpoints or []
    if len(endpoints) > ENDPOINTS_LIMIT:
        found.append(too_many(Path("endpoints"), len(endpoints), ENDPOINTS_LIMIT))
        return found
    for position, endpoint in enumerate(endpoints):
        found += _endpoint_findings(endpoint, endpoint_slice.addressType, position)
    return found + _port_findings(endpoint_slice.ports or [])


def _endpoint_findings(endpoint: Endpoint, address_type: str, position: int) -> list[FieldError]:
    found: list[FieldError] = []
    path = Path("endpoints").index(position)
    if not endpoint.addresses:
        found.append(required(path.child("addresses"), "must contain at least 1 address"))
    elif len(endpoint.addresses) > ADDRESSES_LIMIT:
        found.append(too_many(path.child("addresses"), len(endpoint.addresses), ADDRESSES_LIMIT))
    for place, address in enumerate(endpoint.addresses):
        at = path.child("addresses").index(place)
        if address_type == "FQDN":
            found += _domain_findings(address, at)
        else:
            found += [invalid(at, address, text) for text in _address_findings(address, address_type)]
    if endpoint.deprecatedTopology:
        at = path.child("deprecatedTopology")
        if len(endpoint.deprecatedTopology) > TOPOLOGY_LIMIT:
            found.append(too_many(at, len(endpoint.deprecatedTopology), TOPOLOGY_LIMIT))
        found += validate_labels(endpoint.deprecatedTopology, at)
    if endpoint.nodeName is not None:
        found += [
            invalid(path.child("nodeName"), endpoint.nodeName, text) for text in subdomain_name(endpoint.nodeName)
        ]
    if endpoint.zone is not None:
        found += [invalid(path.child("zone"), endpoint.zone, text) for text in label_value_findings(endpoint.zone)]
    if endpoint.hostname is not None:
        found += [invalid(path.child("hostname"), endpoint.hostname, text) for text in label_name(endpoint.hostname)]
    if endpoint.hints is not None:
        found += _hint_findings(endpoint.hints, path.child("hints"))
    return found


def _domain_findings(name: str, path: Path) -> list[FieldError]:
    """A full domain name; a dot at its end is no part of it."""
    if not name:
        return [required(path)]
    domain = name.removesuffix(".")
    found = [invalid(path, domain, text) for text in subdomain_name(domain)]
    if not found and "." not in domain:
        found.append(invalid(path, domain, "should be a domain with at least two segments separated by dots"))
    return found


def _address_findings(address: str, address_type: str) -> list[str]:
    if address_type not in ADDRESS_TYPES:
        return []
    unreadable = ip_address(address)
    if unreadable:
        return unreadable
    family = [] if address_type == f"IPv{address_family(address)}" else [f"must be an {address_type} address"]
    return family + endpoint_address_findings(address)


def _hint_findings(hints: EndpointHints, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    for field in ("forZones", "forNodes"):
        targets = getattr(hints, field) or []
        if len(targets) > HINTS_LIMIT:
            found.append(too_many(path.child(field), len(targets), HINTS_LIMIT))
            continue
        seen: set[str] = set()
        for position, target in enumerate(targets):
            at = path.child(field).index(position).child("name")
            if target.name in seen:
                found.append(duplicate(at, target.name))
            seen.add(target.name)
            texts = label_value_findings(target.name) if field == "forZones" else subdomain_name(target.name)
            found += [invalid(at, target.name, text) for text in texts]
    return found


def _port_findings(ports: list[EndpointPort]) -> list[FieldError]:
    found: list[FieldError] = []
    path = Path("ports")
    if len(ports) > PORTS_LIMIT:
        return [too_many(path, len(ports), PORTS_LIMIT)]
    seen: set[str] = set()
    for position, port in enumerate(ports):
        at = path.index(position)
        if port.name:
            found += [invalid(at.child("name"), port.name, text) for text in label_name(port.name)]
        if (port.name or "") in seen:
            found.append(duplicate(at.child("name"), port.name or ""))
        seen.add(port.name or "")
        if port.protocol not in PROTOCOLS:
            found.append(not_supported(at.child("protocol"), port.protocol or "", PROTOCOLS))
        if port.port is not None:
            found += [invalid(at.child("port"), port.port, text) for text in port_number(port.port)]
        if port.appProtocol is not None:
            texts = qualified_name(port.appProtocol)
            found += [invalid(at.child("appProtocol"), port.appProtocol, text) for text in texts]
    return found


def validate_update(new: EndpointSlice, old: EndpointSlice) -> list[FieldError]:
    return immutable(new.addressType, old.addressType, Path("addressType"))


def warnings(endpoint_slice: Any, old: Any) -> list[str]:
    """Of a slice in any version."""
    if endpoint_slice.addressType == "FQDN":
        return ["spec.addressType: FQDN endpoints are deprecated"]
    if (endpoint_slice.metadata.labels or {}).get(MANAGED_BY, "").endswith(OWN_CONTROLLERS):
        return []  # they write addresses as they should be
    found: list[str] = []
    for place, endpoint in enumerate(endpoint_slice.endpoints or ()):
        for position, address in enumerate(endpoint.addresses):
            found += ip_warnings(address, Path("endpoints").index(place).child("addresses").index(position))
    return found


def _shown(words: list[str]) -> str:
    more = f" + {len(words) - SHOWN_LIMIT} more..." if len(words) > SHOWN_LIMIT else ""
    return ",".join(words[:SHOWN_LIMIT]) + more


def ports_text(endpoint_slice: EndpointSlice) -> str:
    words = ["*" if port.port is None else str(port.port) for port in endpoint_slice.ports or ()]
    return _shown(words) or cells.UNSET


def addresses_text(endpoint_slice: EndpointSlice) -> str:
    return _shown([a for endpoint in endpoint_slice.endpoints or () for a in endpoint.addresses]) or cells.UNSET


# Of every version.
COLUMNS: Sequence[Column[Any]] = (
    cells.name_column(),
    cells.text("AddressType", lambda s: s.addressType),
    cells.text("Ports", ports_text),
    cells.text("Endpoints", addresses_text),
    cells.age_column(),
)
STRATEGY: Strategy[EndpointSlice] = Strategy(
    warnings=warnings,
    default=default,
    prepare_for_create=prepare_for_create,
    prepare_for_update=prepare_for_update,
    validate=validate,
    validate_changed=tolerant_of_addresses(validate),
    validate_update=validate_update,
    columns=COLUMNS,
    has_status=False,
)
