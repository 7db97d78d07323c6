"""The watch cache against a naive twin that keeps every state ever."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tiphys.apiserver.selection import Selection
from tiphys.apiserver.watch_cache import CacheEvent, Collection, WindowExceeded
from tiphys.apiserver.watchers import Watchers
from tiphys.kinds import registry
from tiphys.machinery import fields, labels

CONFIG_MAPS = registry.find("", "v1", "configmaps")
NAMESPACES, NAMES, COLORS = ("a", "a-b", "b"), ("x", "x-y", "x.y", "z"), ("red", "blue", "")
State = dict[tuple[str, str], tuple[int, str]]

changes = st.lists(
    st.tuples(st.sampled_from(NAMESPACES), st.sampled_from(NAMES), st.sampled_from(COLORS), st.booleans()), max_size=40
)


def stored(namespace: str, name: str, color: str) -> bytes:
    meta = {"name": name, "namespace": namespace, "labels": {"color": color} if color else {}}
    return msgspec.json.encode({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta})


def shown(entries: object) -> list[tuple[str, str, int, str]]:
    return [(e.namespace, e.name, e.revision, e.labels.get("color", "")) for e in entries]  # type: ignore[attr-defined]


def expected(state: State, namespace: str = "") -> list[tuple[str, str, int, str]]:
    found = [(ns, name, *value) for (ns, name), value in state.items() if namespace in ("", ns)]
    return sorted(found, key=lambda item: f"{item[0]}/{item[1]}")


def play(collection: Collection, steps: list[tuple[str, str, str, bool]]) -> tuple[list[State], list[CacheEvent]]:
    """The state after each revision (from 10 on), and the events."""
    state: State = {}
    states, events = [dict(state)], []
    revision = 10
    for namespace, name, color, delete in steps:
        if delete and (namespace, name) not in state:
            continue
        revision += 1
        if delete:
            color = state.pop((namespace, name))[1]
        else:
            state[namespace, name] = (revision, color)
        events.append(collection.apply(namespace, name, revision, stored(namespace, name, color), delete))
        states.append(dict(state))
    return states, events


@settings(max_examples=100)
@given(changes)
def test_every_state_in_the_window_can_be_read(steps: list[tuple[str, str, str, bool]]) -> None:
    assert CONFIG_MAPS is not None
    collection = Collection(CONFIG_MAPS, window_events=12)
    collection.begin(10)
    states, events = play(collection, steps)
    assert shown(collection.entries()) == expected(states[-1])
    assert collection.count == len(states[-1])
    for namespace in NAMESPACES:
        assert shown(collection.entries(namespace)) == expected(states[-1], namespace)
    for revision, state in enumerate(states, start=10):
        try:
            found = collection.entries_at(revision)
        except WindowExceeded as error:
            assert revision < error.oldest
            continue
        assert shown(found) == expected(state)
        assert shown(collection.entries_at(revision, "a")) == expected(state, "a")
        assert list(collection.events_since(revision)) == events[revision - 10 :]
    assert len(collection.events_since(collection.window_start)) <= 12


@settings(max_examples=100)
@given(changes, st.sampled_from(("", "color=red", "color!=red", "color")), st.sampled_from(("", "a")), st.booleans())
def test_watches_turn_the_past_into_the_present(
    steps: list[tuple[str, str, str, bool]], label_text: str, namespace: str, by_name: bool
) -> None:
    assert CONFIG_MAPS is not None
    collection = Collection(CONFIG_MAPS)
    collection.begin(10)
    field_selector = fields.parse("metadata.name=x") if by_name else fields.EVERYTHING
    selection = Selection(namespace, labels.parse(label_text), field_selector)
    watchers: Watchers[str] = Watchers()
    group = watchers.group(selection, "form")
    group.members["me"] = None
    _, events = play(collection, steps)
    for event in events:
        watchers.add(event)
    asked_each = [(kind, event) for event in events if (kind := selection.event_type(event))]
    assert group.pending == asked_each
    seen: dict[tuple[str, str], int] = {}
    for kind, event in group.pending:
        key = (event.entry.namespace, event.entry.name)
        assert (key in seen) is (kind != "ADDED")
        if kind == "DELETED":
            del seen[key]
        else:
            seen[key] = event.revision
    present = {(e.namespace, e.name): e.revision for e in collection.entries() if selection.matches(e)}
    assert seen == present
    watchers.leave(group, "me")
    assert len(watchers) == 0
    assert watchers.groups == []
