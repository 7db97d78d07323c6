"""What a controller is: a declaration of what it watches and a pure function from what is there to what to do.

`reconcile(view, key, now)` reads the caches through the `View`, knows `now` (seconds since the epoch) and returns
actions. It is called again whenever something it watches changes, after a failure (with growing waits), and when it
asked for it. It must be idempotent: the same view gives the same actions, and once they were carried out, none.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tiphys.client.cache import Cache, IndexFunction, key_of
from tiphys.client.interface import ObjectKey
from tiphys.controllers.actions import Action, Answer, Failure
from tiphys.kinds.types import meta_v1
from tiphys.machinery.labels import Selector

T = TypeVar("T")


class View:
    """Read-only access to the caches of the kinds that a controller declared. Objects are shared snapshots: never
    change them."""

    def __init__(self, caches: Mapping[type[Any], Cache[Any]]) -> None:
        self._caches = caches

    def cache(self, kind: type[T]) -> Cache[T]:
        return self._caches[kind]

    def get(self, kind: type[T], namespace: str, name: str) -> T | None:
        found: T | None = self._caches[kind].get(namespace, name)
        return found

    def list(self, kind: type[T], namespace: str = "", selector: Selector | None = None) -> list[T]:
        return self._caches[kind].list(namespace, selector)

    def by_index(self, kind: type[T], index: str, value: Hashable) -> Sequence[T]:
        return self._caches[kind].by_index(index, value)

    def controlled_by(self, kind: type[T], uid: str) -> Sequence[T]:
        """The objects whose controlling owner has this uid (needs the index CONTROLLER_INDEX on the kind)."""
        return self._caches[kind].by_index(CONTROLLER_INDEX, uid)

    def orphans(self, kind: type[T], namespace: str) -> Sequence[T]:
        """The objects of a namespace that no owner controls (needs CONTROLLER_INDEX too)."""
        return self._caches[kind].by_index(CONTROLLER_INDEX, ORPHANS_IN + namespace)


KeyFunction = Callable[[View, Any, Any], Iterable[Hashable]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Changes of a kind, and which keys need work after one: `keys(view, old, new)`, with None for what is not
    there."""

    kind: type[Any]
    keys: KeyFunction


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """An index that the controller reads; every controller may declare the same one (same name, same function)."""

    kind: type[Any]
    name: str
    function: IndexFunction


@dataclass(frozen=True, slots=True, kw_only=True)
class Controller:
    """One row of the table in `registry.py`.

    `identity` is the user name of its writes; `source` the component named by its Events. `reads` are kinds that it
    reads and whose changes give no work. `after_failure` may answer failed actions with more (a condition, an Event,
    another name) before the key is retried; its last word decides: when it returns None the failure is settled and the
    key is not retried. `answered` takes the answers to an `Ask`. `initial_keys` are reconciled once at the start."""

    name: str
    reconcile: Callable[[View, Any, float], Sequence[Action]]
    watches: tuple[Watch, ...]
    reads: tuple[type[Any], ...] = ()
    indexes: tuple[Index, ...] = ()
    identity: str = ""
    source: str = ""
    concurrency: int = 10
    initial_keys: tuple[Hashable, ...] = ()
    field_selectors: Mapping[type[Any], str] = field(default_factory=dict)
    after_failure: Callable[[View, Any, float, Sequence[Failure]], Sequence[Action] | None] | None = None
    answered: Callable[[View, Any, float, Sequence[Answer], Any], Sequence[Action]] | None = None

    @property
    def user(self) -> str:
        return self.identity or f"system:serviceaccount:kube-system:{self.name}-controller"

    @property
    def kinds(self) -> tuple[type[Any], ...]:
        """Every kind whose cache the controller reads."""
        kinds = [*(w.kind for w in self.watches), *self.reads, *(i.kind for i in self.indexes)]
        return tuple(dict.fromkeys(kinds))


def own_key(_: View, old: Any, new: Any) -> tuple[ObjectKey, ...]:
    """The changed object itself."""
    return (key_of(new if new is not None else old),)


def controller_of(obj: Any) -> meta_v1.OwnerReference | None:
    """The reference to the one owner that controls the object."""
    for reference in obj.metadata.ownerReferences or ():
        if reference.controller:
            return reference  # type: ignore[no-any-return]
    return None


def controller_uids(obj: Any) -> tuple[str, ...]:
    """Index function: the uid of the controlling owner; for orphans ORPHANS_IN and their namespace."""
    reference = controller_of(obj)
    return (reference.uid if reference is not None else ORPHANS_IN + (obj.metadata.namespace or ""),)


CONTROLLER_INDEX = "controller"
ORPHANS_IN = "orphans in "


def controller_index(kind: type[Any]) -> Index:
    """The index behind `View.controlled_by`."""
    return Index(kind=kind, name=CONTROLLER_INDEX, function=controller_uids)


def owner_key(kind: str, group: str) -> KeyFunction:
    """Keys of the controlling owners of this kind, before and after the change."""

    def keys(_: View, old: Any, new: Any) -> Iterable[ObjectKey]:
        for obj in (old, new):
            reference = controller_of(obj) if obj is not None else None
            if reference is not None and reference.kind == kind and group_of(reference.apiVersion) == group:
                yield ObjectKey(obj.metadata.namespace or "", reference.name)

    return keys


def group_of(api_version: str) -> str:
    """The group of an apiVersion; "" for the core group."""
    return api_version.rpartition("/")[0]


def controller_reference(owner: Any) -> meta_v1.OwnerReference:
    """The reference that a controller's object carries to it: deleting the owner in the foreground waits for the
    object."""
    return meta_v1.OwnerReference(
        apiVersion=owner.apiVersion,
        kind=owner.kind,
        name=owner.metadata.name,
        uid=owner.metadata.uid,
        controller=True,
        blockOwnerDeletion=True,
    )
