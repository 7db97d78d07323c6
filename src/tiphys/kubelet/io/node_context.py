"""What the workers of all pods on a node share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from tiphys.aio.clock import Clock
from tiphys.aio.tasks import TaskOwner
from tiphys.client.api import Client
from tiphys.client.io.recorder import EventRecorder
from tiphys.kinds.types import core_v1
from tiphys.kubelet.container_config import NodeFacts
from tiphys.kubelet.dns_config import DnsConfig
from tiphys.kubelet.interface import ContainerRuntime
from tiphys.kubelet.io.cgroups import Cgroups
from tiphys.kubelet.io.image_puller import ImagePuller
from tiphys.kubelet.io.pod_sources import PodSources
from tiphys.kubelet.io.prober import Prober
from tiphys.kubelet.io.status_writer import StatusWriter


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeContext:
    """`starts` bounds how many pods are brought up at a time. `cgroups` is None on a node without real processes.
    `token()` makes names that are not taken yet; `jitter()` numbers in [0, 1)."""

    client: Client
    runtime: ContainerRuntime
    runtime_name: str
    clock: Clock
    owner: TaskOwner
    recorder: EventRecorder
    sources: PodSources
    statuses: StatusWriter
    puller: ImagePuller
    prober: Prober
    cgroups: Cgroups | None
    facts: NodeFacts
    host_ips: tuple[str, ...]
    cluster_dns: tuple[str, ...]
    host_dns: DnsConfig
    host_hosts: str
    pod_pids_limit: int
    starts: asyncio.Semaphore
    runtime_handler: Callable[[core_v1.Pod], str]
    token: Callable[[], str]
    jitter: Callable[[], float]
