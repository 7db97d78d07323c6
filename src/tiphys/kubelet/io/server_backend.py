"""What the kubelet's HTTPS server shows: pods, containers, streams of the runtime, usage; and who may see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tiphys.client.api import Client
from tiphys.kinds.types import authentication_v1, authorization_v1, core_v1
from tiphys.kubelet import server_request
from tiphys.kubelet.container_config import container_named
from tiphys.kubelet.interface import ContainerUsage
from tiphys.kubelet.io.cgroups import Cgroups
from tiphys.kubelet.io.machine import machine_usage, memory
from tiphys.kubelet.io.node_context import NodeContext
from tiphys.kubelet.io.node_pods import NodePods
from tiphys.kubelet.io.server import Caller, ContainerRef
from tiphys.kubelet.resources import pod_cgroup
from tiphys.kubelet.server_request import BadRequest
from tiphys.machinery import timestamps


class KubeletBackend:
    """See `io/server.ServerBackend`."""

    def __init__(self, node_name: str, context: NodeContext, pods: NodePods) -> None:
        self._node_name = node_name
        self._context = context
        self._pods = pods

    def pods(self) -> Sequence[core_v1.Pod]:
        return [worker.pod for worker in self._pods.workers()]

    def pod(self, namespace: str, name: str) -> core_v1.Pod | None:
        worker = self._pods.find(namespace, name)
        return worker.pod if worker is not None else None

    def container(self, pod: core_v1.Pod, name: str, previous: bool) -> ContainerRef | None:
        worker = self._pods.worker(pod.metadata.uid or "")
        if worker is None or container_named(pod, name) is None:
            return None
        records = [each for each in worker.runtime.containers if each.name == name]
        where = f'"{name}" in pod "{pod.metadata.name}"'
        if previous:
            if len(records) < 2:
                raise BadRequest(f"previous terminated container {where} not found")
            record = records[1]
        elif not records:
            raise BadRequest(f"container {where} is waiting to start: {self._waits_for(worker.status, name)}")
        else:
            record = records[0]
        path = record.log_path or self._context.facts.paths.container_log(pod, name, record.attempt)

        def is_running() -> bool:
            current = next((each for each in worker.runtime.containers if each.id == record.id), None)
            return current is not None and current.state in ("running", "created")

        return ContainerRef(
            id=record.id, log_path=Path(path), is_running=is_running, ended=worker.ended_event(record.id)
        )

    @staticmethod
    def _waits_for(status: core_v1.PodStatus, name: str) -> str:
        for each in (*(status.initContainerStatuses or ()), *(status.containerStatuses or ())):
            if each.name == name and each.state is not None and each.state.waiting is not None:
                reason, message = each.state.waiting.reason or "", each.state.waiting.message
                if reason in ("ErrImagePull", "ImagePullBackOff", "InvalidImageName"):
                    return "image can't be pulled" if message else "trying and failing to pull image"
                return reason
        return "ContainerCreating"

    def sandbox_id(self, pod: core_v1.Pod) -> str:
        worker = self._pods.worker(pod.metadata.uid or "")
        sandbox = worker.runtime.sandbox if worker is not None else None
        if sandbox is None or not sandbox.ready:
            raise BadRequest(f'pod "{pod.metadata.name}" is not running')
        return sandbox.id

    async def exec_url(self, container_id: str, options: server_request.StreamOptions) -> str:
        return await self._context.runtime.exec_url(
            container_id, options.command, options.stdin, options.stdout, options.stderr, options.tty
        )

    async def attach_url(self, container_id: str, options: server_request.StreamOptions) -> str:
        return await self._context.runtime.attach_url(
            container_id, options.stdin, options.stdout, options.stderr, options.tty
        )

    async def port_forward_url(self, sandbox_id: str, ports: Sequence[int]) -> str:
        return await self._context.runtime.port_forward_url(sandbox_id, ports)

    async def exec_sync(self, container_id: str, command: Sequence[str], timeout_seconds: int) -> tuple[int, bytes]:
        result = await self._context.runtime.exec_sync(container_id, command, timeout_seconds)
        return result.exit_code, result.stdout + result.stderr

    # Usage

    async def _usage(self) -> dict[str, list[ContainerUsage]]:
        found: dict[str, list[ContainerUsage]] = {}
        for each in await self._context.runtime.usage():
            found.setdefault(each.pod_uid, []).append(each)
        return found

    def _node_usage(self) -> tuple[int, int]:
        cgroups = self._context.cgroups or Cgroups()
        amounts = memory()
        cpu, _ = cgroups.usage("/")
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
            "startTime": now,
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
        pods = [self._pod_stats(worker.pod, usage.get(worker.uid, []), now) for worker in self._pods.workers()]
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
        workers = [*self._pods.workers()]
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
        for worker in self._pods.workers():
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
    """See `io/server.Access`: TokenReview and SubjectAccessReview."""

    def __init__(self, client: Client, node_name: str) -> None:
        self._client = client
        self._node_name = node_name

    async def authenticate(self, token: str) -> Caller | None:
        review = authentication_v1.TokenReview(spec=authentication_v1.TokenReviewSpec(token=token))
        answer = await self._client.create(review)
        if not answer.status.authenticated or answer.status.user is None:
            return None
        return Caller(name=answer.status.user.username or "", groups=tuple(answer.status.user.groups or ()))

    async def authorize(self, caller: Caller, verb: str, subresource: str) -> bool:
        review = authorization_v1.SubjectAccessReview(
            spec=authorization_v1.SubjectAccessReviewSpec(
                user=caller.name,
                groups=list(caller.groups),
                resourceAttributes=authorization_v1.ResourceAttributes(
                    verb=verb, version="v1", resource="nodes", subresource=subresource, name=self._node_name
                ),
            )
        )
        answer = await self._client.create(review)
        return bool(answer.status.allowed)

