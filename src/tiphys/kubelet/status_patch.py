"""The strategic merge patch that turns one status into another: only what differs, and the object's uid as a guard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.kinds import codec
from tiphys.kinds.types import core_v1

# Lists that are merged by key; all others are replaced as they are.
_POD_LISTS = {"conditions": "type", "podIPs": "ip", "resourceClaimStatuses": "name"}
_NODE_LISTS = {"conditions": "type"}
# A list of the node that has a merge key but may hold that key twice: replaced by directive.
_REPLACED = ("addresses",)


def status_patch(uid: str, old: core_v1.PodStatus, new: core_v1.PodStatus) -> dict[str, Any] | None:
    """For a pod; None when nothing differs."""
    return _patch(uid, codec.plain(old), codec.plain(new), _POD_LISTS)


def node_status_patch(uid: str, old: core_v1.NodeStatus, new: core_v1.NodeStatus) -> dict[str, Any] | None:
    return _patch(uid, codec.plain(old), codec.plain(new), _NODE_LISTS)


def _patch(
    uid: str, before: Mapping[str, Any], after: Mapping[str, Any], lists: Mapping[str, str]
) -> dict[str, Any] | None:
    changes: dict[str, Any] = {}
    for name in dict.fromkeys([*before, *after]):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if new is None:
            changes[name] = None
        elif name in lists:
            changes[name] = _merged(lists[name], old or [], new)
        elif name in _REPLACED:
            changes[name] = [{"$patch": "replace"}, *new]
        elif isinstance(new, dict) and isinstance(old, dict):
            changes[name] = {**{key: None for key in old if key not in new}, **new}
        else:
            changes[name] = new
    return {"metadata": {"uid": uid}, "status": changes} if changes else None


def _merged(key: str, before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[dict[str, Any]]:
    known = {entry[key]: entry for entry in before}
    changes = []
    for entry in after:
        old = known.pop(entry[key], {})
        if old != entry:
            changes.append({**{name: None for name in old if name not in entry}, **entry})
    return changes + [{"$patch": "delete", key: value} for value in known]
