"""What pods take and what counts as a new generation of them."""

from __future__ import annotations

from typing import Any

import pytest
from api_site import Answer, Site
from minimal_objects import POD_SPEC
from resource_case import MERGE, NUMBERS, STRATEGIC, name_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

PODS = "/api/v1/namespaces/one/pods"
CLASSES = "/apis/node.k8s.io/v1/runtimeclasses"
INIT = [{"name": "init", "image": "example/init:1"}]


async def created(site: Site, metadata: dict[str, Any] | None = None, **spec: Any) -> Answer:
    meta = {"name": f"written-{next(NUMBERS)}", **(metadata or {})}
    return await site("POST", PODS, {"metadata": meta, "spec": {**POD_SPEC, **spec}})


async def running(site: Site, **spec: Any) -> str:
    """The name of a new pod that is bound and runs."""
    name = name_of((await created(site, **spec)).body)
    bound = await site("POST", f"{PODS}/{name}/binding", {"target": {"kind": "Node", "name": "node"}})
    assert bound.code == 201
    status = await site("PATCH", f"{PODS}/{name}/status", {"status": {"phase": "Running"}}, media=MERGE)
    assert status.code == 200
    return name


async def generation(site: Site, name: str) -> int:
    found: int = (await site("GET", f"{PODS}/{name}")).body["metadata"]["generation"]
    return found


async def test_generations_count_what_changes_in_the_spec(site: Site) -> None:
    name = await running(site, initContainers=INIT)
    assert await generation(site, name) == 1  # neither the binding nor the status counts
    tolerated = {"key": "a", "operator": "Equal", "value": "b", "effect": "NoSchedule"}
    expected = 1
    for change, more in (
        ({}, 0),
        ({"spec": {"tolerations": [tolerated]}}, 1),
        ({"spec": {"activeDeadlineSeconds": 5000}}, 1),
        ({"spec": {"containers": [{"name": "main", "image": "example/image:2"}]}}, 1),
        ({"spec": {"initContainers": [{"name": "init", "image": "example/init:2"}]}}, 1),
        ({"metadata": {"annotations": {"a": "b"}}}, 0),
        ({"metadata": {"generation": 1}}, 0),
    ):
        answer = await site("PATCH", f"{PODS}/{name}", change, media=STRATEGIC)
        assert answer.code == 200, answer.body
        expected += more
        assert await generation(site, name) == expected, change


async def test_a_pod_begins_with_generation_one_and_its_graceful_end_is_another(site: Site) -> None:
    answer = await created(site, {"generation": 100})
    assert answer.body["metadata"]["generation"] == 1
    name = await running(site)
    deleted = await site("DELETE", f"{PODS}/{name}?gracePeriodSeconds=60")
    assert (deleted.code, deleted.body["metadata"]["deletionGracePeriodSeconds"]) == (200, 60)
    assert await generation(site, name) == 2


async def test_many_updates_count_each(site: Site) -> None:
    name = await running(site)
    for seconds in range(1000, 500, -1):
        change = {"spec": {"activeDeadlineSeconds": seconds}}
        assert (await site("PATCH", f"{PODS}/{name}", change, media=MERGE)).code == 200
    assert await generation(site, name) == 501


async def test_resizes_and_ephemeral_containers_are_generations(site: Site) -> None:
    requests = {"requests": {"cpu": "10m"}, "limits": {"cpu": "20m"}}
    name = await running(site, containers=[{**POD_SPEC["containers"][0], "resources": requests}])
    more = {"requests": {"cpu": "20m"}, "limits": {"cpu": "30m"}}
    resized = {"spec": {"containers": [{"name": "main", "resources": more}]}}
    answer = await site("PATCH", f"{PODS}/{name}/resize", resized, media=STRATEGIC)
    assert (answer.code, answer.body["spec"]["containers"][0]["resources"]) == (200, more)
    assert await generation(site, name) == 2
    whole = (await site("GET", f"{PODS}/{name}")).body
    whole["spec"]["containers"][0]["resources"] = requests
    assert (await site("PUT", f"{PODS}/{name}/resize", whole)).code == 200
    assert await generation(site, name) == 3
    for number in (1, 2):
        added = {"name": f"debug-{number}", "image": "example/debug:1", "tty": True, "stdin": True}
        change = {"spec": {"ephemeralContainers": [added]}}
        answer = await site("PATCH", f"{PODS}/{name}/ephemeralcontainers", change, media=STRATEGIC)
        assert answer.code == 200, answer.body
        assert len(answer.body["spec"]["ephemeralContainers"]) == number
        assert await generation(site, name) == 3 + number
    gone = {"spec": {"ephemeralContainers": []}}
    refused = await site("PATCH", f"{PODS}/{name}/ephemeralcontainers", gone, media=MERGE)
    assert refused.outcome == (422, "Invalid")


