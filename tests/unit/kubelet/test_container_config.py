"""Pods and containers as the runtime is told of them."""

from __future__ import annotations

from typing import Any

import pytest

from tiphys.kinds.types import core_v1, meta_v1
from tiphys.kubelet.container_config import (
    ContainerInputs,
    NodeFacts,
    container_config,
    definition_hash,
    sandbox_config,
    signal_number,
)
from tiphys.kubelet.dns_config import DnsConfig
from tiphys.kubelet.environment import ConfigError
from tiphys.kubelet.interface import CriMessage, ImageRecord
from tiphys.kubelet.paths import PodPaths, uid_of_log_directory
from tiphys.kubelet.security import MASKED_PATHS, READ_ONLY_PATHS

NODE = NodeFacts(
    paths=PodPaths("/k", "/logs"),
    cgroup_root="/node",
    cluster_domain="cluster.local",
    memory_capacity_bytes=8 << 30,
    unified_cgroups=False,
)
DNS = DnsConfig(servers=("10.96.0.10",), searches=("a", "b"), options=("ndots:5",))
UNCONFINED = {"profile_type": 1}


def pod(*containers: core_v1.Container, **spec: Any) -> core_v1.Pod:
    return core_v1.Pod(
        metadata=meta_v1.ObjectMeta(
            name="web", namespace="default", uid="u", labels={"app": "web"}, annotations={"note": "x"}
        ),
        spec=core_v1.PodSpec(containers=list(containers) or [core_v1.Container(name="c")], **spec),
    )


def inputs(**more: Any) -> ContainerInputs:
    fields: dict[str, Any] = {
        "attempt": 2,
        "image": ImageRecord(id="sha256:1", uid=1000),
        "image_reference": "sha256:1",
        "environment": [("A", "1")],
        "volumes": {},
        "subpaths": {},
        "termination_log": "/k/pods/u/containers/c/tok",
        "hosts_file": "/k/pods/u/etc-hosts",
        **more,
    }
    return ContainerInputs(**fields)


def configured(container: core_v1.Container, of: core_v1.Pod | None = None, **more: Any) -> CriMessage:
    return container_config(of or pod(container), container, inputs(**more), NODE)


def security(context: core_v1.SecurityContext | None = None, of: core_v1.Pod | None = None, **more: Any) -> CriMessage:
    container = core_v1.Container(name="c", securityContext=context)
    found: CriMessage = configured(container, of, **more)["linux"]["security_context"]
    return found


def test_a_sandbox() -> None:
    port = core_v1.ContainerPort(containerPort=80, hostPort=8080, protocol="UDP", hostIP="192.0.2.1")
    assert sandbox_config(pod(core_v1.Container(name="c", ports=[port])), 1, DNS, NODE) == {
        "metadata": {"name": "web", "namespace": "default", "uid": "u", "attempt": 1},
        "hostname": "web",
        "log_directory": "/logs/default_web_u",
        "dns_config": {"servers": ["10.96.0.10"], "searches": ["a", "b"], "options": ["ndots:5"]},
        "port_mappings": [{"protocol": 1, "container_port": 80, "host_port": 8080, "host_ip": "192.0.2.1"}],
        "labels": {
            "app": "web",
            "io.kubernetes.pod.name": "web",
            "io.kubernetes.pod.namespace": "default",
            "io.kubernetes.pod.uid": "u",
        },
        "annotations": {"note": "x"},
        "linux": {
            "cgroup_parent": "/node/kubepods/besteffort/podu",
            "security_context": {
                "namespace_options": {"network": 0, "pid": 1, "ipc": 0},
                "privileged": False,
                "seccomp": {"profile_type": 0},
            },
            "sysctls": {},
            "overhead": {},
            "resources": {"cpu_shares": 2, "cpu_period": 100_000},
        },
    }
    assert uid_of_log_directory("default_web_u") == "u"


