"""Whether a YAML document is safe to load: not nested too deeply, and of a bounded size once aliases are followed.

The loader composes nodes recursively on the C stack, and every alias stands for a whole copy once the document is JSON:
a small body could end or fill the process. What cannot be either is recognised without reading it: nesting takes a
bracket or a column of indentation. Everything else is read event by event, which takes neither stack nor memory.
"""

from __future__ import annotations

from typing import Any

import yaml

DEPTH_LIMIT = 1000
NODES_LIMIT = 1_000_000
_STARTS = (yaml.SequenceStartEvent, yaml.MappingStartEvent)
_ENDS = (yaml.SequenceEndEvent, yaml.MappingEndEvent)


def check(data: bytes) -> None:
    """ValueError or yaml.YAMLError when the document must not be loaded."""
    if b"*" in data or _depth_bound(data) > DEPTH_LIMIT:
        _read(data)


def _depth_bound(data: bytes) -> int:
    """No nesting is deeper. A block mapping and a sequence in it may share a column."""
    brackets = data.count(b"[") + data.count(b"{")
    return brackets + 2 * max(len(line) for line in data.split(b"\n")) + 2


def _read(data: bytes) -> None:
    sizes: dict[str, int] = {}
    above: list[tuple[str | None, int]] = []
    count = 0  # nodes of what is open now, aliases followed
    for event in _events(data):
        if isinstance(event, _STARTS):
            if len(above) >= DEPTH_LIMIT:
                raise ValueError(f"exceeded max depth of {DEPTH_LIMIT}")
            above.append((event.anchor, count))
            count = 1
        elif isinstance(event, _ENDS):
            anchor, before = above.pop()
            if anchor:
                sizes[anchor] = count
            count += before
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise ValueError(f"anchor '{event.anchor}' is unknown or contains itself")
            count += sizes[event.anchor]
        elif isinstance(event, yaml.ScalarEvent):
            count += 1
            if event.anchor:
                sizes[event.anchor] = 1
        if count > NODES_LIMIT and sizes:
            raise ValueError("document contains excessive aliasing")


def _events(data: bytes) -> Any:
    loader = yaml.CSafeLoader(data)
    while loader.check_event():
        yield loader.get_event()
