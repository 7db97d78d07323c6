"""What the kubelet's HTTPS server asks for: pods and containers from the workers, streams from the runtime, access
from the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tiphys.client.api import Client
from tiphys.kinds.types import authentication_v1, authorization_v1, core_v1
from tiphys.kubelet.interface import ContainerRecord, ContainerRuntime, ContainerUsage
from tiphys.kubelet.io.machine import memory
from tiphys.kubelet.io.pod_workers import PodWorkers
from tiphys.kubelet.io.server import Caller, ContainerRef
from tiphys.kubelet.paths import PodPaths
from tiphys.kubelet.server_request import BadRequest, StreamOptions
from tiphys.machinery import timestamps
from tiphys.machinery.errors import ApiError

NANOSECONDS = 1_000_000_000


class WorkersBackend:
    """See `server.ServerBackend`."""

    def __init__(self, workers: PodWorkers, runtime: ContainerRuntime, paths: PodPaths, node_name: str) -> None:
        self._workers = workers
        self._runtime = runtime
        self._paths = paths
        self._node_name = node_name

    def pods(self) -> Sequence[core_v1.Pod]:
        return [worker.pod for worker in self._workers.workers()]

    def pod(self, namespace: str, name: str) -> core_v1.Pod | None:
        for worker in self._workers.workers():
            if worker.pod.metadata.namespace == namespace and worker.pod.metadata.name == name:
                return worker.pod
        return None

    def container(self, pod: core_v1.Pod, name: str, previous: bool) -> ContainerRef | None:
        worker = self._workers.worker(pod.metadata.uid or "")
        if worker is None:
            return None
        records = [each for each in worker.runtime.containers if each.name == name and each.state != "created"]
        if previous:
            if len(records) < 2:
                raise BadRequest(f'previous terminated container "{name}" in pod "{pod.metadata.name}" not found')
            records = records[1:]
        if not records:
            self._refuse_waiting(worker.status, pod, name)
            return None
        record = records[0]
        path = record.log_path or self._paths.container_log(pod, name, record.attempt)
        return ContainerRef(
            id=record.id,
            log_path=Path(path),
            is_running=lambda: self._is_running(pod, record),
            ended=self._workers.ended_event(record),
        )

    def _is_running(self, pod: core_v1.Pod, record: ContainerRecord) -> bool:
        worker = self._workers.worker(pod.metadata.uid or "")
        return worker is not None and any(
            each.id == record.id and each.state == "running" for each in worker.runtime.containers
        )

    def _refuse_waiting(self, status: core_v1.PodStatus, pod: core_v1.Pod, name: str) -> None:
        """BadRequest that says what a known container waits for."""
        groups = (status.initContainerStatuses, status.containerStatuses, status.ephemeralContainerStatuses)
        for each in (entry for group in groups for entry in group or ()):
            if each.name == name and each.state is not None and each.state.waiting is not None:
                reason = each.state.waiting.reason
                text = f'container "{name}" in pod "{pod.metadata.name}" is waiting to start: {reason}'
                raise BadRequest(text)

    def sandbox_id(self, pod: core_v1.Pod) -> str:
        worker = self._workers.worker(pod.metadata.uid or "")
        sandbox = worker.runtime.sandbox if worker is not None else None
        if sandbox is None or not sandbox.ready:
            raise BadRequest(f'pod "{pod.metadata.name}" is not running')
        return sandbox.id

    async def exec_url(self, container_id: str, options: StreamOptions) -> str:
        return await self._runtime.exec_url(
            container_id, options.command, options.stdin, options.stdout, options.stderr, options.tty
        )

    async def attach_url(self, container_id: str, options: StreamOptions) -> str:
        return await self._runtime.attach_url(container_id, options.stdin, options.stdout, options.stderr, options.tty)

    async def port_forward_url(self, sandbox_id: str, ports: Sequence[int]) -> str:
        return await self._runtime.port_forward_url(sandbox_id, ports)

    async def exec_sync(self, container_id: str, command: Sequence[str], timeout_seconds: int) -> tuple[int, bytes]:
        result = await self._runtime.exec_sync(container_id, command, timeout_seconds)
        return result.exit_code, result.stdout + result.stderr

    # Metrics

    async def stats(self) -> Mapping[str, Any]:
        """The summary API's object, as far as the runtime measures it."""
        usages = await self._runtime.usage()
        by_pod: dict[str, list[ContainerUsage]] = {}
        for usage in usages:
            by_pod.setdefault(usage.pod_uid, []).append(usage)
        pods = []
        for worker in self._workers.workers():
            meta = worker.pod.metadata
            containers = [_container_stats(each) for each in by_pod.get(worker.uid, ())]
            reference = {"name": meta.name, "namespace": meta.namespace, "uid": meta.uid}
            pods.append({"podRef": reference, "startTime": worker.status.startTime, "containers": containers})
        amounts = memory()
        total, available = amounts.get("MemTotal", 0), amounts.get("MemAvailable", 0)
        node = {
            "nodeName": self._node_name,
            "memory": {
                "availableBytes": available,
                "usageBytes": total - available,
                "workingSetBytes": total - available,
            },
        }
        return {"node": node, "pods": pods}

    def metrics(self) -> str:
        workers = self._workers.workers()
        running = sum(len(worker.runtime.running) for worker in workers)
        return (
            "# HELP kubelet_running_pods Number of pods that have a running pod sandbox\n"
            "# TYPE kubelet_running_pods gauge\n"
            f"kubelet_running_pods {sum(1 for worker in workers if worker.takes_resources)}\n"
            "# HELP kubelet_running_containers Number of containers currently running\n"
            "# TYPE kubelet_running_containers gauge\n"
            f'kubelet_running_containers{{container_state="running"}} {running}\n'
        )

    async def resource_metrics(self) -> str:
        lines = ["# TYPE container_cpu_usage_seconds_total counter", "# TYPE container_memory_working_set_bytes gauge"]
        names = {worker.uid: worker.pod.metadata for worker in self._workers.workers()}
        for usage in await self._runtime.usage():
            meta = names.get(usage.pod_uid)
            if meta is None:
                continue
            labels = f'container="{usage.name}",namespace="{meta.namespace}",pod="{meta.name}"'
            seconds = usage.cpu_nanoseconds / NANOSECONDS
            lines.append(f"container_cpu_usage_seconds_total{{{labels}}} {seconds}")
            lines.append(f"container_memory_working_set_bytes{{{labels}}} {usage.working_set_bytes}")
        return "\n".join(lines) + "\n"


