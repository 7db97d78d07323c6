"""A small network for tests: a node with pods on a bridge and something outside, each in a namespace of its own."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import pytest
from pyroute2 import IPRoute

from tiphys.linux.io import namespace
from tiphys.linux.io.sysctl import write_sysctl

T = TypeVar("T")

NODE_ADDRESS = "10.201.39.10"
OUTSIDE_ADDRESS = "10.201.39.1"
POD_CIDR = "10.205.0.0/16"
PODS = ("10.205.0.2", "10.205.0.3")

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces")
needs_nft = pytest.mark.skipif(shutil.which("nft") is None, reason="needs nftables")


class Lab:
    """Namespaces by role: "node", "outside", "pod0", "pod1"."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._servers: list[socket.socket] = []

    def path(self, role: str) -> Path:
        return namespace.path_of(f"{self._prefix}-{role}")

    def run(self, role: str, function: Callable[[], T]) -> T:
        return namespace.run_in(self.path(role), function)

    def build(self) -> None:
        for role in ("node", "outside", "pod0", "pod1"):
            namespace.create(f"{self._prefix}-{role}")
        self.run("node", self._build_node)
        self.run("outside", lambda: self._configure("eth0", f"{OUTSIDE_ADDRESS}/24", f"via {NODE_ADDRESS}"))
        for index, address in enumerate(PODS):
            self.run(f"pod{index}", lambda address=address: self._configure("eth0", f"{address}/24", "10.205.0.1"))

    def _build_node(self) -> None:
        write_sysctl("net.ipv4.ip_forward", "1")
        write_sysctl("net.bridge.bridge-nf-call-iptables", "1")
        with IPRoute() as netlink:
            netlink.link("add", ifname="cni0", kind="bridge")
            bridge = netlink.link_lookup(ifname="cni0")[0]
            for index in range(len(PODS)):
                peer = {"ifname": "eth0", "net_ns_fd": str(self.path(f"pod{index}"))}
                netlink.link("add", ifname=f"pod{index}", kind="veth", peer=peer)
                port = netlink.link_lookup(ifname=f"pod{index}")[0]
                netlink.link("set", index=port, master=bridge, state="up")
                netlink.brport("set", index=port, mode=1)
            peer = {"ifname": "eth0", "net_ns_fd": str(self.path("outside"))}
            netlink.link("add", ifname="eth0", kind="veth", peer=peer)
        self._configure("cni0", "10.205.0.1/24", "")
        self._configure("eth0", f"{NODE_ADDRESS}/24", OUTSIDE_ADDRESS)

    @staticmethod
    def _configure(name: str, cidr: str, gateway: str) -> None:
        with IPRoute() as netlink:
            netlink.link("set", index=netlink.link_lookup(ifname="lo")[0], state="up")
            index = netlink.link_lookup(ifname=name)[0]
            address, _, length = cidr.partition("/")
            netlink.addr("add", index=index, address=address, prefixlen=int(length))
            netlink.link("set", index=index, state="up")
            if gateway:
                netlink.route("add", dst="default", gateway=gateway.removeprefix("via "))

    def serve_tcp(self, role: str, port: int) -> None:
        """Answers each connection with the role and the peer's address."""

        def listen() -> socket.socket:
            return socket.create_server(("0.0.0.0", port), backlog=64)

        listener = self.run(role, listen)
        self._servers.append(listener)

        def work() -> None:
            while True:
                try:
                    connection, peer = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(f"{role} {peer[0]}".encode())

        threading.Thread(target=work, daemon=True).start()

    def serve_udp(self, role: str, port: int) -> None:
        def bind() -> socket.socket:
            server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            server.bind(("0.0.0.0", port))
            return server

        server = self.run(role, bind)
        self._servers.append(server)

        def work() -> None:
            while True:
                try:
                    _, peer = server.recvfrom(512)
                    if peer is None:
                        return
                    server.sendto(f"{role} {peer[0]}".encode(), peer)
                except OSError:
                    return

        threading.Thread(target=work, daemon=True).start()

    def connect(self, role: str, address: str, port: int) -> tuple[str, str]:
        """(who answered, which address it saw); raises OSError as connect does."""

        def work() -> tuple[str, str]:
            with socket.create_connection((address, port), timeout=2) as connection:
                who, _, peer = connection.recv(512).decode().partition(" ")
                return who, peer

        return self.run(role, work)

    def udp_socket(self, role: str) -> socket.socket:
        def make() -> socket.socket:
            made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            made.settimeout(2)
            return made

        return self.run(role, make)

    def destroy(self) -> None:
        for server in self._servers:
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            server.close()
        for name in namespace.names():
            if name.startswith(f"{self._prefix}-"):
                namespace.delete(name)


@contextmanager
def lab(prefix: str) -> Iterator[Lab]:
    made = Lab(f"{prefix}{os.getpid()}")
    try:
        made.build()
        yield made
    finally:
        made.destroy()
