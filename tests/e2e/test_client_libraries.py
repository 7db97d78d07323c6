"""The client libraries people use, unmodified: the official Python client, lightkube, kr8s and Helm."""

from __future__ import annotations

import base64
import json
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import kr8s
import kubernetes
import lightkube
import pytest
from kr8s.objects import ConfigMap as Kr8sConfigMap
from kr8s.objects import Deployment as Kr8sDeployment
from kr8s.objects import new_class
from kubernetes.client.exceptions import ApiException
from lightkube.core.exceptions import ApiError
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Namespace
from lightkube.types import PatchType
from loopback_control_plane import running

NAMESPACE = "default"
HERE = pathlib.Path(__file__).parent

CHART = {
    "Chart.yaml": "apiVersion: v2\nname: demo\nversion: 0.1.0\n",
    "values.yaml": "replicas: 1\nword: none\n",
    "templates/config.yaml": """
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ .Release.Name }}-config"}
data: {word: "{{ .Values.word }}"}
""",
    "templates/deployment.yaml": """
apiVersion: apps/v1
kind: Deployment
metadata: {name: "{{ .Release.Name }}"}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: demo}}
  template:
    metadata: {labels: {app: demo}}
    spec: {containers: [{name: main, image: "example/image:1"}]}
""",
    "templates/service.yaml": """
apiVersion: v1
kind: Service
metadata: {name: "{{ .Release.Name }}"}
spec:
  selector: {app: demo}
  ports: [{port: 80}]
""",
}


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pathlib.Path]:
    with running(tmp_path_factory.mktemp("clients")) as path:
        yield path


@pytest.fixture(scope="module")
def official(kubeconfig: pathlib.Path) -> Iterator[kubernetes.client.ApiClient]:
    with kubernetes.config.new_client_from_config(str(kubeconfig)) as client:
        yield client


@pytest.fixture(scope="module")
def core(official: kubernetes.client.ApiClient) -> Any:
    return kubernetes.client.CoreV1Api(official)


def deployment(name: str) -> dict[str, Any]:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": "example/image:1"}]},
            },
        },
    }


# -- the official client


def test_official_typed_life_of_an_object(core: Any, official: kubernetes.client.ApiClient) -> None:
    apps = kubernetes.client.AppsV1Api(official)
    made = apps.create_namespaced_deployment(NAMESPACE, deployment("typed"))
    assert (made.metadata.generation, made.spec.strategy.type, made.spec.replicas) == (1, "RollingUpdate", 2)
    assert made.metadata.creation_timestamp.tzinfo is not None
    assert [found.metadata.name for found in apps.list_deployment_for_all_namespaces(label_selector="app=typed").items]
    patched = apps.patch_namespaced_deployment("typed", NAMESPACE, {"spec": {"replicas": 3}})
    assert (patched.spec.replicas, patched.metadata.generation) == (3, 2)
    scaled = apps.patch_namespaced_deployment_scale("typed", NAMESPACE, {"spec": {"replicas": 1}})
    assert scaled.spec.replicas == 1
    current = core.create_namespaced_config_map(NAMESPACE, {"metadata": {"name": "typed"}, "data": {"a": "1"}})
    current.data["a"] = "2"
    assert core.replace_namespaced_config_map("typed", NAMESPACE, current).data == {"a": "2"}
    with pytest.raises(ApiException) as stale:
        core.replace_namespaced_config_map("typed", NAMESPACE, current)
    assert (stale.value.status, json.loads(stale.value.body)["reason"]) == (409, "Conflict")
    apps.delete_namespaced_deployment("typed", NAMESPACE, propagation_policy="Background")
    with pytest.raises(ApiException) as missing:
        apps.read_namespaced_deployment("typed", NAMESPACE)
    assert missing.value.status == 404


def test_official_watch_and_its_resumption(core: Any) -> None:
    start = core.list_namespaced_config_map(NAMESPACE).metadata.resource_version
    for number in range(3):
        body = kubernetes.client.V1ConfigMap(
            metadata=kubernetes.client.V1ObjectMeta(name=f"watched-{number}", labels={"watched": "yes"})
        )
        core.create_namespaced_config_map(NAMESPACE, body)
    options = {"namespace": NAMESPACE, "label_selector": "watched=yes", "timeout_seconds": 20}
    watch = kubernetes.watch.Watch()
    names, version = [], start
    for event in watch.stream(core.list_namespaced_config_map, resource_version=start, **options):
        names.append((event["type"], event["object"].metadata.name))
        version = event["object"].metadata.resource_version
        if len(names) == 2:
            watch.stop()
    assert names == [("ADDED", "watched-0"), ("ADDED", "watched-1")]
    core.delete_namespaced_config_map("watched-0", NAMESPACE)
    later = []
    resumed = kubernetes.watch.Watch()
    for event in resumed.stream(core.list_namespaced_config_map, resource_version=version, **options):
        later.append((event["type"], event["object"].metadata.name))
        if len(later) == 2:
            resumed.stop()
    assert later == [("ADDED", "watched-2"), ("DELETED", "watched-0")]


