"""DaemonSets and StatefulSets: one pod a node, one pod a place; and disruption budgets over them."""

from __future__ import annotations

from typing import Any

import msgspec

from tiphys.kinds.types import apps_v1, core_v1, meta_v1, policy_v1

LABELS = {"app": "x"}


def template(image: str = "a:1", **spec: Any) -> core_v1.PodTemplateSpec:
    return core_v1.PodTemplateSpec(
        metadata=meta_v1.ObjectMeta(labels=dict(LABELS)),
        spec=core_v1.PodSpec(containers=[core_v1.Container(name="c", image=image)], **spec),
    )


def daemon_set(pod_spec: dict[str, Any] | None = None, **spec: Any) -> apps_v1.DaemonSet:
    selector = meta_v1.LabelSelector(matchLabels=dict(LABELS))
    return apps_v1.DaemonSet(
        metadata=meta_v1.ObjectMeta(name="d", namespace="default"),
        spec=apps_v1.DaemonSetSpec(selector=selector, template=template(**(pod_spec or {})), **spec),
    )


def stateful_set(replicas: int = 3, **spec: Any) -> apps_v1.StatefulSet:
    selector = meta_v1.LabelSelector(matchLabels=dict(LABELS))
    return apps_v1.StatefulSet(
        metadata=meta_v1.ObjectMeta(name="s", namespace="default"),
        spec=apps_v1.StatefulSetSpec(
            replicas=replicas, selector=selector, template=template(), serviceName="s", **spec
        ),
    )


def set_image(image: str) -> Any:
    def edit(obj: Any) -> None:
        obj.spec.template.spec.containers[0].image = image

    return edit


def placed(cluster: Any) -> dict[str, str]:
    return {p.spec.nodeName: p.spec.containers[0].image for p in cluster.api.list(core_v1.Pod)}


def images(cluster: Any) -> dict[str, str]:
    return {p.metadata.name: p.spec.containers[0].image for p in cluster.api.list(core_v1.Pod)}


async def test_a_daemon_set_runs_on_every_node_that_fits(cluster: Any) -> None:
    for name in "bc":
        cluster.add_node(name, disk="ssd")
    cluster.api.add(daemon_set({"nodeSelector": {"disk": "ssd"}}))
    await cluster.steps(3)
    assert placed(cluster) == {"b": "a:1", "c": "a:1"}
    status = cluster.api.get(apps_v1.DaemonSet, "default", "d").status
    assert (status.desiredNumberScheduled, status.currentNumberScheduled, status.numberReady) == (2, 2, 2)
    assert (status.numberAvailable, status.updatedNumberScheduled, status.numberUnavailable) == (2, 2, None)
    cluster.add_node("e", disk="ssd")
    await cluster.steps(2)
    assert set(placed(cluster)) == {"b", "c", "e"}

    def spoil(node: core_v1.Node) -> None:
        node.metadata.labels = {}

    cluster.api.change(core_v1.Node, "", "b", spoil)
    await cluster.steps(3)
    assert set(placed(cluster)) == {"c", "e"}


async def test_a_revision_remembers_the_template_with_its_keys_in_order(cluster: Any) -> None:
    """Clients compare the bytes with what they make of the template themselves."""
    added = daemon_set({"tolerations": [core_v1.Toleration(operator="Exists", key="a")], "hostNetwork": True})
    added.metadata.annotations = {"kubernetes.io/change-cause": "a new image"}
    cluster.api.add(added)
    await cluster.steps(2)
    (revision,) = cluster.api.list(apps_v1.ControllerRevision)
    assert revision.metadata.annotations == {"kubernetes.io/change-cause": "a new image"}
    text = msgspec.json.encode(revision.data)
    assert text == msgspec.json.encode(revision.data, order="sorted")
    assert text.startswith(b'{"spec":{"template":{"$patch":"replace","metadata":{"labels":{"app":"x"}},"spec":{')


