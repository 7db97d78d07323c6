"""The bytes of answers: one object, a list, a watch event, each in the form that the client asked for.

The usual form sends an entry's own bytes; the others are made from its Struct. A form is a value: watches with equal
forms share what they send.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from tiphys.apiserver import tables
from tiphys.apiserver.negotiation import Accepted
from tiphys.apiserver.watch_cache import CacheEvent, Entry, EntryList
from tiphys.kinds import codec, crd, registry
from tiphys.kinds.crd import CustomResource
from tiphys.kinds.resource import Resource
from tiphys.machinery import errors

INITIAL_EVENTS_END = "k8s.io/initial-events-end"


@dataclass(frozen=True, slots=True)
class ListHead:
    """The metadata of a list; `remaining` None when it is not known."""

    revision: int
    continue_token: str = ""
    remaining: int | None = None

    def encoded(self, always_continue: bool = False) -> bytes:
        """`always_continue`: the token is shown when there is none, too, as in lists of custom resources."""
        head = b'{"resourceVersion":"%d"' % self.revision
        if self.continue_token or always_continue:
            head += b',"continue":"%s"' % self.continue_token.encode()
        if self.remaining is not None:
            head += b',"remainingItemCount":%d' % self.remaining
        return head + b"}"


def converted(obj: Any, resource: Resource) -> Any:
    """An object in the version of `resource` (loaded at the first use: few resources have more than one version)."""
    if isinstance(resource, CustomResource):
        return crd.converted(obj, resource)
    return importlib.import_module("tiphys.kinds.conversion").convert_object(obj, resource.type)


class Form(Protocol):
    """`now` is for ages in tables."""

    @property
    def resource(self) -> Resource: ...

    def one(self, entry: Entry, now: float) -> bytes: ...

    def many(self, entries: Sequence[Entry], head: ListHead, now: float) -> bytes: ...

    def event(self, event_type: str, entry: Entry, now: float) -> bytes: ...

    def bookmark(self, revision: int, initial_events_end: bool) -> bytes: ...

    def failure(self, status: Any) -> bytes:
        """The event that ends a watch."""
        ...

    @property
    def stream_type(self) -> str:
        """The media type of a watch."""
        ...


class _Lines:
    """Events as lines of JSON."""

    __slots__ = ()

    stream_type = "application/json"

    def failure(self, status: Any) -> bytes:
        return _line("ERROR", encode_other(status))


def _line(event_type: str, obj: bytes) -> bytes:
    return b'{"type":"%s","object":%s}\n' % (event_type.encode(), obj)


def _bookmark_metadata(revision: int, initial_events_end: bool) -> bytes:
    annotations = b',"annotations":{"%s":"true"}' % INITIAL_EVENTS_END.encode() if initial_events_end else b""
    return b'{"resourceVersion":"%d"%s}' % (revision, annotations)


class _MetadataOnly(msgspec.Struct, gc=False):
    metadata: msgspec.Raw


_metadata_decoder = msgspec.json.Decoder(_MetadataOnly)


def metadata_bytes(data: bytes) -> bytes:
    """The metadata of an object's JSON, as it stands there."""
    return bytes(_metadata_decoder.decode(data).metadata)


@dataclass(frozen=True, slots=True)
class ObjectForm(_Lines):
    """The objects themselves, in the version of `resource` (which may not be the one they are stored in)."""

    resource: Resource

    def data(self, entry: Entry) -> bytes:
        if entry.layout.resource is self.resource:
            return entry.data
        return codec.encode(converted(entry.object, self.resource))

    def one(self, entry: Entry, now: float) -> bytes:
        return self.data(entry) + b"\n"

    def many(self, entries: Sequence[Entry], head: ListHead, now: float) -> bytes:
        resource = self.resource
        start = f'{{"kind":"{resource.list_kind}","apiVersion":"{resource.api_version}","metadata":'.encode()
        uniform = bool(entries) and entries[0].layout.resource is resource and not crd.has_versions(resource)
        if uniform and isinstance(entries, EntryList):
            items = entries.joined
        elif uniform:
            items = b",".join([entry.data for entry in entries])
        else:
            items = b",".join([self.data(entry) for entry in entries])
        metadata = head.encoded(isinstance(resource, CustomResource))
        return b"".join((start, metadata, b',"items":[', items, b"]}\n"))

    def event(self, event_type: str, entry: Entry, now: float) -> bytes:
        return _line(event_type, self.data(entry))

    def bookmark(self, revision: int, initial_events_end: bool) -> bytes:
        metadata = _bookmark_metadata(revision, initial_events_end)
        kind, version = self.resource.kind.encode(), self.resource.api_version.encode()
        return _line("BOOKMARK", b'{"kind":"%s","apiVersion":"%s","metadata":%s}' % (kind, version, metadata))


@dataclass(frozen=True, slots=True)
class MetadataForm(_Lines):
    """PartialObjectMetadata (and lists of it)."""

    resource: Resource
    meta_version: str = "v1"

    def data(self, entry: Entry) -> bytes:
        head = b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/%s","metadata":' % self.meta_version.encode()
        return head + metadata_bytes(entry.data) + b"}"

    def one(self, entry: Entry, now: float) -> bytes:
        return self.data(entry) + b"\n"

    def many(self, entries: Sequence[Entry], head: ListHead, now: float) -> bytes:
        start = (
            b'{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/%s","metadata":'
            % self.meta_version.encode()
        )
        items = b",".join([self.data(entry) for entry in entries])
        return b"".join((start, head.encoded(), b',"items":[', items, b"]}\n"))

    def event(self, event_type: str, entry: Entry, now: float) -> bytes:
        return _line(event_type, self.data(entry))

    def bookmark(self, revision: int, initial_events_end: bool) -> bytes:
        metadata = _bookmark_metadata(revision, initial_events_end)
        version = self.meta_version.encode()
        return _line(
            "BOOKMARK",
            b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/%s","metadata":%s}' % (version, metadata),
        )


