"""Where authentication and authorization read stored objects: the watch cache, seen through a small protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

ChangeHandler = Callable[[Any, Any], None]
"""Called with (old, new): old is None for an object that appears, new is None for one that goes."""


class ObjectSource(Protocol):
    """Objects by their Struct type, as of now; what it hands out is read-only."""

    def get(self, kind: type[T], namespace: str, name: str) -> T | None:
        """One object; `namespace` is "" for cluster-scoped kinds."""
        ...

    def list(self, kind: type[T]) -> Iterable[T]:
        """All objects of a kind in all namespaces."""
        ...

    def subscribe(self, kind: type[T], handler: ChangeHandler) -> None:
        """Call `handler(old, new)` for what is there already (old None), then for every change in order, each before
        any later read can see it as the past."""
        ...