def test_a_container() -> None:
    container = core_v1.Container(
        name="c",
        image="web:1",
        command=["run", "$(A)", "$$(A)", "$(B)"],
        args=["--a=$(A)"],
        workingDir="/w",
        tty=True,
        stdin=True,
        volumeMounts=[
            core_v1.VolumeMount(name="v", mountPath="data", readOnly=True, mountPropagation="HostToContainer")
        ],
    )
    assert configured(container, pod(container, terminationGracePeriodSeconds=5), volumes={"v": "/k/v"}) == {
        "metadata": {"name": "c", "attempt": 2},
        "image": {"image": "sha256:1", "user_specified_image": "web:1"},
        "command": ["run", "1", "$(A)", "$(B)"],
        "args": ["--a=1"],
        "working_dir": "/w",
        "envs": [{"key": "A", "value": "1"}],
        "mounts": [
            {"container_path": "/data", "host_path": "/k/v", "readonly": True, "propagation": 1},
            {"container_path": "/etc/hosts", "host_path": "/k/pods/u/etc-hosts", "readonly": False},
            {"container_path": "/dev/termination-log", "host_path": "/k/pods/u/containers/c/tok", "readonly": False},
        ],
        "devices": [],
        "labels": {
            "io.kubernetes.pod.name": "web",
            "io.kubernetes.pod.namespace": "default",
            "io.kubernetes.pod.uid": "u",
            "io.kubernetes.container.name": "c",
        },
        "annotations": {
            "io.kubernetes.container.hash": definition_hash(container),
            "io.kubernetes.container.restartCount": "2",
            "io.kubernetes.container.terminationMessagePath": "/dev/termination-log",
            "io.kubernetes.container.terminationMessagePolicy": "File",
            "io.kubernetes.pod.terminationGracePeriod": "5",
        },
        "log_path": "c/2.log",
        "stdin": True,
        "stdin_once": False,
        "tty": True,
        "linux": {
            "resources": {"cpu_period": 100_000, "cpu_shares": 2, "oom_score_adj": 1000},
            "security_context": {
                "namespace_options": {"network": 0, "pid": 1, "ipc": 0},
                "privileged": False,
                "readonly_rootfs": False,
                "no_new_privs": False,
                "run_as_user": {"value": 1000},
                "seccomp": UNCONFINED,
                "masked_paths": list(MASKED_PATHS),
                "readonly_paths": list(READ_ONLY_PATHS),
            },
        },
    }


def test_a_container_may_bring_its_own_hosts_file() -> None:
    container = core_v1.Container(name="c", volumeMounts=[core_v1.VolumeMount(name="v", mountPath="/etc/hosts")])
    mounts = configured(container, volumes={"v": "/k/v"})["mounts"]
    assert [(each["container_path"], each["host_path"]) for each in mounts][:1] == [("/etc/hosts", "/k/v")]
    assert len(mounts) == 2


def test_sub_paths_take_the_place_of_their_volume() -> None:
    container = core_v1.Container(name="c", volumeMounts=[core_v1.VolumeMount(name="v", mountPath="/d", subPath="x")])
    assert configured(container, volumes={"v": "/k/v"}, subpaths={0: "/k/sub"})["mounts"][0]["host_path"] == "/k/sub"


def test_block_devices() -> None:
    container = core_v1.Container(name="c", volumeDevices=[core_v1.VolumeDevice(name="v", devicePath="/dev/x")])
    assert configured(container, volumes={"v": "/dev/loop0"})["devices"] == [
        {"container_path": "/dev/x", "host_path": "/dev/loop0", "permissions": "mrw"}
    ]


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        ({"hostNetwork": True}, {"network": 2, "pid": 1, "ipc": 0}),
        ({"hostPID": True, "hostIPC": True}, {"network": 0, "pid": 2, "ipc": 2}),
        ({"shareProcessNamespace": True}, {"network": 0, "pid": 0, "ipc": 0}),
    ],
)
def test_namespaces(spec: dict[str, Any], options: dict[str, int]) -> None:
    of = pod(**spec)
    assert sandbox_config(of, 0, DNS, NODE)["linux"]["security_context"]["namespace_options"] == options
    assert security(of=of)["namespace_options"] == options


