"""Single plugins where the twin under Hypothesis does not reach: names, images, claims, default spreading, requests."""

from __future__ import annotations

from typing import Any

from tiphys.kinds.types import core_v1, meta_v1, storage_v1
from tiphys.machinery import labels as label_selectors
from tiphys.machinery.quantity import parse
from tiphys.scheduler.cluster import Cluster, WorkloadSelector
from tiphys.scheduler.config import Profile
from tiphys.scheduler.cycle import ShapeCycle
from tiphys.scheduler.framework import ClusterEvent, EventKind
from tiphys.scheduler.messages import failed_scheduling
from tiphys.scheduler.plugins.node_declared_features import NodeDeclaredFeatures
from tiphys.scheduler.plugins.table import DEFAULT_PLUGINS
from tiphys.scheduler.pods import PodShapes, normalized_image
from tiphys.scheduler.requests import requests_of
from tiphys.scheduler.volume_actions import ReserveVolume, SelectNode, volume_actions

SHAPES = PodShapes()
MEBIBYTE = 1024 * 1024


def node(name: str, zone: str = "", images: list[core_v1.ContainerImage] | None = None) -> core_v1.Node:
    resources = {"cpu": parse("4"), "memory": parse("8Gi"), "pods": parse("110")}
    labels = {"kubernetes.io/hostname": name, **({"topology.kubernetes.io/zone": zone} if zone else {})}
    return core_v1.Node(
        metadata=meta_v1.ObjectMeta(name=name, labels=labels),
        status=core_v1.NodeStatus(allocatable=resources, images=images),
    )


def pod(name: str = "web", labels: dict[str, str] | None = None, **spec: Any) -> core_v1.Pod:
    spec.setdefault("containers", [core_v1.Container(name="main", image="app")])
    meta = meta_v1.ObjectMeta(name=name, namespace="default", uid=name, labels=labels)
    return core_v1.Pod(metadata=meta, spec=core_v1.PodSpec(**spec))


def cluster(*nodes: core_v1.Node) -> Cluster:
    found = Cluster()
    for item in nodes:
        found.set_node(item)
    return found


def cycle(found: Cluster, item: core_v1.Pod) -> ShapeCycle:
    return ShapeCycle(DEFAULT_PLUGINS, SHAPES.shape(item), found)


def score(found: Cluster, item: core_v1.Pod, plugin: str) -> dict[str, int]:
    return {each.node: each.scores.get(plugin, 0) for each in cycle(found, item).explain()}


def named(*names: str) -> core_v1.Affinity:
    expression = core_v1.NodeSelectorRequirement(key="metadata.name", operator="In", values=list(names))
    term = core_v1.NodeSelectorTerm(matchFields=[expression])
    required = core_v1.NodeSelector(nodeSelectorTerms=[term])
    return core_v1.Affinity(nodeAffinity=core_v1.NodeAffinity(requiredDuringSchedulingIgnoredDuringExecution=required))


def test_a_pod_for_one_node_by_name_is_refused_by_the_others_by_plugin() -> None:
    found = cluster(node("a"), node("b"), node("c"))
    request = {"cpu": parse("5")}
    containers = [core_v1.Container(name="main", resources=core_v1.ResourceRequirements(requests=request))]
    item = pod(affinity=named("b"), containers=containers)
    assert failed_scheduling(cycle(found, item).diagnosis()) == (
        "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't satisfy plugin(s) [NodeAffinity]."
    )


def test_a_pod_for_one_node_by_name_goes_there() -> None:
    found = cluster(node("a"), node("b"))
    assert [item.node for item in cycle(found, pod(affinity=named("b"))).explain() if not item.rejection] == ["b"]


def test_node_name_rejects_all_others() -> None:
    found = cluster(node("a"), node("b"))
    shape = SHAPES.shape(pod(), required_node="b")
    explained = ShapeCycle(DEFAULT_PLUGINS, shape, found).explain()
    assert [(item.node, item.rejection and item.rejection.reasons) for item in explained] == [
        ("a", ("node(s) didn't match the requested node name",)),
        ("b", None),
    ]


def test_pods_go_where_the_kubelet_declares_what_they_count_on() -> None:
    able = node("able")
    able.status.declaredFeatures = ["RestartAllContainersOnContainerExits", "Others"]
    found = cluster(node("a"), node("b"))
    rules = [core_v1.ContainerRestartRule(action="RestartAllContainers")]
    item = pod(containers=[core_v1.Container(name="main", restartPolicy="Never", restartPolicyRules=rules)])
    assert failed_scheduling(cycle(found, item).diagnosis()) == (
        "0/2 nodes are available: 2 node declared features check failed - unsatisfied requirements: "
        "RestartAllContainersOnContainerExits."
    )
    shape, plugin = SHAPES.shape(item), NodeDeclaredFeatures()
    joined = [ClusterEvent(kind=EventKind.NODE_ADD, new=each) for each in (able, node("c"))]
    assert [plugin.may_help(event, shape, found) for event in joined] == [True, False]
    found.set_node(able)
    assert [each.node for each in cycle(found, item).explain() if not each.rejection] == ["able"]
    assert all(not each.rejection for each in cycle(found, pod()).explain())


