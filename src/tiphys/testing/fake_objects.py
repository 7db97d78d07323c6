"""What the fake API keeps: objects by key with Kubernetes' rules of writing, without sockets, tasks or a clock.

Revisions, optimistic locking, generations, status kept apart, graceful deletion, finalizers, propagation, namespaces
that are ending. What it leaves to the real API server: validation, admission beyond namespaces, authorization, apply.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from typing import Any

import msgspec

from tiphys.client.cache import key_of
from tiphys.client.interface import ApiRequest, ObjectKey, PatchType, WatchEvent
from tiphys.kinds import codec, patch_schema, registry
from tiphys.kinds.resource import Resource
from tiphys.kinds.types import core_v1, meta_v1
from tiphys.machinery import errors, labels, timestamps
from tiphys.machinery.field_errors import FieldError
from tiphys.machinery.patch import strategic

SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
DEFAULT_POD_GRACE_SECONDS = 30
Notify = Callable[[Resource, str, Any, Any], None]


def merge(target: Any, patch: Any) -> Any:
    """RFC 7396 on plain JSON values."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def apply_operations(document: Any, operations: list[dict[str, Any]]) -> Any:
    """RFC 6902's add, replace, remove and test on plain JSON values."""
    for operation in operations:
        parts = [p.replace("~1", "/").replace("~0", "~") for p in operation["path"].split("/")[1:]]
        parent = document
        for part in parts[:-1]:
            parent = parent[int(part) if isinstance(parent, list) else part]
        last: Any = parts[-1]
        if isinstance(parent, list):
            last = len(parent) if last == "-" else int(last)
        if operation["op"] == "remove":
            del parent[last]
        elif operation["op"] == "test":
            if parent[last] != operation["value"]:
                raise errors.ApiError(422, "Invalid", "testing value failed")
        elif operation["op"] == "add" and isinstance(parent, list):
            parent.insert(last, operation["value"])
        elif operation["op"] in ("add", "replace"):
            parent[last] = operation["value"]
        else:
            raise errors.bad_request(f"the fake API does not support the operation {operation['op']!r}")
    return document


def field_of(obj: Any, path: str) -> str:
    """The value that a field selector names, as text."""
    value = obj
    for part in path.split("."):
        value = getattr(value, part, None)
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


class Selection:
    """The namespace and selectors of a list or watch."""

    def __init__(self, request: ApiRequest) -> None:
        self.namespace = request.namespace
        self.name = request.name
        self.labels = labels.parse(request.label_selector) if request.label_selector else labels.EVERYTHING
        self.fields: list[tuple[str, str, bool]] = []
        for term in filter(None, request.field_selector.split(",")):
            equal = "!=" not in term
            path, _, value = term.replace("==", "=").replace("!=", "=").partition("=")
            self.fields.append((path, value, equal))

    def matches(self, obj: Any) -> bool:
        meta = obj.metadata
        if (self.namespace and meta.namespace != self.namespace) or (self.name and meta.name != self.name):
            return False
        fields = all((field_of(obj, path) == value) is equal for path, value, equal in self.fields)
        return fields and self.labels.matches(meta.labels)


