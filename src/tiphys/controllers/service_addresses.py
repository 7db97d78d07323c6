"""IPAddresses: one object for each cluster address that a Service has, named after the address.

The API server decides which address is whose; what it decided is written down here, and goes with the Service.
IPAddresses that somebody else made are left alone. Specified in "Extend Service IP Ranges".
"""

from __future__ import annotations

from tiphys.client.interface import ObjectKey
from tiphys.controllers.actions import Action, Create, delete_of
from tiphys.controllers.controller import Controller, Index, View, Watch, own_key
from tiphys.kinds.equality import same
from tiphys.kinds.types import core_v1, meta_v1, networking_v1

BY_ADDRESS = "cluster address"
MANAGED_BY, FAMILY = "ipaddress.kubernetes.io/managed-by", "ipaddress.kubernetes.io/ip-family"
ALLOCATOR = "ipallocator.k8s.io"
NONE = "None"


def addresses_of(service: core_v1.Service) -> tuple[str, ...]:
    """Index function: the cluster addresses of a Service."""
    if service.spec.type == "ExternalName":
        return ()
    return tuple(address for address in service.spec.clusterIPs or () if address and address != NONE)


def _keys(_: View, old: core_v1.Service | None, new: core_v1.Service | None) -> list[ObjectKey]:
    found = [address for service in (old, new) if service is not None for address in addresses_of(service)]
    return [ObjectKey("", address) for address in dict.fromkeys(found)]


def reconcile(view: View, key: ObjectKey, now: float) -> list[Action]:
    known = view.get(networking_v1.IPAddress, "", key.name)
    holder = next(iter(view.by_index(core_v1.Service, BY_ADDRESS, key.name)), None)
    wanted = _address_of(holder, key.name) if holder is not None else None
    if known is None:
        return [Create(object=wanted, tolerate_existing=True)] if wanted is not None else []
    is_own = (known.metadata.labels or {}).get(MANAGED_BY) == ALLOCATOR
    if not is_own or (wanted is not None and same(known.spec, wanted.spec)):
        return []
    # Who an address is of never changes: it is another one's by another object.
    return [delete_of(known)]


def _address_of(service: core_v1.Service, address: str) -> networking_v1.IPAddress:
    labels = {FAMILY: "IPv6" if ":" in address else "IPv4", MANAGED_BY: ALLOCATOR}
    parent = networking_v1.ParentReference(
        group="", resource="services", namespace=service.metadata.namespace, name=service.metadata.name or ""
    )
    return networking_v1.IPAddress(
        metadata=meta_v1.ObjectMeta(name=address, labels=labels), spec=networking_v1.IPAddressSpec(parentRef=parent)
    )


CONTROLLER = Controller(
    name="service-addresses",
    reconcile=reconcile,
    watches=(Watch(kind=core_v1.Service, keys=_keys), Watch(kind=networking_v1.IPAddress, keys=own_key)),
    indexes=(Index(kind=core_v1.Service, name=BY_ADDRESS, function=addresses_of),),
)