def test_image_names_get_the_latest_tag() -> None:
    names = ["app", "app:1", "registry:5000/app", "registry:5000/app:1", "app@sha256:ab"]
    assert [normalized_image(name) for name in names] == [
        "app:latest",
        "app:1",
        "registry:5000/app:latest",
        "registry:5000/app:1",
        "app@sha256:ab",
    ]


def test_nodes_with_the_image_score_by_size_and_spread() -> None:
    image = [core_v1.ContainerImage(names=["app:latest"], sizeBytes=523 * MEBIBYTE)]
    found = cluster(node("a", images=image), node("b"))
    # half of the nodes have it: 261.5 MiB count, of a scale from 23 to 1000 MiB
    assert score(found, pod(), "ImageLocality") == {"a": 24, "b": 0}


def test_pods_of_a_service_are_spread_softly_without_asking() -> None:
    found = cluster(node("a", "x"), node("b", "x"), node("c", "y"))
    found.set_workload(WorkloadSelector("Service", "default", "web", label_selectors.from_set({"app": "web"})))
    for name in ("p1", "p2"):
        item = pod(name, {"app": "web"}, nodeName="a")
        found.set_pod(SHAPES.info(item))
    scores = score(found, pod("new", {"app": "web"}), "PodTopologySpread")
    assert scores["c"] > scores["b"] > scores["a"]
    assert score(found, pod("stranger", {"app": "db"}), "PodTopologySpread") == {"a": 0, "b": 0, "c": 0}


def test_requests_count_sidecars_and_the_largest_init_container() -> None:
    def container(name: str, cpu: str, **rest: Any) -> core_v1.Container:
        resources = core_v1.ResourceRequirements(requests={"cpu": parse(cpu)})
        return core_v1.Container(name=name, resources=resources, **rest)

    item = pod(
        initContainers=[
            container("sidecar", "200m", restartPolicy="Always"),
            container("migrate", "900m"),
        ],
        containers=[container("main", "300m"), core_v1.Container(name="helper")],
        overhead={"cpu": parse("50m")},
    )
    found = requests_of(item)
    # at start: sidecar + migrate = 1100m, more than sidecar + main = 500m
    assert found.amounts == {"cpu": 1150}
    assert found.scored_milli_cpu == 1150
    assert found.scored_memory_bytes == 3 * 200 * MEBIBYTE


def claim(name: str = "data", storage_class: str = "slow", **spec: Any) -> core_v1.PersistentVolumeClaim:
    return core_v1.PersistentVolumeClaim(
        metadata=meta_v1.ObjectMeta(name=name, namespace="default", uid=name),
        spec=core_v1.PersistentVolumeClaimSpec(
            storageClassName=storage_class,
            accessModes=["ReadWriteOnce"],
            resources=core_v1.VolumeResourceRequirements(requests={"storage": parse("1Gi")}),
            **spec,
        ),
    )


def volume(name: str, node_name: str, size: str = "2Gi") -> core_v1.PersistentVolume:
    expression = core_v1.NodeSelectorRequirement(key="kubernetes.io/hostname", operator="In", values=[node_name])
    term = core_v1.NodeSelectorTerm(matchExpressions=[expression])
    return core_v1.PersistentVolume(
        metadata=meta_v1.ObjectMeta(name=name),
        spec=core_v1.PersistentVolumeSpec(
            capacity={"storage": parse(size)},
            accessModes=["ReadWriteOnce"],
            storageClassName="slow",
            nodeAffinity=core_v1.VolumeNodeAffinity(required=core_v1.NodeSelector(nodeSelectorTerms=[term])),
        ),
    )


def with_claim() -> core_v1.Pod:
    source = core_v1.PersistentVolumeClaimVolumeSource(claimName="data")
    return pod(volumes=[core_v1.Volume(name="data", persistentVolumeClaim=source)])


def test_a_bound_volume_draws_the_pod_to_its_node() -> None:
    found = cluster(node("a"), node("b"))
    bound = claim(volumeName="pv")
    bound.metadata.annotations = {"pv.kubernetes.io/bind-completed": "yes"}
    found.volumes.claims["default", "data"] = bound
    found.volumes.volumes["pv"] = volume("pv", "b")
    explained = cycle(found, with_claim()).explain()
    assert [(item.node, item.rejection and item.rejection.reasons) for item in explained] == [
        ("a", ("node(s) didn't match PersistentVolume's node affinity",)),
        ("b", None),
    ]


