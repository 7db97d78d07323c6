"""How this machine's API server and its store are configured: which files, addresses and networks."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

from tiphys.aio.clock import Clock
from tiphys.apiserver.authn.component import AuthnConfig
from tiphys.apiserver.bootstrap.objects import BootstrapConfig
from tiphys.apiserver.component import ApiServer, ApiServerConfig
from tiphys.launch.cluster import Cluster, Layout
from tiphys.launch.io.store import StoreComponent
from tiphys.store.drivers.sqlite import SqliteStore

LOOPBACK = "127.0.0.1"


def api_server_config(cluster: Cluster, layout: Layout, authorities: tuple[bytes, bytes]) -> ApiServerConfig:
    """`authorities` are the certificates (PEM) of the cluster's authority and of the front proxy's."""
    client_authority, front_proxy_authority = authorities
    pki = layout.pki
    port = cluster.api_port
    return ApiServerConfig(
        addresses=((LOOPBACK, port), (cluster.host_address, port)),
        tls_cert_file=str(pki / "apiserver.crt"),
        tls_key_file=str(pki / "apiserver.key"),
        client_ca_file=str(pki / "ca.crt"),
        authn=AuthnConfig(
            signing_key=pki / "sa.key",
            issuer=f"https://kubernetes.default.svc.{cluster.domain}",
            token_file=pathlib.Path(cluster.token_file) if cluster.token_file else None,
        ),
        bootstrap=BootstrapConfig(
            addresses=(cluster.host_address,),
            port=port,
            service_cidrs=(cluster.service_cidr,),
            dns_address=cluster.dns_address,
            client_authority=client_authority,
            front_proxy_authority=front_proxy_authority,
        ),
        service_cidrs=(cluster.service_cidr,),
        kubelet_client_cert_file=str(pki / "apiserver-kubelet-client.crt"),
        kubelet_client_key_file=str(pki / "apiserver-kubelet-client.key"),
        kubelet_ca_file=str(pki / "ca.crt"),
        server_address=f"{cluster.host_address}:{port}",
    )


def build_api_server(
    cluster: Cluster,
    layout: Layout,
    authorities: tuple[bytes, bytes],
    clock: Clock,
    on_failure: Callable[[str, BaseException], None],
) -> tuple[StoreComponent, ApiServer]:
    """The store and the server, in the order of their start."""
    store = SqliteStore(layout.database, clock=clock)
    config = api_server_config(cluster, layout, authorities)
    return StoreComponent(store), ApiServer(config, store, clock, on_failure)
