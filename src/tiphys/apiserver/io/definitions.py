"""Keeps the status of CustomResourceDefinitions, and removes all instances of one that is being deleted before it goes.

One worker, told of every change by the cache. It writes like everybody else: compare and swap, again on newer states.
"""

from __future__ import annotations

import asyncio
import logging

import msgspec

from tiphys.aio.clock import Clock
from tiphys.apiserver.authn.identity import UserInfo, authenticated
from tiphys.apiserver.custom import CustomResources
from tiphys.apiserver.forms import ListHead
from tiphys.apiserver.io.verbs import Verbs
from tiphys.apiserver.rest import ownership
from tiphys.apiserver.rest.call import Call, ObjectBody
from tiphys.kinds import registry
from tiphys.kinds.apiextensions import conditions
from tiphys.kinds.resource import Resource
from tiphys.kinds.types import meta_v1
from tiphys.kinds.types.apiextensions_v1 import CustomResourceDefinition, CustomResourceDefinitionStatus
from tiphys.machinery import timestamps
from tiphys.machinery.errors import ApiError
from tiphys.store.interface import KeyNotFound, RevisionConflict

log = logging.getLogger(__name__)
USER = authenticated(UserInfo("system:apiserver", "", ("system:masters",)))
FIELD_MANAGER = "kube-apiserver"
# When to look again for instances that have finalizers of others, or after a failure.
LOOK_AGAIN_SECONDS = 1.0


class Definitions:
    """`observe` is a handler for `Caches.subscribe`; `run` works until cancelled."""

    def __init__(self, verbs: Verbs, custom: CustomResources, clock: Clock) -> None:
        self._verbs = verbs
        self._custom = custom
        self._clock = clock
        self._waiting: dict[str, None] = {}
        self._wake = asyncio.Event()

    def observe(self, old: CustomResourceDefinition | None, new: CustomResourceDefinition | None) -> None:
        """A definition changed: look at it, and at all of its group when names came free."""
        changed = new or old
        assert changed is not None
        self._waiting[changed.metadata.name or ""] = None
        if old is not None and (new is None or new.status.acceptedNames != old.status.acceptedNames):
            for other in self._verbs.caches.list(CustomResourceDefinition):
                if other.spec.group == changed.spec.group:
                    self._waiting[other.metadata.name or ""] = None
        self._wake.set()

    async def run(self) -> None:
        again: set[str] = set()
        while True:
            if again:
                await self._clock.sleep(LOOK_AGAIN_SECONDS)
                self._waiting.update(dict.fromkeys(sorted(again)))
                again.clear()
            else:
                await self._wake.wait()
            self._wake.clear()
            waiting, self._waiting = self._waiting, {}
            for name in waiting:
                try:
                    done = await self._settle(name)
                except (ApiError, KeyNotFound, RevisionConflict) as error:
                    log.info("definition %s: %s; looking again", name, error)
                    done = False
                if not done:
                    again.add(name)

    async def _settle(self, name: str) -> bool:
        """Bring one definition to where it should be; False when it has to be looked at again later."""
        definition = self._verbs.caches.get(CustomResourceDefinition, "", name)
        if definition is None:
            return True
        at = timestamps.time_of(self._clock.now())
        if definition.metadata.deletionTimestamp:
            return await self._clean_up(definition, at)
        others = self._verbs.caches.list(CustomResourceDefinition)
        status = conditions.established_status(definition, others, at)
        if status != definition.status:
            await self._write(definition, status)
        return True

    async def _write(
        self, definition: CustomResourceDefinition, status: CustomResourceDefinitionStatus
    ) -> CustomResourceDefinition:
        new = msgspec.structs.replace(
            definition, status=status, metadata=msgspec.structs.replace(definition.metadata)
        )  # fmt: skip
        call = Call(
            user=USER, resource=registry.resource_of(CustomResourceDefinition), verb="update",
            name=definition.metadata.name or "", subresource="status", field_manager=FIELD_MANAGER,
        )  # fmt: skip
        ownership.record(self._verbs.context(call, dry_run=False), new, definition)
        entry = await self._verbs.write_as_is(new)
        written: CustomResourceDefinition = entry.object
        return written

    async def _clean_up(self, definition: CustomResourceDefinition, at: timestamps.Time) -> bool:
        if conditions.CLEANUP_FINALIZER not in (definition.metadata.finalizers or ()):
            return True
        left, failure = 0, ""
        resources = self._custom.of(definition.metadata.name or "")
        if resources:
            try:
                left = await self._delete_instances(resources[0].home or resources[0])
            except ApiError as error:
                failure = str(error)
        status = conditions.deletion_progress(definition.status, left, failure, at)
        if status != definition.status:
            definition = await self._write(definition, status)
        if left or failure:
            return False
        await self._let_go(definition)
        return True

    async def _delete_instances(self, resource: Resource) -> int:
        """Delete all; how many are still there afterwards."""
        collection = self._verbs.caches.collection(resource)
        if collection.count:
            options = meta_v1.DeleteOptions(propagationPolicy="Background")
            call = Call(user=USER, resource=resource, verb="deletecollection", body=ObjectBody(options))
            await self._verbs.delete_collection(call, (collection.entries(), ListHead(collection.revision)))
        return collection.count

    async def _let_go(self, definition: CustomResourceDefinition) -> None:
        resource = registry.resource_of(CustomResourceDefinition)
        rest = [f for f in definition.metadata.finalizers or () if f != conditions.CLEANUP_FINALIZER]
        patch = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": definition.metadata.resourceVersion},
            {"op": "replace", "path": "/metadata/finalizers", "value": rest},
        ]
        call = Call(
            user=USER, resource=resource, verb="patch", name=definition.metadata.name or "",
            body=ObjectBody(patch, "application/json-patch+json"),
        )  # fmt: skip
        await self._verbs.patch(call)