class FakeObjects:
    """See the module docstring. All methods take copies in and give shared snapshots out; `notify(resource, type, old,
    new)` hears every change."""

    def __init__(self, notify: Notify, seed: int = 0) -> None:
        self._notify = notify
        self._random = random.Random(seed)
        self._objects: dict[str, dict[ObjectKey, Any]] = {}
        self.revision = 0

    def all(self, resource: Resource) -> dict[ObjectKey, Any]:
        return self._objects.setdefault(resource.storage, {})

    def get(self, resource: Resource, key: ObjectKey) -> Any:
        found = self.all(resource).get(key)
        if found is None:
            raise errors.not_found(resource.plural, resource.group, key.name)
        return found

    def list(self, resource: Resource, selection: Selection) -> list[Any]:
        objects = self.all(resource)
        return [objects[key] for key in sorted(objects) if selection.matches(objects[key])]

    def create(self, resource: Resource, namespace: str, obj: Any, now: float) -> Any:
        obj = codec.copy(obj)
        meta = obj.metadata
        if resource.namespaced:
            meta.namespace = namespace or meta.namespace or "default"
            self._check_namespace(resource, meta)
        if not meta.name:
            if not meta.generateName:
                raise errors.ApiError(422, "Invalid", "name or generateName is required")
            meta.name = meta.generateName + "".join(self._random.choice(SUFFIX_LETTERS) for _ in range(5))
        key = key_of(obj)
        if key in self.all(resource):
            raise errors.already_exists(resource.plural, resource.group, key.name)
        if resource.strategy_module:
            resource.strategy.default(obj)
        if "status" in resource.subresources and hasattr(obj, "status"):
            obj.status = type(obj)().status
        meta.uid = str(uuid.UUID(int=self._random.getrandbits(128), version=4))
        meta.creationTimestamp = timestamps.time_of(now)
        meta.deletionTimestamp = meta.deletionGracePeriodSeconds = None
        if hasattr(obj, "spec"):
            meta.generation = 1
        if isinstance(obj, core_v1.Pod):
            obj.status = core_v1.PodStatus(phase="Pending")
        if isinstance(obj, core_v1.Namespace):
            obj.spec = core_v1.NamespaceSpec(finalizers=["kubernetes"])
            obj.status = core_v1.NamespaceStatus(phase="Active")
            meta.labels = {**(meta.labels or {}), "kubernetes.io/metadata.name": key.name}
        return self._put(resource, key, None, obj)

    def _check_namespace(self, resource: Resource, meta: meta_v1.ObjectMeta) -> None:
        namespaces = registry.find("", "v1", "namespaces")
        assert namespaces is not None
        name = meta.namespace or ""
        namespace = self.all(namespaces).get(ObjectKey("", name))
        if namespace is None:
            raise errors.not_found("namespaces", "", name)
        if namespace.metadata.deletionTimestamp:
            detail = f"unable to create new content in namespace {name} because it is being terminated"
            error = errors.forbidden(resource.plural, resource.group, meta.name or "", detail)
            text = f"namespace {name} is being terminated"
            error.causes = (FieldError(reason="NamespaceTerminating", field="metadata.namespace", message=text),)
            raise error

    def update(self, resource: Resource, key: ObjectKey, obj: Any, subresource: str = "") -> Any:
        old = self.get(resource, key)
        new = codec.copy(obj)
        meta = new.metadata
        if meta.resourceVersion and meta.resourceVersion != old.metadata.resourceVersion:
            raise errors.conflict(resource.plural, resource.group, key.name, errors.MODIFIED_DETAIL)
        if meta.uid and meta.uid != old.metadata.uid:
            detail = f"Precondition failed: UID in precondition: {meta.uid}, UID in object meta: {old.metadata.uid}"
            raise errors.conflict(resource.plural, resource.group, key.name, detail)
        if subresource == "status":
            merged = codec.copy(old)
            merged.status = new.status
            new = merged
        elif subresource == "finalize":
            merged = codec.copy(old)
            merged.spec = new.spec
            new = merged
        elif subresource:
            raise errors.path_not_found()
        elif "status" in resource.subresources:
            new.status = codec.copy(old.status) if old.status is not None else None
        if not subresource:
            self._keep_metadata(old, new)
        new.metadata.resourceVersion = old.metadata.resourceVersion
        if codec.encode(new) == codec.encode(old):
            return old
        return self._put(resource, key, old, new)

    @staticmethod
    def _keep_metadata(old: Any, new: Any) -> None:
        for name in ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"):
            setattr(new.metadata, name, getattr(old.metadata, name))
        new.metadata.name, new.metadata.namespace = old.metadata.name, old.metadata.namespace
        outside = {"metadata", "status", "apiVersion", "kind"}
        names = [name for name in new.__struct_fields__ if name not in outside]
        if old.metadata.generation and any(getattr(old, name) != getattr(new, name) for name in names):
            new.metadata.generation = old.metadata.generation + 1

    def patch(self, resource: Resource, key: ObjectKey, request: ApiRequest) -> Any:
        old = self.get(resource, key)
        plain = codec.plain(old)
        if request.patch_type is PatchType.JSON:
            patched = apply_operations(plain, request.body)
        elif request.patch_type in (PatchType.MERGE, PatchType.STRATEGIC):
            patched = self._merged(resource, plain, request)
        else:
            raise errors.unsupported_media_type(
                [t.value for t in (PatchType.JSON, PatchType.MERGE, PatchType.STRATEGIC)]
            )
        try:
            return self.update(resource, key, codec.convert(patched, resource.type), request.subresource)
        except msgspec.ValidationError as error:
            raise errors.bad_request(str(error)) from error

    @staticmethod
    def _merged(resource: Resource, plain: Any, request: ApiRequest) -> Any:
        if request.patch_type is PatchType.STRATEGIC:
            return strategic.apply(plain, request.body, patch_schema.of_type(resource.type))
        return merge(plain, request.body)

    def delete(self, resource: Resource, key: ObjectKey, options: meta_v1.DeleteOptions, now: float) -> Any:
        """The object while it still ends, else the Status of success."""
        old = self.get(resource, key)
        self._check_preconditions(resource, old, options)
        new = codec.copy(old)
        meta = new.metadata
        self._set_propagation_finalizers(meta, options)
        grace_seconds = self._grace_seconds(old, options)
        if not meta.finalizers and not grace_seconds and not self._has_content(new):
            self._remove(resource, key, old)
            details = meta_v1.StatusDetails(
                name=key.name, group=resource.group, kind=resource.plural, uid=old.metadata.uid
            )
            return meta_v1.Status(status="Success", details=details)
        if meta.deletionTimestamp is None or grace_seconds < (meta.deletionGracePeriodSeconds or 0):
            meta.deletionTimestamp = timestamps.time_of(now + grace_seconds)
            meta.deletionGracePeriodSeconds = grace_seconds
            if meta.generation and old.metadata.deletionTimestamp is None:
                meta.generation += 1
        if isinstance(new, core_v1.Namespace):
            new.status = core_v1.NamespaceStatus(phase="Terminating", conditions=new.status.conditions)
        return old if codec.encode(new) == codec.encode(old) else self._put(resource, key, old, new)

    @staticmethod
    def _has_content(obj: Any) -> bool:
        return isinstance(obj, core_v1.Namespace) and bool(obj.spec.finalizers)

    @staticmethod
    def _check_preconditions(resource: Resource, old: Any, options: meta_v1.DeleteOptions) -> None:
        wanted, meta = options.preconditions, old.metadata
        if wanted is None:
            return
        for label, want, have in (
            ("UID", wanted.uid, meta.uid),
            ("ResourceVersion", wanted.resourceVersion, meta.resourceVersion),
        ):
            if want is not None and want != have:
                detail = f"Precondition failed: {label} in precondition: {want}, {label} in object meta: {have}"
                raise errors.conflict(resource.plural, resource.group, meta.name or "", detail)

    @staticmethod
    def _set_propagation_finalizers(meta: meta_v1.ObjectMeta, options: meta_v1.DeleteOptions) -> None:
        policy = options.propagationPolicy or ("Orphan" if options.orphanDependents else "")
        if not policy:
            return
        wanted = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}.get(policy)
        kept = [f for f in meta.finalizers or () if f not in ("foregroundDeletion", "orphan")]
        meta.finalizers = [*kept, *([wanted] if wanted else [])] or None

    @staticmethod
    def _grace_seconds(obj: Any, options: meta_v1.DeleteOptions) -> int:
        if not isinstance(obj, core_v1.Pod) or not obj.spec.nodeName or obj.status.phase in ("Succeeded", "Failed"):
            return 0
        if options.gracePeriodSeconds is not None:
            return options.gracePeriodSeconds
        grace = obj.spec.terminationGracePeriodSeconds
        return DEFAULT_POD_GRACE_SECONDS if grace is None else grace

    def _put(self, resource: Resource, key: ObjectKey, old: Any, new: Any) -> Any:
        meta = new.metadata
        done = meta.deletionTimestamp and not meta.deletionGracePeriodSeconds and not meta.finalizers
        if done and not self._has_content(new):
            return self._remove(resource, key, new)
        self.revision += 1
        meta.resourceVersion = str(self.revision)
        self.all(resource)[key] = new
        self._notify(resource, "ADDED" if old is None else "MODIFIED", old, new)
        return new

    def _remove(self, resource: Resource, key: ObjectKey, obj: Any) -> Any:
        self.revision += 1
        old = self.all(resource).pop(key)
        gone = codec.copy(obj)
        gone.metadata.resourceVersion = str(self.revision)
        self._notify(resource, "DELETED", old, gone)
        return gone


def selected(selection: Selection, event_type: str, old: Any, new: Any) -> WatchEvent | None:
    """The event that a watch with this selection sees: an object that leaves the selection is gone for it."""
    was = old is not None and selection.matches(old)
    fits = selection.matches(new) and event_type != "DELETED"
    if fits:
        return WatchEvent(type="MODIFIED" if was else "ADDED", object=new)
    return WatchEvent(type="DELETED", object=new) if was else None
