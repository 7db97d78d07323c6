from __future__ import annotations

import dataclasses

import pytest

from tiphys.kinds import codec
from tiphys.kinds.types import core_v1
from tiphys.kubelet.env_files import EnvFile
from tiphys.kubelet.environment import ConfigError, EnvironmentSources, container_environment, expand
from tiphys.machinery.quantity import parse

POD = {
    "metadata": {
        "name": "web-0",
        "namespace": "shop",
        "uid": "u1",
        "labels": {"app": "web"},
        "annotations": {"a": 'q"1'},
    },
    "spec": {"nodeName": "node-1", "serviceAccountName": "seller", "enableServiceLinks": False, "containers": []},
    "status": {"podIP": "10.244.0.5", "podIPs": [{"ip": "10.244.0.5"}], "hostIP": "10.201.0.10"},
}


def sources(
    maps: dict[str, dict[str, str]] | None = None,
    secrets: dict[str, dict[str, bytes]] | None = None,
    services: list[core_v1.Service] | None = None,
) -> EnvironmentSources:
    config_maps = {n: core_v1.ConfigMap(data=d) for n, d in (maps or {}).items()}
    secret_objects = {n: core_v1.Secret(data=d) for n, d in (secrets or {}).items()}
    return EnvironmentSources(
        config_map=lambda namespace, name: config_maps.get(name),
        secret=lambda namespace, name: secret_objects.get(name),
        services=services or (),
        node_allocatable={"cpu": parse("4"), "memory": parse("8Gi")},
    )


def environment(container: dict[str, object], using: EnvironmentSources | None = None) -> dict[str, str]:
    pod = codec.convert({**POD, "spec": {**POD["spec"], "containers": [{"name": "c", **container}]}}, core_v1.Pod)
    return dict(container_environment(pod, pod.spec.containers[0], using or sources()))


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)-$(B)", "1-$(B)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$A $(A", "$A $(A"),
        ("", ""),
    ],
)
def test_expansion(text: str, expanded: str) -> None:
    assert expand(text, {"A": "1"}) == expanded


def test_literals_may_use_what_stands_before_them() -> None:
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)$(C)"}, {"name": "C", "value": "3"}]
    assert environment({"env": env}) == {"A": "1", "B": "1$(C)", "C": "3"}


def test_field_references() -> None:
    paths = {
        "NAME": "metadata.name",
        "NAMESPACE": "metadata.namespace",
        "UID": "metadata.uid",
        "NODE": "spec.nodeName",
        "ACCOUNT": "spec.serviceAccountName",
        "HOST": "status.hostIP",
        "IP": "status.podIP",
        "IPS": "status.podIPs",
        "LABEL": "metadata.labels['app']",
        "NONE": "metadata.labels['none']",
    }
    env = [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in paths.items()]
    assert environment({"env": env}) == {
        "NAME": "web-0",
        "NAMESPACE": "shop",
        "UID": "u1",
        "NODE": "node-1",
        "ACCOUNT": "seller",
        "HOST": "10.201.0.10",
        "IP": "10.244.0.5",
        "IPS": "10.244.0.5",
        "LABEL": "web",
        "NONE": "",
    }


def test_resource_references_round_up_and_fall_back_to_the_node() -> None:
    def reference(resource: str, divisor: str = "1") -> dict[str, object]:
        return {"resourceFieldRef": {"resource": resource, "divisor": divisor}}

    env = [
        {"name": "CPU", "valueFrom": reference("requests.cpu")},
        {"name": "CPU_MILLI", "valueFrom": reference("requests.cpu", "1m")},
        {"name": "MEMORY_LIMIT", "valueFrom": reference("limits.memory", "1Mi")},
        {"name": "CPU_LIMIT", "valueFrom": reference("limits.cpu")},
        {"name": "NO_REQUEST", "valueFrom": reference("requests.memory")},
    ]
    resources = {"requests": {"cpu": "250m"}, "limits": {"memory": "64Mi"}}
    assert environment({"env": env, "resources": resources}) == {
        "CPU": "1",
        "CPU_MILLI": "250",
        "MEMORY_LIMIT": "64",
        "CPU_LIMIT": "4",
        "NO_REQUEST": "0",
    }


def test_env_from_takes_every_key_under_its_prefix() -> None:
    container = {
        "envFrom": [{"prefix": "P_", "configMapRef": {"name": "m"}}, {"secretRef": {"name": "s"}}],
        "env": [{"name": "key", "value": "literal wins"}],
    }
    using = sources({"m": {"a.b": "1"}}, {"s": {"key": b"secret", "raw": b"\xff"}})
    assert environment(container, using) == {"P_a.b": "1", "key": "literal wins", "raw": "\udcff"}


