"""Logs over a WebSocket straight at the API server, as browsers ask for them."""

from __future__ import annotations

import base64
import os
import socket

import pytest

from conftest import RunningCluster, pod_manifest
from tiphys.launch.cluster import Layout
from tiphys.launch.io.admin import AdminClient

pytestmark = pytest.mark.root


def frames(data: bytes) -> list[tuple[int, bytes]]:
    """(opcode, payload) of short frames."""
    found = []
    while data:
        length = data[1]
        found.append((data[0] & 0x0F, data[2 : 2 + length]))
        data = data[2 + length :]
    return found


def test_logs_over_a_websocket(cluster: RunningCluster, namespace: str) -> None:
    manifest = pod_manifest("talker", ["sh", "-c", "echo one; echo two"], restartPolicy="Never")
    cluster.kubectl("-n", namespace, "apply", "-f", "-", stdin=manifest)
    cluster.kubectl("-n", namespace, "wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/talker", "--timeout=60s")
    admin = AdminClient(Layout(cluster.state))
    key = base64.b64encode(os.urandom(16)).decode()
    request = (
        f"GET /api/v1/namespaces/{namespace}/pods/talker/log?container=main HTTP/1.1\r\nHost: localhost\r\n"
        f"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
        "Sec-WebSocket-Protocol: binary.k8s.io\r\n\r\n"
    )
    with (
        socket.create_connection((admin.connection.host, admin.connection.port), timeout=20) as plain,
        admin.context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        connection.sendall(request.encode())
        data = b""
        while part := connection.recv(4096):
            data += part
    head, _, body = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    assert b"Sec-WebSocket-Protocol: binary.k8s.io" in head
    found = frames(body)
    assert b"".join(payload for opcode, payload in found if opcode == 2) == b"one\ntwo\n"
    assert found[-1][0] == 8
