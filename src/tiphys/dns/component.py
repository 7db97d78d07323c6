"""The DNS server of one node: wires Services, EndpointSlices and Namespaces to names, and names to clients.

It also keeps the EndpointSlice that makes it part of the cluster's DNS service.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tiphys.aio.backoff import Backoff
from tiphys.aio.clock import Clock
from tiphys.aio.tasks import TaskOwner
from tiphys.client.api import Client
from tiphys.client.interface import ObjectKey
from tiphys.client.io.reflector import InformerSet
from tiphys.dns.io.forward import Forwarder
from tiphys.dns.io.server import DnsServer
from tiphys.dns.presence import Presence, endpoint_slice, is_current
from tiphys.dns.records import Zone, service_names
from tiphys.dns.upstreams import Upstream, parse_upstreams
from tiphys.dns.wire import Answerer
from tiphys.kinds import codec
from tiphys.kinds.types import core_v1, discovery_v1
from tiphys.machinery.errors import ApiError

log = logging.getLogger(__name__)

_INDEX = "dns-service"
_SERVICE_NAME_LABEL = "kubernetes.io/service-name"
_RESOLV_CONFS = ("/run/systemd/resolve/resolv.conf", "/etc/resolv.conf")


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsConfig:
    """`addresses` are the node's, listened on at `port`; the first one goes into the slice. `service_addresses` are the
    cluster addresses of the DNS service (never asked, they lead to us). `upstreams` None: from the machine's
    resolv.conf; `loopback_upstreams` says whether loopback addresses in it can be asked from here (not from a
    namespace of our own)."""

    node_name: str
    addresses: tuple[str, ...]
    port: int = 53
    domain: str = "cluster.local"
    service_namespace: str = "kube-system"
    service_name: str = "kube-dns"
    service_addresses: tuple[str, ...] = ()
    upstreams: tuple[Upstream, ...] | None = None
    loopback_upstreams: bool = False
    ttl_seconds: int = 5


class Dns:
    """Component. `client` writes the slice; `informers` may be shared with the node's other components."""

    name = "dns"

    def __init__(
        self,
        config: DnsConfig,
        client: Client,
        informers: InformerSet,
        clock: Clock,
        on_failure: Callable[[str, BaseException], None],
    ) -> None:
        self.config = config
        self.zone = Zone(config.domain)
        self._client = client
        self._clock = clock
        self._owner = TaskOwner(self.name, on_failure)
        self._services = informers.informer(core_v1.Service)
        self._slices = informers.informer(discovery_v1.EndpointSlice)
        self._namespaces = informers.informer(core_v1.Namespace)
        self._nodes = informers.informer(core_v1.Node)
        self._slices.cache.add_index(_INDEX, _service_of)
        self._presence_due = asyncio.Event()
        self._backoff: Backoff[str] = Backoff(initial_seconds=0.2, maximum_seconds=30)
        self._started = False
        self.forwarder = Forwarder(self._upstreams(), clock, self._owner)
        self.server = DnsServer(
            Answerer(self.zone, config.ttl_seconds), self.forwarder, self._owner, config.addresses, config.port
        )

    def _upstreams(self) -> tuple[Upstream, ...]:
        if self.config.upstreams is not None:
            return self.config.upstreams
        own = {*self.config.addresses, *self.config.service_addresses}
        for path in map(Path, _RESOLV_CONFS):
            try:
                found = parse_upstreams(path.read_text(), own, loopback=self.config.loopback_upstreams)
            except OSError:
                continue
            if found:
                return found
        log.warning("no name server is known for names outside the cluster: they get SERVFAIL")
        return ()

    async def start(self) -> None:
        """Listen. Names appear as the informers bring them. Raises OSError when an address cannot be listened on."""
        if self._started:
            return
        await self.server.start()
        self._started = True
        self._services.add_handler(self._service_changed)
        self._slices.add_handler(self._slice_changed)
        self._namespaces.add_handler(self._namespace_changed)
        self._owner.start(self._keep_presence(), "presence")

    async def stop(self) -> None:
        """Take our slice away and end."""
        if not self._started:
            return
        self._started = False
        self._services.remove_handler(self._service_changed)
        self._slices.remove_handler(self._slice_changed)
        self._namespaces.remove_handler(self._namespace_changed)
        await self._owner.close()
        try:
            async with asyncio.timeout(2):
                presence = self._presence()
                await self._client.delete(discovery_v1.EndpointSlice, presence.namespace, presence.slice_name)
        except (ApiError, TimeoutError) as error:
            log.debug("our slice stays: %s", error)
        await self.server.stop()

    def _service_changed(self, old: core_v1.Service | None, new: core_v1.Service | None) -> None:
        meta = (new or old).metadata  # type: ignore[union-attr]
        self._work_out(ObjectKey(meta.namespace or "", meta.name or ""))

    def _slice_changed(self, old: discovery_v1.EndpointSlice | None, new: discovery_v1.EndpointSlice | None) -> None:
        presence = self._presence()
        for slice_ in (old, new):
            if slice_ is None:
                continue
            for key in _service_of(slice_):
                service = self._services.cache.get(key.namespace, key.name)
                if service is not None and service.spec.clusterIP == "None":
                    self._work_out(key)
            if slice_.metadata.name == presence.slice_name and slice_.metadata.namespace == presence.namespace:
                self._presence_due.set()

    def _namespace_changed(self, old: core_v1.Namespace | None, new: core_v1.Namespace | None) -> None:
        if old is None or new is None:
            self.zone.set_namespaces(each.metadata.name or "" for each in self._namespaces.cache)

    def _work_out(self, key: ObjectKey) -> None:
        service = self._services.cache.get(key.namespace, key.name)
        if service is None:
            self.zone.set_service(key, None)
            return
        slices = self._slices.cache.by_index(_INDEX, key) if service.spec.clusterIP == "None" else ()
        self.zone.set_service(key, service_names(service, slices, self.zone.domain))

    def _presence(self) -> Presence:
        config = self.config
        address, port = self.server.endpoints[0] if self.server.endpoints else (config.addresses[0], config.port)
        return Presence(
            namespace=config.service_namespace,
            service_name=config.service_name,
            node_name=config.node_name,
            address=address,
            port=port,
        )

    async def _keep_presence(self) -> None:
        """Our slice is put right at start and whenever somebody changes it."""
        await self._services.synced()
        await self._slices.synced()
        await self._nodes.synced()
        self._presence_due.set()
        while True:
            await self._presence_due.wait()
            self._presence_due.clear()
            try:
                await self._put_presence()
                self._backoff.reset(self.name)
            except ApiError as error:
                wait_seconds = self._backoff.next(self.name)
                log.log(
                    logging.DEBUG if error.code in (0, 409) else logging.WARNING,
                    "the slice of this node's DNS server: %s; tried again in %.1f s",
                    error,
                    wait_seconds,
                )
                await self._clock.sleep(wait_seconds)
                self._presence_due.set()

    async def _put_presence(self) -> None:
        presence = self._presence()
        wanted = endpoint_slice(presence, self._nodes.cache.get("", presence.node_name))
        found = self._slices.cache.get(presence.namespace, presence.slice_name)
        if found is None:
            self._slices.observe_write(await self._client.create(wanted))
        elif not is_current(found, wanted):
            changed = codec.copy(found)
            changed.endpoints, changed.ports, changed.addressType = wanted.endpoints, wanted.ports, wanted.addressType
            changed.metadata.labels = {**(found.metadata.labels or {}), **(wanted.metadata.labels or {})}
            self._slices.observe_write(await self._client.update(changed))


def _service_of(slice_: discovery_v1.EndpointSlice) -> list[ObjectKey]:
    name = (slice_.metadata.labels or {}).get(_SERVICE_NAME_LABEL)
    return [ObjectKey(slice_.metadata.namespace or "", name)] if name else []
