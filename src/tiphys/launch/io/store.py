"""The store as a component of the control-plane process."""

from __future__ import annotations

from tiphys.store.interface import Store


class StoreComponent:
    """See `aio.component.Component`."""

    name = "store"

    def __init__(self, store: Store) -> None:
        self._store = store

    async def start(self) -> None:
        """StoreUnavailable when the database cannot be used."""
        await self._store.start()

    async def stop(self) -> None:
        await self._store.close()
