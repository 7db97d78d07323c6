"""ServiceCIDRs: the networks that Service addresses are given out from."""

from __future__ import annotations

import ipaddress

from tiphys.kinds import cells
from tiphys.kinds.object_meta import IMMUTABLE
from tiphys.kinds.spec_and_status import clear_status, keep_spec_and_metadata, keep_status
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.networking_v1 import ServiceCIDR
from tiphys.kinds.value_findings import cidr
from tiphys.machinery.field_errors import FieldError, Path, invalid, required

CIDRS = Path("spec.cidrs")
READY = "Ready"


def is_ready(service_cidr: ServiceCIDR) -> bool:
    """Whether addresses are given out of it."""
    if service_cidr.metadata.deletionTimestamp is not None:
        return False
    return any(c.type == READY and c.status == "True" for c in service_cidr.status.conditions or ())


def validate(service_cidr: ServiceCIDR) -> list[FieldError]:
    networks = service_cidr.spec.cidrs or []
    if not networks:
        return [required(CIDRS, "at least one CIDR required")]
    if len(networks) > 2:
        return [invalid(CIDRS, networks, "may only hold up to 2 values")]
    found: list[FieldError] = []
    for position, network in enumerate(networks):
        texts = cidr(network)
        found += [invalid(CIDRS.index(position), network, text) for text in texts]
        if not texts and str(ipaddress.ip_network(network, strict=False)) != network:
            canonical = str(ipaddress.ip_network(network, strict=False))
            detail = f'must be in canonical form ("{canonical}")'
            found.append(invalid(CIDRS.index(position), network, detail))
    if not found and len({":" in network for network in networks}) != len(networks):
        found.append(
            invalid(
                CIDRS,
                networks,
                "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/96",
            )
        )
    return found


def validate_update(new: ServiceCIDR, old: ServiceCIDR) -> list[FieldError]:
    """Networks stay; a second family may be added."""
    before, after = old.spec.cidrs or [], new.spec.cidrs or []
    if len(before) == len(after) or (len(before), len(after)) == (1, 2):
        pairs = enumerate(zip(before, after, strict=False))
        return [invalid(CIDRS.index(place), now, IMMUTABLE) for place, (was, now) in pairs if was != now]
    return [invalid(CIDRS, after, IMMUTABLE)]


STRATEGY: Strategy[ServiceCIDR] = Strategy(
    prepare_for_create=clear_status,
    prepare_for_update=keep_status,
    prepare_for_status_update=keep_spec_and_metadata,
    validate=validate,
    validate_update=validate_update,
    columns=(
        cells.name_column(),
        cells.text("CIDRs", lambda service_cidr: ",".join(service_cidr.spec.cidrs or ())),
        cells.age_column(),
    ),
)
