"""Unmodified kubectl does its everyday work against a real cluster."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import urllib.request

import pytest

from conftest import RunningCluster, deployment_manifest, pod_manifest
from tiphys.cli.kubectl import kubectl_path

pytestmark = pytest.mark.root

SLEEP = ["sleep", "3600"]


@pytest.fixture
def sleeper(cluster: RunningCluster, namespace: str) -> str:
    cluster.kubectl("-n", namespace, "apply", "-f", "-", stdin=pod_manifest("sleeper", SLEEP))
    cluster.kubectl("-n", namespace, "wait", "--for=condition=Ready", "pod/sleeper", "--timeout=60s")
    return "sleeper"


@pytest.fixture
def web(cluster: RunningCluster, namespace: str) -> str:
    cluster.kubectl("-n", namespace, "apply", "-f", "-", stdin=deployment_manifest("web", 2))
    cluster.kubectl("-n", namespace, "rollout", "status", "deployment/web", "--timeout=60s")
    return "web"


def test_nodes_are_ready_and_described(cluster: RunningCluster) -> None:
    wide = cluster.kubectl("get", "nodes", "-o", "wide")
    assert re.search(r"node-1 +Ready .*containerd://", wide)
    assert re.search(r"node-2 +Ready ", wide)
    described = cluster.kubectl("describe", "node", "node-1")
    assert "Allocatable:" in described
    assert re.search(r"Ready +True", described)


def test_apply_get_in_every_form_and_delete(cluster: RunningCluster, namespace: str, sleeper: str) -> None:
    line = cluster.kubectl("-n", namespace, "get", "pod", sleeper, "--no-headers")
    assert re.match(r"sleeper +1/1 +Running +0 +\d+s", line)
    wide = cluster.kubectl("-n", namespace, "get", "pod", sleeper, "-o", "wide")
    assert "NOMINATED NODE" in wide
    assert re.search(r"node-[12]", wide)
    as_json = cluster.get("-n", namespace, "pod", sleeper)
    assert as_json["status"]["phase"] == "Running"
    yaml = cluster.kubectl("-n", namespace, "get", "pod", sleeper, "-o", "yaml")
    assert yaml.startswith("apiVersion: v1\nkind: Pod\n") or "kind: Pod" in yaml
    path = cluster.kubectl("-n", namespace, "get", "pod", sleeper, "-o", "jsonpath={.spec.containers[0].name}")
    assert path == "main"
    cluster.kubectl("-n", namespace, "delete", "pod", sleeper, "--timeout=30s")
    gone = cluster.kubectl("-n", namespace, "get", "pod", sleeper, check=False)
    assert 'pods "sleeper" not found' in gone


def test_get_watch_shows_changes(cluster: RunningCluster, namespace: str) -> None:
    watcher = cluster.start_kubectl("-n", namespace, "get", "configmaps", "-w", "--no-headers")
    assert watcher.stdout is not None
    try:
        cluster.kubectl("-n", namespace, "create", "configmap", "seen", "--from-literal=a=1")
        for line in watcher.stdout:
            if line.startswith("seen"):
                break
        assert re.match(r"seen +1 ", line)
    finally:
        watcher.kill()
        watcher.wait()


def test_describe_explain_events(cluster: RunningCluster, namespace: str, sleeper: str) -> None:
    described = cluster.kubectl("-n", namespace, "describe", "pod", sleeper)
    assert re.search(r"Normal +Scheduled +.*Successfully assigned", described)
    assert re.search(r"Normal +Started ", described)
    explained = cluster.kubectl("explain", "deployment.spec.strategy.rollingUpdate")
    assert "maxSurge" in explained
    assert "IntOrString" in explained
    events = cluster.kubectl("-n", namespace, "events", "--for", f"pod/{sleeper}")
    assert "Scheduled" in events


def test_scale_set_image_rollout_undo_history(cluster: RunningCluster, namespace: str, web: str) -> None:
    cluster.kubectl("-n", namespace, "scale", "deployment", web, "--replicas=3")
    cluster.kubectl("-n", namespace, "rollout", "status", f"deployment/{web}", "--timeout=60s")
    assert cluster.get("-n", namespace, "deployment", web)["status"]["readyReplicas"] == 3
    image = cluster.get("-n", namespace, "deployment", web)["spec"]["template"]["spec"]["containers"][0]["image"]
    cluster.kubectl("-n", namespace, "set", "image", f"deployment/{web}", "web=localhost/tiphys/none:1")
    history = cluster.kubectl("-n", namespace, "rollout", "history", f"deployment/{web}")
    assert re.findall(r"^\d+", history, re.M) == ["1", "2"]
    cluster.kubectl("-n", namespace, "rollout", "undo", f"deployment/{web}")
    cluster.kubectl("-n", namespace, "rollout", "status", f"deployment/{web}", "--timeout=60s")
    after = cluster.get("-n", namespace, "deployment", web)
    assert after["spec"]["template"]["spec"]["containers"][0]["image"] == image
    assert after["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"


def test_logs_follow(cluster: RunningCluster, namespace: str) -> None:
    script = "for i in 1 2 3; do echo line $i; sleep 0.3; done"
    manifest = pod_manifest("talker", ["sh", "-c", script], restartPolicy="Never")
    cluster.kubectl("-n", namespace, "apply", "-f", "-", stdin=manifest)
    cluster.kubectl("-n", namespace, "wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/talker", "--timeout=60s")
    assert cluster.kubectl("-n", namespace, "logs", "-f", "talker") == "line 1\nline 2\nline 3\n"
    assert cluster.kubectl("-n", namespace, "logs", "talker", "--tail=1") == "line 3\n"
    refused = cluster.kubectl("-n", namespace, "logs", "--previous", "talker", check=False)
    assert 'Error from server (BadRequest): previous terminated container "main" in pod "talker" not found' in refused
    stamped = cluster.kubectl("-n", namespace, "logs", "talker", "--timestamps", "--tail=1")
    assert re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z line 3\n", stamped)


def test_exec_with_standard_input_and_cp(
    cluster: RunningCluster, namespace: str, sleeper: str, tmp_path: pathlib.Path
) -> None:
    echoed = cluster.kubectl("-n", namespace, "exec", "-i", sleeper, "--", "cat", stdin="through and back\n")
    assert echoed == "through and back\n"
    failed = subprocess.run(
        [str(kubectl_path()), "-n", namespace, "exec", sleeper, "--", "sh", "-c", "exit 7"],
        env=cluster.environment(),
        capture_output=True,
        check=False,
    )
    assert failed.returncode == 7
    source = tmp_path / "source"
    source.write_text("copied\n" * 1000)
    cluster.kubectl("-n", namespace, "cp", str(source), f"{sleeper}:/tmp/copy")
    cluster.kubectl("-n", namespace, "cp", f"{sleeper}:/tmp/copy", str(tmp_path / "back"))
    assert (tmp_path / "back").read_text() == source.read_text()


def test_port_forward(cluster: RunningCluster, namespace: str, web: str) -> None:
    forward = cluster.start_kubectl(
        "-n", namespace, "port-forward", f"deployment/{web}", ":8080", "--address=127.0.0.1"
    )
    assert forward.stdout is not None
    try:
        match = re.search(r"127\.0\.0\.1:(\d+)", forward.stdout.readline())
        assert match is not None
        with urllib.request.urlopen(f"http://127.0.0.1:{match.group(1)}/", timeout=10) as answer:
            assert answer.status == 200
    finally:
        forward.kill()
        forward.wait()


def test_label_annotate_and_the_three_patches(cluster: RunningCluster, namespace: str) -> None:
    cluster.kubectl("-n", namespace, "create", "configmap", "target", "--from-literal=kept=1")
    cluster.kubectl("-n", namespace, "label", "configmap", "target", "tier=web")
    cluster.kubectl("-n", namespace, "annotate", "configmap", "target", "note=made by a test")
    cluster.kubectl("-n", namespace, "patch", "configmap", "target", "-p", '{"data":{"strategic":"1"}}')
    cluster.kubectl("-n", namespace, "patch", "configmap", "target", "--type=merge", "-p", '{"data":{"merge":"1"}}')
    operations = '[{"op":"add","path":"/data/json","value":"1"}]'
    cluster.kubectl("-n", namespace, "patch", "configmap", "target", "--type=json", "-p", operations)
    target = cluster.get("-n", namespace, "configmap", "target")
    assert target["data"] == {"kept": "1", "strategic": "1", "merge": "1", "json": "1"}
    assert target["metadata"]["labels"] == {"tier": "web"}
    assert target["metadata"]["annotations"] == {"note": "made by a test"}


def test_auth_can_i_and_create_token(cluster: RunningCluster, namespace: str) -> None:
    assert cluster.kubectl("auth", "can-i", "create", "deployments").strip() == "yes"
    account = f"system:serviceaccount:{namespace}:default"
    assert cluster.kubectl("auth", "can-i", "list", "secrets", "--as", account, check=False).strip().startswith("no")
    assert "[*]" in cluster.kubectl("auth", "can-i", "--list")
    token = cluster.kubectl("-n", namespace, "create", "token", "default").strip()
    assert len(token.split(".")) == 3
    server = cluster.kubectl("config", "view", "-o", "jsonpath={.clusters[0].cluster.server}")
    only_token = ["--kubeconfig=/dev/null", f"--server={server}", f"--certificate-authority={cluster.state}/pki/ca.crt"]
    assert account in cluster.kubectl(*only_token, f"--token={token}", "auth", "whoami")


def test_api_resources_and_diff(cluster: RunningCluster, namespace: str, web: str) -> None:
    resources = cluster.kubectl("api-resources")
    assert re.search(r"deployments +deploy +apps/v1 +true +Deployment", resources)
    assert re.search(r"nodes +no +v1 +false +Node", resources)
    changed = json.loads(deployment_manifest(web, 2))
    changed["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 9
    result = subprocess.run(
        [str(kubectl_path()), "-n", namespace, "diff", "-f", "-"],
        input=json.dumps(changed),
        env=cluster.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1, result.stderr
    assert "+      terminationGracePeriodSeconds: 9" in result.stdout
    assert (
        cluster.get("-n", namespace, "deployment", web)["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        == 5
    )


def test_errors_reach_the_user(cluster: RunningCluster, namespace: str) -> None:
    bad = json.loads(pod_manifest("Bad_Name"))
    bad["spec"]["containers"][0]["name"] = ""
    said = cluster.kubectl("-n", namespace, "create", "-f", "-", stdin=json.dumps(bad), check=False)
    assert 'The Pod "Bad_Name" is invalid' in said
    assert "metadata.name" in said
    assert "spec.containers[0].name: Required value" in said
