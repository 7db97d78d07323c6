"""The settings file of a cluster, and the choice of a number and a port for a new one."""

from __future__ import annotations

import contextlib
import fcntl
import pathlib
import socket
import struct
from collections.abc import Collection, Iterator

import msgspec

from tiphys.launch.cluster import Cluster, Layout
from tiphys.network.addresses import free_numbers

MACHINE_LOCK = pathlib.Path("/run/lock/tiphys.lock")
FIRST_API_PORT = 6443


class BadState(Exception):
    """The state directory cannot be used; the message says why and what to do."""


def load(layout: Layout) -> Cluster | None:
    """The cluster of a state directory; None when there is none yet."""
    try:
        data = layout.cluster_file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadState(f"cannot read {layout.cluster_file}: {error.strerror}") from error
    try:
        return msgspec.json.decode(data, type=Cluster)
    except msgspec.MsgspecError as error:
        raise BadState(f"{layout.cluster_file} is damaged: {error}") from error


def save(layout: Layout, cluster: Cluster) -> None:
    try:
        layout.state.mkdir(parents=True, exist_ok=True)
        layout.state.chmod(0o755)
        temporary = layout.cluster_file.with_suffix(".new")
        temporary.write_bytes(msgspec.json.format(msgspec.json.encode(cluster), indent=2) + b"\n")
        temporary.rename(layout.cluster_file)
    except OSError as error:
        raise BadState(f"cannot write {layout.cluster_file}: {error.strerror}") from error


@contextlib.contextmanager
def machine_lock() -> Iterator[None]:
    """Held while a number and a port are chosen and taken, so that two clusters never choose the same."""
    try:
        MACHINE_LOCK.parent.mkdir(parents=True, exist_ok=True)
        lock = MACHINE_LOCK.open("w")
    except OSError as error:
        raise BadState(f"cannot write {MACHINE_LOCK}: {error.strerror}") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def free_number(taken: Collection[int] = ()) -> int:
    """The smallest cluster number that is not taken and whose networks meet none of this machine's routes."""
    free = free_numbers(_routes(pathlib.Path("/proc/net/route").read_text()))
    numbers = [number for number in free if number not in taken]
    if not numbers:
        raise BadState("none of the address ranges for clusters is free on this machine: see `ip route`")
    return numbers[0]


def _routes(table: str) -> list[str]:
    """The destinations of the kernel's IPv4 route table (`/proc/net/route`: little-endian hexadecimal) as CIDRs."""
    found = []
    for line in table.splitlines()[1:]:
        fields = line.split()
        destination, mask = (socket.inet_ntoa(struct.pack("<I", int(fields[i], 16))) for i in (1, 7))
        found.append(f"{destination}/{mask}")
    return found


def is_free(port: int) -> bool:
    """Whether nothing listens on a port at the loopback address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port(first: int = FIRST_API_PORT, taken: Collection[int] = ()) -> int:
    """The first port from `first` on that is not taken and that nothing listens on at the loopback address."""
    for port in range(first, first + 1000):
        if port not in taken and is_free(port):
            return port
    raise BadState(f"no free port between {first} and {first + 999}")