def test_official_watch_of_a_lost_version(core: Any) -> None:
    stream = kubernetes.watch.Watch().stream(
        core.list_namespaced_config_map, NAMESPACE, resource_version="999999999", timeout_seconds=5
    )
    with pytest.raises(ApiException) as ahead:
        next(iter(stream))
    assert ahead.value.status == 504


def test_official_pages(core: Any) -> None:
    for number in range(7):
        core.create_namespaced_config_map(NAMESPACE, {"metadata": {"name": f"page-{number}", "labels": {"page": "y"}}})
    names: list[str] = []
    token, versions = "", set()
    while True:
        page = core.list_namespaced_config_map(NAMESPACE, limit=3, _continue=token, label_selector="page=y")
        names += [item.metadata.name for item in page.items]
        versions.add(page.metadata.resource_version)
        token = page.metadata._continue or ""
        if not token:
            break
        core.delete_namespaced_config_map(names[-1], NAMESPACE)
    assert names == [f"page-{number}" for number in range(7)]
    assert len(versions) == 1
    core.delete_collection_namespaced_config_map(NAMESPACE, label_selector="page=y")
    assert core.list_namespaced_config_map(NAMESPACE, label_selector="page=y").items == []


def test_official_dynamic_client(official: kubernetes.client.ApiClient) -> None:
    dynamic = kubernetes.dynamic.DynamicClient(official)
    services = dynamic.resources.get(api_version="v1", kind="Service")
    manifest = {"metadata": {"name": "dynamic"}, "spec": {"ports": [{"port": 80, "targetPort": "web"}]}}
    made = services.create(body=manifest, namespace=NAMESPACE)
    assert made.spec.ports[0].targetPort == "web"
    assert made.spec.clusterIP.startswith("10.96.")
    patch = {"spec": {"ports": [{"port": 80, "name": "one"}, {"port": 81, "name": "two"}]}}
    merged = services.patch(
        name="dynamic", namespace=NAMESPACE, body=patch, content_type="application/merge-patch+json"
    )
    assert [port.name for port in merged.spec.ports] == ["one", "two"]
    applied = services.server_side_apply(
        body={"apiVersion": "v1", "kind": "Service", "metadata": {"name": "dynamic", "labels": {"a": "b"}}},
        name="dynamic",
        namespace=NAMESPACE,
        field_manager="tests",
    )
    assert applied.metadata.labels["a"] == "b"
    services.delete(name="dynamic", namespace=NAMESPACE)
    deployments = dynamic.resources.get(short_names=["deploy"])
    assert deployments.group_version == "apps/v1"
    assert {found.kind for found in dynamic.resources.search(group="apps")} >= {"Deployment", "DaemonSet"}
    assert dynamic.version["kubernetes"]["gitVersion"].startswith("v1.37")


def test_official_other_api_groups(official: kubernetes.client.ApiClient) -> None:
    groups = {group.name for group in kubernetes.client.ApisApi(official).get_api_versions().groups}
    assert {"apps", "batch", "rbac.authorization.k8s.io"} <= groups
    asked = {"spec": {"resourceAttributes": {"verb": "create", "resource": "pods", "namespace": NAMESPACE}}}
    review = kubernetes.client.AuthorizationV1Api(official).create_self_subject_access_review(asked)
    assert review.status.allowed is True
    batch = kubernetes.client.BatchV1Api(official)
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "example/image:1"}]}}
    job = batch.create_namespaced_job(NAMESPACE, {"metadata": {"name": "job"}, "spec": {"template": template}})
    assert job.spec.template.spec.restart_policy == "Never"
    batch.delete_namespaced_job("job", NAMESPACE, propagation_policy="Background")


def test_official_create_from_yaml(official: kubernetes.client.ApiClient, core: Any) -> None:
    objects = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "from-yaml"}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "from-yaml"}, "data": {}},
    ]
    kubernetes.utils.create_from_yaml(official, yaml_objects=objects)
    assert core.read_namespaced_config_map("c", "from-yaml").metadata.name == "c"
    version = core.read_namespace("from-yaml").metadata.resource_version
    core.delete_namespace("from-yaml")
    stream = kubernetes.watch.Watch().stream(
        core.list_namespace, field_selector="metadata.name=from-yaml", resource_version=version, timeout_seconds=30
    )
    assert "DELETED" in [event["type"] for event in _until_deleted(stream)]


