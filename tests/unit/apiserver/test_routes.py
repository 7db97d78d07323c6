"""What is said where nothing is served, or not this: paths, scopes, names, methods."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from api_world import World

from tiphys.apiserver import routes
from tiphys.apiserver.authn.identity import anonymous
from tiphys.apiserver.rest.call import Call
from tiphys.kinds import registry
from tiphys.machinery.errors import ApiError

MISSING = "the server could not find the requested resource"
FORBIDDEN_METHOD = "the server does not allow this method on the requested resource"
FOOS = "/apis/example.com/v1/namespaces/default/foos"
DEFINITION = {
    "metadata": {"name": "foos.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "foos", "singular": "foo", "kind": "Foo", "listKind": "FooList"},
        "versions": [{
            "name": "v1", "served": True, "storage": True, "subresources": {"status": {}},
            "schema": {"openAPIV3Schema": {"type": "object"}},
        }],
    },
}  # fmt: skip


def failure(code: int, reason: str, message: str, details: Any = None) -> dict[str, Any]:
    said = {} if details is None else {"details": details}
    return {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, **said, "code": code,
    }  # fmt: skip


@pytest.mark.parametrize(
    "path",
    [
        "/api/v2", "/api/v2/pods", "/api/v1/nopes", "/api/v1//pods", "/apis/apps/v9", "/apis/apps/v9/deployments",
        "/apis/apps/v1/nopes", "/version/x", "/api/v1/pods/p", "/api/v1/namespaces/default/nodes",
        "/api/v1/namespaces/default/namespaces/other", "/api/v1/namespaces/default/pods/p/nope",
        "/api/v1/namespaces/default/pods/p/log/x", "/api/v1/namespaces/default/pods/p/exec/x",
        "/api/v1/namespaces/default/configmaps/a%2Fb", "/api/v1/bindings",
        "/apis/authentication.k8s.io/v1/tokenreviews/x", "/apis/apps/v1/deployments/d/scale",
    ],
)  # fmt: skip
async def test_nothing_there_below_what_is_built_in(world: World, path: str) -> None:
    answer = await world.http("GET", path)
    assert (answer.code, answer.body) == (404, failure(404, "NotFound", MISSING, {}))


@pytest.mark.parametrize(
    "path",
    ["/nope", "/apis/nope", "/apis/nope/v1", "/apis/nope/v1/foos", "/apis//", "/apis//v1", "//api/v1/pods", "/healthz/",
     "/metrics/", "/healthz/nope"],
)  # fmt: skip
async def test_nothing_there_at_all(world: World, path: str) -> None:
    answer = await world.http("GET", path)
    assert (answer.code, answer.body) == (404, failure(404, "NotFound", MISSING))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v1/pods"), ("DELETE", "/api/v1/pods"), ("PUT", "/api/v1/namespaces/default/pods"),
        ("POST", "/api/v1/namespaces/default/pods/p"), ("DELETE", "/api/v1/namespaces/default/pods/p/status"),
        ("GET", "/api/v1/namespaces/default/pods/p/eviction"), ("GET", "/api/v1/namespaces/default/bindings"),
        ("OPTIONS", "/api/v1/nodes/n"), ("TRACE", "/api/v1/nodes"), ("POST", "/version"),
        ("GET", "/apis/authentication.k8s.io/v1/tokenreviews"),
    ],
)  # fmt: skip
async def test_methods_that_built_in_resources_lack(world: World, method: str, path: str) -> None:
    answer = await world.http(method, path)
    assert (answer.code, answer.body) == (405, failure(405, "MethodNotAllowed", FORBIDDEN_METHOD, {}))


async def test_only_bodies_can_be_left_out_of_custom_resources(world: World) -> None:
    await world.http("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", DEFINITION)
    assert (await world.http("HEAD", "/api/v1/nodes")).code == 405
    assert (await world.http("HEAD", FOOS)).code == 200


@pytest.mark.parametrize(
    ("method", "path", "code", "reason", "message", "details"),
    [
        ("OPTIONS", FOOS, 405, "MethodNotAllowed", ' is not supported on resources of kind "foos.example.com"',
         {"group": "example.com", "kind": "foos"}),
        ("DELETE", f"{FOOS}/f/status", 405, "MethodNotAllowed",
         'delete is not supported on resources of kind "foos.example.com"', {"group": "example.com", "kind": "foos"}),
        ("GET", f"{FOOS}/f/nope", 404, "NotFound", 'foos.example.com "f" not found',
         {"name": "f", "group": "example.com", "kind": "foos"}),
        ("PUT", FOOS, 400, "BadRequest", "name must be provided", None),
        ("PUT", "/apis/example.com/v1/foos", 404, "NotFound", MISSING, None),
        ("DELETE", "/apis/example.com/v1/foos", 404, "NotFound", MISSING, None),
        ("GET", "/apis/example.com/v1/foos/f", 404, "NotFound", MISSING, None),
        ("GET", "/apis/example.com/v1/bars", 404, "NotFound", MISSING, None),
        ("GET", "/apis/example.com/v2/foos", 404, "NotFound", MISSING, None),
    ],
)  # fmt: skip
async def test_what_custom_resources_lack(
    world: World, method: str, path: str, code: int, reason: str, message: str, details: Any
) -> None:
    await world.http("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", DEFINITION)
    answer = await world.http(method, path)
    assert (answer.code, answer.body) == (code, failure(code, reason, message, details))


async def test_paths_are_decoded_before_they_are_read(world: World) -> None:
    maps = "/api/v1/namespaces/default/configmaps"
    await world.http("POST", maps, {"metadata": {"name": "c1"}})
    for path in ("/api/v1/namespaces/default/config%6daps/c%31", f"{maps}%2fc1", f"{maps}/c1/"):
        assert (await world.http("GET", path)).body["metadata"]["name"] == "c1"
    answer = await world.http("GET", f"{maps}/a%25b")
    assert answer.body == failure(400, "BadRequest", "Name parameter invalid: \"a%b\": may not contain '%'")


@pytest.mark.parametrize(
    "path", ["/api/v1/nodes/none", "/api/v1/nodes/none/status", f"{FOOS}/none", f"{FOOS}/none/status"]
)
async def test_a_body_is_read_before_what_it_replaces_is_looked_for(world: World, path: str) -> None:
    await world.http("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", DEFINITION)
    kind = {"kind": "Foo", "apiVersion": "example.com/v1"} if path.startswith(FOOS) else {"kind": "Node"}
    bodies = {b"": 400, b"{": 400, msgspec.json.encode({**kind, "metadata": {"name": "none"}}): 404}
    assert {body: (await world.http("PUT", path, body)).code for body in bodies} == bodies


@pytest.mark.parametrize("name", [".", ".."])
@pytest.mark.parametrize(("verb", "refused"), [("get", True), ("delete", True), ("list", False), ("watch", False)])
def test_names_that_would_lead_elsewhere(name: str, verb: str, refused: bool) -> None:
    maps = registry.find("", "v1", "configmaps")
    assert maps is not None
    call = Call(user=anonymous(), resource=maps, verb=verb, namespace="default", name=name)
    if not refused:
        routes.check(call)
        return
    with pytest.raises(ApiError, match=f"^Name parameter invalid: \"{name}\": may not be '{name}'$"):
        routes.check(call)
