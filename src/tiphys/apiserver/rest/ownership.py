"""metadata.managedFields of ordinary writes: whose change it is, and the entries after it. Apply is `apply.py`'s.

Recorded before admission: what plugins fill in is nobody's, as is what the server allocates. Writes of the server
itself (bindings, evictions, deletion marks) are not recorded. A client may send the entries back as it read them,
change them, or remove them all (`[]`, `[{}]`); through a subresource it may not. Specified in "Server-Side Apply".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tiphys.apiserver.forms import converted
from tiphys.apiserver.rest.context import WriteContext
from tiphys.kinds import field_differences, registry
from tiphys.kinds.crd import CustomResource
from tiphys.kinds.object_meta import FIELD_MANAGER_LIMIT_BYTES, manager_findings
from tiphys.kinds.resource import Resource
from tiphys.kinds.types.meta_v1 import ManagedFieldsEntry
from tiphys.kinds.types.zero import NO_RAW
from tiphys.machinery import errors, timestamps
from tiphys.machinery.field_errors import Path
from tiphys.machinery.patch.apply import field_set, managers
from tiphys.machinery.patch.apply.managers import UPDATE, Manager
from tiphys.machinery.patch.apply.walk import Difference

UNKNOWN = "unknown"
FIELDS_TYPE = "FieldsV1"
_NO_ENTRY = ManagedFieldsEntry()
_OPTIONS = {"create": "CreateOptions", "update": "UpdateOptions", "patch": "PatchOptions"}


# -- who


def manager_name(verb: str, field_manager: str, user_agent: str) -> str:
    """Who writes: as the request says, or the program that its User-Agent names. ApiError 422."""
    if field_manager:
        found = manager_findings(field_manager, Path("fieldManager"))
        if found:
            raise errors.invalid(_OPTIONS.get(verb, "PatchOptions"), "meta.k8s.io", "", found)
        return field_manager
    prefix = user_agent.partition("/")[0][:FIELD_MANAGER_LIMIT_BYTES]
    return "".join(mark for mark in prefix if mark.isprintable()) or UNKNOWN


def component_name(user: str) -> str:
    """Who writes, of a component in the same process: the controllers are one program, as everywhere."""
    last = user.rpartition(":")[2]
    if user.startswith("system:serviceaccount:kube-system:"):
        return "kube-controller-manager"
    return "kubelet" if user.startswith("system:node:") else last or UNKNOWN


# -- entries


def managers_of(entries: Sequence[ManagedFieldsEntry] | None) -> tuple[Manager, ...]:
    """The entries, to decide on; none when one of them cannot be understood."""
    if not entries:
        return ()
    found = tuple(
        Manager(
            name=entry.manager or "",
            operation=entry.operation or "",
            api_version=entry.apiVersion or "",
            subresource=entry.subresource or "",
            time=entry.time or "",
            fields=bytes(entry.fieldsV1),
        )
        for entry in entries
    )
    return found if managers.readable(found) else ()


def entries_of(found: Sequence[Manager]) -> list[ManagedFieldsEntry] | None:
    """The entries as they are stored; they keep no other bytes alive."""
    return [
        ManagedFieldsEntry(
            manager=manager.name,
            operation=manager.operation,
            apiVersion=manager.api_version,
            subresource=manager.subresource or None,
            time=timestamps.Time(manager.time) if manager.time else None,
            fieldsType=FIELDS_TYPE,
            fieldsV1=msgspec.Raw(manager.fields) if manager.fields else NO_RAW,
        )
        for manager in found
    ] or None


def _base(context: WriteContext, new: Any, current: list[ManagedFieldsEntry] | None) -> tuple[Manager, ...] | None:
    """The entries that a client means to put in the place of the current ones; None when it means none."""
    asked = new.metadata.managedFields
    if not asked or asked is current or context.subresource or asked == current:
        return None
    if len(asked) == 1 and asked[0] == _NO_ENTRY:
        return ()
    found = managers.canonical(managers_of(asked))
    return None if not found or found == managers_of(current) else found


# -- ordinary writes


def record(context: WriteContext, new: Any, old: Any) -> None:
    """Note in a new (`old` None) or changed object, in place, who made the change. Nothing when nobody is named."""
    if context.field_manager:
        if old is None:
            _record_creation(context, new)
        else:
            _record_change(context, new, old)


def _record_creation(context: WriteContext, new: Any) -> None:
    """A new object is its creator's (beside what others own in entries that came with it)."""
    resource, struct = context.resource, type(new)
    empty = field_differences.empty(struct)
    changed = managers.ownable(field_differences.difference(empty, new).changed)
    if "f:status" in changed and keeps_status(resource):
        del changed["f:status"]  # what an object begins with there is the server's
    came_with = managers.canonical(managers_of(new.metadata.managedFields))
    if came_with:
        known: dict[str, Difference | None] = {resource.api_version: Difference(changed, field_set.EMPTY)}

        def difference_in(version: str) -> Difference | None:
            if version not in known:
                known[version] = difference_in_version(context, version, empty, new)
            return known[version]

        new.metadata.managedFields = entries_of(managers.after_update(came_with, _writer(context), difference_in))
    elif changed:
        entry = ManagedFieldsEntry(
            manager=context.field_manager,
            operation=UPDATE,
            apiVersion=resource.api_version,
            time=timestamps.time_of(context.now),
            fieldsType=FIELDS_TYPE,
            fieldsV1=msgspec.Raw(field_set.serialise(changed)),
        )
        new.metadata.managedFields = [entry]
    else:
        new.metadata.managedFields = None


