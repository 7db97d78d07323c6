"""What the kubelet's HTTPS server asks for: pods and containers from the workers, streams from the runtime, access
from the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tiphys.client.api import Client
from tiphys.kinds.types import authentication_v1, authorization_v1, core_v1
from tiphys.kubelet.interface import ContainerRecord, ContainerUsage
from tiphys.kubelet.io.cgroups import Cgroups
from tiphys.kubelet.io.machine import machine_usage, memory
from tiphys.kubelet.io.node_context import NodeContext
from tiphys.kubelet.io.pod_workers import PodWorkers
from tiphys.kubelet.io.server import Caller, ContainerRef
from tiphys.kubelet.resources import pod_cgroup
from tiphys.kubelet.server_request import BadRequest, StreamOptions
from tiphys.machinery import timestamps
from tiphys.machinery.errors import ApiError


class WorkersBackend:
    """See `server.ServerBackend`."""

    def __init__(self, workers: PodWorkers, context: NodeContext, node_name: str) -> None:
        self._workers = workers
        self._context = context
        self._runtime = context.runtime
        self._paths = context.facts.paths
        self._node_name = node_name
        self._started_at = timestamps.time_of(context.clock.now())

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

    # Usage

    async def _usage(self) -> dict[str, list[ContainerUsage]]:
        found: dict[str, list[ContainerUsage]] = {}
        for each in await self._runtime.usage():
            found.setdefault(each.pod_uid, []).append(each)
        return found

    def _node_usage(self) -> tuple[int, int]:
        amounts = memory()
        cpu, _ = (self._context.cgroups or Cgroups()).usage("/")
        return cpu, max(0, amounts.get("MemTotal", 0) - amounts.get("MemAvailable", 0))

    async def stats(self) -> Mapping[str, Any]:
        """The Summary of the stats API."""
        now = timestamps.time_of(self._context.clock.now())
        usage = await self._usage()
        machine = machine_usage(self._context.facts.paths.root, "")
        cpu, working_set = self._node_usage()
        filesystem = {
            "time": now,
            "availableBytes": machine.root_available_bytes,
            "capacityBytes": machine.root_capacity_bytes,
            "usedBytes": machine.root_capacity_bytes - machine.root_available_bytes,
            "inodesFree": machine.root_inodes_free,
            "inodes": machine.root_inodes,
        }
        node = {
            "nodeName": self._node_name,
            "startTime": self._started_at,
            "cpu": {"time": now, "usageCoreNanoSeconds": cpu},
            "memory": {
                "time": now,
                "availableBytes": machine.memory_available_bytes,
                "workingSetBytes": working_set,
            },
            "fs": filesystem,
            "runtime": {"imageFs": filesystem},
            "rlimit": {"time": now, "maxpid": machine.maximum_pids, "curproc": machine.pids},
        }
        pods = [self._pod_stats(worker.pod, usage.get(worker.uid, []), now) for worker in self._workers.workers()]
        return {"node": node, "pods": pods}

    def _pod_stats(self, pod: core_v1.Pod, containers: Sequence[ContainerUsage], now: str) -> dict[str, Any]:
        cpu, working_set = 0, 0
        if self._context.cgroups is not None:
            cpu, working_set = self._context.cgroups.usage(pod_cgroup(self._context.facts.cgroup_root, pod))
        return {
            "podRef": {"name": pod.metadata.name, "namespace": pod.metadata.namespace, "uid": pod.metadata.uid},
            "startTime": pod.status.startTime or now,
            "cpu": {"time": now, "usageCoreNanoSeconds": cpu or sum(each.cpu_nanoseconds for each in containers)},
            "memory": {
                "time": now,
                "workingSetBytes": working_set or sum(each.working_set_bytes for each in containers),
            },
            "containers": [
                {
                    "name": each.name,
                    "startTime": pod.status.startTime or now,
                    "cpu": {"time": now, "usageCoreNanoSeconds": each.cpu_nanoseconds},
                    "memory": {
                        "time": now,
                        "workingSetBytes": each.working_set_bytes,
                        "usageBytes": each.usage_bytes,
                        "rssBytes": each.rss_bytes,
                    },
                    "rootfs": {"time": now, "usedBytes": each.writable_layer_bytes},
                }
                for each in containers
            ],
        }

    def metrics(self) -> str:
        """The kubelet's own figures."""
        workers = [*self._workers.workers()]
        running = sum(1 for each in workers if each.runtime.sandbox is not None and each.runtime.sandbox.ready)
        containers = sum(len(each.runtime.running) for each in workers)
        return (
            "# HELP kubelet_running_pods Number of pods that have a running pod sandbox\n"
            "# TYPE kubelet_running_pods gauge\n"
            f"kubelet_running_pods {running}\n"
            "# HELP kubelet_running_containers Number of containers currently running\n"
            "# TYPE kubelet_running_containers gauge\n"
            f'kubelet_running_containers{{container_state="running"}} {containers}\n'
            "# HELP kubelet_desired_pods The number of pods the kubelet is being instructed to run\n"
            "# TYPE kubelet_desired_pods gauge\n"
            f"kubelet_desired_pods {len(workers)}\n"
        )

    async def resource_metrics(self) -> str:
        """CPU and memory of node, pods and containers, as the metrics server reads them."""
        usage = await self._usage()
        at = int(self._context.clock.now() * 1000)
        cpu, working_set = self._node_usage()
        container_cpu, container_memory, pod_cpu, pod_memory = [], [], [], []
        for worker in self._workers.workers():
            pod = worker.pod
            where = f'namespace="{pod.metadata.namespace}",pod="{pod.metadata.name}"'
            stats = self._pod_stats(pod, usage.get(worker.uid, []), "")
            for each in usage.get(worker.uid, []):
                labels = f'{{container="{each.name}",{where}}}'
                container_cpu.append(f"{labels} {each.cpu_nanoseconds / 1e9} {int(each.at * 1000)}")
                container_memory.append(f"{labels} {each.working_set_bytes} {int(each.at * 1000)}")
            pod_cpu.append(f"{{{where}}} {stats['cpu']['usageCoreNanoSeconds'] / 1e9} {at}")
            pod_memory.append(f"{{{where}}} {stats['memory']['workingSetBytes']} {at}")
        families = [
            ("container_cpu_usage_seconds_total", "counter", container_cpu),
            ("container_memory_working_set_bytes", "gauge", container_memory),
            ("node_cpu_usage_seconds_total", "counter", [f" {cpu / 1e9} {at}"]),
            ("node_memory_working_set_bytes", "gauge", [f" {working_set} {at}"]),
            ("pod_cpu_usage_seconds_total", "counter", pod_cpu),
            ("pod_memory_working_set_bytes", "gauge", pod_memory),
            ("resource_scrape_error", "gauge", [" 0"]),
        ]
        return "".join(
            f"# TYPE {name} {kind}\n" + "".join(f"{name}{line}\n" for line in lines) for name, kind, lines in families
        )


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
