"""Pod networks of nodes: each node gets a part of the cluster's networks, written once in its spec and never changed.

What is taken is read from the nodes themselves, so nothing is remembered over a restart. Invariants: no two nodes get
the same part; a part is free again when its node is gone.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from tiphys.client.interface import ObjectKey
from tiphys.controllers.actions import Action, Patch, RequeueAfter, record
from tiphys.controllers.controller import Controller, Index, View, Watch, own_key
from tiphys.kinds.types import core_v1

BY_POD_CIDR = "pod CIDR"
FULL_RETRY_SECONDS = 30.0
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def pod_cidrs(node: core_v1.Node) -> tuple[str, ...]:
    """Index function: the pod networks of a node."""
    return tuple(node.spec.podCIDRs or ([node.spec.podCIDR] if node.spec.podCIDR else ()))


@dataclass(slots=True)
class _Pool:
    """One cluster network, cut in parts. `cursor` is where to look for a free part next."""

    network: Network
    mask_size: int
    cursor: int = 0

    @property
    def size(self) -> int:
        return 1 << (self.mask_size - self.network.prefixlen)

    def part(self, number: int) -> str:
        bits = self.network.max_prefixlen
        address = int(self.network.network_address) + (number << (bits - self.mask_size))
        return f"{ipaddress.ip_address(address) if bits == 32 else ipaddress.IPv6Address(address)}/{self.mask_size}"


@dataclass(slots=True)
class NodeNetworks:
    """Allocates. `pending` are parts given to nodes (by uid) whose write may still be under way."""

    pools: list[_Pool]
    pending: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def reconcile(self, view: View, key: ObjectKey, now: float) -> list[Action]:
        node = view.get(core_v1.Node, "", key.name)
        if node is None or node.metadata.deletionTimestamp is not None or pod_cidrs(node):
            self._forget(view)
            return []
        uid = node.metadata.uid or ""
        cidrs = self.pending.get(uid) or self._allocate(view)
        if cidrs is None:
            message = f"Node {key.name} status is now: CIDRNotAvailable"
            return [
                record(node, "Normal", "CIDRNotAvailable", message),
                RequeueAfter(seconds=FULL_RETRY_SECONDS),
            ]
        self.pending[uid] = cidrs
        patch = {"metadata": {"uid": uid}, "spec": {"podCIDR": cidrs[0], "podCIDRs": list(cidrs)}}
        return [Patch(kind=core_v1.Node, namespace="", name=key.name, patch=patch, tolerate_missing=True)]

    def _allocate(self, view: View) -> tuple[str, ...] | None:
        promised = {cidr for cidrs in self.pending.values() for cidr in cidrs}
        chosen: list[str] = []
        for pool in self.pools:
            for step in range(pool.size):
                number = (pool.cursor + step) % pool.size
                part = pool.part(number)
                if part not in promised and not view.by_index(core_v1.Node, BY_POD_CIDR, part):
                    chosen.append(part)
                    pool.cursor = (number + 1) % pool.size
                    break
            else:
                return None
        return tuple(chosen)

    def _forget(self, view: View) -> None:
        """A promise is over when the node shows it, or is gone."""
        if self.pending:
            waiting = {n.metadata.uid or "" for n in view.list(core_v1.Node) if not pod_cidrs(n)}
            self.pending = {uid: cidrs for uid, cidrs in self.pending.items() if uid in waiting}


def controller(cluster_cidrs: tuple[str, ...], mask_sizes: dict[int, int]) -> Controller:
    """Cuts these networks; `mask_sizes` by IP version. ValueError for a network that cannot be cut so."""
    pools = []
    for text in cluster_cidrs:
        network = ipaddress.ip_network(text)
        mask_size = mask_sizes[network.version]
        if not network.prefixlen <= mask_size <= network.max_prefixlen:
            raise ValueError(f"{text} cannot be cut in networks of /{mask_size}")
        pools.append(_Pool(network, mask_size))
    return Controller(
        name="node-ipam",
        identity="system:serviceaccount:kube-system:node-controller",
        source="cidrAllocator",
        reconcile=NodeNetworks(pools).reconcile,
        watches=(Watch(kind=core_v1.Node, keys=own_key),),
        indexes=(Index(kind=core_v1.Node, name=BY_POD_CIDR, function=pod_cidrs),),
    )
