"""What a watch request asks for: where to begin, how long, with bookmarks or not. Specified in "API concepts",
"Efficient detection of changes" and "Streaming lists"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tiphys.apiserver import lists
from tiphys.apiserver.request import flag, integer
from tiphys.apiserver.selection import Selection
from tiphys.apiserver.watch_cache import CacheEvent, Collection, Entry, WindowExceeded
from tiphys.machinery import errors

SHORTEST_SECONDS = 1800
LONGEST_SECONDS = 366 * 86400


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOptions:
    """`revision` None: begin with the present state as ADDED events. `bookmark_initial_end`: say when that is
    complete."""

    revision: int | None
    initial_events: bool
    bookmark_initial_end: bool = False
    bookmarks: bool = False
    timeout_seconds: float


def parse(query: Mapping[str, str], jitter: float) -> WatchOptions:
    """`jitter` in [0, 1) spreads the time limits of watches that name none. ApiError 400 or 422."""
    lists.check_match(query, watch=True)
    lists.parse_limit(query)  # a watch has no pages, but what it says must be a number
    text = query.get("resourceVersion", "")
    version = lists.parse_revision(text) if text else 0
    bookmarks = flag(query, "allowWatchBookmarks")
    seconds = SHORTEST_SECONDS * (1 + jitter)
    asked = query.get("timeoutSeconds", "")
    if asked:
        seconds = float(min(integer(asked), LONGEST_SECONDS)) or seconds
    send = query.get("sendInitialEvents")
    if send is not None:
        wanted = flag(query, "sendInitialEvents")
        known = version if text and text != "0" else None
        if wanted:
            return WatchOptions(
                revision=known,
                initial_events=True,
                bookmark_initial_end=bookmarks,
                bookmarks=bookmarks,
                timeout_seconds=seconds,
            )
        return WatchOptions(revision=known, initial_events=False, bookmarks=bookmarks, timeout_seconds=seconds)
    if version == 0:
        return WatchOptions(
            revision=None,
            initial_events=True,
            bookmark_initial_end=bookmarks,
            bookmarks=bookmarks,
            timeout_seconds=seconds,
        )
    return WatchOptions(revision=version, initial_events=False, bookmarks=bookmarks, timeout_seconds=seconds)


def present(collection: Collection, selection: Selection) -> Sequence[Entry]:
    """The present state, from which the selection is still to be made."""
    return lists.state(collection, collection.revision, selection, lists.ListQuery())[0]


def changes(collection: Collection, revision: int) -> Sequence[CacheEvent]:
    """What happened after `revision`. ApiError 410 when that is not known any more."""
    try:
        return collection.events_since(revision)
    except WindowExceeded as exceeded:
        raise errors.expired(f"too old resource version: {revision} ({exceeded.oldest})") from None


def concerning(events: Iterable[CacheEvent], selection: Selection) -> list[tuple[str, CacheEvent]]:
    """Those events that happened in the selection, with what they are to it."""
    found = ((selection.event_type(event), event) for event in events)
    return [(event_type, event) for event_type, event in found if event_type]
