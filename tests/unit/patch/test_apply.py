"""Applying configurations to objects of the API's own types."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tiphys.kinds import apply_schema, codec, field_differences
from tiphys.kinds.types import apps_v1, core_v1, meta_v1
from tiphys.machinery.patch.apply import applying, field_set, fitting, managers, walk
from tiphys.machinery.patch.apply.applying import LAST_APPLIED, Applied, Conflicts
from tiphys.machinery.patch.apply.managers import APPLY, UPDATE, Manager
from tiphys.machinery.patch.apply.walk import Difference

DEPLOYMENT = apply_schema.of_type(apps_v1.Deployment)
SERVICE = apply_schema.of_type(core_v1.Service)
CONFIG_MAP = apply_schema.of_type(core_v1.ConfigMap)


class Cluster:
    """One object, and who applies to it."""

    def __init__(self, schema: Any, api_version: str = "apps/v1") -> None:
        self.schema = schema
        self.api_version = api_version
        self.empty: dict[str, Any] = {"metadata": {}}
        self.obj: Any = self.empty
        self.managers: tuple[Manager, ...] = ()
        self.time = "t0"

    def me(self, name: str, operation: str, subresource: str = "") -> Manager:
        return Manager(
            name=name, operation=operation, api_version=self.api_version, subresource=subresource, time=self.time
        )

    def apply(self, name: str, config: Any, *, force: bool = False) -> Any:
        done = self.try_apply(name, config, force=force)
        self.obj, self.managers = done.obj, done.managers
        return self.obj

    def try_apply(self, name: str, config: Any, *, force: bool = False) -> Applied:
        assert fitting.findings(config, self.schema) == []
        return applying.apply(
            self.obj, copy.deepcopy(config), self.managers, self.me(name, APPLY), self.schema,
            force=force, empty=self.empty, difference_of=lambda *_: None,
        )  # fmt: skip

    def update(self, name: str, obj: Any, subresource: str = "") -> None:
        def difference_in(version: str) -> Difference | None:
            return walk.compare(before, obj, self.schema) if version == self.api_version else None

        before = self.obj
        self.managers = managers.after_update(self.managers, self.me(name, UPDATE, subresource), difference_in)
        self.obj = obj

    def owned(self, name: str) -> list[str]:
        return [field_set.path_text(p) for m in self.managers if m.name == name for p in field_set.paths(m.owned)]


def template(*containers: Any) -> Any:
    return {"spec": {"template": {"spec": {"containers": list(containers)}}}}


def containers(obj: Any) -> Any:
    return obj["spec"]["template"]["spec"]["containers"]


def test_lists_with_keys_are_shared_by_their_items() -> None:
    cluster = Cluster(DEPLOYMENT)
    cluster.apply("app", template({"name": "web", "image": "web:1", "env": [{"name": "A", "value": "1"}]}))
    cluster.apply(
        "mesh", template({"name": "proxy", "image": "proxy:1"}, {"name": "web", "ports": [{"containerPort": 80}]})
    )
    assert containers(cluster.obj) == [
        {"name": "proxy", "image": "proxy:1"},
        {"name": "web", "image": "web:1", "env": [{"name": "A", "value": "1"}], "ports": [{"containerPort": 80}]},
    ]
    web = '.spec.template.spec.containers[name="web"]'
    assert cluster.owned("app") == [
        web,
        f"{web}.image",
        f"{web}.name",
        f'{web}.env[name="A"]',
        f'{web}.env[name="A"].name',
        f'{web}.env[name="A"].value',
    ]
    cluster.apply("app", template({"name": "web", "image": "web:1"}))
    assert containers(cluster.obj)[1] == {"name": "web", "image": "web:1", "ports": [{"containerPort": 80}]}
    cluster.apply("mesh", template())
    assert containers(cluster.obj) == [{"name": "web", "image": "web:1"}]
    assert [manager.name for manager in cluster.managers] == ["app"]


def test_what_nobody_applied_stays_beside_what_is_given_up() -> None:
    cluster = Cluster(DEPLOYMENT)
    cluster.apply("app", {"metadata": {"labels": {"a": "1", "b": "2"}}})
    changed = copy.deepcopy(cluster.obj)
    changed["metadata"]["labels"]["c"] = "3"
    cluster.update("editor", changed)
    cluster.apply("app", {"metadata": {"labels": {"b": "2"}}})
    assert cluster.obj["metadata"]["labels"] == {"b": "2", "c": "3"}
    cluster.apply("app", {"metadata": {}})
    assert cluster.obj["metadata"]["labels"] == {"c": "3"}


def test_an_item_that_its_applier_gives_up_goes_with_what_others_set_in_it() -> None:
    cluster = Cluster(DEPLOYMENT)
    cluster.apply("app", template({"name": "web", "image": "1"}, {"name": "side", "image": "2"}))
    changed = copy.deepcopy(cluster.obj)
    containers(changed)[1]["imagePullPolicy"] = "Always"
    cluster.update("defaults", changed)
    cluster.apply("app", template({"name": "web", "image": "1"}))
    assert containers(cluster.obj) == [{"name": "web", "image": "1"}]
    assert cluster.owned("defaults") == []


def test_ports_are_told_apart_by_port_and_protocol() -> None:
    cluster = Cluster(SERVICE, "v1")
    cluster.apply("a", {"spec": {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "targetPort": 5353}]}})
    assert cluster.owned("a") == [
        '.spec.ports[port=53,protocol="TCP"]',
        '.spec.ports[port=53,protocol="UDP"]',
        '.spec.ports[port=53,protocol="TCP"].port',
        '.spec.ports[port=53,protocol="TCP"].targetPort',
        '.spec.ports[port=53,protocol="UDP"].port',
        '.spec.ports[port=53,protocol="UDP"].protocol',
    ]
    defaulted = copy.deepcopy(cluster.obj)
    defaulted["spec"]["ports"][1]["protocol"] = "TCP"
    cluster.obj = defaulted
    cluster.apply("a", {"spec": {"ports": [{"port": 53, "targetPort": 53}]}})
    assert cluster.obj["spec"]["ports"] == [{"port": 53, "targetPort": 53, "protocol": "TCP"}]


def test_finalizers_are_a_set() -> None:
    cluster = Cluster(CONFIG_MAP, "v1")
    cluster.apply("a", {"metadata": {"finalizers": ["x/a", "x/b"]}})
    cluster.apply("b", {"metadata": {"finalizers": ["x/c", "x/b"]}})
    assert cluster.obj["metadata"]["finalizers"] == ["x/a", "x/c", "x/b"]
    cluster.apply("a", {"metadata": {}})
    assert cluster.obj["metadata"]["finalizers"] == ["x/c", "x/b"]


def test_atomic_values_are_replaced_whole() -> None:
    cluster = Cluster(SERVICE, "v1")
    cluster.apply("a", {"spec": {"selector": {"a": "1"}, "externalIPs": ["10.0.0.1"]}})
    with pytest.raises(Conflicts) as raised:
        cluster.try_apply("b", {"spec": {"selector": {"b": "1"}}})
    assert str(raised.value) == 'Apply failed with 1 conflict: conflict with "a": .spec.selector'
    cluster.apply("b", {"spec": {"selector": {"b": "1"}}}, force=True)
    assert cluster.obj["spec"]["selector"] == {"b": "1"}
    assert cluster.owned("a") == [".spec.externalIPs"]


def test_conflicts_name_every_manager_and_field() -> None:
    cluster = Cluster(DEPLOYMENT)
    cluster.apply("app", {"spec": {"replicas": 1, **template({"name": "c", "image": "1"})["spec"]}})
    scaled = copy.deepcopy(cluster.obj)
    scaled["spec"]["replicas"] = 5
    cluster.update("autoscaler", scaled, "scale")
    with pytest.raises(Conflicts) as raised:
        cluster.try_apply("other", {"spec": {"replicas": 2, **template({"name": "c", "image": "2"})["spec"]}})
    assert str(raised.value) == (
        "Apply failed with 2 conflicts: "
        'conflicts with "app":\n- .spec.template.spec.containers[name="c"].image\n'
        'conflicts with "autoscaler" with subresource "scale" using apps/v1:\n- .spec.replicas'
    )
    agreeing = cluster.apply("other", {"spec": {"replicas": 5}})
    assert agreeing == scaled
    assert cluster.owned("other") == [".spec.replicas"] == cluster.owned("autoscaler")


def test_giving_up_a_shared_field_leaves_it_to_the_other_owner() -> None:
    cluster = Cluster(DEPLOYMENT)
    cluster.apply("a", {"spec": {"replicas": 3}})
    cluster.apply("b", {"spec": {"replicas": 3}})
    cluster.apply("a", {"metadata": {"labels": {"x": "y"}}})
    assert cluster.obj["spec"] == {"replicas": 3}
    cluster.apply("b", {})
    assert "spec" not in cluster.obj


def test_giving_up_the_last_label_leaves_the_rest_of_the_metadata() -> None:
    cluster = Cluster(CONFIG_MAP, "v1")
    cluster.apply("me", {"metadata": {"name": "c", "labels": {"a": "b"}}, "data": {"x": "y"}})
    cluster.obj["metadata"]["uid"] = "1"
    cluster.apply("me", {"metadata": {"name": "c"}, "data": {"x": "y"}})
    assert cluster.obj == {"metadata": {"name": "c", "uid": "1"}, "data": {"x": "y"}}
    assert cluster.owned("me") == [".data.x"]


def test_a_null_takes_nothing_from_others() -> None:
    cluster = Cluster(CONFIG_MAP, "v1")
    cluster.apply("you", {"metadata": {"name": "c"}, "data": {"x": "y"}})
    cluster.apply("me", {"metadata": {"name": "c"}, "data": None})
    assert cluster.obj["data"] == {"x": "y"}
    assert (cluster.owned("me"), cluster.owned("you")) == ([".data"], [".data.x"])
    cluster.apply("you", {"metadata": {"name": "c"}, "data": None})
    assert cluster.obj["data"] is None


def test_what_somebody_owns_as_such_stays_when_it_is_emptied() -> None:
    cluster = Cluster(CONFIG_MAP, "v1")
    cluster.apply("me", {"metadata": {"name": "c"}, "data": {"x": "y"}})
    cluster.apply("you", {"metadata": {"name": "c"}, "data": {}})
    cluster.apply("me", {"metadata": {"name": "c"}})
    assert (cluster.obj["data"], cluster.owned("you")) == ({}, [".data"])


def test_what_is_applied_empty_stays_empty() -> None:
    cluster = Cluster(CONFIG_MAP, "v1")
    cluster.apply("me", {"metadata": {"name": "c"}, "data": {"x": "y"}})
    cluster.apply("me", {"metadata": {"name": "c"}, "data": {}})
    assert (cluster.obj["data"], cluster.owned("me")) == ({}, [".data"])
    cluster.apply("me", {"metadata": {"name": "c"}})
    assert "data" not in cluster.obj


def test_an_apply_without_effect_keeps_its_time() -> None:
    cluster = Cluster(DEPLOYMENT)
    config = {"spec": {"replicas": 1, **template({"name": "c", "resources": {"limits": {"cpu": "1000m"}}})["spec"]}}
    cluster.apply("a", config)
    canonical = copy.deepcopy(cluster.obj)
    containers(canonical)[0]["resources"]["limits"]["cpu"] = "1"
    cluster.obj = canonical
    before = cluster.managers
    cluster.time = "t1"
    assert cluster.apply("a", config) == canonical
    assert cluster.managers == before
    cluster.apply("b", {"spec": {"replicas": 1}})
    assert [(manager.name, manager.time) for manager in cluster.managers] == [("b", ""), ("a", "t0")]
    cluster.time = "t2"
    cluster.apply("a", {"spec": {"replicas": 1}})
    assert [(manager.name, manager.time) for manager in cluster.managers] == [("b", ""), ("a", "t2")]


def test_what_was_there_before_the_first_apply_has_an_owner() -> None:
    cluster = Cluster(CONFIG_MAP, "v1")
    cluster.obj = {"metadata": {"name": "m"}, "data": {"a": "1"}}
    with pytest.raises(Conflicts) as raised:
        cluster.try_apply("a", {"data": {"a": "2"}})
    assert str(raised.value) == 'Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.a'
    cluster.apply("a", {"data": {"a": "2"}}, force=True)
    assert cluster.owned("before-first-apply") == [".data"]


def test_kubectl_takes_over_what_it_applied_on_the_client_side() -> None:
    cluster = Cluster(CONFIG_MAP, "v1")
    last = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"m"},"data":{"a":"1","b":"1"}}'
    obj = {"metadata": {"name": "m", "annotations": {LAST_APPLIED: last}}, "data": {"a": "1", "b": "1", "c": "1"}}
    cluster.managers = (
        managers.with_fields(cluster.me("kubectl-client-side-apply", UPDATE), {"f:data": {".": {}}}, ""),
    )
    cluster.update("kubectl-client-side-apply", obj)
    config = {"metadata": {"name": "m"}, "data": {"a": "2"}}
    with pytest.raises(Conflicts):
        cluster.try_apply("other", config)
    with pytest.raises(Conflicts) as raised:
        cluster.try_apply("kubectl", {**config, "data": {"a": "2", "c": "2"}})
    assert str(raised.value).endswith(": .data.c")
    cluster.apply("kubectl", config)
    assert cluster.obj["data"] == {"a": "2", "b": "1", "c": "1"}
    assert cluster.obj["metadata"]["annotations"][LAST_APPLIED] == ('{"data":{"a":"2"},"metadata":{"name":"m"}}\n')


def test_lists_keep_the_order_of_the_configuration_and_the_place_of_others() -> None:
    cluster = Cluster(CONFIG_MAP, "v1")
    cluster.obj = {"metadata": {"finalizers": ["a", "b", "c"]}}
    assert walk.merge(cluster.obj, {"metadata": {"finalizers": ["c", "a"]}}, CONFIG_MAP)["metadata"] == {
        "finalizers": ["b", "c", "a"]
    }
    assert walk.merge(cluster.obj, {"metadata": {"finalizers": ["x", "a"]}}, CONFIG_MAP)["metadata"] == {
        "finalizers": ["x", "a", "b", "c"]
    }


def test_configurations_that_do_not_fit_are_refused_whole() -> None:
    config = {
        "spec": {
            "repplicas": 1,
            "template": {
                "spec": {"containers": [{"name": "a"}, {"name": "a"}, {"image": "b"}, {"image": "c"}], "volumes": {}}
            },
        },
        "metadata": [],
    }
    assert fitting.findings(config, DEPLOYMENT) == [
        ".spec.repplicas: field not declared in schema",
        '.spec.template.spec.containers: duplicate entries for key [name="a"]',
        '.spec.template.spec.containers: duplicate entries for key [name=""]',
        ".spec.template.spec.volumes: expected list, got &{map[]}",
        ".metadata: expected map, got &{[]}",
    ]


def test_updaters_beyond_ten_are_merged_oldest_first() -> None:
    cluster = Cluster(CONFIG_MAP, "v1")
    cluster.managers = (managers.with_fields(cluster.me("u00", UPDATE), {"f:data": {"f:u00": {}}}, "t00"),)
    cluster.obj = {"data": {"u00": "1"}}
    for number in range(1, 12):
        cluster.time = f"t{number:02}"
        cluster.update(f"u{number:02}", {"data": {**cluster.obj["data"], f"u{number:02}": "1"}})
    names = [manager.name for manager in cluster.managers]
    assert names == ["ancient-changes", *(f"u{number:02}" for number in range(3, 12))]
    assert cluster.owned("ancient-changes") == [".data.u00", ".data.u01", ".data.u02"]


def test_a_created_pod_is_owned_level_by_level() -> None:
    container = core_v1.Container(name="c", image="i", env=[core_v1.EnvVar(name="A", value="1")])
    pod = core_v1.Pod(
        metadata=meta_v1.ObjectMeta(name="p", labels={"a": "b"}, finalizers=["x/y"]),
        spec=core_v1.PodSpec(containers=[container], nodeSelector={"d": "e"}),
    )
    empty = field_differences.empty(core_v1.Pod)
    found = field_differences.difference(empty, pod)
    assert managers.ownable(found.changed) == {
        "f:metadata": {"f:finalizers": {".": {}, 'v:"x/y"': {}}, "f:labels": {".": {}, "f:a": {}}},
        "f:spec": {
            "f:containers": {
                'k:{"name":"c"}': {
                    ".": {},
                    "f:env": {".": {}, 'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}}},
                    "f:image": {},
                    "f:name": {},
                }
            },
            "f:nodeSelector": {},
        },
    }
    assert found == walk.compare(codec.plain(empty), codec.plain(pod), apply_schema.of_type(core_v1.Pod))
