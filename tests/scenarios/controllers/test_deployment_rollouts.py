"""Deployments, ReplicaSets and pods together: rollouts as kubectl sees them."""

from __future__ import annotations

from typing import Any

from tiphys.kinds.types import apps_v1, core_v1, meta_v1


def deployment(name: str = "web", replicas: int = 4, image: str = "a:1", **spec: Any) -> apps_v1.Deployment:
    labels = {"app": name}
    template = core_v1.PodTemplateSpec(
        metadata=meta_v1.ObjectMeta(labels=labels),
        spec=core_v1.PodSpec(containers=[core_v1.Container(name="c", image=image)]),
    )
    values: dict[str, Any] = {"progressDeadlineSeconds": 600, "revisionHistoryLimit": 10, **spec}
    return apps_v1.Deployment(
        metadata=meta_v1.ObjectMeta(name=name, namespace="default"),
        spec=apps_v1.DeploymentSpec(
            replicas=replicas, selector=meta_v1.LabelSelector(matchLabels=labels), template=template, **values
        ),
    )


def set_image(image: str) -> Any:
    def edit(obj: apps_v1.Deployment) -> None:
        assert obj.spec.template.spec is not None
        obj.spec.template.spec.containers[0].image = image

    return edit


def images(cluster: Any) -> list[str]:
    return sorted(pod.spec.containers[0].image for pod in cluster.api.list(core_v1.Pod))


def progress(cluster: Any, name: str = "web") -> tuple[str, str]:
    found = cluster.api.get(apps_v1.Deployment, "default", name)
    return next(((c.status, c.reason) for c in found.status.conditions or () if c.type == "Progressing"), ("", ""))


async def test_a_new_deployment_becomes_complete(cluster: Any) -> None:
    cluster.api.add(deployment())
    await cluster.steps(3)
    found = cluster.api.get(apps_v1.Deployment, "default", "web")
    status = found.status
    assert (status.replicas, status.updatedReplicas, status.readyReplicas, status.availableReplicas) == (4, 4, 4, 4)
    assert status.unavailableReplicas is None
    assert status.observedGeneration == found.metadata.generation == 1
    assert found.metadata.annotations == {"deployment.kubernetes.io/revision": "1"}
    assert progress(cluster) == ("True", "NewReplicaSetAvailable")
    [replica_set] = cluster.api.list(apps_v1.ReplicaSet)
    name = replica_set.metadata.name
    assert ("ScalingReplicaSet", f"Scaled up replica set {name} from 0 to 4") in cluster.events()
    assert replica_set.metadata.labels["pod-template-hash"] == name.removeprefix("web-")


async def test_a_rolling_update_stays_within_its_bounds(cluster: Any) -> None:
    rolling = apps_v1.RollingUpdateDeployment(maxSurge=1, maxUnavailable=1)
    strategy = apps_v1.DeploymentStrategy(type="RollingUpdate", rollingUpdate=rolling)
    cluster.api.add(deployment(replicas=5, strategy=strategy))
    await cluster.steps(3)
    seen: list[tuple[int, int]] = []

    def look() -> None:
        pods = [p for p in cluster.api.list(core_v1.Pod) if p.metadata.deletionTimestamp is None]
        ready = sum(any(c.type == "Ready" and c.status == "True" for c in p.status.conditions or ()) for p in pods)
        seen.append((len(pods), ready))

    cluster.after_step = look
    cluster.api.change(apps_v1.Deployment, "default", "web", set_image("a:2"))
    await cluster.steps(12)
    assert images(cluster) == ["a:2"] * 5
    assert all(total <= 6 and ready >= 4 for total, ready in seen), seen
    assert progress(cluster) == ("True", "NewReplicaSetAvailable")
    assert cluster.api.get(apps_v1.Deployment, "default", "web").metadata.annotations == {
        "deployment.kubernetes.io/revision": "2"
    }


async def test_an_undo_makes_the_old_replica_set_the_newest_revision(cluster: Any) -> None:
    cluster.api.add(deployment())
    await cluster.steps(3)
    cluster.api.change(apps_v1.Deployment, "default", "web", set_image("a:2"))
    await cluster.steps(8)
    cluster.api.change(apps_v1.Deployment, "default", "web", set_image("a:1"))
    await cluster.steps(8)
    assert images(cluster) == ["a:1"] * 4
    marks = {
        r.spec.template.spec.containers[0].image: (
            r.spec.replicas,
            r.metadata.annotations["deployment.kubernetes.io/revision"],
            r.metadata.annotations.get("deployment.kubernetes.io/revision-history"),
        )
        for r in cluster.api.list(apps_v1.ReplicaSet)
    }
    assert marks == {"a:1": (4, "3", "1"), "a:2": (0, "2", None)}


