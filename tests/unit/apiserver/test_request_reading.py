"""Paths, queries and Accept headers."""

from __future__ import annotations

import pytest

from tiphys.apiserver import negotiation
from tiphys.apiserver.encoding import json_values, media_type, read_yaml
from tiphys.apiserver.negotiation import Accepted
from tiphys.apiserver.request import RequestInfo, is_long_running, malformed_escape, parse_path, parse_query
from tiphys.machinery.errors import ApiError


@pytest.mark.parametrize(
    ("method", "path", "verb", "namespace", "resource", "name", "subresource"),
    [
        ("GET", "/api/v1/namespaces", "list", "", "namespaces", "", ""),
        ("GET", "/api/v1/namespaces/a", "get", "a", "namespaces", "a", ""),
        ("PUT", "/api/v1/namespaces/a/status", "update", "a", "namespaces", "a", "status"),
        ("PUT", "/api/v1/namespaces/a/finalize", "update", "a", "namespaces", "a", "finalize"),
        ("GET", "/api/v1/namespaces/a/pods", "list", "a", "pods", "", ""),
        ("GET", "/api/v1/namespaces/a/pods/", "list", "a", "pods", "", ""),
        ("POST", "/api/v1/namespaces/a/pods", "create", "a", "pods", "", ""),
        ("DELETE", "/api/v1/namespaces/a/pods", "deletecollection", "a", "pods", "", ""),
        ("DELETE", "/api/v1/namespaces/a/pods/p", "delete", "a", "pods", "p", ""),
        ("GET", "/api/v1/namespaces/a/pods/p/log", "get", "a", "pods", "p", "log"),
        ("GET", "/api/v1/namespaces/a/status", "get", "a", "namespaces", "a", "status"),
        ("GET", "/api/v1/namespaces/a/status/b", "get", "a", "status", "b", ""),
        ("GET", "/api/v1/nodes/n%3Ax", "get", "", "nodes", "n:x", ""),
        ("HEAD", "/api/v1/nodes/n", "get", "", "nodes", "n", ""),
        ("PATCH", "/apis/apps/v1/namespaces/a/deployments/d/scale", "patch", "a", "deployments", "d", "scale"),
        ("GET", "/api/v1/watch/namespaces/a/pods", "watch", "a", "pods", "", ""),
        ("GET", "/api/v1/watch/pods", "watch", "", "pods", "", ""),
    ],
)
def test_resource_paths(
    method: str, path: str, verb: str, namespace: str, resource: str, name: str, subresource: str
) -> None:
    info = parse_path(method, path, False, "")
    assert info.is_resource
    found = (info.verb, info.namespace, info.resource, info.name, info.subresource)
    assert found == (verb, namespace, resource, name, subresource)


@pytest.mark.parametrize(
    "path", ["/", "/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1", "/version", "/openapi/v3"]
)
def test_other_paths(path: str) -> None:
    assert parse_path("GET", path, False, "") == RequestInfo(verb="get", path=path)


def test_the_rest_of_a_proxied_path_stays_as_sent() -> None:
    info = parse_path("POST", "/api/v1/namespaces/a/services/https:s:443/proxy/x%2Fy/z", False, "")
    assert (info.name, info.subresource, info.rest) == ("https:s:443", "proxy", "/x%2Fy/z")


def test_lists_become_watches_and_carry_the_name_they_pin() -> None:
    info = parse_path("GET", "/api/v1/nodes", True, "n")
    assert (info.verb, info.name) == ("watch", "n")
    assert is_long_running(info, {})
    assert not is_long_running(parse_path("GET", "/api/v1/nodes", False, ""), {})
    log = parse_path("GET", "/api/v1/namespaces/a/pods/p/log", False, "")
    assert is_long_running(log, parse_query("follow=true"))
    assert not is_long_running(log, parse_query("follow=false"))


