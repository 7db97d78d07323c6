"""ResourceQuotas: what is charged, what is refused, and that the same moment does not help."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from api_world import World

from tiphys.kinds import codec
from tiphys.kinds.types import apps_v1, core_v1, meta_v1, resource_v1
from tiphys.machinery.errors import ApiError
from tiphys.machinery.quantity import parse


def quota(hard: dict[str, str], name: str = "q", **spec: Any) -> core_v1.ResourceQuota:
    return core_v1.ResourceQuota(
        metadata=meta_v1.ObjectMeta(name=name, namespace="default"),
        spec=core_v1.ResourceQuotaSpec(hard={n: parse(text) for n, text in hard.items()}, **spec),
    )


def pod(name: str, requests: dict[str, str] | None = None, **spec: Any) -> core_v1.Pod:
    asked = {n: parse(text) for n, text in requests.items()} if requests is not None else None
    resources = core_v1.ResourceRequirements(requests=asked) if asked is not None else None
    container = core_v1.Container(name="c", image="i", resources=resources)
    meta = meta_v1.ObjectMeta(name=name, namespace="default")
    return core_v1.Pod(metadata=meta, spec=core_v1.PodSpec(containers=[container], **spec))


def claim(name: str, size: str = "1Gi", **spec: Any) -> core_v1.PersistentVolumeClaim:
    resources = core_v1.VolumeResourceRequirements(requests={"storage": parse(size)})
    meta = meta_v1.ObjectMeta(name=name, namespace="default")
    asked = core_v1.PersistentVolumeClaimSpec(accessModes=["ReadWriteOnce"], resources=resources, **spec)
    return core_v1.PersistentVolumeClaim(metadata=meta, spec=asked)


def only(scope: str, operator: str = "Exists", *values: str) -> core_v1.ScopeSelector:
    """A selector of one requirement."""
    requirement = core_v1.ScopedResourceSelectorRequirement(
        scopeName=scope, operator=operator, values=list(values) or None
    )
    return core_v1.ScopeSelector(matchExpressions=[requirement])


async def refusal(world: World, obj: Any) -> str:
    with pytest.raises(ApiError) as caught:
        await world.client.create(obj)
    assert (caught.value.code, caught.value.reason) == (403, "Forbidden")
    return caught.value.message


async def test_of_creates_at_one_moment_only_as_many_pass_as_are_left(world: World) -> None:
    await world.client.create(quota({"pods": "2"}))
    answers = await asyncio.gather(
        *(world.client.create(pod(f"p{number}")) for number in range(5)), return_exceptions=True
    )
    refused = [str(answer) for answer in answers if isinstance(answer, ApiError)]
    assert len(refused) == 3
    assert refused[-1] == (
        'pods "p4" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2'
    )
    assert len((await world.client.list(core_v1.Pod, "default")).items) == 2


async def test_what_is_deleted_or_fails_to_be_written_is_free_again(world: World) -> None:
    await world.client.create(quota({"configmaps": "2", "count/configmaps": "2"}))

    def config(name: str) -> core_v1.ConfigMap:
        return core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(name=name, namespace="default"))

    await world.client.create(config("a"))
    with pytest.raises(ApiError, match="already exists"):
        await world.client.create(config("a"))
    await world.client.create(config("b"))
    assert await refusal(world, config("c")) == (
        'configmaps "c" is forbidden: exceeded quota: q, requested: configmaps=1,count/configmaps=1,'
        " used: configmaps=2,count/configmaps=2, limited: configmaps=2,count/configmaps=2"
    )
    await world.client.delete(core_v1.ConfigMap, "default", "a")
    await world.client.create(config("c"))


async def test_what_a_quota_limits_must_be_stated(world: World) -> None:
    await world.client.create(quota({"cpu": "1", "requests.memory": "100Mi", "requests.example.com/gpu": "2"}))
    assert await refusal(world, pod("a", {"ephemeral-storage": "1Gi"})) == (
        'pods "a" is forbidden: failed quota: q: must specify cpu for: c; requests.memory for: c'
    )
    await world.client.create(pod("a", {"cpu": "600m", "memory": "60Mi"}))
    assert await refusal(world, pod("b", {"cpu": "600m", "memory": "60Mi"})) == (
        'pods "b" is forbidden: exceeded quota: q, requested: cpu=600m,requests.memory=60Mi,'
        " used: cpu=600m,requests.memory=60Mi, limited: cpu=1,requests.memory=100Mi"
    )


async def test_ended_pods_use_nothing(world: World) -> None:
    await world.client.create(quota({"pods": "1"}))
    ended = codec.copy(await world.client.create(pod("a")))
    ended.status.phase = "Succeeded"
    await world.client.update_status(ended)
    await world.client.create(pod("b"))
    assert "exceeded quota" in await refusal(world, pod("c"))


async def test_scopes_choose_pods(world: World) -> None:
    await world.client.create(quota({"pods": "1"}, "ending", scopes=["Terminating"]))
    await world.client.create(quota({"pods": "1"}, "idle", scopes=["BestEffort"]))
    await world.client.create(pod("short", activeDeadlineSeconds=60))
    assert "exceeded quota: ending" in await refusal(world, pod("shorter", {"cpu": "1"}, activeDeadlineSeconds=30))
    await world.client.create(pod("long", {"cpu": "1"}))
    assert "exceeded quota: idle" in await refusal(world, pod("other"))


async def test_priority_classes_choose_pods(world: World) -> None:
    await world.client.create(
        quota({"pods": "0"}, "system", scopeSelector=only("PriorityClass", "In", "system-node-critical"))
    )
    await world.client.create(quota({"pods": "1"}, "others", scopeSelector=only("PriorityClass", "DoesNotExist")))
    critical = pod("critical", priorityClassName="system-node-critical")
    assert "exceeded quota: system" in await refusal(world, critical)
    await world.client.create(pod("plain"))
    assert "exceeded quota: others" in await refusal(world, pod("plainer"))


async def test_services_are_charged_when_they_change_too(world: World) -> None:
    await world.client.create(quota({"services": "2", "services.nodeports": "1"}))
    meta = meta_v1.ObjectMeta(name="s", namespace="default")
    ports = [core_v1.ServicePort(name=name, port=number) for name, number in (("a", 80), ("b", 81))]
    made = await world.client.create(core_v1.Service(metadata=meta, spec=core_v1.ServiceSpec(ports=ports)))
    service = codec.copy(made)
    service.spec.type = "NodePort"
    with pytest.raises(ApiError, match=r"requested: services.nodeports=2, used: services.nodeports=0, limited"):
        await world.client.update(service)
    assert service.spec.ports is not None
    service.spec.ports = service.spec.ports[:1]
    assert (await world.client.update(service)).spec.type == "NodePort"


async def test_claims_are_charged_by_size_and_class(world: World) -> None:
    gold = "gold.storageclass.storage.k8s.io/"
    await world.client.create(quota({"requests.storage": "10Gi", gold + "requests.storage": "2Gi"}))

    await world.client.create(claim("a", "8Gi", storageClassName="iron"))
    await world.client.create(claim("b", "1Gi", storageClassName="gold"))
    message = await refusal(world, claim("c", "1536Mi", storageClassName="gold"))
    assert message.endswith(
        f"exceeded quota: q, requested: {gold}requests.storage=1536Mi,requests.storage=1536Mi,"
        f" used: {gold}requests.storage=1Gi,requests.storage=9Gi,"
        f" limited: {gold}requests.storage=2Gi,requests.storage=10Gi"
    )


async def test_any_resource_is_counted_and_dry_runs_are_not(world: World) -> None:
    await world.client.create(quota({"count/deployments.apps": "1"}))

    def deployment(name: str) -> apps_v1.Deployment:
        labels = {"a": "b"}
        template = core_v1.PodTemplateSpec(metadata=meta_v1.ObjectMeta(labels=labels), spec=pod("x").spec)
        spec = apps_v1.DeploymentSpec(selector=meta_v1.LabelSelector(matchLabels=labels), template=template)
        return apps_v1.Deployment(metadata=meta_v1.ObjectMeta(name=name, namespace="default"), spec=spec)

    await world.client.create(deployment("a"))
    assert await refusal(world, deployment("b")) == (
        'deployments.apps "b" is forbidden: exceeded quota: q, requested: count/deployments.apps=1,'
        " used: count/deployments.apps=1, limited: count/deployments.apps=1"
    )
    await world.client.delete(apps_v1.Deployment, "default", "a")
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "c"},
        "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "c", "image": "i"}]},
            },
        },
    }
    for _ in range(2):
        answer = await world.http("POST", "/apis/apps/v1/namespaces/default/deployments?dryRun=All", body)
        assert answer.code == 201
    await world.client.create(deployment("d"))


async def test_a_quota_counts_from_when_it_comes_by_its_latest_limits_until_it_goes(world: World) -> None:
    await world.client.create(pod("a"))
    made = await world.client.create(quota({"pods": "1"}))
    message = await refusal(world, pod("b"))
    assert message.endswith("exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1")
    wider = codec.copy(made)
    wider.spec.hard = {"pods": parse("2")}
    await world.client.update(wider)
    await world.client.create(pod("b"))
    await refusal(world, pod("c"))
    await world.client.delete(core_v1.ResourceQuota, "default", "q")
    await world.client.create(pod("c"))
    await world.client.create(quota({"pods": "3"}))
    assert "used: pods=3" in await refusal(world, pod("d"))


async def test_every_quota_has_its_say(world: World) -> None:
    await world.client.create(quota({"pods": "5"}, "wide"))
    await world.client.create(quota({"pods": "0"}, "narrow"))
    assert "exceeded quota: narrow" in await refusal(world, pod("a"))


async def test_extended_resources_are_limited_by_what_is_requested(world: World) -> None:
    await world.client.create(quota({"requests.example.com/gpu": "2"}))

    def asking(name: str, count: str) -> core_v1.Pod:
        found = pod(name, {"example.com/gpu": count})
        assert found.spec.containers[0].resources is not None
        found.spec.containers[0].resources.limits = {"example.com/gpu": parse(count)}
        return found

    await world.client.create(asking("a", "1"))
    assert (await refusal(world, asking("b", "2"))).endswith(
        "exceeded quota: q, requested: requests.example.com/gpu=2, used: requests.example.com/gpu=1,"
        " limited: requests.example.com/gpu=2"
    )
    await world.client.create(pod("plain"))


async def test_affinity_to_pods_of_other_namespaces_can_be_forbidden(world: World) -> None:
    await world.client.create(quota({"pods": "0"}, scopeSelector=only("CrossNamespacePodAffinity")))

    def near(**where: Any) -> core_v1.Affinity:
        term = core_v1.PodAffinityTerm(
            topologyKey="zone", labelSelector=meta_v1.LabelSelector(matchLabels={"a": "b"}), **where
        )
        weighted = core_v1.WeightedPodAffinityTerm(weight=1, podAffinityTerm=term)
        return core_v1.Affinity(
            podAntiAffinity=core_v1.PodAntiAffinity(preferredDuringSchedulingIgnoredDuringExecution=[weighted])
        )

    await world.client.create(pod("here", affinity=near()))
    assert "exceeded quota" in await refusal(world, pod("there", affinity=near(namespaces=["other"])))
    everywhere = near(namespaceSelector=meta_v1.LabelSelector())
    assert "exceeded quota" in await refusal(world, pod("everywhere", affinity=everywhere))


async def test_attributes_classes_choose_claims(world: World) -> None:
    await world.client.create(
        quota({"requests.storage": "1Gi"}, "gold", scopeSelector=only("VolumeAttributesClass", "In", "gold"))
    )
    await world.client.create(
        quota({"persistentvolumeclaims": "1"}, "none", scopeSelector=only("VolumeAttributesClass", "DoesNotExist"))
    )
    await world.client.create(claim("a", volumeAttributesClassName="gold"))
    assert "exceeded quota: gold" in await refusal(world, claim("b", volumeAttributesClassName="gold"))
    await world.client.create(claim("c", volumeAttributesClassName="iron"))
    await world.client.create(claim("d"))
    assert "exceeded quota: none" in await refusal(world, claim("e"))


async def test_devices_are_limited_by_class_at_their_most(world: World) -> None:
    name = "fast.deviceclass.resource.k8s.io/devices"
    await world.client.create(quota({name: "4", "count/resourceclaims.resource.k8s.io": "9"}))

    def devices(name: str, *requests: resource_v1.DeviceRequest) -> resource_v1.ResourceClaim:
        spec = resource_v1.ResourceClaimSpec(devices=resource_v1.DeviceClaim(requests=list(requests)))
        return resource_v1.ResourceClaim(metadata=meta_v1.ObjectMeta(name=name, namespace="default"), spec=spec)

    exactly = resource_v1.DeviceRequest(
        name="one", exactly=resource_v1.ExactDeviceRequest(deviceClassName="fast", count=1)
    )
    either = resource_v1.DeviceRequest(
        name="either",
        firstAvailable=[
            resource_v1.DeviceSubRequest(name="many", deviceClassName="fast", count=3),
            resource_v1.DeviceSubRequest(name="few", deviceClassName="fast", count=2),
            resource_v1.DeviceSubRequest(name="slow", deviceClassName="slow", count=9),
        ],
    )
    every = resource_v1.DeviceRequest(
        name="all", exactly=resource_v1.ExactDeviceRequest(deviceClassName="fast", allocationMode="All")
    )
    assert f"requested: {name}=32" in await refusal(world, devices("a", every))
    await world.client.create(devices("a", exactly, either))
    assert (await refusal(world, devices("b", exactly))).endswith(
        f"exceeded quota: q, requested: {name}=1, used: {name}=4, limited: {name}=4"
    )
