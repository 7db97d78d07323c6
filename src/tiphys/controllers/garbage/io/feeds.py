"""Follows every resource whose objects can be deleted and tells the graph of each object's references.

Kinds that other controllers follow anyway share their informers; for the rest nothing is kept but the graph. Custom
resources come and go with their definitions. Events are left out: they own nothing and expire by themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from tiphys.aio.clock import Clock
from tiphys.aio.tasks import TaskOwner
from tiphys.client.api import Client
from tiphys.client.cache import metadata_of
from tiphys.client.interface import ApiRequest, ListResult, Transport, WatchEvent
from tiphys.client.io.reflector import InformerSet, Reflector
from tiphys.controllers.garbage.graph import Graph, missing_after_list
from tiphys.kinds import registry
from tiphys.kinds.resource import Resource
from tiphys.kinds.types import apiextensions_v1

LEFT_OUT = frozenset({"events"})


class ResourceSource:
    """List and watch one resource by its names alone (kinds without a Struct)."""

    def __init__(self, transport: Transport, resource: Resource) -> None:
        self._transport = transport
        self._resource = resource

    def _request(self, verb: Any, options: Mapping[str, str] | None) -> ApiRequest:
        r = self._resource
        return ApiRequest(verb=verb, group=r.group, version=r.version, resource=r.plural, options=options or {})

    async def list(
        self, kind: Any, namespace: str = "", *, label_selector: str = "", field_selector: str = "",
        options: Mapping[str, str] | None = None,
    ) -> ListResult:  # fmt: skip
        found: ListResult = await self._transport.call(self._request("list", options))
        return found

    def watch(
        self, kind: Any, namespace: str = "", *, resource_version: str = "", label_selector: str = "",
        field_selector: str = "", options: Mapping[str, str] | None = None,
    ) -> AsyncIterator[Sequence[WatchEvent]]:  # fmt: skip
        merged = {**(options or {}), **({"resourceVersion": resource_version} if resource_version else {})}
        return self._transport.watch(self._request("watch", merged))


class _GraphSink:
    """Delivers one resource's objects to the graph and forgets them."""

    def __init__(self, graph: Graph, resource: Resource, affected: Callable[[Sequence[str]], None]) -> None:
        self._graph = graph
        self._names = (resource.api_version, resource.kind)
        self._affected = affected
        self.synced = asyncio.Event()

    def replace(self, items: Sequence[Any], resource_version: str) -> None:
        metas = [metadata_of(item) for item in items]
        for uid in missing_after_list(self._graph, *self._names, [meta.uid or "" for meta in metas]):
            self._affected(self._graph.remove(uid))
        for meta in metas:
            self._affected(self._graph.observe(*self._names, meta))
        self.synced.set()

    def events(self, batch: Sequence[WatchEvent]) -> None:
        for event in batch:
            if event.type == "DELETED":
                self._affected(self._graph.remove(metadata_of(event.object).uid or ""))
            elif event.type != "BOOKMARK":
                self._affected(self._graph.observe(*self._names, metadata_of(event.object)))

    def changed(self, old: Any, new: Any) -> None:
        """An informer's handler."""
        if new is None:
            self._affected(self._graph.remove(old.metadata.uid or ""))
        else:
            self._affected(self._graph.observe(*self._names, new.metadata))


class GraphFeeds:
    """All followed resources. `resolve` finds the resource of an apiVersion and kind, built-in or custom."""

    def __init__(
        self,
        graph: Graph,
        informers: InformerSet,
        transport: Transport,
        clock: Clock,
        owner: TaskOwner,
        affected: Callable[[Sequence[str]], None],
        jitter: Callable[[], float],
    ) -> None:
        self._graph = graph
        self._informers = informers
        self._transport = transport
        self._clock = clock
        self._owner = owner
        self._affected = affected
        self._jitter = jitter
        self._custom: dict[tuple[str, str], Resource] = {}
        self._tasks: dict[Resource, asyncio.Task[Any]] = {}
        self._sinks: list[_GraphSink] = []

    def resolve(self, api_version: str, kind: str) -> Resource | None:
        group, _, version = api_version.rpartition("/")
        return registry.by_kind(group, version, kind) or self._custom.get((api_version, kind))

    async def start(self) -> None:
        """Return when the graph knows every object."""
        stored: set[str] = set()
        for resource in registry.all_resources():
            follows = {"list", "watch", "delete"} <= set(resource.verbs) and resource.plural not in LEFT_OUT
            if not follows or resource.storage in stored:
                continue
            stored.add(resource.storage)
            sink = _GraphSink(self._graph, resource, self._affected)
            informer = self._informers.existing(resource.type)
            if informer is not None:
                await informer.synced()
                informer.add_handler(sink.changed)
            else:
                self._sinks.append(sink)
                self._follow(resource, sink, Client(self._transport), resource.type)
        for sink in self._sinks:
            await sink.synced.wait()
        definitions = self._informers.informer(apiextensions_v1.CustomResourceDefinition)
        definitions.add_handler(self._definition_changed)

    def _follow(self, resource: Resource, sink: _GraphSink, source: Any, kind: Any) -> None:
        reflector: Reflector[Any] = Reflector(source, kind, sink, self._clock, jitter=self._jitter)
        self._tasks[resource] = self._owner.start(reflector.run(), f"garbage feed of {resource}")

    def _definition_changed(
        self,
        old: apiextensions_v1.CustomResourceDefinition | None,
        new: apiextensions_v1.CustomResourceDefinition | None,
    ) -> None:
        before, after = _served(old), _served(new)
        for resource in before.keys() - after.keys():
            self._custom.pop((resource.api_version, resource.kind), None)
            task = self._tasks.pop(resource, None)
            if task is not None:
                task.cancel()
        for resource, is_stored in after.items():
            self._custom[resource.api_version, resource.kind] = resource
            if is_stored and resource not in self._tasks:
                sink = _GraphSink(self._graph, resource, self._affected)
                self._follow(resource, sink, ResourceSource(self._transport, resource), resource.kind)


def _served(definition: apiextensions_v1.CustomResourceDefinition | None) -> dict[Resource, bool]:
    """The resources of an established definition, and whether each is the version to follow."""
    conditions = (definition.status.conditions or ()) if definition is not None and definition.status else ()
    if definition is None or not any(c.type == "Established" and c.status == "True" for c in conditions):
        return {}
    spec = definition.spec
    found = {}
    for version in spec.versions:
        if version.served:
            resource = Resource(
                group=spec.group,
                version=version.name,
                plural=spec.names.plural,
                singular=spec.names.singular or "",
                kind=spec.names.kind,
                namespaced=spec.scope == "Namespaced",
                verbs=("list", "watch", "delete", "get", "patch"),
                storage=f"{spec.group}/{spec.names.plural}",
            )
            found[resource] = version.storage
    if found and not any(found.values()):
        found[next(iter(found))] = True
    return found
