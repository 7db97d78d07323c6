"""Whether the addresses of a load balancer are well formed, in the status of Services and of Ingresses."""

from __future__ import annotations

from collections.abc import Sequence

from tiphys.kinds.object_meta import subdomain_name
from tiphys.kinds.types.core_v1 import LoadBalancerIngress
from tiphys.kinds.types.networking_v1 import IngressLoadBalancerIngress
from tiphys.kinds.value_findings import address_family, ip_address
from tiphys.machinery.field_errors import FieldError, Path, forbidden, invalid, not_supported, required

IP_MODES = ("Proxy", "VIP")


def validate_balancer_ingress(
    entries: Sequence[LoadBalancerIngress | IngressLoadBalancerIngress] | None, path: Path
) -> list[FieldError]:
    found: list[FieldError] = []
    for position, entry in enumerate(entries or ()):
        at = path.index(position)
        if entry.ip:
            found += [invalid(at.child("ip"), entry.ip, text) for text in ip_address(entry.ip)]
        if isinstance(entry, LoadBalancerIngress):
            found += _mode_findings(entry, at.child("ipMode"))
        if entry.hostname:
            found += [invalid(at.child("hostname"), entry.hostname, text) for text in subdomain_name(entry.hostname)]
            if address_family(entry.hostname):
                found.append(invalid(at.child("hostname"), entry.hostname, "must be a DNS name, not an IP address"))
    return found


def _mode_findings(entry: LoadBalancerIngress, path: Path) -> list[FieldError]:
    """How an address is to be treated goes with the address."""
    if entry.ip and entry.ipMode is None:
        return [required(path, "must be specified when `ip` is set")]
    if not entry.ip and entry.ipMode is not None:
        return [forbidden(path, "may not be specified when `ip` is not set")]
    if entry.ipMode is not None and entry.ipMode not in IP_MODES:
        return [not_supported(path, entry.ipMode, IP_MODES)]
    return []