async def test_taints_keep_daemons_away_unless_they_are_the_nodes_own_troubles(cluster: Any) -> None:
    def taint(key: str) -> Any:
        def edit(node: core_v1.Node) -> None:
            node.spec.taints = [core_v1.Taint(key=key, effect="NoSchedule")]

        return edit

    cluster.add_node("b")
    cluster.add_node("c")
    cluster.api.change(core_v1.Node, "", "b", taint("dedicated"))

    def cordon(node: core_v1.Node) -> None:
        node.spec.unschedulable = True

    cluster.api.change(core_v1.Node, "", "c", cordon)
    cluster.api.add(daemon_set())
    await cluster.steps(3)
    assert set(placed(cluster)) == {"a", "c"}


async def test_a_daemon_set_is_updated_node_by_node(cluster: Any) -> None:
    for name in "bcd":
        cluster.add_node(name)
    cluster.api.add(daemon_set())
    await cluster.steps(3)
    least = 4

    def look() -> None:
        nonlocal least
        ready = sum(
            any(c.type == "Ready" and c.status == "True" for c in p.status.conditions or ())
            for p in cluster.api.list(core_v1.Pod)
            if p.metadata.deletionTimestamp is None
        )
        least = min(least, ready)

    cluster.after_step = look
    cluster.api.change(apps_v1.DaemonSet, "default", "d", set_image("a:2"))
    await cluster.steps(12)
    assert placed(cluster) == dict.fromkeys("abcd", "a:2")
    assert least == 3
    revisions = [(r.revision, r.metadata.labels["app"]) for r in cluster.api.list(apps_v1.ControllerRevision)]
    assert sorted(revisions) == [(1, "x"), (2, "x")]


async def test_a_daemon_set_with_surge_never_lacks_a_pod(cluster: Any) -> None:
    cluster.add_node("b")
    rolling = apps_v1.RollingUpdateDaemonSet(maxSurge=1, maxUnavailable=0)
    cluster.api.add(
        daemon_set(updateStrategy=apps_v1.DaemonSetUpdateStrategy(type="RollingUpdate", rollingUpdate=rolling))
    )
    await cluster.steps(3)
    least = 2

    def look() -> None:
        nonlocal least
        ready = {
            p.spec.nodeName
            for p in cluster.api.list(core_v1.Pod)
            if p.metadata.deletionTimestamp is None
            and any(c.type == "Ready" and c.status == "True" for c in p.status.conditions or ())
        }
        least = min(least, len(ready))

    cluster.after_step = look
    cluster.api.change(apps_v1.DaemonSet, "default", "d", set_image("a:2"))
    await cluster.steps(8)
    assert placed(cluster) == {"a": "a:2", "b": "a:2"}
    assert len(cluster.api.list(core_v1.Pod)) == 2
    assert least == 2


async def test_stateful_pods_come_and_go_in_order(cluster: Any) -> None:
    cluster.api.add(stateful_set())
    seen: list[list[str]] = []
    cluster.after_step = lambda: seen.append(sorted(images(cluster)))
    await cluster.steps(4)
    assert seen == [["s-0", "s-1"], ["s-0", "s-1", "s-2"], ["s-0", "s-1", "s-2"], ["s-0", "s-1", "s-2"]]
    first = cluster.api.get(core_v1.Pod, "default", "s-0")
    assert (first.spec.hostname, first.spec.subdomain) == ("s-0", "s")
    assert first.metadata.labels["statefulset.kubernetes.io/pod-name"] == "s-0"
    assert first.metadata.labels["apps.kubernetes.io/pod-index"] == "0"

    def shrink(obj: apps_v1.StatefulSet) -> None:
        obj.spec.replicas = 1

    cluster.api.change(apps_v1.StatefulSet, "default", "s", shrink)
    seen.clear()
    await cluster.steps(4)
    assert seen[0] == ["s-0", "s-1"]
    assert seen[-1] == ["s-0"]


