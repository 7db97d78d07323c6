"""The controllers as a component: shared informers with the manager's identity, each controller's writes with its
own."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence

from tiphys.aio.clock import Clock
from tiphys.aio.tasks import TaskOwner
from tiphys.client.api import Client
from tiphys.client.interface import Transport
from tiphys.client.io.leader import LeaderElector
from tiphys.client.io.recorder import EventRecorder
from tiphys.client.io.reflector import InformerSet
from tiphys.client.lease import Election
from tiphys.controllers.config import ControllersConfig
from tiphys.controllers.controller import Controller
from tiphys.controllers.garbage import collector as garbage
from tiphys.controllers.garbage.graph import Graph
from tiphys.controllers.garbage.io.feeds import GraphFeeds
from tiphys.controllers.registry import controllers
from tiphys.controllers.runner import ControllerRunner

GARBAGE_COLLECTOR = "garbage-collector"
MANAGER_USER = "system:kube-controller-manager"
SERVICE_ACCOUNT_GROUPS = ("system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated")
TransportFor = Callable[[str, tuple[str, ...]], Transport]


class LeadershipLost(Exception):
    """Another instance may lead now: this one must end."""


class ControllerManager:
    """See `aio.component.Component`. `transport_for(user, groups)` gives the transport of an identity."""

    name = "controllers"

    def __init__(
        self,
        transport_for: TransportFor,
        clock: Clock,
        config: ControllersConfig,
        on_failure: Callable[[str, BaseException], None] | None = None,
        *,
        on_fault: Callable[[str, BaseException], None] | None = None,
    ) -> None:
        self._transport_for = transport_for
        self._clock = clock
        self._config = config
        self._on_failure = on_failure
        self._on_fault = on_fault
        self._owner = TaskOwner(self.name, on_failure)
        self._transports: list[Transport] = []
        self._elector: LeaderElector | None = None
        self.informers: InformerSet | None = None
        self.runners: dict[str, ControllerRunner] = {}

    def _transport(self, user: str) -> Transport:
        groups = SERVICE_ACCOUNT_GROUPS if user.startswith("system:serviceaccount:") else ("system:authenticated",)
        transport = self._transport_for(user, groups)
        self._transports.append(transport)
        return transport

    async def start(self) -> None:
        """Return when every controller works; with leader election at once (they begin when the lease is ours)."""
        if not self._config.lease_identity:
            await self._start_controllers()
            return
        client = Client(self._transport(MANAGER_USER))
        election = Election(
            namespace="kube-system",
            name="kube-controller-manager",
            identity=self._config.lease_identity,
            times=self._config.lease_times,
        )
        self._elector = LeaderElector(
            client, self._clock, election, on_started=self._lead, on_lost=self._leadership_lost
        )
        self._owner.start(self._elector.run(), "leader election")

    def _lead(self) -> None:
        self._owner.start(self._start_controllers(), "start")

    def _leadership_lost(self) -> None:
        raise LeadershipLost("the lease kube-system/kube-controller-manager could not be renewed in time")

    async def _start_controllers(self) -> None:
        client = Client(self._transport(MANAGER_USER))
        self.informers = InformerSet(
            client,
            self._clock,
            self._owner,
            jitter=random.random,
            detect_mutation=self._config.detect_mutation,
        )
        for controller in controllers(self._config):
            self.runners[controller.name] = self._runner(controller, self.informers)
        feeds = self._garbage(self.informers) if self._config.enables(GARBAGE_COLLECTOR) else None
        self.informers.start()
        if feeds is not None:
            await feeds.start()
        await asyncio.gather(*(runner.start() for runner in self.runners.values()))

    def _garbage(self, informers: InformerSet) -> GraphFeeds:
        """The garbage collector: a graph, what feeds it, and a runner whose keys come from it."""

        def affected(uids: Sequence[str]) -> None:
            for uid in uids:
                runner.add(uid)

        graph = Graph()
        transport = self._transport(MANAGER_USER)
        feeds = GraphFeeds(graph, informers, transport, self._clock, self._owner, affected, random.random)
        runner = self._runner(garbage.controller(garbage.Collector(graph, feeds.resolve, affected)), informers)
        self.runners[GARBAGE_COLLECTOR] = runner
        return feeds

    def _runner(self, controller: Controller, informers: InformerSet) -> ControllerRunner:
        transport = self._transport(controller.user)
        source = controller.source or f"{controller.name}-controller"
        recorder = EventRecorder(Client(transport), self._clock, self._owner, source)
        return ControllerRunner(
            controller, informers, transport, recorder, self._clock, self._owner, on_fault=self._on_fault
        )

    @property
    def idle(self) -> bool:
        """Nothing is being worked on at this moment."""
        return all(runner.idle for runner in self.runners.values())

    async def stop(self) -> None:
        for runner in self.runners.values():
            await runner.stop()
        if self.informers is not None:
            await self.informers.stop()
        await self._owner.close()
        if self._elector is not None:
            await self._elector.release()
        transports, self._transports = self._transports, []
        for transport in transports:
            await transport.close()