def _container_stats(usage: ContainerUsage) -> dict[str, Any]:
    at = str(timestamps.time_of(usage.at))
    return {
        "name": usage.name,
        "cpu": {"time": at, "usageCoreNanoSeconds": usage.cpu_nanoseconds},
        "memory": {
            "time": at,
            "usageBytes": usage.usage_bytes,
            "workingSetBytes": usage.working_set_bytes,
            "rssBytes": usage.rss_bytes,
        },
        "rootfs": {"time": at, "usedBytes": usage.writable_layer_bytes},
    }


class ApiAccess:
    """See `server.Access`: reviews by the API server, with the node's own identity."""

    def __init__(self, client: Client, node_name: str) -> None:
        self._client = client
        self._node_name = node_name

    async def authenticate(self, token: str) -> Caller | None:
        review = authentication_v1.TokenReview(spec=authentication_v1.TokenReviewSpec(token=token))
        try:
            status = (await self._client.create(review)).status
        except ApiError:
            return None
        if not status.authenticated or status.user is None:
            return None
        return Caller(name=status.user.username or "", groups=tuple(status.user.groups or ()))

    async def authorize(self, caller: Caller, verb: str, subresource: str) -> bool:
        attributes = authorization_v1.ResourceAttributes(
            verb=verb, resource="nodes", subresource=subresource, name=self._node_name, version="v1"
        )
        review = authorization_v1.SubjectAccessReview(
            spec=authorization_v1.SubjectAccessReviewSpec(
                user=caller.name, groups=list(caller.groups), resourceAttributes=attributes
            )
        )
        try:
            return bool((await self._client.create(review)).status.allowed)
        except ApiError:
            return False