def test_the_containers_setting_wins() -> None:
    of = pod(
        securityContext=core_v1.PodSecurityContext(
            runAsUser=1,
            runAsGroup=2,
            fsGroup=3,
            supplementalGroups=[4, 3],
            seccompProfile=core_v1.SeccompProfile(type="RuntimeDefault"),
            seLinuxOptions=core_v1.SELinuxOptions(level="s0"),
        )
    )
    found = security(of=of)
    assert (found["run_as_user"], found["run_as_group"], found["supplemental_groups"]) == (
        {"value": 1},
        {"value": 2},
        [4, 3],
    )
    assert found["seccomp"] == {"profile_type": 0} and found["selinux_options"] == {"level": "s0"}
    own = core_v1.SecurityContext(
        runAsUser=10,
        readOnlyRootFilesystem=True,
        allowPrivilegeEscalation=False,
        capabilities=core_v1.Capabilities(add=["NET_ADMIN"], drop=["ALL"]),
        seccompProfile=core_v1.SeccompProfile(type="Localhost", localhostProfile="p.json"),
        procMount="Unmasked",
    )
    found = security(own, of)
    assert found["run_as_user"] == {"value": 10} and found["readonly_rootfs"] and found["no_new_privs"]
    assert found["capabilities"] == {"add_capabilities": ["NET_ADMIN"], "drop_capabilities": ["ALL"]}
    assert found["seccomp"] == {"profile_type": 2, "localhost_ref": "/k/seccomp/p.json"}
    assert "masked_paths" not in found and "readonly_paths" not in found


def test_privileged() -> None:
    found = security(core_v1.SecurityContext(privileged=True))
    assert found["privileged"] and found["seccomp"] == UNCONFINED and "masked_paths" not in found


@pytest.mark.parametrize(
    ("user", "image", "text"),
    [
        (0, ImageRecord(id="i", uid=5), "container's runAsUser breaks non-root policy"),
        (None, ImageRecord(id="i", uid=0), "container has runAsNonRoot and image will run as root"),
        (None, ImageRecord(id="i"), "container has runAsNonRoot and image will run as root"),
        (None, ImageRecord(id="i", username="web"), "image has non-numeric user (web), cannot verify user is non-root"),
        (7, ImageRecord(id="i", uid=0), ""),
        (None, ImageRecord(id="i", uid=7), ""),
    ],
)
def test_not_as_root(user: int | None, image: ImageRecord, text: str) -> None:
    context = core_v1.SecurityContext(runAsNonRoot=True, runAsUser=user)
    if not text:
        assert security(context, image=image)["run_as_user"] == {"value": 7}
        return
    with pytest.raises(ConfigError) as refused:
        security(context, image=image)
    assert text in str(refused.value) and 'pod: "web_default(u)", container: c' in str(refused.value)


def test_a_named_user_of_the_image() -> None:
    assert security(image=ImageRecord(id="i", username="web"))["run_as_username"] == "web"


def test_host_names() -> None:
    def hostname(**spec: Any) -> str:
        return str(sandbox_config(pod(**spec), 0, DNS, NODE)["hostname"])

    assert hostname(hostname="a", subdomain="b") == "a"
    assert hostname(hostname="a", subdomain="b", setHostnameAsFQDN=True) == "a.b.default.svc.cluster.local"
    assert hostname(hostNetwork=True) == ""
    with pytest.raises(ConfigError, match="too long"):
        hostname(hostname="a" * 50, subdomain="b", setHostnameAsFQDN=True)


@pytest.mark.parametrize(
    "container",
    [
        core_v1.Container(name="c", volumeMounts=[core_v1.VolumeMount(name="none", mountPath="/d")]),
        core_v1.Container(name="c", volumeDevices=[core_v1.VolumeDevice(name="none", devicePath="/d")]),
        core_v1.Container(
            name="c",
            volumeMounts=[core_v1.VolumeMount(name="v", mountPath="/d", readOnly=True, recursiveReadOnly="Enabled")],
        ),
    ],
)
def test_what_cannot_be_configured(container: core_v1.Container) -> None:
    with pytest.raises(ConfigError):
        configured(container, volumes={"v": "/k/v"})


def test_user_namespaces_are_refused() -> None:
    with pytest.raises(ConfigError, match="hostUsers"):
        sandbox_config(pod(hostUsers=False), 0, DNS, NODE)


@pytest.mark.parametrize(
    ("name", "number"),
    [("SIGABRT", 1), ("SIGTERM", 23), ("SIGUSR1", 29), ("SIGRTMIN+3", 38), ("SIGRTMAX-1", 64), ("", 0)],
)
def test_signals(name: str, number: int) -> None:
    assert signal_number(name) == number
