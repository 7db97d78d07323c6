"""Makes what a new cluster begins with, and repairs it at every start.

Everything is listed at once, then all writes go out side by side (the store commits them together). With nothing
missing only the lists are made. Another server may do the same at the same time: whoever comes second finds the work
done and looks again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import msgspec

from tiphys.apiserver.bootstrap import access, flow, objects
from tiphys.apiserver.bootstrap.objects import BootstrapConfig
from tiphys.apiserver.bootstrap.plan import Key, Write, key_of, plan
from tiphys.client.api import Client
from tiphys.client.interface import Transport
from tiphys.kinds.types.core_v1 import ConfigMap, Endpoints, Namespace, Service
from tiphys.kinds.types.discovery_v1 import EndpointSlice
from tiphys.kinds.types.flowcontrol_v1 import FlowSchema, PriorityLevelConfiguration
from tiphys.kinds.types.meta_v1 import Condition
from tiphys.kinds.types.networking_v1 import ServiceCIDR, ServiceCIDRStatus
from tiphys.kinds.types.rbac_v1 import ClusterRole, ClusterRoleBinding, Role, RoleBinding
from tiphys.kinds.types.scheduling_v1 import PriorityClass
from tiphys.machinery.errors import ApiError
from tiphys.machinery.timestamps import time_of

log = logging.getLogger(__name__)

ROUNDS = 5
_CLUSTER_KINDS = (
    Namespace,
    ClusterRole,
    ClusterRoleBinding,
    PriorityClass,
    FlowSchema,
    PriorityLevelConfiguration,
    ServiceCIDR,
)
_NAMESPACED_KINDS: tuple[tuple[type[Any], str], ...] = (
    (Role, "kube-system"),
    (Role, "kube-public"),
    (RoleBinding, "kube-system"),
    (RoleBinding, "kube-public"),
)
_SINGLE_KINDS: tuple[type[Any], ...] = (Service, Endpoints, EndpointSlice, ConfigMap)


async def ensure(transport: Transport, config: BootstrapConfig, now: float) -> int:
    """Make what is missing; the number of writes. `now` is in seconds since the epoch. The transport's user must be in
    system:masters. ApiError when the server refuses something."""
    client = Client(transport)
    wanted = [*access.wanted_access(), *flow.wanted_flow(), *objects.wanted_objects(config)]
    count = 0
    for _ in range(ROUNDS):
        existing = await _existing(client, wanted)
        first = plan(objects.namespaces(), existing)
        lost = await _carry_out(client, first)
        writes = plan(wanted, existing)
        lost += await _carry_out(client, writes)
        count += len(first) + len(writes) - lost
        if not lost:
            break
    await _mark_service_cidr_ready(client, now)
    return count


async def _existing(client: Client, wanted: Sequence[Any]) -> dict[Key, Any]:
    singles = [obj for obj in wanted if type(obj) in _SINGLE_KINDS]
    lists = [client.list(kind) for kind in _CLUSTER_KINDS]
    lists += [client.list(kind, namespace) for kind, namespace in _NAMESPACED_KINDS]
    gets = [_get(client, obj) for obj in singles]
    listed, found = await asyncio.gather(asyncio.gather(*lists), asyncio.gather(*gets))
    present = [item for result in listed for item in result.items]
    present += [item for item in found if item is not None]
    return {key_of(item): item for item in present}


async def _get(client: Client, obj: Any) -> Any:
    try:
        return await client.get(type(obj), obj.metadata.namespace or "", obj.metadata.name)
    except ApiError as error:
        if error.code != 404:
            raise
        return None


async def _carry_out(client: Client, writes: Sequence[Write]) -> int:
    """The number of writes that somebody else was faster with."""
    done = await asyncio.gather(*(_write(client, write) for write in writes))
    return done.count(False)


async def _write(client: Client, write: Write) -> bool:
    try:
        if write.verb == "update":
            await client.update(write.object)
            return True
        if write.verb == "replace":
            kind, namespace, name = key_of(write.object)
            await client.delete(kind, namespace, name)
        await client.create(write.object)
    except ApiError as error:
        if error.reason in ("AlreadyExists", "Conflict", "NotFound"):
            log.info("%s %s: %s", write.verb, write.object.metadata.name, error.message)
            return False
        raise
    return True


async def _mark_service_cidr_ready(client: Client, now: float) -> None:
    """The default network of Services is usable from the beginning, and says so."""
    cidr = await client.get(ServiceCIDR, "", "kubernetes")
    if any(condition.type == "Ready" for condition in cidr.status.conditions or ()):
        return
    ready = Condition(
        type="Ready",
        status="True",
        reason="",
        message="Kubernetes default Service CIDR is ready",
        lastTransitionTime=time_of(now),
    )
    status = ServiceCIDRStatus(conditions=[*(cidr.status.conditions or ()), ready])
    await client.update_status(msgspec.structs.replace(cidr, status=status))
