"""What every component looks like from outside: made from its configuration, started, stopped, and heard when it
fails."""

from __future__ import annotations

from typing import Protocol


class Component(Protocol):
    """`start` returns when the component serves; `stop` when nothing of it is left (it may be called at any time,
    twice too). A component that fails later on ends its own process through the `on_failure` it was given: it is not
    restarted inside."""

    name: str

    async def start(self) -> None: ...

    async def stop(self) -> None: ...
