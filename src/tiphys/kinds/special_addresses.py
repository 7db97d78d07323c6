"""Addresses that no endpoint of a Service may have: those that mean this machine, this link, everybody or nobody."""

from __future__ import annotations

import ipaddress

from tiphys.kinds.value_findings import ip_address
from tiphys.machinery.bounded_cache import bounded_cache


@bounded_cache(16384)
def endpoint_address_findings(address: str) -> list[str]:
    """Messages on the address of an endpoint; remembered, not to be changed."""
    unreadable = ip_address(address)
    if unreadable:
        return unreadable
    parsed = ipaddress.ip_address(address)
    if parsed.is_unspecified:
        return [f"may not be unspecified ({parsed})"]
    if parsed.is_loopback:
        return ["may not be in the loopback range (127.0.0.0/8, ::1/128)"]
    if parsed.is_link_local:
        return ["may not be in the link-local range (169.254.0.0/16, fe80::/10)"]
    if parsed.is_multicast:
        return (
            ["may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"]
            if _is_link_local(address)
            else []
        )
    return []


def _is_link_local(address: str) -> bool:
    return address.startswith("224.0.0.") or address.lower().startswith("ff02:")
