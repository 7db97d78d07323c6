"""Namespaces: what they get when they come and how they go."""

from __future__ import annotations

from typing import Any

from tiphys.kinds.types import core_v1, meta_v1


def in_namespace(kind: Any, name: str, **rest: Any) -> Any:
    return kind(metadata=meta_v1.ObjectMeta(name=name, namespace="team"), **rest)


async def test_a_namespace_gets_its_account_and_the_root_certificate(cluster: Any) -> None:
    cluster.api.add(core_v1.Namespace(metadata=meta_v1.ObjectMeta(name="team")))
    await cluster.quiet()
    assert [a.metadata.name for a in cluster.api.list(core_v1.ServiceAccount, "team")] == ["default"]
    assert cluster.api.get(core_v1.ConfigMap, "team", "kube-root-ca.crt").data == {"ca.crt": "CA"}
    cluster.api.remove(core_v1.ServiceAccount, "team", "default")

    def spoil(obj: core_v1.ConfigMap) -> None:
        obj.data = {"ca.crt": "other"}

    cluster.api.change(core_v1.ConfigMap, "team", "kube-root-ca.crt", spoil)
    await cluster.quiet()
    assert [a.metadata.name for a in cluster.api.list(core_v1.ServiceAccount, "team")] == ["default"]
    assert cluster.api.get(core_v1.ConfigMap, "team", "kube-root-ca.crt").data == {"ca.crt": "CA"}


async def test_a_namespace_is_emptied_pods_first_and_then_goes(cluster: Any) -> None:
    cluster.api.add(core_v1.Namespace(metadata=meta_v1.ObjectMeta(name="team")))
    cluster.api.add(in_namespace(core_v1.Pod, "p", spec=core_v1.PodSpec(nodeName="a")))
    cluster.api.add(in_namespace(core_v1.Secret, "s"))
    cluster.ends_pods = False
    await cluster.steps(2)
    cluster.api.remove(core_v1.Namespace, "", "team")
    await cluster.steps(2)
    namespace = cluster.api.get(core_v1.Namespace, "", "team")
    assert namespace.status.phase == "Terminating"
    conditions = {c.type: (c.status, c.reason, c.message) for c in namespace.status.conditions}
    assert conditions["NamespaceContentRemaining"] == (
        "True",
        "SomeResourcesRemain",
        "Some resources are remaining: pods. has 1 resource instances",
    )
    assert conditions["NamespaceDeletionContentFailure"][0] == "False"
    assert cluster.api.get(core_v1.Secret, "team", "s") is not None
    cluster.ends_pods = True
    await cluster.steps(2)
    assert cluster.api.get(core_v1.Namespace, "", "team") is None
    assert cluster.api.list(core_v1.Secret, "team") == []
    assert cluster.api.list(core_v1.ConfigMap, "team") == []


async def test_finalizers_of_content_are_waited_for_and_told_of(cluster: Any) -> None:
    cluster.api.add(core_v1.Namespace(metadata=meta_v1.ObjectMeta(name="team")))
    held = in_namespace(core_v1.Secret, "s")
    held.metadata.finalizers = ["example.com/hold"]
    cluster.api.add(held)
    await cluster.quiet()
    cluster.api.remove(core_v1.Namespace, "", "team")
    await cluster.steps(2)
    namespace = cluster.api.get(core_v1.Namespace, "", "team")
    told = next(c for c in namespace.status.conditions if c.type == "NamespaceFinalizersRemaining")
    assert (told.status, told.message) == (
        "True",
        "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances",
    )

    def let_go(obj: core_v1.Secret) -> None:
        obj.metadata.finalizers = None

    cluster.api.change(core_v1.Secret, "team", "s", let_go)
    await cluster.steps(8)
    assert cluster.api.get(core_v1.Namespace, "", "team") is None
