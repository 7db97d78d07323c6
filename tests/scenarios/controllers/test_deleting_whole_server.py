"""Deleting over a whole API server with the controllers in the same process: owners, dependents, finalizers,
namespaces, preconditions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from whole_server import Whole, whole_server

from tiphys.client.interface import ApiRequest
from tiphys.kinds import codec
from tiphys.kinds.types import apps_v1, core_v1, meta_v1
from tiphys.machinery.errors import ApiError


@pytest_asyncio.fixture
async def whole() -> AsyncIterator[Whole]:
    names = ("namespace", "garbage-collector", "replicaset", "serviceaccount", "root-ca-certificate-publisher")
    async with whole_server(*names) as made:
        yield made


def config_map(name: str, *owners: core_v1.ConfigMap, blocks: bool = True, **metadata: Any) -> core_v1.ConfigMap:
    references = [
        meta_v1.OwnerReference(
            apiVersion="v1",
            kind="ConfigMap",
            name=owner.metadata.name,
            uid=owner.metadata.uid,
            blockOwnerDeletion=blocks,
        )
        for owner in owners
    ]
    meta = meta_v1.ObjectMeta(name=name, namespace="team", ownerReferences=references or None, **metadata)
    return core_v1.ConfigMap(metadata=meta)


async def family(whole: Whole) -> core_v1.ConfigMap:
    """An owner, its child, its grandchild, and a child that somebody else owns as well."""
    owner = await whole.client.create(config_map("owner"))
    other = await whole.client.create(config_map("other"))
    child = await whole.client.create(config_map("child", owner))
    await whole.client.create(config_map("grandchild", child))
    await whole.client.create(config_map("shared", owner, other))
    await whole.quiet()
    return owner


ALL = {"owner", "other", "child", "grandchild", "shared"}
GONE = {"other", "shared"}
ORPHANED = ALL - {"owner"}


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ({}, GONE),
        ({"propagationPolicy": "Background"}, GONE),
        ({"propagationPolicy": "Foreground"}, GONE),
        ({"propagationPolicy": "Orphan"}, ORPHANED),
        ({"orphanDependents": True}, ORPHANED),
        ({"orphanDependents": False}, GONE),
        ({"propagationPolicy": "Foreground", "dryRun": ["All"]}, ALL),
        ({"propagationPolicy": "Orphan", "dryRun": ["All"]}, ALL),
    ],
    ids=lambda given: str(sorted(given)) if isinstance(given, set) else str(given),
)
async def test_what_becomes_of_dependents(whole: Whole, options: dict[str, Any], left: set[str]) -> None:
    await family(whole)
    await whole.delete("configmaps", "owner", **options)
    await whole.later(5.0)
    assert set(await whole.names(core_v1.ConfigMap)) - {"kube-root-ca.crt"} == left
    shared = await whole.client.get(core_v1.ConfigMap, "team", "shared")
    owners = [reference.name for reference in shared.metadata.ownerReferences or ()]
    assert owners == (["owner", "other"] if left == ALL else ["other"])
    assert shared.metadata.finalizers is None
    if left == ORPHANED:
        child = await whole.client.get(core_v1.ConfigMap, "team", "child")
        grandchild = await whole.client.get(core_v1.ConfigMap, "team", "grandchild")
        assert child.metadata.ownerReferences is None
        assert [reference.name for reference in grandchild.metadata.ownerReferences or ()] == ["child"]


@pytest.mark.parametrize("blocks", [True, False])
async def test_in_the_foreground_an_owner_waits_for_those_that_block(whole: Whole, blocks: bool) -> None:
    owner = await whole.client.create(config_map("owner"))
    await whole.client.create(config_map("child", owner, blocks=blocks, finalizers=["example.com/hold"]))
    await whole.quiet()
    await whole.delete("configmaps", "owner", propagationPolicy="Foreground")
    await whole.later(5.0)
    left = set(await whole.names(core_v1.ConfigMap)) - {"kube-root-ca.crt"}
    assert left == ({"owner", "child"} if blocks else {"child"})
    if blocks:
        waiting = await whole.client.get(core_v1.ConfigMap, "team", "owner")
        assert waiting.metadata.finalizers == ["foregroundDeletion"]
        assert waiting.metadata.deletionTimestamp is not None
    child = codec.copy(await whole.client.get(core_v1.ConfigMap, "team", "child"))
    assert child.metadata.deletionTimestamp is not None
    child.metadata.finalizers = None
    await whole.client.update(child)
    await whole.later(5.0)
    assert await whole.names(core_v1.ConfigMap) == ["kube-root-ca.crt"]


async def test_an_owner_that_never_was(whole: Whole) -> None:
    absent = config_map("nobody")
    absent.metadata.uid = "0000"
    await whole.client.create(config_map("child", absent))
    await whole.later(5.0)
    assert await whole.names(core_v1.ConfigMap) == ["kube-root-ca.crt"]


async def test_pods_of_a_replica_set(whole: Whole) -> None:
    template = core_v1.PodTemplateSpec(
        metadata=meta_v1.ObjectMeta(labels={"app": "web"}),
        spec=core_v1.PodSpec(containers=[core_v1.Container(name="c", image="i")]),
    )
    spec = apps_v1.ReplicaSetSpec(
        replicas=3, selector=meta_v1.LabelSelector(matchLabels={"app": "web"}), template=template
    )
    await whole.client.create(apps_v1.ReplicaSet(metadata=meta_v1.ObjectMeta(name="rs", namespace="team"), spec=spec))
    await whole.quiet()
    assert len(await whole.names(core_v1.Pod)) == 3
    request = ApiRequest(
        verb="delete", group="apps", version="v1", resource="replicasets", namespace="team", name="rs",
        body=meta_v1.DeleteOptions(propagationPolicy="Foreground"),
    )  # fmt: skip
    await whole.client.transport.call(request)
    await whole.later(5.0)
    assert (await whole.names(core_v1.Pod), await whole.names(apps_v1.ReplicaSet)) == ([], [])


PRECONDITIONS = {
    "the right uid": ("same", None, None),
    "the right version": (None, "same", None),
    "both": ("same", "same", None),
    "another uid": ("other", None, "Precondition failed: UID in precondition: other, UID in object meta: {uid}"),
    "another version": (
        None,
        "1",
        "Precondition failed: ResourceVersion in precondition: 1, ResourceVersion in object meta: {version}",
    ),
    "another version of the right object": ("same", "1", "Precondition failed: ResourceVersion in precondition: 1"),
}


@pytest.mark.parametrize("case", PRECONDITIONS)
async def test_preconditions(whole: Whole, case: str) -> None:
    uid, version, message = PRECONDITIONS[case]
    made = await whole.client.create(config_map("a"))
    meta = made.metadata
    wanted = meta_v1.Preconditions(
        uid=meta.uid if uid == "same" else uid, resourceVersion=meta.resourceVersion if version == "same" else version
    )
    if message is None:
        await whole.delete("configmaps", "a", preconditions=wanted)
        assert "a" not in await whole.names(core_v1.ConfigMap)
        return
    with pytest.raises(ApiError) as caught:
        await whole.delete("configmaps", "a", preconditions=wanted)
    assert (caught.value.code, caught.value.reason) == (409, "Conflict")
    assert message.format(uid=meta.uid, version=meta.resourceVersion) in caught.value.message
    assert await whole.client.get(core_v1.ConfigMap, "team", "a") == made


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"propagationPolicy": "Orphan", "orphanDependents": True},
            "orphanDependents and deletionPropagation cannot be both set",
        ),
        ({"propagationPolicy": "Sideways"}, 'propagationPolicy: Unsupported value: "Sideways"'),
        ({"dryRun": ["Some"]}, 'Unsupported value: ["Some"]: supported values: "All"'),
    ],
)
async def test_options_that_make_no_sense(whole: Whole, options: dict[str, Any], message: str) -> None:
    await whole.client.create(config_map("a"))
    with pytest.raises(ApiError) as caught:
        await whole.delete("configmaps", "a", **options)
    assert (caught.value.code, caught.value.reason) == (422, "Invalid")
    assert message in caught.value.message
    assert "a" in await whole.names(core_v1.ConfigMap)


async def test_a_namespace_goes_in_order(whole: Whole) -> None:
    """Pods first, then the rest; conditions say what is left; nothing new comes in meanwhile."""
    spec = core_v1.PodSpec(nodeName="n", containers=[core_v1.Container(name="c", image="i")])
    await whole.client.create(core_v1.Pod(metadata=meta_v1.ObjectMeta(name="p", namespace="team"), spec=spec))
    await whole.client.create(config_map("held", finalizers=["example.com/hold"]))
    await whole.client.create(config_map("free"))
    marked = await whole.delete("namespaces", "team", "")
    assert (marked.status.phase, marked.metadata.deletionTimestamp is not None) == ("Terminating", True)
    with pytest.raises(ApiError) as caught:
        await whole.client.create(config_map("late"))
    assert (caught.value.code, caught.value.reason) == (403, "Forbidden")
    assert "because it is being terminated" in caught.value.message
    assert [cause.reason for cause in caught.value.causes] == ["NamespaceTerminating"]
    await whole.later(5.0)
    assert await conditions(whole) == {
        "NamespaceDeletionDiscoveryFailure": "False ResourcesDiscovered",
        "NamespaceDeletionGroupVersionParsingFailure": "False ParsedGroupVersions",
        "NamespaceDeletionContentFailure": "False ContentDeleted",
        "NamespaceContentRemaining": "True SomeResourcesRemain",
        "NamespaceFinalizersRemaining": "False ContentHasNoFinalizers",
    }
    assert set(await whole.names(core_v1.ConfigMap)) == {"held", "free", "kube-root-ca.crt"}
    await whole.delete("pods", "p", gracePeriodSeconds=0)
    await whole.later(5.0)
    assert await whole.names(core_v1.ConfigMap) == ["held"]
    found = await conditions(whole)
    assert found["NamespaceFinalizersRemaining"] == "True SomeFinalizersRemain"
    held = codec.copy(await whole.client.get(core_v1.ConfigMap, "team", "held"))
    held.metadata.finalizers = None
    await whole.client.update(held)
    await whole.later(10.0)
    assert "team" not in await whole.names(core_v1.Namespace, "")


async def conditions(whole: Whole) -> dict[str, str]:
    namespace = await whole.client.get(core_v1.Namespace, "", "team")
    return {c.type or "": f"{c.status} {c.reason}" for c in namespace.status.conditions or ()}


async def test_a_namespace_with_a_finalizer_of_its_own(whole: Whole) -> None:
    namespace = codec.copy(await whole.client.get(core_v1.Namespace, "", "team"))
    namespace.metadata.finalizers = ["example.com/keep"]
    await whole.client.update(namespace)
    await whole.delete("namespaces", "team", "")
    await whole.later(5.0)
    waiting = codec.copy(await whole.client.get(core_v1.Namespace, "", "team"))
    assert (waiting.spec.finalizers, waiting.metadata.finalizers) == (None, ["example.com/keep"])
    assert await whole.names(core_v1.ConfigMap) == []
    waiting.metadata.finalizers = None
    await whole.client.update(waiting)
    await whole.later(5.0)
    assert "team" not in await whole.names(core_v1.Namespace, "")


async def test_collections_by_selector(whole: Whole) -> None:
    for name, color in (("a", "red"), ("b", "red"), ("c", "blue")):
        await whole.client.create(config_map(name, labels={"color": color}))
    request = ApiRequest(
        verb="deletecollection", group="", version="v1", resource="configmaps", namespace="team",
        label_selector="color=red", field_selector="metadata.name!=b",
    )  # fmt: skip
    await whole.client.transport.call(request)
    assert await whole.names(core_v1.ConfigMap) == ["b", "c", "kube-root-ca.crt"]


async def test_many_namespaces_at_once(whole: Whole) -> None:
    names = [f"n{number}" for number in range(10)]
    for name in names:
        await whole.client.create(core_v1.Namespace(metadata=meta_v1.ObjectMeta(name=name)))
    await whole.quiet()
    await asyncio.gather(*(whole.delete("namespaces", name, "") for name in names))
    await whole.later(10.0)
    assert not set(names) & set(await whole.names(core_v1.Namespace, ""))