async def test_parallel_stateful_pods_come_at_once(cluster: Any) -> None:
    cluster.api.add(stateful_set(podManagementPolicy="Parallel", ordinals=apps_v1.StatefulSetOrdinals(start=5)))
    await cluster.quiet()
    assert sorted(images(cluster)) == ["s-5", "s-6", "s-7"]


async def test_an_update_goes_from_the_end_down_to_the_partition(cluster: Any) -> None:
    rolling = apps_v1.RollingUpdateStatefulSetStrategy(partition=1)
    strategy = apps_v1.StatefulSetUpdateStrategy(type="RollingUpdate", rollingUpdate=rolling)
    cluster.api.add(stateful_set(updateStrategy=strategy))
    await cluster.steps(5)
    cluster.api.change(apps_v1.StatefulSet, "default", "s", set_image("a:2"))
    await cluster.steps(8)
    assert images(cluster) == {"s-0": "a:1", "s-1": "a:2", "s-2": "a:2"}
    status = cluster.api.get(apps_v1.StatefulSet, "default", "s").status
    assert (status.currentReplicas, status.updatedReplicas) == (1, 2)
    assert status.currentRevision != status.updateRevision
    cluster.api.remove(core_v1.Pod, "default", "s-0")
    await cluster.steps(3)
    assert images(cluster)["s-0"] == "a:1"

    def release(obj: apps_v1.StatefulSet) -> None:
        obj.spec.updateStrategy.rollingUpdate.partition = 0

    cluster.api.change(apps_v1.StatefulSet, "default", "s", release)
    await cluster.steps(5)
    assert set(images(cluster).values()) == {"a:2"}
    status = cluster.api.get(apps_v1.StatefulSet, "default", "s").status
    assert status.currentRevision == status.updateRevision
    assert status.currentReplicas == 3


async def test_claims_are_made_once_and_kept_or_not_by_the_retention_policy(cluster: Any) -> None:
    claim = core_v1.PersistentVolumeClaim(metadata=meta_v1.ObjectMeta(name="data"))
    policy = apps_v1.StatefulSetPersistentVolumeClaimRetentionPolicy(whenDeleted="Retain", whenScaled="Delete")
    cluster.api.add(stateful_set(2, volumeClaimTemplates=[claim], persistentVolumeClaimRetentionPolicy=policy))
    await cluster.steps(4)
    claims = [c.metadata.name for c in cluster.api.list(core_v1.PersistentVolumeClaim)]
    assert claims == ["data-s-0", "data-s-1"]
    pod = cluster.api.get(core_v1.Pod, "default", "s-1")
    assert [v.persistentVolumeClaim.claimName for v in pod.spec.volumes] == ["data-s-1"]

    def shrink(obj: apps_v1.StatefulSet) -> None:
        obj.spec.replicas = 1

    cluster.api.change(apps_v1.StatefulSet, "default", "s", shrink)
    await cluster.steps(5)
    assert [c.metadata.name for c in cluster.api.list(core_v1.PersistentVolumeClaim)] == ["data-s-0"]


async def test_a_disruption_budget_counts_what_its_owner_wants(cluster: Any) -> None:
    cluster.api.add(stateful_set(podManagementPolicy="Parallel"))
    cluster.api.add(
        policy_v1.PodDisruptionBudget(
            metadata=meta_v1.ObjectMeta(name="b", namespace="default"),
            spec=policy_v1.PodDisruptionBudgetSpec(
                maxUnavailable=1, selector=meta_v1.LabelSelector(matchLabels=dict(LABELS))
            ),
        )
    )
    await cluster.steps(3)

    def numbers() -> tuple[Any, ...]:
        status = cluster.api.get(policy_v1.PodDisruptionBudget, "default", "b").status
        reason = status.conditions[0].reason
        return (status.expectedPods, status.desiredHealthy, status.currentHealthy, status.disruptionsAllowed, reason)

    assert numbers() == (3, 2, 3, 1, "SufficientPods")
    cluster.ready = lambda pod: pod.metadata.name != "s-2"
    await cluster.steps(2)
    assert numbers() == (3, 2, 2, 0, "InsufficientPods")
