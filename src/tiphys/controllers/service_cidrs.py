"""ServiceCIDRs: a network is ready as soon as it is there, and goes when no address of it is in use any more.

An address that another network has as well does not keep the first from going. Specified in "Extend Service IP
Ranges".
"""

from __future__ import annotations

import ipaddress

from tiphys.client.interface import ObjectKey
from tiphys.controllers.actions import Action, RequeueAfter, Update, UpdateStatus
from tiphys.controllers.conditions import with_condition
from tiphys.controllers.controller import Controller, View, Watch, own_key
from tiphys.kinds import codec
from tiphys.kinds.networking.service_cidr import READY
from tiphys.kinds.types import meta_v1, networking_v1
from tiphys.machinery import timestamps

FINALIZER = "networking.k8s.io/service-cidr-finalizer"
IS_READY = "Kubernetes Service CIDR is ready"
IN_USE = "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR"
# A Service may have been given an address whose IPAddress is still being written.
SETTLING_SECONDS = 10.0


def _waiting(view: View, *_: object) -> list[ObjectKey]:
    """Whichever address goes, and whichever network comes, may be what others wait for to go."""
    ending = (cidr for cidr in view.list(networking_v1.ServiceCIDR) if cidr.metadata.deletionTimestamp is not None)
    return [ObjectKey("", cidr.metadata.name or "") for cidr in ending]


def reconcile(view: View, key: ObjectKey, now: float) -> list[Action]:
    cidr = view.get(networking_v1.ServiceCIDR, "", key.name)
    if cidr is None:
        return []
    finalizers = cidr.metadata.finalizers or []
    if cidr.metadata.deletionTimestamp is None:
        if FINALIZER not in finalizers:
            return [Update(object=_with_finalizers(cidr, [*finalizers, FINALIZER]))]
        return _tell(cidr, "True", "", IS_READY, now)
    if FINALIZER not in finalizers:
        return []
    if _is_needed(view, cidr):
        return _tell(cidr, "False", "Terminating", IN_USE, now)
    settled_at = timestamps.seconds(cidr.metadata.deletionTimestamp) + SETTLING_SECONDS
    if now < settled_at:
        return [RequeueAfter(seconds=settled_at - now)]
    return [Update(object=_with_finalizers(cidr, [each for each in finalizers if each != FINALIZER]))]


def _is_needed(view: View, cidr: networking_v1.ServiceCIDR) -> bool:
    others = [other for other in view.list(networking_v1.ServiceCIDR) if other.metadata.deletionTimestamp is None]
    covered = [network for other in others for network in _networks(other)]
    own = _networks(cidr)
    for address in view.list(networking_v1.IPAddress):
        number = ipaddress.ip_address(address.metadata.name or "")
        if any(number in network for network in own) and not any(number in network for network in covered):
            return True
    return False


def _networks(cidr: networking_v1.ServiceCIDR) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    return [ipaddress.ip_network(text) for text in cidr.spec.cidrs or ()]


def _with_finalizers(cidr: networking_v1.ServiceCIDR, finalizers: list[str]) -> networking_v1.ServiceCIDR:
    changed = codec.copy(cidr)
    changed.metadata.finalizers = finalizers or None
    return changed


def _tell(cidr: networking_v1.ServiceCIDR, status: str, reason: str, message: str, now: float) -> list[Action]:
    condition = meta_v1.Condition(
        type=READY, status=status, reason=reason, message=message, lastTransitionTime=timestamps.time_of(now)
    )
    changed = codec.copy(cidr)
    changed.status.conditions = with_condition(changed.status.conditions, condition)
    return [UpdateStatus(object=changed)] if changed.status != cidr.status else []


CONTROLLER = Controller(
    name="service-cidrs",
    reconcile=reconcile,
    watches=(
        Watch(kind=networking_v1.ServiceCIDR, keys=own_key),
        Watch(kind=networking_v1.ServiceCIDR, keys=_waiting),
        Watch(kind=networking_v1.IPAddress, keys=_waiting),
    ),
)
