"""What some kinds need around their writes beyond what a strategy decides alone: one explicit table.

A hook sees the write before it happens (and may refuse it or complete the object) and is told how it ended. The verbs
ask the table by resource and know no kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from tiphys.apiserver.rest.context import WriteContext
from tiphys.kinds.apiextensions import conditions

Ended = Callable[[], None]


class WriteHook(Protocol):
    """`before_write(context, new, old)` may change `new` and raise ApiError; what it returns is called when the write
    has ended, whichever way (`old` is None for a create)."""

    def before_write(self, context: WriteContext, new: Any, old: Any) -> Ended | None: ...


class HookTable:
    """The hooks by group and plural, and those that every write passes after its own kind's."""

    def __init__(self, by_resource: Mapping[tuple[str, str], WriteHook], every: tuple[WriteHook, ...] = ()) -> None:
        self._by_resource = by_resource
        self._every = every

    def before_write(self, context: WriteContext, new: Any, old: Any) -> Ended | None:
        """See WriteHook: when one refuses, those before it are told that the write has ended."""
        own = self._by_resource.get((context.resource.group, context.resource.plural))
        ends: list[Ended] = []
        try:
            for hook in (own, *self._every) if own is not None else self._every:
                ended = hook.before_write(context, new, old)
                if ended is not None:
                    ends.append(ended)
        except BaseException:
            for ended in ends:
                ended()
            raise
        if len(ends) < 2:
            return ends[0] if ends else None

        def all_ended() -> None:
            for ended in ends:
                ended()

        return all_ended


def terminating_namespace(namespace: Any) -> None:
    """A namespace that is being deleted says so in its phase."""
    namespace.status = msgspec.structs.replace(namespace.status, phase="Terminating")


def terminating_definition(definition: Any) -> None:
    """A definition that is being deleted says so in its conditions; it has no grace, and is no new generation."""
    definition.metadata.generation -= 1
    definition.metadata.deletionGracePeriodSeconds = None
    definition.status = conditions.marked_for_deletion(definition.status, definition.metadata.deletionTimestamp)


# What a kind records when its deletion begins, by group and plural.
ON_MARK: Mapping[tuple[str, str], Callable[[Any], None]] = {
    ("", "namespaces"): terminating_namespace,
    ("apiextensions.k8s.io", "customresourcedefinitions"): terminating_definition,
}
