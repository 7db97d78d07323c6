"""Runs controllers: the only input and output of the declarative ones.

One queue per controller, one reconcile at a time per key, many keys at the same time. Every write goes through to the
caches, so that the next reconcile sees it before its event arrives. A failed key is retried with growing waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from tiphys.aio.clock import Clock
from tiphys.aio.tasks import TaskOwner
from tiphys.client.cache import key_of, version_of
from tiphys.client.interface import ApiRequest, ObjectKey, Transport
from tiphys.client.io.recorder import EventRecorder
from tiphys.client.io.reflector import Informer, InformerSet
from tiphys.client.workqueue import WorkQueue
from tiphys.controllers import execution
from tiphys.controllers.actions import Action, Answer, Ask, Call, Delete, Evict, Failure, Record, RequeueAfter
from tiphys.controllers.controller import Controller, View
from tiphys.machinery.errors import ApiError

log = logging.getLogger(__name__)
# How many rounds of asking and answering one reconcile may take before it counts as failed.
MOST_ROUNDS = 50
# A key whose decision took longer than this rests in proportion before its next: the event loop is everybody's.
FREE_SECONDS = 0.002
REST_FACTOR = 4.0
LONGEST_REST_SECONDS = 1.0


class ControllerRunner:
    """Runs one controller on shared informers, with its own identity."""

    def __init__(
        self,
        controller: Controller,
        informers: InformerSet,
        transport: Transport,
        recorder: EventRecorder,
        clock: Clock,
        owner: TaskOwner,
        *,
        on_fault: Callable[[str, BaseException], None] | None = None,
    ) -> None:
        self.controller = controller
        self.queue: WorkQueue[Hashable] = WorkQueue()
        self._informers: dict[type[Any], Informer[Any]] = {}
        self._transport = transport
        self._recorder = recorder
        self._clock = clock
        self._owner = owner
        self._on_fault = on_fault
        self._costs: dict[Hashable, float] = {}
        self._serving = False
        self._timer: asyncio.Task[Any] | None = None
        self._timer_due = float("inf")
        for kind in controller.kinds:
            self._informers[kind] = informers.informer(kind, field_selector=controller.field_selectors.get(kind, ""))
        for index in controller.indexes:
            self._informers[index.kind].cache.add_index(index.name, index.function)
        self.view = View({kind: informer.cache for kind, informer in self._informers.items()})
        self._every_informer = informers

    async def start(self) -> None:
        """Wait for the caches, then begin to work."""
        for informer in self._informers.values():
            await informer.synced()
        for watch in self.controller.watches:
            self._informers[watch.kind].add_handler(self._handler(watch.keys))
        for key in self.controller.initial_keys:
            self.queue.add(key)
        self._serving = True
        self._dispatch()

    def _handler(self, keys: Any) -> Callable[[Any, Any], None]:
        def changed(old: Any, new: Any) -> None:
            for key in keys(self.view, old, new):
                self.add(key)

        return changed

    def add(self, key: Hashable) -> None:
        """Reconcile a key for a reason of the caller's own."""
        if not self.queue.add(key, self._clock.monotonic()):
            self._arm()
        self._dispatch()

    @property
    def idle(self) -> bool:
        """No key is waiting or being worked on (some may be due later)."""
        return not len(self.queue) and not self.queue.processing

    def _dispatch(self) -> None:
        while self._serving and self.queue.processing < self.controller.concurrency:
            key = self.queue.get()
            if key is None:
                return
            self._owner.start(self._work(key), f"{self.controller.name} {key}")

    def _arm(self) -> None:
        due = self.queue.next_due()
        if due is None or due >= self._timer_due:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = due
        self._timer = self._owner.start(self._wait_until(due), f"{self.controller.name} timer")

    async def _wait_until(self, due: float) -> None:
        await self._clock.sleep(due - self._clock.monotonic())
        self._timer, self._timer_due = None, float("inf")
        self.queue.wake(self._clock.monotonic())
        self._dispatch()
        self._arm()

    async def _work(self, key: Hashable) -> None:
        try:
            if await self._reconcile(key):
                self.queue.forget(key)
            else:
                self.queue.retry(key, self._clock.monotonic())
        except ApiError as error:
            level = logging.DEBUG if execution.is_quiet(error) else logging.WARNING
            log.log(level, "%s %s: %s", self.controller.name, key, error)
            self.queue.retry(key, self._clock.monotonic())
        except Exception as error:  # a fault of one key must not stop the others
            log.exception("%s: reconciling %s failed", self.controller.name, key)
            self.queue.retry(key, self._clock.monotonic())
            if self._on_fault is not None:
                self._on_fault(f"{self.controller.name} {key}", error)
        finally:
            cost_seconds = self._costs.pop(key, 0.0)
            is_costly = cost_seconds > FREE_SECONDS
            rest_seconds = min(cost_seconds * REST_FACTOR, LONGEST_REST_SECONDS)
            self.queue.done(key, self._clock.monotonic() + rest_seconds if is_costly else None)
            self._arm()
            self._dispatch()

    async def _reconcile(self, key: Hashable) -> bool:
        """True when all was carried out (or settled)."""
        controller, now = self.controller, self._clock.now()
        began = self._clock.monotonic()
        actions = controller.reconcile(self.view, key, now)
        self._costs[key] = self._clock.monotonic() - began
        for _ in range(MOST_ROUNDS):
            failures, asked = await self._carry_out(key, actions)
            if failures:
                return await self._after_failure(key, failures)
            if asked is None:
                return True
            assert controller.answered is not None, f"{controller.name} asks and takes no answers"
            answers = await asyncio.gather(*(self._answer(request) for request in asked.requests))
            actions = controller.answered(self.view, key, self._clock.now(), answers, asked.memo)
        raise RuntimeError(f"{controller.name} did not come to an end with {key} in {MOST_ROUNDS} rounds")

    async def _after_failure(self, key: Hashable, failures: Sequence[Failure]) -> bool:
        controller = self.controller
        for failure in failures:
            level = logging.DEBUG if execution.is_quiet(failure.error) else logging.WARNING
            log.log(level, "%s %s: %s: %s", controller.name, key, type(failure.action).__name__, failure.error)
        settled = all(execution.is_namespace_ending(failure.error) for failure in failures)
        if controller.after_failure is not None:
            answer = controller.after_failure(self.view, key, self._clock.now(), failures)
            settled = settled or answer is None
            if answer:
                await self._carry_out(key, answer)
        return settled

    async def _answer(self, request: ApiRequest) -> Answer:
        try:
            return Answer(request=request, result=await self._transport.call(request))
        except ApiError as error:
            return Answer(request=request, error=error)

    async def _carry_out(self, key: Hashable, actions: Sequence[Action]) -> tuple[Sequence[Failure], Ask | None]:
        asked: Ask | None = None
        for step in execution.steps(actions):
            calls: list[Any] = []
            for action in step:
                if isinstance(action, Record):
                    self._recorder.record(action.regarding, action.type, action.reason, action.message)
                elif isinstance(action, RequeueAfter):
                    self.queue.add_at(key, self._clock.monotonic() + max(action.seconds, 0.0))
                elif isinstance(action, Ask):
                    asked = action
                else:
                    calls.append(action)
            if len(calls) == 1:
                results = [await self._call(calls[0])]
            else:
                results = await asyncio.gather(*map(self._call, calls))
            failures = [result for result in results if result is not None]
            if failures:
                return failures, None
        return (), asked

    async def _call(self, action: Action) -> Failure | None:
        try:
            answer = await self._transport.call(execution.request_of(action))
        except ApiError as error:
            if not execution.is_settled(action, error):
                if not execution.is_namespace_ending(error):
                    self._report(getattr(action, "failed", None), error=str(error))
                return Failure(action=action, error=error)
            if isinstance(action, Delete) and error.code == 404:
                self._observe_gone(action)
            return None
        if isinstance(action, Delete):
            self._observe_delete(action, answer)
            self._report(action.succeeded, name=action.name)
        elif not isinstance(action, Evict | Call):
            self._observe_write(answer)
            self._report(getattr(action, "succeeded", None), name=answer.metadata.name or "")
        return None

    def _report(self, wanted: Record | None, *, name: str = "", error: str = "") -> None:
        if wanted is not None:
            message = wanted.message.replace("{name}", name).replace("{error}", error)
            self._recorder.record(wanted.regarding, wanted.type, wanted.reason, message)

    def _informer(self, kind: type[Any]) -> Informer[Any] | None:
        return self._informers.get(kind) or self._every_informer.existing(kind)

    def _observe_write(self, answer: Any) -> None:
        informer = self._informer(type(answer))
        if informer is None:
            return
        meta = answer.metadata
        if meta.deletionTimestamp and not execution.still_there(answer):
            # Taking the last finalizer away has removed the object.
            informer.observe_delete(key_of(answer), version_of(answer), meta.uid or "")
        else:
            informer.observe_write(answer)

    def _observe_delete(self, action: Delete, answer: Any) -> None:
        informer = self._informer(action.kind)
        if informer is not None and execution.still_there(answer):
            informer.observe_write(answer)
        elif informer is not None:
            self._observe_gone(action)

    def _observe_gone(self, action: Delete) -> None:
        informer = self._informer(action.kind)
        if informer is None:
            return
        found = informer.cache.get(action.namespace, action.name)
        if found is not None and action.uid in ("", found.metadata.uid):
            key = ObjectKey(action.namespace, action.name)
            informer.observe_delete(key, version_of(found), found.metadata.uid or "")

    async def stop(self) -> None:
        """Take no more keys. Tasks under way belong to the owner."""
        self._serving = False
