"""Endpoints: the addresses behind a Service in the older form, which EndpointSlices replace."""

from __future__ import annotations

from tiphys.kinds import cells
from tiphys.kinds.address_leniency import tolerant_of_addresses
from tiphys.kinds.address_warnings import ip_warnings
from tiphys.kinds.object_meta import label_name, subdomain_name
from tiphys.kinds.special_addresses import endpoint_address_findings
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.core_v1 import EndpointAddress, EndpointPort, Endpoints, EndpointSubset
from tiphys.kinds.value_findings import port_number
from tiphys.machinery.field_errors import FieldError, Path, invalid, not_supported, required
from tiphys.machinery.names import qualified_name

PROTOCOLS = ("SCTP", "TCP", "UDP")
SHOWN_LIMIT = 3


def default(endpoints: Endpoints) -> None:
    for subset in endpoints.subsets or ():
        for port in subset.ports or ():
            if not port.protocol:
                port.protocol = "TCP"


def validate(endpoints: Endpoints) -> list[FieldError]:
    found: list[FieldError] = []
    for position, subset in enumerate(endpoints.subsets or ()):
        found += _subset_findings(subset, Path("subsets").index(position))
    return found


def _subset_findings(subset: EndpointSubset, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if not subset.addresses and not subset.notReadyAddresses:
        found.append(required(path, "must specify `addresses` or `notReadyAddresses`"))
    for field in ("addresses", "notReadyAddresses"):
        for position, address in enumerate(getattr(subset, field) or ()):
            found += _address_findings(address, path.child(field).index(position))
    several = len(subset.ports or ()) > 1
    for position, port in enumerate(subset.ports or ()):
        found += _port_findings(port, several, path.child("ports").index(position))
    return found


def _address_findings(address: EndpointAddress, path: Path) -> list[FieldError]:
    found = [invalid(path.child("ip"), address.ip, text) for text in endpoint_address_findings(address.ip)]
    if address.hostname:
        found += [invalid(path.child("hostname"), address.hostname, text) for text in label_name(address.hostname)]
    if address.nodeName is not None:
        found += [invalid(path.child("nodeName"), address.nodeName, text) for text in subdomain_name(address.nodeName)]
    return found


def _port_findings(port: EndpointPort, name_required: bool, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if name_required and not port.name:
        found.append(required(path.child("name")))
    elif port.name:
        found += [invalid(path.child("name"), port.name, text) for text in label_name(port.name)]
    found += [invalid(path.child("port"), port.port, text) for text in port_number(port.port)]
    if not port.protocol:
        found.append(required(path.child("protocol")))
    elif port.protocol not in PROTOCOLS:
        found.append(not_supported(path.child("protocol"), port.protocol, PROTOCOLS))
    if port.appProtocol is not None:
        texts = qualified_name(port.appProtocol)
        found += [invalid(path.child("appProtocol"), port.appProtocol, text) for text in texts]
    return found


def warnings(endpoints: Endpoints, old: Endpoints | None) -> list[str]:
    found: list[str] = []
    for place, subset in enumerate(endpoints.subsets or ()):
        for field in ("addresses", "notReadyAddresses"):
            for position, address in enumerate(getattr(subset, field) or ()):
                at = Path("subsets").index(place).child(field).index(position).child("ip")
                found += ip_warnings(address.ip, at)
    return found


def addresses_text(endpoints: Endpoints) -> str:
    """`10.1.0.4:80,10.1.0.5:80 + 2 more...`"""
    shown: list[str] = []
    count = 0
    for subset in endpoints.subsets or ():
        ports = subset.ports or []
        for port in ports:
            for address in subset.addresses or ():
                count += 1
                if len(shown) < SHOWN_LIMIT:
                    host = f"[{address.ip}]" if ":" in address.ip else address.ip
                    shown.append(f"{host}:{port.port}")
        if not ports:
            for address in subset.addresses or ():
                count += 1
                if len(shown) < SHOWN_LIMIT:
                    shown.append(address.ip)
    more = f" + {count - SHOWN_LIMIT} more..." if count > SHOWN_LIMIT else ""
    return ",".join(shown) + more or cells.NONE


STRATEGY: Strategy[Endpoints] = Strategy(
    warnings=warnings,
    default=default,
    validate=validate,
    validate_changed=tolerant_of_addresses(validate),
    columns=(cells.name_column(), cells.text("Endpoints", addresses_text), cells.age_column()),
    has_generation=False,
    has_status=False,
    allow_create_on_update=True,
)
