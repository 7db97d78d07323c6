"""ResourceQuotas under all controllers: the status follows what is there, and refusals reach the owners' conditions."""

from __future__ import annotations

from typing import Any

from tiphys.kinds.types import core_v1, meta_v1, networking_v1
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
