"""Protobuf bodies: what clients write on the wire is read as the plain JSON that the same request would have had."""

from __future__ import annotations

import struct

import pytest

from tiphys.kinds import protobuf
from tiphys.kinds.protobuf import ProtobufError, decode


def varint(value: int) -> bytes:
    value &= 0xFFFFFFFFFFFFFFFF
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def data(field: int, value: bytes | str) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(raw)) + raw


def entry(field: int, key: str, value: bytes | str) -> bytes:
    return data(field, data(1, key) + data(2, value))


def wrapped(api_version: str, kind: str, raw: bytes) -> bytes:
    return protobuf.MAGIC + data(1, data(1, api_version) + data(2, kind)) + data(2, raw) + data(3, "") + data(4, "")


META = data(1, "web") + data(2, "") + data(3, "shop") + entry(11, "app", "web") + number(7, 0)


def test_a_config_map() -> None:
    raw = (
        data(1, META + data(8, number(1, 1767225600))) + entry(2, "a", "1") + entry(3, "b", b"\x00\xff") + number(4, 0)
    )
    assert decode(wrapped("v1", "ConfigMap", raw)) == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "web",
            "namespace": "shop",
            "labels": {"app": "web"},
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "data": {"a": "1"},
        "binaryData": {"b": "AP8="},
        "immutable": False,
    }


def test_what_json_merges_and_leaves_out() -> None:
    """A volume's source and a probe's handler stand beside their neighbours in JSON; zeros that JSON leaves out go."""
    port = data(1, "http") + number(2, 0) + number(3, 8080) + data(4, "") + data(5, "")
    http = data(1, "/healthz") + data(2, number(1, 1) + number(2, 0) + data(3, "http"))
    probe = data(1, data(2, http)) + number(2, 0) + number(4, 5)
    quantities = data(8, entry(2, "cpu", data(1, "250m")))
    container = data(1, "main") + data(6, port) + data(10, probe) + quantities
    volume = data(1, "settings") + data(2, data(19, data(1, data(1, "map"))))
    raw = data(1, META) + data(2, data(1, volume) + data(2, container) + number(4, 0) + number(5, -1))
    assert decode(wrapped("v1", "Pod", raw))["spec"] == {
        "volumes": [{"name": "settings", "configMap": {"name": "map"}}],
        "containers": [
            {
                "name": "main",
                "ports": [{"name": "http", "containerPort": 8080}],
                "livenessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 5},
                "resources": {"requests": {"cpu": "250m"}},
            }
        ],
        "terminationGracePeriodSeconds": 0,
        "activeDeadlineSeconds": -1,
    }


def test_lists_that_have_a_message_of_their_own() -> None:
    spec = data(1, "here") + entry(5, "example.com/proof", data(1, "a") + data(1, "b"))
    assert decode(wrapped("authentication.k8s.io/v1", "TokenRequest", data(2, spec))) == {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"audiences": ["here"], "attestations": {"example.com/proof": ["a", "b"]}},
    }


def test_no_wrapper_of_a_list_is_left_to_be_read_as_an_object() -> None:
    wrappers = {name for name, fields in protobuf.table().items() if [*fields.values()] == [("items", "string", "zr")]}
    assert wrappers <= {*protobuf.LISTS_OF_TEXT}


def test_delete_options_of_any_group() -> None:
    raw = number(1, 0) + data(4, "Foreground")
    assert decode(wrapped("apps/v1", "DeleteOptions", raw)) == {
        "apiVersion": "apps/v1",
        "kind": "DeleteOptions",
        "gracePeriodSeconds": 0,
        "propagationPolicy": "Foreground",
    }


def test_fields_that_are_not_known_are_left_out() -> None:
    raw = data(1, META) + data(999, "new") + varint(998 << 3 | 1) + struct.pack("<d", 1.5) + entry(2, "a", "1")
    assert decode(wrapped("v1", "ConfigMap", raw))["data"] == {"a": "1"}


def test_numbers_may_be_packed() -> None:
    context = data(4, varint(7) + varint(300))  # supplementalGroups
    one_by_one = number(4, 7) + number(4, 300)
    pods = [decode(wrapped("v1", "Pod", data(2, data(14, groups)))) for groups in (context, one_by_one)]
    assert pods[0] == pods[1]
    assert pods[0]["spec"]["securityContext"] == {"supplementalGroups": [7, 300]}


def test_a_message_may_come_in_parts() -> None:
    parts = data(1, data(1, "old") + data(3, "shop")) + data(1, data(1, "web") + entry(11, "app", "web"))
    assert decode(wrapped("v1", "ConfigMap", parts))["metadata"] == {
        "name": "web",
        "namespace": "shop",
        "labels": {"app": "web"},
    }


def test_a_key_alone_has_the_zero_value() -> None:
    disrupted = data(2, data(1, "a")) + entry(2, "b", "") + entry(2, "c", number(1, 0))
    status = decode(wrapped("policy/v1", "PodDisruptionBudget", data(3, disrupted)))["status"]
    assert status["disruptedPods"] == {"a": None, "b": None, "c": "1970-01-01T00:00:00Z"}
    settings = decode(wrapped("v1", "ConfigMap", data(2, data(1, "a"))))
    assert settings["data"] == {"a": ""}


def creation(raw: bytes) -> bytes:
    """A ConfigMap whose creationTimestamp has these bytes."""
    return wrapped("v1", "ConfigMap", data(1, data(8, raw)))


def managed(raw: bytes) -> bytes:
    """A ConfigMap whose managed fields have these bytes."""
    return wrapped("v1", "ConfigMap", data(1, data(17, data(7, raw))))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{}", "provided data does not appear to be a protobuf message"),
        (wrapped("v1", "Nothing", b""), 'no kind "Nothing" is registered for version "v1"'),
        (wrapped("v1", "ConfigMap", data(1, META)[:-3]), "a field is longer than its message"),
        (wrapped("v1", "ConfigMap", data(1, data(1, b"\xff"))), "a string is not UTF-8"),
        (wrapped("v1", "ConfigMap", b"\xff" * 11), "a number is cut off or too long"),
        (wrapped("v1", "ConfigMap", varint(1 << 3 | 3)), "wire type 3 is not used by Kubernetes"),
        (wrapped("v1", "ConfigMap", number(0, 5)), r"illegal tag 0 \(wire type 0\)"),
        (wrapped("v1", "ConfigMap", number(1, 5)), "a message cannot have wire type 0"),
        (creation(data(1, "x")), "bytes stand where a number should"),
        (creation(number(1, 1 << 50)), "a time is out of range"),
        (managed(number(1, 1)), "a number stands where an embedded object should"),
        (managed(data(1, b'"\xff"')), "an embedded object is not JSON"),
        (protobuf.MAGIC + number(1, 1), "a number stands where a message should"),
        (protobuf.MAGIC + data(1, number(1, 1)), "a number stands where a string should"),
        (wrapped("v1", "ConfigMap", b"") + number(3, 1), "a number stands where a string should"),
    ],
)
def test_what_cannot_be_read_is_said(body: bytes, message: str) -> None:
    with pytest.raises(ProtobufError, match=message):
        decode(body)
