"""Where the kubelet keeps what belongs to a pod: under its root directory and its log directory. Pure names."""

from __future__ import annotations

from dataclasses import dataclass

from tiphys.kinds.types import core_v1


@dataclass(frozen=True, slots=True)
class PodPaths:
    """All paths are absolute. `root` is the kubelet's own directory, `logs` that of all pods' logs."""

    root: str
    logs: str

    @property
    def pods(self) -> str:
        return f"{self.root}/pods"

    @property
    def seccomp_profiles(self) -> str:
        return f"{self.root}/seccomp"

    def pod(self, uid: str) -> str:
        return f"{self.pods}/{uid}"

    def hosts_file(self, uid: str) -> str:
        return f"{self.pod(uid)}/etc-hosts"

    def termination_log(self, uid: str, container: str, token: str) -> str:
        return f"{self.pod(uid)}/containers/{container}/{token}"

    def subpath(self, uid: str, volume: str, container: str, position: int) -> str:
        return f"{self.pod(uid)}/volume-subpaths/{volume}/{container}/{position}"

    def pod_logs(self, pod: core_v1.Pod) -> str:
        return f"{self.logs}/{pod.metadata.namespace}_{pod.metadata.name}_{pod.metadata.uid}"

    def container_log(self, pod: core_v1.Pod, container: str, attempt: int) -> str:
        return f"{self.pod_logs(pod)}/{container_log_name(container, attempt)}"


def container_log_name(container: str, attempt: int) -> str:
    """Relative to the pod's log directory."""
    return f"{container}/{attempt}.log"


def uid_of_log_directory(name: str) -> str:
    """The pod uid in a log directory's name, "" when it is none of ours."""
    parts = name.split("_")
    return parts[2] if len(parts) == 3 else ""
