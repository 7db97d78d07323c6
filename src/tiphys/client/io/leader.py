"""Leader election over a Lease: tries, renews, tells when leading begins and when it has ended. Decisions are
`client/lease.py`'s."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from tiphys.aio.clock import Clock
from tiphys.client.api import Client
from tiphys.client.lease import CreateLease, Election, Follow
from tiphys.kinds.types import coordination_v1
from tiphys.machinery.errors import ApiError

log = logging.getLogger(__name__)


class LeaderElector:
    """`run` until cancelled. `on_started` is called when this candidate leads, `on_lost` when it no longer may: it must
    then stop at once (ending the process is the sure way)."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        election: Election,
        *,
        on_started: Callable[[], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._client = client
        self._clock = clock
        self._election = election
        self._on_started = on_started
        self._on_lost = on_lost
        self._lease: coordination_v1.Lease | None = None
        self.leading = False

    async def run(self) -> None:
        while True:
            await self._attempt_in_time()
            leads = self._election.leads(self._clock.monotonic())
            if leads and not self.leading:
                log.info("%s leads %s", self._election.identity, self._election.name)
                self.leading = True
                self._on_started()
            elif self.leading and not leads:
                log.error("%s lost %s", self._election.identity, self._election.name)
                self.leading = False
                self._on_lost()
            await self._clock.sleep(self._election.times.retry_seconds)

    async def _attempt_in_time(self) -> None:
        """An attempt that hangs must not hide that the time to renew is over."""
        attempt = asyncio.ensure_future(self._attempt())
        limit = asyncio.ensure_future(self._clock.sleep(self._election.times.retry_seconds))
        try:
            await asyncio.wait((attempt, limit), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (attempt, limit):
                if not task.done():
                    task.cancel()
            await asyncio.gather(attempt, limit, return_exceptions=True)
        if not attempt.cancelled():
            attempt.result()

    async def _attempt(self) -> None:
        election, sent_at = self._election, self._clock.monotonic()
        try:
            lease = await self._read()
            decision = election.decide(lease, self._clock.now(), sent_at)
            if isinstance(decision, Follow):
                return
            if isinstance(decision, CreateLease):
                self._lease = await self._client.create(decision.lease)
            else:
                self._lease = await self._client.update(decision.lease)
            election.renewed(sent_at)
        except ApiError as error:
            log.log(logging.DEBUG if error.code == 409 else logging.WARNING, "lease %s: %s", election.name, error)

    async def _read(self) -> coordination_v1.Lease | None:
        try:
            return await self._client.get(coordination_v1.Lease, self._election.namespace, self._election.name)
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    async def release(self) -> None:
        """Give the lease up (after `run` was ended)."""
        if self.leading and self._lease is not None:
            self.leading = False
            try:
                await self._client.update(self._election.released(self._lease, self._clock.now()))
            except ApiError as error:
                log.info("lease %s was not released: %s", self._election.name, error)
