"""Owners and dependents: background, foreground, orphans, owners that never were."""

from __future__ import annotations

from typing import Any

from tiphys.kinds.types import core_v1, meta_v1, rbac_v1


def config_map(name: str, *owners: Any, finalizers: list[str] | None = None, blocks: bool = True) -> core_v1.ConfigMap:
    references = [
        meta_v1.OwnerReference(
            apiVersion=o.apiVersion, kind=o.kind, name=o.metadata.name, uid=o.metadata.uid, blockOwnerDeletion=blocks
        )
        for o in owners
    ]
    meta = meta_v1.ObjectMeta(name=name, namespace="default", ownerReferences=references or None, finalizers=finalizers)
    return core_v1.ConfigMap(metadata=meta)


def names(cluster: Any) -> list[str]:
    found = cluster.api.list(core_v1.ConfigMap, "default")
    return [c.metadata.name for c in found if c.metadata.name != "kube-root-ca.crt"]


def delete(cluster: Any, name: str, policy: str) -> None:
    cluster.api.remove(core_v1.ConfigMap, "default", name, meta_v1.DeleteOptions(propagationPolicy=policy))


async def test_dependents_follow_their_owner_in_the_background(cluster: Any) -> None:
    owner = cluster.api.add(config_map("owner"))
    child = cluster.api.add(config_map("child", owner))
    cluster.api.add(config_map("grandchild", child))
    cluster.api.add(config_map("stranger"))
    await cluster.quiet()
    delete(cluster, "owner", "Background")
    assert names(cluster) == ["child", "grandchild", "stranger"]
    await cluster.quiet()
    assert names(cluster) == ["stranger"]


async def test_creating_dependents_of_a_known_owner_costs_no_calls(cluster: Any) -> None:
    owner = cluster.api.add(config_map("owner"))
    cluster.api.add(config_map("first", owner))
    await cluster.quiet()
    user = "system:serviceaccount:kube-system:generic-garbage-collector"
    before = [c for c in cluster.api.calls if c.user == user]
    assert [c.verb for c in before] == ["get"]
    for number in range(20):
        cluster.api.add(config_map(f"next-{number}", owner))
    await cluster.quiet()
    assert [c for c in cluster.api.calls if c.user == user] == before


async def test_a_foreground_deletion_waits_for_dependents_that_block(cluster: Any) -> None:
    owner = cluster.api.add(config_map("owner"))
    cluster.api.add(config_map("held", owner, finalizers=["example.com/hold"]))
    cluster.api.add(config_map("free", owner))
    await cluster.quiet()
    delete(cluster, "owner", "Foreground")
    await cluster.quiet()
    assert names(cluster) == ["held", "owner"]
    assert cluster.api.get(core_v1.ConfigMap, "default", "held").metadata.deletionTimestamp is not None

    def let_go(obj: core_v1.ConfigMap) -> None:
        obj.metadata.finalizers = None

    cluster.api.change(core_v1.ConfigMap, "default", "held", let_go)
    await cluster.quiet()
    assert names(cluster) == []


async def test_a_foreground_deletion_does_not_wait_for_those_that_do_not_block(cluster: Any) -> None:
    owner = cluster.api.add(config_map("owner"))
    cluster.api.add(config_map("held", owner, finalizers=["example.com/hold"], blocks=False))
    await cluster.quiet()
    delete(cluster, "owner", "Foreground")
    await cluster.quiet()
    assert names(cluster) == ["held"]


async def test_a_circle_in_the_foreground_comes_to_an_end(cluster: Any) -> None:
    first = cluster.api.add(config_map("first"))
    second = cluster.api.add(config_map("second", first))

    def close(obj: core_v1.ConfigMap) -> None:
        obj.metadata.ownerReferences = config_map("x", second).metadata.ownerReferences

    cluster.api.change(core_v1.ConfigMap, "default", "first", close)
    await cluster.quiet()
    delete(cluster, "first", "Foreground")
    await cluster.steps(5)
    assert names(cluster) == []


async def test_orphans_forget_their_owner(cluster: Any) -> None:
    owner = cluster.api.add(config_map("owner"))
    other = cluster.api.add(config_map("other"))
    cluster.api.add(config_map("child", owner, other))
    await cluster.quiet()
    delete(cluster, "owner", "Orphan")
    await cluster.quiet()
    assert names(cluster) == ["child", "other"]
    child = cluster.api.get(core_v1.ConfigMap, "default", "child")
    assert [r.name for r in child.metadata.ownerReferences] == ["other"]


async def test_one_living_owner_is_enough_and_the_dead_reference_goes(cluster: Any) -> None:
    owner = cluster.api.add(config_map("owner"))
    other = cluster.api.add(config_map("other"))
    cluster.api.add(config_map("child", owner, other))
    await cluster.quiet()
    delete(cluster, "owner", "Background")
    await cluster.quiet()
    assert names(cluster) == ["child", "other"]
    child = cluster.api.get(core_v1.ConfigMap, "default", "child")
    assert [r.name for r in child.metadata.ownerReferences] == ["other"]


async def test_an_owner_that_never_was_takes_its_dependent_along(cluster: Any) -> None:
    owner = cluster.api.add(config_map("owner"))
    ghost = config_map("ghost")
    ghost.metadata.uid = "no-such-uid"
    impostor = config_map("owner")
    impostor.metadata.uid = "another-uid"
    cluster.api.add(config_map("of-ghost", ghost))
    cluster.api.add(config_map("of-impostor", impostor))
    cluster.api.add(config_map("of-owner", owner))
    await cluster.quiet()
    assert names(cluster) == ["of-owner", "owner"]


async def test_an_object_of_the_cluster_is_not_taken_by_an_owner_in_a_namespace(cluster: Any) -> None:
    owner = cluster.api.add(config_map("owner"))
    role = rbac_v1.ClusterRole(metadata=config_map("role", owner).metadata)
    role.metadata.namespace = None
    cluster.api.add(role)
    delete(cluster, "owner", "Background")
    await cluster.steps(3)
    assert cluster.api.get(rbac_v1.ClusterRole, "", "role") is not None


async def test_a_server_that_is_away_deletes_nothing(cluster: Any) -> None:
    from tiphys.machinery.errors import ApiError

    owner = cluster.api.add(config_map("owner"))
    cluster.api.fail(ApiError(0, "Unreachable", "away"), verb="get", resource="configmaps", times=2)
    cluster.api.add(config_map("child", owner))
    await cluster.steps(3)
    assert names(cluster) == ["child", "owner"]


async def test_what_happened_while_the_watches_were_down_is_made_up_for(cluster: Any) -> None:
    owner = cluster.api.add(config_map("owner"))
    cluster.api.add(config_map("child", owner))
    await cluster.quiet()
    cluster.api.break_watches()
    delete(cluster, "owner", "Background")
    cluster.api.compact()
    await cluster.steps(3)
    assert names(cluster) == []
