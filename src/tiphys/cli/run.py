"""`tiphys run COMPONENT`: one component alone, in the foreground, in the network namespace it is started in.

For clusters that are put together by hand, and for working on one component. `tiphys up` runs all of them in two
processes.
"""

from __future__ import annotations

import pathlib
import random
import socket
from typing import Any

import click

from tiphys.aio.clock import SystemClock
from tiphys.aio.component import Component
from tiphys.launch.io.process import OnFailure, run_process

Path = click.Path(exists=True, dir_okay=False, path_type=pathlib.Path)
kubeconfig_option = click.option(
    "--kubeconfig", type=Path, required=True, envvar="KUBECONFIG", help="How and as whom the API server is reached."
)
node_option = click.option("--node-name", default=socket.gethostname, show_default="the host's name")
domain_option = click.option("--cluster-domain", default="cluster.local", show_default=True)


@click.group()
def run() -> None:
    """Run one component alone."""


@run.command()
@click.pass_obj
def apiserver(state: pathlib.Path) -> None:
    """The API server and its store, on the addresses and files of the state directory (see `tiphys up`)."""
    from tiphys.launch.cluster import Layout
    from tiphys.launch.control_plane import build_server

    run_process("apiserver", lambda on_failure: build_server(Layout(state), on_failure))


@run.command()
@kubeconfig_option
@click.option("--profile", "name", default="default-scheduler", show_default=True, help="The schedulerName served.")
def scheduler(kubeconfig: pathlib.Path, name: str) -> None:
    """The scheduler."""
    from tiphys.client.io.kubeconfig import from_kubeconfig
    from tiphys.scheduler.component import Scheduler
    from tiphys.scheduler.config import Profile, SchedulerConfig

    async def build(on_failure: OnFailure) -> list[Component]:
        config = SchedulerConfig(profiles=(Profile(scheduler_name=name),), instance=f"{name}-{socket.gethostname()}")
        return [Scheduler(from_kubeconfig(kubeconfig), SystemClock(), config, on_failure, random.Random())]

    run_process("scheduler", build)


@run.command()
@kubeconfig_option
@click.option("--cluster-cidr", "cidrs", multiple=True, help="Pod network that nodes get their ranges from.")
@click.option("--root-ca-file", type=Path, required=True, help="Published to every namespace.")
@click.option("--controllers", "names", multiple=True, default=("*",), help="Which to run: NAME, -NAME, or *.")
def controllers(
    kubeconfig: pathlib.Path, cidrs: tuple[str, ...], root_ca_file: pathlib.Path, names: tuple[str, ...]
) -> None:
    """The controllers, all with the kubeconfig's identity (it must be allowed what each of them does)."""
    from tiphys.client.io.kubeconfig import from_kubeconfig
    from tiphys.controllers.component import ControllerManager
    from tiphys.controllers.config import ControllersConfig

    config = ControllersConfig(
        controllers=names,
        root_ca_pem=root_ca_file.read_text(),
        cluster_cidrs=cidrs,
        allocate_node_cidrs=bool(cidrs),
    )

    async def build(on_failure: OnFailure) -> list[Component]:
        return [ControllerManager(lambda *_: from_kubeconfig(kubeconfig), SystemClock(), config, on_failure)]

    run_process("controllers", build)


@run.command()
@kubeconfig_option
@node_option
@click.option("--node-address", "addresses", multiple=True, required=True, help="Node ports answer on these.")
@click.option("--cluster-cidr", default="", help="The pod network; traffic from elsewhere is masqueraded.")
def proxy(kubeconfig: pathlib.Path, node_name: str, addresses: tuple[str, ...], cluster_cidr: str) -> None:
    """The service proxy: Services to nftables rules."""
    from tiphys.aio.tasks import TaskOwner
    from tiphys.client.api import Client
    from tiphys.client.io.kubeconfig import from_kubeconfig
    from tiphys.client.io.reflector import InformerSet
    from tiphys.launch.io.informers import Informers
    from tiphys.proxy.component import Proxy, ProxyConfig
    from tiphys.proxy.rules import RulesConfig

    async def build(on_failure: OnFailure) -> list[Component]:
        clock, owner = SystemClock(), TaskOwner("proxy-informers", on_failure)
        transport = from_kubeconfig(kubeconfig)
        informers = InformerSet(Client(transport), clock, owner, jitter=random.random)
        rules = RulesConfig(node_name=node_name, node_addresses=addresses, pod_cidr=cluster_cidr)
        made = Proxy(ProxyConfig(rules=rules), informers, clock, on_failure)
        return [Informers("proxy", informers, owner, transport, [made])]

    run_process("proxy", build)


@run.command()
@kubeconfig_option
@node_option
@domain_option
@click.option("--address", "addresses", multiple=True, required=True, help="Where queries are answered.")
@click.option("--port", type=int, default=53, show_default=True)
def dns(kubeconfig: pathlib.Path, node_name: str, cluster_domain: str, addresses: tuple[str, ...], port: int) -> None:
    """The DNS server of a node."""
    from tiphys.aio.tasks import TaskOwner
    from tiphys.client.api import Client
    from tiphys.client.io.kubeconfig import from_kubeconfig
    from tiphys.client.io.reflector import InformerSet
    from tiphys.dns.component import Dns, DnsConfig
    from tiphys.launch.io.informers import Informers

    async def build(on_failure: OnFailure) -> list[Component]:
        clock, owner = SystemClock(), TaskOwner("dns-informers", on_failure)
        transport = from_kubeconfig(kubeconfig)
        client = Client(transport)
        informers = InformerSet(client, clock, owner, jitter=random.random)
        config = DnsConfig(
            node_name=node_name, addresses=addresses, port=port, domain=cluster_domain, loopback_upstreams=True
        )
        made = Dns(config, client, informers, clock, on_failure)
        return [Informers("dns", informers, owner, transport, [made])]

    run_process("dns", build)


@run.command()
@kubeconfig_option
@node_option
@domain_option
@click.option(
    "--node-address", "addresses", multiple=True, required=True, help="The node's addresses; the first serves."
)
@click.option("--runtime-endpoint", required=True, help="The container runtime's unix socket.")
@click.option("--root-dir", default="/var/lib/kubelet", show_default=True)
@click.option("--log-dir", default="/var/log/pods", show_default=True)
@click.option("--cgroup-root", default="/", show_default=True, help="The cgroup that all pods go under.")
@click.option("--cluster-dns", multiple=True, help="Addresses that pods ask for names.")
@click.option("--max-pods", type=int, default=110, show_default=True)
@click.option("--static-pod-dir", default="", help="Run the pods of the manifests in this folder.")
@click.option("--tls-cert-file", default="", help="The node's serving certificate (none: no server for logs and exec).")
@click.option("--tls-key-file", default="")
@click.option("--client-ca-file", default="", help="Clients show certificates of this authority.")
def kubelet(
    kubeconfig: pathlib.Path, addresses: tuple[str, ...], cluster_dns: tuple[str, ...], **settings: Any
) -> None:
    """The kubelet of a node, on a container runtime that runs already."""
    from tiphys.client.io.kubeconfig import from_kubeconfig
    from tiphys.kubelet.component import Kubelet, KubeletConfig

    config = KubeletConfig(
        node_addresses=addresses,
        cluster_dns=cluster_dns,
        server_address=addresses[0] if settings["tls_cert_file"] else "",
        **settings,
    )

    async def build(on_failure: OnFailure) -> list[Component]:
        return [Kubelet(config, from_kubeconfig(kubeconfig), SystemClock(), on_failure)]

    run_process("kubelet", build)
