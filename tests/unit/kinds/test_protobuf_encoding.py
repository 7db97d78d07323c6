"""Protobuf answers hold what the JSON held, for every resource, and have the bytes that other encoders make."""

from __future__ import annotations

import importlib
import pathlib
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_objects import random_object

from tiphys.kinds import codec, protobuf, protobuf_encoding, registry
from tiphys.kinds.protobuf import ProtobufError

RESOURCES = registry.all_resources()
# A random value where a schema should be is no schema: definitions of resources have a test of their own.
RANDOM = [position for position, each in enumerate(RESOURCES) if each.kind != "CustomResourceDefinition"]
# A FileDescriptorSet of the API's messages.
DESCRIPTORS = pathlib.Path(__file__).parents[2] / "data" / "kubernetes-api-1.37.fds"


def filled(value: Any) -> Any:
    """Without what protobuf cannot tell from being left out, and without the names of embedded claims."""
    if isinstance(value, dict):
        pairs = ((key, filled(item)) for key, item in value.items())
        return {key: item for key, item in pairs if item not in (None, {}, [], "", 0, False)}
    return [filled(item) for item in value] if isinstance(value, list) else value


def generated(position: int, seed: int) -> dict[str, Any]:
    resource = RESOURCES[position]
    plain = codec.plain(random_object(resource.type, random.Random(seed)))
    for claim in (plain.get("spec") or {}).get("volumeClaimTemplates") or ():
        claim.pop("apiVersion", None)
        claim.pop("kind", None)
    for version in (plain.get("spec") or {}).get("versions") or ():
        version.pop("schema", None)  # random JSON is no schema; a real one stands below
    return {**plain, "apiVersion": resource.api_version, "kind": resource.kind}


@settings(max_examples=300)
@given(st.sampled_from(RANDOM), st.integers(0, 2**32))
def test_what_is_encoded_is_decoded_again(position: int, seed: int) -> None:
    plain = generated(position, seed)
    body = protobuf_encoding.encode(plain)
    again = protobuf.decode(body)
    assert filled(again) == filled(plain)
    assert protobuf.decode(protobuf_encoding.encode(again)) == again
    shuffled = dict(reversed(plain.items()))
    assert protobuf_encoding.encode(shuffled) == body


def test_values_with_forms_of_their_own() -> None:
    plain = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": "a.b",
            "creationTimestamp": "1969-12-31T23:59:59Z",
            "managedFields": [{"manager": "m", "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:spec": {"f:a": {}}}}],
        },
        "spec": {
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": False,
                    "schema": {
                        "openAPIV3Schema": {
                            "$ref": "#/x",
                            "minimum": -0.5,
                            "maxLength": -1,
                            "default": {"a": [1, None, "x"]},
                            "enum": ["a", 1],
                            "items": {"type": "string"},
                            "additionalProperties": False,
                            "additionalItems": {"type": "integer"},
                            "dependencies": {"a": ["b", "c"], "d": {"type": "object"}},
                            "x-kubernetes-list-map-keys": ["k"],
                        }
                    },
                }
            ]
        },
    }
    assert filled(protobuf.decode(protobuf_encoding.encode(plain))) == filled(plain)


def test_an_empty_text_that_means_something_stays() -> None:
    plain = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "spec": {"storageClassName": ""}}
    assert protobuf.decode(protobuf_encoding.encode(plain)) == plain


def test_a_time_that_is_null_in_a_map() -> None:
    status = {"disruptedPods": {"a": None, "b": "2026-01-01T00:00:00Z"}}
    plain = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "status": status}
    assert protobuf.decode(protobuf_encoding.encode(plain)) == plain


def test_fields_go_out_by_number_and_maps_by_key() -> None:
    plain = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"b": "2", "a": "1"}, "metadata": {"name": "n"}}
    raw = b"\x0a\x03\x0a\x01n" + b"\x12\x06\x0a\x01a\x12\x011" + b"\x12\x06\x0a\x01b\x12\x012"
    names = b"\x0a\x0f\x0a\x02v1\x12\x09ConfigMap"
    assert (
        protobuf_encoding.encode(plain) == b"k8s\x00" + names + b"\x12" + bytes([len(raw)]) + raw + b"\x1a\x00\x22\x00"
    )


def test_lists() -> None:
    items = [{"metadata": {"name": name}, "apiVersion": "v1", "kind": "Secret"} for name in ("a", "b")]
    metadata = {"resourceVersion": "7", "continue": "x", "remainingItemCount": 3}
    body = protobuf_encoding.encode_list("v1", "SecretList", metadata, "Secret", items)
    assert protobuf.decode(body) == {
        "apiVersion": "v1",
        "kind": "SecretList",
        "metadata": metadata,
        "items": [{"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}],
    }


def test_events_are_framed() -> None:
    body = protobuf_encoding.encode({"apiVersion": "v1", "kind": "Status", "code": 410})
    frame = protobuf_encoding.watch_frame("ERROR", body)
    assert int.from_bytes(frame[:4]) == len(frame) - 4
    assert frame[4:] == b"\x0a\x05ERROR\x12" + bytes([len(body) + 2]) + b"\x0a" + bytes([len(body)]) + body


def test_kinds_without_messages() -> None:
    assert protobuf_encoding.has_messages("apps/v1", "Deployment")
    assert not protobuf_encoding.has_messages("meta.k8s.io/v1", "Table")
    with pytest.raises(ProtobufError, match=r'no kind "Crontab" is registered for version "stable\.example\.com/v1"'):
        protobuf_encoding.encode({"apiVersion": "stable.example.com/v1", "kind": "Crontab"})


@pytest.mark.parametrize("resource", RESOURCES, ids=str)
def test_every_resource_has_messages(resource: Any) -> None:
    assert protobuf_encoding.has_messages(resource.api_version, resource.kind)


@pytest.mark.parametrize("position", RANDOM)
def test_another_encoder_writes_the_same(position: int) -> None:
    descriptors = importlib.import_module("google.protobuf.descriptor_pb2")
    pools = importlib.import_module("google.protobuf.descriptor_pool")
    factory = importlib.import_module("google.protobuf.message_factory")
    found = descriptors.FileDescriptorSet.FromString(DESCRIPTORS.read_bytes())
    pool, names = pools.DescriptorPool(), {}
    for described in found.file:
        pool.Add(described)
        package = "io.k8s." + described.package.removeprefix("k8s.io.").replace("_", "-")
        names.update({f"{package}.{each.name}": f"{described.package}.{each.name}" for each in described.message_type})
    resource = RESOURCES[position]
    name = protobuf.definition_of(resource.api_version, resource.kind)
    if resource.group == "apiregistration.k8s.io":  # the one group whose messages were never published as descriptors
        assert name not in names
        return
    message = factory.GetMessageClass(pool.FindMessageTypeByName(names[name]))
    for seed in range(20):
        raw = protobuf_encoding.message(name, generated(position, seed))
        assert message.FromString(raw).SerializeToString(deterministic=True) == raw
