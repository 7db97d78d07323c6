from __future__ import annotations

import struct

from tiphys.apiserver import websocket


def test_the_handshake_answers_the_key() -> None:
    """The example of RFC 6455, section 1.3."""
    head = websocket.handshake("dGhlIHNhbXBsZSBub25jZQ==", "binary.k8s.io").decode()
    assert "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in head
    assert head.startswith("HTTP/1.1 101 ")
    assert "Sec-WebSocket-Protocol: binary.k8s.io\r\n" in head
    assert head.endswith("\r\n\r\n")


def test_the_protocol_is_the_first_that_is_served() -> None:
    assert websocket.chosen_protocol("") == ""
    assert websocket.chosen_protocol("v9.chat, base64.binary.k8s.io, binary.k8s.io") == "base64.binary.k8s.io"
    assert websocket.chosen_protocol("v9.chat") is None


def test_frames_of_every_length() -> None:
    assert websocket.frame(websocket.BINARY, b"abc") == b"\x82\x03abc"
    assert websocket.frame(websocket.TEXT, b"x" * 126)[:4] == b"\x81\x7e\x00\x7e"
    assert websocket.frame(websocket.BINARY, b"x" * 70000)[:10] == b"\x82\x7f" + struct.pack("!Q", 70000)
    assert websocket.data_frame("base64.binary.k8s.io", b"abc") == b"\x81\x04YWJj"
    assert websocket.data_frame("", b"abc") == b"\x82\x03abc"
    assert websocket.close_frame() == b"\x88\x02\x03\xe8"