def _record_change(context: WriteContext, new: Any, old: Any) -> None:
    """Who owned what of the old object, and what the writer changed."""
    current = old.metadata.managedFields
    asked = _base(context, new, current)
    difference = _own_part(context, field_differences.difference(old, new))
    if asked is None and (not current or not (difference.changed or difference.removed)):
        new.metadata.managedFields = current
        return
    known: dict[str, Difference | None] = {context.resource.api_version: difference}

    def difference_in(version: str) -> Difference | None:
        if version not in known:
            known[version] = difference_in_version(context, version, old, new)
        return known[version]

    before = managers_of(current) if asked is None else asked
    after = managers.after_update(before, _writer(context), difference_in)
    new.metadata.managedFields = current if asked is None and after == before else entries_of(after)


def keeps_status(resource: Resource) -> bool:
    """Whether a write of the object itself leaves its status alone: what it finds there is the server's (defaults of a
    schema, too)."""
    return "status" in resource.subresources and (resource.strategy.has_status or isinstance(resource, CustomResource))


def _own_part(context: WriteContext, difference: Difference) -> Difference:
    """Without what the server noted in the status of an object that was written itself."""
    resource = context.resource
    if context.subresource or not keeps_status(resource):
        return difference
    parts = ({name: below for name, below in part.items() if name != "f:status"} for part in difference)
    return Difference(*parts)


def _writer(context: WriteContext) -> Manager:
    return Manager(
        name=context.field_manager,
        operation=UPDATE,
        api_version=context.resource.api_version,
        subresource=context.subresource,
        time=timestamps.time_of(context.now),
    )


def difference_in_version(context: WriteContext, version: str, old: Any, new: Any) -> Difference | None:
    """How two objects of the request's version differ in another one; None when that is not served."""
    if version == context.resource.api_version:
        return field_differences.difference(old, new)
    group, _, number = version.rpartition("/")
    if isinstance(context.resource, CustomResource):
        return _difference_of_custom(context.resource, number, old, new)
    other = registry.find(group, number, context.resource.plural)
    if other is None or other.storage != context.resource.storage:
        return None
    return field_differences.difference(converted(old, other), converted(new, other))


def _difference_of_custom(resource: CustomResource, version: str, old: Any, new: Any) -> Difference | None:
    """Where a webhook converts, fields are taken to have the same names in all versions: asking it about every state
    that an apply considers would cost a call each."""
    other = resource.versions.get(version)
    if other is None or not other.verbs:
        return None
    if other.webhook is not None:
        return field_differences.difference(old, new)
    return field_differences.difference(converted(old, other), converted(new, other))