@dataclass(frozen=True, slots=True)
class TableForm(_Lines):
    """A Table with the kind's columns; `include` says what each row carries besides: Metadata, Object or None."""

    resource: Resource
    include: str = "Metadata"
    meta_version: str = "v1"

    def _table(self, entries: Sequence[Entry], metadata: bytes, now: float) -> bytes:
        rows = b",".join([self._row(entry, now) for entry in entries])
        columns = tables.column_definitions(self.resource)
        version = self.meta_version.encode()
        head = b'{"kind":"Table","apiVersion":"meta.k8s.io/%s","metadata":%s,"columnDefinitions":' % (version, metadata)
        return b"".join((head, columns, b',"rows":[', rows, b"]}"))

    def _row(self, entry: Entry, now: float) -> bytes:
        obj = entry.object
        if entry.layout.resource is not self.resource:
            obj = converted(obj, self.resource)
        row = b'{"cells":' + tables.cells(self.resource, obj, now)
        if self.include == "Metadata":
            row += b',"object":' + MetadataForm(self.resource, self.meta_version).data(entry)
        elif self.include == "Object":
            row += b',"object":' + ObjectForm(self.resource).data(entry)
        else:
            row += b',"object":null'
        return row + b"}"

    def _alone(self, entry: Entry, now: float) -> bytes:
        return self._table([entry], b'{"resourceVersion":"%d"}' % entry.revision, now)

    def one(self, entry: Entry, now: float) -> bytes:
        return self._alone(entry, now) + b"\n"

    def many(self, entries: Sequence[Entry], head: ListHead, now: float) -> bytes:
        return self._table(entries, head.encoded(), now) + b"\n"

    def event(self, event_type: str, entry: Entry, now: float) -> bytes:
        return _line(event_type, self._alone(entry, now))

    def bookmark(self, revision: int, initial_events_end: bool) -> bytes:
        metadata = _bookmark_metadata(revision, initial_events_end)
        version = self.meta_version.encode()
        return _line(
            "BOOKMARK",
            b'{"kind":"Table","apiVersion":"meta.k8s.io/%s","metadata":%s,"columnDefinitions":null,"rows":[{"cells":[],'
            b'"object":{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/%s","metadata":%s}}]}'
            % (version, metadata, version, metadata),
        )


def include_object(text: str) -> str:
    """What the rows of a Table carry besides: Metadata, Object or None. ApiError 400."""
    if text not in ("", "None", "Metadata", "Object"):
        detail = f"includeObject: Invalid value: \"{text}\": must be 'Metadata', 'Object', 'None', or empty"
        raise errors.bad_request(f"Unable to convert to Table as requested: {detail}")
    return text or "Metadata"


def check_shape(resource: Resource, accepted: Accepted, is_list: bool) -> None:
    """A list has the metadata of a list, an object that of an object. ApiError 406."""
    wanted, found = ("PartialObjectMetadataList", "a list") if is_list else ("PartialObjectMetadata", "not a list")
    if not accepted.shape.startswith("PartialObjectMetadata") or accepted.shape == wanted:
        return
    suffix = "List" if is_list else ""
    name = f"{resource.group.partition('.')[0] or 'core'}.{resource.kind}{suffix}"
    if isinstance(resource, CustomResource):
        name = f"unstructured.Unstructured{suffix}"
    raise errors.not_acceptable(f"you requested {accepted.shape}, but the requested object is {found} (*{name})")


def form_of(resource: Resource, accepted: Accepted, included: str = "") -> Form:
    """The form of an answer. `included`: the includeObject parameter. ApiError 400."""
    if not accepted.shape:
        return _object_form(resource)
    resource = _canonical(resource)
    if accepted.shape == "Table":
        return TableForm(resource, include_object(included), accepted.meta_version)
    return MetadataForm(resource, accepted.meta_version)


@functools.lru_cache(maxsize=4096)
def _object_form(resource: Resource) -> ObjectForm:
    return ObjectForm(_canonical(resource))


def _canonical(resource: Resource) -> Resource:
    if isinstance(resource, CustomResource):
        return resource
    return registry.find(resource.group, resource.version, resource.plural) or resource


def encode_event(form: Form, event_type: str, event: CacheEvent, now: float) -> bytes:
    """The bytes of an event of the cache, made once for all watches with this form. An object that left a selection
    shows the state it was last seen in, at the revision of the change."""
    key = (form, event_type)
    found: bytes | None = event.kept.get(key)
    if found is None:
        found = event.kept[key] = form.event(event_type, shown_entry(event_type, event), now)
    return found


def shown_entry(event_type: str, event: CacheEvent) -> Entry:
    """The entry that an event shows to a watch that it is `event_type` for."""
    if event_type != "DELETED" or event.deleted:
        return event.entry
    found: Entry | None = event.kept.get("left")
    if found is None:
        previous = event.previous
        assert previous is not None
        data = previous.layout.respliced(previous.data, event.revision)
        found = Entry(previous.layout, previous.namespace, previous.name, event.revision, data)
        event.kept["left"] = found
    return found


def encode_other(obj: Any) -> bytes:
    """An object that is no stored resource (Status, Scale, TokenReview, ...)."""
    return codec.encode(obj)