@pytest.mark.parametrize(
    ("origin", "message"),
    [
        ({"configMapKeyRef": {"name": "none", "key": "k"}}, 'configmap "none" not found'),
        ({"secretKeyRef": {"name": "none", "key": "k"}}, 'secret "none" not found'),
        ({"configMapKeyRef": {"name": "m", "key": "k"}}, "couldn't find key k in ConfigMap shop/m"),
        ({"secretKeyRef": {"name": "s", "key": "k"}}, "couldn't find key k in Secret shop/s"),
        ({"resourceFieldRef": {"containerName": "x", "resource": "limits.cpu"}}, "container x not found"),
    ],
)
def test_what_is_missing_is_said(origin: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        environment({"env": [{"name": "A", "valueFrom": origin}]}, sources({"m": {}}, {"s": {}}))
    assert str(raised.value) == message


def test_optional_references_may_lead_nowhere() -> None:
    optional = {"name": "none", "key": "k", "optional": True}
    container = {
        "env": [
            {"name": "A", "valueFrom": {"configMapKeyRef": optional}},
            {"name": "B", "valueFrom": {"secretKeyRef": optional}},
        ],
        "envFrom": [{"configMapRef": {"name": "none", "optional": True}}],
    }
    assert environment(container) == {}


def service(namespace: str, name: str, address: str, *ports: dict[str, object]) -> core_v1.Service:
    spec = {"clusterIP": address, "ports": list(ports)}
    return codec.convert({"metadata": {"namespace": namespace, "name": name}, "spec": spec}, core_v1.Service)


def test_service_variables() -> None:
    services = [
        service("shop", "my-db", "10.96.0.7", {"name": "sql", "port": 5432}, {"port": 53, "protocol": "UDP"}),
        service("default", "kubernetes", "10.96.0.1", {"name": "https", "port": 443}),
        service("shop", "headless", "None", {"port": 1}),
        service("other", "far", "10.96.0.9", {"port": 1}),
    ]
    pod = codec.convert({**POD, "spec": {"containers": [{"name": "c"}]}}, core_v1.Pod)
    found = dict(container_environment(pod, pod.spec.containers[0], sources(services=services)))
    assert found == {
        "KUBERNETES_SERVICE_HOST": "10.96.0.1",
        "KUBERNETES_SERVICE_PORT": "443",
        "KUBERNETES_SERVICE_PORT_HTTPS": "443",
        "KUBERNETES_PORT": "tcp://10.96.0.1:443",
        "KUBERNETES_PORT_443_TCP": "tcp://10.96.0.1:443",
        "KUBERNETES_PORT_443_TCP_PROTO": "tcp",
        "KUBERNETES_PORT_443_TCP_PORT": "443",
        "KUBERNETES_PORT_443_TCP_ADDR": "10.96.0.1",
        "MY_DB_SERVICE_HOST": "10.96.0.7",
        "MY_DB_SERVICE_PORT": "5432",
        "MY_DB_SERVICE_PORT_SQL": "5432",
        "MY_DB_PORT": "tcp://10.96.0.7:5432",
        "MY_DB_PORT_5432_TCP": "tcp://10.96.0.7:5432",
        "MY_DB_PORT_5432_TCP_PROTO": "tcp",
        "MY_DB_PORT_5432_TCP_PORT": "5432",
        "MY_DB_PORT_5432_TCP_ADDR": "10.96.0.7",
        "MY_DB_PORT_53_UDP": "udp://10.96.0.7:53",
        "MY_DB_PORT_53_UDP_PROTO": "udp",
        "MY_DB_PORT_53_UDP_PORT": "53",
        "MY_DB_PORT_53_UDP_ADDR": "10.96.0.7",
    }


def test_variables_out_of_files() -> None:
    def variable(key: str, path: str, optional: bool = False) -> dict[str, object]:
        reference = {"volumeName": "v", "path": path, "key": key, "optional": optional}
        return {"name": "A", "valueFrom": {"fileKeyRef": reference}}

    files = {EnvFile("v", "good"): "K='1'\nEMPTY=''", EnvFile("v", "bad"): "K=1", EnvFile("v", "none"): None}
    using = dataclasses.replace(sources(), files=files)
    assert environment({"env": [variable("K", "good")]}, using) == {"A": "1"}
    assert environment({"env": [variable("EMPTY", "good")]}, using) == {"A": ""}
    assert environment({"env": [variable("X", "good", True), variable("K", "none", True)]}, using) == {}
    for key, path, message in (
        ("X", "good", "couldn't find key X in file good"),
        ("K", "none", "couldn't find file none in volume v"),
        ("K", "bad", "couldn't parse env file bad: line 1 is not of the form NAME='value'"),
    ):
        with pytest.raises(ConfigError) as caught:
            environment({"env": [variable(key, path)]}, using)
        assert str(caught.value) == message
