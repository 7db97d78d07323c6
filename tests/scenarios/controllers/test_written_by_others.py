"""What other clients write into the objects of controllers while those work: a whole API server, all controllers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from whole_server import Whole, whole_server

from tiphys.client.interface import PatchType
from tiphys.kinds import codec
from tiphys.kinds.types import apps_v1, batch_v1, core_v1, meta_v1, policy_v1
from tiphys.machinery.errors import ApiError

LABELS = {"app": "web"}
TIME = "2026-01-01T00:00:00Z"


@pytest_asyncio.fixture
async def whole() -> AsyncIterator[Whole]:
    async with whole_server("*") as made:
        await made.client.create(core_v1.Node(metadata=meta_v1.ObjectMeta(name="node")))
        yield made


def meta(name: str = "thing", **values: Any) -> meta_v1.ObjectMeta:
    return meta_v1.ObjectMeta(name=name, namespace="team", **values)


def template(**spec: Any) -> core_v1.PodTemplateSpec:
    pod = core_v1.PodSpec(containers=[core_v1.Container(name="c", image="i")], **spec)
    return core_v1.PodTemplateSpec(metadata=meta_v1.ObjectMeta(labels=LABELS), spec=pod)


SELECTOR = meta_v1.LabelSelector(matchLabels=LABELS)
OWNERS: dict[str, Callable[[], Any]] = {
    "Deployment": lambda: apps_v1.Deployment(
        metadata=meta(labels=LABELS), spec=apps_v1.DeploymentSpec(replicas=2, selector=SELECTOR, template=template())
    ),
    "ReplicaSet": lambda: apps_v1.ReplicaSet(
        metadata=meta(labels=LABELS), spec=apps_v1.ReplicaSetSpec(replicas=2, selector=SELECTOR, template=template())
    ),
    "StatefulSet": lambda: apps_v1.StatefulSet(
        metadata=meta(labels=LABELS),
        spec=apps_v1.StatefulSetSpec(replicas=2, selector=SELECTOR, template=template(), serviceName="web"),
    ),
    "DaemonSet": lambda: apps_v1.DaemonSet(
        metadata=meta(labels=LABELS), spec=apps_v1.DaemonSetSpec(selector=SELECTOR, template=template())
    ),
    "Job": lambda: batch_v1.Job(
        metadata=meta(labels=LABELS),
        spec=batch_v1.JobSpec(parallelism=2, completions=4, template=template(restartPolicy="Never")),
    ),
    "ReplicationController": lambda: core_v1.ReplicationController(
        metadata=meta(labels=LABELS),
        spec=core_v1.ReplicationControllerSpec(replicas=2, selector=LABELS, template=template()),
    ),
}


def condition(kind: str) -> dict[str, str]:
    return {
        "type": kind,
        "status": "True",
        "reason": "Test",
        "message": "written by others",
        "lastTransitionTime": TIME,
    }


def types(found: Any) -> set[str]:
    return {c.type for c in found.status.conditions or ()}


@pytest.mark.parametrize("what", OWNERS)
async def test_conditions_of_others_are_seen_and_stay(whole: Whole, what: str) -> None:
    made = await whole.client.create(OWNERS[what]())
    kind = type(made)
    await whole.later(1.0)
    before = await whole.client.get(kind, "team", "thing")
    patch = {"metadata": {"annotations": {"patched": "yes"}}, "status": {"conditions": [condition("Patched")]}}
    patched = await whole.client.patch(kind, "team", "thing", patch, PatchType.MERGE, "status")
    assert patched.metadata.annotations["patched"] == "yes"
    assert "Patched" in types(patched)
    await whole.later(1.0)
    changed = codec.copy(await whole.client.get(kind, "team", "thing"))
    assert "Patched" in types(changed)
    changed.status.conditions.append(type(changed.status.conditions[0])(type="Updated", status="True"))
    assert {"Patched", "Updated"} <= types(await whole.client.update_status(changed))
    strategic = {"status": {"conditions": [condition("Merged")]}}
    merged = await whole.client.patch(kind, "team", "thing", strategic, subresource="status")
    assert {"Patched", "Updated", "Merged"} <= types(merged)
    await whole.client.patch(kind, "team", "thing", {"metadata": {"labels": {"more": "yes"}}})
    await whole.later(1.0)
    last = await whole.client.get(kind, "team", "thing")
    assert {"Patched", "Updated", "Merged"} <= types(last)
    assert (last.metadata.uid, last.spec) == (before.metadata.uid, before.spec)


async def revisions(whole: Whole) -> dict[str, int]:
    """Numbers by name."""
    listed = await whole.client.list(apps_v1.ControllerRevision, "team", label_selector="app=web")
    return {item.metadata.name or "": item.revision for item in listed.items}


async def test_revisions_that_others_make_change_and_delete(whole: Whole) -> None:
    owner = await whole.client.create(OWNERS["DaemonSet"]())
    await whole.later(1.0)
    ((first, number),) = (await revisions(whole)).items()
    assert number == 1
    kind = apps_v1.ControllerRevision
    patched = await whole.client.patch(kind, "team", first, {"metadata": {"labels": {"note": "patched"}}})
    assert patched.metadata.labels is not None and patched.metadata.labels["note"] == "patched"
    reference = meta_v1.OwnerReference(
        apiVersion="apps/v1", kind="DaemonSet", name="thing", uid=owner.metadata.uid, controller=True
    )
    labels = {**LABELS, "controller-revision-hash": "other"}
    second = kind(metadata=meta("thing-other", labels=labels, ownerReferences=[reference]), data=patched.data)
    second.revision = 2
    await whole.client.create(second)
    await whole.later(1.0)
    assert await revisions(whole) == {first: 1, "thing-other": 2}
    await whole.client.delete(kind, "team", first)
    await whole.later(1.0)
    assert await revisions(whole) == {"thing-other": 2}
    changed = codec.copy(await whole.client.get(kind, "team", "thing-other"))
    assert changed.metadata.labels is not None
    changed.metadata.labels["note"] = "updated"
    await whole.client.update(changed)
    newer = {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 1}}}}
    await whole.client.patch(apps_v1.DaemonSet, "team", "thing", newer)
    await whole.later(1.0)
    assert sorted((await revisions(whole)).values()) == [2, 3]
    await whole.client.delete(kind, "team", "thing-other")
    await whole.later(1.0)
    assert list((await revisions(whole)).values()) == [3]


async def evict(whole: Whole, name: str) -> None:
    body = policy_v1.Eviction(metadata=meta(name))
    await whole.client.create_subresource(core_v1.Pod, "team", name, "eviction", body)


async def test_evictions_wait_for_the_budget(whole: Whole) -> None:
    spec = template().spec
    for number in range(3):
        await whole.client.create(core_v1.Pod(metadata=meta(f"pod-{number}", labels=LABELS), spec=spec))
        ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": TIME}]}
        await whole.client.patch(core_v1.Pod, "team", f"pod-{number}", {"status": ready}, subresource="status")
    budget = policy_v1.PodDisruptionBudget(
        metadata=meta("budget"), spec=policy_v1.PodDisruptionBudgetSpec(minAvailable=3, selector=SELECTOR)
    )
    await whole.client.create(budget)
    await whole.later(1.0)
    status = (await whole.client.get(policy_v1.PodDisruptionBudget, "team", "budget")).status
    assert (status.observedGeneration, status.currentHealthy, status.expectedPods, status.disruptionsAllowed) == (
        1, 3, 3, 0,
    )  # fmt: skip
    with pytest.raises(ApiError) as caught:
        await evict(whole, "pod-0")
    assert (caught.value.code, [cause.reason for cause in caught.value.causes]) == (429, ["DisruptionBudget"])
    looser = codec.copy(await whole.client.get(policy_v1.PodDisruptionBudget, "team", "budget"))
    looser.spec.minAvailable = 2
    await whole.client.update(looser)
    await whole.later(1.0)
    await evict(whole, "pod-0")
    await whole.later(1.0)
    tighter = {"spec": {"maxUnavailable": 0, "minAvailable": None}}
    await whole.client.patch(policy_v1.PodDisruptionBudget, "team", "budget", tighter, PatchType.MERGE)
    await whole.later(1.0)
    with pytest.raises(ApiError) as caught:
        await evict(whole, "pod-1")
    assert caught.value.code == 429
    await whole.client.delete(policy_v1.PodDisruptionBudget, "team", "budget")
    await evict(whole, "pod-1")


async def test_the_status_of_a_budget_is_written(whole: Whole) -> None:
    budget = policy_v1.PodDisruptionBudget(
        metadata=meta("budget"), spec=policy_v1.PodDisruptionBudgetSpec(minAvailable="1%", selector=SELECTOR)
    )
    await whole.client.create(budget)
    await whole.later(1.0)
    kind = policy_v1.PodDisruptionBudget
    changed = codec.copy(await whole.client.get(kind, "team", "budget"))
    changed.status.disruptedPods = {"pod": TIME}
    assert list((await whole.client.update_status(changed)).status.disruptedPods or ()) == ["pod"]
    patch = {"metadata": {"annotations": {"patched": "yes"}}, "status": {"disruptedPods": {"other": TIME}}}
    patched = await whole.client.patch(kind, "team", "budget", patch, PatchType.MERGE, "status")
    assert patched.metadata.annotations == {"patched": "yes"}
    assert "other" in (patched.status.disruptedPods or {})


def claim_and_volume() -> tuple[core_v1.PersistentVolumeClaim, core_v1.PersistentVolume]:
    """Of a class that nobody provisions for."""
    resources = core_v1.VolumeResourceRequirements(requests={"storage": "1Gi"})
    claim = core_v1.PersistentVolumeClaim(
        metadata=meta(labels=LABELS),
        spec=core_v1.PersistentVolumeClaimSpec(
            accessModes=["ReadWriteOnce"], resources=resources, storageClassName="none"
        ),
    )
    source = core_v1.CSIPersistentVolumeSource(driver="example.com", volumeHandle="one")
    volume = core_v1.PersistentVolume(
        metadata=meta_v1.ObjectMeta(name="volume", labels=LABELS),
        spec=core_v1.PersistentVolumeSpec(
            accessModes=["ReadWriteOnce"], capacity={"storage": "1Gi"}, csi=source, storageClassName="other"
        ),
    )
    return claim, volume


async def test_claims_and_volumes_take_what_others_write_and_go_when_they_are_deleted(whole: Whole) -> None:
    claim, volume = claim_and_volume()
    claims, volumes = core_v1.PersistentVolumeClaim, core_v1.PersistentVolume
    for _ in range(2):
        await whole.client.create(claim)
        await whole.client.create(volume)
        await whole.later(1.0)
        change = {"status": {"conditions": [{"type": "Patched", "status": "True", "reason": "Test", "message": "x"}]}}
        patched = codec.copy(await whole.client.patch(claims, "team", "thing", change, PatchType.MERGE, "status"))
        assert (types(patched), patched.status.phase) == ({"Patched"}, "Pending")
        patched.status.conditions = [core_v1.PersistentVolumeClaimCondition(type="Updated", status="True")]
        assert types(await whole.client.update_status(patched)) == {"Updated"}
        said = {"status": {"message": "patched", "reason": "Test"}}
        told = codec.copy(await whole.client.patch(volumes, "", "volume", said, PatchType.MERGE, "status"))
        assert (told.status.message, told.status.reason, told.status.phase) == ("patched", "Test", "Available")
        told.status.message = "updated"
        assert (await whole.client.update_status(told)).status.message == "updated"
        await whole.client.patch(claims, "team", "thing", {"metadata": {"labels": {"more": "yes"}}})
        await whole.client.patch(volumes, "", "volume", {"metadata": {"labels": {"more": "yes"}}})
        assert len((await whole.client.list(claims, label_selector="more=yes")).items) == 1
        assert len((await whole.client.list(volumes, label_selector="more=yes")).items) == 1
        await whole.delete("persistentvolumeclaims", "thing")
        await whole.delete("persistentvolumes", "volume", "")
        await whole.later(5.0)
        assert await whole.names(claims) == await whole.names(volumes, "") == []


async def test_the_root_certificate_is_there_whatever_others_do(whole: Whole) -> None:
    kind, name = core_v1.ConfigMap, "kube-root-ca.crt"
    await whole.delete("configmaps", name)
    await whole.later(1.0)
    again = codec.copy(await whole.client.get(kind, "team", name))
    assert again.data == {"ca.crt": "CA"}
    await whole.client.update(kind(metadata=meta(name), data={"ca.crt": ""}))
    await whole.later(1.0)
    assert (await whole.client.get(kind, "team", name)).data == {"ca.crt": "CA"}


async def test_pods_with_finalizers_hold_everything_else_in_their_namespace(whole: Whole) -> None:
    pod = core_v1.Pod(metadata=meta("held", finalizers=["example.com/hold"]), spec=template().spec)
    await whole.client.create(pod)
    await whole.client.create(core_v1.ConfigMap(metadata=meta("waiting")))
    await whole.delete("namespaces", "team", "")
    await whole.later(20.0)
    namespace = await whole.client.get(core_v1.Namespace, "", "team")
    found = {c.type: c.status for c in namespace.status.conditions or ()}
    assert (found["NamespaceContentRemaining"], found["NamespaceFinalizersRemaining"]) == ("True", "True")
    assert (await whole.client.get(core_v1.Pod, "team", "held")).metadata.deletionTimestamp is not None
    assert (await whole.client.get(core_v1.ConfigMap, "team", "waiting")).metadata.deletionTimestamp is None
    free = codec.copy(await whole.client.get(core_v1.Pod, "team", "held"))
    free.metadata.finalizers = None
    await whole.client.update(free)
    await whole.later(20.0)
    assert "team" not in await whole.names(core_v1.Namespace, "")
