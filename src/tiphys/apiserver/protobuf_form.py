"""Answers in protobuf, for the clients that take nothing else: made from what the JSON forms would have sent.

Objects and their metadata can be had so, Tables and custom resources cannot (406). Each event is encoded once for all
watches, as with the other forms. Specified in "API concepts", "Resource encodings".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from tiphys.apiserver import forms
from tiphys.apiserver.forms import Form, ListHead, MetadataForm, ObjectForm
from tiphys.apiserver.negotiation import Accepted
from tiphys.apiserver.watch_cache import Entry
from tiphys.kinds import protobuf_encoding
from tiphys.kinds.protobuf import ProtobufError
from tiphys.kinds.resource import Resource
from tiphys.machinery import errors

_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class ProtobufForm:
    """What `inner` shows, in protobuf."""

    inner: ObjectForm | MetadataForm

    stream_type = "application/vnd.kubernetes.protobuf;stream=watch"

    @property
    def resource(self) -> Resource:
        return self.inner.resource

    @property
    def _names(self) -> tuple[str, str, str]:
        """(apiVersion, kind, kind of the list)."""
        if isinstance(self.inner, MetadataForm):
            version = f"meta.k8s.io/{self.inner.meta_version}"
            return version, "PartialObjectMetadata", "PartialObjectMetadataList"
        return self.resource.api_version, self.resource.kind, self.resource.list_kind

    @property
    def encodable(self) -> bool:
        api_version, kind, _ = self._names
        return protobuf_encoding.has_messages(api_version, kind)

    def one(self, entry: Entry, now: float) -> bytes:
        return protobuf_encoding.encode(_decode(self.inner.data(entry)))

    def many(self, entries: Sequence[Entry], head: ListHead, now: float) -> bytes:
        api_version, kind, list_kind = self._names
        items = (_decode(self.inner.data(entry)) for entry in entries)
        return protobuf_encoding.encode_list(api_version, list_kind, _decode(head.encoded()), kind, items)

    def event(self, event_type: str, entry: Entry, now: float) -> bytes:
        return protobuf_encoding.watch_frame(event_type, self.one(entry, now))

    def bookmark(self, revision: int, initial_events_end: bool) -> bytes:
        line = _decode(self.inner.bookmark(revision, initial_events_end))
        return protobuf_encoding.watch_frame("BOOKMARK", protobuf_encoding.encode(line["object"]))

    def failure(self, status: Any) -> bytes:
        return protobuf_encoding.watch_frame("ERROR", protobuf_encoding.encode(status))


def form_of(resource: Resource, accepted: Accepted, included: str = "") -> Form:
    """The form of an answer. ApiError 406 for what cannot be had so, 400 for a bad includeObject."""
    found = forms.form_of(resource, accepted, included)
    if not accepted.protobuf:
        return found
    if not isinstance(found, ObjectForm | MetadataForm):
        raise _not_encodable(f"*{accepted.meta_version}.{accepted.shape}")
    form = ProtobufForm(found)
    if not form.encodable:
        raise errors.not_acceptable("only the following media types are accepted: application/json, application/yaml")
    return form


def encoded_other(data: bytes) -> bytes:
    """The protobuf of an object (Status, Scale, ...) given as JSON. ApiError 406."""
    plain = _decode(data)
    try:
        return protobuf_encoding.encode(plain)
    except ProtobufError:
        raise _not_encodable(f"*{plain['apiVersion'].rpartition('/')[2]}.{plain['kind']}") from None


def _not_encodable(name: str) -> errors.ApiError:
    why = "does not implement the protobuf marshalling interface and cannot be encoded to a protobuf message"
    return errors.not_acceptable(f"object {name} {why}")
