"""ReplicaSets: whole action lists for a given view."""

from __future__ import annotations

from typing import Any

from tiphys.client.cache import Cache
from tiphys.client.interface import ObjectKey
from tiphys.controllers import replicaset
from tiphys.controllers.actions import Create, Delete, Failure, Patch, Record, RequeueAfter, UpdateStatus
from tiphys.controllers.controller import View
from tiphys.kinds import codec
from tiphys.kinds.types import apps_v1, core_v1, meta_v1
from tiphys.machinery import errors
from tiphys.machinery.timestamps import Time

NOW = 1_700_000_000.0
KEY = ObjectKey("default", "web")
LABELS = {"app": "web"}
OWNER = meta_v1.OwnerReference(
    apiVersion="apps/v1", kind="ReplicaSet", name="web", uid="rs-uid", controller=True, blockOwnerDeletion=True
)


def replica_set(wanted: int = 2, **status: Any) -> apps_v1.ReplicaSet:
    container = core_v1.Container(name="c", image="a")
    template = core_v1.PodTemplateSpec(
        metadata=meta_v1.ObjectMeta(labels=dict(LABELS)), spec=core_v1.PodSpec(containers=[container])
    )
    meta = meta_v1.ObjectMeta(name="web", namespace="default", uid="rs-uid", resourceVersion="1", generation=1)
    selector = meta_v1.LabelSelector(matchLabels=dict(LABELS))
    return apps_v1.ReplicaSet(
        metadata=meta,
        spec=apps_v1.ReplicaSetSpec(replicas=wanted, selector=selector, template=template),
        status=apps_v1.ReplicaSetStatus(observedGeneration=1, terminatingReplicas=0, **status),
    )


def pod(name: str, *, ready: bool = True, node: str = "a", owned: bool = True, **rest: Any) -> core_v1.Pod:
    meta = meta_v1.ObjectMeta(
        name=name,
        namespace="default",
        uid=f"uid-{name}",
        resourceVersion="1",
        labels=rest.pop("labels", dict(LABELS)),
        annotations=rest.pop("annotations", None),
        ownerReferences=[OWNER] if owned else None,
        creationTimestamp=Time("2023-11-14T00:00:00Z"),
    )
    condition = core_v1.PodCondition(
        type="Ready", status="True" if ready else "False", lastTransitionTime=Time("2023-11-14T22:13:00Z")
    )
    status = core_v1.PodStatus(phase="Running", conditions=[condition])
    return core_v1.Pod(metadata=meta, spec=core_v1.PodSpec(nodeName=node), status=status)


def view(owner: apps_v1.ReplicaSet | None, *pods: core_v1.Pod) -> View:
    caches: dict[type[Any], Cache[Any]] = {apps_v1.ReplicaSet: Cache(), core_v1.Pod: Cache()}
    for index in replicaset.CONTROLLER.indexes:
        caches[index.kind].add_index(index.name, index.function)
    for obj in [*([owner] if owner is not None else []), *pods]:
        caches[type(obj)].apply(obj)
    return View(caches)


def event(owner: apps_v1.ReplicaSet, kind: str, reason: str, message: str) -> Record:
    reference = core_v1.ObjectReference(
        apiVersion="apps/v1", kind="ReplicaSet", namespace="default", name="web", uid="rs-uid", resourceVersion="1"
    )
    return Record(regarding=reference, type=kind, reason=reason, message=message)


def with_status(owner: apps_v1.ReplicaSet, **status: Any) -> apps_v1.ReplicaSet:
    changed = codec.copy(owner)
    changed.status = apps_v1.ReplicaSetStatus(observedGeneration=1, terminatingReplicas=0, **status)
    return changed


def test_missing_pods_are_created_from_the_template() -> None:
    owner = replica_set()
    wanted = core_v1.Pod(
        metadata=meta_v1.ObjectMeta(
            generateName="web-", namespace="default", labels=dict(LABELS), ownerReferences=[OWNER]
        ),
        spec=core_v1.PodSpec(containers=[core_v1.Container(name="c", image="a")]),
    )
    create = Create(
        object=wanted,
        succeeded=event(owner, "Normal", "SuccessfulCreate", "Created pod: {name}"),
        failed=event(owner, "Warning", "FailedCreate", "Error creating: {error}"),
    )
    assert replicaset.CONTROLLER.reconcile(view(owner), KEY, NOW) == [create, create]