def test_the_first_of_repeated_parameters_counts() -> None:
    assert parse_query("a=1&a=2&b=&c=x%20y%2B") == {"a": "1", "b": "", "c": "x y+"}


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("", Accepted()),
        ("*/*", Accepted()),
        ("application/json", Accepted()),
        ("application/vnd.kubernetes.protobuf,application/json", Accepted()),
        ("application/vnd.kubernetes.protobuf, */*;q=0.1", Accepted()),
        ("application/vnd.kubernetes.protobuf", Accepted(protobuf=True)),
        ("application/vnd.kubernetes.protobuf;stream=watch", Accepted(protobuf=True)),
        ("application/vnd.kubernetes.protobuf,application/yaml", Accepted(protobuf=True)),
        (
            "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,"
            "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json",
            Accepted("PartialObjectMetadata"),
        ),
        ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", Accepted("Table")),
        ("application/json;as=Table;v=v2;g=meta.k8s.io,application/json", Accepted()),
        ("application/json;q=0.5,application/yaml", Accepted(yaml=True)),
        (
            "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1beta1",
            Accepted("PartialObjectMetadata", "v1beta1"),
        ),
    ],
)
def test_accept_headers(header: str, accepted: Accepted) -> None:
    assert negotiation.negotiate(header) == accepted


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("", Accepted()),
        ("application/json", Accepted()),
        ("application/yaml", Accepted(yaml=True)),
        ("application/vnd.kubernetes.protobuf", Accepted(protobuf=True)),
        ("text/html", Accepted(indented=True)),
        ("application/json;as=Table;v=v1;g=meta.k8s.io", Accepted(indented=True)),
        ("application/json; as=Table;v=v1;g=meta.k8s.io, application/json", Accepted()),
        ("application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,*/*", Accepted()),
    ],
)
def test_how_refusals_are_sent(header: str, accepted: Accepted) -> None:
    assert negotiation.negotiate_error(header) == accepted


@pytest.mark.parametrize(
    ("header", "stream", "offered"),
    [
        (
            "text/html",
            True,
            "application/json, application/yaml, application/vnd.kubernetes.protobuf",
        ),
        (
            "text/html",
            False,
            "application/json, application/yaml, application/vnd.kubernetes.protobuf",
        ),
        (
            "application/yaml",
            True,
            "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch",
        ),
    ],
)
def test_what_cannot_be_served(header: str, stream: bool, offered: str) -> None:
    with pytest.raises(ApiError) as caught:
        negotiation.negotiate(header, stream)
    assert caught.value.code == 406
    assert caught.value.message == f"only the following media types are accepted: {offered}"


@pytest.mark.parametrize(
    ("path", "found"),
    [("/a%20b", ""), ("/%zz", "%zz"), ("/a%", "%"), ("/%4", "%4"), ("/%4gx", "%4g"), ("/%%20", "%%2")],
)
def test_escapes_that_encode_nothing(path: str, found: str) -> None:
    assert malformed_escape(path) == found


@pytest.mark.parametrize(
    ("text", "media"),
    [
        ("", "application/json"), (" ", "application/json"), ("Text/Plain; charset=x", "text/plain"), (";;;", ""),
        ('a/b;c=d; e="f;g";', "a/b"), ("a/b;", "a/b"), ("a/b;c", ""), ("a/b;c=", ""), ("a/b;c=d;e", ""),
    ],
)  # fmt: skip
def test_media_types(text: str, media: str) -> None:
    assert media_type(text) == media


@pytest.mark.parametrize(
    "text",
    ["? [a, b]\n: c", "{a: b}: c", "~: a", "!!map [a]", "!!map abc", "!!bool x", '!!int ""', "a: .nan", "a: -.inf",
     "!!set {a, b}", "!!omap [a: b]", "!!timestamp x", "!!python/none", "!!float x", "<<: 5", "a: &a [*a]"],
)  # fmt: skip
def test_yaml_that_json_cannot_say(text: str) -> None:
    with pytest.raises(ApiError, match=r"^error converting YAML to JSON: ") as refused:
        read_yaml(text.encode())
    assert refused.value.code == 400


def test_yaml_as_json() -> None:
    text = b"{1: a, true: b, 1.5: c, d: 1e999, e: 0o7, f: !!str 1, g: 010, h: 1e3, i: !!binary aGk=}"
    assert json_values(read_yaml(text)) == {
        "1": "a", "true": "b", "1.5": "c", "d": "1e999", "e": "0o7", "f": "1", "g": 8, "h": 1000.0, "i": "aGk=",
    }  # fmt: skip
