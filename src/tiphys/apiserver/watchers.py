"""Which watches an event concerns, found without asking each of them.

Watches that select the same and want the same form are one `Group`: an event is matched and encoded once for all its
members. Groups are indexed by namespace and by a field that must have one value (`spec.nodeName=a`), so that
thousands of node agents cost an event nothing. Invariant: a group's `pending` holds what its members have not been
handed yet, in order.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any, Generic, TypeVar

from tiphys.apiserver.selection import Selection
from tiphys.apiserver.watch_cache import CacheEvent

M = TypeVar("M", bound=Hashable)

# What an event is to a selection that it can be matched with only once it is converted.
UNDECIDED = "UNDECIDED"


class Group(Generic[M]):
    """`form` says how its members want events (any value that compares). Every member has been handed everything up to
    the revision `delivered`."""

    __slots__ = ("delivered", "form", "members", "pending", "selection", "whole")

    def __init__(self, selection: Selection, form: Any) -> None:
        self.selection = selection
        self.form = form
        self.whole = selection.whole
        self.members: dict[M, None] = {}
        self.pending: list[tuple[str, CacheEvent]] = []
        self.delivered = 0

    @property
    def undecided(self) -> list[CacheEvent]:
        """Pending events of which it is not known yet what they are to the selection."""
        return [event for event_type, event in self.pending if event_type == UNDECIDED]

    def decide(self) -> None:
        """Match them: they have been converted."""
        found = [(self.selection.event_type(e) if kind == UNDECIDED else kind, e) for kind, e in self.pending]
        self.pending = [(kind, event) for kind, event in found if kind]


class Watchers(Generic[M]):
    """The watches on one collection."""

    def __init__(self) -> None:
        self._groups: dict[tuple[Selection, Any], Group[M]] = {}
        self._everywhere: list[Group[M]] = []
        self._by_namespace: dict[str, list[Group[M]]] = {}
        self._by_field: dict[str, dict[str, list[Group[M]]]] = {}

    def __len__(self) -> int:
        return sum(len(group.members) for group in self._groups.values())

    @property
    def groups(self) -> list[Group[M]]:
        return list(self._groups.values())

    def group(self, selection: Selection, form: Any) -> Group[M]:
        """The group for a selection and form, made when it is not there. It stays until its last member left."""
        found = self._groups.get((selection, form))
        if found is None:
            found = self._groups[selection, form] = Group(selection, form)
            self._shelf(selection).append(found)
        return found

    def leave(self, group: Group[M], member: M) -> None:
        group.members.pop(member, None)
        if not group.members and self._groups.get((group.selection, group.form)) is group:
            del self._groups[group.selection, group.form]
            self._shelf(group.selection).remove(group)
            self._tidy(group.selection)

    def _shelf(self, selection: Selection) -> list[Group[M]]:
        index = selection.index
        if index is not None:
            return self._by_field.setdefault(index[0], {}).setdefault(index[1], [])
        if selection.namespace:
            return self._by_namespace.setdefault(selection.namespace, [])
        return self._everywhere

    def _tidy(self, selection: Selection) -> None:
        index = selection.index
        if index is not None:
            values = self._by_field[index[0]]
            if not values[index[1]]:
                del values[index[1]]
            if not values:
                del self._by_field[index[0]]
        elif selection.namespace and not self._by_namespace[selection.namespace]:
            del self._by_namespace[selection.namespace]

    def concerned(self, event: CacheEvent) -> Iterator[Group[M]]:
        """The groups that an event may concern (their selections still have to be asked)."""
        yield from self._everywhere
        yield from self._by_namespace.get(event.entry.namespace, ())
        for field, values in self._by_field.items():
            now = event.entry.fields.get(field, "")
            yield from values.get(now, ())
            if event.previous is not None:
                before = event.previous.fields.get(field, "")
                if before != now:
                    yield from values.get(before, ())

    def add(self, event: CacheEvent) -> list[Group[M]]:
        """Put an event into the pending events of every group it concerns; those groups."""
        touched = []
        for group in self.concerned(event):
            if group.whole:
                event_type = "DELETED" if event.deleted else "ADDED" if event.previous is None else "MODIFIED"
            elif group.selection.waits:
                event_type = UNDECIDED
            else:
                event_type = group.selection.event_type(event)
            if event_type:
                group.pending.append((event_type, event))
                touched.append(group)
        return touched
