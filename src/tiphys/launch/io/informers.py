"""Shared informers as a component: started when those who use them have said what they want, stopped after them."""

from __future__ import annotations

from collections.abc import Sequence

from tiphys.aio.component import Component
from tiphys.aio.tasks import TaskOwner
from tiphys.client.interface import Transport
from tiphys.client.io.reflector import InformerSet


class Informers:
    """Starts its users, then the informers; stops the users first. `users` may be empty when others start them."""

    def __init__(
        self, name: str, informers: InformerSet, owner: TaskOwner, transport: Transport, users: Sequence[Component] = ()
    ) -> None:
        self.name = f"{name}-informers"
        self.informers = informers
        self._owner = owner
        self._transport = transport
        self._users = users

    async def start(self) -> None:
        self.informers.start()
        for user in self._users:
            await user.start()

    async def stop(self) -> None:
        for user in reversed(self._users):
            await user.stop()
        await self.informers.stop()
        await self._owner.close()
        await self._transport.close()
