"""What a new cluster offers to everybody: discovery, pages, namespaces, tokens, reviews, Services."""

from __future__ import annotations

import random
from typing import Any

import pytest
from api_site import Site
from resource_case import ALL, MERGE, NUMBERS, STRATEGIC, name_of

from tiphys.aio.clock import settle

pytestmark = pytest.mark.asyncio(loop_scope="module")

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
NAMESPACES = "/api/v1/namespaces"
ONE = f"{NAMESPACES}/one"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
Served = set[tuple[str, str, str]]


# -- discovery


async def aggregated(site: Site) -> Served:
    found: Served = set()
    for path in ("/api", "/apis"):
        document = (await site("GET", path, accept=AGGREGATED)).body
        assert (document["kind"], document["apiVersion"]) == ("APIGroupDiscoveryList", "apidiscovery.k8s.io/v2")
        for group in document["items"]:
            name = group["metadata"].get("name", "")
            for version in group["versions"]:
                found |= {(name, version["version"], entry["resource"]) for entry in version["resources"]}
    return found


async def walked(site: Site) -> Served:
    """What a client finds that asks for one group and one version after the other."""
    found = {("", "v1", entry["name"]) for entry in (await site("GET", "/api/v1")).body["resources"]}
    for group in (await site("GET", "/apis")).body["groups"]:
        alone = (await site("GET", f"/apis/{group['name']}")).body
        assert {**alone, "kind": "", "apiVersion": ""} == {**group, "kind": "", "apiVersion": ""}
        assert group["preferredVersion"] in group["versions"]
        for version in group["versions"]:
            listed = (await site("GET", f"/apis/{version['groupVersion']}")).body
            assert (listed["kind"], listed["groupVersion"]) == ("APIResourceList", version["groupVersion"])
            assert listed["resources"] != []
            found |= {(group["name"], version["version"], entry["name"]) for entry in listed["resources"]}
    return {entry for entry in found if "/" not in entry[2]}


async def test_everything_is_discovered_in_either_way(site: Site) -> None:
    known = {(resource.group, resource.version, resource.plural) for resource in ALL}
    assert await aggregated(site) == known
    assert await walked(site) == known


