"""The life of a pod on its node, as a table of states and events.

RUNNING: its containers should run. ENDING: they are being ended. ENDED: no process is left; volumes and groups are
taken down and the last status is written. FINISHED: nothing but dead containers and logs is left, which wait for the
object to go. PURGING: the object is gone, so everything of it goes. GONE: nothing is left.

A pod never comes back: there is no way to RUNNING.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable
from dataclasses import dataclass

from tiphys.kubelet.pod_status import Verdict


class State(enum.Enum):
    RUNNING = "running"
    ENDING = "ending"
    ENDED = "ended"
    FINISHED = "finished"
    PURGING = "purging"
    GONE = "gone"


class Event(enum.Enum):
    DELETE = "delete"
    """The object is marked for deletion."""
    REMOVE = "remove"
    """The object is gone from its source."""
    FAIL = "fail"
    """The node ends the pod (eviction, deadline)."""
    COMPLETE = "complete"
    """Its containers have ended for good."""
    STOPPED = "stopped"
    """Nothing of it runs any more."""
    CLEANED = "cleaned"
    """Volumes and groups are gone and the last status is written."""
    PURGED = "purged"
    """Containers, sandboxes and files are gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle:
    """`deleted`: the object is to be removed from the API when the pod has ended. `removed`: it is gone already."""

    state: State = State.RUNNING
    deleted: bool = False
    removed: bool = False
    verdict: Verdict | None = None


def _end(now: Lifecycle) -> Lifecycle:
    return dataclasses.replace(now, state=State.ENDING)


def _delete(now: Lifecycle) -> Lifecycle:
    return dataclasses.replace(now, deleted=True)


def _end_and_delete(now: Lifecycle) -> Lifecycle:
    return dataclasses.replace(now, state=State.ENDING, deleted=True)


def _remove(now: Lifecycle) -> Lifecycle:
    return dataclasses.replace(now, deleted=True, removed=True)


def _end_and_remove(now: Lifecycle) -> Lifecycle:
    return dataclasses.replace(now, state=State.ENDING, deleted=True, removed=True)


def _purge(now: Lifecycle) -> Lifecycle:
    return dataclasses.replace(now, state=State.PURGING, deleted=True, removed=True)


def _stopped(now: Lifecycle) -> Lifecycle:
    return dataclasses.replace(now, state=State.ENDED)


def _cleaned(now: Lifecycle) -> Lifecycle:
    return dataclasses.replace(now, state=State.PURGING if now.removed else State.FINISHED)


def _gone(now: Lifecycle) -> Lifecycle:
    return dataclasses.replace(now, state=State.GONE)


def _stay(now: Lifecycle) -> Lifecycle:
    return now


TABLE: dict[tuple[State, Event], Callable[[Lifecycle], Lifecycle]] = {
    (State.RUNNING, Event.DELETE): _end_and_delete,
    (State.RUNNING, Event.REMOVE): _end_and_remove,
    (State.RUNNING, Event.FAIL): _end,
    (State.RUNNING, Event.COMPLETE): _end,
    (State.ENDING, Event.DELETE): _delete,
    (State.ENDING, Event.REMOVE): _remove,
    (State.ENDING, Event.FAIL): _stay,
    (State.ENDING, Event.STOPPED): _stopped,
    (State.ENDED, Event.DELETE): _delete,
    (State.ENDED, Event.REMOVE): _remove,
    (State.ENDED, Event.FAIL): _stay,
    (State.ENDED, Event.CLEANED): _cleaned,
    # Its object is removed by us: the same last step again, which is a matter of one call.
    (State.FINISHED, Event.DELETE): lambda now: dataclasses.replace(now, state=State.ENDED, deleted=True),
    (State.FINISHED, Event.REMOVE): _purge,
    (State.FINISHED, Event.FAIL): _stay,
    (State.PURGING, Event.DELETE): _stay,
    (State.PURGING, Event.REMOVE): _stay,
    (State.PURGING, Event.FAIL): _stay,
    (State.PURGING, Event.PURGED): _gone,
    (State.GONE, Event.DELETE): _stay,
    (State.GONE, Event.REMOVE): _stay,
    (State.GONE, Event.FAIL): _stay,
}


def step(now: Lifecycle, event: Event, verdict: Verdict | None = None) -> Lifecycle:
    """The next state. `verdict` goes with FAIL and counts only for the first. KeyError for an event that cannot be."""
    if event is Event.DELETE and now.deleted:
        return now
    after = TABLE[(now.state, event)](now)
    if verdict is not None and now.verdict is None and now.state is State.RUNNING:
        after = dataclasses.replace(after, verdict=verdict)
    return after
