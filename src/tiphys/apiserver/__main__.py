"""The API server alone, on an SQLite file: `python -m tiphys.apiserver --state DIR --address 127.0.0.1:6443`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

import uvloop

from tiphys.aio.clock import SystemClock
from tiphys.aio.garbage import collect_seldom
from tiphys.apiserver.authn.component import AuthnConfig
from tiphys.apiserver.bootstrap.objects import BootstrapConfig
from tiphys.apiserver.component import ApiServer, ApiServerConfig
from tiphys.apiserver.io.handler import Limits
from tiphys.pki import layout
from tiphys.pki.io import ensure_cluster_pki
from tiphys.store.drivers.sqlite import SqliteStore

DEFAULT_CLUSTER_DOMAIN = "cluster.local"


def _arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tiphys.apiserver", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="the cluster's state directory")
    parser.add_argument(
        "--address", action="append", required=True, metavar="HOST:PORT", help="listen here (repeatable)"
    )
    parser.add_argument("--advertise-address", default="", help="the address under which pods reach this server")
    parser.add_argument("--service-cidr", action="append", metavar="CIDR", help="network of Services (repeatable)")
    parser.add_argument("--dns-address", default="", help="cluster address of DNS")
    parser.add_argument("--token-file", type=Path, help="CSV of token,user,uid,groups")
    parser.add_argument("--gzip", action="store_true", help="compress long answers for clients that ask for it")
    parser.add_argument("--cluster-domain", default=DEFAULT_CLUSTER_DOMAIN)
    return parser.parse_args(words)


def configuration(arguments: argparse.Namespace, now: float) -> ApiServerConfig:
    """Make the keys that are missing, and configure everything from the arguments. OSError, PkiError."""
    addresses = tuple((host, int(port)) for host, _, port in (word.rpartition(":") for word in arguments.address))
    cidrs = tuple(arguments.service_cidr or ("10.96.0.0/16",))
    host, port = addresses[0]
    advertised = arguments.advertise_address or host
    options = layout.PkiOptions(
        cluster="tiphys",
        server=f"https://{host}:{port}",
        addresses=tuple(dict.fromkeys([advertised, *(found for found, _ in addresses)])),
        service_cidrs=cidrs,
        cluster_domain=arguments.cluster_domain,
    )
    pki = ensure_cluster_pki(arguments.state, options, now)
    bootstrap = None
    if not advertised.startswith("127."):  # endpoints cannot be on the loopback
        bootstrap = BootstrapConfig(
            addresses=(advertised,),
            port=port,
            service_cidrs=cidrs,
            dns_address=arguments.dns_address,
            client_authority=pki.authority.certificate.read_bytes(),
            front_proxy_authority=pki.front_proxy_authority.certificate.read_bytes(),
        )
    return ApiServerConfig(
        addresses=addresses,
        tls_cert_file=str(pki.apiserver.certificate),
        tls_key_file=str(pki.apiserver.key),
        client_ca_file=str(pki.authority.certificate),
        authn=AuthnConfig(
            signing_key=pki.service_account_key,
            issuer=f"https://kubernetes.default.svc.{arguments.cluster_domain}",
            token_file=arguments.token_file,
        ),
        bootstrap=bootstrap,
        service_cidrs=cidrs,
        kubelet_client_cert_file=str(pki.kubelet_client.certificate),
        kubelet_client_key_file=str(pki.kubelet_client.key),
        kubelet_ca_file=str(pki.authority.certificate),
        server_address=f"{advertised}:{port}",
        limits=Limits(gzip=arguments.gzip),
    )


async def serve(arguments: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT; 1 when the server failed."""
    clock = SystemClock()
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[int] = loop.create_future()

    def end(code: int) -> None:
        if not ended.done():
            ended.set_result(code)

    config = configuration(arguments, clock.now())
    path = arguments.state / "control-plane" / "state.db"
    path.parent.mkdir(parents=True, exist_ok=True)
    store = SqliteStore(path, clock=clock)
    server = ApiServer(config, store, clock, lambda name, error: end(1))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end, 0)
    collecting: asyncio.Task[None] | None = None
    await store.start()
    try:
        await server.start()
        collecting = loop.create_task(collect_seldom(clock), name="garbage collection")
        logging.getLogger(__name__).info("serving on %s", ", ".join(arguments.address))
        return await ended
    finally:
        if collecting is not None:
            collecting.cancel()
        await server.stop()
        await store.close()


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    sys.exit(uvloop.run(serve(_arguments(sys.argv[1:]))))


if __name__ == "__main__":
    main()
