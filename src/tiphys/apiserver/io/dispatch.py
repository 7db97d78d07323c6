"""Which code serves a call: a verb on a resource, one of its subresources, or a resource that stores nothing (reviews).

Everything special is in a table; the verbs themselves are `verbs.py`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from tiphys.apiserver import routes
from tiphys.apiserver.authn.identity import UserInfo
from tiphys.apiserver.forms import converted
from tiphys.apiserver.io.reads import Reads
from tiphys.apiserver.io.verbs import Verbs, applying
from tiphys.apiserver.request import RequestInfo
from tiphys.apiserver.rest import apply, binding, eviction, patch, scale, subresources, update
from tiphys.apiserver.rest.call import APPLY, Call, ObjectBody, Outcome
from tiphys.apiserver.rest.context import WriteContext
from tiphys.apiserver.watch_cache import Entry
from tiphys.kinds import registry
from tiphys.kinds.resource import Resource
from tiphys.kinds.types import authentication_v1, autoscaling_v1, core_v1, meta_v1, policy_v1
from tiphys.machinery import errors
from tiphys.store.interface import KeyNotFound, RevisionConflict

# (object, user, namespace, now) -> the answered object
VirtualCreate = Callable[[Any, UserInfo, str, float], Any]
ATTEMPTS = 5


class TokenIssuer(Protocol):
    def issue(
        self, namespace: str, name: str, request: authentication_v1.TokenRequest, now: float, token_id: str
    ) -> authentication_v1.TokenRequest: ...


class Dispatch:
    def __init__(
        self,
        verbs: Verbs,
        reads: Reads,
        virtual: Mapping[tuple[str, str], VirtualCreate],
        issuer: TokenIssuer | None,
        now: Callable[[], float],
        new_uid: Callable[[], str],
        custom: Callable[[str, str, str], Resource | None] = lambda group, version, plural: None,
    ) -> None:
        self._verbs = verbs
        self._reads = reads
        self._virtual = virtual
        self._issuer = issuer
        self._now = now
        self._new_uid = new_uid
        self._custom = custom
        self._creates: Mapping[str, Callable[[Call, WriteContext], Any]] = {
            "binding": self._bind,
            "eviction": self._evict,
            "token": self._token,
        }

    # -- what there is

    def resource(self, info: RequestInfo) -> Resource | None:
        """The resource of a request; None when nothing is served there. ApiError 404."""
        found = registry.find(info.group, info.version, info.resource) or self._custom(
            info.group, info.version, info.resource
        )
        if found is None:
            return None
        return found if routes.serves(found, info) else None

    # -- reading

    async def get(self, call: Call) -> Outcome:
        """One object, or what a subresource shows of it. ApiError 404."""
        entry = self._reads.collection(call.resource).get(call.namespace, call.name) if call.resource.storage else None
        if entry is None:
            raise errors.not_found(call.resource.plural, call.resource.group, call.name)
        if call.subresource == "scale":
            return scale.shown(await self._shown(call, entry), call.resource)
        return Outcome(entry=entry)

    async def _shown(self, call: Call, entry: Entry) -> Any:
        await self._verbs.conversions.ready(call.resource, (entry,))
        resource = entry.layout.resource
        return entry.object if resource == call.resource else converted(entry.object, call.resource)

    # -- writing

    async def write(self, call: Call) -> Outcome:
        """create, update, patch, delete, deletecollection. ApiError."""
        if call.verb == "create":
            return await self._create(call)
        if call.verb == "patch":
            patch.check_type(call.body.patch_type, call.resource)
        if call.verb == "delete":
            return await self._verbs.delete(call)
        if call.verb == "deletecollection":
            return await self._verbs.delete_collection(call, await self._reads.list(call))
        if call.subresource == "scale":
            return await self._scale(call)
        if call.subresource:
            return await self._subresource(call)
        return await (self._verbs.update(call) if call.verb == "update" else self._verbs.patch(call))

    async def _create(self, call: Call) -> Outcome:
        resource = call.resource
        if call.subresource:
            handler = self._creates.get(call.subresource)
            if handler is None:
                raise errors.method_not_allowed()
            context = self._verbs.context(call, call.query.get("dryRun") == "All", recorded=False)
            found: Outcome = await handler(call, context)
            return found
        if resource.storage:
            return await self._verbs.create(call)
        if (resource.group, resource.plural) == ("", "bindings"):
            return await self._bind_by_body(call)
        answer = self._virtual.get((resource.group, resource.plural))
        if answer is None:
            raise errors.method_not_allowed()
        obj, warnings = call.body.decode(resource.type, resource.api_version, resource.kind)
        done = answer(obj, call.user, call.namespace, self._now())
        return Outcome(code=201, obj=done, warnings=tuple(warnings))

    async def _subresource(self, call: Call) -> Outcome:
        resource = call.resource
        is_apply = call.verb == "patch" and call.body.patch_type == APPLY
        context = self._verbs.context(call, call.query.get("dryRun") == "All", applies=is_apply)
        prepare, findings = subresources.PREPARES[call.subresource]
        if is_apply:
            change = applying(apply.application(call.body.plain(), call.query, resource, call.subresource))
        elif call.verb == "patch":
            apply.check_options(call.query, False)
            change = patch.prepare(
                call.body.patch_type,
                call.body.plain(),
                call.query.get("fieldValidation", ""),
                call.body.repeated(),
            )
        else:

            def read() -> tuple[Any, list[str]]:
                return call.body.decode(resource.type, resource.api_version, resource.kind)

            return await self._verbs.replace(call, context, read, lambda *_: read(), prepare, findings)
        return await self._verbs.change(call, context, change, prepare, findings)

    async def _scale(self, call: Call) -> Outcome:
        is_apply = call.verb == "patch" and call.body.patch_type == APPLY
        context = self._verbs.context(call, call.query.get("dryRun") == "All", applies=is_apply)

        def read() -> tuple[Any, list[str]]:
            return call.body.decode(autoscaling_v1.Scale, scale.API_VERSION, scale.KIND)

        def patched(inner: WriteContext, current: Callable[[], autoscaling_v1.Scale]) -> tuple[Any, list[str]]:
            return patch.patched(inner, call.body.patch_type, plain, current(), call.query.get("fieldValidation", ""))

        plain = call.body.plain() if call.verb == "patch" else None

        def applied(inner: WriteContext, old: Any) -> tuple[Any, list[str]]:
            asked = apply.scale_application(plain, call.query, call.resource, autoscaling_v1.Scale)
            return apply.applied(inner, old, asked), []

        rules = update.prepare, update.findings
        if call.verb == "update":
            outcome = await self._verbs.replace(call, context, read, scale.change(lambda *_: read()), *rules)
        else:
            outcome = await self._verbs.change(call, context, applied if is_apply else scale.change(patched), *rules)
        assert outcome.entry is not None
        shown = await self._shown(call, outcome.entry)
        return scale.outcome(shown, call.resource, outcome.warnings)

    # -- creates below an object

    async def _bind(self, call: Call, context: WriteContext) -> Outcome:
        body, _ = call.body.decode(core_v1.Binding, "v1", "Binding")
        if body.metadata.name and body.metadata.name != call.name:
            raise errors.bad_request("name in URL does not match name in Binding object")
        found = binding.findings(body)
        if found:
            raise errors.invalid("Binding", "", call.name, found)
        self._verbs.admit(context, "CREATE", body, None, call.query)

        def change(inner: WriteContext, old: Any) -> tuple[Any, list[str]]:
            return binding.bound(inner, old, body), []

        await self._verbs.change(call, context, change, _settled, lambda *_: [])
        return Outcome(code=201, obj=binding.success())

    async def _bind_by_body(self, call: Call) -> Outcome:
        body, _ = call.body.decode(core_v1.Binding, "v1", "Binding")
        pods = registry.find("", "v1", "pods")
        assert pods is not None
        below = Call(
            user=call.user, resource=pods, verb="create", namespace=call.namespace, name=body.metadata.name or "",
            subresource="binding", query=call.query, body=ObjectBody(body),
        )  # fmt: skip
        return await self._bind(below, self._verbs.context(below, call.query.get("dryRun") == "All", False))

    async def _token(self, call: Call, context: WriteContext) -> Outcome:
        if self._issuer is None:
            raise errors.unavailable("no key to sign service account tokens is configured")
        wanted = authentication_v1.TokenRequest
        body, warnings = call.body.decode(wanted, "authentication.k8s.io/v1", "TokenRequest")
        self._verbs.admit(context, "CREATE", body, None, call.query)
        answer = self._issuer.issue(call.namespace, call.name, body, context.now, self._new_uid())
        return Outcome(code=201, obj=answer, warnings=tuple(warnings))

    async def _evict(self, call: Call, context: WriteContext) -> Outcome:
        also = [f"policy/{version}" for version in call.resource.subresources["eviction"].older_versions]
        body, _ = call.body.decode(policy_v1.Eviction, "policy/v1", "Eviction", also)
        if body.metadata.name and body.metadata.name != call.name:
            raise errors.bad_request("name in URL does not match name in Eviction object")
        self._verbs.admit(context, "CREATE", body, None, call.query)
        options = body.deleteOptions or meta_v1.DeleteOptions()
        is_dry = context.dry_run or options.dryRun == ["All"]
        pod = self._verbs.entry(context).object
        if not eviction.needs_no_budget(pod):
            await self._charge(call, context, pod, is_dry)
        if not is_dry:
            options = await self._mark_as_disrupted(call, context, options)
        delete = Call(
            user=call.user, resource=call.resource, verb="delete", namespace=call.namespace, name=call.name,
            query=call.query, body=ObjectBody(options),
        )  # fmt: skip
        await self._verbs.delete(delete)
        return Outcome(code=201, obj=binding.success())

    async def _mark_as_disrupted(
        self, call: Call, context: WriteContext, options: meta_v1.DeleteOptions
    ) -> meta_v1.DeleteOptions:
        def change(inner: WriteContext, old: Any) -> tuple[Any, list[str]]:
            return eviction.disrupted(inner, old, options), []

        marked = await self._verbs.change(call, context, change, _settled, lambda *_: [])
        assert marked.entry is not None
        return eviction.after_marking(options, marked.entry.object)

    async def _charge(self, call: Call, context: WriteContext, pod: core_v1.Pod, is_dry: bool) -> None:
        """Take one disruption from the pod's budget, if it has one. ApiError 429, 500."""
        for _ in range(ATTEMPTS):
            budgets = self._verbs.caches.list(policy_v1.PodDisruptionBudget, call.namespace)
            budget = eviction.budget_of(pod, budgets)
            if budget is None:
                return
            charged = eviction.charged(context, budget, pod)
            if charged is None or is_dry:
                return
            try:
                await self._verbs.write_as_is(charged)
                return
            except (RevisionConflict, KeyNotFound):
                continue
        raise errors.too_many_requests(eviction.MESSAGE, 1)


def _settled(*_: Any) -> None:
    """A `prepare` hook: what was stored is settled already."""
