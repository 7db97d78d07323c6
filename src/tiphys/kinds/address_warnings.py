"""Advice on addresses and networks that are valid and not written as they should be.

They will be refused one day, or mean something else than their author may think. Specified in "KEP-4858: IP/CIDR
Validation Improvements".
"""

from __future__ import annotations

import functools
import ipaddress

from tiphys.machinery.field_errors import Path, shown

FUTURE = "will be considered invalid in a future Kubernetes release: use"


@functools.lru_cache(maxsize=4096)
def _address_text(text: str) -> str:
    """What is to say of an address, without its path; "" when nothing is (or it is no address)."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return f"non-standard IP address {shown(text)} {FUTURE} {shown(str(address.ipv4_mapped))}"
        if str(address) != text:
            return f"IPv6 address {shown(text)} should be in RFC 5952 canonical format ({shown(str(address))})"
    return ""


def ip_warnings(text: str, path: Path) -> list[str]:
    found = _address_text(text) if text else ""
    return [f"{path}: {found}"] if found else []


def cidr_warnings(text: str, path: Path) -> list[str]:
    try:
        interface = ipaddress.ip_interface(text)
    except ValueError:
        return []
    mapped = getattr(interface.ip, "ipv4_mapped", None)
    if mapped is not None and interface.network.prefixlen >= 96:
        interface = ipaddress.ip_interface(f"{mapped}/{interface.network.prefixlen - 96}")
    network, found = str(interface.network), []
    if interface.ip != interface.network.network_address:
        alone = f"{interface.ip}/{interface.max_prefixlen}"
        choice = f"(should be {shown(network)} or {shown(alone)}?)"
        found.append(f"{path}: CIDR value {shown(text)} is ambiguous in this context {choice}")
    if mapped is not None:
        found.append(f"{path}: non-standard CIDR value {shown(text)} {FUTURE} {shown(network)}")
    canonical = f"{interface.ip}/{interface.network.prefixlen}"
    if not found and interface.version == 6 and canonical != text:
        found.append(
            f"{path}: IPv6 CIDR value {shown(text)} should be in RFC 5952 canonical format ({shown(canonical)})"
        )
    return found
