"""The proxy of one node: wires Services and EndpointSlices to the packet filter.

Every change marks its service; a few milliseconds later all marked services are worked out anew and sent as one atomic
transaction. At start, and after any failure, the whole table is said anew, so what an earlier run left is taken over.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from tiphys.aio.backoff import Backoff
from tiphys.aio.clock import Clock
from tiphys.aio.tasks import TaskOwner
from tiphys.client.interface import ObjectKey
from tiphys.client.io.reflector import InformerSet
from tiphys.kinds.types import core_v1, discovery_v1
from tiphys.linux.io.nft import NftError
from tiphys.proxy.changes import RuleTable
from tiphys.proxy.endpoints import SERVICE_NAME_LABEL
from tiphys.proxy.io.conntrack import forget_stale_flows
from tiphys.proxy.io.health import HealthServers
from tiphys.proxy.io.kernel import KernelTable
from tiphys.proxy.rules import RulesConfig, UdpFlow, service_rules

log = logging.getLogger(__name__)

_SERVICE_INDEX = "proxy-service"
_PROXY_NAME_LABEL = "service.kubernetes.io/service-proxy-name"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyConfig:
    """`coalesce_seconds` is how long changes are gathered before a transaction. `healthz_port` serves the proxy's
    own health on `healthz_address`, 0 for none."""

    rules: RulesConfig
    coalesce_seconds: float = 0.003
    resync_seconds: float = 3600.0
    healthz_address: str = "127.0.0.1"
    healthz_port: int = 0


@dataclass(slots=True)
class ProxyHealth:
    """Counts since the start; `failing_since` is the time of the first failure in a row (seconds since the epoch), 0
    when well."""

    transactions: int = 0
    full_transactions: int = 0
    failures: int = 0
    failing_since: float = 0.0
    stale_flows_removed: int = 0
    services: int = 0


@dataclass(slots=True)
class _Pending:
    services: set[ObjectKey] = field(default_factory=set)
    everything: bool = True


class Proxy:
    """Component. `start` begins to follow; `synced` returns when the rules for what was there are in the kernel."""

    name = "proxy"

    def __init__(
        self,
        config: ProxyConfig,
        informers: InformerSet,
        clock: Clock,
        on_failure: Callable[[str, BaseException], None],
        open_kernel: Callable[[RulesConfig], KernelTable] = KernelTable,
    ) -> None:
        self.config = config
        self.health = ProxyHealth()
        self._clock = clock
        self._services = informers.informer(core_v1.Service)
        self._slices = informers.informer(discovery_v1.EndpointSlice)
        self._slices.cache.add_index(_SERVICE_INDEX, _service_of)
        self._owner = TaskOwner(self.name, on_failure)
        self._table = RuleTable(config.rules)
        self._pending = _Pending()
        self._changed = asyncio.Event()
        self._synced = asyncio.Event()
        self._backoff: Backoff[str] = Backoff(initial_seconds=0.1, maximum_seconds=10)
        self._open_kernel = open_kernel
        self._kernel: KernelTable | None = None
        # One thread: transactions go to the kernel one after the other.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="proxy")
        self._health_servers = HealthServers(config.rules.node_addresses)
        self._started = False

    async def start(self) -> None:
        """Raises NftError when the packet filter cannot be used at all."""
        if self._started:
            return
        self._started = True
        loop = asyncio.get_running_loop()
        self._kernel = await loop.run_in_executor(self._thread, self._open_kernel, self.config.rules)
        await loop.run_in_executor(self._thread, self._kernel.check)
        if self.config.healthz_port:
            await self._health_servers.serve_proxy(
                self.config.healthz_address, self.config.healthz_port, lambda: not self.health.failing_since
            )
        self._services.add_handler(self._service_changed)
        self._slices.add_handler(self._slice_changed)
        self._owner.start(self._run(), "sync")
        self._owner.start(self._resync(), "resync")

    async def synced(self) -> None:
        await self._synced.wait()

    async def stop(self) -> None:
        """Stop following. The rules stay, because pods live on; `remove` takes them away."""
        if not self._started:
            return
        self._started = False
        self._services.remove_handler(self._service_changed)
        self._slices.remove_handler(self._slice_changed)
        await self._owner.close()
        await self._health_servers.close()
        if self._kernel is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._kernel.close)
            self._kernel = None

    async def remove(self) -> None:
        """Take our table away, after `stop`."""

        def work() -> None:
            kernel = self._open_kernel(self.config.rules)
            try:
                kernel.remove()
            finally:
                kernel.close()

        await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _service_changed(self, old: core_v1.Service | None, new: core_v1.Service | None) -> None:
        meta = (new or old).metadata  # type: ignore[union-attr]
        self._mark(ObjectKey(meta.namespace or "", meta.name or ""))

    def _slice_changed(self, old: discovery_v1.EndpointSlice | None, new: discovery_v1.EndpointSlice | None) -> None:
        for slice_ in (old, new):
            if slice_ is not None:
                for key in _service_of(slice_):
                    self._mark(key)

    def _mark(self, key: ObjectKey) -> None:
        self._pending.services.add(key)
        self._changed.set()

    async def _resync(self) -> None:
        while True:
            await self._clock.sleep(self.config.resync_seconds)
            self._pending.everything = True
            self._changed.set()

    async def _run(self) -> None:
        await self._services.synced()
        await self._slices.synced()
        self._changed.set()
        while True:
            await self._changed.wait()
            await self._clock.sleep(self.config.coalesce_seconds)
            self._changed.clear()
            pending, self._pending = self._pending, _Pending(everything=False)
            for key in pending.services:
                self._work_out(key)
            self.health.services = len(self._table)
            try:
                await self._apply(pending.everything)
                await self._serve_health()
            except NftError as error:
                await self._failed(error)
                continue
            self._backoff.reset(self.name)
            self.health.failing_since = 0.0
            self._synced.set()

    def _work_out(self, key: ObjectKey) -> None:
        service = self._services.cache.get(key.namespace, key.name)
        if service is None or _PROXY_NAME_LABEL in (service.metadata.labels or {}):
            self._table.update(key, None)
            return
        slices: list[discovery_v1.EndpointSlice] = sorted(
            self._slices.cache.by_index(_SERVICE_INDEX, key), key=lambda each: each.metadata.name or ""
        )
        self._table.update(key, service_rules(service, slices, self.config.rules))

    async def _failed(self, error: NftError) -> None:
        self.health.failures += 1
        self.health.failing_since = self.health.failing_since or self._clock.now()
        wait_seconds = self._backoff.next(self.name)
        log.error("the packet filter refused a transaction, all is said anew in %.1f s: %s", wait_seconds, error)
        await self._clock.sleep(wait_seconds)
        self._pending.everything = True
        self._changed.set()

    async def _apply(self, everything: bool) -> None:
        assert self._kernel is not None
        loop = asyncio.get_running_loop()
        if everything:
            flows = await loop.run_in_executor(self._thread, self._kernel.bring_to, self._table)
            self.health.full_transactions += 1
        else:
            transaction = self._table.take()
            if transaction is None:
                return
            flows = transaction.udp_flows
            await loop.run_in_executor(self._thread, self._kernel.apply, transaction)
        if flows:
            await loop.run_in_executor(self._thread, self._forget, flows)
        self.health.transactions += 1

    def _forget(self, flows: tuple[UdpFlow, ...]) -> None:
        try:
            self.health.stale_flows_removed += forget_stale_flows(flows, self.config.rules.node_addresses)
        except OSError as error:
            log.warning("stale UDP flows were not looked for: %s", error)

    async def _serve_health(self) -> None:
        wanted = {
            key: rules.health_check for key, rules in self._table.services().items() if rules.health_check is not None
        }
        await self._health_servers.serve(wanted)


def _service_of(slice_: discovery_v1.EndpointSlice) -> list[ObjectKey]:
    name = (slice_.metadata.labels or {}).get(SERVICE_NAME_LABEL)
    return [ObjectKey(slice_.metadata.namespace or "", name)] if name else []
