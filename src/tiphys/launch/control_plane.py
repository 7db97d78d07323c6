"""The control-plane process: store, API server, controllers, scheduler, and the host's routes to nodes. `python -m
tiphys.launch.control_plane STATE`."""

from __future__ import annotations

import pathlib
import random
import sys
from collections.abc import Sequence

from tiphys.aio.clock import SystemClock
from tiphys.aio.component import Component
from tiphys.apiserver.component import ApiServer
from tiphys.launch.api_server import build_api_server
from tiphys.launch.cluster import CONTROL_PLANE, Cluster, Layout
from tiphys.launch.io import state
from tiphys.launch.io.process import OnFailure, run_process
from tiphys.launch.io.store import StoreComponent

AUTHENTICATED = "system:authenticated"
SCHEDULER_USER = "system:kube-scheduler"
HOST_NETWORK_USER = "system:kube-proxy"


class LateComponents:
    """What is imported and started once the API answers: numpy and the controllers must not hold up the first
    request."""

    name = "controllers and scheduler"

    def __init__(self, server: ApiServer, cluster: Cluster, layout: Layout, on_failure: OnFailure) -> None:
        self._server = server
        self._cluster = cluster
        self._layout = layout
        self._on_failure = on_failure
        self._clock = SystemClock()
        self._started: list[Component] = []

    async def start(self) -> None:
        for make in (self._controllers, self._scheduler, self._host_network):
            component = make()
            self._started.append(component)
            await component.start()

    async def stop(self) -> None:
        for component in reversed(self._started):
            await component.stop()
        self._started.clear()

    def _controllers(self) -> Component:
        from tiphys.apiserver.authn.service_accounts import secret_token_claims
        from tiphys.apiserver.authn.tokens import TokenSigner
        from tiphys.controllers.component import ControllerManager
        from tiphys.controllers.config import ControllersConfig
        from tiphys.pki.certificates import KeyPair, load_authority

        pki = self._layout.pki
        signer = TokenSigner((pki / "sa.key").read_bytes())
        root_ca_pem = (pki / "ca.crt").read_bytes()
        config = ControllersConfig(
            root_ca_pem=root_ca_pem.decode(),
            token_of=lambda account, secret: signer.sign(secret_token_claims(account, secret)),
            authority=load_authority(KeyPair(root_ca_pem, (pki / "ca.key").read_bytes())),
            cluster_cidrs=(self._cluster.pod_cidr,),
        )
        return ControllerManager(self._server.transport, self._clock, config, self._on_failure)

    def _scheduler(self) -> Component:
        from tiphys.scheduler.component import Scheduler
        from tiphys.scheduler.config import SchedulerConfig

        transport = self._server.transport(SCHEDULER_USER, (AUTHENTICATED,))
        config = SchedulerConfig(instance=f"default-scheduler-{self._cluster.name}")
        return Scheduler(transport, self._clock, config, self._on_failure, random.Random())

    def _host_network(self) -> Component:
        from tiphys.aio.tasks import TaskOwner
        from tiphys.client.api import Client
        from tiphys.client.io.reflector import InformerSet
        from tiphys.launch.io.informers import Informers
        from tiphys.network.component import HostNetwork, HostNetworkConfig

        transport = self._server.transport(HOST_NETWORK_USER, (AUTHENTICATED,))
        owner = TaskOwner("host-network-informers", self._on_failure)
        informers = InformerSet(Client(transport), self._clock, owner, jitter=random.random)
        config = HostNetworkConfig(host_address=self._cluster.host_address, service_cidr=self._cluster.service_cidr)
        network = HostNetwork(config, informers, self._clock, self._on_failure)
        return Informers("host-network", informers, owner, transport, [network])


def _api_server(layout: Layout, on_failure: OnFailure) -> tuple[Cluster, StoreComponent, ApiServer]:
    """BadState when the state directory holds no cluster."""
    cluster = state.load(layout)
    if cluster is None:
        raise state.BadState(f"no cluster in {layout.state}")
    layout.control_plane.mkdir(parents=True, exist_ok=True)
    authorities = ((layout.pki / "ca.crt").read_bytes(), (layout.pki / "front-proxy-ca.crt").read_bytes())
    return cluster, *build_api_server(cluster, layout, authorities, SystemClock(), on_failure)


async def build_server(layout: Layout, on_failure: OnFailure) -> Sequence[Component]:
    """The API server and its store alone."""
    _, store, server = _api_server(layout, on_failure)
    return [store, server]


async def build(layout: Layout, on_failure: OnFailure) -> Sequence[Component]:
    """The components in the order of their start."""
    cluster, store, server = _api_server(layout, on_failure)
    return [store, server, LateComponents(server, cluster, layout, on_failure)]


def main() -> None:
    layout = Layout(pathlib.Path(sys.argv[1]))
    run_process(CONTROL_PLANE, lambda on_failure: build(layout, on_failure))


if __name__ == "__main__":
    main()