async def test_recreate_waits_until_the_old_pods_are_gone(cluster: Any) -> None:
    cluster.api.add(deployment(strategy=apps_v1.DeploymentStrategy(type="Recreate")))
    await cluster.steps(3)
    cluster.ends_pods = False
    cluster.api.change(apps_v1.Deployment, "default", "web", set_image("a:2"))
    await cluster.steps(4)
    assert images(cluster) == ["a:1"] * 4
    cluster.ends_pods = True
    await cluster.steps(4)
    assert images(cluster) == ["a:2"] * 4


async def test_a_rollout_that_does_not_get_ready_exceeds_its_deadline_and_recovers(cluster: Any) -> None:
    cluster.api.add(deployment(progressDeadlineSeconds=60))
    await cluster.steps(3)
    cluster.ready = lambda pod: pod.spec.containers[0].image == "a:1"
    cluster.api.change(apps_v1.Deployment, "default", "web", set_image("a:2"))
    await cluster.steps(4)
    assert progress(cluster) == ("True", "ReplicaSetUpdated")
    await cluster.steps(7, seconds=10)
    assert progress(cluster) == ("False", "ProgressDeadlineExceeded")
    assert images(cluster).count("a:1") == 3
    cluster.ready = lambda pod: True
    await cluster.steps(10)
    assert progress(cluster) == ("True", "NewReplicaSetAvailable")


async def test_scaling_amid_a_rollout_is_proportional(cluster: Any) -> None:
    cluster.api.add(deployment(replicas=10))
    await cluster.steps(3)
    cluster.ready = lambda pod: pod.spec.containers[0].image == "a:1"
    cluster.api.change(apps_v1.Deployment, "default", "web", set_image("a:2"))
    await cluster.steps(4)
    assert images(cluster).count("a:1") == 8
    assert images(cluster).count("a:2") == 5

    def grow(obj: apps_v1.Deployment) -> None:
        obj.spec.replicas = 20

    cluster.api.change(apps_v1.Deployment, "default", "web", grow)
    await cluster.quiet()
    sizes = sorted(r.spec.replicas for r in cluster.api.list(apps_v1.ReplicaSet))
    assert sizes == [10, 15]


async def test_a_paused_deployment_scales_but_does_not_roll(cluster: Any) -> None:
    cluster.api.add(deployment())
    await cluster.steps(3)

    def pause(obj: apps_v1.Deployment) -> None:
        obj.spec.paused = True
        obj.spec.replicas = 6
        set_image("a:2")(obj)

    cluster.api.change(apps_v1.Deployment, "default", "web", pause)
    await cluster.steps(3)
    assert images(cluster) == ["a:1"] * 6
    assert progress(cluster) == ("Unknown", "DeploymentPaused")

    def resume(obj: apps_v1.Deployment) -> None:
        obj.spec.paused = None

    cluster.api.change(apps_v1.Deployment, "default", "web", resume)
    await cluster.steps(8)
    assert images(cluster) == ["a:2"] * 6


async def test_old_replica_sets_beyond_the_history_limit_go(cluster: Any) -> None:
    cluster.api.add(deployment(replicas=1, revisionHistoryLimit=2))
    for number in range(2, 7):
        await cluster.steps(6)
        cluster.api.change(apps_v1.Deployment, "default", "web", set_image(f"a:{number}"))
    await cluster.steps(6)
    left = sorted(r.spec.template.spec.containers[0].image for r in cluster.api.list(apps_v1.ReplicaSet))
    assert left == ["a:4", "a:5", "a:6"]


