"""One call as the verbs see it, whether it came over HTTP or from the same process, and what came of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from tiphys.apiserver import encoding, strictness
from tiphys.apiserver.authn.identity import UserInfo
from tiphys.apiserver.forms import ListHead
from tiphys.apiserver.watch_cache import Entry
from tiphys.kinds import codec, zero_values
from tiphys.kinds.leniency import lenient
from tiphys.kinds.resource import Resource
from tiphys.kinds.types import meta_v1
from tiphys.machinery import errors

PATCH_TYPES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)
LONG_YAML_BYTES = 64 * 1024
APPLY = "application/apply-patch+yaml"


class Body(Protocol):
    """What was sent with a call."""

    def decode(
        self, wanted: type[Any], api_version: str, kind: str, also: Collection[str] = ()
    ) -> tuple[Any, list[str]]:
        """An object of its own to change, and warnings. Its apiVersion may be one of `also`. ApiError 400, 415."""
        ...

    def plain(self) -> Any:
        """Plain JSON values. ApiError 400."""
        ...

    def repeated(self) -> list[str]:
        """What is to say of keys that a patch has twice."""
        ...

    @property
    def empty(self) -> bool: ...

    @property
    def patch_type(self) -> str:
        """The media type of a patch."""
        ...


class EncodedBody(msgspec.Struct, frozen=True, gc=False):
    """Bytes off the wire. `found_twice`: they were YAML and are JSON now, with this to say of keys."""

    data: bytes
    content_type: str
    field_validation: str = ""
    found_twice: tuple[str, ...] | None = None

    @property
    def takes_long(self) -> bool:
        """Whether reading it would hold up everybody else: a megabyte of YAML takes seconds."""
        return len(self.data) > LONG_YAML_BYTES and encoding.media_type(self.content_type) in (encoding.YAML, APPLY)

    def as_json(self) -> EncodedBody:
        """The same, quick to read. ApiError 400."""
        media = encoding.media_type(self.content_type)
        if media == APPLY and encoding.is_json(self.data):
            return self
        data, found = encoding.yaml_as_json(self.data)
        return EncodedBody(data, APPLY if media == APPLY else encoding.JSON, self.field_validation, tuple(found))

    def decode(
        self, wanted: type[Any], api_version: str, kind: str, also: Collection[str] = ()
    ) -> tuple[Any, list[str]]:
        validation, found_twice = self.field_validation, self.found_twice or ()
        return encoding.decode_body(
            self.data, self.content_type, wanted, api_version, kind, validation, also, found_twice
        )

    def plain(self) -> Any:
        media = encoding.media_type(self.content_type)
        if media == APPLY:
            return encoding.json_or_yaml(self.data)
        as_json = self.content_type if media in (encoding.YAML, encoding.PROTOBUF) else encoding.JSON
        return encoding.plain_body(self.data, as_json, "patch")

    def repeated(self) -> list[str]:
        if self.found_twice is not None:
            return list(self.found_twice)
        found = strictness.repeated(self.data)
        if found is None or (found and self.patch_type == APPLY):
            return encoding.yaml_and_repeated(self.data)[1]
        return [f"json patch {finding}" for finding in found] if self.patch_type == PATCH_TYPES[0] else found

    def options(self) -> Any:
        """The plain values of options that come with a delete. ApiError 400 or 415."""
        return encoding.plain_body(self.data, self.content_type, "DeleteOptions")

    @property
    def empty(self) -> bool:
        return not self.data

    @property
    def patch_type(self) -> str:
        return encoding.media_type(self.content_type)


class ObjectBody(msgspec.Struct, frozen=True, gc=False):
    """A Struct (or plain values, of a patch) from the same process; the caller keeps it, so it is copied."""

    value: Any
    kind_of_patch: str = ""

    def decode(
        self, wanted: type[Any], api_version: str, kind: str, also: Collection[str] = ()
    ) -> tuple[Any, list[str]]:
        if isinstance(self.value, wanted):
            obj = codec.copy(self.value)
            zero_values.drop(obj)
            return obj, []
        return encoding.from_plain(codec.plain(self.value), wanted, api_version, kind, also), []

    def plain(self) -> Any:
        return codec.plain(self.value)

    def repeated(self) -> list[str]:
        return []

    @property
    def empty(self) -> bool:
        return self.value is None

    @property
    def patch_type(self) -> str:
        return self.kind_of_patch


NO_BODY = EncodedBody(b"", "")


class Call(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """`query` holds the options under their wire names; `field_manager` is who makes the change in managedFields."""

    user: UserInfo
    resource: Resource
    verb: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    field_manager: str = ""
    query: Mapping[str, str] = {}
    body: Body = NO_BODY

    def delete_options(self) -> meta_v1.DeleteOptions:
        """ApiError 400 or 415."""
        if self.body.empty:
            return meta_v1.DeleteOptions()
        if isinstance(self.body, ObjectBody):
            return self.body.value if isinstance(self.body.value, meta_v1.DeleteOptions) else meta_v1.DeleteOptions()
        plain = self.body.options() if isinstance(self.body, EncodedBody) else self.body.plain()
        if not isinstance(plain, dict) or plain.get("kind") not in (None, "", "DeleteOptions"):
            raise errors.bad_request("the body of a delete must be DeleteOptions")
        return codec.convert(lenient(plain, meta_v1.DeleteOptions), meta_v1.DeleteOptions)


class Outcome(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a call came to: an `entry` of a stored resource, many that were `listed`, or an `obj` of its own (Status,
    ...). `shown_as`: the resource of the entry when that is not the call's (Scale)."""

    code: int = 200
    entry: Entry | None = None
    shown_as: Resource | None = None
    listed: tuple[Sequence[Entry], ListHead] | None = None
    obj: Any = None
    warnings: tuple[str, ...] = ()

    def warned(self, warnings: Sequence[str]) -> Outcome:
        """The same with these warnings before its own."""
        return msgspec.structs.replace(self, warnings=(*warnings, *self.warnings)) if warnings else self