async def test_conditions_of_others(site: Site) -> None:
    name = await running(site)
    condition = {"type": "StatusPatched", "status": "True"}
    patch = {"metadata": {"annotations": {"patched": "yes"}}, "status": {"conditions": [condition]}}
    answer = await site("PATCH", f"{PODS}/{name}/status", patch, media=STRATEGIC)
    assert answer.code == 200
    assert answer.body["metadata"]["annotations"]["patched"] == "yes"
    assert [c["type"] for c in answer.body["status"]["conditions"]] == ["StatusPatched", "PodScheduled"]


async def test_volumes_of_a_driver(site: Site) -> None:
    sources = [{"driver": "example.com"}, {"driver": "example.com", "fsType": "ext4", "readOnly": True}]
    volumes = [{"name": f"v{number}", "csi": source} for number, source in enumerate(sources)]
    mounts = [{"name": volume["name"], "mountPath": f"/mnt/{volume['name']}"} for volume in volumes]
    containers = [{**POD_SPEC["containers"][0], "volumeMounts": mounts}]
    made = (await created(site, volumes=volumes, containers=containers)).body
    assert [volume["csi"] for volume in made["spec"]["volumes"][:2]] == sources
    path = f"{PODS}/{name_of(made)}"
    assert (await site("PATCH", path, {"metadata": {"annotations": {"a": "b"}}}, media=MERGE)).code == 200
    assert (await site("DELETE", path)).code == 200
    assert (await site("GET", path)).code == 404


async def test_runtime_classes(site: Site) -> None:
    fixed = {"cpu": "10m", "memory": "1Mi"}
    for name, more in (("plain", {}), ("costly", {"overhead": {"podFixed": fixed}})):
        assert (await site("POST", CLASSES, {"metadata": {"name": name}, "handler": "runc", **more})).code == 201
    assert "overhead" not in (await created(site, runtimeClassName="plain")).body["spec"]
    assert (await created(site, runtimeClassName="costly")).body["spec"]["overhead"] == fixed
    assert (await site("DELETE", f"{CLASSES}/plain")).code == 200
    for name in ("plain", "never-there"):
        refused = await created(site, runtimeClassName=name)
        assert refused.outcome == (403, "Forbidden")
        assert f'RuntimeClass "{name}" not found' in refused.body["message"]


@pytest.mark.parametrize(("seconds", "valid"), [(3599, False), (3600, True), (91 * 86400, True), (7862401, False)])
async def test_lifetimes_of_pod_certificates(site: Site, seconds: int, valid: bool) -> None:
    source = {"signerName": "example.com/signer", "keyType": "ECDSAP256", "credentialBundlePath": "bundle.pem"}
    projected = {"sources": [{"podCertificate": {**source, "maxExpirationSeconds": seconds}}]}
    answer = await created(site, volumes=[{"name": "certificate", "projected": projected}])
    if valid:
        assert answer.code == 201, answer.body
        return
    assert answer.outcome == (422, "Invalid")
    words = "if provided, maxExpirationSeconds must be "
    words += ">= 3600" if seconds < 3600 else "<= 7862400"
    assert words in answer.body["message"]


async def test_unsafe_names_of_sysctls(site: Site) -> None:
    names = ["foo-", "kernel.shmmax", "safe-and-unsafe", "bar.."]
    sysctls = [{"name": name, "value": "100000000"} for name in names]
    refused = await created(site, securityContext={"sysctls": sysctls})
    fields = [cause["field"] for cause in refused.body["details"]["causes"]]
    assert refused.outcome == (422, "Invalid")
    assert fields == [f"spec.securityContext.sysctls[{n}].name" for n in (0, 3)]


async def test_variables_may_have_any_printable_prefix(site: Site) -> None:
    sources = [{"prefix": prefix, "configMapRef": {"name": "a"}} for prefix in ("p-", "1", "A.", "!?", "é")]
    containers = [{**POD_SPEC["containers"][0], "envFrom": sources}]
    refused = await created(site, containers=containers)
    assert [cause["field"] for cause in refused.body["details"]["causes"]] == ["spec.containers[0].envFrom[4].prefix"]
    del sources[4]
    assert (await created(site, containers=containers)).code == 201
