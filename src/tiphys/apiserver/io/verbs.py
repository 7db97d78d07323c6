"""The writing verbs, once for every resource: read from the watch cache, decide (`rest/`), admit, write with
compare-and-swap.

A write that lost a race is decided anew on the newer state, unless the client named the revision it meant. Somebody
else's write succeeded then, so this comes to an end, at the latest with the time that a request has. Nothing here knows
a kind: what kinds decide is in their strategies, in `hooks.py` and in the table of subresources.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from tiphys.aio.clock import Clock
from tiphys.apiserver.admission.interface import AdmissionRequest
from tiphys.apiserver.caches import Caches
from tiphys.apiserver.custom import is_terminating
from tiphys.apiserver.encoding import query_options
from tiphys.apiserver.forms import ListHead, converted
from tiphys.apiserver.hooks import ON_MARK, Ended, WriteHook
from tiphys.apiserver.io.conversions import Conversions
from tiphys.apiserver.io.writes import Writer
from tiphys.apiserver.rest import apply, create, delete, ownership, patch, update
from tiphys.apiserver.rest.apply import Application
from tiphys.apiserver.rest.call import APPLY, Call, Outcome
from tiphys.apiserver.rest.context import WriteContext
from tiphys.apiserver.watch_cache import Collection, Entry
from tiphys.kinds import codec, registry
from tiphys.kinds.types import meta_v1
from tiphys.machinery import errors
from tiphys.machinery.errors import MODIFIED_DETAIL
from tiphys.store.interface import KeyExists, KeyNotFound, RevisionConflict

Admit = Callable[[AdmissionRequest, Any, Any], None]
# How a new object comes from a request and the current object: (context, what is there) -> (new object, warnings)
Change = Callable[[WriteContext, Any], tuple[Any, list[str]]]
Prepare = Callable[[WriteContext, Any, Any], None]
Findings = Callable[[WriteContext, Any, Any], list[Any]]

WHILE_TERMINATING = "create not allowed while custom resource definition is terminating"


class Verbs:
    """`admit` runs the admission table; `hooks` sees every write; `check_create` refuses a call whose user may not
    create what it names."""

    def __init__(
        self,
        caches: Caches,
        writer: Writer,
        clock: Clock,
        admit: Admit,
        hooks: WriteHook,
        new_uid: Callable[[], str],
        new_suffix: Callable[[], str],
        check_create: Callable[[Call], None],
        conversions: Conversions,
    ) -> None:
        self.caches = caches
        self.conversions = conversions
        self._writer = writer
        self._clock = clock
        self._admit = admit
        self._hooks = hooks
        self._new_uid = new_uid
        self._new_suffix = new_suffix
        self._check_create = check_create

    # -- shared pieces

    def context(self, call: Call, dry_run: bool, recorded: bool = True, applies: bool = False) -> WriteContext:
        """`recorded`: whether metadata.managedFields follow the write by themselves (those of an apply do not)."""
        return WriteContext(
            resource=call.resource,
            verb=call.verb,
            namespace=call.namespace if call.resource.namespaced else "",
            name=call.name,
            subresource=call.subresource,
            field_manager=call.field_manager if recorded and not applies else "",
            user=call.user,
            now=self._clock.now(),
            dry_run=dry_run,
            applies=applies,
            new_uid=self._new_uid,
            new_suffix=self._new_suffix,
        )

    def admit(self, context: WriteContext, operation: str, obj: Any, old: Any, query: Mapping[str, str]) -> None:
        """Ask every admission plugin. ApiError."""
        request = AdmissionRequest(
            operation=operation,
            resource=context.resource,
            subresource=context.subresource,
            namespace=context.namespace,
            name=context.name,
            user=context.user,
            now=context.now,
            new_suffix=context.new_suffix,
            dry_run=context.dry_run,
            options=query,
        )
        self._admit(request, obj, old)

    def entry(self, context: WriteContext) -> Entry:
        """What is stored now. ApiError 404."""
        found = self.caches.collection(context.resource).get(context.namespace, context.name)
        if found is None:
            raise context.not_found()
        return found

    def _hook(self, context: WriteContext, new: Any, old: Any) -> Ended | None:
        return self._hooks.before_write(context, new, old)

    async def served(self, entry: Entry, context: WriteContext) -> Any:
        """The stored object in the version of the request."""
        if entry.layout.resource is context.resource or entry.layout.resource == context.resource:
            return entry.object
        await self.conversions.ready(context.resource, (entry,))
        return converted(entry.object, context.resource)

    async def stored(self, collection: Collection, context: WriteContext, obj: Any) -> Any:
        if collection.resource == context.resource:
            return obj
        home = registry.storage_resource(context.resource)
        await self.conversions.ready_object(home, obj)
        return converted(obj, home)

    def unwritten(self, collection: Collection, obj: Any, revision: int) -> Entry:
        """An entry for an answer about an object that was not written (a dry run)."""
        meta = obj.metadata
        data = codec.encode(obj)
        return Entry(collection.layout, meta.namespace or "", meta.name or "", revision, data, obj)

    # -- create

    async def create(self, call: Call) -> Outcome:
        _, dry_run = query_options(call.query)
        context, resource = self.context(call, dry_run), call.resource
        obj, warnings = call.body.decode(resource.type, resource.api_version, resource.kind)
        warnings += create.merge_repeated_owners(obj.metadata)
        with errors.warned_of(warnings):
            return await self._create(call, context, obj, warnings)

    async def _create(self, call: Call, context: WriteContext, obj: Any, warnings: list[str]) -> Outcome:
        resource = call.resource
        if is_terminating(resource, self.caches):
            raise errors.forbidden(resource.plural, resource.group, obj.metadata.name or "", WHILE_TERMINATING)
        generated = not obj.metadata.name and bool(obj.metadata.generateName)
        original = codec.encode(obj) if generated else b""
        for attempt in range(create.GENERATE_ATTEMPTS):
            create.prepare(context, obj)
            ownership.record(context, obj, None)
            self.admit(context, "CREATE", obj, None, call.query)
            resource.strategy.finish_create(obj)
            create.refuse(context, obj, create.findings(context, obj))
            context.settle(obj)
            ended = self._hook(context, obj, None)
            try:
                warnings += resource.strategy.warnings(obj, None)
                return Outcome(code=201, entry=await self._created(context, obj), warnings=tuple(warnings))
            except KeyExists:
                if not generated or attempt + 1 == create.GENERATE_ATTEMPTS:
                    raise create.name_taken(context, obj, generated) from None
            finally:
                if ended is not None:
                    ended()
            obj = codec.decode(original, resource.type)
        raise AssertionError("the last attempt returns or raises")

    async def _created(self, context: WriteContext, obj: Any) -> Entry:
        collection = self.caches.collection(context.resource)
        obj = await self.stored(collection, context, obj)
        meta = obj.metadata
        if collection.get(meta.namespace or "", meta.name) is not None:
            raise KeyExists(meta.name)
        value = self._writer.encode_bounded(obj)
        if context.dry_run:
            return self.unwritten(collection, obj, 0)
        return await self._writer.create(collection, obj, value)

    # -- update and patch

    async def update(self, call: Call) -> Outcome:
        _, dry_run = query_options(call.query, "UpdateOptions")
        context, resource = self.context(call, dry_run), call.resource

        def read() -> tuple[Any, list[str]]:
            return call.body.decode(resource.type, resource.api_version, resource.kind)

        async def changed() -> Outcome:
            return await self.replace(call, context, read, lambda *_: read())

        if resource.strategy.allow_create_on_update and not call.subresource:
            return await self._change_or_create(context, changed, lambda: self.create(call))
        return await changed()

    async def patch(self, call: Call) -> Outcome:
        patch.check_type(call.body.patch_type, call.resource)
        validation, dry_run = query_options(call.query, "PatchOptions")
        plain = call.body.plain()
        repeated = call.body.repeated() if validation != "Ignore" else []
        if call.body.patch_type == APPLY:
            warnings = apply.repeated_outcome(repeated, validation)
            return (await self._apply(call, plain, dry_run)).warned(warnings)
        apply.check_options(call.query, False)
        context = self.context(call, dry_run)
        change = patch.prepare(call.body.patch_type, plain, validation, repeated)
        return await self.change(call, context, change)

    async def _apply(self, call: Call, plain: Any, dry_run: bool) -> Outcome:
        """Apply to what is there, or create it."""
        asked = apply.application(plain, call.query, call.resource, call.subresource)
        context = self.context(call, dry_run, applies=True)

        async def changed() -> Outcome:
            return await self.change(call, context, applying(asked))

        async def created() -> Outcome:
            self._check_create(call)
            return await self._create(call, context, apply.created(context, asked), [])

        return await (changed() if call.subresource else self._change_or_create(context, changed, created))

    async def _change_or_create(
        self,
        context: WriteContext,
        changed: Callable[[], Awaitable[Outcome]],
        created: Callable[[], Awaitable[Outcome]],
    ) -> Outcome:
        """Change what is there, or create it, also while others delete and create it."""
        collection = self.caches.collection(context.resource)
        while True:
            if collection.get(context.namespace, context.name) is not None:
                try:
                    return await changed()
                except errors.ApiError as error:
                    if not context.is_not_found(error):
                        raise
            try:
                return await created()
            except errors.ApiError as error:
                if error.reason != "AlreadyExists":
                    raise

    async def replace(
        self,
        call: Call,
        context: WriteContext,
        read: Callable[[], tuple[Any, list[str]]],
        change: Change,
        prepare: Prepare | None = None,
        findings: Findings | None = None,
    ) -> Outcome:
        """The `change` that the body means; what is wrong with the body comes before that the object is not there."""
        try:
            return await self.change(call, context, change, prepare, findings)
        except errors.ApiError as error:
            if context.is_not_found(error):
                update.check_name(context, read()[0].metadata)
            raise

    async def change(
        self,
        call: Call,
        context: WriteContext,
        change: Change,
        prepare: Prepare | None = None,
        findings: Findings | None = None,
    ) -> Outcome:
        """Write what `change` makes of the current object, again on newer states while others are faster."""
        warnings: list[str] = []
        with errors.warned_of(warnings):
            return await self._change(call, context, change, prepare, findings, warnings)

    async def _change(
        self,
        call: Call,
        context: WriteContext,
        change: Change,
        prepare: Prepare | None,
        findings: Findings | None,
        warnings: list[str],
    ) -> Outcome:
        if prepare is None:
            status = context.subresource == "status"
            prepare = update.prepare_status if status else update.prepare
            findings = update.status_findings if status else update.findings
        assert findings is not None
        while True:
            entry = self.entry(context)
            old = await self.served(entry, context)
            new, warnings[:] = change(context, old)
            when = " after mutating admission happens" if call.verb == "patch" else ""
            warnings += create.merge_repeated_owners(new.metadata, when)
            unconditional = (
                not new.metadata.resourceVersion or new.metadata.resourceVersion == old.metadata.resourceVersion
            )
            asked = new.metadata.resourceVersion
            prepare(context, new, old)
            ownership.record(context, new, old)
            self.admit(context, "UPDATE", new, old, call.query)
            create.refuse(context, new, findings(context, new, old))
            context.settle(new)
            ended = self._hook(context, new, old)
            try:
                written = await self._changed(context, entry, new, old)
                if not context.subresource:
                    warnings += call.resource.strategy.warnings(new, old)
                return Outcome(entry=written, warnings=tuple(warnings))
            except KeyNotFound:
                raise context.not_found() from None
            except RevisionConflict:
                client_named = call.verb == "update" and bool(asked)
                if client_named or not unconditional:
                    raise context.conflict(MODIFIED_DETAIL) from None
            finally:
                if ended is not None:
                    ended()

    async def _changed(self, context: WriteContext, entry: Entry, new: Any, old: Any) -> Entry:
        collection = self.caches.collection(context.resource)
        removes = update.finished(new, old)
        new = await self.stored(collection, context, new)
        version = new.metadata.resourceVersion
        value = self._writer.encode_bounded(new, len(collection.stored(entry)))
        if context.dry_run:
            new.metadata.resourceVersion = version
            return self.unwritten(collection, new, entry.revision)
        if removes:
            revision = await self._writer.delete(collection, entry)
            return Entry(
                collection.layout, entry.namespace, entry.name, revision, collection.layout.splice(value, revision)
            )
        if value == collection.stored(entry):
            return entry
        return await self._writer.update(collection, new, value, entry.revision)

    async def write_as_is(self, obj: Any) -> Entry:
        """Replace an object by one that the server itself made of it. KeyNotFound, RevisionConflict."""
        collection = self.caches.collection(registry.resource_of(type(obj)))
        revision = int(obj.metadata.resourceVersion)
        return await self._writer.update(collection, obj, self._writer.encode(obj), revision)

    # -- delete

    async def delete(self, call: Call) -> Outcome:
        options = delete.options_from_query(call.delete_options(), call.query)
        delete.check_options(options)
        outcome = await self.remove(call, self.context(call, bool(options.dryRun)), options)
        return outcome.warned(delete.warnings(options))

    async def remove(self, call: Call, context: WriteContext, options: meta_v1.DeleteOptions) -> Outcome:
        """Delete one object with options that were checked."""
        self.entry(context)
        self.admit(context, "DELETE", None, None, call.query)
        on_mark = ON_MARK.get((context.resource.group, context.resource.plural))
        collection = self.caches.collection(context.resource)
        while True:
            entry = self.entry(context)
            await self.conversions.ready(context.resource, (entry,))
            obj = entry.object
            delete.check_preconditions(context, obj, options)
            decision = delete.decide(context, obj, options, on_mark)
            try:
                if isinstance(decision, delete.Remove):
                    return await self._removed(context, collection, entry)
                if isinstance(decision, delete.Mark):
                    entry = await self._marked(context, collection, entry, decision.obj)
                return Outcome(entry=entry)
            except KeyNotFound:
                raise context.not_found() from None
            except RevisionConflict:
                continue

    async def _removed(self, context: WriteContext, collection: Collection, entry: Entry) -> Outcome:
        if not context.dry_run:
            await self._writer.delete(collection, entry)
        if context.resource.plural in delete.ANSWERS_OBJECT:
            return Outcome(entry=entry)
        return Outcome(obj=delete.success(context, entry.object))

    async def _marked(self, context: WriteContext, collection: Collection, entry: Entry, marked: Any) -> Entry:
        if context.dry_run:
            return self.unwritten(collection, marked, entry.revision)
        value = self._writer.encode(marked)
        if value == collection.stored(entry):
            return entry
        return await self._writer.update(collection, marked, value, entry.revision)

    async def delete_collection(self, call: Call, listed: tuple[Sequence[Entry], ListHead]) -> Outcome:
        """Delete everything that was listed and answer with it; what others delete meanwhile counts as done."""
        options = delete.options_from_query(call.delete_options(), call.query)
        delete.check_options(options)

        async def one(entry: Entry) -> None:
            single = Call(
                user=call.user,
                resource=call.resource,
                verb="delete",
                namespace=entry.namespace,
                name=entry.name,
                query=call.query,
            )
            try:
                await self.remove(single, self.context(single, bool(options.dryRun)), options)
            except errors.ApiError as error:
                if error.code != 404:
                    raise

        await in_turn_together([one(entry) for entry in listed[0]])
        return Outcome(listed=listed, warnings=tuple(delete.warnings(options)))


def applying(asked: Application) -> Change:
    """The change that an apply means."""

    def change(context: WriteContext, old: Any) -> tuple[Any, list[str]]:
        return apply.applied(context, old, asked), []

    return change


async def in_turn_together(work: list[Awaitable[None]], together: int = 32) -> None:
    """Await all, `together` at a time; the first failure is raised when its batch has ended."""
    for start in range(0, len(work), together):
        results = await asyncio.gather(*work[start : start + together], return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                for rest in work[start + together :]:
                    if asyncio.iscoroutine(rest):
                        rest.close()
                raise result
