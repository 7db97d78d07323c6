"""Keeps this node's Node and Lease current: registers it, writes its status when that has changed, renews the lease."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tiphys.aio.clock import Clock
from tiphys.client.api import Client
from tiphys.client.interface import PatchType
from tiphys.client.io.recorder import EventRecorder
from tiphys.client.io.reflector import Informer
from tiphys.kinds import codec
from tiphys.kinds.types import coordination_v1, core_v1, meta_v1
from tiphys.kubelet import node_status
from tiphys.kubelet.interface import ContainerRuntime, RuntimeConditions, RuntimeFailure, RuntimeInfo
from tiphys.kubelet.node_status import MachineInfo, NodeObservation, Pressure
from tiphys.kubelet.status_patch import node_status_patch
from tiphys.machinery import timestamps
from tiphys.machinery.errors import ApiError
from tiphys.machinery.quantity import Quantity

log = logging.getLogger(__name__)
LEASE_NAMESPACE = "kube-node-lease"
LEASE_SECONDS = 40
HEARTBEAT_SECONDS = 10.0
# While the node is not ready it is looked at this often, so that it takes pods as soon as it can.
EAGER_SECONDS = 0.1
EAGER_LOOKS = 300
LESS_EAGER_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeIdentity:
    """What the configuration says of the node."""

    name: str
    addresses: tuple[str, ...]
    port: int
    max_pods: int
    root_dir: str
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: Sequence[core_v1.Taint] = ()
    reserved: Mapping[str, Quantity] = field(default_factory=dict)


class NodeWriter:
    """`register` once, then `run`. `allocatable` is what pods may use."""

    def __init__(
        self,
        identity: NodeIdentity,
        machine: MachineInfo,
        client: Client,
        runtime: ContainerRuntime,
        nodes: Informer[core_v1.Node],
        clock: Clock,
        recorder: EventRecorder,
        pressure: Callable[[], Pressure],
    ) -> None:
        self.identity = identity
        self.machine = machine
        self._recorder = recorder
        self._pressure = pressure
        self._client = client
        self._runtime = runtime
        self._nodes = nodes
        self._clock = clock
        self._info: RuntimeInfo | None = None
        self._written_at = 0.0
        self._lease: coordination_v1.Lease | None = None
        self._kicked = asyncio.Event()
        self.ready = False

    def kick(self) -> None:
        """Look at the node now."""
        self._kicked.set()

    def node(self) -> core_v1.Node | None:
        return self._nodes.cache.get("", self.identity.name)

    def allocatable(self) -> Mapping[str, Quantity]:
        node = self.node()
        if node is not None and node.status.allocatable:
            return node.status.allocatable
        return node_status.allocatable(
            node_status.capacity(self.machine, self.identity.max_pods), self.identity.reserved
        )

    async def _observe(self) -> NodeObservation:
        try:
            if self._info is None:
                self._info = await self._runtime.version()
            conditions = await self._runtime.conditions()
            images = await self._runtime.images()
        except RuntimeFailure as error:
            conditions = RuntimeConditions(ready=False, network_ready=False, message=str(error))
            images = []
        self.ready = conditions.ready and conditions.network_ready
        info = self._info or RuntimeInfo(name="unknown", version="")
        addresses = [("InternalIP", address) for address in self.identity.addresses]
        return NodeObservation(
            machine=self.machine,
            runtime_version=f"{info.name}://{info.version}",
            runtime=conditions,
            addresses=[*addresses, ("Hostname", self.identity.name)],
            port=self.identity.port,
            max_pods=self.identity.max_pods,
            reserved=self.identity.reserved,
            pressure=self._pressure(),
            images=images,
        )

    async def register(self) -> None:
        """Make the Node if there is none. ApiError."""
        seen = await self._observe()
        status = node_status.node_status(core_v1.NodeStatus(), seen, self._clock.now())
        labels = node_status.node_labels(self.identity.name, self.machine.architecture, self.identity.labels)
        node = node_status.new_node(self.identity.name, labels, self.identity.taints, status)
        try:
            created = await self._client.create(node)
            self._nodes.observe_write(created)
            message = f"Node {self.identity.name} has registered itself"
            self._recorder.record(created, "Normal", "RegisteredNode", message)
            log.info("registered node %s", self.identity.name)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
            patch = {"metadata": {"labels": labels}}
            self._nodes.observe_write(await self._client.patch(core_v1.Node, "", self.identity.name, patch))
        await self.report()

    async def report(self) -> None:
        """Write the status if it differs from what is there, or is old. ApiError."""
        node = self.node()
        if node is None:
            return
        now = self._clock.now()
        status = node_status.node_status(node.status, await self._observe(), now)
        fresh = now - self._written_at < node_status.REPORT_SECONDS
        if fresh and node_status.same_but_heartbeats(node.status, status):
            return
        patch = node_status_patch(node.metadata.uid or "", node.status, status)
        if patch is None:
            self._written_at = now
            return
        answer = await self._client.patch(core_v1.Node, "", self.identity.name, patch, PatchType.STRATEGIC, "status")
        before, after = _is_ready(node.status), _is_ready(status)
        if before != after:
            reason = "NodeReady" if after else "NodeNotReady"
            message = f"Node {self.identity.name} status is now: {reason}"
            self._recorder.record(node, "Normal", reason, message)
        self._nodes.observe_write(answer)
        self._written_at = now

    async def renew_lease(self) -> None:
        """ApiError."""
        now = timestamps.micro_time_of(self._clock.now())
        if self._lease is not None:
            lease = codec.copy(self._lease)
            assert lease.spec is not None
            lease.spec.renewTime = now
            try:
                self._lease = await self._client.update(lease)
                return
            except ApiError as error:
                if error.code not in (404, 409):
                    raise
                self._lease = None
        await self._make_lease(now)

    async def _make_lease(self, now: timestamps.MicroTime) -> None:
        node = self.node()
        owners = None
        if node is not None:
            owners = [
                meta_v1.OwnerReference(
                    apiVersion="v1", kind="Node", name=self.identity.name, uid=node.metadata.uid or ""
                )
            ]
        spec = coordination_v1.LeaseSpec(
            holderIdentity=self.identity.name, leaseDurationSeconds=LEASE_SECONDS, renewTime=now
        )
        meta = meta_v1.ObjectMeta(name=self.identity.name, namespace=LEASE_NAMESPACE, ownerReferences=owners)
        try:
            self._lease = await self._client.create(coordination_v1.Lease(metadata=meta, spec=spec))
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
            found = await self._client.get(coordination_v1.Lease, LEASE_NAMESPACE, self.identity.name)
            self._lease = await self._client.update(
                coordination_v1.Lease(metadata=codec.copy(found.metadata), spec=spec)
            )

    async def run(self) -> None:
        """Report and renew for ever; failures are tried again."""
        next_lease = 0.0
        eager_looks = 0
        while True:
            try:
                if self._clock.monotonic() >= next_lease:
                    await self.renew_lease()
                    next_lease = self._clock.monotonic() + HEARTBEAT_SECONDS
                if self.node() is None:
                    await self.register()
                await self.report()
            except ApiError as error:
                log.warning("reporting node %s: %s", self.identity.name, error)
                await self._clock.sleep(1.0)
                continue
            eager_looks = 0 if self.ready else eager_looks + 1
            eager = EAGER_SECONDS if eager_looks < EAGER_LOOKS else LESS_EAGER_SECONDS
            await self._pause(HEARTBEAT_SECONDS if self.ready else eager)

    async def _pause(self, seconds: float) -> None:
        waits = [asyncio.ensure_future(self._clock.sleep(seconds)), asyncio.ensure_future(self._kicked.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        self._kicked.clear()


def _is_ready(status: core_v1.NodeStatus) -> bool:
    return any(each.type == "Ready" and each.status == "True" for each in status.conditions or ())