async def test_strays_are_adopted_and_others_released(cluster: Any) -> None:
    stray = core_v1.Pod(
        metadata=meta_v1.ObjectMeta(name="stray", namespace="default", labels={"app": "rs"}),
        spec=core_v1.PodSpec(containers=[core_v1.Container(name="c", image="a:1")]),
    )
    cluster.api.add(stray)
    template = core_v1.PodTemplateSpec(metadata=meta_v1.ObjectMeta(labels={"app": "rs"}), spec=stray.spec)
    cluster.api.add(
        apps_v1.ReplicaSet(
            metadata=meta_v1.ObjectMeta(name="rs", namespace="default"),
            spec=apps_v1.ReplicaSetSpec(
                replicas=2, selector=meta_v1.LabelSelector(matchLabels={"app": "rs"}), template=template
            ),
        )
    )
    await cluster.steps(2)
    assert len(cluster.api.list(core_v1.Pod)) == 2
    adopted = cluster.api.get(core_v1.Pod, "default", "stray")
    assert [r.name for r in adopted.metadata.ownerReferences] == ["rs"]

    def relabel(pod: core_v1.Pod) -> None:
        pod.metadata.labels = {"app": "debug"}

    cluster.api.change(core_v1.Pod, "default", "stray", relabel)
    await cluster.steps(2)
    assert cluster.api.get(core_v1.Pod, "default", "stray").metadata.ownerReferences is None
    assert len(cluster.api.list(core_v1.Pod)) == 3


async def test_a_refused_pod_shows_as_replica_failure_and_costs_one_call_a_try(cluster: Any) -> None:
    from tiphys.machinery import errors

    refusal = errors.forbidden("pods", "", "", "exceeded quota: q")
    cluster.api.fail(refusal, verb="create", resource="pods", times=3)
    cluster.api.add(deployment(replicas=10))
    await cluster.quiet()
    [replica_set] = cluster.api.list(apps_v1.ReplicaSet)
    assert [(c.type, c.status, c.reason) for c in replica_set.status.conditions] == [
        ("ReplicaFailure", "True", "FailedCreate")
    ]
    assert ("FailedCreate", f"Error creating: {refusal}") in cluster.events()
    await cluster.steps(4)
    [replica_set] = cluster.api.list(apps_v1.ReplicaSet)
    assert replica_set.status.conditions is None
    creates = [c for c in cluster.api.calls if c.verb == "create" and c.resource == "pods"]
    assert len(creates) == 3 + 10


async def test_a_name_that_is_taken_gives_another_hash(cluster: Any) -> None:
    from tiphys.controllers.deployment.revisions import new_replica_set
    from tiphys.kinds import codec

    first = new_replica_set(cluster.api.add(deployment(paused=True)), [], 0, 0)
    squatter = codec.copy(first)
    squatter.metadata.ownerReferences = None
    squatter.metadata.labels = {"own": "yes"}
    squatter.spec.selector = meta_v1.LabelSelector(matchLabels={"own": "yes"})
    cluster.api.add(squatter)
    await cluster.quiet()

    def resume(obj: apps_v1.Deployment) -> None:
        obj.spec.paused = None

    cluster.api.change(apps_v1.Deployment, "default", "web", resume)
    await cluster.steps(3)
    assert cluster.api.get(apps_v1.Deployment, "default", "web").status.collisionCount == 1
    names = [r.metadata.name for r in cluster.api.list(apps_v1.ReplicaSet)]
    assert len(names) == 2
    assert first.metadata.name in names
    assert progress(cluster) == ("True", "NewReplicaSetAvailable")


async def test_deleting_in_the_foreground_takes_pods_then_sets_then_the_deployment(cluster: Any) -> None:
    cluster.api.add(deployment())
    await cluster.steps(3)
    cluster.api.remove(apps_v1.Deployment, "default", "web", meta_v1.DeleteOptions(propagationPolicy="Foreground"))
    cluster.ends_pods = False
    await cluster.quiet()
    assert len(cluster.api.list(core_v1.Pod)) == 4
    assert all(p.metadata.deletionTimestamp for p in cluster.api.list(core_v1.Pod))
    assert len(cluster.api.list(apps_v1.ReplicaSet)) == 1
    cluster.ends_pods = True
    await cluster.steps(3)
    assert cluster.api.list(core_v1.Pod) == []
    assert cluster.api.list(apps_v1.ReplicaSet) == []
    assert cluster.api.list(apps_v1.Deployment) == []


async def test_a_missed_conflict_is_tried_again(cluster: Any) -> None:
    from tiphys.machinery import errors

    conflict = errors.conflict("deployments", "apps", "web", errors.MODIFIED_DETAIL)
    cluster.api.fail(conflict, verb="update", resource="deployments", times=4)
    cluster.api.add(deployment())
    await cluster.steps(4)
    assert progress(cluster) == ("True", "NewReplicaSetAvailable")
