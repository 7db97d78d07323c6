"""Registers the node, keeps its Lease alive and its status true. What the status says is `node_status.py`'s decision."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from tiphys.aio.backoff import Backoff
from tiphys.aio.clock import Clock
from tiphys.client.api import Client
from tiphys.client.interface import PatchType
from tiphys.client.io.recorder import EventRecorder
from tiphys.client.io.reflector import Informer
from tiphys.kinds.types import coordination_v1, core_v1, meta_v1
from tiphys.kubelet.node_status import (
    REPORT_SECONDS,
    NodeObservation,
    new_node,
    node_labels,
    node_status,
    same_but_heartbeats,
)
from tiphys.kubelet.status_patch import node_status_patch
from tiphys.machinery import timestamps
from tiphys.machinery.errors import ApiError

log = logging.getLogger(__name__)
LEASE_NAMESPACE = "kube-node-lease"
LEASE_SECONDS = 40
RENEW_SECONDS = 10.0
OBSERVE_SECONDS = 10.0
# While the node is not ready it is looked at this often: pods wait for it.
NOT_READY_SECONDS = 0.1
NOT_READY_LONG_SECONDS = 2.0
NOT_READY_QUICK_LOOKS = 300


class NodeAgent:
    """`observe` looks at machine and runtime (RuntimeFailure becomes a node that is not ready)."""

    def __init__(
        self,
        name: str,
        client: Client,
        nodes: Informer[core_v1.Node],
        clock: Clock,
        recorder: EventRecorder,
        observe: Callable[[], Awaitable[NodeObservation]],
        labels: Mapping[str, str],
        taints: Sequence[core_v1.Taint],
    ) -> None:
        self.name = name
        self._client = client
        self._nodes = nodes
        self._clock = clock
        self._recorder = recorder
        self._observe = observe
        self._labels = labels
        self._taints = taints
        self._kicked = asyncio.Event()
        self._reported_at = float("-inf")
        self._backoff: Backoff[str] = Backoff(0.2, 10.0)

    def node(self) -> core_v1.Node | None:
        return self._nodes.cache.get("", self.name)

    def kick(self) -> None:
        """Look at the node now."""
        self._kicked.set()

    async def register(self) -> core_v1.Node:
        """Create the Node, or take over the one that is there. Goes on until it worked."""
        while True:
            try:
                node = await self._register()
                self._nodes.observe_write(node)
                return node
            except ApiError as error:
                wait_seconds = self._backoff.next("register")
                log.log(
                    logging.INFO if error.code == 0 else logging.WARNING, "registering node %s: %s", self.name, error
                )
                await self._clock.sleep(wait_seconds)

    async def _register(self) -> core_v1.Node:
        seen = await self._observe()
        now = self._clock.now()
        labels = node_labels(self.name, seen.machine.architecture, self._labels)
        fresh = new_node(self.name, labels, self._taints, node_status(core_v1.NodeStatus(), seen, now))
        try:
            created = await self._client.create(fresh)
            self._recorder.record(created, "Normal", "RegisteredNode", f"Node {self.name} has registered itself")
            self._reported_at = now
            return created
        except ApiError as error:
            if error.code != 409:
                raise
        node = await self._client.get(core_v1.Node, "", self.name)
        missing = {key: value for key, value in labels.items() if (node.metadata.labels or {}).get(key) != value}
        if missing:
            node = await self._client.patch(
                core_v1.Node, "", self.name, {"metadata": {"labels": missing}}, PatchType.MERGE
            )
        return node

    async def keep_status(self) -> None:
        """For ever."""
        quick_looks = 0
        while True:
            ready = False
            self._kicked.clear()
            try:
                ready = await self._report()
                self._backoff.reset("status")
            except ApiError as error:
                log.log(logging.INFO if error.code == 0 else logging.WARNING, "status of node %s: %s", self.name, error)
                if error.code == 404:
                    await self.register()
                await self._clock.sleep(self._backoff.next("status"))
            quick_looks = 0 if ready else quick_looks + 1
            pause = NOT_READY_SECONDS if quick_looks < NOT_READY_QUICK_LOOKS else NOT_READY_LONG_SECONDS
            await self._pause(OBSERVE_SECONDS if ready else pause)

    async def _pause(self, seconds: float) -> None:
        waits = [asyncio.ensure_future(self._clock.sleep(seconds)), asyncio.ensure_future(self._kicked.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _report(self) -> bool:
        """Write the status if it is new or old; whether the node is ready."""
        seen = await self._observe()
        now = self._clock.now()
        node = self.node() or await self._client.get(core_v1.Node, "", self.name)
        status = node_status(node.status, seen, now)
        ready = any(each.type == "Ready" and each.status == "True" for each in status.conditions or ())
        if same_but_heartbeats(status, node.status) and now - self._reported_at < REPORT_SECONDS:
            return ready
        patch = node_status_patch(node.metadata.uid or "", node.status, status)
        if patch is not None:
            before = _ready(node.status)
            answer = await self._client.patch(core_v1.Node, "", self.name, patch, PatchType.STRATEGIC, "status")
            self._nodes.observe_write(answer)
            if before != ready:
                word = "NodeReady" if ready else "NodeNotReady"
                self._recorder.record(node, "Normal", word, f"Node {self.name} status is now: {word}")
        self._reported_at = now
        return ready

    async def keep_lease(self) -> None:
        """For ever: renew the lease by which the node is known to be alive."""
        lease: coordination_v1.Lease | None = None
        while True:
            try:
                lease = await self._renew(lease)
                self._backoff.reset("lease")
                await self._clock.sleep(RENEW_SECONDS)
            except ApiError as error:
                lease = None
                log.log(logging.INFO if error.code == 0 else logging.WARNING, "lease of node %s: %s", self.name, error)
                await self._clock.sleep(min(self._backoff.next("lease"), RENEW_SECONDS))

    async def _renew(self, lease: coordination_v1.Lease | None) -> coordination_v1.Lease:
        now = timestamps.micro_time_of(self._clock.now())
        if lease is None:
            try:
                lease = await self._client.get(coordination_v1.Lease, LEASE_NAMESPACE, self.name)
            except ApiError as error:
                if error.code != 404:
                    raise
                return await self._client.create(self._new_lease(now))
        spec = msgspec.structs.replace(
            lease.spec or coordination_v1.LeaseSpec(),
            holderIdentity=self.name,
            leaseDurationSeconds=LEASE_SECONDS,
            renewTime=now,
        )
        return await self._client.update(msgspec.structs.replace(lease, spec=spec))

    def _new_lease(self, now: timestamps.MicroTime) -> coordination_v1.Lease:
        node = self.node()
        owners = None
        if node is not None:
            owners = [
                meta_v1.OwnerReference(apiVersion="v1", kind="Node", name=self.name, uid=node.metadata.uid or "")
            ]
        return coordination_v1.Lease(
            metadata=meta_v1.ObjectMeta(name=self.name, namespace=LEASE_NAMESPACE, ownerReferences=owners),
            spec=coordination_v1.LeaseSpec(
                holderIdentity=self.name, leaseDurationSeconds=LEASE_SECONDS, renewTime=now
            ),
        )


def _ready(status: core_v1.NodeStatus) -> bool:
    return any(each.type == "Ready" and each.status == "True" for each in status.conditions or ())