async def test_a_new_definition_is_discovered_in_either_way(site: Site) -> None:
    anything = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    definition = {
        "metadata": {"name": "finds.discovered.example.com"},
        "spec": {
            "group": "discovered.example.com",
            "scope": "Namespaced",
            "names": {"plural": "finds", "singular": "find", "kind": "Find", "listKind": "FindList"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": anything}],
        },
    }
    assert (await site("POST", DEFINITIONS, definition)).code == 201
    await settle(100)
    entry = ("discovered.example.com", "v1", "finds")
    assert entry in await aggregated(site)
    assert entry in await walked(site)
    assert (await site("DELETE", f"{DEFINITIONS}/finds.discovered.example.com")).code == 200
    await settle(300)
    assert entry not in await aggregated(site)


# -- pages


async def test_pages_of_any_size_make_up_one_list(site: Site) -> None:
    templates, count, dice = f"{NAMESPACES}/two/podtemplates", 100, random.Random(7)
    body = {"template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}}
    names = [f"template-{number:04d}" for number in range(count)]
    for name in names:
        assert (await site("POST", templates, {**body, "metadata": {"name": name}})).code == 201
    for _ in range(3):
        found: list[str] = []
        token, versions = "", set()
        while token or not found:
            limit = dice.randint(1, count // 10)
            page = (await site("GET", f"{templates}?limit={limit}&continue={token}")).body
            found += [name_of(item) for item in page["items"]]
            token = page["metadata"].get("continue", "")
            versions.add(page["metadata"]["resourceVersion"])
            assert page["metadata"].get("remainingItemCount", 0) == count - len(found)
            assert ("remainingItemCount" in page["metadata"]) == bool(token)
        assert (found, len(versions)) == (names, 1)
    whole = (await site("GET", f"{templates}?limit={count + 1}")).body
    assert [name_of(item) for item in whole["items"]] == names


# -- namespaces


async def test_finalizers_of_a_namespace(site: Site) -> None:
    path = f"{NAMESPACES}/finalized"
    assert (await site("POST", NAMESPACES, {"metadata": {"name": "finalized"}})).code == 201
    for finalizers in (["kubernetes", "example.com/mine"], ["kubernetes"]):
        found = (await site("GET", path)).body
        found["spec"]["finalizers"] = finalizers
        answer = await site("PUT", f"{path}/finalize", found)
        assert (answer.code, answer.body["spec"]["finalizers"]) == (200, finalizers)
        assert (await site("GET", path)).body["spec"]["finalizers"] == finalizers


async def test_status_of_a_namespace(site: Site) -> None:
    path = f"{NAMESPACES}/described"
    made = (await site("POST", NAMESPACES, {"metadata": {"name": "described"}})).body
    condition = {"type": "StatusPatch", "status": "True", "reason": "Test", "message": "patched"}
    patch = {"metadata": {"annotations": {"patched": "yes"}}, "status": {"conditions": [condition]}}
    patched = await site("PATCH", f"{path}/status", patch, media=MERGE)
    assert (patched.code, patched.body["status"]["phase"]) == (200, "Active")
    assert patched.body["metadata"]["annotations"] == {"patched": "yes"}
    patched.body["status"]["conditions"].append({**condition, "type": "StatusUpdate"})
    updated = await site("PUT", f"{path}/status", patched.body)
    assert [c["type"] for c in updated.body["status"]["conditions"]] == ["StatusPatch", "StatusUpdate"]
    assert (await site("GET", f"{path}/status")).body == updated.body
    updated.body["metadata"]["labels"]["more"] = "yes"
    relabelled = (await site("PUT", path, updated.body)).body
    assert relabelled["metadata"]["labels"] == {**made["metadata"]["labels"], "more": "yes"}


async def test_a_collection_ends_at_its_namespace(site: Site) -> None:
    label = f"batch={next(NUMBERS)}"
    key, value = label.split("=")
    spec = {"limits": [{"type": "Container", "max": {"cpu": "500"}}]}
    for namespace in ("one", "two"):
        body = {"metadata": {"name": "kept-apart", "labels": {key: value}}, "spec": spec}
        assert (await site("POST", f"{NAMESPACES}/{namespace}/limitranges", body)).code == 201
    everywhere = f"/api/v1/limitranges?labelSelector={key}%3D{value}"
    assert len((await site("GET", everywhere)).body["items"]) == 2
    assert (await site("DELETE", f"{ONE}/limitranges?labelSelector={key}%3D{value}")).code == 200
    left = (await site("GET", everywhere)).body["items"]
    assert [item["metadata"]["namespace"] for item in left] == ["two"]
    assert (await site("DELETE", f"{NAMESPACES}/two/limitranges/kept-apart")).code == 200


# -- what cannot change any more


@pytest.mark.parametrize(("plural", "value"), [("configmaps", "a"), ("secrets", "YQ==")])
async def test_what_is_immutable_keeps_its_data_and_stays_so(site: Site, plural: str, value: str) -> None:
    path = f"{ONE}/{plural}/frozen"
    assert (await site("POST", f"{ONE}/{plural}", {"metadata": {"name": "frozen"}, "data": {"a": value}})).code == 201
    changed = await site("PATCH", path, {"data": {"b": value}}, media=STRATEGIC)
    assert changed.code == 200
    frozen = await site("PUT", path, {**changed.body, "immutable": True})
    assert (frozen.code, frozen.body["immutable"]) == (200, True)
    for change in ({"data": {"c": value}}, {"immutable": False}, {"immutable": None}, {"data": None}):
        refused = await site("PATCH", path, change, media=MERGE)
        assert refused.outcome == (422, "Invalid"), change
    assert (await site("PATCH", path, {"metadata": {"labels": {"a": "b"}}}, media=MERGE)).code == 200
    assert (await site("DELETE", path)).code == 200


# -- who one is and what one may


async def test_a_token_is_reviewed(site: Site) -> None:
    assert (await site("POST", f"{ONE}/serviceaccounts", {"metadata": {"name": "reviewed"}})).code == 201
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = (await site("POST", f"{ONE}/serviceaccounts/reviewed/token", request)).body["status"]["token"]
    review = {"spec": {"token": token}}
    answer = await site("POST", "/apis/authentication.k8s.io/v1/tokenreviews", review)
    status = answer.body["status"]
    assert (answer.code, status["authenticated"], status.get("error", "")) == (201, True, "")
    assert status["user"]["username"] == "system:serviceaccount:one:reviewed"
    issuer = (await site("GET", "/.well-known/openid-configuration")).body
    assert issuer["issuer"] == "https://kubernetes.default.svc"
    assert issuer["jwks_uri"].endswith("/openid/v1/jwks")
    assert {"RS256", "ES256"} & set(issuer["id_token_signing_alg_values_supported"])
    keys = await site("GET", "/openid/v1/jwks")
    assert keys.headers["Content-Type"] == "application/jwk-set+json"
    assert len(keys.body["keys"]) == 1


@pytest.mark.parametrize("allowed", [False, True])
async def test_reviews_say_what_the_request_meets(site: Site, allowed: bool) -> None:
    name = f"asked-{allowed}".lower()
    account = (await site("POST", f"{ONE}/serviceaccounts", {"metadata": {"name": name}})).body
    if allowed:
        rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}]
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
        subject = {"kind": "ServiceAccount", "name": name, "namespace": "one"}
        access = "/apis/rbac.authorization.k8s.io/v1/namespaces/one"
        for path, more in (("roles", {"rules": rules}), ("rolebindings", {"roleRef": role, "subjects": [subject]})):
            assert (await site("POST", f"{access}/{path}", {"metadata": {"name": name}, **more})).code == 201
    user = f"system:serviceaccount:one:{name}"
    groups = ["system:authenticated", "system:serviceaccounts", "system:serviceaccounts:one"]
    asked = {"verb": "list", "resource": "configmaps", "namespace": "one", "version": "v1"}
    spec = {"resourceAttributes": asked, "user": user, "groups": groups, "uid": account["metadata"]["uid"]}
    root = "/apis/authorization.k8s.io/v1"
    for path in (f"{root}/subjectaccessreviews", f"{root}/namespaces/one/localsubjectaccessreviews"):
        meta: dict[str, Any] = {"metadata": {"namespace": "one"}} if "local" in path else {}
        answer = await site("POST", path, {**meta, "spec": spec})
        assert (answer.code, answer.body["status"]["allowed"]) == (201, allowed)
    headers = {"Impersonate-User": user, "Impersonate-Uid": account["metadata"]["uid"]}
    async with site.session.get(
        f"{site.base}{ONE}/configmaps",
        headers=[*headers.items(), *(("Impersonate-Group", group) for group in groups)],
    ) as answered:
        assert answered.status == (200 if allowed else 403)


# -- Services


@pytest.mark.parametrize("name", ["255.255.255.255", "fe80::42:1dff:fe84:f9e2"])
async def test_addresses_may_be_anybodys(site: Site, name: str) -> None:
    parent = {"group": "mygroup", "resource": "myresources", "namespace": "foo", "name": "bar"}
    path = "/apis/networking.k8s.io/v1/ipaddresses"
    made = await site("POST", path, {"metadata": {"name": name}, "spec": {"parentRef": parent}})
    assert (made.code, made.body["spec"]["parentRef"]) == (201, parent)
    assert (await site("DELETE", f"{path}/{name}")).code == 200


async def test_status_of_a_service(site: Site) -> None:
    path = f"{ONE}/services/published"
    body = {"metadata": {"name": "published"}, "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}}
    assert (await site("POST", f"{ONE}/services", body)).code == 201
    balancer = {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}}
    patch = {"metadata": {"annotations": {"patched": "yes"}}, "status": balancer}
    patched = await site("PATCH", f"{path}/status", patch, media=MERGE)
    assert patched.body["status"]["loadBalancer"]["ingress"][0]["ip"] == "203.0.113.1"
    condition = {
        "type": "StatusUpdate",
        "status": "True",
        "reason": "Test",
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    updated = await site("PUT", f"{path}/status", {**patched.body, "status": {"conditions": [condition]}})
    assert [c["type"] for c in updated.body["status"]["conditions"]] == ["StatusUpdate"]
    annotated = await site("PATCH", path, {"metadata": {"annotations": {"more": "yes"}}}, media=STRATEGIC)
    assert annotated.body["metadata"]["annotations"] == {"patched": "yes", "more": "yes"}
    assert annotated.body["status"] == updated.body["status"]
    assert (await site("DELETE", path)).code == 200


# -- events


async def test_an_event_becomes_a_series(site: Site) -> None:
    path = f"{ONE}/events/told"
    source = {"kind": "Pod", "namespace": "one", "name": "a"}
    body = {"metadata": {"name": "told"}, "message": "first", "reason": "Test", "type": "Normal"}
    assert (await site("POST", f"{ONE}/events", {**body, "involvedObject": source})).code == 201
    patched = await site("PATCH", path, {"message": "second"}, media=STRATEGIC)
    assert patched.body["message"] == "second"
    series = {"count": 100, "lastObservedTime": "2026-01-01T00:00:00.000000Z"}
    updated = await site("PUT", path, {**patched.body, "series": series})
    assert (updated.code, updated.body["series"]) == (200, series)
    listed = (await site("GET", "/api/v1/events?fieldSelector=metadata.name%3Dtold")).body
    assert [item["series"]["count"] for item in listed["items"]] == [100]
    assert (await site("GET", "/apis/events.k8s.io/v1/namespaces/one/events/told")).body["note"] == "second"
    assert (await site("DELETE", path)).code == 200
    assert (await site("GET", path)).code == 404
