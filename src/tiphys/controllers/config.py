"""The configuration of the controllers: everything that is not the same in every cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tiphys.client.lease import LeaseTimes
from tiphys.kinds.types import core_v1
from tiphys.pki.certificates import Authority


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllersConfig:
    """`controllers`: names to run, "*" for all, "-name" for all but that one. `root_ca_pem` is published to every
    namespace. `token_of(account, secret)` signs tokens for Secrets; without it they get none. `authority` signs
    approved certificate requests; without it nobody does.

    Networks are CIDRs, one a family; with `allocate_node_cidrs` each node gets a part of each (prefix lengths in
    `node_cidr_mask_sizes` by family, 4 and 6). Times are in seconds. With `lease_identity` the controllers run only
    while they hold the Lease kube-system/kube-controller-manager."""

    controllers: tuple[str, ...] = ("*",)
    root_ca_pem: str = ""
    token_of: Callable[[core_v1.ServiceAccount, core_v1.Secret], str] | None = None
    authority: Authority | None = None
    cluster_cidrs: tuple[str, ...] = ()
    allocate_node_cidrs: bool = True
    node_cidr_mask_sizes: tuple[tuple[int, int], ...] = ((4, 24), (6, 64))
    node_monitor_grace_seconds: float = 50.0
    node_monitor_period_seconds: float = 5.0
    node_eviction_rate_per_second: float = 0.1
    terminated_pod_threshold: int = 12500
    max_endpoints_per_slice: int = 100
    lease_identity: str = ""
    lease_times: LeaseTimes = field(default_factory=LeaseTimes)
    detect_mutation: bool = False

    def enables(self, name: str) -> bool:
        """Whether a controller of this name runs."""
        if f"-{name}" in self.controllers:
            return False
        return name in self.controllers or "*" in self.controllers
