"""The custom resources that are served: made of the definitions as they come and go, in the caches, routes, discovery
and OpenAPI alike.

It follows the cache of definitions, so it is as current as that: once a definition is established its resources are
there; a definition with other versions or schemas takes the place of the older one at once (watches end and are begun
anew by their clients). Status and deletion of definitions are `io/definitions.py`'s business.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from tiphys.apiserver.caches import Caches
from tiphys.apiserver.watch_cache import Collection, Layout
from tiphys.kinds import crd
from tiphys.kinds.apiextensions import conditions
from tiphys.kinds.crd import CustomResource
from tiphys.kinds.resource import Resource
from tiphys.kinds.types.apiextensions_v1 import CustomResourceDefinition

log = logging.getLogger(__name__)


class CustomResources:
    """`on_change(served resources)` hears of each change; `end(collection)` ends the watches on a collection."""

    def __init__(
        self,
        caches: Caches,
        on_change: Callable[[Sequence[CustomResource]], None],
        end: Callable[[Collection], None],
    ) -> None:
        self._caches = caches
        self._on_change = on_change
        self._end = end
        self._by_definition: dict[str, tuple[CustomResource, ...]] = {}
        self._by_name: dict[tuple[str, str, str], CustomResource] = {}

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        """The custom resource that is served there."""
        return self._by_name.get((group, version, plural))

    @property
    def served(self) -> list[CustomResource]:
        return list(self._by_name.values())

    def of(self, name: str) -> Sequence[CustomResource]:
        """The resources of a definition by its name, the storage version among them."""
        return self._by_definition.get(name, ())

    def observe(self, old: CustomResourceDefinition | None, new: CustomResourceDefinition | None) -> None:
        """A handler for `Caches.subscribe`."""
        if new is None or not conditions.is_true(new, conditions.ESTABLISHED):
            if old is not None and old.metadata.name in self._by_definition:
                self._withdraw(old.metadata.name or "")
            return
        name = new.metadata.name or ""
        known = self._by_definition.get(name)
        if known is not None and _same(known[0].definition, new):
            return
        try:
            resources = crd.resources(new)
        except (ValueError, TypeError, LookupError):  # stored by somebody who checks less; everything else goes on
            log.exception("the definition %s cannot be served", name)
            return
        self._serve(name, resources)

    def _serve(self, name: str, resources: tuple[CustomResource, ...]) -> None:
        home = resources[0].home or resources[0]
        assert isinstance(home, CustomResource)
        ordered = [home, *(resource for resource in resources if resource is not home)]
        replaced = self._caches.serve(home, [Layout(resource, crd.reader(resource)) for resource in ordered])
        if replaced is not None:
            self._end(replaced)
        self._by_definition[name] = resources
        self._rebuild()

    def _withdraw(self, name: str) -> None:
        resources = self._by_definition.pop(name)
        collection = self._caches.withdraw(resources[0])
        if collection is not None:
            self._end(collection)
        self._rebuild()

    def _rebuild(self) -> None:
        self._by_name = {
            (r.group, r.version, r.plural): r for found in self._by_definition.values() for r in found if r.verbs
        }
        self._on_change(self.served)


def _same(old: CustomResourceDefinition, new: CustomResourceDefinition) -> bool:
    """Whether two states of a definition serve the same."""
    return old.spec == new.spec and old.status.acceptedNames == new.status.acceptedNames


def is_terminating(resource: Any, caches: Caches) -> bool:
    """Whether the definition of a custom resource is being deleted."""
    if not isinstance(resource, CustomResource):
        return False
    definition = caches.get(CustomResourceDefinition, "", resource.definition.metadata.name or "")
    return definition is not None and bool(definition.metadata.deletionTimestamp)
