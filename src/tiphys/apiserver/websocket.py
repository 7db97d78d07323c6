"""The server's half of RFC 6455 as far as one-way streams need it: the handshake, and frames out. Pure."""

from __future__ import annotations

import base64
import hashlib
import struct

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE = 1, 2, 8
# What clients may ask for of a stream of bytes; without a wish the bytes come as they are.
BINARY_PROTOCOL = "binary.k8s.io"
BASE64_PROTOCOL = "base64.binary.k8s.io"
NORMAL_CLOSURE = 1000


def chosen_protocol(offered: str) -> str | None:
    """The first offered one that is served, "" when none was offered, None when none of them is served."""
    names = [name.strip() for name in offered.split(",") if name.strip()]
    if not names:
        return ""
    return next((name for name in names if name in (BINARY_PROTOCOL, BASE64_PROTOCOL)), None)


def handshake(key: str, protocol: str) -> bytes:
    """The head of the 101 answer."""
    accept = base64.b64encode(hashlib.sha1((key + _GUID).encode()).digest()).decode()
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept}",
    ]
    if protocol:
        lines.append(f"Sec-WebSocket-Protocol: {protocol}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def frame(opcode: int, payload: bytes) -> bytes:
    """One final frame; servers do not mask."""
    length = len(payload)
    if length < 126:
        head = struct.pack("!BB", 0x80 | opcode, length)
    elif length < 1 << 16:
        head = struct.pack("!BBH", 0x80 | opcode, 126, length)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, 127, length)
    return head + payload


def data_frame(protocol: str, data: bytes) -> bytes:
    """A piece of the stream in the form that the protocol wants."""
    if protocol == BASE64_PROTOCOL:
        return frame(TEXT, base64.b64encode(data))
    return frame(BINARY, data)


def close_frame() -> bytes:
    return frame(CLOSE, struct.pack("!H", NORMAL_CLOSURE))
