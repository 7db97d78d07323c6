"""ResourceQuotas under all controllers: the status follows what is there, and refusals reach the owners' conditions."""

from __future__ import annotations

from typing import Any

import pytest
from whole_server import whole_server

from tiphys.client.interface import ApiRequest
from tiphys.kinds.types import apiextensions_v1, core_v1, meta_v1, networking_v1
from tiphys.machinery import errors
from tiphys.machinery.quantity import parse


def quota(**hard: str) -> core_v1.ResourceQuota:
    amounts = {name.replace("__", "/").replace("_", "."): parse(text) for name, text in hard.items()}
    meta = meta_v1.ObjectMeta(name="q", namespace="default")
    return core_v1.ResourceQuota(metadata=meta, spec=core_v1.ResourceQuotaSpec(hard=amounts))


def pod(name: str, phase: str = "Running") -> core_v1.Pod:
    resources = core_v1.ResourceRequirements(requests={"cpu": parse("250m"), "memory": parse("1Gi")})
    container = core_v1.Container(name="c", image="i", resources=resources)
    meta = meta_v1.ObjectMeta(name=name, namespace="default")
    spec = core_v1.PodSpec(containers=[container], nodeName="a")
    ready = core_v1.PodCondition(type="Ready", status="True")
    return core_v1.Pod(metadata=meta, spec=spec, status=core_v1.PodStatus(phase=phase, conditions=[ready]))


def used(cluster: Any) -> dict[str, str]:
    found = cluster.api.get(core_v1.ResourceQuota, "default", "q")
    assert found.status.hard == found.spec.hard
    return dict(found.status.used or {})


async def test_the_status_follows_at_once(cluster: Any) -> None:
    cluster.api.add(quota(pods="5", cpu="1", requests_memory="4Gi", limits_cpu="1"))
    await cluster.quiet()
    assert used(cluster) == {"pods": "0", "cpu": "0", "requests.memory": "0", "limits.cpu": "0"}
    for name in "bcd":
        cluster.api.add(pod(name, "Succeeded" if name == "d" else "Running"))
    await cluster.quiet()
    assert used(cluster) == {"pods": "2", "cpu": "500m", "requests.memory": "2Gi", "limits.cpu": "0"}
    cluster.api.remove(core_v1.Pod, "default", "b")
    await cluster.quiet()
    assert used(cluster) == {"pods": "1", "cpu": "250m", "requests.memory": "1Gi", "limits.cpu": "0"}


async def test_kinds_that_are_not_watched_are_counted_now_and_then(cluster: Any) -> None:
    cluster.api.add(quota(count__ingresses_networking_k8s_io="3", configmaps="9"))
    await cluster.quiet()
    assert used(cluster) == {"count/ingresses.networking.k8s.io": "0", "configmaps": "1"}
    cluster.api.add(networking_v1.Ingress(metadata=meta_v1.ObjectMeta(name="i", namespace="default")))
    await cluster.step(6.0)
    assert used(cluster)["count/ingresses.networking.k8s.io"] == "1"


async def test_a_refused_pod_shows_in_its_owner_until_it_is_no_longer_wanted(cluster: Any) -> None:
    detail = "exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2"
    error = errors.forbidden("pods", "", "web-x", detail)
    template = core_v1.PodTemplateSpec(metadata=meta_v1.ObjectMeta(labels={"a": "b"}), spec=pod("x").spec)
    meta = meta_v1.ObjectMeta(name="web", namespace="default")
    spec = core_v1.ReplicationControllerSpec(replicas=2, selector={"a": "b"}, template=template)
    cluster.api.add(core_v1.ReplicationController(metadata=meta, spec=spec))
    await cluster.quiet()
    cluster.api.fail(error, verb="create", resource="pods", times=100)

    def scale(replicas: int) -> None:
        def edit(owner: core_v1.ReplicationController) -> None:
            owner.spec.replicas = replicas

        cluster.api.change(core_v1.ReplicationController, "default", "web", edit)

    scale(3)
    await cluster.quiet()
    found = cluster.api.get(core_v1.ReplicationController, "default", "web")
    conditions = [(c.type, c.status, c.reason, c.message) for c in found.status.conditions or ()]
    assert conditions == [("ReplicaFailure", "True", "FailedCreate", f'pods "web-x" is forbidden: {detail}')]
    scale(2)
    await cluster.steps(2)
    found = cluster.api.get(core_v1.ReplicationController, "default", "web")
    assert (found.status.conditions, found.status.replicas) == (None, 2)


def notes(served: bool = True) -> apiextensions_v1.CustomResourceDefinition:
    properties = {"spec": apiextensions_v1.JSONSchemaProps(type="object")}
    schema = apiextensions_v1.JSONSchemaProps(type="object", properties=properties)
    version = apiextensions_v1.CustomResourceDefinitionVersion(
        name="v1",
        served=served,
        storage=True,
        schema=apiextensions_v1.CustomResourceValidation(openAPIV3Schema=schema),
    )
    names = apiextensions_v1.CustomResourceDefinitionNames(plural="notes", kind="Note")
    spec = apiextensions_v1.CustomResourceDefinitionSpec(
        group="example.com", scope="Namespaced", names=names, versions=[version]
    )
    meta = meta_v1.ObjectMeta(name="notes.example.com")
    return apiextensions_v1.CustomResourceDefinition(metadata=meta, spec=spec)


async def test_custom_resources_are_counted_while_they_are_defined() -> None:
    async with whole_server("resourcequota", "namespace") as whole:

        async def counted() -> dict[str, str]:
            await whole.later(6.0)
            found = await whole.client.get(core_v1.ResourceQuota, "team", "q")
            return dict(found.status.used or {})

        async def note(verb: Any, name: str) -> None:
            body = {"apiVersion": "example.com/v1", "kind": "Note", "metadata": {"name": name}}
            where = {"group": "example.com", "version": "v1", "resource": "notes", "namespace": "team"}
            what = {"body": body} if verb == "create" else {"name": name}
            await whole.client.transport.call(ApiRequest(verb=verb, **where, **what))

        limit = quota(count__notes_example_com="2", configmaps="5")
        limit.metadata.namespace = "team"
        await whole.client.create(limit)
        assert await counted() == {"configmaps": "0"}
        await whole.client.create(notes())
        assert await counted() == {"configmaps": "0", "count/notes.example.com": "0"}
        await note("create", "a")
        await note("create", "b")
        assert (await counted())["count/notes.example.com"] == "2"
        detail = (
            "exceeded quota: q, requested: count/notes.example.com=1, used: count/notes.example.com=2,"
            " limited: count/notes.example.com=2"
        )
        with pytest.raises(errors.ApiError) as caught:
            await note("create", "c")
        assert caught.value.message == f'notes.example.com "c" is forbidden: {detail}'
        await note("delete", "a")
        assert (await counted())["count/notes.example.com"] == "1"
        await note("create", "c")
        request = ApiRequest(
            verb="delete", group="apiextensions.k8s.io", version="v1", resource="customresourcedefinitions",
            name="notes.example.com",
        )  # fmt: skip
        await whole.client.transport.call(request)
        assert await counted() == {"configmaps": "0"}
        await whole.client.create(notes())
        assert await counted() == {"configmaps": "0", "count/notes.example.com": "0"}
        await note("create", "d")
        assert (await counted())["count/notes.example.com"] == "1"
