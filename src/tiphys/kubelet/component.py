"""The kubelet as a component: its configuration, and how its parts are wired."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tiphys.aio.clock import Clock
from tiphys.aio.tasks import TaskOwner
from tiphys.client.api import Client
from tiphys.client.interface import Transport
from tiphys.client.io.recorder import EventRecorder
from tiphys.client.io.reflector import InformerSet
from tiphys.kinds.types import core_v1, node_v1
from tiphys.kubelet.container_config import NodeFacts
from tiphys.kubelet.dns_config import parse_resolv_conf
from tiphys.kubelet.environment import ConfigError
from tiphys.kubelet.eviction import MachineUsage, Thresholds
from tiphys.kubelet.interface import ContainerRuntime
from tiphys.kubelet.io.backend import ApiAccess, WorkersBackend
from tiphys.kubelet.io.cgroups import Cgroups
from tiphys.kubelet.io.cri import CriRuntime
from tiphys.kubelet.io.evictor import Evictor
from tiphys.kubelet.io.housekeeping import Housekeeping, Limits
from tiphys.kubelet.io.image_puller import ImagePuller
from tiphys.kubelet.io.machine import machine_info, machine_usage
from tiphys.kubelet.io.mounts import VolumeHost
from tiphys.kubelet.io.node_context import NodeContext
from tiphys.kubelet.io.node_writer import NodeIdentity, NodeWriter
from tiphys.kubelet.io.pod_sources import PodSources
from tiphys.kubelet.io.pod_workers import PodWorkers
from tiphys.kubelet.io.prober import Prober
from tiphys.kubelet.io.server import KubeletServer, server_tls
from tiphys.kubelet.io.static_pods import StaticPods
from tiphys.kubelet.io.status_writer import StatusWriter
from tiphys.kubelet.node_status import MachineInfo, Pressure
from tiphys.kubelet.paths import PodPaths
from tiphys.kubelet.resources import LEAST_SHARES, CgroupLimits, kubepods, qos_cgroup, shares
from tiphys.machinery.errors import ApiError
from tiphys.machinery.quantity import Quantity

log = logging.getLogger(__name__)
REGISTER_RETRY_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeletConfig:
    """One node. `runtime_endpoint` is the runtime's unix socket. `cgroup_root` is the cgroup that all pods go under.
    `starts` pods are brought up at a time, `pulls` images pulled. `pod_pids_limit` 0 is no limit. The server listens on
    `server_address` ("" for none) with the node's certificate and knows clients by `client_ca_file`. Pods of the node's
    own are read from `static_pod_dir` ("" for none)."""

    node_name: str
    node_addresses: tuple[str, ...]
    root_dir: str
    log_dir: str
    runtime_endpoint: str
    cgroup_root: str = "/"
    cgroup_driver: str = "cgroupfs"
    cluster_dns: tuple[str, ...] = ()
    cluster_domain: str = "cluster.local"
    server_address: str = ""
    server_port: int = 10250
    tls_cert_file: str = ""
    tls_key_file: str = ""
    client_ca_file: str = ""
    max_pods: int = 110
    pod_pids_limit: int = 0
    starts: int = 10
    pulls: int = 3
    resolv_conf: str = "/etc/resolv.conf"
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[core_v1.Taint, ...] = ()
    reserved: Mapping[str, Quantity] = field(default_factory=dict)
    allowed_sysctls: tuple[str, ...] = ()
    static_pod_dir: str = ""
    limits: Limits = field(default_factory=Limits)
    thresholds: Thresholds = field(default_factory=Thresholds)


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


class Kubelet:
    """See `aio.component.Component`. `stop` lets go of the pods: they live on, and the next kubelet adopts them."""

    name = "kubelet"

    def __init__(
        self,
        config: KubeletConfig,
        transport: Transport,
        clock: Clock,
        on_failure: Callable[[str, BaseException], None],
        runtime: ContainerRuntime | None = None,
        machine: MachineInfo | None = None,
        usage: Callable[[], MachineUsage] | None = None,
        volumes: VolumeHost | None = None,
    ) -> None:
        """The last four are for hollow nodes and tests: another runtime (then no control groups are made), what the
        machine is, what is left of it, and where volumes are."""
        self.config = config
        self._clock = clock
        self._owner = TaskOwner(self.name, on_failure)
        self._client = Client(transport)
        self._informers = InformerSet(self._client, clock, self._owner, jitter=random.random)
        self._pods = self._informers.informer(core_v1.Pod, field_selector=f"spec.nodeName={config.node_name}")
        self._nodes = self._informers.informer(core_v1.Node, field_selector=f"metadata.name={config.node_name}")
        self._services = self._informers.informer(core_v1.Service)
        self._classes = self._informers.informer(node_v1.RuntimeClass)
        self._runtime = runtime or CriRuntime(config.runtime_endpoint)
        self._real = runtime is None
        self._machine = machine
        self._usage = usage or (lambda: machine_usage(config.root_dir, self._image_directory))
        self._image_directory = ""
        self._volumes = volumes or VolumeHost(config.root_dir)
        self._evictor: Evictor | None = None
        self._paths = PodPaths(root=config.root_dir, logs=config.log_dir)
        self._prober = Prober()
        self._server: KubeletServer | None = None
        self.workers: PodWorkers | None = None

    async def start(self) -> None:
        """Returns when the node is registered and its pods are being looked after. ApiError, OSError,
        RuntimeFailure."""
        config = self.config
        for directory in (config.root_dir, config.log_dir, self._paths.pods):
            os.makedirs(directory, mode=0o750, exist_ok=True)
        self._informers.start()
        recorder = EventRecorder(self._client, self._clock, self._owner, "kubelet", config.node_name)
        machine = self._machine or machine_info(config.root_dir)
        if self._real:
            await self._check_runtime()
            await asyncio.to_thread(self._make_groups, machine)
        writer = NodeWriter(
            self._identity(),
            machine,
            self._client,
            self._runtime,
            self._nodes,
            self._clock,
            recorder,
            lambda: self._evictor.pressure if self._evictor is not None else Pressure(),
        )
        await self._register(writer)
        volumes = self._volumes
        context = await self._context(writer, volumes, recorder)
        evictor = Evictor(context, config.thresholds, self._usage, writer.kick)
        self._evictor = evictor
        workers = PodWorkers(
            context,
            writer.node,
            writer.allocatable,
            volumes.pods_on_disk,
            lambda: evictor.pressure,
            config.allowed_sysctls,
        )
        self.workers = workers
        await asyncio.gather(self._pods.synced(), self._services.synced(), self._classes.synced(), self._nodes.synced())
        self._pods.add_handler(workers.pod_changed)
        if config.static_pod_dir:
            static = StaticPods(
                Path(config.static_pod_dir), config.node_name, context, workers, writer.node, self._pods.cache.get
            )
            self._pods.add_handler(static.object_changed)
            await static.load()
            self._owner.start(static.run(), "static pods")
        self._owner.start(workers.run(), "pods")
        self._owner.start(writer.run(), "node status")
        tidy = Housekeeping(workers, context, config.limits)
        self._owner.start(tidy.run(), "housekeeping")
        self._owner.start(evictor.run(workers, tidy.free_unused_images), "evictor")
        if config.server_address:
            await self._serve(workers, context)

    def _identity(self) -> NodeIdentity:
        config = self.config
        return NodeIdentity(
            name=config.node_name,
            addresses=config.node_addresses,
            port=config.server_port,
            max_pods=config.max_pods,
            root_dir=config.root_dir,
            labels=config.labels,
            taints=config.taints,
            reserved=config.reserved,
        )

    async def _register(self, writer: NodeWriter) -> None:
        """Until it has worked: the API server may start later than we do."""
        while True:
            try:
                await writer.register()
                await writer.renew_lease()
                return
            except ApiError as error:
                log.warning("registering node %s: %s", self.config.node_name, error)
                await self._clock.sleep(REGISTER_RETRY_SECONDS)

    async def _context(self, writer: NodeWriter, volumes: VolumeHost, recorder: EventRecorder) -> NodeContext:
        config = self.config
        cgroups = Cgroups() if self._real else None
        info = await self._runtime.version()
        self._image_directory, _ = await self._runtime.image_filesystem_bytes()
        facts = NodeFacts(
            paths=self._paths,
            cgroup_root=config.cgroup_root,
            cluster_domain=config.cluster_domain,
            memory_capacity_bytes=writer.machine.memory_bytes,
            unified_cgroups=cgroups.unified if cgroups is not None else False,
        )
        sources = PodSources(
            self._client,
            self._informers,
            volumes,
            self._clock,
            self._owner,
            writer.allocatable,
            lambda: self._services.cache.list(),
        )
        return NodeContext(
            client=self._client,
            runtime=self._runtime,
            runtime_name=info.name,
            clock=self._clock,
            owner=self._owner,
            recorder=recorder,
            sources=sources,
            statuses=StatusWriter(self._client, self._pods, self._clock, self._owner),
            puller=ImagePuller(self._runtime, self._clock, config.pulls),
            prober=self._prober,
            cgroups=cgroups,
            facts=facts,
            host_ips=config.node_addresses,
            cluster_dns=config.cluster_dns,
            host_dns=parse_resolv_conf(_text(config.resolv_conf)),
            host_hosts=_text("/etc/hosts"),
            pod_pids_limit=config.pod_pids_limit,
            starts=asyncio.Semaphore(config.starts),
            runtime_handler=self._runtime_handler,
            token=lambda: secrets.token_hex(4),
            jitter=random.random,
        )

    async def _check_runtime(self) -> None:
        """The kubelet and the runtime must make control groups in the same way. ValueError when they do not."""
        wanted = self.config.cgroup_driver
        if wanted != "cgroupfs":
            raise ValueError(f"the cgroup driver {wanted!r} is not supported: use cgroupfs")
        driver = await self._runtime.cgroup_driver()
        if driver not in ("", wanted):
            raise ValueError(f"the container runtime uses the cgroup driver {driver}, not {wanted}")

    def _make_groups(self, machine: MachineInfo) -> None:
        """The groups of all pods and of each quality of service. What is reserved is kept from all of them."""
        cgroups, root, reserved = Cgroups(), self.config.cgroup_root, self.config.reserved
        memory = machine.memory_bytes - reserved["memory"].value if "memory" in reserved else 0
        milli_cpu = machine.cores * 1000 - (reserved["cpu"].milli_value if "cpu" in reserved else 0)
        cgroups.ensure(kubepods(root), CgroupLimits(cpu_shares=shares(milli_cpu), memory_bytes=memory))
        for quality in ("Burstable", "BestEffort"):
            cgroups.ensure(qos_cgroup(root, quality), CgroupLimits(cpu_shares=LEAST_SHARES))

    def _runtime_handler(self, pod: core_v1.Pod) -> str:
        name = pod.spec.runtimeClassName
        if not name:
            return ""
        found = self._classes.cache.get("", name)
        if found is None:
            raise ConfigError(f'RuntimeClass "{name}" not found')
        return found.handler

    async def _serve(self, workers: PodWorkers, context: NodeContext) -> None:
        config = self.config
        tls = server_tls(Path(config.tls_cert_file), Path(config.tls_key_file), Path(config.client_ca_file))
        backend = WorkersBackend(workers, context, config.node_name)
        access = ApiAccess(self._client, config.node_name)
        self._server = KubeletServer(config.server_address, config.server_port, tls, backend, access, self._clock)
        await self._server.start()

    def pods(self) -> Sequence[core_v1.Pod]:
        """The pods that this node looks after."""
        return [worker.pod for worker in self.workers.workers()] if self.workers is not None else []

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop()
            self._server = None
        if self.workers is not None:
            await self.workers.stop()
        await self._informers.stop()
        await self._owner.close()
        await self._prober.close()
        await self._runtime.close()
        await self._client.close()
