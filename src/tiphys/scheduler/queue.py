"""Which pod is next: the active queue, pods that wait out a back-off, pods nothing can be done for yet, gated pods.

- *active*: ordered by priority, then by the time they came in.
- *backoff*: 1 s after the first failed attempt, doubled each time up to 10 s; then active.
- *unschedulable*: until an event that one of the rejecting plugins says may help, or for five minutes.
- *gated*: has scheduling gates; not looked at.

A pod is in exactly one of them, by uid. All times are `now` arguments, in seconds. Whether an event helps is asked
once per shape, through the function the queue is made with.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tiphys.scheduler.framework import ClusterEvent
from tiphys.scheduler.pods import PodInfo, PodShape

FIRST_BACKOFF_SECONDS = 1.0
LONGEST_BACKOFF_SECONDS = 10.0
FLUSH_SECONDS = 300.0

Hint = Callable[[str, ClusterEvent, PodShape], bool]
"""(plugin name, event, shape) -> whether another try is worthwhile."""


@dataclass(slots=True)
class QueuedPod:
    """A pod and its history here. `attempts` counts failed cycles; `plugins` are those that rejected it last."""

    pod: PodInfo
    since: float
    """When it came in, which decides its turn."""
    attempts: int = 0
    plugins: tuple[str, ...] = ()
    parked_at: float = 0.0
    state: str = "active"
    sequence: int = 0
    parked_as: tuple[PodShape, tuple[str, ...]] | None = None

    def backoff_until(self) -> float:
        if not self.attempts:
            return self.parked_at
        wait_seconds = FIRST_BACKOFF_SECONDS * 2.0 ** min(self.attempts - 1, 30)
        return self.parked_at + min(wait_seconds, LONGEST_BACKOFF_SECONDS)


@dataclass(slots=True)
class SchedulingQueue:
    """See the module. `hint` is asked about each plugin that rejected a shape."""

    hint: Hint
    pods: dict[str, QueuedPod] = field(default_factory=dict)
    _active: list[tuple[int, float, int, str]] = field(default_factory=list)
    _backoff: list[tuple[float, int, str]] = field(default_factory=list)
    _parked: dict[str, QueuedPod] = field(default_factory=dict)
    """The unschedulable ones, the longest parked first."""
    _parked_alike: dict[tuple[PodShape, tuple[str, ...]], dict[str, QueuedPod]] = field(default_factory=dict)
    """The same by shape and rejecting plugins: an event is the same news to all of these."""
    _sequence: int = 0

    def __len__(self) -> int:
        return len(self.pods)

    def states(self) -> Mapping[str, int]:
        """How many pods are in each part."""
        counts: dict[str, int] = {"active": 0, "backoff": 0, "unschedulable": 0, "gated": 0}
        for queued in self.pods.values():
            counts[queued.state] += 1
        return counts

    def set(self, pod: PodInfo, now: float) -> None:
        """Add a waiting pod, or take note of a change to it. A changed shape or opened gates make it worth a try."""
        queued = self.pods.get(pod.uid)
        gated = bool(pod.pod.spec.schedulingGates)
        if queued is None:
            queued = self.pods[pod.uid] = QueuedPod(pod, since=now)
            self._to("gated", queued, now) if gated else self._activate(queued)
            return
        previous, queued.pod = queued.pod, pod
        if queued.state == "gated":
            if not gated:
                self._activate(queued)
        elif queued.state == "unschedulable":
            if previous.shape is not pod.shape or (previous.nominated_node_name and not pod.nominated_node_name):
                self._wake(queued, now)
        elif queued.state == "active" and previous.priority != pod.priority:
            self._activate(queued)

    def remove(self, uid: str) -> None:
        """The pod is gone or has a node."""
        queued = self.pods.pop(uid, None)
        if queued is not None:
            self._unpark(queued)

    def take(self, now: float, limit: int) -> list[QueuedPod]:
        """The next pods that can be decided together: the first in turn and those after it of the same shape and
        priority, as long as nothing else comes between. A pod with a promised node comes alone. They leave the
        queue."""
        self.tick(now)
        batch: list[QueuedPod] = []
        while len(batch) < limit:
            queued = self._first_active()
            if queued is None or (batch and not self._goes_with(batch[0].pod, queued.pod)):
                break
            heapq.heappop(self._active)
            del self.pods[queued.pod.uid]
            batch.append(queued)
            if queued.pod.nominated_node_name:
                break
        return batch

    @staticmethod
    def _goes_with(first: PodInfo, other: PodInfo) -> bool:
        return (
            first.shape is other.shape
            and first.priority == other.priority
            and not other.nominated_node_name
            and first.pod.spec.schedulerName == other.pod.spec.schedulerName
            and first.pod.spec.preemptionPolicy == other.pod.spec.preemptionPolicy
        )

    def put_back(self, queued: QueuedPod, now: float, plugins: Sequence[str] = ()) -> None:
        """A cycle failed: because these plugins rejected every node, or (none given) because of an error, which is
        worth another try after the back-off."""
        current = self.pods.get(queued.pod.uid)
        if current is not None:
            return
        queued.attempts += 1
        queued.plugins = tuple(plugins)
        queued.parked_at = now
        self.pods[queued.pod.uid] = queued
        if plugins:
            self._to("unschedulable", queued, now)
        else:
            self._wait(queued)

    def on_event(self, event: ClusterEvent, now: float) -> None:
        """Something changed: wake the pods it may help."""
        for shape, plugins in [*self._parked_alike]:
            if any(self.hint(plugin, event, shape) for plugin in plugins):
                for queued in [*self._parked_alike[shape, plugins].values()]:
                    self._wake(queued, now)

    def resume(self, queued: QueuedPod, now: float) -> None:
        """Take back a pod that `take` gave out and nothing was tried with."""
        if queued.pod.uid not in self.pods:
            self.pods[queued.pod.uid] = queued
            self._activate(queued)

    def wake(self, uids: Iterable[str], now: float) -> None:
        """Give these pods another try as soon as their back-off allows."""
        for uid in uids:
            queued = self.pods.get(uid)
            if queued is not None and queued.state == "unschedulable":
                self._wake(queued, now)

    def tick(self, now: float) -> None:
        """Let back-offs and the five minutes run out."""
        while self._backoff and self._backoff[0][0] <= now:
            _, sequence, uid = heapq.heappop(self._backoff)
            queued = self.pods.get(uid)
            if queued is not None and queued.state == "backoff" and queued.sequence == sequence:
                self._activate(queued)
        while self._parked:
            queued = next(iter(self._parked.values()))
            if queued.parked_at + FLUSH_SECONDS > now:
                break
            self._wake(queued, now)

    def next_at(self) -> float | None:
        """When `take` could next find something: 0 for now, None for not before something changes."""
        if self._first_active() is not None:
            return 0.0
        times = [self._backoff[0][0]] if self._backoff else []
        times += [queued.parked_at + FLUSH_SECONDS for queued in [*self._parked.values()][:1]]
        return min(times, default=None)

    def _first_active(self) -> QueuedPod | None:
        """The head of the active queue; what has become stale on the way there is dropped."""
        while self._active:
            _, _, sequence, uid = self._active[0]
            queued = self.pods.get(uid)
            if queued is not None and queued.state == "active" and queued.sequence == sequence:
                return queued
            heapq.heappop(self._active)
        return None

    def _activate(self, queued: QueuedPod) -> None:
        self._next(queued, "active")
        heapq.heappush(self._active, (-queued.pod.priority, queued.since, queued.sequence, queued.pod.uid))

    def _wait(self, queued: QueuedPod) -> None:
        self._next(queued, "backoff")
        heapq.heappush(self._backoff, (queued.backoff_until(), queued.sequence, queued.pod.uid))

    def _wake(self, queued: QueuedPod, now: float) -> None:
        if queued.backoff_until() <= now:
            self._activate(queued)
        else:
            self._wait(queued)

    def _to(self, state: str, queued: QueuedPod, now: float) -> None:
        self._next(queued, state)
        queued.parked_at = now

    def _next(self, queued: QueuedPod, state: str) -> None:
        self._sequence += 1
        queued.state, queued.sequence = state, self._sequence
        self._unpark(queued)
        if state == "unschedulable":
            queued.parked_as = (queued.pod.shape, queued.plugins)
            self._parked[queued.pod.uid] = queued
            self._parked_alike.setdefault(queued.parked_as, {})[queued.pod.uid] = queued

    def _unpark(self, queued: QueuedPod) -> None:
        if self._parked.pop(queued.pod.uid, None) is None or queued.parked_as is None:
            return
        alike = self._parked_alike[queued.parked_as]
        del alike[queued.pod.uid]
        if not alike:
            del self._parked_alike[queued.parked_as]
