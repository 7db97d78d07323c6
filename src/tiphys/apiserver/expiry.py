"""Which objects are kept for a time only: events, for an hour after they were last written."""

from __future__ import annotations

from collections.abc import Sequence

from tiphys.apiserver.watch_cache import Collection, Entry
from tiphys.machinery import timestamps

EVENT_SECONDS = 3600.0
SWEEP_SECONDS = 60.0
BATCH_LIMIT = 1000


def expired_events(collection: Collection, now: float) -> Sequence[Entry]:
    """Events that were last seen too long ago, at most a batch of them."""
    found = []
    for entry in collection.entries():
        event = entry.object
        series = event.series.lastObservedTime if event.series is not None else None
        latest = max(
            event.lastTimestamp or "", event.eventTime or "", series or "", event.metadata.creationTimestamp or ""
        )
        if latest and now - timestamps.seconds(latest) > EVENT_SECONDS:
            found.append(entry)
            if len(found) == BATCH_LIMIT:
                break
    return found
