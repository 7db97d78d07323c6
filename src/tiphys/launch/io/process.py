"""The frame of a long-running process: event loop, logging, notices to the supervisor, signals, an orderly end.

`run_process(name, build)` calls `build` for the components, in the order of their start; they are stopped in the
reverse order when SIGTERM or SIGINT comes, or when one of them fails (then the exit code is 1 and the supervisor
starts the process again).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import uvloop

from tiphys.aio.clock import SystemClock
from tiphys.aio.component import Component
from tiphys.aio.garbage import collect_seldom

log = logging.getLogger("tiphys.launch")

OnFailure = Callable[[str, BaseException], None]
Build = Callable[[OnFailure], Awaitable[Sequence[Component]]]


def configure_logging(level: str | None = None) -> None:
    """One line an event on standard error, with the time in UTC. Ends the process when there is no such level."""
    wanted = (level or os.environ.get("TIPHYS_LOG") or "INFO").upper()
    if wanted not in logging.getLevelNamesMapping():
        sys.exit(f"TIPHYS_LOG={wanted}: it may be {', '.join(sorted(logging.getLevelNamesMapping()))}")
    logging.basicConfig(
        stream=sys.stderr,
        level=wanted,
        format="%(asctime)s.%(msecs)03dZ %(levelname).1s %(name)s %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S",
    )
    logging.Formatter.converter = time.gmtime
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)


def notify(words: str) -> None:
    """Tell whoever supervises (systemd's or Tiphys' own) in the words of sd_notify; silent when nobody listens."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.connect("\0" + address[1:] if address.startswith("@") else address)
        sender.send(words.encode())


def run_process(name: str, build: Build) -> None:
    """Run until told to stop; exits the interpreter with 0, or with 1 after a failure."""
    configure_logging()
    code = uvloop.run(_run(name, build))
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)  # no thread of a library may hold up the end


async def _run(name: str, build: Build) -> int:
    loop = asyncio.get_running_loop()
    end: asyncio.Future[int] = loop.create_future()

    def finish(code: int) -> None:
        if not end.done():
            end.set_result(code)

    def on_failure(what: str, error: BaseException) -> None:
        log.critical("%s: %s failed: %r", name, what, error, exc_info=error)
        finish(1)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, finish, 0)
    started: list[Component] = []
    collecting: asyncio.Task[None] | None = None
    try:
        for component in await build(on_failure):
            started.append(component)
            await _start(component, end)
            if end.done():
                break
        else:
            collecting = loop.create_task(collect_seldom(SystemClock()), name="garbage collection")
            notify("READY=1")
            log.info("%s is up", name)
        return await end
    except Exception:
        log.critical("%s could not be started", name, exc_info=True)
        return 1
    finally:
        notify("STOPPING=1")
        if collecting is not None:
            collecting.cancel()
        for component in reversed(started):
            await _stop(component)


async def _start(component: Component, end: asyncio.Future[int]) -> None:
    """Start one component; a signal meanwhile ends the wait."""
    task: asyncio.Future[None] = asyncio.ensure_future(component.start())
    waiting: set[asyncio.Future[Any]] = {task, end}
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    if not task.done():
        task.cancel()
    await asyncio.gather(task, return_exceptions=end.done())


async def _stop(component: Component) -> None:
    try:
        await component.stop()
    except Exception:
        log.exception("stopping %s", component.name)