def test_a_claim_that_waits_for_its_consumer_gets_the_smallest_volume_that_fits() -> None:
    found = cluster(node("a"), node("b"))
    found.volumes.classes["slow"] = storage_v1.StorageClass(
        metadata=meta_v1.ObjectMeta(name="slow"),
        provisioner="kubernetes.io/no-provisioner",
        volumeBindingMode="WaitForFirstConsumer",
    )
    waiting = claim()
    found.volumes.claims["default", "data"] = waiting
    for name, node_name, size in (("big", "b", "9Gi"), ("fit", "b", "2Gi"), ("small", "a", "100Mi")):
        found.volumes.volumes[name] = volume(name, node_name, size)
    explained = cycle(found, with_claim()).explain()
    assert [(item.node, item.rejection and item.rejection.reasons) for item in explained] == [
        ("a", ("node(s) didn't find available persistent volumes to bind",)),
        ("b", None),
    ]
    shape = SHAPES.shape(with_claim())
    assert volume_actions(shape, "b", found) == [ReserveVolume(volume="fit", claim=waiting)]


def test_a_provisioner_is_told_the_node() -> None:
    found = cluster(node("a"))
    found.volumes.classes["slow"] = storage_v1.StorageClass(
        metadata=meta_v1.ObjectMeta(name="slow"),
        provisioner="example.com/disks",
        volumeBindingMode="WaitForFirstConsumer",
    )
    found.volumes.claims["default", "data"] = claim()
    shape = SHAPES.shape(with_claim())
    assert volume_actions(shape, "a", found) == [SelectNode(namespace="default", claim="data", node_name="a")]


def test_shapes_do_not_see_names_nor_token_volumes() -> None:
    one = pod("one", volumes=[core_v1.Volume(name="kube-api-access-abcde", projected=core_v1.ProjectedVolumeSource())])
    two = pod("two", volumes=[core_v1.Volume(name="kube-api-access-fghij", projected=core_v1.ProjectedVolumeSource())])
    assert SHAPES.shape(one) is SHAPES.shape(two)
    assert SHAPES.shape(one) is not SHAPES.shape(pod("three", {"app": "other"}))


def test_a_profile_turns_plugins_off_and_weighs_others() -> None:
    profile = Profile(disabled=frozenset({"ImageLocality"}), weights={"NodeAffinity": 7})
    table = {entry.plugin.name: entry.weight for entry in profile.table()}
    assert "ImageLocality" not in table
    assert table["NodeAffinity"] == 7


def test_a_profile_refuses_names_that_are_no_plugin() -> None:
    try:
        Profile(disabled=frozenset({"Nothing"})).table()
    except ValueError as error:
        assert str(error) == "profile 'default-scheduler' names unknown plugins: Nothing"
    else:
        raise AssertionError("expected a ValueError")


def test_a_claim_for_one_pod_is_not_shared() -> None:
    found = cluster(node("a"))
    bound = claim(volumeName="pv")
    bound.metadata.annotations = {"pv.kubernetes.io/bind-completed": "yes"}
    bound.spec.accessModes = ["ReadWriteOncePod"]
    found.volumes.claims["default", "data"] = bound
    found.volumes.volumes["pv"] = volume("pv", "a")
    assert cycle(found, with_claim()).explain()[0].rejection is None
    user = with_claim()
    user.metadata.uid = user.metadata.name = "user"
    user.spec.nodeName = "a"
    found.set_pod(SHAPES.info(user))
    assert failed_scheduling(cycle(found, with_claim()).diagnosis()) == (
        "0/1 nodes are available: 1 node has pod using PersistentVolumeClaim with the same name and"
        " ReadWriteOncePod access mode."
    )


def test_a_volume_of_a_zone_is_used_in_that_zone() -> None:
    found = cluster(node("a", "x"), node("b", "y"), node("c"))
    bound = claim(volumeName="pv")
    bound.metadata.annotations = {"pv.kubernetes.io/bind-completed": "yes"}
    found.volumes.claims["default", "data"] = bound
    zonal = core_v1.PersistentVolume(
        metadata=meta_v1.ObjectMeta(name="pv", labels={"topology.kubernetes.io/zone": "y__z"})
    )
    found.volumes.volumes["pv"] = zonal
    assert [item.node for item in cycle(found, with_claim()).explain() if item.rejection is None] == ["b"]


def test_what_is_not_supported_is_refused_in_words() -> None:
    found = cluster(node("a"))
    grouped = pod(schedulingGroup=core_v1.PodSchedulingGroup(podGroupName="g"))
    claiming = pod(resourceClaims=[core_v1.PodResourceClaim(name="gpu")])
    assert failed_scheduling(cycle(found, grouped).diagnosis()) == (
        "0/1 nodes are available: pod groups (spec.schedulingGroup) are not supported by this scheduler."
    )
    assert failed_scheduling(cycle(found, claiming).diagnosis()) == (
        "0/1 nodes are available: dynamic resource allocation (spec.resourceClaims) is not supported by this scheduler."
    )
