"""What an admission plugin is asked and may look at.

`admit(request, obj, old, lookups)` may change `obj` in place (never `old`) and raises ApiError to refuse. `obj` is
None for a delete, `old` is None for a create. Plugins are pure: objects they look up are read-only snapshots.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeVar

import msgspec

from tiphys.apiserver.authn.identity import UserInfo
from tiphys.kinds.resource import Resource

T = TypeVar("T")


class AdmissionRequest(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """`operation` is CREATE, UPDATE, DELETE or CONNECT. `now` is in seconds since the epoch."""

    operation: str
    resource: Resource
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    user: UserInfo
    now: float
    new_suffix: Callable[[], str]
    dry_run: bool = False
    options: Mapping[str, str] = {}

    def on(self, group: str, *plurals: str) -> bool:
        """Whether it is about the objects of these resources themselves (not a subresource)."""
        return self.resource.group == group and self.resource.plural in plurals and not self.subresource


class Lookups(Protocol):
    """The cluster's objects, as of now."""

    def get(self, kind: type[T], namespace: str, name: str) -> T | None: ...

    def list(self, kind: type[T], namespace: str = "") -> Iterable[T]: ...


# (group, plural) of each
Resources = tuple[tuple[str, str], ...]


class Plugin(Protocol):
    """`resources` are those that it has anything to say about, in all their versions and subresources; none means all
    that there are."""

    @property
    def name(self) -> str: ...

    @property
    def resources(self) -> Resources: ...

    def admit(self, request: AdmissionRequest, obj: Any, old: Any, lookups: Lookups) -> None: ...