def test_nothing_to_do_means_no_action() -> None:
    owner = replica_set(2, replicas=2, fullyLabeledReplicas=2, readyReplicas=2, availableReplicas=2)
    assert replicaset.CONTROLLER.reconcile(view(owner, pod("a"), pod("b")), KEY, NOW) == []
    assert replicaset.CONTROLLER.reconcile(view(None), KEY, NOW) == []


def deleted(actions: Any) -> list[str]:
    return [a.name for a in actions if isinstance(a, Delete)]


def test_the_least_valuable_pods_go_first() -> None:
    owner = replica_set(0)
    pods = [
        pod("crowded-1", node="b"),
        pod("crowded-2", node="b", annotations={"controller.kubernetes.io/pod-deletion-cost": "5"}),
        pod("cheap", node="c", annotations={"controller.kubernetes.io/pod-deletion-cost": "-1"}),
        pod("alone", node="d"),
        pod("broken", ready=False, node="e"),
        pod("unbound", node=""),
    ]
    for replicas, gone in (
        (5, ["unbound"]),
        (3, ["unbound", "broken", "cheap"]),
        (0, ["unbound", "broken", "cheap", "crowded-1", "alone", "crowded-2"]),
    ):
        owner.spec.replicas = replicas
        assert deleted(replicaset.CONTROLLER.reconcile(view(owner, *pods), KEY, NOW)) == gone


def test_pods_that_end_or_have_ended_are_no_replicas_and_counted_as_terminating() -> None:
    owner = replica_set(1, replicas=1, fullyLabeledReplicas=1, readyReplicas=1, availableReplicas=1)
    ending, failed = pod("ending"), pod("failed")
    ending.metadata.deletionTimestamp = Time("2023-11-14T22:13:20Z")
    failed.status.phase = "Failed"
    actions = replicaset.CONTROLLER.reconcile(view(owner, pod("a"), ending, failed), KEY, NOW)
    changed = with_status(owner, replicas=1, fullyLabeledReplicas=1, readyReplicas=1, availableReplicas=1)
    changed.status.terminatingReplicas = 1
    assert actions == [UpdateStatus(object=changed)]


def test_a_pod_that_is_ready_too_briefly_is_looked_at_again() -> None:
    owner = replica_set(1, replicas=1, fullyLabeledReplicas=1, readyReplicas=1)
    owner.spec.minReadySeconds = 30
    assert replicaset.CONTROLLER.reconcile(view(owner, pod("a")), KEY, NOW) == [RequeueAfter(seconds=10.0)]


def test_an_owned_pod_that_does_not_match_is_let_go() -> None:
    owner = replica_set(1)
    actions = replicaset.CONTROLLER.reconcile(view(owner, pod("a"), pod("b", labels={"app": "x"})), KEY, NOW)
    patch = {"metadata": {"uid": "uid-b", "resourceVersion": "1", "ownerReferences": None}}
    assert actions == [Patch(kind=core_v1.Pod, namespace="default", name="b", patch=patch, tolerate_missing=True)]


def test_a_set_that_is_being_deleted_scales_nothing() -> None:
    owner = replica_set(3)
    owner.metadata.deletionTimestamp = Time("2023-11-14T22:13:20Z")
    assert replicaset.CONTROLLER.reconcile(view(owner), KEY, NOW) == []


def test_a_failure_becomes_a_condition_once() -> None:
    owner = replica_set(1)
    failure = Failure(action=Create(object=core_v1.Pod()), error=errors.forbidden("pods", "", "", "exceeded quota: q"))
    after = replicaset.CONTROLLER.after_failure
    assert after is not None
    [action] = after(view(owner), KEY, NOW, [failure]) or ()
    assert isinstance(action, UpdateStatus)
    assert action.object.status.conditions == [
        apps_v1.ReplicaSetCondition(
            type="ReplicaFailure",
            status="True",
            lastTransitionTime=Time("2023-11-14T22:13:20Z"),
            reason="FailedCreate",
            message="pods is forbidden: exceeded quota: q",
        )
    ]
    noted = action.object
    assert after(view(noted), KEY, NOW + 5, [failure]) == []
