"""Heads of requests that leave a doubt are refused, those that leave none are not."""

from __future__ import annotations

import pytest

from tiphys.apiserver.framing import Refusal, refusal, waits_to_be_told

LIMIT = 1000
HOST = {"host": "a:6443"}


def code(version: str = "1.1", upgrade: bool = False, **headers: str) -> int:
    """The code of a refusal; 0 when there is none."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    found = refusal(version, {**HOST, **named}, upgrade, LIMIT)
    return found.code if found is not None else 0


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content_length": "0"},
        {"content_length": "1000"},
        {"transfer_encoding": "Chunked"},
        {"expect": "100-Continue", "content_length": "3"},
    ],
)
def test_plain_requests(headers: dict[str, str]) -> None:
    assert code(**headers) == 0


def test_every_request_says_where_it_goes() -> None:
    assert refusal("1.1", {}, False, LIMIT) == Refusal(400, "missing required Host header")
    assert refusal("1.0", {}, False, LIMIT) is None
    assert [code(host=host) for host in ("a, b", "a b", "")] == [400, 400, 0]


def test_other_versions() -> None:
    assert [code(version=version) for version in ("1.0", "0.9", "2.0", "1.2")] == [0, 400, 400, 400]


@pytest.mark.parametrize("coding", ["gzip, chunked", "identity", "chunked, chunked", "xchunked", ""])
def test_other_codings(coding: str) -> None:
    assert code(transfer_encoding=coding) == 400


def test_old_clients_cannot_send_chunks() -> None:
    assert code(version="1.0", transfer_encoding="chunked") == 400


@pytest.mark.parametrize(
    ("length", "wanted"),
    [("-1", 400), ("+1", 400), ("1_0", 400), ("٣", 400), ("3, 3", 400), ("", 400), ("1001", 413), ("9" * 6000, 413)],
)
def test_lengths(length: str, wanted: int) -> None:
    assert code(content_length=length) == wanted


def test_another_protocol_begins_where_the_head_ends() -> None:
    assert code(upgrade=True) == code(upgrade=True, content_length="0") == 0
    assert code(upgrade=True, content_length="2") == code(upgrade=True, transfer_encoding="chunked") == 400


def test_expectations() -> None:
    assert code(expect="200-ok") == 417
    assert not waits_to_be_told({"expect": "100-continue"})
    assert not waits_to_be_told({"expect": "100-continue", "content-length": "0"})
    assert waits_to_be_told({"expect": "100-continue", "content-length": "2"})
    assert waits_to_be_told({"expect": "100-continue", "transfer-encoding": "chunked"})