def _until_deleted(stream: Any) -> Iterator[Any]:
    for event in stream:
        yield event
        if event["type"] == "DELETED":
            return


# -- lightkube


def test_lightkube(kubeconfig: pathlib.Path) -> None:
    client = lightkube.Client(config=lightkube.KubeConfig.from_file(str(kubeconfig)), field_manager="tests")
    client.create(Namespace(metadata=ObjectMeta(name="light")))
    made = client.create(
        ConfigMap(metadata=ObjectMeta(name="a", namespace="light", labels={"l": "1"}), data={"k": "v"})
    )
    assert made.data == {"k": "v"}
    for number in range(5):
        client.create(ConfigMap(metadata=ObjectMeta(name=f"many-{number}", namespace="light", labels={"l": "2"})))
    found = [item.metadata.name for item in client.list(ConfigMap, namespace="light", labels={"l": "2"}, chunk_size=2)]
    assert found == [f"many-{number}" for number in range(5)]
    patched = client.patch(ConfigMap, "a", {"data": {"k": "w"}}, namespace="light", patch_type=PatchType.MERGE)
    assert patched.data == {"k": "w"}
    applied = client.apply(
        ConfigMap(apiVersion="v1", kind="ConfigMap", metadata=ObjectMeta(name="a", namespace="light"), data={"n": "1"})
    )
    assert applied.data == {"k": "w", "n": "1"}
    version = applied.metadata.resourceVersion
    applied.data["n"] = "2"
    client.replace(applied)
    for kind, item in client.watch(ConfigMap, namespace="light", resource_version=version):
        assert (kind, item.metadata.name, item.data["n"]) == ("MODIFIED", "a", "2")
        break
    client.create(Deployment.from_dict(deployment("light")), namespace="light")
    assert client.get(Deployment.Scale, "light", namespace="light").spec.replicas == 2
    client.deletecollection(ConfigMap, namespace="light")
    with pytest.raises(ApiError) as missing:
        client.get(ConfigMap, "a", namespace="light")
    assert (missing.value.status.code, missing.value.status.reason) == (404, "NotFound")
    client.delete(Namespace, "light")


# -- kr8s


def test_kr8s(kubeconfig: pathlib.Path) -> None:
    api = kr8s.api(kubeconfig=str(kubeconfig), namespace=NAMESPACE)
    assert api.version()["minor"].startswith("37")
    config = Kr8sConfigMap({"metadata": {"name": "kr8s", "labels": {"by": "kr8s"}}, "data": {"a": "1"}}, api=api)
    config.create()
    assert config.exists()
    config.patch({"data": {"a": "2"}})
    config.label(more="yes")
    config.annotate(seen="true")
    config.refresh()
    assert (config.raw["data"]["a"], config.labels["more"]) == ("2", "yes")
    listed = list(api.get("configmaps", label_selector={"by": "kr8s"}))
    assert [found.name for found in listed] == ["kr8s"]
    workload = Kr8sDeployment(deployment("kr8s"), api=api)
    workload.create()
    workload.scale(0)
    assert workload.replicas == 0
    assert [found.name for found in api.get("deploy", "kr8s")] == ["kr8s"]
    leases = new_class("Lease", "coordination.k8s.io/v1", asyncio=False)
    lease = leases({"metadata": {"name": "kr8s"}, "spec": {"holderIdentity": "me"}}, api=api)
    lease.create()
    assert leases.get("kr8s", api=api, namespace=NAMESPACE).raw["spec"]["holderIdentity"] == "me"
    for found in (config, workload, lease):
        found.delete()
    assert not config.exists()
    assert {kind["name"] for kind in api.api_resources()} >= {"pods", "deployments"}


# -- Helm


def test_helm_release(kubeconfig: pathlib.Path, core: Any, tmp_path: pathlib.Path) -> None:
    for name, text in CHART.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        [sys.executable, str(HERE / "helm_round.py"), str(kubeconfig), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["list"] == ["demo"]
    assert seen["words"] == ["first", "second", "first"]
    assert seen["replicas"] == [1, 3, 1]
    assert seen["history"] == [1, 2, 3]
    assert seen["secrets"] == [f"sh.helm.release.v1.demo.v{number}" for number in (1, 2, 3)]
    assert seen["left"] == []
    assert [item.metadata.name for item in core.list_namespaced_service("releases").items] == []
    secrets = core.list_namespaced_secret("releases", field_selector="type=helm.sh/release.v1").items
    assert secrets == []


def test_secrets_are_base64_for_every_client(core: Any) -> None:
    core.create_namespaced_secret(NAMESPACE, {"metadata": {"name": "s"}, "stringData": {"a": "\u00fc"}})
    found = core.read_namespaced_secret("s", NAMESPACE)
    assert base64.b64decode(found.data["a"]).decode() == "\u00fc"
