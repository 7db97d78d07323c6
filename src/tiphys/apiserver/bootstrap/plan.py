"""What has to be written so that a cluster has everything that it should begin with.

Invariants: what is there is never removed (but a binding to a wrong role, which is made anew); with everything there
the plan is empty, so that a restart writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from tiphys.apiserver.bootstrap import access, flow
from tiphys.kinds.types.core_v1 import ConfigMap, Endpoints, Service
from tiphys.kinds.types.discovery_v1 import EndpointSlice
from tiphys.kinds.types.flowcontrol_v1 import FlowSchema, PriorityLevelConfiguration
from tiphys.kinds.types.rbac_v1 import ClusterRole, ClusterRoleBinding, Role, RoleBinding

Key = tuple[type[Any], str, str]


@dataclass(frozen=True, slots=True)
class Write:
    """One write: `replace` is a delete and a create."""

    verb: Literal["create", "update", "replace"]
    object: Any


def key_of(obj: Any) -> Key:
    return type(obj), obj.metadata.namespace or "", obj.metadata.name or ""


def plan(wanted: Sequence[Any], existing: Mapping[Key, Any]) -> list[Write]:
    """The writes that are missing, in the order of `wanted`."""
    writes = []
    for obj in wanted:
        present = existing.get(key_of(obj))
        if present is None:
            writes.append(Write("create", obj))
            continue
        if access.must_replace(present, obj):
            writes.append(Write("replace", obj))
            continue
        changed = _changed(present, obj)
        if changed is not None:
            writes.append(Write("update", changed))
    return writes


def _changed(present: Any, wanted: Any) -> Any:
    """What to write in place of an object; None for nothing."""
    if isinstance(wanted, ClusterRole | Role | ClusterRoleBinding | RoleBinding):
        return access.reconciled(present, wanted)
    if isinstance(wanted, FlowSchema | PriorityLevelConfiguration):
        automatic = (present.metadata.annotations or {}).get(flow.AUTOUPDATE) == "true"
        return _with(present, spec=wanted.spec) if automatic and present.spec != wanted.spec else None
    if isinstance(wanted, Endpoints):
        return _with(present, subsets=wanted.subsets) if present.subsets != wanted.subsets else None
    if isinstance(wanted, EndpointSlice):
        return _changed_slice(present, wanted)
    if isinstance(wanted, ConfigMap):
        data = {**(present.data or {}), **(wanted.data or {})}
        return _with(present, data=data) if data != (present.data or {}) else None
    if isinstance(wanted, Service):
        return _changed_service(present, wanted)
    return None


def _changed_slice(present: EndpointSlice, wanted: EndpointSlice) -> EndpointSlice | None:
    addresses = [endpoint.addresses for endpoint in present.endpoints or ()]
    if addresses == [endpoint.addresses for endpoint in wanted.endpoints or ()] and present.ports == wanted.ports:
        return None
    changed: EndpointSlice = _with(present, endpoints=wanted.endpoints, ports=wanted.ports)
    return changed


def _changed_service(present: Service, wanted: Service) -> Service | None:
    """The ports lead to where the servers listen, whatever else somebody set."""
    have = [(port.name, port.port, port.protocol, port.targetPort) for port in present.spec.ports or ()]
    if have == [(port.name, port.port, port.protocol, port.targetPort) for port in wanted.spec.ports or ()]:
        return None
    return msgspec.structs.replace(present, spec=msgspec.structs.replace(present.spec, ports=wanted.spec.ports))


def _with(present: Any, **fields: Any) -> Any:
    return msgspec.structs.replace(present, **fields)
